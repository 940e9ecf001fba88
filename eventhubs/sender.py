"""Sends events to a hub, at least once, in full batches.

Events with a partition key go where the service itself would put them (`partition_of`), but all keys of one
partition share a batch, where the SDK alone would need one batch per key. Events of one key keep their order.
A retry after a broken connection may send a batch twice, as every sender to Event Hubs may.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import NamedTuple, Self, TypeVar

import stamina
from azure.eventhub import EventData, EventDataBatch, EventHubProducerClient

from eventhubs.credential import entra_credential
from eventhubs.errors import EventHubsError, EventTooLargeError, ServerBusyError, UnauthorizedError
from eventhubs.partition_key import partition_of
from eventhubs.sdk import producer_client, translated
from eventhubs.settings import HubConnection

__all__ = ["HubSender", "OutgoingEvent"]

_T = TypeVar("_T")
_PARTITION_KEY = b"x-opt-partition-key"
_ATTEMPTS = 5
_PATIENCE = 60.0
"""Seconds after which a batch that cannot be sent is given up."""


class OutgoingEvent(NamedTuple):
    """One event to send; `properties` are the sender's own and arrive as text."""

    body: bytes
    partition_key: str | None = None
    properties: Mapping[str, str] | None = None


class HubSender:
    """Sends to one hub; keeps its connections until closed. Belongs to one thread at a time."""

    def __init__(self, connection: HubConnection, hub: str) -> None:
        self._where = f"hub {hub} at {connection.endpoint}"
        self._client: EventHubProducerClient = producer_client(connection, entra_credential(connection), hub)
        self._partition_ids: list[str] = []
        self._let_in = False

    def send(
        self,
        events: Iterable[OutgoingEvent],
        on_sent: Callable[[int], None] | None = None,
        on_refused: Callable[[int, OutgoingEvent], None] | None = None,
    ) -> int:
        """Send all events and return how many the hub has acknowledged.

        A batch goes out as soon as it is full, the rest at the end; `on_sent` hears after each how many more events
        are acknowledged. An event above the hub's size limit goes to `on_refused` with its index and sending
        goes on; without `on_refused` everything before it is sent first, then `EventTooLargeError` is raised.
        Other errors are retried a few times where that can help, and raised typed.
        """
        sending = _Sending(self, on_sent)
        for index, event in enumerate(events):
            if sending.add(event):
                continue
            if on_refused is None:
                sending.flush()
                raise EventTooLargeError(index, sending.limit)
            on_refused(index, event)
        sending.flush()
        return sending.acknowledged

    def close(self) -> None:
        """Let go of all connections; safe to call twice."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _batch_key(self, key: str | None) -> str | None:
        """The partition whose batch an event with this key joins; None leaves the choice to the service."""
        if key is None:
            return None
        if not self._partition_ids:
            # A key's place counts by number, which need not be the order of listing.
            self._partition_ids = sorted(self._retried(self._client.get_partition_ids), key=int)
        return self._partition_ids[partition_of(key, len(self._partition_ids))]

    def _new_batch(self, partition_id: str | None) -> EventDataBatch:
        return self._retried(lambda: self._client.create_batch(partition_id=partition_id))

    def _send_batch(self, batch: EventDataBatch) -> None:
        self._retried(lambda: self._client.send_batch(batch, timeout=_PATIENCE))

    def _retried(self, call: Callable[[], _T]) -> _T:
        for attempt in stamina.retry_context(on=self._wait_before_retry, attempts=_ATTEMPTS, timeout=_PATIENCE):
            with attempt:
                try:
                    answer = call()
                except Exception as error:
                    raise translated(error, self._where) from error
                self._let_in = True
                return answer
        raise AssertionError("the last attempt returns or raises")

    def _wait_before_retry(self, error: Exception) -> bool | float:
        if isinstance(error, ServerBusyError):
            return error.retry_after
        if isinstance(error, UnauthorizedError):
            return self._let_in  # whoever was let in before has a token that has expired
        return isinstance(error, EventHubsError) and error.transient


class _Sending:
    """The batches of one call of `send`: at most one open per partition."""

    def __init__(self, sender: HubSender, on_sent: Callable[[int], None] | None) -> None:
        self.acknowledged = 0
        self.limit = 0
        self._sender = sender
        self._on_sent = on_sent
        self._open: dict[str | None, EventDataBatch] = {}

    def add(self, event: OutgoingEvent) -> bool:
        """Put the event into its batch, sending that one first when it is full; False when none can hold it."""
        partition_id = self._sender._batch_key(event.partition_key)
        if partition_id not in self._open:
            self._open[partition_id] = self._sender._new_batch(partition_id)
        batch = self._open[partition_id]
        self.limit = batch.max_size_in_bytes
        prepared = _prepared(event)
        if _fits(batch, prepared):
            return True
        fresh = self._sender._new_batch(partition_id)
        if not _fits(fresh, prepared):
            return False
        self._send(batch)
        self._open[partition_id] = fresh
        return True

    def flush(self) -> None:
        """Send whatever is left."""
        while self._open:
            _, batch = self._open.popitem()
            self._send(batch)

    def _send(self, batch: EventDataBatch) -> None:
        if not len(batch):
            return
        self._sender._send_batch(batch)
        self.acknowledged += len(batch)
        if self._on_sent is not None:
            self._on_sent(len(batch))


def _prepared(event: OutgoingEvent) -> EventData:
    prepared = EventData(event.body)
    if event.properties:
        prepared.properties = dict(event.properties)
    if event.partition_key is not None:
        message = prepared.raw_amqp_message
        message.annotations[_PARTITION_KEY] = event.partition_key
        message.header.durable = True
    return prepared


def _fits(batch: EventDataBatch, event: EventData) -> bool:
    try:
        batch.add(event)
    except ValueError:
        return False
    return True
