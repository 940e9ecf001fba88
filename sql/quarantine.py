"""Reading the quarantine: positions and reasons, without the text."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine, select

from sql.connection import READ
from sql.dialect import byte_length
from sql.schema import quarantined_report

__all__ = ["QuarantinedRow", "list_quarantined"]


@dataclass(frozen=True)
class QuarantinedRow:
    """One quarantined report as it may be shown."""

    stored_at: str
    hub: str
    partition_id: str
    sequence: int
    size: int
    reasons: str
    path: str | None
    suite_version: str
    state: str


def list_quarantined(engine: Engine, limit: int) -> list[QuarantinedRow]:
    """The newest `limit` quarantined reports."""
    q = quarantined_report.c
    query = (
        select(
            q.stored_at,
            q.hub,
            q.partition_id,
            q.sequence,
            byte_length(q.body).label("size"),
            q.reasons,
            q.path,
            q.suite_version,
            q.state,
        )
        .order_by(q.stored_at.desc(), q.hub, q.partition_id, q.sequence.desc())
        .limit(limit)
    )
    with engine.connect().execution_options(**READ) as connection, connection.begin():
        return [
            QuarantinedRow(**{**row, "stored_at": f"{row['stored_at']:%Y-%m-%d %H:%M:%S}"})
            for row in connection.execute(query).mappings()
        ]
