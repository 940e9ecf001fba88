"""What the spike rules hold candidate windows against: the windows before them, once per pair, drug and reaction.

Every query is driven from the staged candidates, so that it costs what they cost, never what is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Integer,
    Select,
    SmallInteger,
    Table,
    bindparam,
    func,
    insert,
    select,
)
from sqlalchemy.engine import Connection

from models.spikes.counts import CandidateCounts
from sql.dialect import empty
from sql.keys import ANY
from sql.schema import case_pair, reaction_window, spike, window_total
from sql.windows import staging, window_start

__all__ = ["Staged", "fetch_counts", "fetch_history", "first_window", "read_staged", "stage", "stage_candidate"]

Ints = NDArray[np.int64]

_AT_ONCE = 32
"""Windows looked up by one statement: databases limit how long a statement may be."""

_ROWS_AT_ONCE = 250
"""Candidates staged by one statement; SQL Server takes 2,100 parameters at most."""

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


def stage(connection: Connection, staged: Staged) -> None:
    """Stage these candidates and nothing else; `read_staged` need not read them again."""
    names = [column.name for column in stage_candidate.c if column.name != "width_ms"]
    rows = [
        {"width_ms": staged.width_ms, **dict(zip(names, values, strict=True))}
        for values in zip(*(getattr(staged, name).tolist() for name in names), strict=True)
    ]
    empty(connection, stage_candidate)
    for first in range(0, len(rows), _ROWS_AT_ONCE):
        # Rows of one statement: of many, Microsoft's driver would ask for the types, which ends the transaction.
        connection.execute(insert(stage_candidate).values(rows[first : first + _ROWS_AT_ONCE]))


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
    first_ms = first_window(connection, width_ms)
    assert first_ms is not None
    before = np.arange(windows, 0, -1, dtype=np.int64)

    def history(table: Table, *of: str) -> Ints:
        return fetch_history(connection, staged, before, table, of)

    total = history(window_total)
    return CandidateCounts(
        cases=staged.cases,
        history=history(reaction_window, "drug_id", "reaction_id"),
        # The first window ever is incomplete, and one without any report at all tells of an outage, not of drugs.
        usable=(starts[:, None] - width_ms * before > first_ms) & (total > 0) & ~_alarmed(connection, staged, windows),
        drug_history=history(window_total, "drug_id"),
        reaction_history=history(window_total, "reaction_id"),
        total_history=total,
        drug_age_windows=(starts - _first_windows_of_drugs(connection, staged)) // width_ms,
    )


def fetch_history(connection: Connection, staged: Staged, back: Ints, table: Table, of: tuple[str, ...]) -> Ints:
    """(n, B) counts in the windows `back` (B,) before: rows of `table`, each looked up by its whole key.

    Candidates that share their window and the columns `of` share their history: it is read for the first of them.
    """
    same = _first_of_equal(staged.window_start_ms, *(getattr(staged, name) for name in of))
    parts = []
    for first in range(0, back.size, _AT_ONCE):
        some = back[first : first + _AT_ONCE]
        ages = {f"age_{place}": int(age) * staged.width_ms for place, age in enumerate(some)}
        rows = _integers(connection, _history_query(table, of, some.size), {"width_ms": staged.width_ms, **ages})
        rows = rows[np.argsort(rows[:, 0])]
        parts.append(rows[np.searchsorted(rows[:, 0], staged.ordinal[same]), 1:])
    # A count is below zero while a move is folded and the backfill that counted the case first is not.
    return np.maximum(np.concatenate(parts, axis=1), 0)


@cache
def _history_query(table: Table, of: tuple[str, ...], windows: int) -> Select[Any]:
    """A row per history: ordinal of the first candidate that has it, and its counts in so many windows.

    Takes `width_ms` and, as `age_N`, how long ago the N-th window began. Made once, for it is a long one.
    """
    c, width = stage_candidate.c, bindparam("width_ms", type_=BigInteger)
    shared = [c.window_start_ms, *(c[name] for name in of)]
    first = (
        select(func.min(c.ordinal).label("ordinal"), *shared).where(c.width_ms == width).group_by(*shared).subquery()
    )

    def cases(place: int) -> ColumnElement[int]:
        # As a scalar query of the staged rows, for a join might be driven from the whole of the other side.
        at = (
            table.c.width_ms == width,
            table.c.window_start_ms == first.c.window_start_ms - bindparam(f"age_{place}", type_=BigInteger),
            *(table.c[name] == (first.c[name] if name in of else ANY) for name in ("drug_id", "reaction_id")),
        )
        return func.coalesce(select(table.c.cases).where(*at).correlate(first).scalar_subquery(), 0)

    return select(first.c.ordinal, *(cases(place).label(f"at_{place}") for place in range(windows)))


def _alarmed(connection: Connection, staged: Staged, windows: int) -> NDArray[np.bool_]:
    """(n, windows) True where the pair was found to spike. Findings are few: all of the time in question are read."""
    s, starts, width_ms = spike.c, staged.window_start_ms, staged.width_ms
    rows = _integers(
        connection,
        select(s.window_start_ms, s.drug_id, s.reaction_id).where(
            s.width_ms == width_ms,
            s.window_start_ms >= int(starts.min()) - windows * width_ms,
            s.window_start_ms < int(starts.max()),
        ),
    )
    alarmed = np.zeros((starts.size, windows), dtype=np.bool_)
    for start, drug_id, reaction_id in rows:
        back = (starts - start) // width_ms
        same = (staged.drug_id == drug_id) & (staged.reaction_id == reaction_id) & (back >= 1) & (back <= windows)
        alarmed[same, windows - back[same]] = True
    return alarmed


def _first_of_equal(*keys: Ints) -> NDArray[np.intp]:
    """(n,) for each place the first place at which all keys are the same."""
    _, first, group = np.unique(np.stack(keys), axis=1, return_index=True, return_inverse=True)
    places: NDArray[np.intp] = first[group.reshape(-1)]
    return places


def _first_windows_of_drugs(connection: Connection, staged: Staged) -> Ints:
    """(n,) start of the window in which each candidate's drug was first reported."""
    c, p = stage_candidate.c, case_pair.c
    drugs = select(c.drug_id).where(c.width_ms == staged.width_ms).distinct().subquery()
    first = select(func.min(p.event_ms)).where(p.drug_id == drugs.c.drug_id).scalar_subquery()
    rows = _integers(connection, select(drugs.c.drug_id, first.label("first")))
    rows = rows[np.argsort(rows[:, 0])]
    return window_start(rows[np.searchsorted(rows[:, 0], staged.drug_id), 1], staged.width_ms)


def _integers(connection: Connection, query: Select[Any], values: Mapping[str, int] | None = None) -> Ints:
    """(rows, columns) of a query whose columns are all integers."""
    found = connection.execute(query, values)
    parts = [np.fromiter(chain.from_iterable(rows), dtype=np.int64) for rows in found.partitions(1_000)]
    return np.concatenate([np.zeros(0, dtype=np.int64), *parts]).reshape(-1, len(query.selected_columns))
