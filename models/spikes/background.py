"""What is known besides of candidates that look like spikes: of their drug, of their reaction, and of the cases."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Background"]

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Background:
    """Of n candidates. Unit of every count: cases, summed over the pairs meant.

    `..._now` is of the candidate's window, the candidate's own cases among them; `..._before` of a long time that ended
    before it, as long as the baseline of the widest windows kept. Raises ValueError when shapes differ or a count is
    negative.
    """

    drug_now: Counts
    """(n,) of the drug."""
    reaction_now: Counts
    """(n,) of the reaction."""
    pair_before: Counts
    """(n,) of the pair."""
    drug_before: Counts
    """(n,) of the drug."""
    reaction_before: Counts
    """(n,) of the reaction."""
    all_before: Counts
    """(n,) of all pairs."""
    retold: Counts
    """(n, 2) cases of the window before and of the window that carry the duplicate number of an earlier one."""

    def __post_init__(self) -> None:
        n = len(self.drug_now)
        for field in dataclasses.fields(self):
            values = getattr(self, field.name)
            shape = (n, 2) if field.name == "retold" else (n,)
            if values.shape != shape:
                raise ValueError(f"{field.name} must be {shape}, not {values.shape}")
            if (values < 0).any():
                raise ValueError(f"{field.name} holds a negative count")
