"""Traps of quality: a field that goes missing, odd single reports, bodies that are no report at all."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import ClassVar

from expectations.report import normalise_name
from generator.broken import broken_bodies
from generator.reports import Json
from generator.traps.base import Alteration, Arrival, Echo, World, copied
from generator.truth import FOREVER, GeneratedReport, Planted, Thing

__all__ = ["Broken", "Decay", "OddReports"]

_FOR_WOMEN = ("ABORTION SPONTANEOUS", "MENORRHAGIA", "METRORRHAGIA", "OVARIAN CYST", "VAGINAL HAEMORRHAGE")
_LONG_AGO, _FAR_OFF = dt.timedelta(days=400), dt.timedelta(days=30)


@dataclass(frozen=True)
class Decay(Alteration):
    """The patient's sex goes missing: from start on in a share of the reports that rises to all of them."""

    name: ClassVar[str] = "decay"
    about: ClassVar[str] = "the patient's sex goes missing, in more and more reports"

    start_s: float
    length_s: float

    def begin(self, world: World) -> Callable[[float, Json], Thing | None]:
        """A straight rise from none to all, which then stays."""
        source = world.factory.source(self.name)
        thing = world.truth.plan(
            Planted(
                kind=self.name,
                start=world.moment(self.start_s),
                end=FOREVER,
                detail=f"patient.patientsex, gone after {self.length_s:g} s",
            )
        )

        def alter(second: float, report: Json) -> Thing | None:
            if source.random() >= (second - self.start_s) / self.length_s:
                return None
            return thing if report["patient"].pop("patientsex", None) is not None else None

        return alter


@dataclass(frozen=True)
class OddReports(Echo):
    """Single reports that look unlike the rest, six kinds in turn; all of them decode."""

    name: ClassVar[str] = "odd"
    about: ClassVar[str] = "odd single reports: rare pairs, impossible ones, copies, games with dates"

    share: float = 0.002

    def begin(self, world: World) -> Callable[[float, Json, GeneratedReport], Iterable[Arrival]]:
        """One odd report after a share of the ordinary ones."""
        source = world.factory.source(self.name)
        turns = count()

        def make_odd(second: float, report: Json, _: GeneratedReport) -> Iterable[Arrival]:
            if source.random() < self.share:
                kind, change = _ODDITIES[next(turns) % len(_ODDITIES)]
                yield Arrival(second, lambda at: odd(report, kind, change, at))

        def odd(report: Json, kind: str, change: _Change, at: dt.datetime) -> GeneratedReport:
            changed = copied(report) if change is _copied_with_changes else world.planted.report(at)
            change(world, changed, at)
            return world.report(changed, at, self.name, self.instant(at, kind))

        return make_odd


@dataclass(frozen=True)
class Broken(Echo):
    """Bodies that are no report, every kind in turn."""

    name: ClassVar[str] = "broken"
    about: ClassVar[str] = "bodies that are no report: cut off, empty, not JSON, without an id"

    share: float = 0.01
    blank: bool = True
    """With those that are empty or white space, which a file of lines cannot hold."""

    def begin(self, world: World) -> Callable[[float, Json, GeneratedReport], Iterable[Arrival]]:
        """One after a share of the ordinary reports."""
        source = world.factory.source(self.name)
        bodies = self._bodies(world.factory.seed)

        def spoil(second: float, _: Json, __: GeneratedReport) -> Iterable[Arrival]:
            if source.random() < self.share:
                number, kind, body = next(bodies)
                yield Arrival(
                    second,
                    lambda at: GeneratedReport(body, f"broken-{number}", at, self.name, (self.instant(at, kind),)),
                )

        return spoil

    def _bodies(self, seed: int) -> Iterator[tuple[int, str, bytes]]:
        numbers = count()
        for round_seed in count(seed):
            for kind, body in broken_bodies(round_seed):
                if self.blank or body.strip():
                    yield next(numbers), kind, body


_Change = Callable[[World, Json, dt.datetime], None]


def _rare_pair(world: World, report: Json, _: dt.datetime) -> None:
    """Its drugs with a reaction that hardly any report has."""
    rare = world.factory.population.reactions[-1 - int(report["safetyreportid"]) % 500]
    report["patient"]["reaction"] = [{"reactionmeddrapt": rare, "reactionoutcome": "6"}]


def _impossible(world: World, report: Json, _: dt.datetime) -> None:
    """A boy with what only a woman can have."""
    known = [r for r in world.factory.population.reactions if normalise_name(r) in _FOR_WOMEN]
    report["patient"]["reaction"] = [{"reactionmeddrapt": known[0] if known else "Menorrhagia"}]
    report["patient"].update(patientsex="1", patientonsetage="9", patientonsetageunit="801")


def _extreme_counts(world: World, report: Json, at: dt.datetime) -> None:
    """Hundreds of drugs and dozens of reactions."""
    patient, source = report["patient"], world.factory.source(f"extreme {report['safetyreportid']}")
    drugs = source.sample(world.factory.population.drugs, 300)
    patient["drug"] += [{"drugcharacterization": "2", "medicinalproduct": drug} for drug in drugs]
    patient["reaction"] += [{"reactionmeddrapt": r} for r in source.sample(world.factory.population.reactions, 40)]


def _odd_demography(_: World, report: Json, __: dt.datetime) -> None:
    """Older than anybody, and heavier."""
    report["patient"].update(patientonsetage="118", patientonsetageunit="801", patientsex="1", patientweight="341.0")


def _copied_with_changes(world: World, report: Json, at: dt.datetime) -> None:
    """Somebody else's report under numbers of its own, with another country and age."""
    company = report["reportduplicate"]["duplicatesource"]
    report["safetyreportid"] = world.planted.case_id(at)
    report["companynumb"] = f"NZ-{company}-{report['safetyreportid']}"
    report["reportduplicate"] = {"duplicatesource": company, "duplicatenumb": report["companynumb"]}
    report["occurcountry"] = report["primarysourcecountry"] = "NZ"
    report["patient"].update(patientonsetage="44", patientonsetageunit="801")


def _date_games(_: World, report: Json, at: dt.datetime) -> None:
    """Received before it was sent, and a drug that is to be taken next month."""
    report["receivedate"] = (at - _LONG_AGO).strftime("%Y%m%d")
    report["transmissiondate"] = (at - 2 * _LONG_AGO).strftime("%Y%m%d")
    for drug in report["patient"]["drug"]:
        drug.update(drugstartdateformat="102", drugstartdate=(at + _FAR_OFF).strftime("%Y%m%d"))


_ODDITIES: tuple[tuple[str, _Change], ...] = (
    ("rare_pair", _rare_pair),
    ("impossible_combination", _impossible),
    ("extreme_counts", _extreme_counts),
    ("odd_demography", _odd_demography),
    ("copy_with_changes", _copied_with_changes),
    ("date_games", _date_games),
)
