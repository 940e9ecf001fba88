"""One window, and two windows together, held against a regression on the windows before.

Both rules share one forecast: `expect` makes it, `exceedance` and `scan` read it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.spikes.baseline import Forecast, forecast
from models.spikes.context import (
    independence_rate,
    masked_sum,
    shared_variation,
    since_first_report,
    warm,
    windows_back,
)
from models.spikes.counts import CandidateCounts
from models.spikes.rules import Evaluation
from models.spikes.settings import DetectionRules
from models.spikes.tail import anscombe, upper_tail

__all__ = ["Expectation", "exceedance", "expect", "scan"]

Floats = npt.NDArray[np.float64]

_AHEAD = 2
"""The judged window and the one before it."""


@dataclass(frozen=True)
class Expectation:
    """What the history of n candidates lets one expect of the window before theirs and of theirs, in this order."""

    forecast: Forecast
    shared: Floats
    """(n,) squared variation of all counts together beyond Poisson, as in `zscore`, and beyond their season."""
    warm: npt.NDArray[np.bool_]
    """(n,) the system and the drug have been seen long enough to judge."""


def expect(counts: CandidateCounts, rules: DetectionRules) -> Expectation:
    """Fit every candidate's history once. See `models.spikes.baseline` for the regression and its sources.

    Where a season is set, that of all counts together is learnt first: a pair has this season unless its own counts say
    otherwise, so that weekdays and nights are known of pairs too rare to show them.
    """
    guarded = windows_back(counts) <= rules.spikes.guard_windows
    usable = counts.usable & since_first_report(counts) & ~guarded[None, :]
    windows = np.maximum(usable.sum(axis=1).astype(np.float64), 1.0)
    prior = independence_rate(counts, usable, windows)
    if rules.seasons:
        waves, shared = _common_season(counts.total_history, rules)
    else:
        waves, shared = None, shared_variation(counts, usable, windows)
    made = forecast(counts.history, usable, prior, rules, _AHEAD, waves)
    return Expectation(made, shared, warm(counts, made.windows, rules.spikes.warmup_windows))


def _common_season(totals: npt.NDArray[np.int64], rules: DetectionRules) -> tuple[Floats, Floats]:
    """(n, s) waves of the counts of all pairs, and (n,) what varies of these besides, as a squared share.

    Candidates of one window, which stand side by side, have the same totals: these are fitted once.
    """
    changes = np.ones(len(totals), dtype=np.bool_)
    changes[1:] = (totals[1:] != totals[:-1]).any(axis=1)
    different = totals[changes]
    received = different > 0
    mean = masked_sum(different, received) / np.maximum(received.sum(axis=1), 1)
    made = forecast(different, received, mean, rules, _AHEAD)
    varies = (made.dispersion - 1.0) / np.maximum(mean, 1.0)
    same = np.cumsum(changes) - 1
    return made.waves[same], varies[same]


def exceedance(counts: CandidateCounts, expectation: Expectation, rules: DetectionRules) -> Evaluation:
    """The window alone: P(X >= cases), X negative binomial around the regression's forecast.

        spread^2 = max(phi m, m + shared m^2) + the forecast's own variance         m = max(expected, expected_floor)

    After Farrington et al. (1996) and Noufaily et al. (2013), whose threshold is a negative-binomial quantile; with the
    forecast's variance in it (as Farrington et al. have it and the quantile lacks), and shrinkage for short histories.
    """
    return _held_against(counts.cases, np.array([0.0, 1.0]), expectation, rules)


def scan(counts: CandidateCounts, expectation: Expectation, rules: DetectionRules) -> Evaluation:
    """The window and the one before together: their sum against its expectation and the variance of both.

    A temporal scan with a fixed window of two (Naus, "The distribution of the size of the maximum cluster of points on
    a line", JASA 60 (1965); Kulldorff, JRSS A 164 (2001)), with the spread as in `exceedance`. It sees spikes that one
    window cannot, and one that begins at the end of a window. Alone it would still see them a window after their end,
    which `judge` sees to. Where nothing at all was received in the window before, it is the window alone.
    """
    received = counts.usable[:, -1] | (counts.total_history[:, -1] > 0)
    before = (received & (counts.drug_age_windows >= 1)).astype(np.int64)
    taken = np.stack([before, np.ones_like(before)], axis=1).astype(np.float64)
    return _held_against(counts.cases + before * counts.history[:, -1], taken, expectation, rules)


def _held_against(
    cases: npt.NDArray[np.int64], taken: Floats, expectation: Expectation, rules: DetectionRules
) -> Evaluation:
    """taken (2,) or (n, 2): 1 for each window that `cases` are the sum of."""
    made = expectation.forecast
    means = made.mean * taken
    expected = means.sum(axis=1)
    held_against = np.maximum(expected, rules.spikes.expected_floor)
    taken = np.broadcast_to(taken, means.shape)
    error = np.einsum("na,nab,nb->n", taken, made.covariance, taken)
    own = made.dispersion * held_against
    shared = held_against + expectation.shared * (means**2).sum(axis=1)
    least = held_against * (1.0 + 1.0 / (made.windows + rules.spikes.prior_windows))
    variance = np.maximum(np.maximum(own, shared) + error, least)
    spread = np.sqrt(variance)
    return Evaluation(
        expected=expected,
        spread=spread,
        z=anscombe(cases, held_against, spread),
        p=upper_tail(cases, held_against, variance),
        warm=expectation.warm,
    )
