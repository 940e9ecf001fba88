"""The settings of the spike rules, checked, with a version that every finding can carry.

In simulations (28 windows of baseline, 0.05 to 20 cases expected) the defaults open a false alert in at most 1 of 2
million quiet windows when cases arrive independently, and in up to 3 of 10,000 when their variance is twice their mean.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

__all__ = ["EARS_BASELINE", "EARS_GAP", "EARS_SUMMED", "DetectionRules", "RuleBook", "Season", "SpikeRules"]

RULE_REVISION = 2
"""Raised whenever the arithmetic of `models.spikes` changes, so that equal versions mean equal verdicts."""

DETECTION_REVISION = 3
"""The same for what `DetectionRules` set."""

EARS_BASELINE, EARS_GAP, EARS_SUMMED = 7, 2, 2
"""Windows of the EARS rules: of their baseline, the seven days of the original; left out after it; summed by C3."""

MOST_REGRESSORS = 16
"""The regression is written for few regressors and many series."""


@dataclass(frozen=True)
class SpikeRules:
    """What counts as a spike. Raises ValueError for settings that cannot work."""

    min_cases: int = 5
    """Fewer cases than this in a window are never a spike."""
    baseline_windows: int = 28
    """Preceding windows that a window is compared with."""
    guard_windows: int = 1
    """Windows just before that are left out of it: a spike that began in their last moments must not hide itself."""
    warmup_windows: int = 7
    """Windows the system and the drug must have been seen for before any of its pairs is judged."""
    open_z: float = 5.0
    """Least z for a window that is still open."""
    open_p: float = 3e-6
    """Greatest p for a window that is still open."""
    close_fdr: float = 0.001
    """Share of false spikes accepted among those found when a window closes. Also bounds the chance of any
    false spike in a window where nothing happened, so with windows of seconds it has to be small."""
    prior_windows: float = 2.0
    """Weight of drug rate x reaction share, in windows of the pair's own history."""
    dispersion_prior: float = 1.3
    """Variance over mean assumed where the baseline says nothing."""
    dispersion_windows: float = 7.0
    """Weight of `dispersion_prior`, in windows."""
    expected_floor: float = 0.1
    """Cases a window is held against at the least: tiny expectations are never known that well."""

    def __post_init__(self) -> None:
        for name in ("min_cases", "warmup_windows"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")
        if self.guard_windows < 0:
            raise ValueError("guard_windows must be 0 or more")
        if self.warmup_windows <= self.guard_windows:
            raise ValueError("warmup_windows must be more than guard_windows: there would be no baseline")
        if self.baseline_windows < max(2, self.warmup_windows):
            raise ValueError("baseline_windows must be at least 2 and no fewer than warmup_windows")
        for name in ("open_z", "prior_windows", "dispersion_windows", "expected_floor"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be a positive number")
        for name in ("open_p", "close_fdr"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} must lie between 0 and 1")
        if not (math.isfinite(self.dispersion_prior) and self.dispersion_prior >= 1):
            raise ValueError("dispersion_prior must be at least 1: counts vary no less than Poisson")

    @property
    def version(self) -> str:
        """Rule revision and a short digest of the settings, as `r1-0a1b2c3d`."""
        text = json.dumps(dataclasses.asdict(self), sort_keys=True)
        return f"r{RULE_REVISION}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


@dataclass(frozen=True)
class Season:
    """What comes back every `period` windows. Raises ValueError for a season that windows cannot show."""

    period: float
    """Windows until it comes back: 52 weeks, 7 days, 24 hours."""
    harmonics: int = 1
    """Waves of period, period / 2, ... that make it up."""
    deviation: float = 0.5
    """How far each wave moves the logarithm of the expectation, as a standard deviation before anything is seen."""

    def __post_init__(self) -> None:
        if self.harmonics < 1:
            raise ValueError("a season has at least 1 harmonic")
        if not (math.isfinite(self.period) and self.period >= 2 * self.harmonics):
            raise ValueError("period must be at least two windows for each harmonic")
        if not (math.isfinite(self.deviation) and self.deviation > 0):
            raise ValueError("deviation must be a positive number")


@dataclass(frozen=True)
class DetectionRules:
    """How `judge` reads counts: regression, two windows together, the drug's own total.

    Raises ValueError for settings that cannot work.

    Defaults were chosen by `benchmarks/spike_quality.py`, on other seeds than those it reports (docs/detection.md).
    """

    rule: Literal["default", "zscore", "ears_c1", "ears_c2", "ears_c3"] = "default"
    """`default`: `models.spikes.judgement.judge`. The others take `spikes` only, and are there for comparison."""
    spikes: SpikeRules = SpikeRules()
    """What all rules share: minimum count, warm-up, guard, priors, and the levels of the verdicts."""
    seasons: tuple[Season, ...] = ()
    """What comes back, in windows of the width that is judged. None by default: 28 windows show no year."""
    trend_deviation: float = 0.05
    """How far a trend moves the logarithm of the expectation over one window, times the square root of the baseline's
    windows, as a standard deviation before anything is seen. 0 leaves the trend out."""
    outbreak_residual: float = 2.58
    """Past windows with a residual above this many standard deviations count for less, as in Noufaily et al. (2013)."""
    own_weight: float = 0.2
    """Share of the level given to the window alone; the rest goes to two windows together."""
    own_p: float = 0.15
    """Two windows together find nothing where the window itself has a greater p: the spike was the one before."""
    recent_cases: int = 5
    recent_windows: int = 4
    """Fewer than `recent_cases` cases in `recent_windows` windows, the judged one among them, are no spike (so does
    farringtonFlexible). It binds only where `min_cases` asks for less."""
    launch_rate: float = 0.03
    """In how many of a drug's windows, at most, all its reactions rise together (launch, publicity, one sender's
    upload), before anything is seen of the others. Near 1, the reaction's share of the drug must have risen, too."""
    season_rate: float = 0.01
    """The same for a reaction that rises with every drug (the flu)."""
    share_prior: float = 5.0
    """Weight of the reaction's share among all, in cases of the drug, where its share within the drug is learnt."""
    rise_prior: float = 5.0
    """Weight of no rise, in cases of the reaction with other drugs, where its rise with these is estimated."""
    share_drift: float = 0.0
    """A share or a rise changes by this much of itself without meaning anything."""
    extra_drift: float = 0.3
    """Of reports beyond a drug's usual ones, the reaction's share may be off by this much of itself without meaning
    anything; of a rise beyond the reaction's usual, the drug's part of it."""

    def __post_init__(self) -> None:
        least = EARS_BASELINE + EARS_GAP + EARS_SUMMED
        if self.rule.startswith("ears") and self.spikes.baseline_windows < least:
            raise ValueError(f"baseline_windows must be at least {least} for {self.rule}")
        for name in ("outbreak_residual", "share_prior", "rise_prior"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be a positive number")
        for name in ("trend_deviation", "share_drift", "extra_drift"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} must be 0 or more")
        if not 0 < self.own_weight < 1:
            raise ValueError("own_weight must lie between 0 and 1")
        for name in ("own_p", "launch_rate", "season_rate"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} must be above 0 and at most 1")
        if self.recent_cases < 0 or self.recent_windows < 1:
            raise ValueError("recent_cases must be 0 or more and recent_windows at least 1")
        if self.spikes.guard_windows < 1:
            raise ValueError(
                "guard_windows must be at least 1: the scan takes the window before, which must not teach it"
            )
        regressors = 1 + (self.trend_deviation > 0) + sum(2 * season.harmonics for season in self.seasons)
        if regressors > MOST_REGRESSORS:
            raise ValueError(f"trend and seasons make {regressors} regressors, more than {MOST_REGRESSORS}")

    @property
    def version(self) -> str:
        """Rule revision and a short digest of the settings, as `d1-0a1b2c3d`."""
        text = json.dumps(dataclasses.asdict(self), sort_keys=True)
        return f"d{DETECTION_REVISION}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


@dataclass(frozen=True)
class RuleBook:
    """Which rules windows of a width are judged by."""

    usual: DetectionRules = DetectionRules()
    """Of every width that has none of its own."""
    of_width: Mapping[int, DetectionRules] = field(default_factory=lambda: MappingProxyType({}))
    """By width (ms)."""

    def of(self, width_ms: int) -> DetectionRules:
        """The rules of windows of `width_ms`."""
        return self.of_width.get(width_ms, self.usual)
