"""How soon an alert came: batches between the one whose counts first met the rule and the one that alerted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Engine, func, select

from sql.connection import READ
from sql.schema import alert, case_pair, ingest_task, spike

__all__ = ["FirstFinding", "batches_to_alert"]


@dataclass(frozen=True)
class FirstFinding:
    """The finding that came first within an alert's episode."""

    width_ms: int
    windows: int
    expected: float
    spread: float


def batches_to_alert(engine: Engine, alert_id: str, least_cases: Callable[[FirstFinding], int]) -> int | None:
    """Commits with reports after the one that stored the deciding case, up to the one that opened the alert.

    The deciding case is the `least_cases`-th that was stored of the windows first found. 0: that very commit alerted.
    None: no such alert, or never so many cases.
    """
    with engine.connect().execution_options(**READ) as connection, connection.begin():
        told = connection.execute(select(alert).where(alert.c.alert_id == alert_id)).mappings().first()
        if told is None:
            return None
        s = spike.c
        first = (
            connection.execute(
                select(spike)
                .where(s.drug_id == told["drug_id"], s.reaction_id == told["reaction_id"])
                .where(s.window_start_ms + s.width_ms > told["since_ms"])
                .order_by(s.found_at, s.width_ms)
                .limit(1)
            )
            .mappings()
            .first()
        )
        if first is None:
            return None
        needed = least_cases(FirstFinding(*(first[name] for name in FirstFinding.__dataclass_fields__)))
        p, t = case_pair.c, ingest_task.c
        begin = first["window_start_ms"] - (first["windows"] - 1) * first["width_ms"]
        stored = connection.scalars(
            select(t.folded_at)
            .select_from(case_pair.join(ingest_task, t.receipt_id == p.moved_by))
            .where(p.drug_id == told["drug_id"], p.reaction_id == told["reaction_id"])
            .where(p.event_ms >= begin, p.event_ms < first["window_start_ms"] + first["width_ms"])
            .order_by(t.folded_at)
            .limit(needed)
        ).all()
        if len(stored) < needed:
            return None
        decided, found_at = stored[-1], first["found_at"]
        if decided >= found_at:  # a commit marks its receipts last
            return 0
        between = select(func.count(t.folded_at.distinct())).where(t.folded_at > decided, t.folded_at <= found_at)
        return int(connection.scalar(between) or 0) + 1
