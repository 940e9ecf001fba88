"""Sessions and links of our AMQP client: who may send how much, and what has arrived. No sockets.

A session's window is what bounds memory, whatever the size of messages: the peer may have at most `WINDOW` frames
(of `MAX_FRAME` bytes each, so 32 MiB) under way or waiting here to be taken. Each partition is read in a session of
its own, so that none can hold up another. A peer that sends more than it may is refused with `ProtocolError`.
"""

from __future__ import annotations

import itertools
import uuid
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from eventhubs import amqp
from eventhubs.amqp.types import Buffer
from eventhubs.errors import EventHubsError, HubUnreachableError, ProtocolError, error_for_condition

__all__ = ["LARGEST_MESSAGE", "MAX_FRAME", "WINDOW", "Delivery", "Link", "Session"]

MAX_FRAME = 65_536
"""Bytes of the largest frame we take."""
WINDOW = 512
"""Frames the peer may have under way or waiting here, in each session."""
LARGEST_MESSAGE = 21 * 1_048_576
"""Bytes; the dedicated tiers allow events of 20 MiB."""
HANDLE_MAX = 15
_U32 = 0xFFFF_FFFF


class Delivery(NamedTuple):
    """One whole message as it came, still encoded."""

    payload: memoryview
    delivery_id: int
    settled: bool
    frames: int


class Session:
    """One channel of a connection. `send` writes performatives on it, in one go; `where` names the peer in errors."""

    def __init__(self, channel: int, where: str, send: Callable[..., None]) -> None:
        self.channel = channel
        self.where = where
        self.error: EventHubsError | None = None
        """Why the peer has ended the session."""
        self.ending = False
        """We have said that we are done with it."""
        self._send = send
        self._links: dict[int, Link] = {}
        self._by_remote_handle: dict[int, Link] = {}
        self._begun = False
        self._incoming = 0
        self._outgoing = 0
        self._delivery_id = 0
        self._room = WINDOW
        self._held = 0

    def begin(self) -> None:
        """Ask for the session, which may be used at once."""
        self._send(amqp.Begin(None, 0, WINDOW, WINDOW, handle_max=HANDLE_MAX))

    def attach(
        self, *, receiver: bool, source: str, target: str, start: str | None = None, properties: Any = None
    ) -> Link:
        """Ask for a link; it may be used at once, and shows a refusal when waited on. `start` is a selector."""
        handle = next(n for n in itertools.count() if n not in self._links)
        link = self._links[handle] = Link(self, handle, f"{source}|{uuid.uuid4()}", receiver)
        filters = amqp.selector_filter(start) if start is not None else None
        self._send(
            amqp.Attach(
                name=link.name,
                handle=link.handle,
                role=receiver,
                snd_settle_mode=0,
                rcv_settle_mode=0,
                source=amqp.source(source, filters),
                target=amqp.target(target),
                initial_delivery_count=None if receiver else 0,
                max_message_size=LARGEST_MESSAGE,
                properties=properties,
            )
        )
        return link

    def allow(self, link: Link, credit: int) -> None:
        """Allow the peer `credit` more messages on this link, from now on."""
        link.credit = credit
        # Unknown to us, and so to be left out, until the peer has attached.
        count = link.delivery_count if link.attached else None
        self._send_flow(handle=link.handle, delivery_count=count, link_credit=credit)

    def transfers(self, link: Link, payload: bytes, max_frame: int) -> list[Buffer]:
        """The frames of one message on an attached link that has the credit."""
        out: list[Buffer] = []
        frames = amqp.encode_transfers(
            out, self.channel, link.handle, self._delivery_id, payload, max_frame_size=max_frame
        )
        self._outgoing = (self._outgoing + frames) & _U32
        self._delivery_id = (self._delivery_id + 1) & _U32
        link.count_delivery()
        return out

    def settle(self, deliveries: list[Delivery]) -> None:
        """Take note that these deliveries were taken: room for others."""
        self._held -= sum(d.frames for d in deliveries)
        unsettled = [d.delivery_id for d in deliveries if not d.settled]
        if unsettled:
            self._send(
                amqp.Disposition(role=True, first=unsettled[0], last=unsettled[-1], settled=True, state=amqp.ACCEPTED)
            )
        self._renew_window()

    def end(self) -> None:
        """Say goodbye, without waiting for the answer."""
        if not self.ending and self.error is None:
            self.ending = True
            self._send(*(amqp.Detach(link.handle, closed=True) for link in self._links.values()), amqp.End())
            self._links.clear()

    # What the peer sends.

    def receive(self, performative: amqp.Performative, payload: memoryview) -> None:
        """Take one frame of the peer's; what was under way when we ended the session is dropped."""
        if self.ending and not isinstance(performative, amqp.End):
            return
        match performative:
            case amqp.Transfer():
                self._take(performative, payload)
            case amqp.Begin() if not self._begun:
                self._begun = True
                self._incoming = performative.next_outgoing_id
            case amqp.Flow(handle=int(handle)):
                self._remote(handle).take_flow(performative)
            case amqp.Attach():
                self._attached(performative)
            case amqp.Detach():
                self._detached(performative)
            case amqp.Disposition(state=amqp.Described(descriptor=0x25, value=refusal)):
                raise _refused(refusal, self.where)
            case amqp.End(error=error):
                self._ended(error)
            case amqp.Flow() | amqp.Disposition():
                # Windows that we do not use up; and what became of a request, of which its answer says more.
                pass
            case _:
                raise ProtocolError(f"{self.where} spoke out of turn. Try transport 'sdk'.")

    def _take(self, transfer: amqp.Transfer, payload: memoryview) -> None:
        self._incoming = (self._incoming + 1) & _U32
        self._room -= 1
        if self._room < 0:
            raise ProtocolError(f"{self.where} sent more than it was allowed to. Try transport 'sdk'.")
        self._held += self._remote(transfer.handle).take_transfer(transfer, payload)
        # A message over many frames must not wait for room that only taking it would give.
        self._renew_window()

    def _renew_window(self) -> None:
        if WINDOW - self._held - self._room >= WINDOW // 2 and not self.ending:
            self._send_flow()

    def _send_flow(self, **link: int | None) -> None:
        self._room = WINDOW - self._held
        self._send(
            amqp.Flow(
                next_incoming_id=self._incoming if self._begun else None,
                incoming_window=self._room,
                next_outgoing_id=self._outgoing,
                outgoing_window=WINDOW,
                **link,  # type: ignore[arg-type]  # handle, delivery_count and link_credit are all integers
            )
        )

    def _attached(self, attach: amqp.Attach) -> None:
        for link in self._links.values():
            if link.name == attach.name and not link.attached:
                link.attached = True
                link.delivery_count = attach.initial_delivery_count or 0
                self._by_remote_handle[attach.handle] = link

    def _detached(self, detach: amqp.Detach) -> None:
        link = self._by_remote_handle.pop(detach.handle, None)
        if link is None:
            # Refused before it was attached.
            link = next((x for x in self._links.values() if not x.attached), None)
            if link is None:
                return
        if detach.error is not None:
            link.error = error_for_condition(detach.error.condition, self.where)
        else:
            link.error = HubUnreachableError(f"The service ended the link ({self.where}). Try again.")
        self._send(amqp.Detach(handle=link.handle, closed=True))
        del self._links[link.handle]

    def _ended(self, error: amqp.Error | None) -> None:
        if not self.ending:
            self.ending = True
            self._send(amqp.End())
        if error is not None:
            self.error = error_for_condition(error.condition, self.where)
        else:
            self.error = HubUnreachableError(f"The service ended the session ({self.where}). Try again.")

    def _remote(self, handle: int) -> Link:
        link = self._by_remote_handle.get(handle)
        if link is None:
            raise ProtocolError(f"{self.where} used a link that is not attached. Try transport 'sdk'.")
        return link


class Link:
    """One direction of messages. What arrives is queued until taken."""

    def __init__(self, session: Session, handle: int, name: str, receiver: bool) -> None:
        self.session = session
        self.handle = handle
        self.name = name
        self.receiver = receiver
        self.attached = False
        self.error: EventHubsError | None = None
        self.credit = 0
        self.delivery_count = 0
        self.arrived: deque[Delivery] = deque()
        self._parts: list[memoryview] = []
        self._frames = 0
        self._size = 0
        self._delivery_id = 0
        self._settled = False

    def ready(self) -> bool:
        """True when attached, and a sender may send; raises why the peer refused or ended the link."""
        error = self.error or self.session.error
        if error is not None:
            raise error
        return self.attached and (self.receiver or self.credit > 0)

    def has_messages(self) -> bool:
        """True when there are some; raises why the link ended once all that came before is taken."""
        if not self.arrived:
            self.ready()
        return bool(self.arrived)

    def take(self, count: int, size: int) -> list[Delivery]:
        """The messages that have arrived, at most `count` of them and about `size` bytes, but one at least."""
        taken = [self.arrived.popleft()]
        size -= len(taken[0].payload)
        while self.arrived and len(taken) < count and size >= len(self.arrived[0].payload):
            taken.append(self.arrived.popleft())
            size -= len(taken[-1].payload)
        self.session.settle(taken)
        return taken

    def take_transfer(self, transfer: amqp.Transfer, payload: memoryview) -> int:
        """Join the frames of a delivery, queue it when complete; gives the frames that now wait to be taken."""
        if not self.receiver:
            raise ProtocolError(f"{self.session.where} sent a message on a link of ours. Try transport 'sdk'.")
        if not self._frames:
            self._delivery_id = transfer.delivery_id or 0
            self._settled = False
            self._size = 0
        self._frames += 1
        self._settled = self._settled or bool(transfer.settled)
        self._size += len(payload)
        if self._size > LARGEST_MESSAGE:
            raise ProtocolError(f"{self.session.where} sent a message without end. Try transport 'sdk'.")
        self._parts.append(payload)
        if transfer.more and not transfer.aborted:
            return 0
        parts, self._parts = self._parts, []
        frames, self._frames = self._frames, 0
        self.count_delivery()
        if transfer.aborted:
            return 0
        whole = parts[0] if len(parts) == 1 else memoryview(b"".join(parts))
        self.arrived.append(Delivery(whole, self._delivery_id, self._settled, frames))
        return frames

    def take_flow(self, flow: amqp.Flow) -> None:
        """Note the credit that the peer gives a sender."""
        if not self.receiver and flow.link_credit is not None:
            credit = ((flow.delivery_count or 0) + flow.link_credit - self.delivery_count) & _U32
            self.credit = credit if credit <= _U32 >> 1 else 0

    def count_delivery(self) -> None:
        """One more message has crossed the link."""
        self.delivery_count = (self.delivery_count + 1) & _U32
        self.credit -= 1


def _refused(refusal: Any, where: str) -> EventHubsError:
    """The error of a rejected message, if the peer says it properly."""
    match refusal:
        case [amqp.Described(value=[str(condition), *_]), *_]:
            return error_for_condition(condition, where)
    return ProtocolError(f"{where} refused a message without saying why. Try transport 'sdk'.")
