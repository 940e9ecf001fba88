"""How many cases were to be expected, and how unusual the count is: expected, spread, z and p.

Decides nothing; `models.spikes.verdict` does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.spikes.context import (
    independence_rate,
    masked_sum,
    shared_variation,
    since_first_report,
    warm,
    windows_back,
)
from models.spikes.counts import CandidateCounts
from models.spikes.settings import SpikeRules
from models.spikes.tail import anscombe, upper_tail

__all__ = ["Evaluation", "zscore"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Evaluation:
    """One row per candidate, in the candidates' order."""

    expected: Floats
    """(n,) cases expected in the whole window."""
    spread: Floats
    """(n,) standard deviation of a quiet window's count around `expected`, in cases."""
    z: Floats
    """(n,) Anscombe residual: near the expectation it is (cases - expected) / spread."""
    p: Floats
    """(n,) chance of at least this many cases in a quiet window."""
    warm: Bools
    """(n,) the system and the drug have been seen long enough to judge."""


def zscore(counts: CandidateCounts, rules: SpikeRules) -> Evaluation:
    """Hold each candidate against its baseline.

    Baseline: the n usable windows since the drug's first report (those before say nothing about the drug), y cases,
    without the last `guard_windows` of them (the gap of EARS C2; Hutwagner et al., 2003).

        prior    = mean drug count x (reaction cases / all cases)                     over the same windows
        expected = (y + w prior) / (n + w)                                            w = prior_windows
        phi      = max(1, (d phi0 + f pearson) / (d + f))      d = dispersion_windows, f = (n - 1) 2 mean / (1 + 2 mean)
        shared   = squared variation of the totals beyond Poisson
        spread^2 = max(phi m, m + shared m^2) (1 + 1 / (n + w))                       m = max(expected, floor)
        z        = 3/2 (m / spread) ((cases / m)^(2/3) - 1)
        p        = P(X >= cases), X negative binomial with mean m and variance spread^2

    The expectation is the mean of the Gamma posterior for a Poisson rate, and for phi = 1 the p is that posterior's
    predictive tail, so the baseline's own error is in it: 1 / (n + w) is where it enters. phi is Pearson's estimate
    (McCullagh and Nelder, 1989), shrunk because few windows and few cases estimate it badly.

    z is the Anscombe residual (Anscombe, 1953; McCullagh and Nelder, 1989, 2.4.2), the 2/3 power that makes counts
    nearly normal and that Farrington et al. (1996) test outbreaks with. It ranks findings. As a probability its normal
    tail is too small for few cases and for phi > 1. p is right there, as far as the baseline shows phi: where reports
    cluster more than it shows, p is too small as well.
    """
    guarded = windows_back(counts) <= rules.guard_windows
    usable = counts.usable & since_first_report(counts) & ~guarded[None, :]
    n = usable.sum(axis=1).astype(np.float64)
    windows = np.maximum(n, 1.0)
    mean = masked_sum(counts.history, usable) / windows
    weight = n + rules.prior_windows
    expected = (mean * n + rules.prior_windows * independence_rate(counts, usable, windows)) / weight
    held_against = np.maximum(expected, rules.expected_floor)
    own = _dispersion(counts, usable, mean, n, rules) * held_against
    shared = held_against + shared_variation(counts, usable, windows) * held_against**2
    variance = np.maximum(own, shared) * (1.0 + 1.0 / weight)
    spread = np.sqrt(variance)
    return Evaluation(
        expected=expected,
        spread=spread,
        z=anscombe(counts.cases, held_against, spread),
        p=upper_tail(counts.cases, held_against, variance),
        warm=warm(counts, n, rules.warmup_windows),
    )


def _dispersion(counts: CandidateCounts, usable: Bools, mean: Floats, n: Floats, rules: SpikeRules) -> Floats:
    """(n,) variance over mean of the pair's own windows, shrunk; at least 1.

    Pearson's estimate has variance (2 + 1 / mean) / (n - 1) for Poisson counts: it weighs as much as this many windows
    of a frequent pair. So a baseline with hardly a case in it is not taken for proof of phi = 1.
    """
    freedom = np.maximum(n - 1.0, 0.0)
    squares = masked_sum((counts.history - mean[:, None]) ** 2, usable)
    pearson = np.divide(squares, mean * np.maximum(freedom, 1.0), out=np.zeros_like(squares), where=mean > 0)
    known = freedom * 2.0 * mean / (1.0 + 2.0 * mean)
    prior = rules.dispersion_windows
    return np.maximum((prior * rules.dispersion_prior + known * pearson) / (prior + known), 1.0)
