"""Chooses what a short demo plants: pairs common enough that a spike of an honest factor can be seen."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from generator.population import Population
from generator.spike import Spike

__all__ = ["MOST_FACTOR", "SMALL_FACTOR", "demo_spikes"]

EXPECTED_PER_WINDOW = 3.0
"""Usual cases in a window that the rare pair should have: worth an alert, and common enough to have one."""
WANTED_PER_WINDOW = 33.0
"""Extra cases per window that its factor aims at, within the factors below."""
LEAST_FACTOR, MOST_FACTOR = 3.0, 12.0
SMALL_FACTOR, COMMON_PER_WINDOW = 4.0, 15.0
"""Of the common pair: a rise that takes many cases to be seen, and the usual cases for it."""
DRUG_SHARES = (0.012, 0.06)
"""Share of reports a demo drug is in: enough that the spike is no rise of the drug as a whole."""

_ABOUT_THE_PRODUCT = re.compile(
    r"drug|product|device|dose|overdose|underdose|administ|prescribed|off label|exposure|no adverse|unevaluable|injury",
    re.IGNORECASE,
)
"""Terms of use and handling; a demo shows what a patient suffered."""


def demo_spikes(
    population: Population,
    *,
    rate: float = 80.0,
    window_s: float = 30.0,
    starts_s: tuple[float, float] = (52.0, 57.0),
    length_s: float = 60.0,
    common_factor: float = SMALL_FACTOR,
) -> tuple[Spike, Spike]:
    """Two spikes of different drugs and reactions, for a stream of `rate` reports/s watched in `window_s` windows.

    Each lasts two windows, so that one window lies wholly within it however they fall. The first is a small rise of a
    common pair (`common_factor` times as often), the second a great one of a rare pair: of all pairs those whose usual
    count per window is nearest to `COMMON_PER_WINDOW` and `EXPECTED_PER_WINDOW`. At rates far from the default even the
    nearest may be rare or plentiful: `generator.traps.more.planted_rate` tells what to expect.
    """
    pairs = list(_pairs(population, rate * window_s))
    common = min(pairs, key=lambda pair: (abs(math.log(pair[2] / COMMON_PER_WINDOW)), pair))
    others = [pair for pair in pairs if pair[0] != common[0] and pair[1] != common[1]]
    rare = min(others, key=lambda pair: (abs(math.log(pair[2] / EXPECTED_PER_WINDOW)), pair))
    return (
        Spike(*common[:2], starts_s[0], length_s, common_factor),
        Spike(*rare[:2], starts_s[1], length_s, _factor(rare[2])),
    )


def _pairs(population: Population, reports: float) -> Iterator[tuple[str, str, float]]:
    """(drug, reaction, usual cases in so many reports)."""
    least, most = DRUG_SHARES
    for drug in population.drugs:
        if not least <= population.drug_rate(drug) <= most:
            continue
        suffered = [reaction for reaction in population.profile(drug) if not _ABOUT_THE_PRODUCT.search(reaction)]
        for reaction, rate in zip(suffered, population.expected_rates(drug, suffered), strict=True):
            yield drug, reaction, reports * rate


def _factor(expected: float) -> float:
    return float(min(max(round(1.0 + WANTED_PER_WINDOW / expected), LEAST_FACTOR), MOST_FACTOR))
