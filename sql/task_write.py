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

from sqlalchemy import Engine, Join, Table, and_, case, func, insert, literal, select, true, union_all, update
from sqlalchemy.engine import Connection

from sql.clock import now_ms, utc_now
from sql.connection import READ
from sql.dialect import confirm_open, create_staging, insert_absent, lower_pairs, used_again
from sql.errors import AccountingError, KeyCollisionError
from sql.keys import receipt_key
from sql.positions import Guard, move_position
from sql.retry import persistently
from sql.schema import (
    case_pair,
    drug,
    ingest_task,
    quarantined_report,
    reaction,
    report_drug,
    report_reaction,
    safety_report,
    window_delta,
)
from sql.staging import Accepted, TaskBatch, stage
from sql.staging_tables import (
    Outcome,
    stage_drug,
    stage_drug_name,
    stage_pair,
    stage_reaction,
    stage_reaction_name,
    stage_refused,
    stage_report,
    staging,
)

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
            _add_names(connection)
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
    # 1. position
    events = [e.event_ms for e in batch.events if isinstance(e, Accepted)]
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
    _insert_reports(connection, batch, receipt_id)
    outcomes = _classify(connection, receipt_id)
    found = frozenset(s for s, outcome in outcomes.items() if outcome == Outcome.CONFLICT)
    if found != conflicts:
        raise _BodiesNeeded(found)
    # 3. items, pairs, deltas
    _insert_items(connection, receipt_id)
    _move_pairs(connection, receipt_id)
    _insert_deltas(connection, receipt_id)
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
    connection.execute(
        insert(ingest_task).values(
            receipt_id=receipt_id,
            hub=batch.source.hub,
            generation=batch.source.generation,
            partition_id=batch.source.partition_id,
            first_sequence=batch.first,
            last_sequence=batch.last,
            stored=result.stored,
            quarantined=result.quarantined,
            duplicates=result.duplicates,
            epoch=batch.epoch,
            model_version=batch.model_version,
            suite_version=batch.suite_version,
            written_at=utc_now(),
        )
    )
    return result


def _add_names(connection: Connection) -> None:
    """Insert staged names that are missing, sorted by key, in a short transaction of their own.

    Two tasks with the same new name would otherwise wait for each other to the end of their writes.
    """
    with connection.execution_options(**READ).begin():
        missing = [_check_names(connection, *tables) for tables in _NAMES]
    if any(missing):
        with connection.execution_options(begin_mode="IMMEDIATE").begin():
            for table, staged in _NAMES:
                insert_absent(connection, table, select(*staged.columns).order_by(*staged.primary_key.columns))


_NAMES = ((drug, stage_drug_name), (reaction, stage_reaction_name))


def _check_names(connection: Connection, table: Table, staged: Table) -> bool:
    """Whether a staged name is missing; `KeyCollisionError` when the key of one stands for another."""
    (key,), (staged_key,) = table.primary_key.columns, staged.primary_key.columns
    collision = connection.scalar(
        select(staged_key).join_from(staged, table, key == staged_key).where(table.c.name != staged.c.name).limit(1)
    )
    if collision is not None:
        raise KeyCollisionError(
            f"Two names in table {table.name} share the key {collision}. Their counts would be mixed up; "
            "please report this to the project."
        )
    known = select(func.count()).select_from(staged.join(table, key == staged_key))
    return connection.scalar(known) != connection.scalar(select(func.count()).select_from(staged))


def _insert_reports(connection: Connection, batch: TaskBatch, receipt_id: int) -> None:
    staged = [c for c in stage_report.columns if c.name not in ("outcome", "is_first")]
    rows = (
        select(
            *staged,
            literal(receipt_id).label("receipt_id"),
            literal(batch.model_version).label("model_version"),
            literal(batch.suite_version).label("suite_version"),
            literal(utc_now()).label("stored_at"),
        )
        .where(stage_report.c.is_first == true())
        .order_by(stage_report.c.case_key, stage_report.c.version)
    )
    insert_absent(connection, safety_report, rows)


def _classify(connection: Connection, receipt_id: int) -> dict[int, int]:
    """Outcome by sequence number, from who owns the stored row and whether the content is the same."""
    owned = and_(safety_report.c.receipt_id == receipt_id, safety_report.c.sequence == stage_report.c.sequence)
    outcome = (
        select(
            case(
                (owned, Outcome.STORED),
                (safety_report.c.digest == stage_report.c.digest, Outcome.DUPLICATE),
                else_=Outcome.CONFLICT,
            )
        )
        .where(
            safety_report.c.case_key == stage_report.c.case_key,
            safety_report.c.version == stage_report.c.version,
        )
        .correlate(stage_report)
        .scalar_subquery()
    )
    connection.execute(update(stage_report).values(outcome=outcome))
    rows = connection.execute(select(stage_report.c.sequence, stage_report.c.outcome))
    return {row.sequence: row.outcome for row in rows}


def _insert_items(connection: Connection, receipt_id: int) -> None:
    for target, staged in ((report_drug, stage_drug), (report_reaction, stage_reaction)):
        rows = (
            select(literal(receipt_id).label("receipt_id"), *staged.columns)
            .join_from(stage_report, staged, staged.c.sequence == stage_report.c.sequence)
            .where(stage_report.c.outcome == Outcome.STORED)
            .order_by(staged.c.sequence, staged.c.ordinal)
        )
        connection.execute(insert(target).from_select(list(rows.selected_columns.keys()), rows))


def _counted_pairs() -> Join:
    """Staged pairs with the report they are of; only stored and identical duplicate reports count."""
    counted = stage_report.c.outcome.in_((Outcome.STORED, Outcome.DUPLICATE))
    return stage_report.join(stage_pair, and_(stage_pair.c.sequence == stage_report.c.sequence, counted))


def _move_pairs(connection: Connection, receipt_id: int) -> None:
    key = (stage_report.c.case_key, stage_pair.c.drug_id, stage_pair.c.reaction_id)
    rows = (
        select(*key, func.min(stage_report.c.event_ms).label("event_ms"), literal(receipt_id).label("moved_by"))
        .select_from(_counted_pairs())
        .where(stage_report.c.outcome.is_not(None))
        .group_by(*key)
        .order_by(*key)
    )
    lower_pairs(connection, case_pair, rows)


def _insert_deltas(connection: Connection, receipt_id: int) -> None:
    """One more case where a pair of this write now counts, one less where it counted before."""
    touched = (
        select(stage_report.c.case_key, stage_pair.c.drug_id, stage_pair.c.reaction_id)
        .select_from(_counted_pairs())
        .distinct()
        .subquery()
    )
    mine = used_again(
        connection,
        select(case_pair.c.drug_id, case_pair.c.reaction_id, case_pair.c.event_ms, case_pair.c.prev_ms).join_from(
            touched,
            case_pair,
            and_(
                case_pair.c.case_key == touched.c.case_key,
                case_pair.c.drug_id == touched.c.drug_id,
                case_pair.c.reaction_id == touched.c.reaction_id,
                # + 0: statistics of a column that is never twice the same make PostgreSQL expect one row, and loop.
                case_pair.c.moved_by + 0 == receipt_id,
            ),
        ),
        "mine",
    )
    changes = union_all(
        select(mine.c.drug_id, mine.c.reaction_id, mine.c.event_ms, literal(1).label("change")),
        select(mine.c.drug_id, mine.c.reaction_id, mine.c.prev_ms, literal(-1)).where(mine.c.prev_ms.is_not(None)),
    ).subquery()
    key = (changes.c.drug_id, changes.c.reaction_id, changes.c.event_ms)
    rows = (
        select(literal(receipt_id).label("receipt_id"), *key, func.sum(changes.c.change).label("delta"))
        .group_by(*key)
        .order_by(*key)
    )
    connection.execute(insert(window_delta).from_select(list(rows.selected_columns.keys()), rows))


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
