"""The hub's clock: up to which moment everything the hub has taken in is stored."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Engine, select

from eventhubs.errors import EventHubsError
from eventhubs.receiver import HubReceiver
from sql.clock import now_ms
from sql.connection import READ
from sql.schema import hub_position

__all__ = ["HubClock"]


class HubClock:
    """Wall clock when nothing lags, else the enqueued time up to which the slowest lagging partition is stored.

    Never runs backwards. While the hub cannot be asked it stands still, so that a window is not closed over
    reports that nobody could read.
    """

    def __init__(
        self,
        receiver: HubReceiver,
        engine: Engine,
        hub: str,
        generation: int,
        partition_ids: tuple[str, ...],
        now: Callable[[], int] = now_ms,
    ) -> None:
        self._receiver = receiver
        self._engine = engine
        self._hub = hub
        self._generation = generation
        self._partition_ids = partition_ids
        self._now = now
        self._last: int | None = None

    def read(self) -> int | None:
        """The clock (UTC ms), or None while it has never been known. Call between batches only."""
        asked_at = self._now()
        try:
            infos = self._receiver.partition_infos(self._partition_ids)
        except EventHubsError:
            return self._last
        stored = self._stored()
        behind = []
        for info in infos:
            next_sequence, enqueued_ms = stored.get(info.partition_id, (0, None))
            if info.next_sequence > next_sequence:
                if enqueued_ms is None:
                    return self._last
                behind.append(enqueued_ms)
        self._last = max(self._last or 0, min([asked_at, *behind]))
        return self._last

    def _stored(self) -> dict[str, tuple[int, int | None]]:
        p = hub_position.c
        query = select(p.partition_id, p.next_sequence, p.enqueued_ms).where(
            p.hub == self._hub, p.generation == self._generation
        )
        with self._engine.connect().execution_options(**READ) as connection, connection.begin():
            return {row.partition_id: (row.next_sequence, row.enqueued_ms) for row in connection.execute(query)}
