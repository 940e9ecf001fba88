"""Score reports with a shipped model: how strange each is, whether to flag it, and what made it strange."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from expectations.report import Report
from models.bundle import ModelBundle, load_forest, read_manifest, unpack
from models.features import FEATURES, feature_matrix
from models.forest import strangeness
from models.frequencies import Frequencies

__all__ = ["EXTREME", "UNUSUAL", "USUAL", "ModelBundle", "Scorer", "Scores"]

USUAL, UNUSUAL, EXTREME = 0, 1, 2
"""Levels: nothing to say; flagged for analysts; shown to a person."""

_REASONS = 3
_ABLATIONS = 50_000
"""Ablated rows scored at a time: bounds the memory when a whole batch is strange."""


@dataclass(frozen=True, eq=False)
class Scores:
    """Verdicts on n reports, in their order."""

    score: NDArray[np.float64]
    """Shape (n,), in (0, 1], higher = stranger."""
    level: NDArray[np.int8]
    """Shape (n,): USUAL, UNUSUAL or EXTREME."""
    reasons: tuple[tuple[str, ...], ...]
    """Per report at most three feature names, weightiest first; empty for usual ones."""


class Scorer:
    """A model loaded once and used for many batches; a report's verdict never depends on the others of its batch.

    Raises ModelDigestError for a bundle that is not what was packed, ModelError for one this code cannot score with.
    """

    def __init__(self, bundle: ModelBundle) -> None:
        parts = unpack(bundle.data)
        manifest = read_manifest(parts.manifest)
        self.version = bundle.version
        self._unusual = manifest.unusual
        self._extreme = manifest.extreme
        self._medians = np.array(manifest.medians)
        self._frequencies = Frequencies.from_bytes(parts.frequencies)
        self._forest = load_forest(parts.forest)

    def score(self, reports: Sequence[Report]) -> Scores:
        """Judge each report. Costs about 25 µs per report and 10 ms per call, 20 ms when any is flagged."""
        matrix = feature_matrix(reports, self._frequencies)
        score = strangeness(self._forest, matrix)
        level = (score > self._unusual).astype(np.int8) + (score > self._extreme).astype(np.int8)
        flagged = np.flatnonzero(level)
        reasons: list[tuple[str, ...]] = [()] * len(reports)
        for position, names in zip(flagged.tolist(), self._reasons(matrix[flagged], score[flagged]), strict=True):
            reasons[position] = names
        return Scores(score, level, tuple(reasons))

    def _reasons(self, matrix: NDArray[np.float64], score: NDArray[np.float64]) -> list[tuple[str, ...]]:
        """Features whose replacement by the training median makes a report most nearly usual, weightiest first."""
        row, column = np.nonzero(matrix != self._medians)
        drop = np.zeros(matrix.shape)
        for start in range(0, len(row), _ABLATIONS):
            some, at = row[start : start + _ABLATIONS], column[start : start + _ABLATIONS]
            ablated = matrix[some]
            ablated[np.arange(len(some)), at] = self._medians[at]
            drop[some, at] = score[some] - strangeness(self._forest, ablated)
        weightiest = np.argsort(-drop, axis=1, kind="stable")[:, :_REASONS]
        return [
            tuple(FEATURES[f] for f in features if drop[i, f] > 0) for i, features in enumerate(weightiest.tolist())
        ]
