"""Reading through Microsoft's official SDK: slower per call than our own client, works wherever Event Hubs does.

A management read costs about 0.4 s and opening a partition 0.6 s, so partitions are asked in parallel and closing
is left to the background. The SDK has waits without a deadline; every call of ours therefore runs on a thread of
its own and is given up, with a typed error, when its time is over.
"""

from __future__ import annotations

import datetime as dt
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from azure.eventhub import EventData, EventHubConsumerClient
from azure.eventhub.amqp import AmqpMessageBodyType

from eventhubs.credential import entra_credential
from eventhubs.errors import DataLossError, EventHubsError, HubUnreachableError
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

__all__ = ["SdkReceiver"]

_T = TypeVar("_T")
_PREFETCH = 1_000
_BUFFERED_LISTS = 8
_SILENCE = 3.0
"""Seconds without an event after which we ask whether retention has passed the wanted ones."""
_ATTEMPTS = 2
"""Tries of a management read: a kept client finds its connection broken only when it uses it."""


class SdkReceiver:
    """A `HubReceiver` on `azure.eventhub`."""

    def __init__(self, connection: HubConnection, hub: str, consumer_group: str, receive_timeout: float) -> None:
        self._connection = connection
        self._hub = hub
        self._group = consumer_group
        self._timeout = receive_timeout
        self._credential = entra_credential(connection)
        self._client = self._new_client()

    def hub_info(self) -> HubInfo:
        """See `HubReceiver`."""
        [found] = self._ask([self._client.get_eventhub_properties])
        return HubInfo(
            found["eventhub_name"], round(found["created_at"].timestamp() * 1000), tuple(found["partition_ids"])
        )

    def partition_infos(self, partition_ids: Sequence[str]) -> list[PartitionInfo]:
        """See `HubReceiver`; one thread per partition."""

        def asking(partition_id: str) -> Callable[[], dict[str, Any]]:
            return lambda: self._client.get_partition_properties(partition_id)

        found = self._ask([asking(p) for p in partition_ids])
        return [
            PartitionInfo.from_service(
                p["id"],
                p["beginning_sequence_number"],
                p["last_enqueued_sequence_number"],
                p["is_empty"],
                _unix_ms(p["last_enqueued_time_utc"]),
            )
            for p in found
        ]

    def read(self, partition_id: str, first_sequence: int, count: int) -> Iterator[list[ReceivedEvent]]:
        """See `HubReceiver`."""
        where = f"hub {self._hub} at {self._connection.endpoint}, partition {partition_id}"
        link = _Link(self._new_client(), where, partition_id, first_sequence)
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

    def _arriving(self, link: _Link, partition_id: str, first: int) -> Iterator[list[ReceivedEvent]]:
        """What the link delivers, until the silence is longer than the receive timeout."""
        wanted, asked, last_progress = first, False, time.monotonic()
        while True:
            silent = time.monotonic() - last_progress
            left = (self._timeout if asked else min(_SILENCE, self._timeout)) - silent
            events = link.take(max(left, 0.0))
            if events:
                wanted, asked, last_progress = events[-1].sequence + 1, False, time.monotonic()
                yield events
            elif not asked:
                asked = True
                [info] = self.partition_infos([partition_id])
                if info.begin_sequence > wanted:
                    raise DataLossError(partition_id, wanted, info.begin_sequence)
            elif time.monotonic() - last_progress >= self._timeout:
                raise HubUnreachableError(
                    f"Partition {partition_id} of hub {self._hub} delivered nothing for {self._timeout:g} s while "
                    f"event {wanted} was awaited. Check that the event exists, the network and the service's "
                    "health, or raise the receive timeout."
                )

    def _new_client(self) -> EventHubConsumerClient:
        return consumer_client(self._connection, self._credential, self._hub, self._group)

    def _ask(self, calls: Sequence[Callable[[], dict[str, Any]]]) -> list[dict[str, Any]]:
        """Run management reads side by side, each within the receive timeout."""
        where = f"hub {self._hub} at {self._connection.endpoint}"
        deadline = time.monotonic() + self._timeout
        answers = [_Answer(call, where) for call in calls]
        return [answer.wait(deadline) for answer in answers]


class _Answer:
    """The result of a call on a daemon thread, which may be given up."""

    def __init__(self, call: Callable[[], dict[str, Any]], where: str) -> None:
        self._box: queue.SimpleQueue[dict[str, Any] | EventHubsError] = queue.SimpleQueue()
        self._where = where
        threading.Thread(target=self._run, args=(call,), name="eventhubs-management", daemon=True).start()

    def _run(self, call: Callable[[], dict[str, Any]]) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self._box.put(call())
                return
            except Exception as error:  # noqa: BLE001 - the SDK raises whatever its sockets and parsers raise
                typed = translated(error, self._where)
                if attempt == _ATTEMPTS or not typed.transient:
                    self._box.put(typed)
                    return

    def wait(self, deadline: float) -> dict[str, Any]:
        try:
            found = self._box.get(timeout=max(deadline - time.monotonic(), 0.0))
        except queue.Empty:
            raise HubUnreachableError(
                f"No answer from Event Hubs in time ({self._where}). Check the host, the network (port 5671 "
                "outward) and the service's health, or raise the receive timeout."
            ) from None
        if isinstance(found, EventHubsError):
            raise found
        return found


class _Link:
    """One partition being received on a daemon thread, with a bounded buffer in between."""

    def __init__(self, client: EventHubConsumerClient, where: str, partition_id: str, first: int) -> None:
        self._where = where
        self._buffer: queue.Queue[list[ReceivedEvent] | EventHubsError] = queue.Queue(_BUFFERED_LISTS)
        self._closed = threading.Event()
        self._client = client
        threading.Thread(
            target=self._run, args=(partition_id, first), name=f"eventhubs-read-{partition_id}", daemon=True
        ).start()

    def take(self, seconds: float) -> list[ReceivedEvent]:
        """The next events, or none when the time is over first; raises what ended the link."""
        try:
            item = self._buffer.get(timeout=seconds) if seconds > 0 else self._buffer.get_nowait()
        except queue.Empty:
            return []
        if isinstance(item, EventHubsError):
            raise item
        return item

    def close(self) -> None:
        """Stop receiving; the thread closes the SDK's link behind our back (about 0.9 s)."""
        self._closed.set()
        self._client.close()

    def _run(self, partition_id: str, first: int) -> None:
        try:
            self._client.receive_batch(
                on_event_batch=self._on_events,
                on_error=self._on_error,
                partition_id=partition_id,
                starting_position=first,
                starting_position_inclusive=True,
                max_batch_size=_PREFETCH,
                prefetch=_PREFETCH,
            )
        except Exception as error:  # noqa: BLE001 - the SDK raises whatever its sockets and parsers raise
            self._put(translated(error, self._where))

    def _on_events(self, _context: object, events: list[EventData]) -> None:
        if events:
            self._put([_received(event) for event in events])

    def _on_error(self, _context: object, error: Exception) -> None:
        # A broken connection is opened again by the SDK itself, from the first event once more; the reader drops
        # what it has had already, and its deadline decides when to give up.
        typed = translated(error, self._where)
        if not typed.transient:
            self._put(typed)

    def _put(self, item: list[ReceivedEvent] | EventHubsError) -> None:
        while not self._closed.is_set():
            try:
                self._buffer.put(item, timeout=0.2)
                return
            except queue.Full:
                continue


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
