"""The server's ends of links: those a client sends on, and those it receives from.

A link knows its credit and its deliveries; it speaks through its `Endpoint` (a session) and never touches a socket.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Protocol

from eventhubs.amqp import (
    ACCEPTED,
    Described,
    Disposition,
    Error,
    Flow,
    Performative,
    ProtocolError,
    Transfer,
    rejected,
)
from eventhubs.amqp.types import Buffer
from eventhubs.hub.access import Right
from eventhubs.hub.address import Path
from eventhubs.hub.ingest import MAX_MESSAGE_SIZE, with_last_enqueued
from eventhubs.hub.refusals import RefusedError, expired, unauthorised
from eventhubs.hub.service import Partition

__all__ = ["MAX_REPLIES", "Endpoint", "HubReceiver", "IncomingLink", "Need", "OutgoingLink", "ReplyLink"]

SENDER_CREDIT = 300
"""Deliveries a client may have under way on one link."""
EVENTS_PER_TURN = 100
"""Events a receiver is given before the next one has its turn."""
MAX_REPLIES = 10_000
"""Replies kept for a client that asks and gives no credit to answer."""
_U32 = 0xFFFFFFFF


class Need(NamedTuple):
    """What a link to a hub takes a token for."""

    path: Path
    right: Right

    @property
    def refusal(self) -> RefusedError:
        """What is said without such a token."""
        return unauthorised(self.right.claim, self._resource)

    def end(self, link: str) -> RefusedError:
        """What is said when the token has ended."""
        return expired(link, self.right.claim, self._resource)

    @property
    def _resource(self) -> str:
        return "sb://localhost/" + "/".join(self.path)


class Endpoint(Protocol):
    """What a link needs of its session."""

    def send(self, performative: Performative) -> None:
        """Write one frame."""

    def send_flow(self, handle: int, delivery_count: int, credit: int, *, drain: bool = False) -> None:
        """Write a flow for one link, with the session's windows."""

    def deliver(self, handle: int, message: Buffer) -> bool:
        """Write one settled delivery; tell whether the session's window has room for more."""

    def has_room(self) -> bool:
        """Tell whether the session's window has room."""

    def turn(self, link: OutgoingLink) -> None:
        """Ask for a call of `link.run()` soon."""

    def drop(self, link: OutgoingLink, error: Error) -> None:
        """Detach a link for good."""


class IncomingLink:
    """A link the client sends on: joins frames to messages, hands them to `take`, settles them, renews credit.

    `take(message, message_format)` raises `ProtocolError` or `RefusedError` for a message to be rejected.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        handle: int,
        name: str,
        delivery_count: int,
        take: Callable[[bytes, int], None],
        need: Need | None = None,
    ) -> None:
        self.handle = handle
        self.name = name
        self.need = need
        """What it takes a token for; None for a node's link."""
        self._endpoint = endpoint
        self._take = take
        self._delivery_count = delivery_count
        self._credit = 0
        self._first: Transfer | None = None
        self._parts: list[memoryview] = []
        self._size = 0

    def opened(self) -> None:
        """Give the client its first credit."""
        self._grant()

    def closed(self) -> None:
        """Forget a delivery that was under way."""
        self._parts = []

    def flow(self, flow: Flow) -> None:
        """Answer a client that asks how things stand."""
        if flow.echo:
            self._grant()

    def transfer(self, transfer: Transfer, payload: memoryview) -> None:
        """Take one frame of a delivery.

        Raises `RefusedError` for a delivery too large, after which the link is of no use, and `ProtocolError`.
        """
        first = self._first
        if first is None:
            if transfer.delivery_id is None:
                raise ProtocolError("a delivery's first transfer has no delivery id", "amqp:invalid-field")
            first = self._first = transfer
        if not transfer.aborted:
            self._parts.append(payload)
            self._size += len(payload)
            if self._size > MAX_MESSAGE_SIZE:
                raise RefusedError(
                    "amqp:link:message-size-exceeded",
                    f"The received message (delivery-id:{first.delivery_id}, size:{self._size} bytes) exceeds the "
                    f"limit ({MAX_MESSAGE_SIZE} bytes) currently allowed on the link.",
                )
            if transfer.more:
                return
        message = b"".join(self._parts)
        self._first = None
        self._parts = []
        self._size = 0
        self._delivery_count = (self._delivery_count + 1) & _U32
        self._credit -= 1
        if not transfer.aborted:
            self._settle(first, transfer, message)
        if self._credit <= SENDER_CREDIT // 2:
            self._grant()

    def _settle(self, first: Transfer, last: Transfer, message: bytes) -> None:
        state: Described
        try:
            self._take(message, first.message_format or 0)
            state = ACCEPTED
        except ProtocolError as error:
            state = rejected(Error(error.condition, str(error)))
        except RefusedError as error:
            state = rejected(error.error)
        except OSError as error:
            state = rejected(Error("amqp:internal-error", f"the event could not be stored: {error.strerror}"))
        if not (first.settled or last.settled):
            delivery_id = first.delivery_id
            assert delivery_id is not None
            self._endpoint.send(Disposition(True, delivery_id, delivery_id, True, state))

    def _grant(self) -> None:
        self._credit = SENDER_CREDIT
        self._endpoint.send_flow(self.handle, self._delivery_count, self._credit)


class OutgoingLink(ABC):
    """A link the client receives from: sends as long as there are messages, credit and session window."""

    need: Need | None = None
    """What it takes a token for; None for a node's link."""

    def __init__(self, endpoint: Endpoint, handle: int, name: str) -> None:
        self.handle = handle
        self.name = name
        self._endpoint = endpoint
        self._delivery_count = 0
        self._credit = 0
        self._drain = False

    def closed(self) -> None:  # noqa: B027 - most links hold nothing
        """Let go of what the link holds."""

    def flow(self, flow: Flow) -> None:
        """Take the client's credit."""
        if flow.link_credit is not None:
            limit = (flow.delivery_count or 0) + flow.link_credit
            credit = (limit - self._delivery_count) & _U32
            # A client that has not yet seen the last deliveries may promise less than was used already.
            self._credit = credit if credit <= _U32 >> 1 else 0
        self._drain = bool(flow.drain)
        if flow.echo:
            self._endpoint.send_flow(self.handle, self._delivery_count, self._credit)
        self._endpoint.turn(self)

    @abstractmethod
    def run(self) -> None:
        """Send what can be sent; ask for another turn if there is more."""

    def _deliver(self, message: Buffer) -> bool:
        """Send one message; tell whether another may follow."""
        self._credit -= 1
        self._delivery_count = (self._delivery_count + 1) & _U32
        return self._endpoint.deliver(self.handle, message) and self._credit > 0

    def _drained(self) -> None:
        """Use up the credit of a client that wants no more than there is now."""
        if self._drain and self._credit:
            self._delivery_count = (self._delivery_count + self._credit) & _U32
            self._credit = 0
            self._endpoint.send_flow(self.handle, self._delivery_count, 0, drain=True)


class ReplyLink(OutgoingLink):
    """Replies of `$cbs` or `$management`."""

    def __init__(self, endpoint: Endpoint, handle: int, name: str, node: str, address: str | None) -> None:
        super().__init__(endpoint, handle, name)
        self.node = node
        self.address = address
        """Where the client said it takes replies; its requests may name it."""
        self._replies: deque[bytes] = deque()

    def reply(self, message: bytes) -> None:
        """Send a reply as soon as there is credit. Raises `RefusedError` where too many wait for it."""
        if len(self._replies) >= MAX_REPLIES:
            raise RefusedError("amqp:resource-limit-exceeded", "too many replies wait for credit; grant some first")
        self._replies.append(message)
        self._endpoint.turn(self)

    def run(self) -> None:
        """Send replies while there is credit and room."""
        while self._replies and self._credit > 0 and self._endpoint.has_room():
            self._deliver(self._replies.popleft())
        if not self._replies:
            self._drained()


class HubReceiver(OutgoingLink):
    """Events of one partition, from a log position on, as they are and as they come.

    With `tells_last` each also says what the partition's last event is.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        handle: int,
        name: str,
        partition: Partition,
        group: str,
        position: int,
        *,
        need: Need,
        epoch: int | None = None,
        tells_last: bool = False,
    ) -> None:
        super().__init__(endpoint, handle, name)
        self.need = need
        self.epoch = epoch
        self._partition = partition
        self._group = group
        self._position = position
        self._tells_last = tells_last

    def join(self) -> None:
        """Join the partition's receivers; raises `RefusedError`."""
        self._partition.join(self._group, self)

    def closed(self) -> None:
        """Leave the partition."""
        self._partition.stop_waiting(self._wake)
        self._partition.leave(self._group, self)

    def displaced(self, description: str) -> None:
        """Detach: another receiver took the partition."""
        self._endpoint.drop(self, Error("amqp:link:stolen", description))

    def run(self) -> None:
        """Send the next events."""
        if self._credit <= 0 or not self._endpoint.has_room():
            return
        try:
            events = self._partition.read(self._position, min(self._credit, EVENTS_PER_TURN))
        except RefusedError as error:
            self._endpoint.drop(self, error.error)
            return
        last = self._partition.last_enqueued() if self._tells_last else None
        for event in events:
            self._position = event.next_position
            if not self._deliver(event.message if last is None else with_last_enqueued(event.message, last)):
                return
        if events:
            self._endpoint.turn(self)
        else:
            self._drained()
            self._partition.wait(self._wake)

    def _wake(self) -> None:
        self._endpoint.turn(self)
