"""`LocalHub`: the local Event Hub as one object, serving on a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from eventhubs.hub.access import LOCAL_KEY, AccessKey, Keys
from eventhubs.hub.errors import HubError, PortTakenError
from eventhubs.hub.faults import Client, Faults
from eventhubs.hub.names import check_name
from eventhubs.hub.service import DEFAULT_GROUP, Service
from eventhubs.hub.store import FolderLock, HubLog, Keeping, open_hubs
from eventhubs.hub.transport import Transport

__all__ = ["LocalHub"]

TICK_S = 0.25
"""How often time-outs are looked at."""
STOP_S = 1.0
"""How long a stopping hub waits for clients to take what was written to them."""
_TAKEN = (errno.EADDRINUSE, errno.EACCES)
_LOOPBACK = {"127.0.0.1": "::1", "localhost": "::1", "::1": "127.0.0.1"}


class LocalHub:
    """Serves the hubs (name → partition count) kept in `data_dir` to the official SDK, over AMQP without TLS.

    A hub that is missing is created. One that exists keeps its events and its creation time; asking for more partitions
    than it has adds new ones, asking for fewer is a `PartitionCountError`. `port` 0 takes any free one. On a loopback
    `host` both families are served where the machine has them, for `localhost` may mean either.

    - `fsync`: an event is acknowledged only when it would survive a loss of power; without, when it survives the death
      of the process.
    - `retention` (seconds or a timedelta): events older than this are deleted; None keeps everything.
    - `consumer_groups`: which there are beside `$Default`, in every hub.
    - `keys`: who may do what; by default one key `local`, whose secret is `local`, with all rights.

    There is no encryption: serve on loopback only. `faults` makes the hub misbehave, for tests. `start` raises
    `HubError` with advice; `stop` can be called twice. Usable as a context manager, from any thread.
    """

    def __init__(
        self,
        data_dir: Path,
        hubs: Mapping[str, int],
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        fsync: bool = False,
        retention: float | timedelta | None = None,
        consumer_groups: Iterable[str] = (),
        keys: Iterable[AccessKey] = (LOCAL_KEY,),
    ) -> None:
        self.port = port
        """The port served on, known after `start`."""
        self.faults = Faults(self._each_client)
        """Switches that make the hub misbehave."""
        self._data_dir = data_dir
        self._asked = dict(hubs)
        self._host = host
        self._keeping = Keeping(fsync=fsync, retention_ms=_milliseconds(retention))
        self._groups = tuple(consumer_groups)
        for group in self._groups:
            if group.lower() != DEFAULT_GROUP.lower():
                check_name("consumer group", group)
        self._keys = Keys(keys)
        self._lock: FolderLock | None = None
        self._logs: dict[str, HubLog] = {}
        self._sockets: list[socket.socket] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._changing = threading.RLock()
        """Held while starting, stopping and doing something to the clients."""
        self._stopping: asyncio.Event
        self._connections: set[Transport] = set()

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
        """What to give the official SDK: the first of the keys."""
        key = self._keys.first
        return (
            f"Endpoint=sb://localhost:{self.port};SharedAccessKeyName={key.name};SharedAccessKey={key.key};"
            "UseDevelopmentEmulator=true"
        )

    def event_counts(self) -> dict[str, int]:
        """Give the number of events kept per hub, by the names that were asked for."""
        return {
            log.name: sum(partition.next_sequence - partition.begin_sequence for partition in log.partitions)
            for log in self._logs.values()
        }

    def start(self) -> None:
        """Open the data folder, listen, and serve until `stop`. Returns when clients can connect."""
        with self._changing:
            if self._thread is not None:
                raise HubError("the local hub is serving already")
            self._lock = FolderLock(self._data_dir)
            try:
                self._logs = open_hubs(self._data_dir, self._asked, self._keeping, now_ms=_now_ms)
                self._sockets, self.port = _listen(self._host, self.port)
            except BaseException:
                self._release()
                raise
            service = Service(self._logs, _now_ms, self._keys, self._groups, self.faults)
            started = threading.Event()
            self._thread = threading.Thread(
                target=lambda: asyncio.run(self._serve(service, started)), name="local-hub", daemon=True
            )
            self._thread.start()
            started.wait()

    def stop(self) -> None:
        """Close all connections, then the files."""
        with self._changing:
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
            await loop.create_server(lambda: Transport(service, self._connections), sock=listening)
            for listening in self._sockets
        ]
        self._sockets = []
        started.set()
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), TICK_S)
            for connection in list(self._connections):
                connection.tick()
            self._expire()
        for server in servers:
            server.close()
        for connection in list(self._connections):
            connection.shut_down()
        deadline = loop.time() + STOP_S
        while self._connections and loop.time() < deadline:
            await asyncio.sleep(0.01)
        for connection in list(self._connections):
            connection.abort()

    def _expire(self) -> None:
        """Delete what retention has passed."""
        for log in self._logs.values():
            # A file that cannot be deleted now is tried again at the next tick.
            with contextlib.suppress(OSError):
                log.expire(_now_ms())

    def _each_client(self, act: Callable[[Client], int | None]) -> int:
        """Do something to every client in the thread that serves them; give the sum of what it gave."""
        with self._changing:
            if self._thread is None:
                return 0
            assert self._loop is not None

            async def act_on_all() -> int:
                return sum(act(connection) or 0 for connection in list(self._connections))

            return asyncio.run_coroutine_threadsafe(act_on_all(), self._loop).result()

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


def _milliseconds(retention: float | timedelta | None) -> int | None:
    if retention is None:
        return None
    seconds = retention.total_seconds() if isinstance(retention, timedelta) else retention
    if not seconds > 0:
        raise HubError("a retention must be longer than nothing; None keeps events for ever")
    return max(1, round(1000 * seconds))


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
