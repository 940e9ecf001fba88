"""What the store must hold, told from the events that were read: without their order, batches or repetitions.

Only which of two conflicting contents of a report is kept depends on the order; that much is taken from the store.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, Select, func, select

from sql.accounting import account
from sql.connection import READ
from sql.keys import ANY, name_key
from sql.positions import Source
from sql.schema import (
    case_pair,
    quarantined_report,
    reaction_window,
    report_drug,
    report_reaction,
    safety_report,
    window_clock,
    window_delta,
    window_total,
)
from sql.staging import Accepted, Refused
from sql.windows import window_start

__all__ = ["Content", "Event", "check_store", "content_of", "stored_content"]

Event = Accepted | Refused
ReportKey = tuple[int, int]


@dataclass
class Content:
    """Reports, their items, counted pairs and quarantine, as sets of plain values."""

    reports: dict[ReportKey, bytes] = field(default_factory=dict)
    drugs: set[tuple[int, ...]] = field(default_factory=set)
    reactions: set[tuple[int, ...]] = field(default_factory=set)
    pairs: dict[tuple[int, int, int], int] = field(default_factory=dict)
    quarantined: set[tuple[str, int, str, int, bytes]] = field(default_factory=set)
    duplicates: int = 0

    def windows(self, width_ms: int) -> Counter[tuple[int, ...]]:
        """Cases per (drug, reaction, window start)."""
        return Counter((d, r, window_start(at, width_ms)) for (_, d, r), at in self.pairs.items())


def content_of(read: Mapping[Source, Sequence[Event]], kept: Mapping[ReportKey, bytes]) -> Content:
    """The content that the events of every partition make; `kept` decides between conflicting ones."""
    content = Content()
    for source, events in read.items():
        for event in events:
            key = _key(event)
            if key is None or event.report.digest != kept.get(key, event.report.digest):
                place = (source.hub, source.generation, source.partition_id)
                content.quarantined.add((*place, event.sequence, event.body))
            else:
                _add(content, key, event)
    return content


def stored_content(engine: Engine) -> Content:
    """The content that is there."""
    p, q, r = case_pair.c, quarantined_report.c, safety_report.c
    return Content(
        reports={(row[0], row[1]): bytes(row[2]) for row in _rows(engine, select(r.case_key, r.version, r.digest))},
        drugs={tuple(row) for row in _rows(engine, _items(report_drug, "drug_id"))},
        reactions={tuple(row) for row in _rows(engine, _items(report_reaction, "reaction_id"))},
        pairs={
            (row[0], row[1], row[2]): row[3]
            for row in _rows(engine, select(p.case_key, p.drug_id, p.reaction_id, p.event_ms))
        },
        quarantined={
            (row[0], row[1], row[2], row[3], bytes(row[4]))
            for row in _rows(engine, select(q.hub, q.generation, q.partition_id, q.sequence, q.body))
        },
        duplicates=account(engine).duplicates,
    )


def check_store(engine: Engine, read: Mapping[Source, Sequence[Event]]) -> None:
    """Assert that the store holds what was read, once, and that its counts and receipts say the same."""
    found = stored_content(engine)
    wanted = content_of(read, found.reports)
    assert found == wanted
    totals = account(engine)
    assert (totals.unaccounted, totals.received) == (0, sum(map(len, read.values())))
    assert (totals.stored, totals.quarantined) == (len(wanted.reports), len(wanted.quarantined))
    d, w = window_delta.c, reaction_window.c
    waiting = _rows(engine, select(d.drug_id, d.reaction_id, d.event_ms, d.delta))
    for (width_ms,) in _rows(engine, select(window_clock.c.width_ms)):
        counts: Counter[tuple[int, ...]] = Counter()
        kept = select(w.drug_id, w.reaction_id, w.window_start_ms, w.cases).where(w.width_ms == width_ms)
        for *key, cases in _rows(engine, kept):
            counts[tuple(key)] += cases
        _check_totals(engine, width_ms, counts)
        for drug_id, reaction_id, event_ms, delta in waiting:
            counts[drug_id, reaction_id, window_start(event_ms, width_ms)] += delta
        assert {key: n for key, n in counts.items() if n} == wanted.windows(width_ms)


def _key(event: Event) -> ReportKey | None:
    if isinstance(event, Refused):
        return None
    return name_key(event.report.safetyreportid), event.report.version


def _add(content: Content, key: ReportKey, event: Accepted) -> None:
    report = event.report
    content.duplicates += key in content.reports
    content.reports[key] = report.digest
    content.drugs |= {(*key, i, name_key(d.name)) for i, d in enumerate(report.drugs) if d.name}
    content.reactions |= {(*key, i, name_key(r.term)) for i, r in enumerate(report.reactions) if r.term}
    for drug, term in report.pairs():
        pair = (key[0], name_key(drug), name_key(term))
        content.pairs[pair] = min(content.pairs.get(pair, event.event_ms), event.event_ms)


def _check_totals(engine: Engine, width_ms: int, counts: Mapping[tuple[int, ...], int]) -> None:
    """The totals are the sums of the windows, row by row."""
    wanted: Counter[tuple[int, ...]] = Counter()
    for (drug_id, reaction_id, start), cases in counts.items():
        for key in ((drug_id, ANY, start), (ANY, reaction_id, start), (ANY, ANY, start)):
            wanted[key] += cases
    t = window_total.c
    query = select(t.drug_id, t.reaction_id, t.window_start_ms, func.sum(t.cases)).where(t.width_ms == width_ms)
    rows = _rows(engine, query.group_by(t.drug_id, t.reaction_id, t.window_start_ms))
    assert {tuple(key): int(n) for *key, n in rows if n} == {key: n for key, n in wanted.items() if n}


def _items(table: Any, name: str) -> Select[Any]:
    r = safety_report.c
    of = (table.c.receipt_id == r.receipt_id, table.c.sequence == r.sequence)
    return select(r.case_key, r.version, table.c.ordinal, table.c[name]).where(*of)


def _rows(engine: Engine, query: Select[Any]) -> list[Any]:
    with engine.connect().execution_options(**READ) as connection, connection.begin():
        return list(connection.execute(query).all())
