"""Train the isolation forest that says how strange a report is, and measure it on cases it has not seen.

Isolation forest: Liu, Ting and Zhou (2008). Its score is 2^(-mean path length / c), in (0, 1], higher = stranger.
It sees combinations and rare values, but nothing beyond the learned range: an age of 500 is to it as strange as the
highest learned age. Impossible single values are the business of the expectation suites.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score

from expectations.report import Report
from models.errors import ModelError
from models.features import FEATURES, feature_matrix
from models.frequencies import Frequencies

__all__ = ["MINIMUM_CASES", "Thresholds", "TrainedForest", "strangeness", "train"]

Floats = NDArray[np.float64]

MINIMUM_CASES = 200
"""Distinct cases needed to train: with fewer the threshold of one report in 200 rests on no report at all."""

_HELD_OUT_SHARE = 0.2
_SUBSAMPLE = 256
"""Reports per tree, as in the original paper. 1,024 told shuffled features apart better on FAERS (AUROC 0.86, not
0.78), mixed reports hardly (0.56, not 0.53), at four times the bundle that every batch may ship."""


@dataclass(frozen=True)
class Thresholds:
    """Scores above which a report is unusual (flagged) or extreme (shown to a person)."""

    unusual: float
    extreme: float


@dataclass(frozen=True, eq=False)
class TrainedForest:
    """All that scoring needs, and how well it did; `medians` has shape (len(FEATURES),)."""

    forest: IsolationForest
    frequencies: Frequencies
    thresholds: Thresholds
    medians: Floats
    metrics: dict[str, float]
    params: dict[str, float]


def train(
    reports: Sequence[Report],
    *,
    seed: int = 0,
    trees: int = 200,
    unusual_share: float = 0.005,
    clock: Callable[[], float] = time.perf_counter,
) -> TrainedForest:
    """Train on four fifths of the cases, measure on the rest.

    The same reports, in any order, and the same seed give the same forest and thresholds. All versions of a case fall
    on the same side of the split. A learned report is described by the frequencies among the *other* cases, as a new
    one will be.

    `unusual` is the score that `unusual_share` of the learned reports exceed. `extreme` lies halfway from the highest
    score of any known report, held out or not, to the score of a report that is at the learned bound farthest from
    the median in every feature at once, about the strangest it can tell. Both ends are measured; an exponential tail
    (Siffer et al., 2017) often set the level out of reach. On 28 forests of 200 to 12,800 cases, made of FAERS names,
    16 of them with simulated patients, none of 920,000 scorings of fresh reports exceeded it. Where most fields are
    missing in training (as in FAERS extracts without age and sex), even an absurd report may stay below it.

    Metrics, held out unless said otherwise: `share_unusual`, `share_extreme`, `score_p50` .. `score_max`;
    `auroc_mixed_reports`: against reports put together from the drugs, reactions, patient and course of four different
    held-out reports; `auroc_shuffled_features`: against feature rows with each column shuffled on its own;
    `train_seconds` for all of it.

    Raises ModelError on fewer than MINIMUM_CASES distinct cases or a share outside (0, 1).
    """
    started = clock()
    if not 0 < unusual_share < 1:
        raise ModelError(f"unusual_share must lie between 0 and 1, not {unusual_share}.")
    random = np.random.default_rng(seed)
    fitted, held_out = _split(reports, random)
    frequencies = Frequencies.learn(fitted)
    learned = feature_matrix(fitted, frequencies.without_self())
    forest = IsolationForest(
        n_estimators=trees, max_samples=min(_SUBSAMPLE, len(learned)), random_state=seed, n_jobs=1
    ).fit(learned)

    fresh = feature_matrix(held_out, frequencies)
    learned_scores, fresh_scores = strangeness(forest, learned), strangeness(forest, fresh)
    highest = max(learned_scores.max(), fresh_scores.max())
    strangest = max(highest, strangeness(forest, _corner(learned))[0])
    thresholds = Thresholds(
        unusual=float(np.quantile(learned_scores, 1 - unusual_share)), extreme=float((highest + strangest) / 2)
    )

    mixed_scores = strangeness(forest, feature_matrix(_mixed(held_out, random), frequencies))
    shuffled_scores = strangeness(forest, random.permuted(fresh, axis=0))
    metrics = {
        "fitted_reports": float(len(fitted)),
        "held_out_reports": float(len(held_out)),
        "share_unusual": float(np.mean(fresh_scores > thresholds.unusual)),
        "share_extreme": float(np.mean(fresh_scores > thresholds.extreme)),
        **{f"score_p{q}": float(np.quantile(fresh_scores, q / 100)) for q in (50, 90, 99)},
        "score_max": float(fresh_scores.max()),
        "threshold_unusual": thresholds.unusual,
        "threshold_extreme": thresholds.extreme,
        "auroc_mixed_reports": _auroc(fresh_scores, mixed_scores),
        "auroc_shuffled_features": _auroc(fresh_scores, shuffled_scores),
        "train_seconds": clock() - started,
    }
    return TrainedForest(
        forest=forest,
        frequencies=frequencies,
        thresholds=thresholds,
        medians=np.median(learned, axis=0),
        metrics=metrics,
        params={
            "seed": seed,
            "trees": trees,
            "unusual_share": unusual_share,
            "max_samples": min(_SUBSAMPLE, len(learned)),
            "features": len(FEATURES),
        },
    )


def strangeness(forest: IsolationForest, matrix: Floats) -> Floats:
    """Score of each row, shape (len(matrix),), in (0, 1], higher = stranger; depends on no other row."""
    if not len(matrix):
        return np.empty(0)
    return -np.asarray(forest.score_samples(matrix), np.float64)


def _split(reports: Sequence[Report], random: np.random.Generator) -> tuple[list[Report], list[Report]]:
    ordered = sorted(reports, key=lambda r: (r.safetyreportid, r.version, r.digest))
    cases = sorted({r.safetyreportid for r in ordered})
    if len(cases) < MINIMUM_CASES:
        raise ModelError(
            f"{len(cases)} cases are too few to train on: give at least {MINIMUM_CASES}, better some thousands."
        )
    chosen = random.permutation(len(cases))[: int(len(cases) * _HELD_OUT_SHARE)]
    held_out = {cases[i] for i in chosen}
    return (
        [r for r in ordered if r.safetyreportid not in held_out],
        [r for r in ordered if r.safetyreportid in held_out],
    )


def _corner(learned: Floats) -> Floats:
    """One row at the learned bound farthest from the median in each feature, shape (1, len(FEATURES))."""
    low, middle, high = learned.min(axis=0), np.median(learned, axis=0), learned.max(axis=0)
    far = np.where(high - middle >= middle - low, high, low)
    return np.asarray(far[np.newaxis, :], np.float64)


def _mixed(reports: Sequence[Report], random: np.random.Generator) -> list[Report]:
    """As many reports, each with the drugs, reactions, patient and course of four different cases."""
    orders = (random.permutation(len(reports)) for _ in range(3))
    return [
        msgspec.structs.replace(
            report,
            reactions=reports[b].reactions,
            age_years=reports[c].age_years,
            sex=reports[c].sex,
            weight_kg=reports[c].weight_kg,
            serious=reports[d].serious,
            seriousness=reports[d].seriousness,
            receivedate=reports[d].receivedate,
            receiptdate=reports[d].receiptdate,
            narrative_length=reports[d].narrative_length,
        )
        for report, b, c, d in zip(reports, *orders, strict=True)
    ]


def _auroc(usual: Floats, broken: Floats) -> float:
    truth = np.concatenate([np.zeros(len(usual)), np.ones(len(broken))])
    return float(roc_auc_score(truth, np.concatenate([usual, broken])))
