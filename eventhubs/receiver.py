"""What reading from a hub means, whichever transport does it.

A receiver reads ranges of sequence numbers, nothing else: no checkpoints, no ownership, no background threads that
the caller must know of. Reading the same range twice gives the same events, as long as retention keeps them.
A receiver belongs to one thread at a time.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Protocol, Self

import msgspec

from eventhubs.credential import Credential, entra_credential
from eventhubs.errors import ConfigurationError, DataLossError, HubUnreachableError, ProtocolError
from eventhubs.settings import HubConnection

__all__ = [
    "ANNOTATIONS_WITH_FIELD",
    "STANDARD_PROPERTIES",
    "HubInfo",
    "HubReceiver",
    "NamedTransport",
    "PartitionInfo",
    "ReceivedEvent",
    "Transport",
    "exactly",
    "open_receiver",
]

NamedTransport = Literal["amqp", "sdk"]
Transport = Literal["auto", NamedTransport]

STANDARD_PROPERTIES = (
    "message-id",
    "user-id",
    "to",
    "subject",
    "reply-to",
    "correlation-id",
    "content-type",
    "content-encoding",
    "absolute-expiry-time",
    "creation-time",
    "group-id",
    "group-sequence",
    "reply-to-group-id",
)
"""Names of the AMQP properties section, in the order of its fields."""

ANNOTATIONS_WITH_FIELD = frozenset(
    {"x-opt-sequence-number", "x-opt-offset", "x-opt-enqueued-time", "x-opt-partition-key", "x-opt-publisher"}
)
"""Annotations that have a field of their own in `ReceivedEvent`."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class HubInfo:
    """What a hub says about itself. `created_at_ms` (Unix ms) tells a recreated hub from the old one."""

    name: str
    created_at_ms: int
    partition_ids: tuple[str, ...]


@dataclass(frozen=True)
class PartitionInfo:
    """The readable range of a partition: `begin_sequence` up to, not including, `next_sequence`.

    `next_sequence` is the number that the next event will get, 0 for a partition never used. The partition is
    empty exactly when both are equal. `last_enqueued_ms` (Unix ms) is None for a partition never used.
    """

    partition_id: str
    begin_sequence: int
    next_sequence: int
    last_enqueued_ms: int | None

    def reaches(self, enqueued_ms: int) -> bool:
        """True when there is an event that was enqueued at `enqueued_ms` (Unix ms) or later."""
        last = self.last_enqueued_ms
        return self.begin_sequence < self.next_sequence and last is not None and last >= enqueued_ms

    @classmethod
    def from_service(
        cls, partition_id: str, begin: int, last: int, is_empty: bool, last_enqueued_ms: int
    ) -> PartitionInfo:
        """From the service's own numbers, where `last` is -1 for a partition never used."""
        following = last + 1
        return cls(
            partition_id,
            following if is_empty else begin,
            following,
            last_enqueued_ms if following > 0 and last_enqueued_ms > 0 else None,
        )


class ReceivedEvent(msgspec.Struct, frozen=True, gc=False):
    """One event as the hub keeps it; `enqueued_ms` is Unix milliseconds by the hub's clock.

    `properties` are the sender's own, `system_properties` the standard AMQP ones and the annotations that have no
    field here; values of both are text (see `eventhubs.text`).
    """

    body: bytes
    sequence: int
    offset: str
    enqueued_ms: int
    partition_key: str | None
    properties: dict[str, str]
    publisher: str | None
    system_properties: dict[str, str]


class HubReceiver(Protocol):
    """Reads one hub through one consumer group. Every call ends within its deadline, with a typed error if need be."""

    @property
    def transport(self) -> NamedTransport:
        """Which of the transports it is; a further receiver of the same hub need not find out."""
        ...

    def hub_info(self) -> HubInfo:
        """Name, time of creation and partitions of the hub."""
        ...

    def partition_infos(self, partition_ids: Sequence[str]) -> list[PartitionInfo]:
        """The readable ranges now, in the order asked for."""
        ...

    def describe(self, partition_ids: Sequence[str]) -> tuple[HubInfo, list[PartitionInfo]]:
        """Both at once, in the time of one; the hub may say that it has other partitions than were asked for."""
        ...

    def sequence_at(self, partition_id: str, enqueued_ms: int) -> int:
        """Number of the first event enqueued at `enqueued_ms` (Unix ms) or later; the next one to come if none was."""
        ...

    def read(self, partition_id: str, first_sequence: int, count: int) -> Iterator[list[ReceivedEvent]]:
        """Exactly the events `first_sequence` to `first_sequence + count - 1`, in order, in lists of any size.

        Raises `DataLossError` when some of them are gone, `HubUnreachableError` when none arrives within the
        receive timeout.
        """
        ...

    def close(self) -> None:
        """Let go of all connections; safe to call twice."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def open_receiver(
    connection: HubConnection,
    hub: str,
    consumer_group: str = "$Default",
    *,
    transport: Transport = "auto",
    receive_timeout: float = 60.0,
    credential: Credential | None = None,
) -> HubReceiver:
    """A receiver for `hub`; with `auto` our lean AMQP client, or the official SDK where the peer does not suit it.

    `receive_timeout` is the longest wait in seconds without any progress, in every call. `auto` asks the hub for
    its properties once, and so raises here when the hub cannot be reached; the named transports connect at
    their first call. `credential` (of Azure's interface) takes the place of `DefaultAzureCredential` where the
    connection uses Entra ID.
    """
    connection.check_hub(hub)
    if receive_timeout <= 0:
        raise ConfigurationError("receive_timeout must be a positive number of seconds.")
    if connection.uses_entra_id and credential is None:
        credential = entra_credential(connection)
    if transport == "sdk":
        return _sdk_receiver(connection, hub, consumer_group, receive_timeout, credential)
    from eventhubs.receiver_amqp import AmqpReceiver

    lean = AmqpReceiver(connection, hub, consumer_group, receive_timeout, credential)
    if transport == "amqp":
        return lean
    try:
        lean.hub_info()
    except ProtocolError as error:
        lean.close()
        _log.warning("Reading hub %s through the official SDK, which is slower: %s", hub, error)
        return _sdk_receiver(connection, hub, consumer_group, receive_timeout, credential)
    except BaseException:
        lean.close()
        raise
    return lean


def _sdk_receiver(
    connection: HubConnection, hub: str, consumer_group: str, receive_timeout: float, credential: Credential | None
) -> HubReceiver:
    # Importing the SDK takes longer than reading a micro-batch without it.
    from eventhubs.receiver_sdk import SdkReceiver

    return SdkReceiver(connection, hub, consumer_group, receive_timeout, credential)


def exactly(
    partition_id: str, first_sequence: int, count: int, arriving: Iterable[list[ReceivedEvent]]
) -> Iterator[list[ReceivedEvent]]:
    """Cut what arrives down to the wanted range, and refuse gaps: the law both transports obey.

    Events below the wanted one (sent again after a reconnect) are dropped; a gap is a `DataLossError`. Takes no
    more from `arriving` once the range is complete; when it ends early, raises `HubUnreachableError`.
    """
    wanted, end = first_sequence, first_sequence + count
    if wanted >= end:
        return
    for events in arriving:
        fresh: list[ReceivedEvent] = []
        for event in events:
            if wanted == end:
                break
            if event.sequence < wanted:
                continue
            if event.sequence > wanted:
                if fresh:
                    yield fresh
                raise DataLossError(partition_id, wanted, event.sequence)
            fresh.append(event)
            wanted += 1
        if fresh:
            yield fresh
        if wanted == end:
            return
    raise HubUnreachableError(
        f"Reading partition {partition_id} ended at event {wanted}, before {end - 1}. Try again; if it stays, check "
        "the network and the service's health."
    )
