"""What the spike rules hold candidate windows against: the windows before them, once per pair, drug and reaction.

Every query is driven from the staged candidates, so that it costs what they cost, never what is stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import BigInteger, Column, ColumnElement, Integer, Select, SmallInteger, Table, func, literal, select
from sqlalchemy.engine import Connection

from models.spikes.counts import CandidateCounts
from sql.dialect import empty, load
from sql.keys import ANY
from sql.schema import reaction_window, spike, window_total
from sql.windows import staging

__all__ = ["Staged", "fetch_counts", "first_window", "read_staged", "stage_candidate"]

Ints = NDArray[np.int64]

stage_back = Table(
    "#stage_back",
    staging,
    Column("windows", Integer, primary_key=True, autoincrement=False, comment="how far back, from 1"),
    prefixes=["TEMPORARY"],
)

stage_candidate = Table(
    "#stage_candidate",
    staging,
    Column("ordinal", Integer, primary_key=True, autoincrement=False),
    Column("width_ms", BigInteger, nullable=False),
    Column("window_start_ms", BigInteger, nullable=False),
    Column("drug_id", BigInteger, nullable=False),
    Column("reaction_id", BigInteger, nullable=False),
    Column("cases", Integer, nullable=False),
    Column("touched", SmallInteger, nullable=False),
    prefixes=["TEMPORARY"],
)


@dataclass(frozen=True)
class Staged:
    """n staged candidates of one width in order of their ordinals: sorted by window, drug and reaction."""

    width_ms: int
    ordinal: Ints
    window_start_ms: Ints
    drug_id: Ints
    reaction_id: Ints
    cases: Ints
    touched: Ints


def read_staged(connection: Connection, width_ms: int) -> Staged:
    """The staged candidates of one width."""
    c = stage_candidate.c
    columns = (c.ordinal, c.window_start_ms, c.drug_id, c.reaction_id, c.cases, c.touched)
    rows = _integers(connection, select(*columns).where(c.width_ms == width_ms).order_by(c.ordinal))
    return Staged(width_ms, *rows.T)


def first_window(connection: Connection, width_ms: int) -> int | None:
    """Start of the first window with a report; None before any."""
    t = window_total.c
    first: int | None = connection.scalar(
        select(func.min(t.window_start_ms)).where(t.width_ms == width_ms, t.drug_id == ANY, t.reaction_id == ANY)
    )
    return first


def fetch_counts(connection: Connection, staged: Staged, windows: int) -> CandidateCounts:
    """The candidates with the `windows` windows before each."""
    starts, width_ms = staged.window_start_ms, staged.width_ms
    total = _history(connection, staged, windows, window_total)
    alarmed = _history(connection, staged, windows, spike, "drug_id", "reaction_id") > 0
    column_starts = starts[:, None] - width_ms * np.arange(windows, 0, -1, dtype=np.int64)[None, :]
    first = first_window(connection, width_ms)
    assert first is not None
    return CandidateCounts(
        cases=staged.cases,
        history=_pair_history(connection, staged, windows, first),
        # The first window ever is incomplete, and one without any report at all tells of an outage, not of drugs.
        usable=(column_starts > first) & (total > 0) & ~alarmed,
        drug_history=_history(connection, staged, windows, window_total, "drug_id"),
        reaction_history=_history(connection, staged, windows, window_total, "reaction_id"),
        total_history=total,
        drug_age_windows=(starts - _first_windows_of_drugs(connection, staged)) // width_ms,
    )


def _pair_history(connection: Connection, staged: Staged, windows: int, first_ms: int) -> Ints:
    """(n, windows) cases of the pair in the windows before, oldest first; each looked up by its key."""
    counts = np.zeros((staged.ordinal.size, windows), dtype=np.int64)
    seen = min(windows, int(staged.window_start_ms.max() - first_ms) // staged.width_ms)
    empty(connection, stage_back)
    load(connection, stage_back, [(back,) for back in range(1, seen + 1)])
    c, w, back = stage_candidate.c, reaction_window.c, stage_back.c.windows
    cases = (
        select(w.cases)
        .where(
            w.width_ms == c.width_ms,
            w.window_start_ms == c.window_start_ms - back * staged.width_ms,
            w.drug_id == c.drug_id,
            w.reaction_id == c.reaction_id,
        )
        .correlate(stage_candidate, stage_back)
        .scalar_subquery()
    )
    rows = _integers(
        connection,
        select(c.ordinal, back, func.coalesce(cases, 0).label("cases"))
        .select_from(stage_candidate.join(stage_back, literal(True)))
        .where(c.width_ms == staged.width_ms),
    )
    counts[np.searchsorted(staged.ordinal, rows[:, 0]), windows - rows[:, 1]] = np.maximum(rows[:, 2], 0)
    return counts


def _history(connection: Connection, staged: Staged, windows: int, table: Table, *of: str) -> Ints:
    """(n, windows) counts in the windows before, oldest first, from rows of `table`.

    Candidates that share their window and the columns `of` share their history: it is read for the first of them.
    """
    c = stage_candidate.c
    shared = [c.window_start_ms, *(c[name] for name in of)]
    first = (
        select(func.min(c.ordinal).label("ordinal"), *shared)
        .where(c.width_ms == staged.width_ms)
        .group_by(*shared)
        .subquery()
    )
    start = table.c.window_start_ms
    rows = _integers(
        connection,
        select(first.c.ordinal, start, table.c.cases)
        .select_from(first.join(table, _same(table, first, of)))
        .where(
            table.c.width_ms == staged.width_ms,
            start >= first.c.window_start_ms - windows * staged.width_ms,
            start < first.c.window_start_ms,
        ),
    )
    places = np.searchsorted(staged.ordinal, rows[:, 0])
    counts = np.zeros((len(staged.ordinal), windows), dtype=np.int64)
    columns = windows - (staged.window_start_ms[places] - rows[:, 1]) // staged.width_ms
    # A count is below zero while a move is folded and the backfill that counted the case first is not.
    counts[places, columns] = np.maximum(rows[:, 2], 0)
    return counts[_first_of_equal(staged.window_start_ms, *(getattr(staged, name) for name in of))]


def _same(table: Table, first: Any, of: tuple[str, ...]) -> ColumnElement[bool]:
    both = [table.c[name] == (first.c[name] if name in of else ANY) for name in ("drug_id", "reaction_id")]
    return both[0] & both[1]


def _first_of_equal(*keys: Ints) -> NDArray[np.intp]:
    """(n,) for each place the first place at which all keys are the same."""
    _, first, group = np.unique(np.stack(keys), axis=1, return_index=True, return_inverse=True)
    places: NDArray[np.intp] = first[group.reshape(-1)]
    return places


def _first_windows_of_drugs(connection: Connection, staged: Staged) -> Ints:
    """(n,) start of the window in which each candidate's drug was first reported."""
    c, t = stage_candidate.c, window_total.c
    drugs = select(c.drug_id).where(c.width_ms == staged.width_ms).distinct().subquery()
    first = (
        select(func.min(t.window_start_ms))
        .where(t.width_ms == staged.width_ms, t.drug_id == drugs.c.drug_id, t.reaction_id == ANY)
        .scalar_subquery()
    )
    rows = _integers(connection, select(drugs.c.drug_id, first.label("first")))
    rows = rows[np.argsort(rows[:, 0])]
    starts: Ints = rows[np.searchsorted(rows[:, 0], staged.drug_id), 1]
    return starts


def _integers(connection: Connection, query: Select[Any]) -> Ints:
    """(rows, columns) of a query whose columns are all integers."""
    columns = len(query.selected_columns)
    values = np.fromiter(chain.from_iterable(connection.execute(query)), dtype=np.int64)
    return values.reshape(-1, columns)
