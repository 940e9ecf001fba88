"""A weighted choice that is fast to draw from: one random number and one bisection."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate
from typing import Generic, TypeVar

__all__ = ["Choice"]

T = TypeVar("T")


class Choice(Generic[T]):
    """Values with weights ≥ 0, at least one above 0. Drawing uses exactly one number of the given source."""

    __slots__ = ("_cumulative", "_drawn", "_total", "values")

    def __init__(self, weighted: Iterable[tuple[T, float]]) -> None:
        pairs = [(value, weight) for value, weight in weighted if weight > 0]
        if not pairs:
            raise ValueError("a choice needs at least one value with a weight above 0")
        self.values: tuple[T, ...] = tuple(value for value, _ in pairs)
        self._cumulative = list(accumulate(weight for _, weight in pairs))
        self._total = self._cumulative[-1]
        self._drawn = (*self.values, self.values[-1])  # rounding can put a draw on the total itself, one past the end

    def draw(self, source: random.Random) -> T:
        """One value, with probability weight ÷ total weight."""
        return self._drawn[bisect_right(self._cumulative, source.random() * self._total)]

    def shares(self) -> dict[T, float]:
        """Probability of each value; a value that was given twice has both its weights."""
        shares: dict[T, float] = {}
        before = 0.0
        for value, upto in zip(self.values, self._cumulative, strict=True):
            shares[value] = shares.get(value, 0.0) + (upto - before) / self._total
            before = upto
        return shares
