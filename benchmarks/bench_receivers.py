"""Reading a hub: our AMQP receiver against the official SDK's, same hub, same events, same run."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from eventhubs.hub.server import LocalHub
from eventhubs.receiver import Transport, open_receiver
from eventhubs.sender import HubSender, OutgoingEvent
from eventhubs.settings import HubConnection

EVENTS, SIZE, PARTITIONS, ROUNDS = 20_000, 1_000, 4, 3


def read_all(connection: HubConnection, transport: Transport) -> tuple[float, float]:
    """Seconds to ask for all partitions' ranges, and seconds to read every event; the best of the rounds."""
    asking, reading = [], []
    with open_receiver(connection, "reports", transport=transport) as receiver:
        ids = receiver.hub_info().partition_ids
        for _ in range(ROUNDS):
            started = time.perf_counter()
            infos = receiver.partition_infos(ids)
            asking.append(time.perf_counter() - started)
            started = time.perf_counter()
            read = sum(len(e) for i in infos for e in receiver.read(i.partition_id, 0, i.next_sequence))
            reading.append(time.perf_counter() - started)
            assert read == EVENTS
    return min(asking), min(reading)


def main() -> None:
    """Print one line per measure: SDK, ours, ratio."""
    with tempfile.TemporaryDirectory() as folder, LocalHub(Path(folder), {"reports": PARTITIONS}) as hub:
        connection = HubConnection.from_connection_string(hub.connection_string)
        with HubSender(connection, "reports") as sender:
            sender.send(OutgoingEvent(os.urandom(SIZE), str(i)) for i in range(EVENTS))
        sdk, ours = read_all(connection, "sdk"), read_all(connection, "amqp")
    print(f"{EVENTS:,} events of {SIZE:,} bytes in {PARTITIONS} partitions, hub in the same process, best of {ROUNDS}")
    for name, a, b in zip(("ask for all ranges", "read all events"), sdk, ours, strict=True):
        print(f"{name:20} sdk {a:8.3f} s   amqp {b:8.3f} s   {a / b:6.1f} times faster")
    print(f"amqp reads {EVENTS / ours[1]:,.0f} events/s")


if __name__ == "__main__":
    main()
