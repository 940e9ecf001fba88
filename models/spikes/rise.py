"""The pair against its reaction's reports with other drugs: what rises with every drug (the flu) is no spike of one.

Unlike a drug's total, which one upload can multiply by any factor, a reaction rises a few times at most. So the others'
rise is estimated with a prior that says there is none, and where a reaction is hardly reported with other drugs, it
says nothing.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.spikes.background import Background
from models.spikes.context import masked_sum, since_first_report, windows_back
from models.spikes.counts import CandidateCounts
from models.spikes.rules import Evaluation
from models.spikes.settings import DetectionRules
from models.spikes.tail import upper_tail

__all__ = ["rise"]

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


def rise(
    counts: CandidateCounts, background: Background, judged: Evaluation, windows: Counts, rules: DetectionRules
) -> Floats:
    """(n,) p: had the pair risen as its reaction did with the other drugs, would its count still be unusual?

    judged: what the pair's own past lets one expect of `windows` (n,) windows, with its spread. E and O are the cases
    of the reaction with other drugs, expected (the mean of the baseline) and now; k = rise_prior.

        rise     = max((O + k) / (E + k), 1)              the mean of a Gamma posterior with the prior's mean 1
        expected = m rise                                                 m = max(judged expected, expected_floor)
        spread^2 = judged spread^2 rise + expected^2 (1 / (O + k) + share_drift^2) + (extra_drift m (rise - 1))^2
        p        = P(X >= cases), X negative binomial with this mean and variance

    What rises with a season rises more with one drug than with another: `extra_drift` is by how much of the rise.
    """
    guarded = windows_back(counts) <= rules.spikes.guard_windows
    usable = counts.usable & since_first_report(counts) & ~guarded[None, :]
    baseline = np.maximum(usable.sum(axis=1), 1)
    elsewhere = masked_sum(counts.reaction_history, usable) - masked_sum(counts.history, usable)
    usual = windows * np.maximum(elsewhere, 0.0) / baseline
    both = windows == 2
    cases = counts.cases + both * counts.history[:, -1]
    others = np.maximum(background.reaction_now + both * counts.reaction_history[:, -1] - cases, 0)
    risen = np.maximum((others + rules.rise_prior) / (usual + rules.rise_prior), 1.0)
    usually = np.maximum(judged.expected, rules.spikes.expected_floor)
    expected = usually * risen
    variance = judged.spread**2 * risen + expected**2 * (1.0 / (others + rules.rise_prior) + rules.share_drift**2)
    variance += (rules.extra_drift * usually * (risen - 1.0)) ** 2
    retold = background.retold[:, 1] + both * background.retold[:, 0]
    return upper_tail(np.maximum(cases - retold, 0), expected, np.maximum(variance, expected * 1.001))
