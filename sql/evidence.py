"""Evidence beside findings: how the pair stands since counting began, and what the cases of the spike have in common.

Four-fold tables come from the counts of the widest width kept: every width holds all that is folded, the widest in the
fewest rows. Look-ups are driven from the staged findings and the windows with a report, so that they cost what these
cost, never what is stored of other drugs and reactions.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    CompoundSelect,
    Integer,
    Select,
    Table,
    and_,
    func,
    insert,
    literal,
    select,
    union,
    union_all,
)
from sqlalchemy.engine import Connection

from models.spikes.disproportionality import Evidence, disproportionality
from sql.dialect import empty
from sql.history import first_window
from sql.keys import ANY
from sql.schema import case_pair, reaction_window, safety_report, window_clock, window_total
from sql.windows import staging

__all__ = ["FoundSpan", "fetch_evidence"]

_SPANS = 400
"""Findings staged in one statement; SQL Server takes 2,100 parameters and 1,000 rows at most."""

stage_span = Table(
    "#stage_span",
    staging,
    Column("ordinal", Integer, primary_key=True, autoincrement=False),
    Column("drug_id", BigInteger, nullable=False),
    Column("reaction_id", BigInteger, nullable=False),
    Column("from_ms", BigInteger, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
    prefixes=["TEMPORARY"],
)

stage_block = Table(
    "#stage_block",
    staging,
    Column("length_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("start_ms", BigInteger, primary_key=True, autoincrement=False),
    prefixes=["TEMPORARY"],
    sqlite_with_rowid=False,
)


@dataclass(frozen=True)
class FoundSpan:
    """A finding: the pair, and the time [from_ms, until_ms) (UTC ms) of the windows it is about."""

    drug_id: int
    reaction_id: int
    from_ms: int
    until_ms: int


@dataclass(frozen=True)
class _Report:
    """What the latest version of a case says."""

    sender: str | None
    duplicate_number: str | None
    serious: bool | None


def fetch_evidence(connection: Connection, found: Sequence[FoundSpan]) -> list[Evidence]:
    """The evidence of each finding, in the order given.

    For a transaction of a connection that has the temporary tables of `sql.windows.staging`, as a commit has after its
    fold: what it has folded counts. Cases of a span are told by their latest version, folded or not.
    """
    if not found:
        return []
    _stage_spans(connection, found)
    table = _four_fold_tables(connection, found)
    measures = vars(disproportionality(*table))
    reports = _latest_reports(connection)
    return [
        _evidence(int(table[0, n]), {name: float(of[n]) for name, of in measures.items()}, reports[n])
        for n in range(len(found))
    ]


def _evidence(cases: int, measures: Mapping[str, float], reports: Sequence[_Report]) -> Evidence:
    senders = Counter(report.sender for report in reports if report.sender is not None)
    numbers = Counter(report.duplicate_number for report in reports if report.duplicate_number is not None)
    serious = [report.serious for report in reports if report.serious is not None]
    return Evidence(
        cases=cases,
        **measures,
        largest_sender_share=max(senders.values()) / len(reports) if senders else None,
        same_duplicate_number=sum(n for n in numbers.values() if n > 1),
        serious_share=sum(serious) / len(serious) if serious else None,
    )


def _stage_spans(connection: Connection, found: Sequence[FoundSpan]) -> None:
    empty(connection, stage_span)
    rows = [{"ordinal": ordinal, **vars(span)} for ordinal, span in enumerate(found)]
    for first in range(0, len(rows), _SPANS):
        # Rows of one statement: of many, Microsoft's driver would ask for the types, which ends the transaction.
        connection.execute(insert(stage_span).values(rows[first : first + _SPANS]))


def _latest_reports(connection: Connection) -> defaultdict[int, list[_Report]]:
    """Per ordinal, the latest version of every case that counts in the span."""
    s, p, r = stage_span.c, case_pair.c, safety_report.c

    def latest(column: Column[Any]) -> ColumnElement[Any]:
        # As a scalar query of each case, for a join might read all reports.
        newest = select(column).where(r.case_key == p.case_key).order_by(r.version.desc()).limit(1)
        return newest.correlate(case_pair).scalar_subquery().label(column.name)

    counted = and_(
        p.drug_id == s.drug_id, p.reaction_id == s.reaction_id, p.event_ms >= s.from_ms, p.event_ms < s.until_ms
    )
    query = select(s.ordinal, latest(r.sender), latest(r.duplicate_number), latest(r.serious)).join_from(
        stage_span, case_pair, counted
    )
    reports: defaultdict[int, list[_Report]] = defaultdict(list)
    for ordinal, *said in connection.execute(query):
        reports[ordinal].append(_Report(*said))
    return reports


def _four_fold_tables(connection: Connection, found: Sequence[FoundSpan]) -> NDArray[np.int64]:
    """(4, n) cases of each pair, of its drug, of its reaction, and of all pairs."""
    counts = _counts(connection)
    keys = [(f.drug_id, f.reaction_id) for f in found]
    of_each = [[(d, r), (d, ANY), (ANY, r), (ANY, ANY)] for d, r in keys]
    table = np.array([[counts.get(key, 0) for key in of] for of in of_each], dtype=np.int64)
    # Pairs and totals are read one after the other, and a backfill may commit in between: they need not add up.
    pair, drug, reaction, total = table.T
    pair = np.maximum(pair, 0)
    drug, reaction = np.maximum(drug, pair), np.maximum(reaction, pair)
    return np.stack([pair, drug, reaction, np.maximum(total, drug + reaction - pair)])


def _counts(connection: Connection) -> dict[tuple[int, int], int]:
    """Cases since counting began per (drug, reaction) of the staged findings, and with `ANY` for one or both."""
    width_ms = connection.scalar(select(func.max(window_clock.c.width_ms)))
    if width_ms is None:
        return {}
    _stage_windows(connection, width_ms)
    s, all_of = stage_span.c, literal(ANY, BigInteger)
    pairs = select(s.drug_id, s.reaction_id).distinct()
    margins = union(
        select(s.drug_id, all_of.label("reaction_id")),
        select(all_of.label("drug_id"), s.reaction_id),
        select(all_of.label("drug_id"), all_of.label("reaction_id")),
    )
    return _sums(connection, width_ms, reaction_window, pairs) | _sums(connection, width_ms, window_total, margins)


def _sums(
    connection: Connection, width_ms: int, table: Table, keys: Select[Any] | CompoundSelect[Any]
) -> dict[tuple[int, int], int]:
    """The cases of each wanted (drug_id, reaction_id) in `table`, over the staged windows."""
    key, b, t = keys.subquery(), stage_block.c, table.c
    at = (
        t.width_ms == width_ms,
        t.window_start_ms == b.start_ms,
        t.drug_id == key.c.drug_id,
        t.reaction_id == key.c.reaction_id,
    )
    # As a scalar query of the staged rows, for a join might be driven from the whole of the other side.
    cases = select(t.cases).where(*at).correlate(key, stage_block).scalar_subquery().label("cases")
    each = select(*key.c, cases).join_from(key, stage_block, b.length_ms == width_ms).subquery()
    summed = select(each.c.drug_id, each.c.reaction_id, func.sum(each.c.cases)).group_by(*each.c[:2])
    return {(drug_id, reaction_id): int(n or 0) for drug_id, reaction_id, n in connection.execute(summed)}


def _stage_windows(connection: Connection, width_ms: int) -> None:
    """Stage the windows with a report as blocks of one width: the whole time, halved again and again.

    A half is kept where the first row in it is found, so that neither what lies in windows nor a long silence is read.
    """
    b, t = stage_block.c, window_total.c
    empty(connection, stage_block)
    first_ms = first_window(connection, width_ms)
    last_ms = connection.scalar(select(func.max(t.window_start_ms)).where(t.width_ms == width_ms))
    if first_ms is None or last_ms is None:
        return
    length_ms = width_ms
    while first_ms + length_ms <= last_ms:
        length_ms *= 2
    connection.execute(insert(stage_block).values(length_ms=length_ms, start_ms=first_ms))
    while length_ms > width_ms:
        half_ms = length_ms // 2
        half = union_all(
            *(
                select(literal(half_ms, BigInteger).label("length_ms"), start.label("start_ms")).where(
                    b.length_ms == length_ms
                )
                for start in (b.start_ms, b.start_ms + half_ms)
            )
        ).subquery()
        inside = (t.window_start_ms >= half.c.start_ms, t.window_start_ms < half.c.start_ms + half_ms)
        first = select(func.min(t.window_start_ms)).where(t.width_ms == width_ms, *inside).correlate(half)
        kept = select(*half.c).where(first.scalar_subquery().is_not(None))
        connection.execute(insert(stage_block).from_select(["length_ms", "start_ms"], kept))
        length_ms = half_ms
