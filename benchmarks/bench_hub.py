"""The local hub: events in and out per second, how fast it is up, how much memory it takes.

Measured by the official SDK and by clients that cost next to nothing. The hub runs in a process of its own, each client
in another. Where all of them share few cores, the SDK's clients take most of the time; the plain ones show the hub's.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.hub_process import HubProcess
from eventhubs.amqp import (
    AMQP_HEADER,
    BATCH_FORMAT,
    SASL_HEADER,
    Attach,
    Begin,
    Flow,
    Open,
    SaslInit,
    encode_frame,
    encode_message,
    encode_transfers,
    selector_filter,
    source,
    target,
)
from eventhubs.hub.server import LocalHub
from eventhubs.settings import HubConnection

SIZE, BATCH, PARTITIONS, WINDOW = 1_000, 250, 4, 2**31 - 1
_TRANSFER, _DISPOSITION, _FLOW = 0x14, 0x15, 0x13
_SIZE = struct.Struct(">I").unpack_from


class PlainClient:
    """Speaks just enough AMQP to send and to count, and decodes nothing."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._rest = b""
        self._deliveries = 0
        opening = SASL_HEADER + encode_frame(0, SaslInit("ANONYMOUS"), sasl=True) + AMQP_HEADER
        opening += encode_frame(0, Open("bench", "localhost", 1024 * 1024)) + encode_frame(0, Begin(None, 0, WINDOW, 9))
        key = HubConnection("localhost", key_name="local", key="local")
        token = key.shared_access_token("sb://localhost", int(time.time()) + 3600)
        asked = {"operation": "put-token", "type": "servicebus.windows.net:sastoken", "name": "sb://localhost"}
        opening += self._attach(0, True, source("$cbs"), target("me"))
        opening += encode_frame(0, Flow(0, WINDOW, 0, WINDOW, 0, 0, 1))
        opening += self._attach(1, False, source("me"), target("$cbs"))
        opening += self._transfer(
            1, encode_message(properties=[uuid.uuid4()], application_properties=asked, value=token)
        )
        self._socket.sendall(opening)

    def send(self, partition: int, count: int) -> None:
        """Send `count` events in batches, 20 of them under way at most."""
        self._socket.sendall(self._attach(2, False, source("me"), target(f"amqps://h/bench/Partitions/{partition}")))
        event = encode_message(data=[os.urandom(SIZE)])
        batch = encode_message(data=[event] * BATCH)
        under_way = -1  # the token is answered too
        for _ in range(count // BATCH):
            self._socket.sendall(self._transfer(2, batch, BATCH_FORMAT))
            under_way += 1
            while under_way >= 20:
                under_way -= self._count(_DISPOSITION)
        while under_way > 0:
            under_way -= self._count(_DISPOSITION)

    def receive(self, partition: int, count: int) -> None:
        """Take `count` events from the beginning on."""
        where = f"amqps://h/bench/ConsumerGroups/$Default/Partitions/{partition}"
        start = selector_filter("amqp.annotation.x-opt-offset > '-1'")
        self._socket.sendall(self._attach(2, True, source(where, start), target("me")))
        self._socket.sendall(encode_frame(0, Flow(0, WINDOW, 0, WINDOW, 2, 0, count)))
        got = -1  # the token's answer is a transfer too
        while got < count:
            got += self._count(_TRANSFER)

    def _attach(self, handle: int, receives: bool, of: Any, to: Any) -> bytes:
        return encode_frame(0, Attach(f"l{handle}", handle, receives, 0, 0, of, to, initial_delivery_count=0))

    def _transfer(self, handle: int, message: bytes, message_format: int = 0) -> bytes:
        out: list[Any] = []
        encode_transfers(out, 0, handle, self._deliveries, message, max_frame_size=65536, message_format=message_format)
        self._deliveries += 1
        return b"".join(out)

    def _count(self, kind: int) -> int:
        """Wait for bytes; count the frames of one kind in them."""
        data = self._socket.recv(1024 * 1024)
        if not data:
            raise ConnectionError("the hub hung up")
        data = self._rest + data
        at = found = 0
        while len(data) - at >= 8:
            if data[at : at + 4] == b"AMQP":
                at += 8
                continue
            size = _SIZE(data, at)[0]
            if len(data) - at < size:
                break
            # After the frame's head: 00 53 and the performative's code.
            found += size > 10 and data[at + 10] == kind
            at += size
        self._rest = data[at:]
        return found


def plain_send(connection: str, partition: int, count: int) -> None:
    """Send as a plain client."""
    PlainClient(_port(connection)).send(partition, count)


def plain_receive(connection: str, partition: int, count: int) -> None:
    """Receive as a plain client."""
    PlainClient(_port(connection)).receive(partition, count)


def sdk_send(connection: str, partition: int, count: int) -> None:
    """Send with the SDK's `send_batch`."""
    from azure.eventhub import EventData, EventHubProducerClient

    body = os.urandom(SIZE)
    with EventHubProducerClient.from_connection_string(connection, eventhub_name="bench") as client:
        for _ in range(count // BATCH):
            client.send_batch([EventData(body) for _ in range(BATCH)], partition_id=str(partition))


def sdk_receive(connection: str, partition: int, count: int) -> None:
    """Receive with the SDK's `receive_batch`."""
    from azure.eventhub import EventHubConsumerClient

    got = 0
    client = EventHubConsumerClient.from_connection_string(connection, "$Default", eventhub_name="bench")

    def take(_: object, events: list[Any]) -> None:
        nonlocal got
        got += len(events)
        if got >= count:
            client.close()

    client.receive_batch(
        take, partition_id=str(partition), starting_position="-1", max_batch_size=1_000, max_wait_time=1, prefetch=3_000
    )


Role = Callable[[str, int, int], None]


def _port(connection: str) -> int:
    return HubConnection.from_connection_string(connection).port


@contextmanager
def hub_process() -> Iterator[HubProcess]:
    """A hub in a process of its own, with a new folder."""
    with tempfile.TemporaryDirectory() as folder, HubProcess(Path(folder), {"bench": PARTITIONS}) as hub:
        yield hub


def _client(role: Role, connection: str, partition: int, count: int, pipe: Connection) -> None:
    # Imports are not what is measured.
    if role in (sdk_send, sdk_receive):
        import azure.eventhub  # noqa: F401 - for its effect
    pipe.send("ready")
    pipe.recv()
    role(connection, partition, count)


def measure(hub: HubProcess, roles: list[tuple[Role, int]], count: int) -> tuple[float, float]:
    """Let clients do `count` events each, all at once, on their partitions; give seconds and the hub's CPU seconds."""
    context = multiprocessing.get_context("spawn")
    running = []
    for role, partition in roles:
        ours, theirs = context.Pipe()
        process = context.Process(target=_client, args=(role, hub.connection, partition, count, theirs))
        process.start()
        running.append((process, ours))
    for _, pipe in running:
        pipe.recv()
    cpu, started = hub.cpu_s(), time.perf_counter()
    for _, pipe in running:
        pipe.send("go")
    for process, _ in running:
        process.join()
        assert process.exitcode == 0, "a client failed"
    return time.perf_counter() - started, hub.cpu_s() - cpu


def throughput(name: str, send: Role, receive: Role, clients: int, count: int) -> None:
    """Print events/s in, out, and in and out at once."""
    senders, receivers = [(send, n) for n in range(clients)], [(receive, n) for n in range(clients)]
    with hub_process() as hub:
        total = clients * count
        for what, roles in (("in", senders), ("out", receivers)):
            seconds, cpu = measure(hub, roles, count)
            print(f"{name:12} {what:12} {total / seconds:9,.0f} events/s   hub {1e6 * cpu / total:5.1f} µs an event")
    with hub_process() as hub:
        # Receivers wait for events that are not there yet, and take them as they come.
        seconds, cpu = measure(hub, receivers + senders, count)
        print(
            f"{name:12} {'in and out':12} {total / seconds:9,.0f} events/s   hub {1e6 * cpu / total:5.1f} µs an event"
        )


def startup(rounds: int) -> None:
    """Print how long the fixture and the command take until a client can connect."""
    fixture = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            hub = LocalHub(Path(folder), {"reports": 4, "alerts": 4})
            hub.start()
            fixture.append(1e3 * (time.perf_counter() - started))
            hub.stop()
    print(
        f"fixture up   {statistics.median(fixture):9.1f} ms (median of {rounds}; 2 hubs with 4 partitions, new folder)"
    )
    command = []
    for _ in range(3):
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            with subprocess.Popen(
                [sys.executable, "-m", "reactionwatch.cli", "hub", "--port", "0"],
                stderr=subprocess.PIPE,
                env={**os.environ, "REACTIONWATCH_DATA_DIR": folder},
            ) as process:
                assert process.stderr is not None
                process.stderr.readline()
                command.append(1e3 * (time.perf_counter() - started))
                process.kill()
    print(f"command up   {statistics.median(command):9.0f} ms (median of 3; with Python's start and all imports)")


def memory(events: int) -> None:
    """Print the hub's memory before, in the middle of, and after so many events in and out."""
    with hub_process() as hub:
        each = events // 2 // PARTITIONS
        sizes = [hub.resident_mib()]
        started = time.perf_counter()
        for _ in range(2):
            measure(hub, [(plain_send, n) for n in range(PARTITIONS)], each)
            measure(hub, [(plain_receive, n) for n in range(PARTITIONS)], each)
            sizes.append(hub.resident_mib())
        seconds = time.perf_counter() - started
    print(
        f"memory       {sizes[0]:9.1f} MiB at rest, {sizes[1]:.1f} after {events // 2:,} events in and out, "
        f"{sizes[2]:.1f} after {events:,} ({seconds:.0f} s)"
    )


def long_log(gib: float) -> None:
    """Print what a long log costs to open."""
    from eventhubs.hub.log import PartitionLog

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "0.log"
        body = os.urandom(SIZE)
        log = PartitionLog(path)
        while log.end < gib * 2**30:
            log.append([lambda *_: body] * 10, 1)
        end, next_sequence = log.end, log.next_sequence
        log.close()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        started = time.perf_counter()
        log = PartitionLog(path)
        opening = time.perf_counter() - started
        started = time.perf_counter()
        for part in range(100):
            log.position_of(next_sequence * part // 100)
        finding = (time.perf_counter() - started) / 100
        index = sum(file.stat().st_size for file in path.parent.glob("*.index")) * 24 / 28
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        log.close()
    print(
        f"long log     {end / 2**30:.1f} GiB opened in {1e3 * opening:.0f} ms, an event found in "
        f"{1e3 * finding:.1f} ms; index {index / 2**20:.2f} MiB once all of it was used "
        f"(process {grown / 1024:+.1f} MiB)"
    )


def main() -> None:
    """Print one line per measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000, help="events per client and throughput measure")
    parser.add_argument("--memory-events", type=int, default=1_000_000)
    parser.add_argument("--log-gib", type=float, default=1.0)
    given = parser.parse_args()
    print(f"{SIZE:,} bytes an event, batches of {BATCH}, {os.cpu_count()} cores for hub and clients together")
    startup(20)
    throughput("SDK", sdk_send, sdk_receive, 1, given.events // 2)
    throughput("SDK, two", sdk_send, sdk_receive, 2, given.events // 2)
    throughput("plain", plain_send, plain_receive, 1, given.events)
    throughput("plain, four", plain_send, plain_receive, 4, given.events)
    memory(given.memory_events)
    long_log(given.log_gib)


if __name__ == "__main__":
    main()
