"""What a live view shows of the store: totals, the newest windows, the pairs with most cases in them.

Meant to be asked every second beside a running stream: a handful of statements over receipts, the quarantine and the
newest windows, none of which reads the reports, waits for a writer or keeps one waiting.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Engine, FromClause, and_, func, inspect, select
from sqlalchemy.engine import Connection

from sql.connection import READ
from sql.quarantine import State
from sql.schema import drug, ingest_task, quarantined_report, reaction, reaction_window, spike, window_clock

__all__ = ["Overview", "PairTrend", "Totals", "read_overview"]


@dataclass(frozen=True)
class Totals:
    """What became of the events received; the first is the sum of the others."""

    received: int = 0
    stored: int = 0
    quarantined: int = 0
    duplicates: int = 0


@dataclass(frozen=True)
class PairTrend:
    """One pair in the newest window and those before."""

    drug: str
    reaction: str
    cases: int
    """Distinct cases in the newest window, which may still be open."""
    expected: float | None
    """What the latest finding among the windows shown expected of a whole window; None: there is no finding."""
    trend: tuple[int, ...]
    """Cases of consecutive windows, oldest first; the last is the newest window."""


@dataclass(frozen=True)
class Overview:
    """The store at one moment."""

    hub: Totals
    """From the hub asked for."""
    others: Totals
    """From everything else: backfilled files, other hubs."""
    quarantined_by_reason: dict[str, int]
    """Reports of the hub asked for per reason; one with several reasons is in each."""
    watched: dict[int, int]
    """Per width (ms): pairs with a case in the newest window."""
    window_start_ms: int | None
    """Start (UTC ms) of the newest window of the width asked for; None: no case has been counted yet."""
    top: tuple[PairTrend, ...]
    """Pairs of that window, most cases first."""


def read_overview(
    engine: Engine, hub: str, *, widths_ms: Sequence[int], shown_ms: int, pairs: int, windows: int
) -> Overview | None:
    """Totals of `hub`, and of the newest window of width `shown_ms` the first `pairs` pairs over `windows` windows.

    None while the database has no tables.
    """
    with engine.connect().execution_options(**READ) as connection, connection.begin():
        if not inspect(connection).has_table(window_clock.name):
            return None
        mine, others = _totals(connection, hub)
        newest = {width: start for width in widths_ms if (start := _newest(connection, width)) is not None}
        return Overview(
            hub=mine,
            others=others,
            quarantined_by_reason=_reasons(connection, hub),
            watched={width: _watched(connection, width, start) for width, start in newest.items()},
            window_start_ms=newest.get(shown_ms),
            top=_top(connection, shown_ms, newest[shown_ms], pairs, windows) if shown_ms in newest else (),
        )


def _totals(connection: Connection, hub: str) -> tuple[Totals, Totals]:
    t = ingest_task.c
    sums = [func.sum(c) for c in (t.last_sequence - t.first_sequence + 1, t.stored, t.quarantined, t.duplicates)]
    found = {row[0]: [int(n) for n in row[1:]] for row in connection.execute(select(t.hub, *sums).group_by(t.hub))}
    mine = Totals(*found.pop(hub, ()))
    return mine, Totals(*(sum(column) for column in zip(*found.values(), strict=True)))


def _reasons(connection: Connection, hub: str) -> dict[str, int]:
    q = quarantined_report.c
    counts: dict[str, int] = {}
    there = (q.hub == hub, q.state != State.REPLAYED.value)
    rows = select(q.reasons, func.count().label("reports")).where(*there).group_by(q.reasons)
    for row in connection.execute(rows):
        for reason in row.reasons.split(","):
            counts[reason] = counts.get(reason, 0) + row.reports
    return dict(sorted(counts.items()))


def _newest(connection: Connection, width_ms: int) -> int | None:
    w = reaction_window.c
    newest = select(func.max(w.window_start_ms).label("start_ms")).where(w.width_ms == width_ms, w.cases > 0)
    start_ms: int | None = connection.execute(newest).one().start_ms
    return start_ms


def _watched(connection: Connection, width_ms: int, start_ms: int) -> int:
    return connection.scalar(select(func.count()).where(*_in_window(reaction_window, width_ms, start_ms))) or 0


def _top(connection: Connection, width_ms: int, start_ms: int, pairs: int, windows: int) -> tuple[PairTrend, ...]:
    """Ties go to the pair with more cases in the window before, so that a window just begun shows no lottery."""
    w = reaction_window.c
    before, past = reaction_window.alias("before"), reaction_window.alias("past")
    rank = func.row_number().over(
        order_by=(w.cases.desc(), func.coalesce(before.c.cases, 0).desc(), w.drug_id, w.reaction_id)
    )
    first = (
        select(w.drug_id, w.reaction_id, rank.label("place"))
        .select_from(
            reaction_window.outerjoin(
                before, and_(*_same_pair(before, reaction_window), *_in_window(before, width_ms, start_ms - width_ms))
            )
        )
        .where(*_in_window(reaction_window, width_ms, start_ms))
        .subquery("ranked")
    )
    oldest_ms = start_ms - (windows - 1) * width_ms
    in_time = (past.c.width_ms == width_ms, past.c.window_start_ms.between(oldest_ms, start_ms))
    same_window = (spike.c.width_ms == past.c.width_ms, spike.c.window_start_ms == past.c.window_start_ms)
    rows = connection.execute(
        select(
            first.c.place,
            drug.c.name.label("drug"),
            reaction.c.name.label("reaction"),
            past.c.window_start_ms,
            past.c.cases,
            (spike.c.expected / spike.c.windows).label("expected"),
        )
        .select_from(
            first.join(past, and_(*_same_pair(past, first), *in_time))
            .outerjoin(spike, and_(*_same_pair(spike, past), *same_window))
            .join(drug, drug.c.drug_id == first.c.drug_id)
            .join(reaction, reaction.c.reaction_id == first.c.reaction_id)
        )
        .where(first.c.place <= pairs)
        .order_by(first.c.place, past.c.window_start_ms)
    )
    trends: dict[tuple[str, str], list[int]] = {}
    expected: dict[tuple[str, str], float] = {}
    for row in rows:
        pair = (row.drug, row.reaction)
        trends.setdefault(pair, [0] * windows)[(row.window_start_ms - oldest_ms) // width_ms] = row.cases
        if row.expected is not None:
            expected[pair] = row.expected
    return tuple(PairTrend(*pair, trend[-1], expected.get(pair), tuple(trend)) for pair, trend in trends.items())


def _in_window(windows: FromClause, width_ms: int, start_ms: int) -> tuple[ColumnElement[bool], ...]:
    """Rows of one window that hold a case."""
    return windows.c.width_ms == width_ms, windows.c.window_start_ms == start_ms, windows.c.cases > 0


def _same_pair(left: FromClause, right: FromClause) -> tuple[ColumnElement[bool], ...]:
    return left.c.drug_id == right.c.drug_id, left.c.reaction_id == right.c.reaction_id
