"""How soon an alert came: batches between the one whose counts first met the rule and the one that alerted."""

from __future__ import annotations

import datetime as dt

import numpy as np
from sqlalchemy import Engine, RowMapping, func, select
from sqlalchemy.engine import Connection

from models.spikes import CandidateCounts, RuleBook, evaluate, open_verdict
from sql.connection import READ
from sql.dialect import create_staging
from sql.history import Staged, fetch_counts, stage
from sql.schema import alert, case_pair, ingest_task, spike
from sql.windows import staging

__all__ = ["batches_to_alert"]


def batches_to_alert(engine: Engine, alert_id: str, rules: RuleBook) -> int | None:
    """Commits with reports after the one that stored the deciding case, up to the one that opened the alert.

    The deciding case is that by which the window that was found first stood out of the pair's own past, at the level of
    an open window; it may be found later, for drug, reaction and retold cases are looked at as well. 0: that very
    commit alerted. None: no such alert, or a window that never stood out so far.
    """
    with engine.connect() as connection:
        create_staging(connection.execution_options(**READ), staging)
        with connection.begin():
            first = _first_finding(connection, alert_id)
            if first is None:
                return None
            of_width = rules.of(first["width_ms"])
            stored = _stored_at(connection, first)
            judged = evaluate(_growing(connection, first, len(stored), of_width.spikes.baseline_windows), of_width)
            deciding = np.flatnonzero(open_verdict(judged.evaluation, judged.told_once, of_width.spikes))
            if not deciding.size:
                return None
            decided, found_at = stored[deciding[0]], first["found_at"]
            if decided >= found_at:  # a commit marks its receipts last
                return 0
            t = ingest_task.c
            between = select(func.count(t.folded_at.distinct())).where(t.folded_at > decided, t.folded_at <= found_at)
            return int(connection.scalar(between) or 0) + 1


def _first_finding(connection: Connection, alert_id: str) -> RowMapping | None:
    """The finding that came first within the alert's episode."""
    told = connection.execute(select(alert).where(alert.c.alert_id == alert_id)).mappings().first()
    if told is None:
        return None
    s = spike.c
    query = (
        select(spike)
        .where(s.drug_id == told["drug_id"], s.reaction_id == told["reaction_id"])
        .where(s.window_start_ms + s.width_ms > told["since_ms"])
        .order_by(s.found_at, s.width_ms)
        .limit(1)
    )
    return connection.execute(query).mappings().first()


def _stored_at(connection: Connection, found: RowMapping) -> list[dt.datetime]:
    """When each case of the window was counted, ascending."""
    p, t = case_pair.c, ingest_task.c
    start = found["window_start_ms"]
    query = (
        select(t.folded_at)
        .select_from(case_pair.join(ingest_task, t.receipt_id == p.moved_by))
        .where(p.drug_id == found["drug_id"], p.reaction_id == found["reaction_id"])
        .where(p.event_ms >= start, p.event_ms < start + found["width_ms"])
        .order_by(t.folded_at)
    )
    return list(connection.scalars(query))


def _growing(connection: Connection, found: RowMapping, cases: int, windows: int) -> CandidateCounts:
    """The window with 1, 2, ... `cases` cases, each after the `windows` windows before it as they are now."""
    same = {name: np.full(cases, found[name], dtype=np.int64) for name in ("window_start_ms", "drug_id", "reaction_id")}
    number = np.arange(1, cases + 1, dtype=np.int64)
    staged = Staged(found["width_ms"], ordinal=number, cases=number, touched=np.ones_like(number), **same)
    stage(connection, staged)
    return fetch_counts(connection, staged, windows)
