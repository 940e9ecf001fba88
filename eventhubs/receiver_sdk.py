"""Reading through Microsoft's official SDK: slower per call than our own client, works wherever Event Hubs does.

A management read costs about 0.4 s and opening a partition 0.6 s, so partitions are asked in parallel and closing
is left to the background. The SDK has waits without a deadline; every call of ours therefore runs on a thread of
its own and is given up, with a typed error, when its time is over.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, Literal, Self

from azure.eventhub import EventData, EventHubConsumerClient
from azure.eventhub.amqp import AmqpMessageBodyType

from eventhubs.credential import Credential
from eventhubs.errors import DataLossError, EventHubsError, HubUnreachableError, UnauthorizedError
from eventhubs.receiver import (
    ANNOTATIONS_WITH_FIELD,
    STANDARD_PROPERTIES,
    HubInfo,
    PartitionInfo,
    ReceivedEvent,
    exactly,
)
from eventhubs.sdk import consumer_client, translated
from eventhubs.settings import HubConnection
from eventhubs.text import as_text, text_map
from eventhubs.threads import ThreadedCall

__all__ = ["SdkReceiver"]

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_PREFETCH = 32
"""Events under way; the SDK holds all of them at once, in frames of up to 1 MiB. More are not read any faster."""
_BUFFERED_BYTES = 16 * 1_048_576
"""Bytes of events between the SDK's thread and the reader; a list that is larger waits there alone."""
_SILENCE = 3.0
"""Seconds without an event after which we ask whether retention has passed the wanted ones."""
_ATTEMPTS = 2
"""Tries of a management read: a kept client finds its connection broken only when it uses it."""


class SdkReceiver:
    """A `HubReceiver` on `azure.eventhub`; `credential` is needed where the connection uses Entra ID."""

    transport: Literal["sdk"] = "sdk"

    def __init__(
        self,
        connection: HubConnection,
        hub: str,
        consumer_group: str,
        receive_timeout: float,
        credential: Credential | None = None,
    ) -> None:
        self._connection = connection
        self._hub = hub
        self._group = consumer_group
        self._timeout = receive_timeout
        self._credential = credential
        self._where = f"hub {hub} at {connection.endpoint}"
        self._client = self._new_client()

    def hub_info(self) -> HubInfo:
        """See `HubReceiver`."""
        return self.describe([])[0]

    def partition_infos(self, partition_ids: Sequence[str]) -> list[PartitionInfo]:
        """See `HubReceiver`; one thread per partition."""
        return [_partition_info(found) for found in self._ask(self._about(partition_ids))]

    def describe(self, partition_ids: Sequence[str]) -> tuple[HubInfo, list[PartitionInfo]]:
        """See `HubReceiver`; one thread for each."""
        hub, *partitions = self._ask([self._client.get_eventhub_properties, *self._about(partition_ids)])
        info = HubInfo(hub["eventhub_name"], _unix_ms(hub["created_at"]), tuple(hub["partition_ids"]))
        return info, [_partition_info(found) for found in partitions]

    def sequence_at(self, partition_id: str, enqueued_ms: int) -> int:
        """See `HubReceiver`."""
        [info] = self.partition_infos([partition_id])
        if not info.reaches(enqueued_ms):
            return info.next_sequence
        link = self._link(partition_id, _EPOCH + dt.timedelta(milliseconds=enqueued_ms))
        try:
            return next(self._arriving(link, partition_id, None))[0].sequence
        finally:
            link.close()

    def read(self, partition_id: str, first_sequence: int, count: int) -> Iterator[list[ReceivedEvent]]:
        """See `HubReceiver`."""
        link = self._link(partition_id, first_sequence)
        try:
            yield from exactly(partition_id, first_sequence, count, self._arriving(link, partition_id, first_sequence))
        finally:
            link.close()

    def close(self) -> None:
        """See `HubReceiver`."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _link(self, partition_id: str, start: int | dt.datetime) -> _Link:
        return _Link(self._new_client(), f"{self._where}, partition {partition_id}", partition_id, start)

    def _arriving(self, link: _Link, partition_id: str, wanted: int | None) -> Iterator[list[ReceivedEvent]]:
        """What the link delivers, until the silence is longer than the receive timeout.

        `wanted` is the number of the first event, where it is known.
        """
        asked, last_progress = False, time.monotonic()
        while True:
            silent = time.monotonic() - last_progress
            left = (self._timeout if asked else min(_SILENCE, self._timeout)) - silent
            events = link.take(max(left, 0.0))
            if events:
                wanted, asked = events[-1].sequence + 1, False
                yield events
                last_progress = time.monotonic()
            elif not asked:
                asked = True
                [info] = self.partition_infos([partition_id])
                if wanted is not None and info.begin_sequence > wanted:
                    raise DataLossError(partition_id, wanted, info.begin_sequence)
            elif time.monotonic() - last_progress >= self._timeout:
                awaited = "an event" if wanted is None else f"event {wanted}"
                raise HubUnreachableError(
                    f"Partition {partition_id} of hub {self._hub} delivered nothing for {self._timeout:g} s while "
                    f"{awaited} was awaited. Check that the event exists, the network and the service's health, or "
                    "raise the receive timeout."
                )

    def _new_client(self) -> EventHubConsumerClient:
        return consumer_client(self._connection, self._credential, self._hub, self._group)

    def _about(self, partition_ids: Sequence[str]) -> list[Callable[[], dict[str, Any]]]:
        def asking(partition_id: str) -> Callable[[], dict[str, Any]]:
            return lambda: self._client.get_partition_properties(partition_id)

        return [asking(p) for p in partition_ids]

    def _ask(self, calls: Sequence[Callable[[], dict[str, Any]]]) -> list[dict[str, Any]]:
        """Run management reads side by side, each within the receive timeout."""

        def asking(call: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
            return lambda: self._tried(call)

        deadline = time.monotonic() + self._timeout
        running = [ThreadedCall(asking(call), "eventhubs-management") for call in calls]
        try:
            return [call.result(deadline) for call in running]
        except TimeoutError:
            raise HubUnreachableError(
                f"No answer from Event Hubs in time ({self._where}). Check the host, the network (port 5671 outward) "
                "and the service's health, or raise the receive timeout."
            ) from None

    def _tried(self, call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return call()
            except Exception as error:  # the SDK raises whatever its sockets and parsers raise
                typed = translated(error, self._where)
                if attempt == _ATTEMPTS or not isinstance(typed, HubUnreachableError):
                    raise typed from error
        raise AssertionError("the last attempt returns or raises")


class _Link:
    """One partition being received on a daemon thread, with a bounded buffer in between."""

    def __init__(self, client: EventHubConsumerClient, where: str, partition_id: str, start: int | dt.datetime) -> None:
        self._where = where
        self._changed = threading.Condition()
        self._buffer: deque[tuple[list[ReceivedEvent], int]] = deque()
        self._size = 0
        self._error: EventHubsError | None = None
        self._delivered = False
        self._closed = False
        self._client = client
        threading.Thread(
            target=self._run, args=(partition_id, start), name=f"eventhubs-read-{partition_id}", daemon=True
        ).start()

    def take(self, seconds: float) -> list[ReceivedEvent]:
        """The next events, or none when the time is over first; raises what ended the link once they are taken."""
        with self._changed:
            self._changed.wait_for(lambda: self._buffer or self._error, timeout=seconds)
            if not self._buffer:
                if self._error is not None:
                    raise self._error
                return []
            events, size = self._buffer.popleft()
            self._size -= size
            self._changed.notify_all()
            return events

    def close(self) -> None:
        """Stop receiving; the thread closes the SDK's link behind our back (about 0.9 s)."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._client.close()

    def _run(self, partition_id: str, start: int | dt.datetime) -> None:
        try:
            self._client.receive_batch(
                on_event_batch=self._on_events,
                on_error=self._on_error,
                partition_id=partition_id,
                starting_position=start,
                starting_position_inclusive=True,
                max_batch_size=_PREFETCH,
                prefetch=_PREFETCH,
            )
        except Exception as error:  # noqa: BLE001 - the SDK raises whatever its sockets and parsers raise
            self._on_error(None, error)

    def _on_events(self, _context: object, events: list[EventData]) -> None:
        if not events:
            return
        received = [_received(event) for event in events]
        size = sum(len(event.body) for event in received)
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or self._error or not self._buffer or self._size + size <= _BUFFERED_BYTES
            )
            # After an error the SDK begins again at the start; the reader has been told to do so where it was.
            if not self._closed and self._error is None:
                self._buffer.append((received, size))
                self._size += size
                self._delivered = True
                self._changed.notify_all()

    def _on_error(self, _context: object, error: Exception) -> None:
        typed = translated(error, self._where)
        with self._changed:
            if self._delivered and isinstance(typed, UnauthorizedError):
                # No wrong key, then: the token has expired, and the next one may do.
                typed = HubUnreachableError(f"The service does not accept our token any more ({self._where}).")
            if self._error is None:
                self._error = typed
            self._changed.notify_all()


def _partition_info(found: dict[str, Any]) -> PartitionInfo:
    return PartitionInfo.from_service(
        found["id"],
        found["beginning_sequence_number"],
        found["last_enqueued_sequence_number"],
        found["is_empty"],
        _unix_ms(found["last_enqueued_time_utc"]),
    )


def _received(event: EventData) -> ReceivedEvent:
    message = event.raw_amqp_message
    annotations = {as_text(k): v for k, v in (message.annotations or {}).items()}
    key, publisher = annotations.get("x-opt-partition-key"), annotations.get("x-opt-publisher")
    return ReceivedEvent(
        body=_body(event),
        sequence=annotations["x-opt-sequence-number"],
        offset=as_text(annotations["x-opt-offset"]),
        enqueued_ms=annotations["x-opt-enqueued-time"],
        partition_key=None if key is None else as_text(key),
        properties=text_map((message.application_properties or {}).items()),
        publisher=None if publisher is None else as_text(publisher),
        system_properties=text_map([*_standard_properties(message.properties), *_others(annotations)]),
    )


def _standard_properties(properties: Any) -> Iterator[tuple[str, object]]:
    for name in STANDARD_PROPERTIES:
        yield name, getattr(properties, name.replace("-", "_"), None)


def _others(annotations: dict[str, Any]) -> Iterator[tuple[str, object]]:
    return ((name, value) for name, value in annotations.items() if name not in ANNOTATIONS_WITH_FIELD)


def _body(event: EventData) -> bytes:
    body: Any = event.body
    if event.body_type == AmqpMessageBodyType.DATA:
        return b"".join(bytes(part) for part in body)
    if event.body_type == AmqpMessageBodyType.SEQUENCE:
        body = list(body)
    return bytes(body) if isinstance(body, bytes) else as_text(body).encode()


def _unix_ms(moment: dt.datetime) -> int:
    # Year 1 stands for "never"; its timestamp is negative.
    return round(moment.timestamp() * 1000)
