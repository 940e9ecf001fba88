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

from collections.abc import Mapping
from dataclasses import dataclass

import stamina
from sqlalchemy import Engine, Join, Table, and_, case, func, insert, literal, select, union_all, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError, OperationalError

from sql.clock import utc_now
from sql.connection import READ
from sql.dialect import insert_absent, insert_absent_values, lower_pairs
from sql.errors import AccountingError, KeyCollisionError, StoreUnavailableError
from sql.keys import random_key
from sql.positions import Guard, move_position
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
from sql.staging import Accepted, TaskBatch, stage, staged_names
from sql.staging_tables import Outcome, stage_drug, stage_pair, stage_reaction, stage_refused, stage_report

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
    `StoreUnavailableError` when the database stays locked or unreachable beyond the retries.
    """
    try:
        for attempt in stamina.retry_context(
            on=(IntegrityError, OperationalError), attempts=5, wait_initial=0.05, wait_max=2.0
        ):
            with attempt:
                return _write(engine, batch)
    except OperationalError as error:
        raise StoreUnavailableError(
            f"The database could not take a task's rows ({type(error.orig).__name__}): "
            "check that it can be reached and written, then start the stream again."
        ) from None
    raise AssertionError("unreachable: the retry loop returns or raises")


def _write(engine: Engine, batch: TaskBatch) -> TaskResult:
    with engine.connect() as connection:
        _add_names(connection, batch)
        conflicts: frozenset[int] = frozenset()
        while True:
            with connection.execution_options(**READ).begin():
                stage(connection, batch, conflicts)
            try:
                with connection.execution_options(begin_mode="IMMEDIATE").begin():
                    return _transaction(connection, batch, conflicts)
            except _TailOnly as overlap:
                batch = batch.tail(overlap.first)
            except _BodiesNeeded as found:
                conflicts = found.conflicts


def _transaction(connection: Connection, batch: TaskBatch, conflicts: frozenset[int]) -> TaskResult:
    receipt_id = random_key()
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
    _insert_items(connection)
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


def _add_names(connection: Connection, batch: TaskBatch) -> None:
    drugs, terms = staged_names(batch)
    _add_dimension(connection, drug, "drug_id", {k: {"name": n} for k, n in drugs.items()})
    _add_dimension(
        connection,
        reaction,
        "reaction_id",
        {k: {"name": n, "is_overdose": int(n.endswith("OVERDOSE"))} for k, n in terms.items()},
    )


def _add_dimension(connection: Connection, table: Table, key: str, wanted: Mapping[int, Mapping[str, object]]) -> None:
    """Insert names that are missing, sorted by key, and check that no key stands for another name."""
    column = table.c[key]
    keys = sorted(wanted)
    with connection.execution_options(**READ).begin():
        known: dict[int, str] = {}
        for i in range(0, len(keys), 500):
            rows = connection.execute(select(column, table.c.name).where(column.in_(keys[i : i + 500])))
            known.update((row[0], row[1]) for row in rows)
    for k, name in known.items():
        if wanted[k]["name"] != name:
            raise KeyCollisionError(
                f"Two names in table {table.name} share the key {k}. Their counts would be mixed up; "
                "please report this to the project."
            )
    missing = [{key: k, **wanted[k]} for k in keys if k not in known]
    if missing:
        with connection.execution_options(begin_mode="IMMEDIATE").begin():
            connection.execute(insert_absent_values(table), missing)


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
        .where(stage_report.c.is_first.is_(True))
        .order_by(stage_report.c.case_key, stage_report.c.version)
    )
    connection.execute(insert_absent(safety_report, rows))


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


def _insert_items(connection: Connection) -> None:
    for target, staged in ((report_drug, stage_drug), (report_reaction, stage_reaction)):
        columns = [c for c in staged.columns if c.name != "sequence"]
        rows = (
            select(stage_report.c.case_key, stage_report.c.version, *columns)
            .join_from(stage_report, staged, staged.c.sequence == stage_report.c.sequence)
            .where(stage_report.c.outcome == Outcome.STORED)
            .order_by(stage_report.c.case_key, stage_report.c.version, staged.c.ordinal)
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
    connection.execute(lower_pairs(case_pair, rows))


def _insert_deltas(connection: Connection, receipt_id: int) -> None:
    """One more case where a pair of this write now counts, one less where it counted before."""
    touched = (
        select(stage_report.c.case_key, stage_pair.c.drug_id, stage_pair.c.reaction_id)
        .select_from(_counted_pairs())
        .distinct()
        .subquery()
    )
    mine = touched.join(
        case_pair,
        and_(
            case_pair.c.case_key == touched.c.case_key,
            case_pair.c.drug_id == touched.c.drug_id,
            case_pair.c.reaction_id == touched.c.reaction_id,
            case_pair.c.moved_by == receipt_id,
        ),
    )
    pair = (case_pair.c.drug_id, case_pair.c.reaction_id)
    changes = union_all(
        select(*pair, case_pair.c.event_ms, literal(1).label("change")).select_from(mine),
        select(*pair, case_pair.c.prev_ms, literal(-1)).select_from(mine).where(case_pair.c.prev_ms.is_not(None)),
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
    return connection.execute(insert(quarantined_report).from_select(list(rows.selected_columns.keys()), rows)).rowcount
