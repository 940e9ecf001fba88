"""What candidate windows say besides their own counts: which windows teach, what chance alone would give, who is warm.

Shared by all rules, so that they differ in their arithmetic and in nothing else.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.spikes.counts import CandidateCounts

__all__ = ["independence_rate", "masked_sum", "shared_variation", "since_first_report", "warm", "windows_back"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


def windows_back(counts: CandidateCounts) -> npt.NDArray[np.int64]:
    """(B,) how many windows before the candidate's own each column lies."""
    return np.arange(counts.history.shape[1], 0, -1, dtype=np.int64)


def since_first_report(counts: CandidateCounts) -> Bools:
    """(n, B) the windows since the drug's first report: those before say nothing about it."""
    return windows_back(counts)[None, :] <= counts.drug_age_windows[:, None]


def warm(counts: CandidateCounts, n: Floats, warmup_windows: int) -> Bools:
    """(n,) the system and the drug have been seen for `warmup_windows` windows, and there is a baseline.

    The system's age is that of its oldest window in sight, alarmed or not: a long spike must not end warm-up.

    A pair alarmed in its whole baseline is not judged: there is nothing left to hold it against.
    """
    seen = counts.usable | (counts.total_history > 0)
    system_age = np.where(seen, windows_back(counts)[None, :], 0).max(axis=1, initial=0)
    old_enough = np.minimum(system_age, counts.drug_age_windows) >= warmup_windows
    judged: Bools = old_enough & (n > 0)
    return judged


def independence_rate(counts: CandidateCounts, usable: Bools, windows: Floats) -> Floats:
    """(n,) cases a window would hold if reactions fell on drugs by chance."""
    drug_rate = masked_sum(counts.drug_history, usable) / windows
    reactions = masked_sum(counts.reaction_history, usable)
    total = masked_sum(counts.total_history, usable)
    share = np.divide(reactions, total, out=np.zeros_like(total), where=total > 0)
    rate: Floats = drug_rate * share
    return rate


def shared_variation(counts: CandidateCounts, usable: Bools, windows: Floats) -> Floats:
    """(n,) what makes all pairs rise and fall together (a sender's pauses, weekends), as a squared share."""
    mean = masked_sum(counts.total_history, usable) / windows
    squares = masked_sum((counts.total_history - mean[:, None]) ** 2, usable)
    excess = squares / np.maximum(windows - 1.0, 1.0) - mean
    return np.divide(np.maximum(excess, 0.0), mean**2, out=np.zeros_like(mean), where=mean > 0)


def masked_sum(values: npt.NDArray[np.int64] | Floats, mask: Bools) -> Floats:
    """(n,) sums over the windows that `mask` keeps."""
    sums: Floats = np.where(mask, values, 0).sum(axis=1, dtype=np.float64)
    return sums
