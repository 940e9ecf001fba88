"""Publishes alerts to an Event Hub: returns when the hub has acknowledged them.

Revisions of one alert share a partition key, so a reader sees them in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from alerts.cloudevent import CONTENT_TYPE
from alerts.ports import OutboxMessage
from eventhubs.sender import HubSender, OutgoingEvent
from eventhubs.settings import HubConnection

__all__ = ["HubPublisher"]


class HubPublisher:
    """Connects at the first message, and anew after an error. Belongs to one thread at a time.

    Raises `eventhubs.errors.EventHubsError`.
    """

    def __init__(self, connection: HubConnection, hub: str) -> None:
        self._connection = connection
        self._hub = hub
        self._sender: HubSender | None = None

    def publish(self, messages: Sequence[OutboxMessage]) -> None:
        """Send all messages; on an error some of them may have arrived."""
        if self._sender is None:
            self._sender = HubSender(self._connection, self._hub)
        try:
            self._sender.send(
                OutgoingEvent(message.body, message.alert_id, {"content-type": CONTENT_TYPE}) for message in messages
            )
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the connection; safe to call twice."""
        if self._sender is not None:
            sender, self._sender = self._sender, None
            sender.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
