"""Spike or not: one rule while a window is open, another once it has closed.

An open window is looked at many times. Its count only grows and is held against the expectation of the whole window at
a fixed level, so it alarms at some look only if it would alarm at the last one: looking often adds no false alarm.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.spikes.rules import Evaluation
from models.spikes.settings import SpikeRules

__all__ = ["close_verdict", "open_verdict"]

Counts = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


def open_verdict(evaluation: Evaluation, cases: Counts, rules: SpikeRules) -> Bools:
    """(n,) True where a window that is still open is a spike already.

    Asks for both z and p: z binds where much is expected, p where little is.
    """
    return _eligible(evaluation, cases, rules) & (evaluation.z >= rules.open_z) & (evaluation.p <= rules.open_p)


def close_verdict(evaluation: Evaluation, cases: Counts, tested: int, rules: SpikeRules) -> Bools:
    """(n,) True where a closed window is a spike, by the false discovery rate (Benjamini and Hochberg, 1995).

    All candidates must be of ONE window; `tested` is the number of pairs with a report in it. Pairs that are
    not given, have too few cases or are not warm count as p = 1: they widen the family and are never found.
    Raises ValueError when fewer pairs were tested than given.
    """
    n = len(cases)
    if tested < n:
        raise ValueError(f"{n} candidates out of {tested} tested pairs: count every pair with a report")
    p = np.where(_eligible(evaluation, cases, rules), evaluation.p, 1.0)
    ordered = np.sort(p)
    passing = np.flatnonzero(ordered <= rules.close_fdr * np.arange(1, n + 1) / max(tested, 1))
    if not passing.size:
        return np.zeros(n, dtype=np.bool_)
    found: Bools = p <= ordered[passing[-1]]
    return found


def _eligible(evaluation: Evaluation, cases: Counts, rules: SpikeRules) -> Bools:
    return evaluation.warm & (cases >= rules.min_cases)
