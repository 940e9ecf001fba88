"""The reaction against the drug's own total: a launch, publicity or an upload that lifts everything is no spike.

Two Poisson rates compared given their sum, as by Przyborowski and Wilenski, "Homogeneity of results in testing samples
from Poisson series", Biometrika 31 (1940); here the pair's and that of its drug's other pairs, now and before. It is
the *reporting proportion* within the drug that must have risen.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.spikes.background import Background
from models.spikes.context import masked_sum, since_first_report, windows_back
from models.spikes.counts import CandidateCounts
from models.spikes.settings import DetectionRules
from models.spikes.tail import upper_tail

__all__ = ["launched", "share"]

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

_FAR_MORE = 4
"""Times as many cases of the drug for which the long past is worth more than the baseline."""


def share(counts: CandidateCounts, background: Background, windows: Counts, rules: DetectionRules) -> Floats:
    """(n,) p: given how often the drug's other reactions were reported, is this one reported too often?

    windows (n,): 1 for the window alone, 2 for it and the one before together. Of the drug's D cases before, y are the
    pair's, and the reaction has the share q of all; m = share_prior. Before is the baseline, free of earlier spikes; or
    the long time of `background` where that knows far more of the drug, as of one whose reports come once a night.

        alpha    = y + m q      beta = D - y + m (1 - q)      odds = alpha / beta
        expected = (others + 1) odds                                         others = the drug's cases now - cases
        extra    = max(others - usual, 0)                       usual: what the baseline lets one expect of the others
        spread^2 = phi expected (1 + odds) + expected^2 (1 / alpha + 1 / beta + share_drift^2)
                   + (extra_drift extra odds)^2
        p        = P(X >= cases), X negative binomial with this mean and variance

    For phi = 1 and known odds this p is the binomial tail of `cases` among the drug's exactly: that many successes
    before the (others + 1)-th failure. 1 / alpha + 1 / beta is the variance of the logarithm of the odds (Woolf, 1955),
    phi Pearson's dispersion of the pair's past counts around their share, shrunk. `share_drift` bounds what a large
    count can prove: a share that is off by less is no finding, however many reports there are. What comes besides the
    usual reports may come from elsewhere (one sender, one country, patients of another kind), where the reaction has
    another share: there `extra_drift` does.
    """
    guarded = windows_back(counts) <= rules.spikes.guard_windows
    usable = counts.usable & since_first_report(counts) & ~guarded[None, :]
    pair, drug, by_chance = _before(counts, background, usable)
    alpha = np.maximum(pair + rules.share_prior * by_chance, rules.spikes.expected_floor)
    beta = np.maximum(drug - pair + rules.share_prior * (1.0 - by_chance), 1.0)
    odds = alpha / beta
    both = windows == 2
    cases = counts.cases + both * counts.history[:, -1]
    others = np.maximum(background.drug_now + both * counts.drug_history[:, -1] - cases, 0)
    expected = (others + 1.0) * odds
    extra = np.maximum(others - windows * _others_before(counts, usable)[0], 0.0)
    noise = _dispersion(counts, usable, alpha / (alpha + beta), rules) * expected * (1.0 + odds)
    variance = noise + expected**2 * (1.0 / alpha + 1.0 / beta + rules.share_drift**2)
    variance += (rules.extra_drift * extra * odds) ** 2
    retold = background.retold[:, 1] + both * background.retold[:, 0]
    return upper_tail(np.maximum(cases - retold, 0), expected, variance)


def launched(counts: CandidateCounts, background: Background, windows: Counts, rules: DetectionRules) -> Floats:
    """(n,) how much speaks for a rise of the whole drug, 0 to 1.

    t is the chance of as many cases of the drug's other reactions as there are, or more, in quiet windows, with mean
    and variance of the baseline (the variance at least dispersion_prior times the mean); r = launch_rate. Of the chance
    of a launch, r before and at most r / (r + (1 - r) t) after the others are seen, it is what they add, as a share of
    what they could:

        r (1 - t) / (r + (1 - r) t)

    Where there is no other case (t = 1) nothing speaks for it, however much the pair rose: a drug of which one reaction
    only is reported can have a spike. Where the others rose it nears 1.
    """
    guarded = windows_back(counts) <= rules.spikes.guard_windows
    usable = counts.usable & since_first_report(counts) & ~guarded[None, :]
    mean, square = _others_before(counts, usable)
    usual = np.maximum(windows * mean, rules.spikes.expected_floor)
    variance = np.maximum(windows * square, rules.spikes.dispersion_prior * usual)
    variance *= 1.0 + 1.0 / np.maximum(usable.sum(axis=1), 1)
    both = windows == 2
    cases = counts.cases + both * counts.history[:, -1]
    others = np.maximum(background.drug_now + both * counts.drug_history[:, -1] - cases, 0)
    rate, tail = rules.launch_rate, upper_tail(others, usual, np.maximum(variance, usual * 1.001))
    spoken: Floats = rate * (1.0 - tail) / (rate + (1.0 - rate) * tail)
    return spoken


def _others_before(counts: CandidateCounts, usable: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """(n,) mean and variance of the cases of the drug's other reactions in a window of the baseline."""
    n = usable.sum(axis=1)
    past = np.maximum(counts.drug_history - counts.history, 0)
    mean = masked_sum(past, usable) / np.maximum(n, 1)
    return mean, masked_sum((past - mean[:, None]) ** 2, usable) / np.maximum(n - 1, 1)


def _before(
    counts: CandidateCounts, background: Background, usable: npt.NDArray[np.bool_]
) -> tuple[Floats, Floats, Floats]:
    """(n,) cases of the pair, of its drug, and the share of its reaction among all."""
    lately = [
        masked_sum(history, usable)
        for history in (counts.history, counts.drug_history, counts.reaction_history, counts.total_history)
    ]
    long = (background.pair_before, background.drug_before, background.reaction_before, background.all_before)
    known_long = background.drug_before > _FAR_MORE * lately[1]
    pair, drug, reaction, total = (
        np.where(known_long, before, here) for before, here in zip(long, lately, strict=True)
    )
    by_chance = np.divide(reaction, total, out=np.zeros_like(total), where=total > 0).clip(0.0, 1.0)
    return pair, np.maximum(drug, pair), by_chance


def _dispersion(
    counts: CandidateCounts, usable: npt.NDArray[np.bool_], shares: Floats, rules: DetectionRules
) -> Floats:
    """(n,) Pearson's dispersion of the counts given the drug's, shrunk as in `zscore`, at least 1."""
    n = usable.sum(axis=1).astype(np.float64)
    freedom = np.maximum(n - 1.0, 0.0)
    drug = np.maximum(counts.drug_history, counts.history)
    expected = drug * shares[:, None]
    variance = np.maximum(expected * (1.0 - shares[:, None]), 1e-9)
    squares = masked_sum((counts.history - expected) ** 2 / variance, usable & (drug > 0))
    pearson = squares / np.maximum(freedom, 1.0)
    mean = masked_sum(expected, usable) / np.maximum(n, 1.0)
    known = freedom * 2.0 * mean / (1.0 + 2.0 * mean)
    prior = rules.spikes.dispersion_windows
    dispersion: Floats = (prior * rules.spikes.dispersion_prior + known * pearson) / (prior + known)
    return np.maximum(dispersion, 1.0)
