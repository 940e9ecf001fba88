"""How unusual a count is: its chance under a negative binomial, and its residual."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import betainc

__all__ = ["anscombe", "upper_tail"]

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


def anscombe(cases: Counts, mean: Floats, spread: Floats) -> Floats:
    """The residual of Anscombe (1953): near the mean it is (cases - mean) / spread."""
    z: Floats = 1.5 * (mean / spread) * (np.cbrt(cases / mean) ** 2 - 1.0)
    return z


def upper_tail(cases: npt.NDArray[np.int64], mean: Floats, variance: Floats) -> Floats:
    """P(X >= cases) of a negative binomial, by its incomplete beta function; variance must exceed mean."""
    size = mean**2 / (variance - mean)
    tail = np.asarray(betainc(np.maximum(cases, 1), size, mean / (mean + size)), dtype=np.float64)
    return np.where(cases > 0, tail, 1.0)
