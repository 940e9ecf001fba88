"""`LocalHub`: the local Event Hub as one object, serving on a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from eventhubs.amqp import Error
from eventhubs.hub.connection import Connection
from eventhubs.hub.errors import HubError, PortTakenError
from eventhubs.hub.service import Service
from eventhubs.hub.store import FolderLock, HubLog, open_hubs

__all__ = ["LocalHub"]

TICK_S = 0.25
"""How often time-outs are looked at."""
STOP_S = 1.0
"""How long a stopping hub waits for clients to take what was written to them."""
_TAKEN = (errno.EADDRINUSE, errno.EACCES)
_LOOPBACK = {"127.0.0.1": "::1", "localhost": "::1", "::1": "127.0.0.1"}


class LocalHub:
    """Serves the hubs (name → partition count) kept in `data_dir` to the official SDK, over AMQP without TLS.

    A hub that is missing is created; one that exists keeps its events, its creation time and its partition count,
    and asking for another count is a `PartitionCountError`. `port` 0 takes any free one. On a loopback `host`
    both families are served where the machine has them, for `localhost` may mean either. With `fsync` an event is
    acknowledged only when it would survive a loss of power; without, when it survives the death of the process.

    Every well-formed token is accepted: serve on loopback only. `start` raises `HubError` with advice; `stop` can be
    called twice. Usable as a context manager, from any thread.
    """

    def __init__(
        self,
        data_dir: Path,
        hubs: Mapping[str, int],
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        fsync: bool = False,
    ) -> None:
        self.port = port
        """The port served on, known after `start`."""
        self._data_dir = data_dir
        self._asked = dict(hubs)
        self._host = host
        self._fsync = fsync
        self._lock: FolderLock | None = None
        self._logs: dict[str, HubLog] = {}
        self._sockets: list[socket.socket] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stopping: asyncio.Event
        self._connections: set[_Transport] = set()

    def __repr__(self) -> str:
        state = "serving" if self._thread else "stopped"
        return f"<LocalHub {state} on port {self.port}: {', '.join(sorted(self._asked))}>"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def connection_string(self) -> str:
        """What to give the official SDK; any key would do."""
        return (
            f"Endpoint=sb://localhost:{self.port};SharedAccessKeyName=local;SharedAccessKey=local;"
            "UseDevelopmentEmulator=true"
        )

    def event_counts(self) -> dict[str, int]:
        """Give the number of events stored per hub, by the names that were asked for."""
        return {log.name: sum(partition.next_sequence for partition in log.partitions) for log in self._logs.values()}

    def start(self) -> None:
        """Open the data folder, listen, and serve until `stop`. Returns when clients can connect."""
        if self._thread is not None:
            raise HubError("the local hub is serving already")
        self._lock = FolderLock(self._data_dir)
        try:
            self._logs = open_hubs(self._data_dir, self._asked, fsync=self._fsync, now_ms=_now_ms)
            self._sockets, self.port = _listen(self._host, self.port)
        except BaseException:
            self._release()
            raise
        service = Service(self._logs, _now_ms)
        started = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(service, started)), name="local-hub", daemon=True
        )
        self._thread.start()
        started.wait()

    def stop(self) -> None:
        """Close all connections, then the files."""
        if self._thread is None:
            return
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        self._thread = None
        self._release()

    async def _serve(self, service: Service, started: threading.Event) -> None:
        loop = self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        servers = [
            await loop.create_server(lambda: _Transport(service, self._connections), sock=listening)
            for listening in self._sockets
        ]
        self._sockets = []
        started.set()
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), TICK_S)
            for connection in list(self._connections):
                connection.tick()
        for server in servers:
            server.close()
        for connection in list(self._connections):
            connection.shut_down()
        deadline = loop.time() + STOP_S
        while self._connections and loop.time() < deadline:
            await asyncio.sleep(0.01)
        for connection in list(self._connections):
            connection.abort()

    def _release(self) -> None:
        for listening in self._sockets:
            listening.close()
        self._sockets = []
        for log in self._logs.values():
            log.close()
        self._logs = {}
        if self._lock is not None:
            self._lock.release()
            self._lock = None


class _Transport(asyncio.Protocol):
    """Moves bytes between a socket and its `Connection`."""

    def __init__(self, service: Service, registry: set[_Transport]) -> None:
        self._registry = registry
        self._loop = asyncio.get_running_loop()
        self._connection = Connection(service, now_s=time.time, monotonic=time.monotonic, wake=self._wake)
        self._woken = False
        self._paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        # Answers are small frames: held back until the client acknowledges the last one, each would cost 40 ms.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._transport = transport
        self._registry.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._registry.discard(self)
        self._connection.lost()

    def data_received(self, data: bytes) -> None:
        self._connection.receive(data)
        self._flush()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
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

    def _wake(self) -> None:
        if not self._woken:
            self._woken = True
            self._loop.call_soon(self._run)

    def _run(self) -> None:
        self._woken = False
        # A client that does not read gets nothing more until it does; what it asks for meanwhile still counts.
        if not self._paused and self._connection.run():
            self._wake()
        self._flush()

    def _flush(self) -> None:
        data = self._connection.take_output()
        if data:
            self._transport.write(data)
        if self._connection.finished:
            self._transport.close()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _listen(host: str, port: int) -> tuple[list[socket.socket], int]:
    """Listen on `host` and, for loopback, on its twin of the other family where there is one."""
    first = _bind(host, port)
    bound = first.getsockname()[1]
    twin = _LOOPBACK.get(host)
    sockets = [first]
    if twin is not None:
        try:
            sockets.append(_bind(twin, bound))
        except PortTakenError:
            if port:
                first.close()
                raise
            # Any port will do, so one that is free in both families will be found.
            try:
                return _listen(host, 0)
            finally:
                first.close()
        except OSError:
            pass  # The machine has no such family.
    return sockets, bound


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        if error.errno in _TAKEN:
            raise PortTakenError(
                f"port {port} on {host} cannot be listened on ({os.strerror(error.errno)}); "
                "stop what uses it, or choose another port (0 takes any free one)"
            ) from None
        raise
