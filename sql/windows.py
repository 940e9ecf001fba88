"""Window arithmetic and the set-based statements that keep the counts of every width.

Windows of a width are aligned to Mondays 00:00 UTC; `window_start` says it for Python, `start_of` for SQL.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Integer,
    MetaData,
    Subquery,
    Table,
    func,
    insert,
    literal,
    select,
)
from sqlalchemy.engine import Connection

from sql.dialect import add_counts, empty
from sql.keys import ANY
from sql.schema import case_pair, reaction_window, window_delta, window_total

__all__ = ["build_width", "fold_delta", "fold_deltas", "stage_receipt", "staging", "start_of", "window_start"]

_MONDAY_MS = 3 * 86_400_000
"""1970 began on a Thursday, three days after a Monday."""

staging = MetaData()

stage_receipt = Table(
    "#stage_receipt",
    staging,
    Column("receipt_id", BigInteger, primary_key=True, autoincrement=False),
    prefixes=["TEMPORARY"],
)

fold_delta = Table(
    "#fold_delta",
    staging,
    Column("width_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("window_start_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("drug_id", BigInteger, primary_key=True, autoincrement=False),
    Column("reaction_id", BigInteger, primary_key=True, autoincrement=False),
    Column("cases", Integer, nullable=False),
    prefixes=["TEMPORARY"],
    sqlite_with_rowid=False,
)

Moment = TypeVar("Moment", int, NDArray[np.int64])


def window_start(at_ms: Moment, width_ms: int) -> Moment:
    """Start (ms) of the window of `width_ms` that holds each moment `at_ms`."""
    return at_ms - (at_ms + _MONDAY_MS) % width_ms


def start_of(at: ColumnElement[int], width_ms: int) -> ColumnElement[int]:
    """`window_start` as an SQL expression; for moments after 1969 the remainder is the same on every database."""
    return at - (at + _MONDAY_MS) % width_ms


def fold_deltas(connection: Connection, widths_ms: Iterable[int]) -> None:
    """Sum the deltas of the staged receipts into `fold_delta` and add them to the counts of every width."""
    empty(connection, fold_delta)
    d = window_delta.c
    for width_ms in widths_ms:
        changes = (
            select(d.drug_id, d.reaction_id, start_of(d.event_ms, width_ms).label("start"), d.delta.label("change"))
            .where(d.receipt_id.in_(select(stage_receipt.c.receipt_id)))
            .subquery()
        )
        _stage_changes(connection, width_ms, changes)
    _add_staged_counts(connection)


def build_width(connection: Connection, width_ms: int) -> None:
    """Count every pair stored so far into a width that was not kept before.

    Deltas that wait to be folded are taken off, for their fold will add them.
    """
    empty(connection, fold_delta)
    p, d = case_pair.c, window_delta.c
    counted = select(
        p.drug_id, p.reaction_id, start_of(p.event_ms, width_ms).label("start"), literal(1).label("change")
    )
    waiting = select(d.drug_id, d.reaction_id, start_of(d.event_ms, width_ms), -d.delta)
    _stage_changes(connection, width_ms, counted.union_all(waiting).subquery())
    _add_staged_counts(connection)


def _stage_changes(connection: Connection, width_ms: int, changes: Subquery) -> None:
    """Sum changes (drug_id, reaction_id, start, change) into `fold_delta`."""
    c = changes.c
    key = (c.start, c.drug_id, c.reaction_id)
    rows = (
        select(
            literal(width_ms).label("width_ms"),
            c.start.label("window_start_ms"),
            c.drug_id,
            c.reaction_id,
            func.sum(c.change).label("cases"),
        )
        .group_by(*key)
        .having(func.sum(c.change) != 0)
        .order_by(*key)
    )
    connection.execute(insert(fold_delta).from_select(list(rows.selected_columns.keys()), rows))


def _add_staged_counts(connection: Connection) -> None:
    f = fold_delta.c
    key = (f.width_ms, f.window_start_ms, f.drug_id, f.reaction_id)
    add_counts(connection, reaction_window, select(*key, f.cases).where(f.cases != 0).order_by(*key))
    for summed in ((f.reaction_id,), (f.drug_id,), (f.drug_id, f.reaction_id)):
        kept = [column for column in key if column not in summed]
        labelled = [literal(ANY).label(column.name) if column in summed else column for column in key]
        totals = select(*labelled, func.sum(f.cases).label("cases")).where(f.cases != 0).group_by(*kept).order_by(*kept)
        add_counts(connection, window_total, totals)
