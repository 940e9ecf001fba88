"""The settings of the spike rules, checked, with a version that every finding can carry.

In simulations (28 windows of baseline, 0.05 to 20 cases expected) the defaults open a false alert in at most 1 of 2
million quiet windows when cases arrive independently, and in up to 3 of 10,000 when their variance is twice their mean.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from dataclasses import dataclass

__all__ = ["RULE_REVISION", "SpikeRules"]

RULE_REVISION = 2
"""Raised whenever the arithmetic of `models.spikes` changes, so that equal versions mean equal verdicts."""


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
