"""The outbox as the relay reads it: alerts committed but not yet sent, oldest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Engine, func, select, update

from sql.clock import utc_now
from sql.connection import READ
from sql.schema import alert_outbox

__all__ = ["OutboxRow", "SqlOutbox"]


@dataclass(frozen=True)
class OutboxRow:
    """One message: `body` is the CloudEvent as it goes out."""

    outbox_id: str
    alert_id: str
    revision: int
    body: bytes = field(repr=False)


class SqlOutbox:
    """Reads and marks outbox rows. Marking is idempotent, so a message may be sent twice but never missed."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def pending(self, limit: int) -> Sequence[OutboxRow]:
        """At most `limit` unsent messages in the order they were created."""
        o = alert_outbox.c
        query = (
            select(o.outbox_id, o.alert_id, o.revision, o.body)
            .where(o.sent_at.is_(None))
            .order_by(o.created_ms, o.alert_id, o.revision)
            .limit(limit)
        )
        with self._engine.connect().execution_options(**READ) as connection, connection.begin():
            return [OutboxRow(*row) for row in connection.execute(query)]

    def mark_sent(self, outbox_ids: Sequence[str]) -> None:
        """Note that these messages have reached the alerts hub."""
        with self._engine.begin() as connection:
            connection.execute(
                update(alert_outbox)
                .where(alert_outbox.c.outbox_id.in_(outbox_ids), alert_outbox.c.sent_at.is_(None))
                .values(sent_at=utc_now())
            )

    def sent_count(self) -> int:
        """How many messages have reached the alerts hub so far."""
        with self._engine.connect().execution_options(**READ) as connection, connection.begin():
            return connection.scalar(select(func.count()).where(alert_outbox.c.sent_at.is_not(None))) or 0
