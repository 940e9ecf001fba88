"""What the spike rules look at: candidate windows with the windows before them.

Promises that shapes agree and counts are counts. Does not promise that the numbers are right: whoever reads them from
the store fills empty windows with zero and marks what must not be learnt from.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

__all__ = ["CandidateCounts"]


@dataclass(frozen=True)
class CandidateCounts:
    """n candidate (drug, reaction) windows of one width, each with the B windows before it, oldest first.

    Unit of every count: cases in one window. Raises ValueError when shapes differ or a count is negative.
    """

    cases: npt.NDArray[np.int64]
    """(n,) cases of the pair in the window itself."""
    history: npt.NDArray[np.int64]
    """(n, B) cases of the pair in the windows before, zero where there was none."""
    usable: npt.NDArray[np.bool_]
    """(n, B) False up to the system's first window, where nothing was received at all, and where the pair alarmed."""
    drug_history: npt.NDArray[np.int64]
    """(n, B) sum of the pair counts of the candidate's drug."""
    reaction_history: npt.NDArray[np.int64]
    """(n, B) sum of the pair counts of the candidate's reaction."""
    total_history: npt.NDArray[np.int64]
    """(n, B) sum of all pair counts; zero before the system's first window."""
    drug_age_windows: npt.NDArray[np.int64]
    """(n,) windows between the drug's first report and this window."""

    def only(self, chosen: npt.NDArray[np.intp]) -> CandidateCounts:
        """Some of them."""
        return CandidateCounts(**{field.name: getattr(self, field.name)[chosen] for field in fields(self)})

    def __post_init__(self) -> None:
        if self.history.ndim != 2:
            raise ValueError(f"history must be (n, B), not {self.history.shape}")
        for name in ("usable", "drug_history", "reaction_history", "total_history"):
            shape = getattr(self, name).shape
            if shape != self.history.shape:
                raise ValueError(f"{name} must be {self.history.shape} like history, not {shape}")
        for name in ("cases", "drug_age_windows"):
            shape = getattr(self, name).shape
            if shape != self.history.shape[:1]:
                raise ValueError(f"{name} must be {self.history.shape[:1]}, one per candidate, not {shape}")
        for name in ("cases", "history", "drug_history", "reaction_history", "total_history"):
            if (getattr(self, name) < 0).any():
                raise ValueError(f"{name} holds a negative count")
