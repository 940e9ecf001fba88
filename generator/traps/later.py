"""Traps of time: follow-ups, resends, the same case from other senders, late reports, one upload a night, a rhythm."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar

from generator.reports import Json
from generator.traps.base import Arrival, Echo, Hold, Level, Rhythm, World, copied, told_at
from generator.truth import FOREVER, GeneratedReport, Planted, Thing

__all__ = ["DayAndWeek", "Duplicates", "FollowUps", "LateReports", "NearDuplicates", "NightlyBatch"]


@dataclass(frozen=True)
class FollowUps(Echo):
    """Later versions of a case: one in three reports is one, as in a quarter of FAERS.

    A follow-up gives the outcome of the first reaction and the weight, and now and then drops a reaction. It names no
    new pair, so that counts of cases stay what they are. Versions to come are kept in memory, about 3 KB each.
    """

    name: ClassVar[str] = "follow_ups"
    about: ClassVar[str] = "later versions of the same case, one report in three"

    share: float = 0.35
    """Of all reports, below 1."""
    mean_days: float = 1.0
    """From one version to the next."""

    def begin(self, world: World) -> Callable[[float, Json, GeneratedReport], Iterable[Arrival]]:
        """Versions in a row, each with a chance of `share` to be followed by another."""
        source = world.factory.source(self.name)

        def follow(second: float, report: Json, _: GeneratedReport) -> Iterable[Arrival]:
            version = 1
            while source.random() < self.share:
                version += 1
                second += source.expovariate(1.0 / (self.mean_days * world.day_s))
                yield Arrival(second, _next_version(report, version, drops=source.random() < 0.2))

        def _next_version(report: Json, version: int, *, drops: bool) -> Callable[[dt.datetime], GeneratedReport]:
            def make(at: dt.datetime) -> GeneratedReport:
                again = copied(report)
                again["safetyreportversion"] = str(version)
                told_at(again, at)
                reactions = again["patient"]["reaction"]
                if drops and len(reactions) > 1:
                    del reactions[-1]
                if reactions[0].get("reactionoutcome") != "5":  # fatal
                    reactions[0]["reactionoutcome"] = source.choice("1236")
                again["patient"].setdefault("patientweight", f"{max(2.5, source.gauss(76.0, 18.0)):.1f}")
                return world.report(again, at, self.name, self.instant(at, f"version {version}"))

            return make

        return follow


@dataclass(frozen=True)
class Duplicates(Echo):
    """The same bytes again, a while later."""

    name: ClassVar[str] = "duplicates"
    about: ClassVar[str] = "the same report again, byte for byte"

    share: float = 0.01
    mean_s: float = 10.0

    def begin(self, world: World) -> Callable[[float, Json, GeneratedReport], Iterable[Arrival]]:
        """One resend for a share of the reports."""
        source = world.factory.source(self.name)

        def resend(second: float, _: Json, sent: GeneratedReport) -> Iterable[Arrival]:
            if source.random() < self.share:
                again = second + source.expovariate(1.0 / self.mean_s)
                yield Arrival(
                    again, lambda at: GeneratedReport(sent.body, sent.case_id, at, self.name, (self.instant(at),))
                )

        return resend


@dataclass(frozen=True)
class NearDuplicates(Echo):
    """The same case from other senders: another number, small differences, the same `reportduplicate` number.

    They do count again: telling them apart takes more than a number.
    """

    name: ClassVar[str] = "near_duplicates"
    about: ClassVar[str] = "the same case from another sender, with another number and small differences"

    share: float = 0.01
    most: int = 3
    mean_days: float = 0.5

    def begin(self, world: World) -> Callable[[float, Json, GeneratedReport], Iterable[Arrival]]:
        """One to `most` other tellings for a share of the reports."""
        source = world.factory.source(self.name)

        def retell(second: float, report: Json, sent: GeneratedReport) -> Iterable[Arrival]:
            if source.random() < self.share:
                for _ in range(source.randint(1, self.most)):
                    later = source.expovariate(1.0 / (self.mean_days * world.day_s))
                    yield Arrival(second + later, lambda at: told_by_another(report, sent.case_id, at))

        def told_by_another(report: Json, original: str, at: dt.datetime) -> GeneratedReport:
            again = copied(report)
            sender = source.choice(world.factory.companies)
            again["safetyreportid"] = world.planted.case_id(at)
            again["companynumb"] = f"{again.get('occurcountry', 'XX')}-{sender}-{again['safetyreportid']}"
            again["sender"] = {"sendertype": "2", "senderorganization": sender}
            told_at(again, at)
            patient = again["patient"]
            patient.pop(source.choice(["patientsex", "patientweight", "summary"]), None)
            patient["drug"].reverse()
            return world.report(again, at, self.name, self.instant(at, f"of case {original}"))

        return retell


@dataclass(frozen=True)
class LateReports(Hold):
    """Reports that reach the hub days after the moment they tell of."""

    name: ClassVar[str] = "late"
    about: ClassVar[str] = "reports that arrive days after their receipt date"

    share: float = 0.01
    mean_days: float = 2.0

    def begin(self, world: World) -> Callable[[float, Json], tuple[float, Thing] | None]:
        """An exponential delay for a share of the reports."""
        source = world.factory.source(self.name)

        def hold(second: float, _: Json) -> tuple[float, Thing] | None:
            if source.random() >= self.share:
                return None
            delay = source.expovariate(1.0 / (self.mean_days * world.day_s))
            return second + delay, self.instant(world.moment(second + delay), f"{delay:.0f} s late")

        return hold


@dataclass(frozen=True)
class NightlyBatch(Hold):
    """One company keeps its ordinary reports and uploads them once a night, all within a moment."""

    name: ClassVar[str] = "nightly_batch"
    about: ClassVar[str] = "one company uploads the reports of its day in one go at night"

    hour: float = 2.0
    share: float = 0.05
    """Of all reports; the company whose share is nearest to it is taken."""

    def begin(self, world: World) -> Callable[[float, Json], tuple[float, Thing] | None]:
        """Reports of the company wait for the next upload."""
        company = self.company(world)
        nights: dict[float, Thing] = {}
        hour_s = world.day_s * self.hour / 24.0
        offset = world.started_at.timestamp() % world.day_s

        def hold(second: float, report: Json) -> tuple[float, Thing] | None:
            if report["reportduplicate"]["duplicatesource"] != company:
                return None
            days = (second + offset - hour_s) // world.day_s + 1
            upload = days * world.day_s + hour_s - offset
            if upload not in nights:
                at = world.moment(upload)
                nights.clear()
                nights[upload] = Thing(Planted(kind=self.name, start=at, end=at, detail=company))
            return upload, nights[upload]

        return hold

    def company(self, world: World) -> str:
        """The company whose share of the reports is nearest to the one asked for."""
        shares: dict[str, float] = {}
        for drug, rate in world.factory.population.lead_rates():
            company = world.factory.company_of(drug)
            shares[company] = shares.get(company, 0.0) + rate
        return min(sorted(shares), key=lambda company: abs(shares[company] - self.share))


@dataclass(frozen=True)
class DayAndWeek(Rhythm):
    """Less traffic at night and at weekends (UTC)."""

    name: ClassVar[str] = "rhythm"
    about: ClassVar[str] = "less traffic at night and at weekends"

    night: float = 0.4
    """Share from 22 to 6 o'clock."""
    weekend: float = 0.35

    def level(self, started_at: dt.datetime, day_s: float) -> Level:
        """By the hour of the day and the day of the week, counted in days of `day_s` from a Monday on."""
        # 1970 began on a Thursday, three days after a Monday.
        began = started_at.timestamp() / day_s + (3.0 if day_s == 86_400.0 else 0.0)

        def at(second: float) -> float:
            day, hour = divmod(began + second / day_s, 1.0)
            night = self.night if hour < 0.25 or hour >= 22.0 / 24.0 else 1.0
            return night * (self.weekend if day % 7 >= 5 else 1.0)

        return at

    def plan(self, world: World) -> Planted:
        """It goes on as long as the stream."""
        return Planted(
            kind=self.name,
            start=world.started_at,
            end=FOREVER,
            detail=f"x{self.night:g} at night, x{self.weekend:g} at weekends, days of {world.day_s:g} s",
        )
