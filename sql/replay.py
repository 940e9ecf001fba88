"""Replay: reports marked in the quarantine are judged anew and stored after all, each exactly once.

One transaction for some hundred marked rows of one hub and generation. Steps, in lock order:

0. Stage the rows in temporary tables, and add missing names in a short transaction of their own.
1. Beat: the lease row is held to the end, so nobody takes over meanwhile, and a run that was taken over stores
   nothing.
2. Take the marks away: what passed becomes `replayed` and loses its body, what failed again is `kept` with its new
   reasons. Exactly the rows that were read have to change, or everything is rolled back: this is what makes a replay
   happen once, whoever repeats it and whenever.
3. Move the positions' largest event time; then reports, items, pairs and deltas, as in a task write.
4. A receipt for an empty range: nothing was received, what is stored now is in quarantine no more.

A conflicting duplicate goes back to quarantine; when one turns up the transaction is rolled back and run again with
that row among those that failed. So the sequence numbers within the receipt are those of the rows that became
`replayed` in this transaction, in order of their places, and `sql.replay_outcomes` can tell what became of each.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sqlalchemy import Column, ColumnElement, Engine, MetaData, Table, and_, func, or_, select, update
from sqlalchemy.engine import Connection

from sql.clock import now_ms, utc_now
from sql.connection import READ
from sql.dialect import byte_length, confirm_open, create_staging, empty, is_staged, load
from sql.errors import AccountingError
from sql.keys import receipt_key
from sql.positions import Lease, Source, beat
from sql.quarantine import State
from sql.report_steps import (
    Receipt,
    add_names,
    classify,
    insert_deltas,
    insert_items,
    insert_receipt,
    insert_reports,
    move_pairs,
)
from sql.retry import persistently
from sql.schema import hub_position, ingest_task, quarantined_report
from sql.staging import CONFLICT, Accepted, Refused, TaskBatch, refusal, stage
from sql.staging_tables import Outcome, staging

__all__ = [
    "REPLAY_PARTITION",
    "MarkedRow",
    "MarkedRows",
    "Replay",
    "ReplayResult",
    "count_marked",
    "read_marked",
    "uncounted_files",
    "waits_for_stream",
    "write_replay",
]

REPLAY_PARTITION = "replay"
"""The partition in receipts of replays; those of hubs are numbers."""

_MOST_ROWS = 500
_MOST_BYTES = 16 * 1024 * 1024
"""What one transaction takes at most, so that a running stream never waits long; one row is always taken."""


@dataclass(frozen=True)
class MarkedRow:
    """A row marked for replay."""

    partition_id: str
    sequence: int
    enqueued_ms: int
    body: bytes = field(repr=False)


@dataclass(frozen=True)
class MarkedRows:
    """Marked rows of one generation of a hub, in order of partition and sequence number."""

    hub: str
    generation: int
    rows: tuple[MarkedRow, ...]


@dataclass(frozen=True)
class Replay:
    """Marked rows, judged anew: `outcomes[i]` is of `marked.rows[i]`, its own sequence number is of no account."""

    marked: MarkedRows
    outcomes: Sequence[Accepted | Refused]
    model_version: str | None
    suite_version: str


@dataclass(frozen=True)
class ReplayResult:
    """What became of marked rows."""

    stored: int = 0
    duplicates: int = 0
    kept: int = 0
    """Failed again, or in conflict with a report that is stored: in quarantine as before, with new reasons."""

    @property
    def rows(self) -> int:
        """How many rows were done."""
        return self.stored + self.duplicates + self.kept

    def __add__(self, other: ReplayResult) -> ReplayResult:
        """The two together."""
        return ReplayResult(self.stored + other.stored, self.duplicates + other.duplicates, self.kept + other.kept)


class _MarksChanged(Exception):  # noqa: N818 - a signal to read again, not an error
    pass


class _Conflicts(Exception):  # noqa: N818 - a signal to run again, not an error
    def __init__(self, rows: frozenset[int]) -> None:
        self.rows = rows


def count_marked(engine: Engine, hub: str) -> int:
    """How many rows of a hub wait for their replay."""
    query = select(func.count()).select_from(quarantined_report).where(*_marked(hub))

    def ask() -> int:
        with engine.connect().execution_options(**READ) as connection, connection.begin():
            return connection.scalar(query) or 0

    return persistently(ask)


def uncounted_files(engine: Engine) -> list[str]:
    """Backfilled files with a replay that is stored and not counted yet: no stream will come to count it."""
    t = ingest_task.c
    query = select(t.hub).distinct().where(t.partition_id == REPLAY_PARTITION, t.folded_at.is_(None)).order_by(t.hub)

    def ask() -> list[str]:
        with engine.connect().execution_options(**READ) as connection, connection.begin():
            return [hub for hub in connection.scalars(query) if hub.startswith("file:")]

    return persistently(ask)


def waits_for_stream(engine: Engine, hub: str) -> bool:
    """Whether events of a hub are stored and not counted yet, so that its stream has to count them: it alerts, too."""
    t = ingest_task.c
    query = select(func.count()).where(t.hub == hub, t.partition_id != REPLAY_PARTITION, t.folded_at.is_(None))

    def ask() -> bool:
        with engine.connect().execution_options(**READ) as connection, connection.begin():
            return bool(connection.scalar(query))

    return persistently(ask)


def read_marked(engine: Engine, hub: str) -> MarkedRows | None:
    """The next marked rows of a hub, not too many for one transaction; None when there is none."""
    return persistently(partial(_read_marked, engine, hub))


def _read_marked(engine: Engine, hub: str) -> MarkedRows | None:
    q = quarantined_report.c
    with engine.connect().execution_options(**READ) as connection, connection.begin():
        # Asked every few seconds, mostly in vain, so without an order, for which SQLite would read the whole hub.
        if connection.scalar(select(q.generation).where(*_marked(hub)).limit(1)) is None:
            return None
        order = (q.generation, q.partition_id, q.sequence)
        sizes = connection.execute(
            select(q.generation, byte_length(q.body).label("size"))
            .where(*_marked(hub))
            .order_by(*order)
            .limit(_MOST_ROWS)
        ).all()
        if not sizes:
            return None
        generation = sizes[0].generation
        rows = connection.execute(
            select(q.partition_id, q.sequence, q.enqueued_ms, q.body)
            .where(*_marked(hub), q.generation == generation)
            .order_by(*order)
            .limit(_how_many([row.size for row in sizes if row.generation == generation]))
        )
        read = [MarkedRow(row.partition_id, row.sequence, row.enqueued_ms, bytes(row.body)) for row in rows]
    return MarkedRows(hub, generation, tuple(sorted(read, key=_order))) if read else None


def _how_many(sizes: Sequence[int]) -> int:
    """How many of the rows fit."""
    taken, total = 0, 0
    for size in sizes:
        total += size
        if taken and total > _MOST_BYTES:
            break
        taken += 1
    return taken


def _order(row: MarkedRow) -> tuple[str, int]:
    return row.partition_id, row.sequence


def _marked(hub: str) -> tuple[ColumnElement[bool], ...]:
    return quarantined_report.c.hub == hub, quarantined_report.c.state == State.REPLAY.value


def write_replay(engine: Engine, lease: Lease, replay: Replay) -> ReplayResult | None:
    """Store what passed, keep what failed. None when the marks are no longer as they were read: read them again.

    Safe to call again with the same rows. Raises `FencedError` (stop), `AccountingError` and `KeyCollisionError`
    (defects), and `StoreUnavailableError` or `StoreRefusedError` (see `sql.retry`).
    """
    if lease.hub != replay.marked.hub or len(replay.outcomes) != len(replay.marked.rows):
        raise ValueError("a replay takes the lease of its rows' hub, and one outcome for each row")
    return persistently(partial(_write, engine, lease, replay))


def _write(engine: Engine, lease: Lease, replay: Replay) -> ReplayResult | None:
    with engine.connect() as connection:
        for tables in (staging, _staging):
            create_staging(connection.execution_options(**READ), tables)
        attempt = _Attempt(lease, replay, frozenset())
        while True:
            with connection.execution_options(**READ).begin():
                attempt.stage(connection)
            if attempt.batch is not None:
                add_names(connection)
            try:
                with connection.execution_options(begin_mode="IMMEDIATE").begin():
                    result = _transaction(connection, lease, attempt)
                    confirm_open(connection)
                    return result
            except _MarksChanged:
                return None
            except _Conflicts as found:
                attempt = _Attempt(lease, replay, found.rows)


class _Attempt:
    """The rows sorted out: which are expected to pass, numbered from 0, and which go back, conflicts among them."""

    def __init__(self, lease: Lease, replay: Replay, conflicts: frozenset[int]) -> None:
        self.marked = replay.marked
        self.suite_version = replay.suite_version
        accepted = {i: event for i, event in enumerate(replay.outcomes) if isinstance(event, Accepted)}
        self.done = [i for i in accepted if i not in conflicts]
        self.conflicts = conflicts
        self.numbered = [*self.done, *sorted(conflicts)]
        """Row by sequence number of the receipt. Conflicts come last: theirs are not used."""
        self.batch = (
            TaskBatch(
                Source(self.marked.hub, self.marked.generation, REPLAY_PARTITION),
                lease.epoch,
                [dataclasses.replace(accepted[row], sequence=number) for number, row in enumerate(self.numbered)],
                replay.model_version,
                replay.suite_version,
            )
            if accepted
            else None
        )
        self.kept = {
            i: refusal(CONFLICT, None) if isinstance(event, Accepted) else refusal(event.reasons, event.path)
            for i, event in enumerate(replay.outcomes)
            if i in conflicts or isinstance(event, Refused)
        }
        self.event_ms: dict[str, int] = {}
        """Largest event time of those expected to pass, by partition."""
        for i in (row for row in self.done if accepted[row].dated):
            at, partition_id = accepted[i].event_ms, self.marked.rows[i].partition_id
            self.event_ms[partition_id] = max(at, self.event_ms.get(partition_id, at))

    def stage(self, connection: Connection) -> None:
        if self.batch is not None:
            stage(connection, self.batch, ())
        empty(connection, *_staging.sorted_tables)
        load(connection, _stage_done, [self._place(row) for row in self.done])
        load(connection, _stage_kept, [(*self._place(row), *why) for row, why in self.kept.items()])

    def _place(self, row: int) -> tuple[str, int, str, int]:
        marked = self.marked
        return marked.hub, marked.generation, marked.rows[row].partition_id, marked.rows[row].sequence


def _transaction(connection: Connection, lease: Lease, attempt: _Attempt) -> ReplayResult:
    # 1. lease
    beat(connection, lease)
    # 2. marks
    at = utc_now()
    _take_marks(connection, attempt, at)
    if attempt.batch is None:
        return ReplayResult(kept=len(attempt.kept))
    # 3. positions, reports, items, pairs, deltas
    batch = attempt.batch
    receipt = Receipt(receipt_key(now_ms()), batch.source, batch.epoch, batch.model_version, batch.suite_version)
    _move_event_times(connection, attempt)
    insert_reports(connection, receipt)
    outcomes = classify(connection, receipt.receipt_id)
    conflicts = frozenset(attempt.numbered[n] for n, outcome in outcomes.items() if outcome == Outcome.CONFLICT)
    if conflicts != attempt.conflicts:
        raise _Conflicts(conflicts)
    insert_items(connection, receipt.receipt_id)
    move_pairs(connection, receipt.receipt_id)
    insert_deltas(connection, receipt.receipt_id)
    # 4. receipt
    result = ReplayResult(
        stored=sum(1 for outcome in outcomes.values() if outcome == Outcome.STORED),
        duplicates=sum(1 for outcome in outcomes.values() if outcome == Outcome.DUPLICATE),
        kept=len(attempt.kept),
    )
    passed = result.stored + result.duplicates
    if passed != len(attempt.done) or result.rows != len(attempt.marked.rows):
        raise AccountingError(
            f"{len(attempt.marked.rows)} reports of {batch.source.hub} replayed, but {result.stored} stored, "
            f"{result.duplicates} duplicates and {result.kept} kept; nothing was committed."
        )
    if passed:
        insert_receipt(
            connection,
            receipt,
            0,
            -1,
            stored=result.stored,
            quarantined=-passed,
            duplicates=result.duplicates,
            written_at=at,
        )
    return result


def _take_marks(connection: Connection, attempt: _Attempt, at: dt.datetime) -> None:
    """The guard: `_MarksChanged` unless every row is marked still."""
    q, k = quarantined_report.c, _stage_kept.c
    key = and_(*(q[column.name] == column for column in _stage_kept.primary_key.columns))
    new = {
        column.name: select(column).where(key).correlate(quarantined_report).scalar_subquery()
        for column in (k.reasons, k.path)
    }
    for staged, rows, values in (
        (_stage_done, attempt.done, {"state": State.REPLAYED.value, "body": b""}),
        (_stage_kept, attempt.kept, {"state": State.KEPT.value, "suite_version": attempt.suite_version, **new}),
    ):
        if rows:
            changed = connection.execute(
                update(quarantined_report)
                .where(is_staged(connection, quarantined_report, staged), q.state == State.REPLAY.value)
                .values(**values, changed_at=at)
            )
            if changed.rowcount != len(rows):
                raise _MarksChanged


def _move_event_times(connection: Connection, attempt: _Attempt) -> None:
    """Positions tell the largest event time stored; what is stored late may have a larger one."""
    p, marked = hub_position.c, attempt.marked
    for partition_id, event_ms in sorted(attempt.event_ms.items()):
        connection.execute(
            update(hub_position)
            .where(
                p.hub == marked.hub,
                p.generation == marked.generation,
                p.partition_id == partition_id,
                or_(p.event_ms.is_(None), p.event_ms < event_ms),
            )
            .values(event_ms=event_ms)
        )


_staging = MetaData()


def _places_table(name: str, *columns: Column[Any]) -> Table:
    key = [
        Column(c.name, c.type, primary_key=True, autoincrement=False) for c in quarantined_report.primary_key.columns
    ]
    return Table(name, _staging, *key, *columns, prefixes=["TEMPORARY"])


def _copy(column: Column[Any]) -> Column[Any]:
    return Column(column.name, column.type, nullable=column.nullable)


_stage_done = _places_table("#replay_done")
_stage_kept = _places_table("#replay_kept", _copy(quarantined_report.c.reasons), _copy(quarantined_report.c.path))
