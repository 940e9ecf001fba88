"""The steps that every write of staged reports is made of, whether they come from a hub or out of quarantine.

Reports, items, pairs, deltas, receipt: in this order, in one transaction that its caller begins with a guard. Names
go in beforehand, in a transaction of their own.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from sqlalchemy import Join, Table, and_, case, func, insert, literal, select, true, union_all, update
from sqlalchemy.engine import Connection

from sql.clock import utc_now
from sql.connection import READ
from sql.dialect import insert_absent, lower_pairs, used_again
from sql.errors import KeyCollisionError
from sql.positions import Source
from sql.schema import (
    case_pair,
    drug,
    ingest_task,
    reaction,
    report_drug,
    report_reaction,
    safety_report,
    window_delta,
)
from sql.staging_tables import (
    Outcome,
    stage_drug,
    stage_drug_name,
    stage_pair,
    stage_reaction,
    stage_reaction_name,
    stage_report,
)

__all__ = [
    "Receipt",
    "add_names",
    "classify",
    "insert_deltas",
    "insert_items",
    "insert_receipt",
    "insert_reports",
    "move_pairs",
]


@dataclass(frozen=True)
class Receipt:
    """One attempt at a write: its id marks every row it stores, and it becomes a receipt when it succeeds."""

    receipt_id: int
    source: Source
    epoch: int
    model_version: str | None
    suite_version: str


def add_names(connection: Connection) -> None:
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


def insert_reports(connection: Connection, receipt: Receipt) -> None:
    """Insert the staged reports that are absent: the first of each version of a case."""
    staged = [c for c in stage_report.columns if c.name not in ("outcome", "is_first")]
    rows = (
        select(
            *staged,
            literal(receipt.receipt_id).label("receipt_id"),
            literal(receipt.model_version).label("model_version"),
            literal(receipt.suite_version).label("suite_version"),
            literal(utc_now()).label("stored_at"),
        )
        .where(stage_report.c.is_first == true())
        .order_by(stage_report.c.case_key, stage_report.c.version)
    )
    insert_absent(connection, safety_report, rows)


def classify(connection: Connection, receipt_id: int) -> dict[int, int]:
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


def insert_items(connection: Connection, receipt_id: int) -> None:
    """Insert drugs and reactions of the reports that this write stored."""
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


def move_pairs(connection: Connection, receipt_id: int) -> None:
    """Insert the pairs of stored and duplicate reports, or lower them to an earlier event time."""
    key = (stage_report.c.case_key, stage_pair.c.drug_id, stage_pair.c.reaction_id)
    rows = (
        select(*key, func.min(stage_report.c.event_ms).label("event_ms"), literal(receipt_id).label("moved_by"))
        .select_from(_counted_pairs())
        .where(stage_report.c.outcome.is_not(None))
        .group_by(*key)
        .order_by(*key)
    )
    lower_pairs(connection, case_pair, rows)


def insert_deltas(connection: Connection, receipt_id: int) -> None:
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


def insert_receipt(
    connection: Connection,
    receipt: Receipt,
    first: int,
    last: int,
    *,
    stored: int,
    quarantined: int,
    duplicates: int,
    written_at: dt.datetime,
) -> None:
    """Keep the receipt of the range `first` to `last`; the database refuses one that does not add up."""
    connection.execute(
        insert(ingest_task).values(
            receipt_id=receipt.receipt_id,
            hub=receipt.source.hub,
            generation=receipt.source.generation,
            partition_id=receipt.source.partition_id,
            first_sequence=first,
            last_sequence=last,
            stored=stored,
            quarantined=quarantined,
            duplicates=duplicates,
            epoch=receipt.epoch,
            model_version=receipt.model_version,
            suite_version=receipt.suite_version,
            written_at=written_at,
        )
    )
