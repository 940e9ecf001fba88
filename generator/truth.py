"""What was really planted: the answer that detection is judged by.

`Truth` is told every report the stream hands out, so its counts and case numbers are what was handed out, not what was
meant. Written as JSON lines: one `planted` line per thing, then one `counts` line. `data/truth.schema.json` is
their schema; `python -m generator.truth` prints it.
"""

from __future__ import annotations

import datetime as dt
import heapq
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import msgspec

__all__ = ["FOREVER", "ORDINARY", "GeneratedReport", "Planted", "Thing", "Truth", "TruthCounts", "truth_schema"]

ORDINARY = "ordinary"
"""Kind of a report that belongs to nothing planted."""
FOREVER = dt.datetime.max.replace(tzinfo=dt.UTC)
"""End of a thing that goes on as long as the stream."""


class Planted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="line", tag="planted"):
    """One planted thing as it happened. Names as the decoder normalises them, times as the reports tell them."""

    kind: str
    """The trap, or `spike`."""
    start: dt.datetime
    end: dt.datetime
    drug: str | None = None
    """None: of every drug, or of none in particular."""
    reaction: str | None = None
    """None: of every reaction, or of none in particular."""
    factor: float | None = None
    """How many times as often as usual, at the height of it."""
    expected_per_s: float | None = None
    """Usual cases per second of what is meant, without it."""
    detail: str | None = None
    """What else there is to say: which kind of oddity, which field, which company."""
    reports: int = 0
    """Reports handed out so far that belong to it."""
    ids: tuple[str, ...] = ()
    """Their case numbers; none where the thing has no end."""

    @property
    def pair(self) -> tuple[str | None, str | None]:
        """(drug, reaction), as in `Report.pairs()`."""
        return (self.drug, self.reaction)


class TruthCounts(msgspec.Struct, frozen=True, tag_field="line", tag="counts"):
    """How many bodies of each kind were handed out."""

    by_kind: dict[str, int]

    @property
    def total(self) -> int:
        """All bodies: what the pipeline should have received."""
        return sum(self.by_kind.values())

    def of(self, kind: str) -> int:
        """Bodies of one kind."""
        return self.by_kind.get(kind, 0)


@dataclass(eq=False)
class Thing:
    """One planted thing in the making: its plan, and the reports handed out for it so far."""

    plan: Planted
    reports: int = 0
    ids: list[str] = field(default_factory=list)

    def so_far(self) -> Planted:
        """The plan with the reports so far."""
        return msgspec.structs.replace(self.plan, reports=self.reports, ids=tuple(self.ids))


@dataclass(frozen=True)
class GeneratedReport:
    """One body on its way to the hub."""

    body: bytes
    case_id: str
    """The report's case number; of a broken body, a number to partition by that occurs in no report."""
    received_at: dt.datetime
    """When it reaches the hub, UTC; a body that is late, held back or resent tells of an earlier moment."""
    kind: str = ORDINARY
    things: tuple[Thing, ...] = field(default=(), compare=False, repr=False)
    """The planted things it belongs to."""


class Truth:
    """Collects what one stream planted.

    With `sink`, every thing goes there as a line once it is over, and is forgotten here, so that a stream may run for
    days; without, all are kept. Things that are planned ahead are told even when no report of theirs was handed out.
    """

    def __init__(self, sink: Callable[[str], object] | None = None) -> None:
        self._sink = sink
        self._over: list[Planted] = []
        self._going_on: list[tuple[dt.datetime, int, Thing]] = []
        self._known: set[int] = set()
        self._numbers = count()
        self._lock = threading.Lock()  # who sends and who ends may be two threads
        self._kinds: Counter[str] = Counter()

    def plan(self, plan: Planted) -> Thing:
        """Take note of a thing about to be planted; give the returned one to its reports."""
        thing = Thing(plan)
        self._note(thing)
        return thing

    def record(self, report: GeneratedReport) -> None:
        """Count one report that was handed out, in the order of `received_at`."""
        with self._lock:
            self._record(report)

    def _record(self, report: GeneratedReport) -> None:
        while self._going_on and self._going_on[0][0] < report.received_at:
            self._close(heapq.heappop(self._going_on)[2])
        self._kinds[report.kind] += 1
        for thing in report.things:
            if id(thing) not in self._known:
                self._note(thing)
            thing.reports += 1
            if thing.plan.end != FOREVER:
                thing.ids.append(report.case_id)

    def finish(self) -> None:
        """Tell of everything that is still going on, and the counts: the stream has ended."""
        with self._lock:
            while self._going_on:
                self._close(heapq.heappop(self._going_on)[2])
            if self._sink is not None:
                self._sink(_line(self.counts))

    @property
    def planted(self) -> tuple[Planted, ...]:
        """What was planted and not given to a sink, by its end, with the reports handed out so far."""
        return (*self._over, *(thing.so_far() for _, _, thing in sorted(self._going_on, key=lambda t: t[:2])))

    @property
    def spikes(self) -> tuple[Planted, ...]:
        """The spikes among `planted`, by their start."""
        return tuple(sorted((p for p in self.planted if p.kind == "spike"), key=lambda p: (p.start, p.end)))

    @property
    def counts(self) -> TruthCounts:
        """Bodies handed out so far."""
        return TruthCounts(dict(sorted(self._kinds.items())))

    def to_json_lines(self) -> str:
        """One line per planted thing that is kept here, then one with the counts."""
        return "".join(map(_line, self.planted)) + _line(self.counts)

    @classmethod
    def from_json_lines(cls, text: str) -> Truth:
        """Read what `to_json_lines` or a sink wrote; raises `msgspec.ValidationError` for anything else."""
        truth = cls()
        for line in filter(str.strip, text.splitlines()):
            read = msgspec.json.decode(line, type=Planted | TruthCounts)
            if isinstance(read, Planted):
                truth._over.append(read)
            else:
                truth._kinds.update(read.by_kind)
        return truth

    def _note(self, thing: Thing) -> None:
        self._known.add(id(thing))
        heapq.heappush(self._going_on, (thing.plan.end, next(self._numbers), thing))

    def _close(self, thing: Thing) -> None:
        self._known.discard(id(thing))
        if self._sink is not None:
            self._sink(_line(thing.so_far()))
        else:
            self._over.append(thing.so_far())


def truth_schema() -> Mapping[str, Any]:
    """JSON Schema of one line."""
    return msgspec.json.schema(Planted | TruthCounts)


def _line(line: Planted | TruthCounts) -> str:
    return msgspec.json.encode(line).decode() + "\n"


if __name__ == "__main__":
    import sys

    sys.stdout.write(msgspec.json.format(msgspec.json.encode(truth_schema()), indent=2).decode() + "\n")
