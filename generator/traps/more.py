"""Traps that add reports: spikes, a launch, a season, publicity, designated medical events."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import ClassVar

from expectations.report import normalise_name
from generator.population import Population
from generator.reports import Json
from generator.spike import Spike
from generator.traps.base import Arrival, Extra, World
from generator.truth import FOREVER, GeneratedReport, Planted

__all__ = ["Launch", "MedicalEvents", "PlantedSpike", "Publicity", "Season", "medical_events", "planted_rate"]

LAUNCHED = "ZELVORAXIMAB"
"""A product that no real report names."""


def planted_rate(population: Population, rate: float, spike: Spike) -> float:
    """Extra reports per second that `spike` adds to a stream of `rate` reports per second.

    Times the spike's length it is the number of cases to expect; much below 1, nothing will be seen.
    Raises `UnknownNameError` for a name the population does not have.
    """
    return rate * population.expected_rate(spike.drug, spike.reaction) * (spike.factor - 1.0)


@dataclass(frozen=True)
class PlantedSpike(Extra):
    """More reports of one pair than usual, for a while: what is to be found. Each adds one case to that pair only."""

    name: ClassVar[str] = "spike"
    about: ClassVar[str] = "one reaction of one drug is reported more often than usual for a while"

    spike: Spike

    def begin(self, world: World) -> Iterator[Arrival]:
        """Poisson, of the usual rate of the pair times factor - 1."""
        spike, population = self.spike, world.factory.population
        drug, reaction = population.find_drug(spike.drug), population.find_reaction(spike.reaction)
        end = spike.start_s + spike.length_s
        thing = world.truth.plan(
            Planted(
                kind=self.name,
                drug=normalise_name(drug),
                reaction=normalise_name(reaction),
                start=world.moment(spike.start_s),
                end=world.moment(end),
                factor=float(spike.factor),
                expected_per_s=world.rate * population.expected_rate(drug, reaction),
            )
        )

        def make(at: dt.datetime) -> GeneratedReport:
            return world.report(world.planted.report_of(at, drug, reaction), at, self.name, thing)

        source = world.factory.source(f"spike {spike}")
        per_second = planted_rate(population, world.rate, spike)
        return (Arrival(second, make) for second in world.poisson(source, per_second, spike.start_s, end))


@dataclass(frozen=True)
class Launch(Extra):
    """A new drug: from nothing it rises to `share` of all reports within `length_s`, and stays there.

    Every reaction of it is new. None is a spike: all of them grow with the drug.
    """

    name: ClassVar[str] = "launch"
    about: ClassVar[str] = "a new drug comes to the market; reports of it rise from none"

    start_s: float
    length_s: float
    share: float = 0.03

    def begin(self, world: World) -> Iterator[Arrival]:
        """Poisson, with a rate that rises in a straight line."""
        thing = world.truth.plan(
            Planted(
                kind=self.name,
                drug=LAUNCHED,
                start=world.moment(self.start_s),
                end=FOREVER,
                expected_per_s=0.0,
                detail=f"{self.share:g} of all reports after {self.length_s:g} s",
            )
        )

        def make(at: dt.datetime) -> GeneratedReport:
            return world.report(world.planted.report_of(at, LAUNCHED), at, self.name, thing)

        def risen(second: float) -> float:
            return min((second - self.start_s) / self.length_s, 1.0)

        times = world.poisson(world.factory.source(self.name), world.rate * self.share, self.start_s, None, risen)
        return (Arrival(second, make) for second in times)


@dataclass(frozen=True)
class Season(Extra):
    """One reaction is reported more often with every drug, rising and falling within `length_s`, once.

    At its height every pair of it comes `factor` times as often. Which reaction is the seed's choice.
    """

    name: ClassVar[str] = "season"
    about: ClassVar[str] = "one reaction rises and falls with every drug, as the flu does"

    start_s: float
    length_s: float
    factor: float = 4.0

    def begin(self, world: World) -> Iterator[Arrival]:
        """Poisson, with a rate that follows the square of a sine."""
        population, source = world.factory.population, world.factory.source(self.name)
        reaction = source.choice(population.reactions[10:30])
        usual = world.rate * population.reaction_rate(reaction)
        thing = world.truth.plan(
            Planted(
                kind=self.name,
                reaction=normalise_name(reaction),
                start=world.moment(self.start_s),
                end=world.moment(self.start_s + self.length_s),
                factor=self.factor,
                expected_per_s=usual,
            )
        )

        def make(at: dt.datetime) -> GeneratedReport:
            return world.report(world.planted.report_with(at, reaction), at, self.name, thing)

        def height(second: float) -> float:
            return math.sin(math.pi * (second - self.start_s) / self.length_s) ** 2

        end = self.start_s + self.length_s
        times = world.poisson(source, usual * (self.factor - 1.0), self.start_s, end, height)
        return (Arrival(second, make) for second in times)


@dataclass(frozen=True)
class Publicity(Extra):
    """All reactions of one drug are reported `factor` times as often for a while, in their usual proportions."""

    name: ClassVar[str] = "publicity"
    about: ClassVar[str] = "a drug is in the news; all its reactions are reported more often"

    start_s: float
    length_s: float
    factor: float = 4.0

    def begin(self, world: World) -> Iterator[Arrival]:
        """Poisson, of the usual rate of the drug times factor - 1."""
        population, source = world.factory.population, world.factory.source(self.name)
        by_rate = sorted(population.lead_rates(), key=lambda lead: -lead[1])
        drug, _ = source.choice(by_rate[3:20])
        usual = world.rate * population.drug_rate(drug)
        end = self.start_s + self.length_s
        thing = world.truth.plan(
            Planted(
                kind=self.name,
                drug=normalise_name(drug),
                start=world.moment(self.start_s),
                end=world.moment(end),
                factor=self.factor,
                expected_per_s=usual,
            )
        )

        def make(at: dt.datetime) -> GeneratedReport:
            return world.report(world.planted.report_of(at, drug), at, self.name, thing)

        times = world.poisson(source, usual * (self.factor - 1.0), self.start_s, end)
        return (Arrival(second, make) for second in times)


@dataclass(frozen=True)
class MedicalEvents(Extra):
    """Single serious cases of designated medical events, each with a drug drawn as usual."""

    name: ClassVar[str] = "medical_events"
    about: ClassVar[str] = "single serious cases of designated medical events"

    share: float = 0.002

    def begin(self, world: World) -> Iterator[Arrival]:
        """Poisson, each with a drug and a term of its own."""
        population, source = world.factory.population, world.factory.source(self.name)
        terms = medical_events()

        def make(at: dt.datetime) -> GeneratedReport:
            drug, term = population.draw_suspects(source)[0], source.choice(terms)
            thing = self.instant(at, drug=normalise_name(drug), reaction=normalise_name(term))
            return world.report(_serious(world.planted.report_of(at, drug, term)), at, self.name, thing)

        return (Arrival(second, make) for second in world.poisson(source, world.rate * self.share))


def medical_events() -> tuple[str, ...]:
    """Terms of EMA's list of designated medical events (see data/SOURCES.md)."""
    text = (files("generator") / "data" / "dme_terms.txt").read_text(encoding="utf-8")
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def _serious(report: Json) -> Json:
    return {**report, "serious": "1", "seriousnesshospitalization": "1"}
