"""The server's end of one AMQP session: windows, handles, and the attaching of links."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from eventhubs.amqp import (
    SELECTOR_FILTER,
    Attach,
    Begin,
    Described,
    Detach,
    Disposition,
    Error,
    Flow,
    Message,
    Performative,
    ProtocolError,
    Terminus,
    Transfer,
    encode_frame,
    encode_transfers,
    read_message,
)
from eventhubs.amqp.types import Buffer
from eventhubs.hub.access import Authorisation, Right
from eventhubs.hub.address import EARLIEST, Address, Position, parse_address, parse_selector
from eventhubs.hub.ingest import MAX_MESSAGE_SIZE, ingest
from eventhubs.hub.links import HubReceiver, IncomingLink, Need, OutgoingLink, ReplyLink
from eventhubs.hub.nodes import manage, put_token, reply_address
from eventhubs.hub.refusals import RefusedError
from eventhubs.hub.service import Hub, Service

__all__ = ["HANDLE_MAX", "Context", "Session"]

HANDLE_MAX = 255
INCOMING_WINDOW = 5_000
OUTGOING_WINDOW = 5_000
_NODES = ("$cbs", "$management")
_TELL_LAST = "com.microsoft:enable-receiver-runtime-metric"
_SETTLED, _MIXED = 1, 2
_U32 = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Context:
    """What the sessions of one connection share."""

    service: Service
    authorisation: Authorisation
    now_s: Callable[[], float]
    out: list[Buffer]
    """Bytes to be written, in order."""
    turn: Callable[[OutgoingLink], None]
    """Asks for a turn of a link."""
    stop: Callable[[OutgoingLink], None]
    """Takes `turn` back."""
    wake: Callable[[], None]
    """Asks for the output to be written, where that is not about to happen anyway."""


class Session:
    """One session, on the channel its client chose."""

    def __init__(self, context: Context, channel: int, begin: Begin, max_frame_size: int) -> None:
        self._context = context
        self._channel = channel
        self._max_frame_size = max_frame_size
        self._links: dict[int, IncomingLink | OutgoingLink] = {}
        self._dropped: set[int] = set()
        """Handles detached from here, on which the client may still send until it answers."""
        self._held: deque[tuple[int, Buffer, Buffer]] = deque()
        """Frames (handle, head, payload) that wait for the client's window."""
        self._next_incoming_id = begin.next_outgoing_id
        self._incoming_window = INCOMING_WINDOW
        self._next_outgoing_id = 0
        self._next_delivery_id = 0
        self._remote_window = begin.incoming_window
        self.send(Begin(channel, self._next_outgoing_id, INCOMING_WINDOW, OUTGOING_WINDOW, HANDLE_MAX))

    def receive(self, performative: Performative, payload: memoryview) -> None:
        """Take one frame. Raises `ProtocolError`."""
        match performative:
            case Transfer():
                self._transfer(performative, payload)
            case Flow():
                self._flow(performative)
            case Attach():
                self._attach(performative)
            case Detach():
                self._detach(performative)
            case Disposition():
                pass  # Deliveries are sent settled: there is nothing a receiver could still decide.
            case _:
                raise ProtocolError("a frame is not allowed here", "amqp:illegal-state")

    def close(self) -> None:
        """Let go of all links."""
        links, self._links = self._links, {}
        for link in links.values():
            self._close(link)

    def close_links(self, error: Error, hub: str | None = None) -> int:
        """Detach the links to one hub, or to all; give their number."""
        closing = [link for link in self._links.values() if link.need and hub in (None, link.need.path[0])]
        for link in closing:
            self.drop(link, error)
        return len(closing)

    def close_unauthorised(self) -> int:
        """Detach the links whose token has ended; give their number."""
        closing = [link for link in self._links.values() if link.need and not self._allows(link.need)]
        for link in closing:
            assert link.need is not None
            self.drop(link, link.need.end(link.name).error)
        return len(closing)

    # What links use.

    def send(self, performative: Performative) -> None:
        """Write one frame."""
        self._context.out.append(encode_frame(self._channel, performative))

    def send_flow(
        self,
        handle: int | None = None,
        delivery_count: int | None = None,
        credit: int | None = None,
        *,
        drain: bool = False,
    ) -> None:
        """Write a flow with fresh windows."""
        self._incoming_window = INCOMING_WINDOW
        self.send(
            Flow(
                self._next_incoming_id,
                self._incoming_window,
                self._next_outgoing_id,
                OUTGOING_WINDOW,
                handle,
                delivery_count,
                credit,
                None,
                drain,
                False,
            )
        )

    def deliver(self, handle: int, message: Buffer) -> bool:
        """Write one settled delivery, holding back what exceeds the client's window; tell if there is room left."""
        delivery_id = self._next_delivery_id
        self._next_delivery_id = (delivery_id + 1) & _U32
        parts: list[Buffer] = []
        frames = encode_transfers(
            parts,
            self._channel,
            handle,
            delivery_id,
            message,
            max_frame_size=self._max_frame_size,
            settled=True,
        )
        if frames <= self._remote_window and not self._held:
            self._context.out.extend(parts)
            self._count(frames)
        else:
            self._held.extend((handle, *pair) for pair in zip(parts[::2], parts[1::2], strict=True))
            self._release()
        return self.has_room()

    def has_room(self) -> bool:
        """Tell whether the client's window has room and nothing is held back."""
        return self._remote_window > 0 and not self._held

    def turn(self, link: OutgoingLink) -> None:
        """Ask for a turn of a link."""
        self._context.turn(link)

    def drop(self, link: IncomingLink | OutgoingLink, error: Error) -> None:
        """Detach a link for good, telling why."""
        if self._links.pop(link.handle, None) is not None:
            self._close(link)
            self._dropped.add(link.handle)
            self.send(Detach(link.handle, True, error))
            # What displaces a receiver happens on another connection.
            self._context.wake()

    # What clients send.

    def _transfer(self, transfer: Transfer, payload: memoryview) -> None:
        self._next_incoming_id = (self._next_incoming_id + 1) & _U32
        self._incoming_window -= 1
        if self._incoming_window <= INCOMING_WINDOW // 2:
            self.send_flow()
        link = self._links.get(transfer.handle)
        if isinstance(link, IncomingLink):
            try:
                link.transfer(transfer, payload)
            except RefusedError as error:
                self.drop(link, error.error)
        elif transfer.handle not in self._dropped:
            raise ProtocolError("a transfer is on no attached link", "amqp:session:unattached-handle")

    def _flow(self, flow: Flow) -> None:
        seen = flow.next_incoming_id or 0
        window = (seen + flow.incoming_window - self._next_outgoing_id) & _U32
        self._remote_window = window if window <= _U32 >> 1 else 0
        self._release()
        if flow.handle is None:
            if flow.echo:
                self.send_flow()
        elif (link := self._links.get(flow.handle)) is not None:
            link.flow(flow)
        elif flow.handle not in self._dropped:
            raise ProtocolError("a flow is for no attached link", "amqp:session:unattached-handle")
        # The window is shared, so that any link may have been waiting for it.
        for link in self._links.values():
            if isinstance(link, OutgoingLink):
                self.turn(link)

    def _detach(self, detach: Detach) -> None:
        link = self._links.pop(detach.handle, None)
        if link is not None:
            self._close(link)
            self.send(Detach(detach.handle, True))
        self._dropped.discard(detach.handle)

    def _attach(self, attach: Attach) -> None:
        if attach.handle > HANDLE_MAX:
            raise ProtocolError("a handle is larger than agreed", "amqp:connection:framing-error")
        if attach.handle in self._links:
            raise ProtocolError("a handle is in use", "amqp:session:handle-in-use")
        self._dropped.discard(attach.handle)
        try:
            link = self._open_receiver(attach) if attach.role else self._open_sender(attach)
        except RefusedError as error:
            self._dropped.add(attach.handle)
            self._answer(attach, refused=True)
            self.send(Detach(attach.handle, True, error.error))
            return
        self._links[attach.handle] = link
        self._answer(attach, refused=False)
        if isinstance(link, IncomingLink):
            link.opened()

    def _answer(self, attach: Attach, *, refused: bool) -> None:
        """Attach this end. A refused link has no terminus on this side, which tells the client to expect a detach."""
        receiving = attach.role
        self.send(
            Attach(
                attach.name,
                attach.handle,
                not receiving,
                _SETTLED if receiving else _MIXED if attach.snd_settle_mode is None else attach.snd_settle_mode,
                0,
                None if refused and receiving else attach.raw_source,
                None if refused and not receiving else attach.raw_target,
                None,
                False,
                0 if receiving else None,
                MAX_MESSAGE_SIZE,
            )
        )

    def _open_sender(self, attach: Attach) -> IncomingLink:
        """Open the link a client wants to send on. Raises `RefusedError`."""
        address = parse_address(_address(attach.target))
        start = attach.initial_delivery_count or 0
        if address and address.node == "$cbs":
            return IncomingLink(self, attach.handle, attach.name, start, self._take_token)
        if address and address.node == "$management":
            return IncomingLink(self, attach.handle, attach.name, start, self._take_request)
        hub, address, need = self._entity(address, Right.SEND)
        if address.consumer_group is not None:
            raise RefusedError("amqp:not-allowed", "a consumer group can only be received from")
        chosen = hub.partition(address.partition) if address.partition is not None else None
        faults = self._context.service.faults

        def take(message: bytes, message_format: int) -> None:
            faults.check_throttle(hub.name)
            events = ingest(message, message_format)
            (chosen or hub.route(events.key)).publish(events.encoders)

        return IncomingLink(self, attach.handle, attach.name, start, take, need)

    def _open_receiver(self, attach: Attach) -> OutgoingLink:
        """Open the link a client wants to receive from. Raises `RefusedError`."""
        address = parse_address(_address(attach.source))
        if address and address.node in _NODES:
            return ReplyLink(self, attach.handle, attach.name, address.node, _address(attach.target))
        hub, address, need = self._entity(address, Right.LISTEN)
        if address.consumer_group is None:
            raise RefusedError("amqp:not-allowed", "a hub is received from by consumer group and partition")
        hub.check_group(address.consumer_group)
        partition = hub.partition(address.partition)
        receiver = HubReceiver(
            self,
            attach.handle,
            attach.name,
            partition,
            address.consumer_group,
            partition.start(_position(attach.source)),
            need=need,
            epoch=_epoch(attach.properties),
            tells_last=_TELL_LAST in _symbols(attach.desired_capabilities),
        )
        receiver.join()
        return receiver

    def _entity(self, address: Address | None, right: Right) -> tuple[Hub, Address, Need]:
        """Give the hub at an address, if it may be used now. Raises `RefusedError`."""
        hub = self._context.service.hub(address)
        assert address is not None
        self._context.service.faults.check_throttle(hub.name)
        need = Need(address.path, right)
        if not self._allows(need):
            raise need.refusal
        return hub, address, need

    def _allows(self, need: Need) -> bool:
        return self._context.authorisation.allows(need.path, need.right, self._context.now_s())

    def _take_token(self, message: bytes, _: int) -> None:
        context = self._context
        request = read_message(message)
        self._reply("$cbs", request, put_token(request, context.service, context.authorisation, context.now_s()))

    def _take_request(self, message: bytes, _: int) -> None:
        context = self._context
        request = read_message(message)
        self._reply("$management", request, manage(request, context.service, context.authorisation, context.now_s()))

    def _reply(self, node: str, request: Message, reply: bytes) -> None:
        """Reply on the link the request names, else on the session's first one from that node."""
        links = [link for link in self._links.values() if isinstance(link, ReplyLink) and link.node == node]
        if not links:
            raise RefusedError("amqp:precondition-failed", "attach a link to receive the reply on first")
        wanted = reply_address(request)
        next((link for link in links if link.address == wanted), links[0]).reply(reply)

    def _close(self, link: IncomingLink | OutgoingLink) -> None:
        link.closed()
        if isinstance(link, OutgoingLink):
            self._context.stop(link)
            # What a detached link still had to say would be out of place.
            if self._held:
                self._held = deque(held for held in self._held if held[0] != link.handle)

    def _release(self) -> None:
        """Write what is held back, as far as the client's window goes."""
        frames = min(self._remote_window, len(self._held))
        for _ in range(frames):
            self._context.out.extend(self._held.popleft()[1:])
        self._count(frames)

    def _count(self, frames: int) -> None:
        self._remote_window -= frames
        self._next_outgoing_id = (self._next_outgoing_id + frames) & _U32


def _address(terminus: Any) -> str | None:
    return terminus.address if isinstance(terminus, Terminus) else None


def _position(source: Any) -> Position:
    """Read the start position from a receiver's source; without a filter, the earliest event."""
    if not isinstance(source, Terminus) or not source.filters:
        return EARLIEST
    selector = source.filters.get(SELECTOR_FILTER)
    if isinstance(selector, Described):
        selector = selector.value
    position = parse_selector(selector) if isinstance(selector, str) else None
    if position is None or len(source.filters) > 1:
        raise RefusedError("amqp:invalid-field", "the source's filter is not a start position")
    return position


def _symbols(value: Any) -> list[Any]:
    """Read a field that holds any number of symbols."""
    return value if isinstance(value, list) else [value]


def _epoch(properties: dict[Any, Any] | None) -> int | None:
    epoch = (properties or {}).get("com.microsoft:epoch")
    if epoch is None:
        return None
    if not isinstance(epoch, int) or isinstance(epoch, bool) or epoch < 0:
        raise RefusedError("amqp:invalid-field", "the epoch is not a number from 0 on")
    return epoch
