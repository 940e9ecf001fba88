"""The newest events a hub has brought, whatever became of them: what the pipeline's suite looks at."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Engine, select
from sqlalchemy.engine import Connection

from expectations.pipeline import Received
from expectations.report import SUSPECT_ROLES
from sql.connection import READ
from sql.retry import persistently
from sql.schema import ingest_task, quarantined_report, report_drug, safety_report

__all__ = ["newest_received"]


def newest_received(engine: Engine, hub: str, events: int) -> list[Received]:
    """The newest `events` of a hub in no order, and the rest of the range in which the oldest of them came.

    Every event counts as what it was when it came, though it may have been replayed since.
    """
    return persistently(lambda: _newest_received(engine, hub, events))


def _newest_received(engine: Engine, hub: str, events: int) -> list[Received]:
    with engine.connect().execution_options(**READ) as connection, connection.begin():
        since, duplicates = _receipts(connection, hub, events)
        if since is None:
            return []
        received = [Received("duplicate")] * duplicates
        received += _stored(connection, hub, since)
        received += _quarantined(connection, hub, since)
        return received


def _receipts(connection: Connection, hub: str, events: int) -> tuple[int | None, int]:
    """From which receipt on there are so many events, and how many of them are duplicates."""
    t = ingest_task.c
    query = (
        select(t.receipt_id, t.first_sequence, t.last_sequence, t.duplicates)
        .where(t.hub == hub, t.last_sequence >= t.first_sequence)  # a replay receives nothing
        .order_by(t.receipt_id.desc())
        .limit(events)
    )
    since, received, duplicates = None, 0, 0
    for row in connection.execute(query):
        since = row.receipt_id
        received += row.last_sequence - row.first_sequence + 1
        duplicates += row.duplicates
        if received >= events:
            break
    return since, duplicates


def _stored(connection: Connection, hub: str, since: int) -> Iterator[Received]:
    r, t, d = safety_report.c, ingest_task.c, report_drug.c
    suspect = (
        select(d.drug_id)
        .where(
            d.receipt_id == r.receipt_id,
            d.sequence == r.sequence,
            d.characterization.in_(sorted(SUSPECT_ROLES)),
            d.drug_id.is_not(None),
        )
        .order_by(d.ordinal)
        .limit(1)
        .correlate(safety_report)
        .scalar_subquery()
    )
    query = (
        select(
            r.enqueued_ms,
            r.warnings,
            r.serious,
            r.age_years,
            r.sex,
            r.country,
            r.receivedate,
            r.unknown_fields,
            suspect.label("suspect"),
        )
        .join_from(safety_report, ingest_task, t.receipt_id == r.receipt_id)
        .where(r.receipt_id >= since, t.hub == hub, t.last_sequence >= t.first_sequence, r.pruned_at.is_(None))
    )
    for row in connection.execute(query):
        yield Received(
            "stored",
            enqueued_ms=row.enqueued_ms,
            warned=row.warnings is not None,
            serious=row.serious,
            has_age=row.age_years is not None,
            has_sex=row.sex is not None,
            has_country=row.country is not None,
            has_receivedate=row.receivedate is not None,
            suspect=row.suspect,
            unknown_fields=row.unknown_fields,
        )


def _quarantined(connection: Connection, hub: str, since: int) -> Iterator[Received]:
    q, t = quarantined_report.c, ingest_task.c
    query = (
        select(q.enqueued_ms)
        .join_from(quarantined_report, ingest_task, t.receipt_id == q.receipt_id)
        .where(q.receipt_id >= since, t.hub == hub)
    )
    for row in connection.execute(query):
        yield Received("quarantined", enqueued_ms=row.enqueued_ms)
