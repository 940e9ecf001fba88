"""Values that depend on a drug: its own counts mixed with those of all drugs, to draw from and as probabilities.

The weight of a drug's own counts is n ÷ (n + v) for n mentions of v different values (Witten and Bell, 1991): a drug
that still brings new values with every mention leans on the whole, and no known value has probability zero.

Draws are with replacement and a value drawn twice counts once, which is what keeps rates exact: k draws hold a value of
probability q with probability 1 - (1 - q)^k. `draws_for_sizes` makes up for the repeats in the number of draws.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from generator.choice import Choice

__all__ = ["Mixture", "draws_for_sizes", "expected_distinct"]

_Floats = npt.NDArray[np.float64]


class Mixture:
    """Draws a value for a drug from `own` counts (drug → value → count) mixed with `whole` (value → count)."""

    def __init__(self, whole: Mapping[str, float], own: Mapping[str, Mapping[str, float]]) -> None:
        self._whole = Choice(whole.items())
        self._own = {drug: Choice(counts.items()) for drug, counts in own.items()}
        self.share_of_whole = self._whole.shares()
        mentions = {drug: sum(counts.values()) for drug, counts in own.items()}
        self.own_weight = {drug: n / (n + len(own[drug])) for drug, n in mentions.items()}
        """Of the drugs with counts of their own; all others draw from the whole."""
        self._own_shares: dict[str, dict[str, float]] = defaultdict(dict)  # value → drug → probability
        for drug, choice in self._own.items():
            for value, share in choice.shares().items():
                self._own_shares[value][drug] = share

    def draw(self, source: random.Random, drug: str) -> str:
        """One value for this drug."""
        if source.random() < self.own_weight.get(drug, 0.0):
            return self._own[drug].draw(source)
        return self._whole.draw(source)

    def weights(self, drugs: Mapping[str, int], size: int) -> _Floats:
        """The own weights of `drugs` (name → index in an array of `size`); 0 where none is given."""
        weights = np.zeros(size)
        for drug, index in drugs.items():
            weights[index] = self.own_weight.get(drug, 0.0)
        return weights

    def probabilities(self, value: str, drugs: Mapping[str, int], weights: _Floats) -> _Floats:
        """P(one draw gives `value`) by drug, for `drugs` and `weights` as of `weights`."""
        probabilities = (1.0 - weights) * self.share_of_whole.get(value, 0.0)
        for drug, share in self._own_shares.get(value, {}).items():
            index = drugs[drug]
            probabilities[index] += weights[index] * share
        return probabilities

    def distribution(self, drug: str) -> _Floats:
        """P(one draw for this drug gives the value) for each value of the whole, in its order, then its own others."""
        own = self._own[drug].shares() if drug in self._own else {}
        weight = self.own_weight.get(drug, 0.0)
        values = dict.fromkeys([*self.share_of_whole, *own])
        return np.array([(1.0 - weight) * self.share_of_whole.get(v, 0.0) + weight * own.get(v, 0.0) for v in values])

    def own_values(self, drug: str) -> tuple[str, ...]:
        """What is counted for the drug itself, in the order given."""
        own = self._own.get(drug)
        return own.values if own else ()


def expected_distinct(mixture: Mixture, leads: Mapping[str, float], most: int, *, not_lead: bool = False) -> _Floats:
    """Element k is how many different values k draws bring on average, up to `most`, for `leads` (drug → weight).

    With `not_lead`, the lead drug itself does not count as a value.
    """
    draws = np.arange(most + 1)
    known = [lead for lead in leads if lead in mixture.own_weight]
    rest = sum(weight for lead, weight in leads.items() if lead not in mixture.own_weight)
    # All leads without counts of their own draw alike.
    alike = [(leads[lead], mixture.distribution(lead)) for lead in known] + [(rest, mixture.distribution(""))]
    distinct = np.zeros(most + 1)
    for weight, probabilities in alike:
        missed = np.ones_like(probabilities)
        for k in draws[1:]:
            missed *= 1.0 - probabilities
            distinct[k] += weight * np.sum(1.0 - missed)
    if not_lead:
        for lead, weight in leads.items():
            itself = (1.0 - mixture.own_weight.get(lead, 0.0)) * mixture.share_of_whole.get(lead, 0.0)
            distinct -= weight * (1.0 - (1.0 - itself) ** draws)
    total: float = sum(leads.values())
    return distinct / total


def draws_for_sizes(sizes: Iterable[int], distinct: Sequence[float] | _Floats) -> dict[int, dict[int, float]]:
    """Size → number of draws → share, such that the draws bring so many different values on average.

    `distinct` is as of `expected_distinct`. A size lies between the averages of two numbers of draws, and each has its
    share; a size beyond all of them gets the largest number.
    """
    shares: dict[int, dict[int, float]] = {}
    for size in sizes:
        upper = int(np.searchsorted(distinct, size))
        if upper == len(distinct):
            shares[size] = {upper - 1: 1.0}
        elif upper == 0 or np.isclose(distinct[upper], size):
            shares[size] = {upper: 1.0}
        else:
            share = float((size - distinct[upper - 1]) / (distinct[upper] - distinct[upper - 1]))
            shares[size] = {upper - 1: 1.0 - share, upper: share}
    return shares
