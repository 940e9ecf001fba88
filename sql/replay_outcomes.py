"""What became of reports that were marked for replay, told from the database, whoever replayed them."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from sqlalchemy import Engine, select
from sqlalchemy.engine import Connection

from sql.connection import READ
from sql.quarantine import Place, State, at_places
from sql.replay import REPLAY_PARTITION
from sql.retry import persistently
from sql.schema import ingest_task, quarantined_report, safety_report

__all__ = ["Became", "RowOutcome", "outcomes_of"]


class Became(StrEnum):
    """What has become of a row that was marked."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    KEPT = "kept"
    WAITING = "waiting"
    """Marked still."""
    DISCARDED = "discarded"
    PRUNED = "pruned"


@dataclass(frozen=True)
class RowOutcome:
    """What has become of one row; reasons and path are those it is in quarantine for, or was."""

    place: Place
    became: Became
    reasons: tuple[str, ...]
    path: str | None


def outcomes_of(engine: Engine, places: Collection[Place]) -> list[RowOutcome]:
    """What has become of rows that were marked, whoever replayed them, in order of their places."""
    return persistently(partial(_outcomes, engine, places))


def _outcomes(engine: Engine, places: Collection[Place]) -> list[RowOutcome]:
    q = quarantined_report.c
    columns = (q.hub, q.generation, q.partition_id, q.sequence, q.state, q.reasons, q.path, q.changed_at)
    with engine.connect().execution_options(**READ) as connection, connection.begin():
        rows = [row for some in at_places(places) for row in connection.execute(select(*columns).where(some))]
        replayed: dict[str, dt.datetime] = {}
        for row in rows:
            if row.state == State.REPLAYED:
                replayed[row.hub] = min(row.changed_at, replayed.get(row.hub, row.changed_at))
        stored = {place for hub, since in replayed.items() for place in _stored(connection, hub, since)}
    outcomes = []
    for row in rows:
        place = Place(*row[:4])
        became = _BECAME[State(row.state)]
        if became is Became.STORED and place not in stored:
            became = Became.DUPLICATE
        outcomes.append(RowOutcome(place, became, tuple(row.reasons.split(",")), row.path))
    return sorted(outcomes, key=lambda outcome: outcome.place)


_BECAME = {
    State.KEPT: Became.KEPT,
    State.REPLAY: Became.WAITING,
    State.REPLAYED: Became.STORED,
    State.DISCARDED: Became.DISCARDED,
    State.PRUNED: Became.PRUNED,
}


def _stored(connection: Connection, hub: str, since: dt.datetime) -> Iterator[Place]:
    """Places of a hub whose reports replays have stored since a moment.

    A replay's transaction is known by its time, which its rows and its receipt share; within it the n-th row by place
    is the report with sequence number n.
    """
    q, t, r = quarantined_report.c, ingest_task.c, safety_report.c
    # Reports before rows: of a replay that commits in between the rows alone are seen, and none of them is asked for.
    reports = connection.execute(
        select(t.generation, t.written_at, r.sequence)
        .select_from(ingest_task.join(safety_report, r.receipt_id == t.receipt_id))
        .where(t.hub == hub, t.partition_id == REPLAY_PARTITION, t.written_at >= since)
    ).all()
    rows = connection.execute(
        select(q.generation, q.partition_id, q.sequence, q.changed_at).where(
            q.hub == hub, q.state == State.REPLAYED.value, q.changed_at >= since
        )
    )
    transactions: defaultdict[tuple[int, dt.datetime], list[Place]] = defaultdict(list)
    for row in rows:
        transactions[row.generation, row.changed_at].append(Place(hub, row.generation, row.partition_id, row.sequence))
    for places in transactions.values():
        places.sort()
    for generation, written_at, sequence in reports:
        yield transactions[generation, written_at][sequence]
