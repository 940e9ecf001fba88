"""Moves bytes between a client's socket and its `Connection`, in the thread of an event loop."""

from __future__ import annotations

import asyncio
import socket
import time
from collections import deque

from eventhubs.amqp import Error
from eventhubs.hub.connection import Connection
from eventhubs.hub.service import Service

__all__ = ["Transport"]

MAX_UNREAD = 1024 * 1024
"""Bytes that wait for a client to read them, above which nothing more is read from it."""
MAX_HELD = 20
"""Writes that a delay may hold back before a client's receivers get no more turns."""


class Transport(asyncio.Protocol):
    """One client, registered in `registry` while it is connected.

    A client that does not read gets no more events until it does. One that asks on and on without reading is not read
    from either, once enough answers wait for it.
    """

    def __init__(self, service: Service, registry: set[Transport]) -> None:
        self._registry = registry
        self._loop = asyncio.get_running_loop()
        self._faults = service.faults
        self._connection = Connection(service, now_s=time.time, monotonic=time.monotonic, wake=self._wake)
        self._woken = False
        self._paused = False
        self._deaf = False
        self._held: deque[tuple[float, bytes]] = deque()
        """What a fault holds back, and until when."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the client in, unless a fault keeps it out."""
        assert isinstance(transport, asyncio.Transport)
        # Answers are small frames: held back until the client acknowledges the last one, each would cost 40 ms.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._transport = transport
        if self._faults.refuses_connections():
            transport.abort()
        else:
            self._registry.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of everything."""
        self._registry.discard(self)
        self._held.clear()
        self._connection.lost()

    def data_received(self, data: bytes) -> None:
        """Take bytes, and answer."""
        self._connection.receive(data)
        self._flush()

    def pause_writing(self) -> None:
        """Give receivers no more turns."""
        self._paused = True

    def resume_writing(self) -> None:
        """Go on giving turns."""
        self._paused = False
        if self._deaf:
            self._deaf = False
            self._transport.resume_reading()
        self._wake()

    def tick(self) -> None:
        """Let time-outs happen."""
        self._connection.tick()

    def shut_down(self) -> None:
        """Close with the reason that a client may reconnect after."""
        self._connection.shut_down(Error("amqp:connection:forced", "the local hub is stopping"))

    def abort(self) -> None:
        """Hang up on a client that does not even take the reason."""
        self._transport.abort()

    # What faults do.

    def hang_up(self) -> int:
        """Close the connection without a word; give 1."""
        self.abort()
        return 1

    def close_links(self, error: Error, hub: str | None) -> int:
        """Detach the links to one hub, or to all; give their number."""
        return self._connection.close_links(error, hub and hub.lower())

    def expire_tokens(self) -> int:
        """Forget all tokens and detach the links that needed them; give their number."""
        return self._connection.expire_tokens()

    def write_held(self) -> None:
        """Write what a delay has held back."""
        held, self._held = self._held, deque()
        for _, data in held:
            self._write(data)
        self._wake()

    def _wake(self) -> None:
        if not self._woken:
            self._woken = True
            self._loop.call_soon(self._run)

    def _run(self) -> None:
        self._woken = False
        if not self._paused and len(self._held) < MAX_HELD and self._connection.run():
            self._wake()
        self._flush()

    def _flush(self) -> None:
        data = self._connection.take_output()
        if data:
            delay = self._faults.answer_delay()
            if delay or self._held:
                self._hold(data, delay)
            else:
                self._write(data)
        if self._connection.finished and not self._held:
            self._transport.close()

    def _write(self, data: bytes) -> None:
        self._transport.write(data)
        if not self._deaf and self._transport.get_write_buffer_size() > MAX_UNREAD:
            self._deaf = True
            self._transport.pause_reading()

    def _hold(self, data: bytes, delay: float) -> None:
        """Write later, and never before what is held back already."""
        due = self._loop.time() + delay
        if self._held:
            due = max(due, self._held[-1][0])
        self._held.append((due, data))
        self._loop.call_at(due, self._write_due)

    def _write_due(self) -> None:
        while self._held and self._held[0][0] <= self._loop.time():
            self._write(self._held.popleft()[1])
        self._wake()
