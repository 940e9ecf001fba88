"""Task write: one transaction that stores a range of one partition exactly once, whoever repeats it and whenever.

Steps, in lock order (position → reports → items → pairs → deltas → quarantine → receipt):

0. Stage the rows in temporary tables, and add missing drugs and reactions in a short transaction of their own.
1. Move the position, guarded by epoch and first sequence number.
2. Insert the reports that are absent; then tell stored, identical duplicate and conflicting duplicate apart.
3. Insert drugs and reactions of stored reports; insert or lower the pairs of stored and duplicate ones, and write
   the changes of counts that this caused.
4. Quarantine, receipt, commit.

A conflicting duplicate is quarantined whole, so its body has to be staged: when one turns up the transaction is
rolled back and run again with the body at hand.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine, insert, literal, select
from sqlalchemy.engine import Connection

from sql.clock import now_ms, utc_now
from sql.connection import READ
from sql.dialect import confirm_open, create_staging
from sql.errors import AccountingError
from sql.keys import receipt_key
from sql.positions import Guard, move_position
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
from sql.schema import quarantined_report
from sql.staging import Accepted, TaskBatch, stage
from sql.staging_tables import Outcome, stage_refused, staging

__all__ = ["TaskResult", "write_task"]


@dataclass(frozen=True)
class TaskResult:
    """What one call stored; all zero when the range had been stored before."""

    received: int
    stored: int
    quarantined: int
    duplicates: int


_NOTHING = TaskResult(0, 0, 0, 0)


class _BodiesNeeded(Exception):  # noqa: N818 - a signal to run again, not an error
    def __init__(self, conflicts: frozenset[int]) -> None:
        self.conflicts = conflicts


class _TailOnly(Exception):  # noqa: N818 - a signal to run again, not an error
    def __init__(self, first: int) -> None:
        self.first = first


def write_task(engine: Engine, batch: TaskBatch) -> TaskResult:
    """Store `batch` once. Safe to call again with the same, an overlapping or a late range.

    Raises `FencedError` and `PositionError` (stop), `AccountingError` and `KeyCollisionError` (defects), and
    `StoreUnavailableError` or `StoreRefusedError` (see `sql.retry`).
    """
    return persistently(lambda: _write(engine, batch))


def _write(engine: Engine, batch: TaskBatch) -> TaskResult:
    with engine.connect() as connection:
        create_staging(connection.execution_options(**READ), staging)
        conflicts: frozenset[int] = frozenset()
        while True:
            with connection.execution_options(**READ).begin():
                stage(connection, batch, conflicts)
            add_names(connection)
            try:
                with connection.execution_options(begin_mode="IMMEDIATE").begin():
                    result = _transaction(connection, batch, conflicts)
                    confirm_open(connection)
                    return result
            except _TailOnly as overlap:
                batch = batch.tail(overlap.first)
            except _BodiesNeeded as found:
                conflicts = found.conflicts


def _transaction(connection: Connection, batch: TaskBatch, conflicts: frozenset[int]) -> TaskResult:
    receipt_id = receipt_key(now_ms())
    receipt = Receipt(receipt_id, batch.source, batch.epoch, batch.model_version, batch.suite_version)
    # 1. position
    events = [e.event_ms for e in batch.events if isinstance(e, Accepted) and e.dated]
    verdict, next_sequence = move_position(
        connection,
        batch.source,
        batch.epoch,
        batch.first,
        batch.last,
        batch.events[-1].enqueued_ms,
        max(events, default=None),
    )
    if verdict is Guard.DONE:
        return _NOTHING
    if verdict is Guard.OVERLAP:
        raise _TailOnly(next_sequence)
    # 2. reports
    insert_reports(connection, receipt)
    outcomes = classify(connection, receipt_id)
    found = frozenset(s for s, outcome in outcomes.items() if outcome == Outcome.CONFLICT)
    if found != conflicts:
        raise _BodiesNeeded(found)
    # 3. items, pairs, deltas
    insert_items(connection, receipt_id)
    move_pairs(connection, receipt_id)
    insert_deltas(connection, receipt_id)
    # 4. quarantine, receipt
    quarantined = _quarantine(connection, batch, receipt_id)
    result = TaskResult(
        received=batch.last - batch.first + 1,
        stored=sum(1 for o in outcomes.values() if o == Outcome.STORED),
        quarantined=quarantined,
        duplicates=sum(1 for o in outcomes.values() if o == Outcome.DUPLICATE),
    )
    if result.received != result.stored + result.quarantined + result.duplicates:
        raise AccountingError(
            f"{result.received} events received in {batch.source}, but {result.stored} stored, "
            f"{result.quarantined} quarantined and {result.duplicates} duplicates; nothing was committed."
        )
    insert_receipt(
        connection,
        receipt,
        batch.first,
        batch.last,
        stored=result.stored,
        quarantined=result.quarantined,
        duplicates=result.duplicates,
        written_at=utc_now(),
    )
    return result


def _quarantine(connection: Connection, batch: TaskBatch, receipt_id: int) -> int:
    rows = select(
        literal(batch.source.hub).label("hub"),
        literal(batch.source.generation).label("generation"),
        literal(batch.source.partition_id).label("partition_id"),
        *stage_refused.columns,
        literal(receipt_id).label("receipt_id"),
        literal(batch.suite_version).label("suite_version"),
        literal("kept").label("state"),
        literal(utc_now()).label("stored_at"),
    ).order_by(stage_refused.c.sequence)
    statement = insert(quarantined_report).from_select(list(rows.selected_columns.keys()), rows)
    return connection.execute(statement.execution_options(preserve_rowcount=True)).rowcount
