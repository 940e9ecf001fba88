"""Which windows are worth judging, and their history: fetched set-based, only at or above the minimum count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    Row,
    Select,
    SmallInteger,
    Table,
    and_,
    func,
    insert,
    literal,
    or_,
    select,
    union,
)
from sqlalchemy.engine import Connection

from models.spikes.counts import CandidateCounts
from sql.dialect import empty
from sql.keys import ANY
from sql.schema import reaction_window, spike, window_total
from sql.windows import fold_delta, staging

__all__ = ["Candidates", "ClosingSpan", "fetch_candidates", "stage_candidate"]

stage_candidate = Table(
    "#stage_candidate",
    staging,
    Column("ordinal", Integer, primary_key=True, autoincrement=False),
    Column("width_ms", BigInteger, nullable=False),
    Column("drug_id", BigInteger, nullable=False),
    Column("reaction_id", BigInteger, nullable=False),
    Column("window_start_ms", BigInteger, nullable=False),
    Column("cases", Integer, nullable=False),
    Column("touched", SmallInteger, nullable=False),
    prefixes=["TEMPORARY"],
)


@dataclass(frozen=True)
class ClosingSpan:
    """Windows of one width that close in this commit: those ending after `after_ms`, up to `until_ms`."""

    width_ms: int
    after_ms: int
    until_ms: int


@dataclass(frozen=True)
class Candidates:
    """n windows of one width to be judged, sorted by window, drug and reaction."""

    width_ms: int
    drug_ids: NDArray[np.int64]
    reaction_ids: NDArray[np.int64]
    window_starts_ms: NDArray[np.int64]
    touched: NDArray[np.bool_]
    """The count changed in this commit (else the window is only closing)."""
    counts: CandidateCounts
    tested: Mapping[int, int]
    """Per closing window start: how many pairs have a report in it."""


def fetch_candidates(
    connection: Connection,
    widths_ms: Sequence[int],
    closing: Mapping[int, ClosingSpan],
    min_cases: int,
    baseline_windows: int,
) -> list[Candidates]:
    """Candidates per width: touched windows and closing ones with at least `min_cases` cases."""
    _stage(connection, widths_ms, closing, min_cases)
    c = stage_candidate.c
    rows = connection.execute(select(stage_candidate).order_by(c.ordinal)).all()
    found = []
    for width_ms in sorted({row.width_ms for row in rows}):
        mine = [row for row in rows if row.width_ms == width_ms]
        starts = np.array([row.window_start_ms for row in mine], dtype=np.int64)
        found.append(
            Candidates(
                width_ms=width_ms,
                drug_ids=np.array([row.drug_id for row in mine], dtype=np.int64),
                reaction_ids=np.array([row.reaction_id for row in mine], dtype=np.int64),
                window_starts_ms=starts,
                touched=np.array([bool(row.touched) for row in mine]),
                counts=_counts(connection, width_ms, [row.ordinal for row in mine], starts, baseline_windows, mine),
                tested=_tested(connection, closing.get(width_ms)),
            )
        )
    return found


def _stage(
    connection: Connection, widths_ms: Sequence[int], closing: Mapping[int, ClosingSpan], min_cases: int
) -> None:
    w = reaction_window.c
    columns = (w.width_ms, w.window_start_ms, w.drug_id, w.reaction_id, w.cases)
    same = and_(
        w.width_ms == fold_delta.c.width_ms,
        w.drug_id == fold_delta.c.drug_id,
        w.reaction_id == fold_delta.c.reaction_id,
        w.window_start_ms == fold_delta.c.window_start_ms,
    )
    touched = (
        select(*columns, literal(1).label("touched"))
        .select_from(fold_delta.join(reaction_window, same))
        .where(fold_delta.c.width_ms.in_(widths_ms), fold_delta.c.cases > 0, w.cases >= min_cases)
    )
    spans = [
        and_(
            w.width_ms == span.width_ms,
            w.window_start_ms > span.after_ms - span.width_ms,
            w.window_start_ms <= span.until_ms - span.width_ms,
        )
        for span in closing.values()
    ]
    parts = [touched]
    if spans:
        parts.append(select(*columns, literal(0).label("touched")).where(or_(*spans), w.cases >= min_cases))
    both = union(*parts).subquery()
    key = (both.c.width_ms, both.c.window_start_ms, both.c.drug_id, both.c.reaction_id)
    rows = select(
        func.row_number().over(order_by=key).label("ordinal"),
        *key,
        both.c.cases,
        func.max(both.c.touched).label("touched"),
    ).group_by(*key, both.c.cases)
    empty(connection, stage_candidate)
    connection.execute(insert(stage_candidate).from_select(list(rows.selected_columns.keys()), rows))


def _tested(connection: Connection, span: ClosingSpan | None) -> dict[int, int]:
    if span is None:
        return {}
    w = reaction_window.c
    rows = connection.execute(
        select(w.window_start_ms, func.count().label("pairs"))
        .where(
            w.width_ms == span.width_ms,
            w.window_start_ms > span.after_ms - span.width_ms,
            w.window_start_ms <= span.until_ms - span.width_ms,
            w.cases > 0,
        )
        .group_by(w.window_start_ms)
    )
    return {row.window_start_ms: row.pairs for row in rows}


def _counts(
    connection: Connection,
    width_ms: int,
    ordinals: list[int],
    starts: NDArray[np.int64],
    windows: int,
    rows: Sequence[Row[Any]],
) -> CandidateCounts:
    c, w, t = stage_candidate.c, reaction_window.c, window_total.c
    place = {ordinal: i for i, ordinal in enumerate(ordinals)}

    def before(table: Table) -> Select[tuple[int, int, int]]:
        return select(c.ordinal, table.c.window_start_ms, table.c.cases).where(
            c.width_ms == width_ms,
            table.c.width_ms == width_ms,
            table.c.window_start_ms >= c.window_start_ms - windows * width_ms,
            table.c.window_start_ms < c.window_start_ms,
        )

    def matrix(query: Select[tuple[int, int, int]]) -> NDArray[np.int64]:
        counts = np.zeros((len(ordinals), windows), dtype=np.int64)
        for row in connection.execute(query):
            i = place[row.ordinal]
            # A count is below zero while a move is folded and the backfill that counted the case first is not.
            counts[i, windows - (int(starts[i]) - row.window_start_ms) // width_ms] = max(row.cases, 0)
        return counts

    alarmed = matrix(before(spike).where(spike.c.drug_id == c.drug_id, spike.c.reaction_id == c.reaction_id)) > 0
    first_total = connection.scalar(
        select(func.min(t.window_start_ms)).where(t.width_ms == width_ms, t.drug_id == ANY, t.reaction_id == ANY)
    )
    drugs = select(c.drug_id).where(c.width_ms == width_ms)
    first_of_drug = {
        row.drug_id: row.first
        for row in connection.execute(
            select(t.drug_id, func.min(t.window_start_ms).label("first"))
            .where(t.width_ms == width_ms, t.reaction_id == ANY, t.drug_id.in_(drugs))
            .group_by(t.drug_id)
        )
    }
    total_history = matrix(before(window_total).where(t.drug_id == ANY, t.reaction_id == ANY))
    column_starts = starts[:, None] - width_ms * np.arange(windows, 0, -1, dtype=np.int64)[None, :]
    drug_first = np.array([first_of_drug[row.drug_id] for row in rows], dtype=np.int64)
    return CandidateCounts(
        cases=np.array([row.cases for row in rows], dtype=np.int64),
        history=matrix(before(reaction_window).where(w.drug_id == c.drug_id, w.reaction_id == c.reaction_id)),
        # The first window ever is incomplete, and one without any report at all tells of an outage, not of drugs.
        usable=(column_starts > first_total) & (total_history > 0) & ~alarmed,
        drug_history=matrix(before(window_total).where(t.drug_id == c.drug_id, t.reaction_id == ANY)),
        reaction_history=matrix(before(window_total).where(t.drug_id == ANY, t.reaction_id == c.reaction_id)),
        total_history=total_history,
        drug_age_windows=(starts - drug_first) // width_ms,
    )
