"""The clock windows close by: up to which moment everything the hub has taken in is stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Engine, select

from eventhubs.errors import EventHubsError
from eventhubs.receiver import HubReceiver
from sql.clock import now_ms
from sql.connection import READ
from sql.retry import persistently
from sql.schema import hub_position

__all__ = ["HubClock"]


@dataclass(frozen=True)
class _Stored:
    next_sequence: int
    at_ms: int | None


_NOTHING_STORED = _Stored(0, None)


class HubClock:
    """Wall clock when nothing lags, else the enqueued time up to which the slowest lagging partition is stored.

    With `by_event` it goes by the reports' own times instead: the largest stored, held back by lagging partitions.
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
        *,
        by_event: bool = False,
        now: Callable[[], int] = now_ms,
    ) -> None:
        self._receiver = receiver
        self._engine = engine
        self._hub = hub
        self._generation = generation
        self._partition_ids = partition_ids
        self._by_event = by_event
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
        behind = [
            stored.get(info.partition_id, _NOTHING_STORED).at_ms
            for info in infos
            if info.next_sequence > stored.get(info.partition_id, _NOTHING_STORED).next_sequence
        ]
        reached = max((s.at_ms for s in stored.values() if s.at_ms is not None), default=None)
        times = [*behind, reached if self._by_event else asked_at]
        if any(at is None for at in times):
            return self._last
        self._last = max(self._last or 0, min(at for at in times if at is not None))
        return self._last

    def _stored(self) -> dict[str, _Stored]:
        p = hub_position.c
        at = p.event_ms if self._by_event else p.enqueued_ms
        query = select(p.partition_id, p.next_sequence, at.label("at_ms")).where(
            p.hub == self._hub, p.generation == self._generation
        )

        def ask() -> dict[str, _Stored]:
            with self._engine.connect().execution_options(**READ) as connection, connection.begin():
                return {row.partition_id: _Stored(row.next_sequence, row.at_ms) for row in connection.execute(query)}

        return persistently(ask)
