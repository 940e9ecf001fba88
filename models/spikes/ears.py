"""The Early Aberration Reporting System's three rules: oracles to measure other rules by, and options.

Source: Hutwagner, Thompson, Seeman and Treadwell, "The bioterrorism preparedness and response Early Aberration
Reporting System (EARS)", Journal of Urban Health 80 (2003), i89-i96, in the reading of R's `surveillance` (Salmon,
Schumacher and Höhle, "Monitoring count time series in R", Journal of Statistical Software 70 (2016)).

Each takes counts (..., T), one series a row and one window a column, oldest first, and gives thresholds of the same
shape: a window alarms when its count is above its threshold. Without a whole baseline the threshold is NaN, and no
count is above that. A baseline that does not vary has no spread, so that one case more than usual alarms: real use
needs a floor, which is why these are not the default.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view
from scipy.stats import norm

from models.spikes.context import warm
from models.spikes.counts import CandidateCounts
from models.spikes.rules import Evaluation
from models.spikes.settings import EARS_BASELINE, EARS_GAP, EARS_SUMMED, DetectionRules

__all__ = ["ears", "ears_c1", "ears_c2", "ears_c3"]

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def ears_c1(counts: Counts, alpha: float = 0.001, baseline: int = EARS_BASELINE) -> Floats:
    """C1: mean and standard deviation of the windows just before."""
    mean, deviation = _moments(counts, baseline, gap=0)
    return mean + norm.isf(alpha) * deviation


def ears_c2(counts: Counts, alpha: float = 0.001, baseline: int = EARS_BASELINE) -> Floats:
    """C2: the same with a gap of two windows, so that an outbreak that begins slowly does not hide itself."""
    mean, deviation = _moments(counts, baseline, gap=EARS_GAP)
    return mean + norm.isf(alpha) * deviation


def ears_c3(counts: Counts, alpha: float = 0.001, baseline: int = EARS_BASELINE) -> Floats:
    """C3: how far the two windows before were above one standard deviation of C2, together.

    Since the window itself enters on both sides, it alarms when that sum is above the normal quantile and it has a
    case: an alarm comes a window late, and says that something has been going on.
    """
    mean, deviation = _moments(counts, baseline, gap=EARS_GAP)
    with np.errstate(divide="ignore", invalid="ignore"):
        excess = np.maximum((counts - mean) / deviation - 1.0, 0.0)
    before = np.full(counts.shape, np.nan)
    before[..., 2:] = excess[..., 1:-1] + excess[..., :-2]
    with np.errstate(invalid="ignore"):
        return np.maximum(counts + deviation * (norm.isf(alpha) - before), 0.0)


def ears(counts: CandidateCounts, rules: DetectionRules) -> Evaluation:
    """Candidates by the one of the three that `rules` names, for the verdicts of the stream.

        z = (cases - mean) / spread       C3: sum over the two windows before of max(z - 1, 0)
        p = P(Z >= z), Z standard normal

    With the floor that real use needs: the spread is at least a Poisson count's, sqrt(max(mean, expected_floor)). No
    window is left out of the baseline.
    """
    gap = 0 if rules.rule == "ears_c1" else EARS_GAP
    looked_at = EARS_SUMMED + 1
    series = np.column_stack([counts.history, counts.cases])[:, -(EARS_BASELINE + gap + looked_at) :]
    mean, deviation = (moments[:, -looked_at:] for moments in _moments(series, EARS_BASELINE, gap))
    spread = np.maximum(deviation, np.sqrt(np.maximum(mean, rules.spikes.expected_floor)))
    each = (series[:, -looked_at:] - mean) / spread
    z = np.maximum(each[:, :-1] - 1.0, 0.0).sum(axis=1) if rules.rule == "ears_c3" else each[:, -1]
    windows = np.full(len(z), float(EARS_BASELINE))
    return Evaluation(
        expected=mean[:, -1],
        spread=spread[:, -1],
        z=z,
        p=norm.sf(z),
        warm=warm(counts, windows, rules.spikes.warmup_windows),
    )


def _moments(counts: Counts, baseline: int, gap: int) -> tuple[Floats, Floats]:
    """Mean and standard deviation (n - 1) of each window's baseline; NaN where it is not whole."""
    mean, deviation = np.full(counts.shape, np.nan), np.full(counts.shape, np.nan)
    lead = baseline + gap
    if counts.shape[-1] > lead:
        windows = sliding_window_view(counts, baseline, axis=-1)[..., : counts.shape[-1] - lead, :]
        mean[..., lead:] = windows.mean(axis=-1)
        deviation[..., lead:] = windows.std(axis=-1, ddof=1)
    return mean, deviation
