"""What the tests of the local hub share: the official SDK's clients, opened briefly and closed in the background."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from azure.eventhub import EventData, EventHubConsumerClient, EventHubProducerClient, _client_base
from azure.eventhub._pyamqp import _connection, session
from azure.eventhub._pyamqp import client as _client
from azure.eventhub.exceptions import EventHubError

from eventhubs.hub.server import LocalHub

__all__ = ["DEADLINE_S", "Reading", "at_once", "close_later", "closed", "hub_process", "producer", "received", "send"]

DEADLINE_S = 30.0
_closing: list[threading.Thread] = []


def close_later(*steps: Callable[[], Any]) -> None:
    """The SDK takes up to a second to close a client: nobody waits for it before the end of the module."""
    thread = threading.Thread(target=lambda: [step() for step in steps])
    thread.start()
    _closing.append(thread)


@contextmanager
def closed() -> Iterator[None]:
    """Let the SDK look every 5 ms where it looks every 50 by itself; wait, when left, for all that is closed later."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (_client_base, _client, _connection, session):
            patch.setattr(module, "time", _Hurried())
        try:
            yield
        finally:
            for thread in _closing:
                thread.join()
            _closing.clear()


class _Hurried:
    """The module `time`, as far as the SDK uses it, with short waits between looks."""

    time, monotonic, perf_counter = time.time, time.monotonic, time.perf_counter

    @staticmethod
    def sleep(seconds: float) -> None:
        time.sleep(min(seconds, 0.005))


@contextmanager
def producer(connection: LocalHub | str, name: str, **options: Any) -> Iterator[EventHubProducerClient]:
    client = EventHubProducerClient.from_connection_string(
        _text(connection), eventhub_name=name, **{"retry_total": 0, **options}
    )
    try:
        yield client
    finally:
        close_later(client.close)


def send(connection: LocalHub | str, name: str, *bodies: str | bytes, partition: str = "0") -> None:
    with producer(connection, name) as client:
        client.send_batch([EventData(body) for body in bodies], partition_id=partition)


class Reading:
    """One partition being received on a thread, until left."""

    def __init__(
        self,
        connection: LocalHub | str,
        name: str,
        partition: str = "0",
        *,
        group: str = "$Default",
        start: Any = "-1",
        client: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        self.events: list[EventData] = []
        self.errors: list[Exception] = []
        self.opened = False
        self.context: Any = None
        self._changed = threading.Condition()
        self._client = EventHubConsumerClient.from_connection_string(
            _text(connection), group, eventhub_name=name, **{"retry_total": 0, **(client or {})}
        )
        self._thread = threading.Thread(
            target=lambda: self._client.receive_batch(
                self._take,
                partition_id=partition,
                starting_position=start,
                max_wait_time=0.1,
                on_error=lambda _, error: self._fail(error),
                **options,
            )
        )

    def __enter__(self) -> Reading:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        close_later(self._client.close, self._thread.join)

    def until(self, done: Callable[[Reading], bool]) -> Reading:
        with self._changed:
            assert self._changed.wait_for(lambda: done(self), DEADLINE_S), f"{len(self.events)} events, {self.errors}"
        return self

    def bodies(self) -> list[str]:
        return [event.body_as_str() for event in self.events]

    def _take(self, context: Any, events: list[EventData]) -> None:
        with self._changed:
            # An empty batch also means that the link is open.
            self.opened = True
            self.context = context
            self.events += events
            self._changed.notify_all()

    def _fail(self, error: Exception) -> None:
        with self._changed:
            self.errors.append(error)
            self._changed.notify_all()


def received(
    connection: LocalHub | str, name: str, count: int, partition: str = "0", **options: Any
) -> list[EventData]:
    with Reading(connection, name, partition, **options) as reading:
        return reading.until(lambda r: len(r.events) >= count).events


def at_once(*calls: Callable[[], Any]) -> list[Exception | None]:
    """Do several things side by side, for most of the SDK's time is waiting; give what each one raised."""

    def outcome(call: Callable[[], Any]) -> Exception | None:
        try:
            call()
        except EventHubError as error:
            return error
        return None

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(outcome, calls))


@contextmanager
def hub_process(folder: Path, hubs: dict[str, int], *, port: int = 0, **options: Any) -> Iterator[HubProcess]:
    """A hub in a process of its own, to be killed."""
    program = (
        "import pathlib, sys, threading\n"
        "from eventhubs.hub.server import LocalHub\n"
        f"hub = LocalHub(pathlib.Path(sys.argv[1]), {hubs!r}, port={port}, **{options!r})\n"
        "hub.start()\n"
        "print(hub.port, hub.connection_string, flush=True)\n"
        "sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield HubProcess(process)
        finally:
            process.kill()


class HubProcess:
    """A hub that runs elsewhere."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        port, self.connection_string = process.stdout.readline().split()
        self.port = int(port)
        self.pid = process.pid
        self._process = process

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


def _text(connection: LocalHub | str) -> str:
    return connection if isinstance(connection, str) else connection.connection_string
