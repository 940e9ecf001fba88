"""A report as numbers for the isolation forest: every feature declared once, none of them NaN, none one-hot.

Features depend on the report and the learned frequencies alone, never on the other reports of a batch or their order,
nor on the order of names within the report.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from expectations.report import SUSPECT_ROLES, Report
from models.frequencies import Frequencies, rarity
from models.terms import Rows, Terms, terms_of

__all__ = ["FEATURES", "FEATURE_MEANINGS", "feature_matrix"]

Floats = NDArray[np.float64]

_MISSING_AGE = 50.0
_MISSING_WEIGHT = 70.0
"""Years and kilograms in the middle of what is reported: absence is told by its own bit, not by an odd value."""

_LARGEST = 1e6
"""Bound of ages and weights: the forest computes in float32, where an absurd one would become infinite."""

_CHUNK = 512
"""Reports whose pairs are held in memory together: at most 512 · 128 · 128."""


@dataclass(frozen=True)
class _Feature:
    name: str
    meaning: str
    value: Callable[[Report], float]


def _bounded(value: float | None, missing: float) -> float:
    if value is None or math.isnan(value):
        return missing
    return min(max(value, -_LARGEST), _LARGEST)


def _is_missing(value: float | None) -> bool:
    return value is None or math.isnan(value)


def _delay_days(report: Report) -> int | None:
    if report.receivedate is None or report.receiptdate is None:
        return None
    return (report.receiptdate - report.receivedate).days


def _signed_log(value: float) -> float:
    return math.copysign(math.log1p(abs(value)), value)


def _criterion(name: str) -> Callable[[Report], float]:
    return lambda report: name in report.seriousness


_OF_THE_REPORT = (
    _Feature("log_drugs", "ln(1 + drug entries), suspect or not.", lambda r: math.log1p(len(r.drugs))),
    _Feature(
        "log_suspect_drugs",
        "ln(1 + drug entries that are suspect or interacting).",
        lambda r: math.log1p(sum(d.characterization in SUSPECT_ROLES for d in r.drugs)),
    ),
    _Feature("log_reactions", "ln(1 + reaction entries).", lambda r: math.log1p(len(r.reactions))),
    _Feature("age_years", "Age at onset in years; 50 when missing.", lambda r: _bounded(r.age_years, _MISSING_AGE)),
    _Feature("age_missing", "1 when there is no age, else 0.", lambda r: _is_missing(r.age_years)),
    _Feature("weight_kg", "Weight in kilograms; 70 when missing.", lambda r: _bounded(r.weight_kg, _MISSING_WEIGHT)),
    _Feature("weight_missing", "1 when there is no weight, else 0.", lambda r: _is_missing(r.weight_kg)),
    _Feature("sex_male", "1 when the sex is male, else 0.", lambda r: r.sex == 1),
    _Feature("sex_female", "1 when the sex is female, else 0.", lambda r: r.sex == 2),
    _Feature("sex_missing", "1 when the sex is absent or unknown, else 0.", lambda r: r.sex not in (1, 2)),
    _Feature("serious", "1 when reported as serious, else 0.", lambda r: r.serious is True),
    _Feature("serious_missing", "1 when seriousness is not stated, else 0.", lambda r: r.serious is None),
    _Feature("death", "1 when it resulted in death, else 0.", _criterion("death")),
    _Feature("lifethreatening", "1 when it was life-threatening, else 0.", _criterion("lifethreatening")),
    _Feature(
        "hospitalization", "1 when it caused or prolonged hospitalisation, else 0.", _criterion("hospitalization")
    ),
    _Feature("disabling", "1 when it was disabling, else 0.", _criterion("disabling")),
    _Feature("congenitalanomali", "1 when it was a congenital anomaly, else 0.", _criterion("congenitalanomali")),
    _Feature("serious_other", "1 when serious for another reason, else 0.", _criterion("other")),
    _Feature(
        "log_delay_days",
        "Days from first receipt to the latest receipt, d, as sign(d) · ln(1 + |d|); 0 when unknown.",
        lambda r: _signed_log(_delay_days(r) or 0),
    ),
    _Feature("delay_missing", "1 when one of these two dates is missing, else 0.", lambda r: _delay_days(r) is None),
    _Feature("log_narrative", "ln(1 + characters of narrative).", lambda r: math.log1p(r.narrative_length)),
)

_OF_ITS_TERMS = {
    "rarest_drug": "Rarity of the rarest suspect drug, in nats.",
    "mean_drug": "Mean rarity of the suspect drugs, in nats.",
    "rarest_reaction": "Rarity of the rarest reaction, in nats.",
    "mean_reaction": "Mean rarity of the reactions, in nats.",
    "rarest_pair": "Rarity of the rarest pair of suspect drug and reaction, in nats.",
    "mean_pair": "Mean rarity of the pairs, in nats.",
    "least_expected_pair": (
        "Largest ln((E + 1/2) / (O + 1/2)) over the pairs, O cases observed and E expected if drug and reaction were"
        " independent: high when two common names have hardly ever met."
    ),
}
"""Rarity as in `frequencies.rarity`. A report with no such name gets what is typical, and 0 for the last: that names
are missing shows in the counts."""

FEATURE_MEANINGS = {**{f.name: f.meaning for f in _OF_THE_REPORT}, **_OF_ITS_TERMS}
"""What each feature means, with its unit, in the order of the matrix's columns."""

FEATURES: tuple[str, ...] = tuple(FEATURE_MEANINGS)
"""Names of the matrix's columns, in order."""


def feature_matrix(reports: Sequence[Report], frequencies: Frequencies) -> Floats:
    """Features of each report, shape (len(reports), len(FEATURES)), float64, all finite."""
    matrix = np.empty((len(reports), len(FEATURES)))
    for start in range(0, len(reports), _CHUNK):
        chunk = reports[start : start + _CHUNK]
        rows = matrix[start : start + len(chunk)]
        rows[:, : len(_OF_THE_REPORT)] = [[feature.value(report) for feature in _OF_THE_REPORT] for report in chunk]
        rows[:, len(_OF_THE_REPORT) :] = _term_features(terms_of(chunk), frequencies)
    return matrix


def _term_features(terms: Terms, frequencies: Frequencies) -> Floats:
    """Columns of `_OF_ITS_TERMS`, in its order."""
    n = terms.reports
    drugs = frequencies.drugs.of(terms.drug_key)
    reactions = frequencies.reactions.of(terms.reaction_key)
    pairs = frequencies.pairs.of(terms.pair_key)
    # The information component with its sign turned, in nats (Norén, Hopstadius and Bate, 2013).
    expected = drugs[terms.pair_drug] * reactions[terms.pair_reaction] / max(frequencies.cases, 1)
    unexpected = np.log((expected + 0.5) / (pairs + 0.5))
    columns: list[Floats] = []
    for cases, row, counts in (
        (drugs, terms.drug_row, frequencies.drugs),
        (reactions, terms.reaction_row, frequencies.reactions),
        (pairs, terms.pair_row, frequencies.pairs),
    ):
        values = rarity(cases, frequencies.cases)
        columns += [
            _largest(values, row, n, counts.typical_rarity),
            _mean(values, row, n, counts.typical_rarity),
        ]
    return np.column_stack([*columns, _largest(unexpected, terms.pair_row, n, 0.0)])


def _largest(values: Floats, row: Rows, n: int, without: float) -> Floats:
    largest = np.full(n, without)
    if len(row):
        present, first = np.unique(row, return_index=True)
        largest[present] = np.maximum.reduceat(values, first)
    return largest


def _mean(values: Floats, row: Rows, n: int, without: float) -> Floats:
    count = np.bincount(row, minlength=n)
    total = np.bincount(row, weights=values, minlength=n)
    return np.where(count > 0, total / np.maximum(count, 1), without)
