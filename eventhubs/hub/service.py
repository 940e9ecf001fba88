"""The hubs being served: who writes where, who reads what, and who has to leave.

Free of sockets, threads and AMQP frames. One thread may use it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from eventhubs.hub.address import Address, Position, PositionKind
from eventhubs.hub.errors import LogDamagedError
from eventhubs.hub.log import Encoder, StoredEvent
from eventhubs.hub.store import HubLog
from eventhubs.partition_key import partition_of

__all__ = ["Hub", "Partition", "Receiver", "RefusedError", "Service"]

MAX_RECEIVERS = 5
"""Receivers without epoch per partition and consumer group; the service's own limit."""


class RefusedError(Exception):
    """The service would refuse this; `condition` is the AMQP error it would give."""

    def __init__(self, condition: str, description: str) -> None:
        super().__init__(description)
        self.condition = condition
        self.description = description


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

    def read(self, position: int, max_events: int) -> list[StoredEvent]:
        """Read stored events from a log position on."""
        try:
            return self.log.read(position, max_events)
        except LogDamagedError as error:
            raise RefusedError("amqp:internal-error", str(error)) from error

    def start(self, position: Position) -> int:
        """Give the log position a receiver starts at. Raises `RefusedError` for one past the end."""
        log = self.log
        value = position.value
        match position.kind:
            case PositionKind.LATEST:
                return log.end
            case PositionKind.TIME:
                return log.position_at_time(value if position.inclusive else value + 1)
            case PositionKind.SEQUENCE:
                first = value if position.inclusive else value + 1
                if first > log.next_sequence:
                    raise _out_of_range("sequence number", value, log.next_sequence - 1)
                return log.position_of(max(first, 0))
            case PositionKind.OFFSET:
                if value > log.last_position:
                    raise _out_of_range("offset", value, log.last_position)
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
                    f"a consumer group may have {MAX_RECEIVERS} receivers per partition, and has them",
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


def _out_of_range(what: str, value: int, last: int) -> RefusedError:
    return RefusedError(
        "com.microsoft:argument-out-of-range",
        f"the supplied {what} '{value}' is invalid. The last {what} in the system is '{last}'",
    )


class Hub:
    """One hub."""

    def __init__(self, log: HubLog, now_ms: Callable[[], int]) -> None:
        self.name = log.name
        self.created_at_ms = log.created_at_ms
        self.partitions = tuple(Partition(log, number, now_ms) for number in range(len(log.partitions)))
        self._turns = itertools.cycle(self.partitions)

    def partition(self, id_: str | None) -> Partition:
        """Give a partition by id. Raises `RefusedError`."""
        for partition in self.partitions:
            if partition.id == id_:
                return partition
        raise RefusedError("amqp:not-found", f"the hub '{self.name}' has no such partition")

    def route(self, key: str | None) -> Partition:
        """Choose the partition of a message that names none: by key, else one after the other."""
        if key is None:
            return next(self._turns)
        return self.partitions[partition_of(key, len(self.partitions))]


class Service:
    """All hubs of one server."""

    def __init__(self, hubs: Mapping[str, HubLog], now_ms: Callable[[], int]) -> None:
        self.hubs = {name: Hub(log, now_ms) for name, log in hubs.items()}

    def hub(self, address: Address | None) -> Hub:
        """Give the hub an address names. Raises `RefusedError`."""
        hub = self.hubs.get(address.node) if address else None
        if hub is None:
            raise RefusedError("amqp:not-found", "the messaging entity could not be found")
        return hub
