"""The reaction against the drug's own total: a launch or publicity that lifts everything is no spike.

Two Poisson rates compared given their sum, as by Przyborowski and Wilenski, "Homogeneity of results in testing samples
from Poisson series", Biometrika 31 (1940); here the pair's and that of its drug's other pairs, now and before. It is
the *reporting proportion* within the drug that must have risen.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.spikes.context import masked_sum, since_first_report, warm, windows_back
from models.spikes.counts import CandidateCounts
from models.spikes.rules import Evaluation
from models.spikes.settings import DetectionRules
from models.spikes.tail import anscombe, upper_tail

__all__ = ["share"]

Floats = npt.NDArray[np.float64]


def share(counts: CandidateCounts, drug_cases: npt.NDArray[np.int64], rules: DetectionRules) -> Evaluation:
    """Given how often the drug's other reactions were reported in the window, is this one reported too often?

    drug_cases (n,): sum of the pair counts of the candidate's drug in the window, its own among them. Over the usable
    windows the pair has y cases of the drug's D, and the reaction has the share q of all counts; w = prior_windows.

        alpha    = y + w q D / n       beta = D + w D / n + 1 - alpha       odds = alpha / beta
        expected = (others + 1) odds                                         others = drug_cases - cases
        spread^2 = phi expected (1 + odds) + expected^2 (1 / alpha + 1 / beta + drift^2)
        p        = P(X >= cases), X negative binomial with this mean and variance

    For phi = 1 and known odds this p is the binomial tail of `cases` among `drug_cases` exactly: that many successes
    before the (others + 1)-th failure. 1 / alpha + 1 / beta is the variance of the logarithm of the odds (Woolf, 1955),
    phi Pearson's dispersion of the pair's past counts around their share, shrunk. `share_drift` bounds what a large
    count can prove: a share that is off by less is no finding, however many reports there are.
    """
    guarded = windows_back(counts) <= rules.spikes.guard_windows
    usable = counts.usable & since_first_report(counts) & ~guarded[None, :]
    n = usable.sum(axis=1).astype(np.float64)
    windows, weight = np.maximum(n, 1.0), rules.spikes.prior_windows
    pair, drug = masked_sum(counts.history, usable), masked_sum(counts.drug_history, usable)
    drug = np.maximum(drug, pair)
    total, reaction = masked_sum(counts.total_history, usable), masked_sum(counts.reaction_history, usable)
    by_chance = np.divide(reaction, total, out=np.zeros_like(total), where=total > 0).clip(0.0, 1.0)
    rate = drug / windows
    alpha = np.maximum(pair + weight * rate * by_chance, rules.spikes.expected_floor)
    beta = np.maximum(drug + weight * rate + 1.0 - alpha, 1.0)
    odds = alpha / beta
    others = np.maximum(drug_cases - counts.cases, 0)
    expected = (others + 1.0) * odds
    noise = _dispersion(counts, usable, alpha / (alpha + beta), n, rules) * expected * (1.0 + odds)
    variance = noise + expected**2 * (1.0 / alpha + 1.0 / beta + rules.share_drift**2)
    spread = np.sqrt(variance)
    return Evaluation(
        expected=expected,
        spread=spread,
        z=anscombe(counts.cases, expected, spread),
        p=upper_tail(counts.cases, expected, variance),
        warm=warm(counts, n, rules.spikes.warmup_windows),
    )


def _dispersion(
    counts: CandidateCounts, usable: npt.NDArray[np.bool_], shares: Floats, n: Floats, rules: DetectionRules
) -> Floats:
    """(n,) Pearson's dispersion of the counts given the drug's, shrunk as in `zscore`, at least 1."""
    freedom = np.maximum(n - 1.0, 0.0)
    drug = np.maximum(counts.drug_history, counts.history)
    expected = drug * shares[:, None]
    variance = np.maximum(expected * (1.0 - shares[:, None]), 1e-9)
    squares = masked_sum((counts.history - expected) ** 2 / variance, usable & (drug > 0))
    pearson = squares / np.maximum(freedom, 1.0)
    mean = masked_sum(expected, usable) / np.maximum(n, 1.0)
    known = freedom * 2.0 * mean / (1.0 + 2.0 * mean)
    prior = rules.spikes.dispersion_windows
    return np.maximum((prior * rules.spikes.dispersion_prior + known * pearson) / (prior + known), 1.0)
