"""The hubs being served: who writes where, who reads what, and who has to leave.

Free of sockets, threads and AMQP frames. One thread may use it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

from eventhubs.hub.access import Keys
from eventhubs.hub.address import Address, Position, PositionKind
from eventhubs.hub.errors import LogDamagedError
from eventhubs.hub.faults import Faults
from eventhubs.hub.ingest import LastEnqueued
from eventhubs.hub.log import Encoder, StoredEvent
from eventhubs.hub.refusals import RefusedError, not_found, out_of_range
from eventhubs.hub.store import HubLog
from eventhubs.partition_key import partition_of

__all__ = ["DEFAULT_GROUP", "Hub", "Partition", "Receiver", "Service"]

DEFAULT_GROUP = "$Default"
"""The consumer group that every hub has."""

MAX_RECEIVERS = 5
"""Receivers without epoch per partition and consumer group; the service's own limit."""


class Receiver(Protocol):
    """One reader of a partition, as far as the partition needs to know it."""

    @property
    def epoch(self) -> int | None:
        """Its priority; None for a reader that shares the partition."""

    def displaced(self, description: str) -> None:
        """Tell it that another one has taken its place."""


class Partition:
    """One partition: its log, those that wait for new events, and its receivers by consumer group."""

    def __init__(self, hub: HubLog, number: int, now_ms: Callable[[], int]) -> None:
        self.id = str(number)
        self.log = hub.partitions[number]
        self._now_ms = now_ms
        self._waiting: set[Callable[[], None]] = set()
        self._receivers: dict[str, list[Receiver]] = {}

    def publish(self, encoders: Sequence[Encoder]) -> None:
        """Store one batch and wake those that wait."""
        self.log.append(encoders, self._now_ms())
        waiting, self._waiting = self._waiting, set()
        for wake in waiting:
            wake()

    def wait(self, wake: Callable[[], None]) -> None:
        """Call `wake` once, when the next batch has been stored."""
        self._waiting.add(wake)

    def stop_waiting(self, wake: Callable[[], None]) -> None:
        """Take `wait` back."""
        self._waiting.discard(wake)

    def last_enqueued(self) -> LastEnqueued:
        """Tell what the last event is now."""
        log = self.log
        return LastEnqueued(log.next_sequence - 1, str(log.last_position), log.last_enqueued_ms, self._now_ms())

    def read(self, position: int, max_events: int) -> list[StoredEvent]:
        """Read stored events from a log position on. Raises `RefusedError` where the files do not allow it."""
        with _refusing():
            return self.log.read(position, max_events)

    def start(self, position: Position) -> int:
        """Give the log position a receiver starts at. Raises `RefusedError`, for one past the end among others."""
        log = self.log
        value = position.value
        with _refusing():
            match position.kind:
                case PositionKind.LATEST:
                    return log.end
                case PositionKind.TIME:
                    return log.position_at_time(value if position.inclusive else value + 1)
                case PositionKind.SEQUENCE:
                    first = value if position.inclusive else value + 1
                    if first > log.next_sequence:
                        raise out_of_range("sequence number", value, log.next_sequence - 1)
                    return log.position_of(first)
                case PositionKind.OFFSET:
                    if value > log.last_position:
                        raise out_of_range("offset", value, log.last_position)
                    return log.position_after(value - 1 if position.inclusive else value)

    def join(self, group: str, receiver: Receiver) -> None:
        """Let a receiver in, displacing those with the same or a lower epoch; or raise `RefusedError`."""
        others = self._receivers.setdefault(group.lower(), [])
        highest = max((other.epoch for other in others if other.epoch is not None), default=None)
        if receiver.epoch is None:
            if highest is not None:
                raise RefusedError(
                    "amqp:link:stolen",
                    f"a receiver with epoch '{highest}' has the partition, so one without epoch is not allowed",
                )
            if len(others) >= MAX_RECEIVERS:
                raise RefusedError(
                    "amqp:resource-limit-exceeded",
                    "Exceeded the maximum number of allowed receivers per partition in a consumer group which is "
                    f"{MAX_RECEIVERS}.",
                )
        else:
            if highest is not None and highest > receiver.epoch:
                raise RefusedError(
                    "amqp:link:stolen",
                    f"a receiver with a higher epoch of '{highest}' exists; this one has '{receiver.epoch}'",
                )
            leaving, others[:] = others[:], []
            for other in leaving:
                other.displaced(f"a new receiver with epoch '{receiver.epoch}' took the partition")
        others.append(receiver)

    def leave(self, group: str, receiver: Receiver) -> None:
        """Let a receiver go; one that was displaced may say so again."""
        others = self._receivers.get(group.lower(), [])
        if receiver in others:
            others.remove(receiver)


@contextmanager
def _refusing() -> Iterator[None]:
    """Tell clients, not only the log, what is wrong with the files."""
    try:
        yield
    except LogDamagedError as error:
        raise RefusedError("amqp:internal-error", str(error)) from error
    except OSError as error:
        raise RefusedError("amqp:internal-error", f"the events could not be read: {error.strerror}") from error


class Hub:
    """One hub."""

    def __init__(self, log: HubLog, groups: frozenset[str], now_ms: Callable[[], int]) -> None:
        self.name = log.name
        self.groups = groups
        """Names of its consumer groups, lower case."""
        self.created_at_ms = log.created_at_ms
        self.partitions = tuple(Partition(log, number, now_ms) for number in range(len(log.partitions)))
        self._turns = itertools.cycle(self.partitions)

    def partition(self, id_: str | None) -> Partition:
        """Give a partition by id. Raises `RefusedError`."""
        for partition in self.partitions:
            if partition.id == id_:
                return partition
        raise not_found(f"{self.name}/Partitions/{id_}")

    def check_group(self, name: str) -> None:
        """Raise `RefusedError` unless there is such a consumer group."""
        if name.lower() not in self.groups:
            raise not_found(f"{self.name}/ConsumerGroups/{name}")

    def route(self, key: str | None) -> Partition:
        """Choose the partition of a message that names none: by key, else one after the other."""
        if key is None:
            return next(self._turns)
        return self.partitions[partition_of(key, len(self.partitions))]


class Service:
    """All hubs of one server, who may use them, and what is wrong with it on purpose."""

    def __init__(
        self,
        hubs: Mapping[str, HubLog],
        now_ms: Callable[[], int],
        keys: Keys,
        groups: Iterable[str] = (),
        faults: Faults | None = None,
    ) -> None:
        names = frozenset(name.lower() for name in (DEFAULT_GROUP, *groups))
        self.hubs = {name: Hub(log, names, now_ms) for name, log in hubs.items()}
        self.keys = keys
        self.faults = faults or Faults(lambda act: 0)

    def hub(self, address: Address | None) -> Hub:
        """Give the hub an address names. Raises `RefusedError`."""
        hub = self.hubs.get(address.node) if address else None
        if hub is None:
            raise not_found(address.node if address else "")
        return hub
