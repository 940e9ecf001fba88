"""Memory is bounded whatever the size of events: by bytes, not by their number. Run as a script it is the reader."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.eventhub import EventData, EventHubProducerClient
from effort import pick

from eventhubs.hub.server import LocalHub
from eventhubs.receiver import Transport, open_receiver
from eventhubs.settings import HubConnection

ROOT = Path(__file__).parents[2]
EVENTS = pick(200, 2_000)
"""Large events in each of two partitions."""
SIZE = 1_000_000
GROWTH = 250_000_000
"""Bytes by which the reader may grow, however many events wait; the amqp transport takes a third of it."""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    with LocalHub(tmp_path_factory.mktemp("hub"), {"large": 2}) as hub:
        with EventHubProducerClient.from_connection_string(hub.connection_string, eventhub_name="large") as producer:
            for n in range(EVENTS):
                for partition_id in ("0", "1"):
                    producer.send_batch([EventData(b"%08d" % n * (SIZE // 8))], partition_id=partition_id)
        yield hub


@pytest.mark.parametrize("transport", ["amqp", "sdk"])
@pytest.mark.timeout(900)
def test_partitions_that_wait_for_each_other_do_not_fill_memory(hub: LocalHub, transport: Transport) -> None:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    done = subprocess.run(
        [sys.executable, __file__, hub.connection_string, transport, str(EVENTS)],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert 0 < int(done.stdout) < GROWTH < 2 * EVENTS * SIZE


def read(connection: str, transport: Transport, events: int) -> int:
    """Bytes by which this process grows: while one partition is read, the other one is open and could send."""
    with open_receiver(HubConnection.from_connection_string(connection), "large", transport=transport) as receiver:
        receiver.hub_info()
        before = peak()
        waiting = receiver.read("0", 0, events)
        found = len(next(waiting))
        for partition in (receiver.read("1", 0, events), waiting):
            for list_ in partition:
                found += len(list_)
                receiver.partition_infos(["0"])
        assert found == 2 * events
        return peak() - before


def peak() -> int:
    """Most bytes this process has ever held; `getrusage` would count those of the process that started it, too."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    sys.stdout.write(str(read(sys.argv[1], sys.argv[2], int(sys.argv[3]))))  # type: ignore[arg-type]  # a transport
