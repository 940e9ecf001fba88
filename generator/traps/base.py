"""What a trap is: something that makes ordinary traffic hard to judge, and how it takes part in a stream.

A trap is a frozen record of settings. For one stream it begins, with the `World` at hand, and from then on does one
of five things:

- `Extra` adds reports of its own;
- `Echo` adds later bodies for an ordinary report (a follow-up, a resend);
- `Hold` delays the delivery of an ordinary report;
- `Alteration` changes reports before they are sent, planted ones too;
- `Rhythm` makes all traffic rise and fall.

Every report that a trap adds, delays or changes carries the `Thing` it belongs to, so that the truth tells of it.
"""

from __future__ import annotations

import datetime as dt
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

from generator.reports import Json, ReportFactory, encode
from generator.truth import GeneratedReport, Planted, Thing, Truth

__all__ = ["Alteration", "Arrival", "Echo", "Extra", "Hold", "Rhythm", "Trap", "World", "copied", "told_at"]

Level = Callable[[float], float]


class Arrival(NamedTuple):
    """A body that is made when its time has come."""

    second: float
    make: Callable[[dt.datetime], GeneratedReport]
    """Given the moment of its delivery."""


@dataclass(frozen=True)
class World:
    """What the traps of one stream share."""

    factory: ReportFactory
    """Of the ordinary reports."""
    planted: ReportFactory
    """Of all others, so that ordinary ones stay what they are, whatever is planted."""
    rate: float
    """Ordinary reports per second, at the busiest hours if there is a rhythm."""
    started_at: dt.datetime
    truth: Truth
    day_s: float = 86_400.0
    """Length of a day; shorter where a demo has minutes only."""
    level: Level = field(default=lambda _: 1.0)
    """Share of all traffic that there is at a second of the stream, 0 to 1."""
    alterations: Sequence[Callable[[float, Json], Thing | None]] = ()
    """What changes every report before it is sent."""

    def moment(self, second: float) -> dt.datetime:
        """The time at a second of the stream."""
        return self.started_at + dt.timedelta(seconds=second)

    def poisson(
        self,
        source: random.Random,
        rate: float,
        start: float = 0.0,
        end: float | None = None,
        shape: Level | None = None,
    ) -> Iterator[float]:
        """Seconds in [start, end) of a Poisson process of `rate` per second times the level, times `shape` if given."""
        if rate <= 0.0:
            return
        second = start
        while True:
            second += source.expovariate(rate)
            if end is not None and second >= end:
                return
            share = self.level(second) if shape is None else self.level(second) * shape(second)
            if share >= 1.0 or source.random() < share:
                yield second

    def report(self, report: Json, at: dt.datetime, kind: str, *things: Thing) -> GeneratedReport:
        """A body ready to go, made at that moment."""
        second = (at - self.started_at).total_seconds()
        altered = tuple(thing for alter in self.alterations if (thing := alter(second, report)) is not None)
        return GeneratedReport(encode(report), report["safetyreportid"], at, kind, (*things, *altered))


def copied(report: Json) -> Json:
    """A copy whose patient, drugs and reactions may be changed; what lies deeper is shared."""
    patient = report["patient"]
    return {
        **report,
        "patient": {
            **patient,
            "reaction": [dict(entry) for entry in patient["reaction"]],
            "drug": [dict(entry) for entry in patient["drug"]],
        },
    }


def told_at(report: Json, at: dt.datetime) -> None:
    """Make it a report that was received and passed on at that moment."""
    report["receiptdate"] = at.strftime("%Y%m%d%H%M%S")
    report["transmissiondate"] = at.strftime("%Y%m%d")


@dataclass(frozen=True)
class Trap(ABC):
    """Settings of a trap. Shares are per ordinary report, times are seconds of the stream."""

    name: ClassVar[str]
    about: ClassVar[str]
    """One line for people."""

    def __post_init__(self) -> None:
        """Refuse shares and lengths that make no sense."""
        if not 0.0 <= getattr(self, "share", 0.0) < 1.0:
            raise ValueError(f"the share of {self.name} is at least 0 and below 1")
        if getattr(self, "factor", 2.0) <= 1.0:
            raise ValueError(f"the factor of {self.name} is above 1")
        if getattr(self, "length_s", 1.0) <= 0.0:
            raise ValueError(f"{self.name} needs a length above 0")

    def instant(
        self, at: dt.datetime, detail: str | None = None, *, drug: str | None = None, reaction: str | None = None
    ) -> Thing:
        """A planted thing that is over as soon as its report is handed out."""
        return Thing(Planted(kind=self.name, start=at, end=at, detail=detail, drug=drug, reaction=reaction))


class Extra(Trap):
    """Adds reports."""

    @abstractmethod
    def begin(self, world: World) -> Iterator[Arrival]:
        """Its reports in the order of their times."""


class Echo(Trap):
    """Adds later bodies for some ordinary reports."""

    @abstractmethod
    def begin(self, world: World) -> Callable[[float, Json, GeneratedReport], Iterable[Arrival]]:
        """Given the second of its delivery, an ordinary report and what is sent of it, the bodies that come of it."""


class Hold(Trap):
    """Delays the delivery of some ordinary reports."""

    @abstractmethod
    def begin(self, world: World) -> Callable[[float, Json], tuple[float, Thing] | None]:
        """Given the second and a report, the second of its delivery and the thing it belongs to; None: not held."""


class Alteration(Trap):
    """Changes some reports."""

    @abstractmethod
    def begin(self, world: World) -> Callable[[float, Json], Thing | None]:
        """Given the second and a report, change it in place and give the thing it belongs to; None: unchanged."""


class Rhythm(Trap):
    """Makes all traffic rise and fall."""

    @abstractmethod
    def level(self, started_at: dt.datetime, day_s: float) -> Level:
        """Share of all traffic, above 0 to 1, at a second of the stream."""

    @abstractmethod
    def plan(self, world: World) -> Planted:
        """What the truth tells of it."""
