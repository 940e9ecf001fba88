"""The quarantine: what is in it, and what people ask to become of it. Marking and discarding are done here.

A row is `kept` until somebody marks it for `replay` or discards it, or it is pruned. What a replay makes of marked
rows is in `sql.replay`. Nothing here gives out what a report says but `body_of`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from itertools import groupby
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Engine, and_, false, func, or_, select, update
from sqlalchemy.engine import Connection

from sql.clock import utc_now
from sql.connection import READ
from sql.dialect import byte_length, confirm_open
from sql.retry import persistently
from sql.schema import quarantined_report

__all__ = [
    "Place",
    "Position",
    "QuarantinedRow",
    "Selection",
    "State",
    "at_places",
    "body_of",
    "count_quarantined",
    "discard",
    "find",
    "list_quarantined",
    "mark",
    "row_at",
    "sources",
]

T = TypeVar("T")

_MOST_PLACES = 1_000
"""Rows named in one statement; SQL Server takes 2,100 parameters at most."""


class State(StrEnum):
    """What has become of a quarantined report."""

    KEPT = "kept"
    REPLAY = "replay"
    """A replay was asked for and has not come yet."""
    REPLAYED = "replayed"
    """Stored after all, or found to be a duplicate: it counts as quarantined no more."""
    DISCARDED = "discarded"
    PRUNED = "pruned"


@dataclass(frozen=True, order=True)
class Place:
    """Where a quarantined report came in: what tells it from all others."""

    hub: str
    generation: int
    partition_id: str
    sequence: int


@dataclass(frozen=True)
class Position:
    """Partition and sequence number; with the generation only where a hub that was made anew has both."""

    partition_id: str
    sequence: int
    generation: int | None = None


@dataclass(frozen=True)
class Selection:
    """Which quarantined reports are meant: those for which everything that is given holds."""

    states: tuple[State, ...] = ()
    hubs: tuple[str, ...] = ()
    positions: tuple[Position, ...] = ()
    reasons: tuple[str, ...] = ()
    """Any of these codes is among the reasons."""
    since: dt.datetime | None = None
    """First seen (UTC) at this moment or later."""
    before: dt.datetime | None = None
    """First seen (UTC) before this moment."""


EVERYTHING = Selection()


@dataclass(frozen=True)
class QuarantinedRow:
    """One quarantined report as it may be shown. Times are UTC."""

    stored_at: str
    hub: str
    generation: int
    partition_id: str
    sequence: int
    size: int
    reasons: str
    path: str | None
    suite_version: str
    state: str
    changed_at: str | None
    changed_by: str | None

    @property
    def place(self) -> Place:
        """Where it came in."""
        return Place(self.hub, self.generation, self.partition_id, self.sequence)


def list_quarantined(engine: Engine, limit: int, selection: Selection = EVERYTHING) -> list[QuarantinedRow]:
    """The newest `limit` of the selected reports."""
    return _reading(engine, lambda connection: _rows(connection, limit, *_conditions(connection, selection)))


def row_at(engine: Engine, place: Place) -> QuarantinedRow:
    """The report at a place, which has to be there."""
    (row,) = _reading(engine, lambda connection: _rows(connection, 1, *at_places([place])))
    return row


def _rows(connection: Connection, limit: int, *where: ColumnElement[bool]) -> list[QuarantinedRow]:
    q = quarantined_report.c
    size = byte_length(q.body).label("size")
    query = (
        select(q.stored_at, q.hub, q.generation, q.partition_id, q.sequence, size, q.reasons, q.path)
        .add_columns(q.suite_version, q.state, q.changed_at, q.changed_by)
        .where(*where)
        .order_by(q.stored_at.desc(), q.hub, q.generation.desc(), q.partition_id, q.sequence.desc())
        .limit(limit)
    )
    return [
        QuarantinedRow(**{**row, "stored_at": _told(row["stored_at"]), "changed_at": _told(row["changed_at"])})
        for row in connection.execute(query).mappings()
    ]


def _told(moment: dt.datetime | None) -> str | None:
    return f"{moment:%Y-%m-%d %H:%M:%S}" if moment is not None else None


def count_quarantined(engine: Engine, selection: Selection = EVERYTHING) -> int:
    """How many reports are selected."""

    def ask(connection: Connection) -> int:
        rows = select(func.count()).select_from(quarantined_report)
        return connection.scalar(rows.where(*_conditions(connection, selection))) or 0

    return _reading(engine, ask)


def sources(engine: Engine) -> dict[str, tuple[int, ...]]:
    """Hubs (and files) that reports in quarantine came from, each with its generations, the newest last."""
    q = quarantined_report.c
    query = select(q.hub, q.generation).distinct().order_by(q.hub, q.generation)

    def ask(connection: Connection) -> dict[str, tuple[int, ...]]:
        found: dict[str, tuple[int, ...]] = {}
        for row in connection.execute(query):
            found[row.hub] = (*found.get(row.hub, ()), row.generation)
        return found

    return _reading(engine, ask)


def find(engine: Engine, selection: Selection) -> dict[Place, State]:
    """Places and states of all selected reports."""
    q = quarantined_report.c

    def ask(connection: Connection) -> dict[Place, State]:
        query = select(q.hub, q.generation, q.partition_id, q.sequence, q.state)
        rows = connection.execute(query.where(*_conditions(connection, selection)))
        return {Place(*row[:4]): State(row[4]) for row in rows}

    return _reading(engine, ask)


def body_of(engine: Engine, place: Place) -> bytes | None:
    """The original bytes; None where there is no such row, or its state says that they are gone."""
    q = quarantined_report.c
    (condition,) = at_places([place])
    query = select(q.body).where(condition, q.state.in_([State.KEPT.value, State.REPLAY.value]))
    body: bytes | None = _reading(engine, lambda connection: connection.scalar(query))
    return bytes(body) if body is not None else None


def mark(engine: Engine, places: Collection[Place], who: str) -> int:
    """Mark reports for replay, those that are kept; how many that were. Marking twice is marking once."""
    return _change(engine, places, {"state": State.REPLAY.value, "changed_by": who})


def discard(engine: Engine, places: Collection[Place], who: str) -> int:
    """Empty the bodies of reports, those that are kept, for good; how many that were.

    They stay counted as quarantined. What is marked for replay is left alone.
    """
    return _change(engine, places, {"state": State.DISCARDED.value, "body": b"", "changed_by": who})


def _change(engine: Engine, places: Collection[Place], values: dict[str, Any]) -> int:
    """Only ever from `kept`, in transactions of a thousand rows, so that a running stream never waits long."""
    return sum(persistently(partial(_change_some, engine, some, values)) for some in at_places(places))


def _change_some(engine: Engine, places: ColumnElement[bool], values: dict[str, Any]) -> int:
    with engine.connect() as connection, connection.execution_options(begin_mode="IMMEDIATE").begin():
        changed = connection.execute(
            update(quarantined_report)
            .where(places, quarantined_report.c.state == State.KEPT.value)
            .values(**values, changed_at=utc_now())
        )
        confirm_open(connection)
        return changed.rowcount


def at_places(places: Collection[Place]) -> Iterator[ColumnElement[bool]]:
    """Conditions that together hold for the rows at `places`, each short enough for one statement."""
    q = quarantined_report.c
    for (hub, generation, partition_id), group in groupby(
        sorted(places), key=lambda place: (place.hub, place.generation, place.partition_id)
    ):
        numbers = [place.sequence for place in group]
        for first in range(0, len(numbers), _MOST_PLACES):
            yield and_(
                q.hub == hub,
                q.generation == generation,
                q.partition_id == partition_id,
                q.sequence.in_(numbers[first : first + _MOST_PLACES]),
            )


def _conditions(connection: Connection, selection: Selection) -> Iterator[ColumnElement[bool]]:
    q = quarantined_report.c
    if selection.states:
        yield q.state.in_([state.value for state in selection.states])
    if selection.hubs:
        yield q.hub.in_(selection.hubs)
    if selection.positions:
        yield or_(*_at_positions(selection.positions))
    if selection.since is not None:
        yield q.stored_at >= selection.since
    if selection.before is not None:
        yield q.stored_at < selection.before
    if selection.reasons:
        texts = _texts_with(connection, selection.reasons)
        yield q.reasons.in_(texts) if texts else false()


def _at_positions(positions: Collection[Position]) -> Iterator[ColumnElement[bool]]:
    q = quarantined_report.c
    sequences: dict[tuple[str, int | None], list[int]] = {}
    for position in positions:
        sequences.setdefault((position.partition_id, position.generation), []).append(position.sequence)
    for (partition_id, generation), numbers in sequences.items():
        here = and_(q.partition_id == partition_id, q.sequence.in_(numbers))
        yield here if generation is None else and_(here, q.generation == generation)


def _texts_with(connection: Connection, codes: Sequence[str]) -> list[str]:
    """All lists of reasons there are that name one of the codes: few, however many reports there are."""
    texts = connection.scalars(select(quarantined_report.c.reasons).distinct())
    return sorted(text for text in texts if not set(codes).isdisjoint(text.split(",")))


def _reading(engine: Engine, ask: Callable[[Connection], T]) -> T:
    def read() -> T:
        with engine.connect().execution_options(**READ) as connection, connection.begin():
            return ask(connection)

    return persistently(read)
