"""A blocking AMQP 1.0 client connection with one session, for the few things a receiver of Event Hubs needs.

Nothing happens in the background: frames are read while somebody waits for something, and every wait has a deadline
(`time.monotonic()`), after which `HubUnreachableError` is raised. After any error but a refused link the connection
is of no more use. Steps of opening, each within the deadline: TCP, TLS, SASL ANONYMOUS, then open and begin.
"""

from __future__ import annotations

import itertools
import socket
import ssl
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from eventhubs import amqp
from eventhubs.errors import ConfigurationError, EventHubsError, HubUnreachableError, ProtocolError, error_for_condition
from eventhubs.settings import HubConnection

__all__ = ["AmqpConnection", "Delivery", "Link", "Request", "RequestLink", "decoded"]

_Frame = TypeVar("_Frame")
_MAX_FRAME = 65_536
_WINDOW = 65_536
"""Transfer frames the peer may have under way."""
_READ_SIZE = 262_144
_LARGEST_MESSAGE = 1_048_576 * 20
"""Bytes; the dedicated tiers allow events of 20 MiB."""
_ANSWERS = 1_000
"""Answers the peer may have under way to us."""
_WRITE_PATIENCE = 30.0
"""Seconds for a control frame to leave this machine."""


class AmqpConnection:
    """One open connection; `where` names it in errors."""

    def __init__(self, connection: HubConnection, where: str, deadline: float) -> None:
        self.where = where
        self._last_used = time.monotonic()
        self._links: dict[int, Link] = {}
        self._by_remote_handle: dict[int, Link] = {}
        self._incoming = 0
        self._unreported = 0
        self._outgoing = 0
        self._delivery_id = 0
        self._heartbeat: float | None = None
        self._reader = amqp.FrameReader(_MAX_FRAME)
        self._peer_max_frame = 512
        self._socket = self._connected(connection, deadline)
        try:
            self._handshake(connection, deadline)
        except BaseException:
            self._socket.close()
            raise

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
                max_message_size=_LARGEST_MESSAGE,
                properties=properties,
            )
        )
        return link

    def wait(self, done: Callable[[], bool], deadline: float) -> bool:
        """Handle frames until `done()`; False when the deadline came first. Raises what broke the connection."""
        while not done():
            frame = self._next_frame(deadline)
            if frame is None:
                return False
            self._dispatch(frame)
        return True

    def handle_received(self) -> None:
        """Handle the frames that are here already, without waiting for more."""
        while (frame := self._buffered_frame()) is not None:
            self._dispatch(frame)

    def is_stale(self, longest: float) -> bool:
        """True when nothing was sent or received for so long (seconds) that the peer may have given us up."""
        idle = time.monotonic() - self._last_used
        return idle > (longest if self._heartbeat is None else min(longest, self._heartbeat))

    def close(self) -> None:
        """Say goodbye without waiting for the answer."""
        try:
            self._socket.settimeout(0.2)
            self._socket.sendall(amqp.encode_frame(0, amqp.Close()))
        except OSError:
            # The peer may be gone already; there is nobody left to tell.
            pass
        finally:
            self._socket.close()

    def send_messages(self, link: Link, payloads: Sequence[bytes], deadline: float) -> None:
        """Send messages in one write, on an attached link that has the credit."""
        out: list[bytes | bytearray | memoryview] = []
        for payload in payloads:
            self._outgoing += amqp.encode_transfers(
                out, 0, link.handle, self._delivery_id, payload, max_frame_size=self._peer_max_frame
            )
            self._delivery_id += 1
            link.delivery_count += 1
            link.credit -= 1
        self._write(b"".join(out), deadline)

    def flow(self, link: Link, credit: int) -> None:
        """Allow the peer `credit` more messages on this link, from now on."""
        link.credit = credit
        self._send(
            amqp.Flow(
                next_incoming_id=self._incoming,
                incoming_window=_WINDOW,
                next_outgoing_id=self._outgoing,
                outgoing_window=_WINDOW,
                handle=link.handle,
                # Unknown to us, and so to be left out, until the peer has attached.
                delivery_count=link.delivery_count if link.attached else None,
                link_credit=credit,
            )
        )
        self._unreported = 0

    def settle(self, first: int, last: int) -> None:
        """Tell the peer that these deliveries are taken in."""
        self._send(amqp.Disposition(role=True, first=first, last=last, settled=True, state=amqp.ACCEPTED))

    def detach(self, link: Link) -> None:
        """Close a link, without waiting for the answer."""
        if not link.detached:
            link.detached = True
            self._send(amqp.Detach(handle=link.handle, closed=True))

    def _connected(self, connection: HubConnection, deadline: float) -> socket.socket:
        try:
            address = (connection.host, connection.port)
            raw = socket.create_connection(address, timeout=max(_left(deadline), 0.001))
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if not connection.use_tls:
                return raw
            try:
                return ssl.create_default_context().wrap_socket(raw, server_hostname=connection.host)
            except BaseException:
                raw.close()
                raise
        except ssl.SSLCertVerificationError as error:
            raise ConfigurationError(
                f"The certificate of {connection.endpoint} is not trusted ({error.verify_message}). Check the host "
                "name and this machine's certificate authorities."
            ) from error
        except OSError as error:
            raise self._broken(error) from error

    def _handshake(self, connection: HubConnection, deadline: float) -> None:
        self._exchange_header(amqp.SASL_HEADER, deadline)
        mechanisms = self._expect(amqp.SaslMechanisms, deadline).mechanisms
        offered = [mechanisms] if isinstance(mechanisms, str) else list(mechanisms or [])
        if "ANONYMOUS" not in offered:
            raise ProtocolError(f"No anonymous SASL at {self.where}. Check that this is an Event Hubs namespace.")
        self._write(amqp.encode_frame(0, amqp.SaslInit("ANONYMOUS"), sasl=True), deadline)
        if self._expect(amqp.SaslOutcome, deadline).code != 0:
            raise ProtocolError(f"SASL failed at {self.where}. Check that this is an Event Hubs namespace.")
        self._exchange_header(amqp.AMQP_HEADER, deadline)
        self._send(
            amqp.Open(
                container_id=f"reactionwatch-{uuid.uuid4()}",
                hostname=connection.host,
                max_frame_size=_MAX_FRAME,
                channel_max=0,
            )
        )
        self._send(amqp.Begin(None, 0, _WINDOW, _WINDOW, handle_max=1_023))
        opened = self._expect(amqp.Open, deadline)
        self._peer_max_frame = min(opened.max_frame_size or _MAX_FRAME, _MAX_FRAME)
        # Half of what the peer allows, as the standard advises.
        self._heartbeat = opened.idle_timeout / 2_000 if opened.idle_timeout else None
        self._incoming = self._expect(amqp.Begin, deadline).next_outgoing_id

    def _exchange_header(self, header: bytes, deadline: float) -> None:
        self._write(header, deadline)
        while (answer := self._reader.next_header()) is None:
            if not self._receive(deadline):
                raise self.too_late()
        if answer != header:
            raise ProtocolError(f"The peer at {self.where} does not speak AMQP 1.0. Check host and port.")

    def _expect(self, kind: type[_Frame], deadline: float) -> _Frame:
        frame = self._next_frame(deadline)
        if frame is None:
            raise self.too_late()
        if isinstance(frame.performative, amqp.Close):
            self._dispatch(frame)
        if not isinstance(frame.performative, kind):
            raise ProtocolError(f"The peer at {self.where} answered out of turn. Try transport 'sdk'.")
        return frame.performative

    def _next_frame(self, deadline: float) -> amqp.Frame | None:
        """The next frame that says something, or None at the deadline."""
        while (frame := self._buffered_frame()) is None:
            if not self._receive(deadline):
                return None
        return frame

    def _buffered_frame(self) -> amqp.Frame | None:
        while True:
            try:
                frame = self._reader.next()
            except amqp.ProtocolError as error:
                raise ProtocolError(f"Malformed AMQP from {self.where}: {error}. Try transport 'sdk'.") from error
            # Heartbeats have no performative.
            if frame is None or frame.performative is not None:
                return frame

    def _receive(self, deadline: float) -> bool:
        """Feed what the socket has; False at the deadline. Keeps the connection alive while waiting."""
        while True:
            left = _left(deadline)
            if left <= 0:
                return False
            self._socket.settimeout(left if self._heartbeat is None else min(left, self._heartbeat))
            try:
                data = self._socket.recv(_READ_SIZE)
            except TimeoutError:
                if self._heartbeat is not None:
                    self._write(amqp.EMPTY_FRAME, deadline)
                continue
            except OSError as error:
                raise self._broken(error) from error
            if not data:
                raise HubUnreachableError(f"The service closed the connection ({self.where}). Try again.")
            self._last_used = time.monotonic()
            self._reader.feed(data)
            return True

    def _dispatch(self, frame: amqp.Frame) -> None:
        match frame.performative:
            case amqp.Transfer() as transfer:
                self._incoming = (self._incoming + 1) & 0xFFFF_FFFF
                self._unreported += 1
                link = self._remote(transfer.handle)
                link.take(transfer, frame.payload)
                if self._unreported >= _WINDOW // 2:
                    self.flow(link, link.credit)
            case amqp.Flow() as flow:
                if flow.handle is not None:
                    self._remote(flow.handle).allow(flow)
            case amqp.Attach() as attach:
                for link in self._links.values():
                    if link.name == attach.name:
                        link.attached = True
                        link.delivery_count = attach.initial_delivery_count or 0
                        self._by_remote_handle[attach.handle] = link
            case amqp.Detach() as detach:
                self._ended(detach)
            case amqp.Disposition(state=amqp.Described(descriptor=0x25, value=[amqp.Described() as refusal, *_])):
                raise error_for_condition(str(refusal.value[0]), self.where)
            case amqp.End(error=error) | amqp.Close(error=error):
                if error is not None:
                    raise error_for_condition(error.condition, self.where)
                raise HubUnreachableError(f"The service ended the connection ({self.where}). Try again.")
            case _:
                # Dispositions that accept a request: its answer says more.
                pass

    def _ended(self, detach: amqp.Detach) -> None:
        link = self._by_remote_handle.pop(detach.handle, None)
        if link is None:
            # Refused before it was attached.
            link = next((x for x in self._links.values() if not x.attached), None)
            if link is None:
                return
        if detach.error is not None:
            link.error = error_for_condition(detach.error.condition, self.where)
        elif not link.detached:
            link.error = HubUnreachableError(f"The service ended the link ({self.where}). Try again.")
        self.detach(link)
        del self._links[link.handle]

    def _remote(self, handle: int) -> Link:
        link = self._by_remote_handle.get(handle)
        if link is None:
            raise ProtocolError(f"{self.where} used a link that is not attached. Try transport 'sdk'.")
        return link

    def _send(self, performative: amqp.Performative) -> None:
        self._write(amqp.encode_frame(0, performative), time.monotonic() + _WRITE_PATIENCE)

    def _write(self, data: bytes, deadline: float) -> None:
        self._socket.settimeout(max(_left(deadline), 0.001))
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise self._broken(error) from error
        self._last_used = time.monotonic()

    def _broken(self, error: OSError) -> HubUnreachableError:
        return HubUnreachableError(
            f"No connection to {self.where} ({type(error).__name__}). Check the host, the network (port 5671 outward) "
            "and the service's health, then try again."
        )

    def too_late(self) -> HubUnreachableError:
        """The error of a deadline that came before the answer."""
        return HubUnreachableError(
            f"{self.where} did not answer in time. Check the network and the service's health, or raise the receive "
            "timeout."
        )


class Link:
    """One direction of messages. What arrives is queued until taken."""

    def __init__(self, connection: AmqpConnection, handle: int, name: str, receiver: bool) -> None:
        self.connection = connection
        self.handle = handle
        self.name = name
        self.receiver = receiver
        self.attached = False
        self.detached = False
        """We have said that we are done with it."""
        self.error: EventHubsError | None = None
        self.credit = 0
        self.delivery_count = 0
        self.arrived: deque[Delivery] = deque()
        self._parts: list[memoryview] = []
        self._delivery_id = 0
        self._settled = False

    def take(self, transfer: amqp.Transfer, payload: memoryview) -> None:
        """Join the frames of a delivery; queue it when complete."""
        if not self._parts:
            self._delivery_id = transfer.delivery_id or 0
            self._settled = False
        self._settled = self._settled or bool(transfer.settled)
        if transfer.aborted:
            self._parts = []
            self._count()
            return
        self._parts.append(payload)
        if transfer.more:
            return
        parts, self._parts = self._parts, []
        self._count()
        if not self.detached:
            whole = parts[0] if len(parts) == 1 else memoryview(b"".join(parts))
            self.arrived.append(Delivery(whole, self._delivery_id, self._settled))

    def allow(self, flow: amqp.Flow) -> None:
        """Note the credit that the peer gives a sender."""
        if not self.receiver and flow.link_credit is not None:
            self.credit = (flow.delivery_count or 0) + flow.link_credit - self.delivery_count

    def ready(self) -> bool:
        """True when attached, and a sender may send; raises why the peer refused or ended the link."""
        if self.error is not None:
            raise self.error
        return self.attached and (self.receiver or self.credit > 0)

    def _count(self) -> None:
        self.delivery_count = (self.delivery_count + 1) & 0xFFFF_FFFF
        self.credit -= 1


class Delivery(NamedTuple):
    """One whole message as it came, still encoded."""

    payload: memoryview
    delivery_id: int
    settled: bool


class RequestLink:
    """Requests to a node such as `$management` and their answers, any number under way at once."""

    def __init__(self, connection: AmqpConnection, node: str) -> None:
        self._connection = connection
        self._answers = connection.attach(receiver=True, source=node, target=node)
        self._requests = connection.attach(receiver=False, source=node, target=node)
        connection.flow(self._answers, _ANSWERS)

    def ask(self, requests: Sequence[Request], deadline: float) -> list[amqp.Message]:
        """Send all requests, then wait for all answers; gives them in the order of the requests."""
        pending = {uuid.uuid4(): index for index in range(len(requests))}
        answers: dict[int, amqp.Message] = {}
        unsent = [
            amqp.encode_message(properties=[key], application_properties=r.properties, value=r.value)
            for key, r in zip(pending, requests, strict=True)
        ]
        while unsent:
            self._wait(lambda: self._requests.ready() and self._answers.ready(), deadline)
            sending = unsent[: self._requests.credit]
            unsent = unsent[len(sending) :]
            self._connection.send_messages(self._requests, sending, deadline)
        while len(answers) < len(requests):
            self._wait(lambda: self._answers.ready() and bool(self._answers.arrived), deadline)
            while self._answers.arrived:
                delivery = self._answers.arrived.popleft()
                if not delivery.settled:
                    self._connection.settle(delivery.delivery_id, delivery.delivery_id)
                answer = decoded(delivery.payload, self._connection.where)
                key = answer.properties[5] if len(answer.properties) > 5 else None
                if key in pending:
                    answers[pending.pop(key)] = answer
        if self._answers.credit < _ANSWERS // 2:
            self._connection.flow(self._answers, _ANSWERS)
        return [answers[index] for index in range(len(requests))]

    def _wait(self, done: Callable[[], bool], deadline: float) -> None:
        if not self._connection.wait(done, deadline):
            raise self._connection.too_late()


class Request(NamedTuple):
    """One request: application properties and an AMQP value as body."""

    properties: dict[str, Any]
    value: Any = None


def decoded(payload: memoryview, where: str) -> amqp.Message:
    """The message in a delivery."""
    try:
        return amqp.read_message(payload)
    except amqp.ProtocolError as error:
        raise ProtocolError(f"Malformed message from {where}: {error}. Try transport 'sdk'.") from error


def _left(deadline: float) -> float:
    return deadline - time.monotonic()
