"""What the relay needs from a store and from a hub, as shapes: neither has to know this package."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

__all__ = ["Outbox", "OutboxMessage", "Publisher"]


class OutboxMessage(Protocol):
    """One alert state waiting to be published."""

    @property
    def outbox_id(self) -> str:
        """Random UUID of the message."""
        ...

    @property
    def alert_id(self) -> str:
        """The alert it tells of; its messages stay in order."""
        ...

    @property
    def revision(self) -> int:
        """Which state of the alert it tells of, from 1."""
        ...

    @property
    def body(self) -> bytes:
        """The CloudEvent, as it goes out."""
        ...


class Outbox(Protocol):
    """Messages committed together with the alerts that they tell of."""

    def pending(self, limit: int) -> Sequence[OutboxMessage]:
        """Up to `limit` messages not yet marked as sent, oldest first."""
        ...

    def mark_sent(self, outbox_ids: Sequence[str]) -> None:
        """Take these off `pending`; marking one again does nothing."""
        ...


class Publisher(Protocol):
    """Where alerts go."""

    def publish(self, messages: Sequence[OutboxMessage]) -> None:
        """Return once all of them are acknowledged, in order per alert; raise when any may not be."""
        ...
