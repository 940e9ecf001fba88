"""Which windows are worth judging: found set-based, only at or above the minimum count, with their history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Select, and_, func, insert, literal, select, union
from sqlalchemy.engine import Connection

from models.spikes.counts import CandidateCounts
from models.spikes.settings import SpikeRules
from sql.dialect import empty
from sql.history import fetch_counts, first_window, read_staged, stage_candidate
from sql.schema import reaction_window
from sql.windows import fold_delta

__all__ = ["Candidates", "ClosingSpan", "fetch_candidates"]


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

    def only(self, chosen: NDArray[np.intp]) -> Candidates:
        """Some of them."""
        return replace(
            self,
            drug_ids=self.drug_ids[chosen],
            reaction_ids=self.reaction_ids[chosen],
            window_starts_ms=self.window_starts_ms[chosen],
            touched=self.touched[chosen],
            counts=self.counts.only(chosen),
        )


def fetch_candidates(
    connection: Connection, rules: Mapping[int, SpikeRules], closing: Mapping[int, ClosingSpan]
) -> list[Candidates]:
    """Candidates per width, by `rules` of each: touched windows and closing ones with at least `min_cases` cases.

    Windows that begin fewer than `warmup_windows` widths after the first report of all are left out.
    """
    _stage(connection, rules, closing)
    found = []
    for width_ms, of_width in sorted(rules.items()):
        staged = read_staged(connection, width_ms)
        if staged.ordinal.size:
            found.append(
                Candidates(
                    width_ms=width_ms,
                    drug_ids=staged.drug_id,
                    reaction_ids=staged.reaction_id,
                    window_starts_ms=staged.window_start_ms,
                    touched=staged.touched > 0,
                    counts=fetch_counts(connection, staged, of_width.baseline_windows),
                    tested=_tested(connection, closing.get(width_ms)),
                )
            )
    return found


def _stage(connection: Connection, rules: Mapping[int, SpikeRules], closing: Mapping[int, ClosingSpan]) -> None:
    empty(connection, stage_candidate)
    parts = []
    for width_ms, of_width in rules.items():
        first = first_window(connection, width_ms)
        if first is not None:
            since_ms = first + of_width.warmup_windows * width_ms
            parts.append(_touched(width_ms, since_ms, of_width.min_cases))
            if width_ms in closing:
                parts.append(_closing(closing[width_ms], since_ms, of_width.min_cases))
    if not parts:
        return
    both = union(*parts).subquery()
    key = (both.c.width_ms, both.c.window_start_ms, both.c.drug_id, both.c.reaction_id)
    rows = select(
        func.row_number().over(order_by=key).label("ordinal"),
        *key,
        both.c.cases,
        func.max(both.c.touched).label("touched"),
    ).group_by(*key, both.c.cases)
    connection.execute(insert(stage_candidate).from_select(list(rows.selected_columns.keys()), rows))


def _touched(width_ms: int, since_ms: int, min_cases: int) -> Select[Any]:
    """Windows that this commit counted another case in."""
    w, f = reaction_window.c, fold_delta.c
    key = (f.width_ms, f.window_start_ms, f.drug_id, f.reaction_id)
    # As a scalar query of the staged rows, for a join might be driven from the whole of the other side.
    cases = select(w.cases).where(*(w[column.name] == column for column in key)).correlate(fold_delta).scalar_subquery()
    return select(*key, cases.label("cases"), literal(1).label("touched")).where(
        f.width_ms == width_ms, f.window_start_ms >= since_ms, f.cases > 0, cases >= min_cases
    )


def _closing(span: ClosingSpan, since_ms: int, min_cases: int) -> Select[Any]:
    w = reaction_window.c
    return select(w.width_ms, w.window_start_ms, w.drug_id, w.reaction_id, w.cases, literal(0).label("touched")).where(
        _closes(span), w.window_start_ms >= since_ms, w.cases >= min_cases
    )


def _closes(span: ClosingSpan) -> ColumnElement[bool]:
    w = reaction_window.c
    return and_(
        w.width_ms == span.width_ms,
        w.window_start_ms > span.after_ms - span.width_ms,
        w.window_start_ms <= span.until_ms - span.width_ms,
    )


def _tested(connection: Connection, span: ClosingSpan | None) -> dict[int, int]:
    if span is None:
        return {}
    w = reaction_window.c
    rows = connection.execute(
        select(w.window_start_ms, func.count().label("pairs"))
        .where(_closes(span), w.cases > 0)
        .group_by(w.window_start_ms)
    )
    return {row.window_start_ms: row.pairs for row in rows}
