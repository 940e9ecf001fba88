"""A blocking AMQP 1.0 client connection, for the few things a receiver of Event Hubs needs.

Nothing happens in the background: frames are read while somebody waits for something, and every wait has a deadline
(`time.monotonic()`), after which `HubUnreachableError` is raised. After any error but that of a link or a session the
connection is of no more use. Steps of opening, all within the deadline: name, TCP, TLS, SASL ANONYMOUS, open.
"""

from __future__ import annotations

import socket
import ssl
import time
import uuid
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from eventhubs import amqp
from eventhubs.amqp_session import MAX_FRAME, Link, Session
from eventhubs.errors import ConfigurationError, HubUnreachableError, ProtocolError, error_for_condition
from eventhubs.settings import HubConnection
from eventhubs.threads import ThreadedCall

__all__ = ["AmqpConnection", "decoded"]

_Frame = TypeVar("_Frame")
_READ_SIZE = 262_144
_CHANNEL_MAX = 255
_SMALLEST_FRAME = 512
"""What every peer must take, by the standard."""
_SHORTEST_HEARTBEAT = 0.5
"""Seconds; a peer that wants to hear from us more often than that is not humoured."""


class AmqpConnection:
    """One open connection; `where` names it in errors, `patience` (seconds) is how long a write may take."""

    def __init__(self, connection: HubConnection, where: str, deadline: float, patience: float) -> None:
        self.where = where
        self._patience = patience
        self._last_used = time.monotonic()
        self._sessions: dict[int, Session] = {}
        self._by_remote_channel: dict[int, Session] = {}
        self._channel_max = 0
        self._heartbeat: float | None = None
        self._reader = amqp.FrameReader(MAX_FRAME)
        self._peer_max_frame = _SMALLEST_FRAME
        self._socket = self._connected(connection, deadline)
        try:
            self._handshake(connection, deadline)
        except BaseException:
            self._socket.close()
            raise

    def begin(self) -> Session:
        """A new session; it may be used at once."""
        channel = next((n for n in range(self._channel_max + 1) if n not in self._sessions), None)
        if channel is None:
            raise ProtocolError(f"{self.where} allows no further session. Try transport 'sdk'.")

        session = self._sessions[channel] = Session(channel, self.where, partial(self._send, channel))
        session.begin()
        return session

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
        out = [part for p in payloads for part in link.session.transfers(link, p, self._peer_max_frame)]
        self._write(b"".join(out), deadline)

    def too_late(self) -> HubUnreachableError:
        """The error of a deadline that came before the answer."""
        return HubUnreachableError(
            f"{self.where} did not answer in time. Check the network and the service's health, or raise the receive "
            "timeout."
        )

    def _connected(self, connection: HubConnection, deadline: float) -> socket.socket:
        try:
            raw = self._first_that_answers(_addresses(connection.host, connection.port, deadline), deadline)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if not connection.use_tls:
                return raw
            try:
                raw.settimeout(max(_left(deadline), 0.001))
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

    def _first_that_answers(self, addresses: Sequence[tuple[Any, ...]], deadline: float) -> socket.socket:
        """A socket to the first address that takes us, for a name may have several."""
        refused: OSError = TimeoutError()
        for family, kind, protocol, _, address in addresses:
            attempt = socket.socket(family, kind, protocol)
            try:
                attempt.settimeout(max(_left(deadline), 0.001))
                attempt.connect(address)
            except OSError as error:
                attempt.close()
                refused = error
            else:
                return attempt
        raise refused

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
        ours = amqp.Open(
            container_id=f"reactionwatch-{uuid.uuid4()}",
            hostname=connection.host,
            max_frame_size=MAX_FRAME,
            channel_max=_CHANNEL_MAX,
        )
        self._write(amqp.encode_frame(0, ours), deadline)
        opened = self._expect(amqp.Open, deadline)
        if opened.max_frame_size is not None and opened.max_frame_size < _SMALLEST_FRAME:
            raise ProtocolError(f"{self.where} takes no frames of {_SMALLEST_FRAME} bytes. Try transport 'sdk'.")
        self._peer_max_frame = min(opened.max_frame_size or MAX_FRAME, MAX_FRAME)
        self._channel_max = _CHANNEL_MAX if opened.channel_max is None else min(opened.channel_max, _CHANNEL_MAX)
        # Half of what the peer allows, as the standard advises.
        self._heartbeat = max(opened.idle_timeout / 2_000, _SHORTEST_HEARTBEAT) if opened.idle_timeout else None

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
        performative = frame.performative
        assert performative is not None
        if isinstance(performative, amqp.Close):
            if performative.error is not None:
                raise error_for_condition(performative.error.condition, self.where)
            raise HubUnreachableError(f"The service ended the connection ({self.where}). Try again.")
        if isinstance(performative, amqp.Begin):
            begun = self._sessions.get(-1 if performative.remote_channel is None else performative.remote_channel)
            if begun is not None and begun not in self._by_remote_channel.values():
                self._by_remote_channel[frame.channel] = begun
        session = self._by_remote_channel.get(frame.channel)
        if session is None:
            raise ProtocolError(f"{self.where} used a session that has not begun. Try transport 'sdk'.")
        session.receive(performative, frame.payload)
        if isinstance(performative, amqp.End):
            del self._by_remote_channel[frame.channel], self._sessions[session.channel]

    def _send(self, channel: int, *performatives: amqp.Performative) -> None:
        frames = (amqp.encode_frame(channel, performative) for performative in performatives)
        self._write(b"".join(frames), time.monotonic() + self._patience)

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


def decoded(payload: memoryview, where: str) -> amqp.Message:
    """The message in a delivery."""
    try:
        return amqp.read_message(payload)
    except amqp.ProtocolError as error:
        raise ProtocolError(f"Malformed message from {where}: {error}. Try transport 'sdk'.") from error


def _addresses(host: str, port: int, deadline: float) -> Sequence[tuple[Any, ...]]:
    """What the name stands for. Asked on a thread of its own, for the system's resolver knows no deadline."""
    return ThreadedCall(lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM), "eventhubs-resolver").result(
        deadline
    )


def _left(deadline: float) -> float:
    return deadline - time.monotonic()
