"""Does everything add up? What the receipts say against the rows that are there."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Engine, FromClause, func, select

from sql.connection import READ
from sql.quarantine import State
from sql.schema import alert, ingest_task, quarantined_report, safety_report, spike

__all__ = ["Accounting", "account"]


@dataclass(frozen=True)
class Accounting:
    """Totals over everything ever received."""

    received: int
    stored: int
    quarantined: int
    duplicates: int
    quarantined_by_reason: dict[str, int]
    unscored: int
    flagged: int
    unfolded_receipts: int
    spikes: int
    alerts_open: int
    alerts_total: int
    unaccounted: int
    """Events received for which no row or counted duplicate exists; anything but 0 is a defect."""
    awaiting_replay: int = 0
    """Of the quarantined, those marked for replay."""


def account(engine: Engine, hub: str | None = None) -> Accounting:
    """Count over all hubs, or (for what receipts tell) over one.

    `unaccounted` sets the ranges of the receipts against the rows themselves, not against the receipts' own sums.
    What was replayed is in quarantine no more; what was discarded or pruned still is.
    """
    t, r, q = ingest_task.c, safety_report.c, quarantined_report.c
    mine = (t.hub == hub,) if hub is not None else ()
    with engine.connect().execution_options(**READ) as connection, connection.begin():

        def count(table: FromClause, *where: ColumnElement[bool]) -> int:
            return connection.scalar(select(func.count()).select_from(table).where(*where)) or 0

        ranges = connection.execute(
            select(
                func.coalesce(func.sum(t.last_sequence - t.first_sequence + 1), 0),
                func.coalesce(func.sum(t.duplicates), 0),
            ).where(*mine)
        ).one()
        received, duplicates = int(ranges[0]), int(ranges[1])
        reports = safety_report.join(ingest_task, t.receipt_id == r.receipt_id)
        refused = quarantined_report.join(ingest_task, t.receipt_id == q.receipt_id)
        stored = count(reports, *mine)
        there = (*mine, q.state != State.REPLAYED.value)
        quarantined = count(refused, *there)
        by_reason: dict[str, int] = {}
        reasons = select(q.reasons, func.count().label("n")).select_from(refused).where(*there).group_by(q.reasons)
        for row in connection.execute(reasons):
            for reason in row.reasons.split(","):
                by_reason[reason] = by_reason.get(reason, 0) + row.n
        return Accounting(
            received=received,
            stored=stored,
            quarantined=quarantined,
            duplicates=duplicates,
            quarantined_by_reason=dict(sorted(by_reason.items())),
            unscored=count(reports, *mine, r.anomaly_score.is_(None)),
            flagged=count(reports, *mine, r.anomaly_level > 0),
            unfolded_receipts=count(ingest_task, *mine, t.folded_at.is_(None)),
            spikes=count(spike),
            alerts_open=count(alert, alert.c.status == "open"),
            alerts_total=count(alert),
            unaccounted=received - stored - quarantined - duplicates,
            awaiting_replay=count(refused, *mine, q.state == State.REPLAY.value),
        )
