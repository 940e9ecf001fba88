"""The server's end of one AMQP connection: bytes in, bytes out, no socket.

`receive` never raises for what a client sends: it closes the connection with the error, and `finished` tells.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable

from eventhubs.amqp import (
    AMQP_HEADER,
    EMPTY_FRAME,
    SASL_HEADER,
    Array,
    Begin,
    Close,
    End,
    Error,
    Frame,
    FrameReader,
    Open,
    ProtocolError,
    SaslInit,
    SaslMechanisms,
    SaslOutcome,
    encode_frame,
)
from eventhubs.amqp.types import Buffer
from eventhubs.hub.access import Authorisation
from eventhubs.hub.links import OutgoingLink
from eventhubs.hub.service import Service
from eventhubs.hub.session import Context, Session

__all__ = ["IDLE_S", "Connection"]

MAX_FRAME_SIZE = 64 * 1024
MAX_OUTGOING_FRAME_SIZE = 1024 * 1024
CHANNEL_MAX = 4_999
TURN_BYTES = 256 * 1024
"""When links have written so much, the others wait for the next run."""
IDLE_S = 240.0
"""A connection on which nothing was heard for so long is closed; clients are told and send heartbeats."""
MECHANISMS = ("MSSBCBS", "ANONYMOUS")
_SASL_FAILED = 1


class Connection:
    """One client's connection.

    `now_s` is the wall clock (tokens expire by it), `monotonic` the clock of time-outs. `wake` is called when
    there is something to do outside `receive`: call `run`, then write what `take_output` gives.
    """

    def __init__(
        self, service: Service, *, now_s: Callable[[], float], monotonic: Callable[[], float], wake: Callable[[], None]
    ) -> None:
        self.finished = False
        """Nothing more will be said: write the output, then close the socket."""
        self._monotonic = monotonic
        self._wake = wake
        self._reader = FrameReader(MAX_FRAME_SIZE)
        self._step: Callable[[], bool] = self._expect_sasl_header
        self._out: list[Buffer] = []
        self._turns: dict[OutgoingLink, None] = {}
        """Links that want a turn, first come first served."""
        self._context = Context(
            service=service,
            authorisation=Authorisation(),
            now_s=now_s,
            out=self._out,
            turn=self._want_turn,
            stop=lambda link: self._turns.pop(link, None),
            wake=wake,
        )
        self._sessions: dict[int, Session] = {}
        self._opened = False
        self._frame_size = MAX_FRAME_SIZE
        self._heartbeat_s: float | None = None
        self._last_heard = self._last_said = monotonic()

    def receive(self, data: bytes) -> None:
        """Take bytes from the client."""
        self._last_heard = self._monotonic()
        self._reader.feed(data)
        try:
            while not self.finished and self._step():
                pass
        except ProtocolError as error:
            self.shut_down(Error(error.condition, str(error)))

    def run(self) -> bool:
        """Give the links that want one a turn, in order, until enough is written; tell whether any wants another."""
        out, said, written = self._out, 0, 0
        for link in list(self._turns):
            # A link that ran may have made another one go.
            if link in self._turns:
                del self._turns[link]
                link.run()
                written += sum(map(len, out[said:]))
                said = len(out)
                if written >= TURN_BYTES:
                    break
        return bool(self._turns)

    def tick(self) -> None:
        """Look at the clock: end what tokens no longer allow, send a heartbeat, or close a connection gone silent."""
        if self._context.authorisation.ends_by(self._context.now_s()):
            self._close_unauthorised()
        now = self._monotonic()
        if now - self._last_heard > IDLE_S:
            self.shut_down(
                Error("amqp:connection:forced", f"nothing was heard on the connection for {IDLE_S:.0f} seconds")
            )
        elif self._heartbeat_s is not None and now - self._last_said >= self._heartbeat_s:
            self._out.append(EMPTY_FRAME)
            self._wake()

    def close_links(self, error: Error, hub: str | None = None) -> int:
        """Detach the links to one hub, or to all; give their number."""
        return sum(session.close_links(error, hub) for session in self._sessions.values())

    def expire_tokens(self) -> int:
        """Forget all tokens and detach the links that needed them; give their number."""
        self._context.authorisation.forget()
        return self._close_unauthorised()

    def take_output(self) -> bytes:
        """Give the bytes to be written, once."""
        if not self._out:
            return b""
        data = b"".join(self._out)
        self._out.clear()
        self._last_said = self._monotonic()
        return data

    def shut_down(self, error: Error | None = None) -> None:
        """Close from this side."""
        if not self.finished:
            self.lost()
            if self._opened:
                self._out.append(encode_frame(0, Close(error)))
            self._wake()

    def lost(self) -> None:
        """Let go of everything: the client is gone."""
        self.finished = True
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            session.close()
        self._turns.clear()

    def _close_unauthorised(self) -> int:
        return sum(session.close_unauthorised() for session in self._sessions.values())

    def _want_turn(self, link: OutgoingLink) -> None:
        self._turns[link] = None
        self._wake()

    # Each step takes one thing off the stream and tells whether it was there.

    def _expect_sasl_header(self) -> bool:
        header = self._reader.next_header()
        if header is None:
            return False
        self._out.append(SASL_HEADER)
        if header != SASL_HEADER:
            # The standard's answer to any other protocol: say which one is spoken here, and go.
            self.shut_down()
            return False
        self._out.append(encode_frame(0, SaslMechanisms(Array(MECHANISMS, symbols=True)), sasl=True))
        self._step = self._expect_sasl_init
        return True

    def _expect_sasl_init(self) -> bool:
        frame = self._reader.next()
        if frame is None:
            return False
        if not isinstance(frame.performative, SaslInit):
            raise ProtocolError("a SASL init is due", "amqp:illegal-state")
        accepted = frame.performative.mechanism in MECHANISMS
        self._out.append(encode_frame(0, SaslOutcome(0 if accepted else _SASL_FAILED), sasl=True))
        if not accepted:
            self.shut_down()
        self._step = self._expect_amqp_header
        return True

    def _expect_amqp_header(self) -> bool:
        header = self._reader.next_header()
        if header is None:
            return False
        self._out.append(AMQP_HEADER)
        if header != AMQP_HEADER:
            self.shut_down()
            return False
        self._step = self._expect_open
        return True

    def _expect_open(self) -> bool:
        frame = self._reader.next()
        if frame is None:
            return False
        if not isinstance(frame.performative, Open):
            raise ProtocolError("an open is due", "amqp:illegal-state")
        self._open(frame.performative)
        self._step = self._expect_frame
        return True

    def _expect_frame(self) -> bool:
        frame = self._reader.next()
        if frame is None:
            return False
        self._handle(frame)
        return True

    def _open(self, open_: Open) -> None:
        self._opened = True
        self._out.append(
            encode_frame(0, Open(f"local-hub-{uuid.uuid4()}", None, MAX_FRAME_SIZE, CHANNEL_MAX, int(1000 * IDLE_S)))
        )
        if open_.max_frame_size is not None:
            if open_.max_frame_size < 512:
                raise ProtocolError("the maximum frame size is below the standard's 512 bytes", "amqp:invalid-field")
            self._frame_size = min(open_.max_frame_size, MAX_OUTGOING_FRAME_SIZE)
        if open_.idle_timeout:
            self._heartbeat_s = open_.idle_timeout / 2000

    def _handle(self, frame: Frame) -> None:
        performative = frame.performative
        session = self._sessions.get(frame.channel)
        if performative is None:
            return
        if isinstance(performative, Begin):
            if session is not None or frame.channel > CHANNEL_MAX:
                raise ProtocolError("a channel is in use or too large", "amqp:not-allowed")
            self._sessions[frame.channel] = Session(self._context, frame.channel, performative, self._frame_size)
        elif isinstance(performative, Close):
            self.shut_down()
        elif session is None:
            raise ProtocolError("a frame is on no session's channel", "amqp:not-allowed")
        elif isinstance(performative, End):
            del self._sessions[frame.channel]
            session.close()
            self._out.append(encode_frame(frame.channel, End()))
        else:
            session.receive(performative, frame.payload)
