"""Everything that can go wrong with Event Hubs, as types that carry the decision.

    EventHubsError
    ├── HubUnreachableError      transient   no answer from the service within the deadline
    ├── ServerBusyError          transient   throttled; carries `retry_after` seconds
    ├── UnauthorizedError                    key, token or role refused
    ├── HubNotFoundError                     no such namespace, hub, consumer group or partition
    ├── ReceiverDisplacedError               another reader holds the partition, or too many readers
    ├── DataLossError                        wanted events are no longer (or not) in the partition
    ├── EventTooLargeError                   one event exceeds the hub's size limit
    ├── ProtocolError                        the peer answered something AMQP or Event Hubs does not allow
    └── ConfigurationError                   a setting is missing, misspelt or contradicts another

`transient` says whether the same call may succeed later without anybody changing anything. Messages name the
remedy and never carry secrets or the content of events. All of them survive pickling.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

__all__ = [
    "ConfigurationError",
    "DataLossError",
    "EventHubsError",
    "EventTooLargeError",
    "HubNotFoundError",
    "HubUnreachableError",
    "LostRange",
    "ProtocolError",
    "ReceiverDisplacedError",
    "ServerBusyError",
    "UnauthorizedError",
    "error_for_condition",
]


class EventHubsError(Exception):
    """Base of all errors of this package."""

    transient: ClassVar[bool] = False


class HubUnreachableError(EventHubsError):
    """The service did not answer in time, or the connection broke."""

    transient = True


class ServerBusyError(EventHubsError):
    """The service throttles us: wait `retry_after` seconds, or buy throughput units."""

    transient = True

    def __init__(self, message: str, retry_after: float = 4.0) -> None:
        super().__init__(message, retry_after)
        self.retry_after = retry_after

    def __str__(self) -> str:
        return str(self.args[0])


class UnauthorizedError(EventHubsError):
    """The service refused the key, the token or the role."""


class HubNotFoundError(EventHubsError):
    """The namespace has no such hub, consumer group or partition."""


class ReceiverDisplacedError(EventHubsError):
    """Another reader took the partition over, or the limit of readers per partition is reached."""


class LostRange(NamedTuple):
    """Events of one partition that retention has passed: `wanted` up to, not including, `earliest`."""

    partition_id: str
    wanted: int
    earliest: int

    def __str__(self) -> str:
        count = self.earliest - self.wanted
        return f"{self.wanted} to {self.earliest - 1} ({count} event{'' if count == 1 else 's'})"


class DataLossError(EventHubsError):
    """Events that were asked for are not in the partition.

    `wanted` is the first sequence number asked for, `earliest` the first one that can still be read. With
    `earliest > wanted` retention has passed the wanted events; otherwise the hub was recreated or restored and
    its numbers begin again. `others` are further partitions that retention has passed.
    """

    def __init__(self, partition_id: str, wanted: int, earliest: int, others: tuple[LostRange, ...] = ()) -> None:
        super().__init__(partition_id, wanted, earliest, others)
        self.partition_id = partition_id
        self.wanted = wanted
        self.earliest = earliest
        self.others = others

    def __str__(self) -> str:
        if self.earliest > self.wanted:
            lost = LostRange(self.partition_id, self.wanted, self.earliest)
            others = "".join(f" Partition {other.partition_id}: {other} are gone as well." for other in self.others)
            return (
                f"Partition {self.partition_id}: events {lost} are gone, retention has passed them.{others} Restore "
                f"them from elsewhere, or accept the loss by starting this partition at {self.earliest} (for the Spark "
                "source alone: with failOnDataLoss=false); to avoid it, raise the hub's retention or stop the stream "
                "for less time."
            )
        return (
            f"Partition {self.partition_id}: event {self.wanted} was asked for, but the partition ends before "
            f"{self.earliest}. The hub was recreated or restored since the position was noted: begin with new "
            f"positions (this partition can be started at {self.earliest} at most)."
        )


class EventTooLargeError(EventHubsError):
    """One event is larger than the hub accepts; `index` counts from 0 in the order of sending."""

    def __init__(self, index: int, limit: int) -> None:
        super().__init__(index, limit)
        self.index = index
        self.limit = limit

    def __str__(self) -> str:
        return (
            f"Event number {self.index} does not fit into the hub's limit of {self.limit} bytes; the events before "
            "it were sent. Shrink or split it, pass on_refused to go on with the rest, or use a tier with "
            "larger events."
        )


class ProtocolError(EventHubsError):
    """The peer sent something that AMQP 1.0 or Event Hubs does not allow."""


class ConfigurationError(EventHubsError):
    """A setting is missing, misspelt or contradicts another."""


_REMEDIES: dict[str, tuple[type[EventHubsError], str]] = {
    "unauthorized-access": (
        UnauthorizedError,
        "Access refused. Check the key or shared access policy (it needs Listen to read, Send to send), or the "
        "Entra ID role (Azure Event Hubs Data Receiver / Data Sender)",
    ),
    "auth-failed": (UnauthorizedError, "Access refused. Check the key, or that the token has not expired"),
    "not-found": (
        HubNotFoundError,
        "Not found. Check the names of namespace, hub and consumer group, and that the partition exists",
    ),
    "entity-disabled": (HubNotFoundError, "The hub is disabled. Enable it in the namespace"),
    "resource-deleted": (HubNotFoundError, "The hub was deleted. Check its name, or create it again"),
    "server-busy": (ServerBusyError, "The namespace throttles. Wait, or add throughput units"),
    "link:stolen": (
        ReceiverDisplacedError,
        "Another reader took this partition over. Give each application its own consumer group",
    ),
    "resource-limit-exceeded": (
        ReceiverDisplacedError,
        "A limit of the namespace is reached; readers are limited to 5 per partition and consumer group. Stop the "
        "others, or use a consumer group of its own",
    ),
    "receiver-disconnected": (
        ReceiverDisplacedError,
        "A reader with a higher epoch took this partition over. Give each application its own consumer group",
    ),
}

_TRANSIENT = {
    "timeout",
    "operation-cancelled",
    "container-close",
    "internal-error",
    "connection:forced",
    "link:detach-forced",
    "socket-error",
    "resource-locked",
}


def error_for_condition(condition: str, where: str) -> EventHubsError:
    """Turn an AMQP error condition (`amqp:not-found`, `com.microsoft:server-busy`) into a typed error.

    `where` names the entity concerned, such as `hub reports, partition 2`. The peer's own description is left
    out on purpose: it can repeat what we sent. An unknown condition is a `ProtocolError`.
    """
    name = condition.partition(":")[2] or condition
    if name in _REMEDIES:
        kind, remedy = _REMEDIES[name]
        return kind(f"{remedy} ({where}: {condition}).")
    if name in _TRANSIENT:
        return HubUnreachableError(
            f"The service broke off ({where}: {condition}). Try again; if it stays, check the service's health."
        )
    return ProtocolError(
        f"The service refused the request ({where}: {condition}). Try transport 'sdk', and check that this "
        "endpoint is an Event Hubs namespace."
    )
