"""The Spark source without Spark: what a micro-batch costs before its first event, and how fast events are read.

Our AMQP transport against the official SDK's, same hub, same events, same run. The hub runs in a process of its own, so
that CPU seconds are the reader's alone; `per core` is events per CPU second of the reader.
"""

from __future__ import annotations

import os
import resource
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.hub_process import HubProcess
from eventhubs.partition_key import partition_of
from eventhubs.receiver import HubReceiver, Transport, open_receiver
from eventhubs.sender import HubSender, OutgoingEvent
from eventhubs.settings import HubConnection
from eventhubs.source_options import SourceOptions
from eventhubs.spark import EventHubsStreamReader, HubRange

HUB, SIZE, EVENTS, SDK_EVENTS, LONG = "bench", 1_000, 100_000, 20_000, 1_000_000
ROUNDS = 15


def fixed_cost(partitions: int, transport: Transport) -> tuple[float, float]:
    """Milliseconds of a micro-batch with one event in each partition: planning it, and reading all of it."""
    planning, reading = [], []
    rounds = ROUNDS if transport == "amqp" else 2
    keys = {partition_of(str(n), partitions): str(n) for n in range(partitions * 50)}.values()
    with tempfile.TemporaryDirectory() as folder, HubProcess(Path(folder), {HUB: partitions}) as hub:
        connection = HubConnection.from_connection_string(hub.connection)
        options = {"connectionString": connection.to_text(), "hub": HUB, "transport": transport}
        reader = EventHubsStreamReader(SourceOptions.parse(options))
        at = reader.initialOffset()
        with HubSender(connection, HUB) as sender:
            for _ in range(rounds + 1):
                sender.send(OutgoingEvent(b"x", key) for key in keys)
                ranges: list[HubRange] = []
                while len(ranges) < partitions:  # An idle source asks the hub now and then only.
                    time.sleep(0.02)
                    started = time.perf_counter()
                    end = reader.latestOffset(at, reader.getDefaultReadLimit())
                    ranges = list(reader.partitions(at, end))
                    planned = time.perf_counter()
                for one in ranges:
                    for _batch in reader.read(one):
                        pass
                planning.append(1_000 * (planned - started))
                reading.append(1_000 * (time.perf_counter() - planned))
                at = end
        reader.stop()
    # The first round opens the connections.
    return statistics.median(planning[1:]), statistics.median(reading[1:])


def read_all(receiver: HubReceiver, events: int) -> tuple[float, float]:
    """Wall and CPU seconds to read every event."""
    infos = receiver.partition_infos(receiver.hub_info().partition_ids)
    started, used = time.perf_counter(), time.process_time()
    read = sum(len(e) for i in infos for e in receiver.read(i.partition_id, 0, i.next_sequence - i.begin_sequence))
    assert read == events, read
    return time.perf_counter() - started, time.process_time() - used


def reading(transport: Transport, events: int) -> float:
    """Print how fast events are read; give the events per CPU second."""
    with tempfile.TemporaryDirectory() as folder, HubProcess(Path(folder), {HUB: 4}) as hub:
        connection = HubConnection.from_connection_string(hub.connection)
        body = os.urandom(SIZE)
        with HubSender(connection, HUB) as sender:
            sender.send(OutgoingEvent(body, str(n)) for n in range(events))
        with open_receiver(connection, HUB, transport=transport) as receiver:
            wall, cpu = min((read_all(receiver, events) for _ in range(3)), key=lambda times: times[1])
    print(f"| read {events:,} events of 1 KB, {transport} | {events / wall:,.0f}/s, {events / cpu:,.0f}/s per core |")
    return events / cpu


def memory() -> None:
    """Print the reader's memory after a tenth, and after all, of a million events."""
    with tempfile.TemporaryDirectory() as folder, HubProcess(Path(folder), {HUB: 4}) as hub:
        connection = HubConnection.from_connection_string(hub.connection)
        body = os.urandom(SIZE)
        with HubSender(connection, HUB) as sender:
            sender.send(OutgoingEvent(body, str(n)) for n in range(EVENTS))
        with open_receiver(connection, HUB, transport="amqp") as receiver:
            read_all(receiver, EVENTS)
            first = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            for _ in range(LONG // EVENTS - 1):
                read_all(receiver, EVENTS)
            last = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"| reader's peak memory | {first / 1024:.0f} MiB after {EVENTS:,} events, {last / 1024:.0f} after {LONG:,} |"
    )


def main() -> None:
    """Print a table."""
    print("| what | measured |\n| --- | --- |")
    costs = {n: fixed_cost(n, "amqp") for n in (4, 32)}
    for partitions, (plan, read) in costs.items():
        print(f"| micro-batch of {partitions} partitions, amqp | {plan:.1f} ms to plan, {read:.1f} ms to read all |")
    plan, read = fixed_cost(4, "sdk")
    print(f"| micro-batch of 4 partitions, sdk | {plan:.0f} ms to plan, {read:.0f} ms to read all |")
    sdk, ours = reading("sdk", SDK_EVENTS), reading("amqp", EVENTS)
    print(f"| amqp per core, against sdk | {ours / sdk:.1f} times |")
    memory()


if __name__ == "__main__":
    main()
