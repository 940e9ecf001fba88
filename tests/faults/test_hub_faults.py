"""The local hub when it is made to fail: its switches as the official SDK meets them, and kill -9 at any moment."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from azure.eventhub import EventData, EventHubProducerClient
from azure.eventhub.exceptions import ConnectError, ConnectionLostError, EventDataSendError, EventHubError
from effort import pick
from hub_sdk import DEADLINE_S, Reading, close_later, closed, hub_process, producer, received, send

from eventhubs.hub.log import PartitionLog
from eventhubs.hub.server import LocalHub

PATIENT = {"retry_total": 5, "retry_backoff_factor": 0.02}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    names = ("dropped", "closed", "busy", "asked", "late", "refused", "one", "other", "expiring")
    with LocalHub(tmp_path_factory.mktemp("hub"), dict.fromkeys(names, 1)) as hub, closed():
        yield hub


@pytest.fixture
def hub(served: LocalHub) -> Iterator[LocalHub]:
    yield served
    served.faults.clear()


# The switches.


def test_clients_that_are_hung_up_on_come_back(hub: LocalHub) -> None:
    with producer(hub, "dropped", **PATIENT) as client, Reading(hub, "dropped", client=PATIENT) as reading:
        for n in range(3):
            client.send_event(EventData(f"{n}"), partition_id="0")
            reading.until(lambda r, n=n: f"{n}" in r.bodies())
            assert hub.faults.drop_connections() >= 2
        client.send_event(EventData("last"), partition_id="0")
        reading.until(lambda r: "last" in r.bodies())
    assert sorted(set(reading.bodies())) == ["0", "1", "2", "last"]


def test_links_are_closed_with_the_error_that_was_asked_for(hub: LocalHub) -> None:
    send(hub, "closed", "x")
    with Reading(hub, "closed") as reading:
        reading.until(lambda r: len(r.events) == 1)
        assert hub.faults.close_links("com.microsoft:timeout", "made up", hub="Closed") >= 1
        reading.until(lambda r: bool(r.errors))
    assert "made up" in str(reading.errors[0])
    assert "timeout" in str(reading.errors[0])


def test_links_of_one_hub_can_be_closed_and_others_stay(hub: LocalHub) -> None:
    with Reading(hub, "one") as one, Reading(hub, "other") as other:
        for reading in (one, other):
            reading.until(lambda r: r.opened)
        assert hub.faults.close_links(hub="one") == 1
        one.until(lambda r: bool(r.errors))
        send(hub, "other", "still here")
        other.until(lambda r: len(r.events) == 1)
    assert other.errors == []


def test_a_throttled_hub_says_so_for_as_many_operations_as_asked(hub: LocalHub) -> None:
    with producer(hub, "busy") as client:
        client.send_event(EventData("before"), partition_id="0")
        # The SDK tries a send twice, even when told not to.
        hub.faults.throttle(operations=2, hub="Busy")
        with pytest.raises(EventDataSendError, match="Error code : 50002"):
            client.send_event(EventData("refused"), partition_id="0")
        hub.faults.throttle(operations=1, hub="Busy")
        client.send_event(EventData("after"), partition_id="0")
        hub.faults.throttle(operations=2, hub="Busy")
        with pytest.raises(ConnectError, match="server-busy"):
            send(hub, "busy", "refused when its link is opened")
        with pytest.raises(EventHubError, match="Status code: 503"):
            client.get_eventhub_properties()
        assert client.get_partition_ids() == ["0"]
    assert [event.body_as_str() for event in received(hub, "busy", 2)] == ["before", "after"]
    assert hub.event_counts()["busy"] == 2


def test_a_throttled_hub_is_well_again_in_time_or_when_cleared(hub: LocalHub) -> None:
    hub.faults.throttle()
    with producer(hub, "asked") as client, pytest.raises(EventHubError, match="503"):
        client.get_eventhub_properties()
    hub.faults.clear()
    send(hub, "asked", "fine")
    hub.faults.throttle(seconds=0.001)
    with producer(hub, "asked", retry_total=50, retry_backoff_factor=0.01) as client:
        assert client.get_partition_ids() == ["0"]


def test_answers_come_late_in_order_and_at_once_when_cleared(hub: LocalHub) -> None:
    with producer(hub, "late") as client, Reading(hub, "late") as reading:
        client.send_event(EventData("0"), partition_id="0")
        reading.until(lambda r: len(r.events) == 1)
        hub.faults.delay_answers(0.2)
        before = time.monotonic()
        client.send_event(EventData("1"), partition_id="0")
        assert time.monotonic() - before >= 0.2
        hub.faults.delay_answers(3600)
        sending = threading.Thread(target=lambda: client.send_event(EventData("2"), partition_id="0"))
        sending.start()
        # It is stored, and nobody is told.
        deadline = time.monotonic() + DEADLINE_S
        while hub.event_counts()["late"] < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert "2" not in reading.bodies()
        assert sending.is_alive()
        hub.faults.clear()
        sending.join(DEADLINE_S)
        reading.until(lambda r: len(r.events) == 3)
    assert reading.bodies() == ["0", "1", "2"]


def test_new_clients_are_kept_out_and_those_inside_stay(hub: LocalHub) -> None:
    with producer(hub, "refused") as inside:
        inside.send_event(EventData("before"), partition_id="0")
        hub.faults.refuse_connections()
        with pytest.raises((ConnectError, ConnectionLostError)):
            send(hub, "refused", "kept out")
        inside.send_event(EventData("inside"), partition_id="0")
        hub.faults.clear()
        send(hub, "refused", "let in")
    assert hub.event_counts()["refused"] == 3


def test_switches_do_nothing_on_a_hub_that_does_not_serve(tmp_path: Path) -> None:
    hub = LocalHub(tmp_path, {"x": 1})
    assert (hub.faults.drop_connections(), hub.faults.close_links(), hub.faults.expire_tokens()) == (0, 0, 0)
    hub.faults.throttle(operations=1)
    hub.faults.clear()
    with hub:
        pass
    assert hub.faults.drop_connections() == 0


def test_switches_may_be_thrown_from_many_threads_while_the_hub_starts_and_stops(tmp_path: Path) -> None:
    hub = LocalHub(tmp_path, {"x": 1})
    done = threading.Event()

    def throw() -> None:
        while not done.is_set():
            hub.faults.drop_connections()
            hub.faults.throttle(operations=1)
            hub.faults.delay_answers(0.0)
            hub.faults.clear()

    with ExitStack() as stack:
        threads = [threading.Thread(target=throw) for _ in range(3)]
        for thread in threads:
            thread.start()
            stack.callback(thread.join)
        stack.callback(done.set)
        for _ in range(5):
            with hub:
                pass


def test_clients_go_on_when_their_tokens_end_early(hub: LocalHub) -> None:
    with producer(hub, "expiring", **PATIENT) as client, Reading(hub, "expiring", client=PATIENT) as reading:
        client.send_event(EventData("before"), partition_id="0")
        reading.until(lambda r: len(r.events) == 1)
        assert hub.faults.expire_tokens() >= 2
        client.send_event(EventData("after"), partition_id="0")
        reading.until(lambda r: len(r.events) == 2)
    assert reading.errors == []
    assert reading.bodies() == ["before", "after"]


# kill -9.

WRITER = """
import pathlib, sys
from eventhubs.hub.log import PartitionLog

log = PartitionLog(pathlib.Path(sys.argv[1]), segment_size=20_000, retention_ms=2_000, fsync=sys.argv[2] == "True")
now_ms = max(log.last_enqueued_ms, 1_000)

def body(sequence, offset, enqueued_ms):
    return b"%d|%d|%d|" % (sequence, offset, enqueued_ms) + b"x" * (sequence * 37 % 900)

while True:
    now_ms += 25
    log.append([body] * (1 + log.next_sequence % 4), now_ms)
    log.expire(now_ms)
    print(log.next_sequence, now_ms, flush=True)
"""


@pytest.mark.parametrize("fsync", [False, True])
def test_a_log_whose_writer_is_killed_again_and_again_never_loses_or_invents(tmp_path: Path, fsync: bool) -> None:
    path = tmp_path / "0.log"
    chance = random.Random(7)
    for _ in range(pick(5 if fsync else 12, 150)):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(fsync)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            lines = chance.randrange(1, 300)
            told = [process.stdout.readline() for _ in range(lines)]
            time.sleep(chance.random() / 200)
            process.send_signal(signal.SIGKILL)
            told += process.stdout.readlines()
        acknowledged, now_ms = map(int, next(line for line in reversed(told) if line.endswith("\n")).split())

        log = PartitionLog(path, segment_size=20_000, retention_ms=2_000)
        events = []
        position = log.begin
        while some := log.read(position, 100):
            events += some
            position = some[-1].next_position
        assert log.next_sequence >= acknowledged
        assert [event.sequence for event in events] == list(range(log.begin_sequence, log.next_sequence))
        for event in events:
            said = bytes(event.message).split(b"|")
            assert [int(part) for part in said[:3]] == [event.sequence, event.position, event.enqueued_ms]
            assert said[3] == b"x" * (event.sequence * 37 % 900)
        assert events[0].enqueued_ms <= now_ms - 2_000 + 25, "nothing young was dropped"
        log.close()


class Publisher:
    """Sends numbers to one partition until told to stop, one acknowledged before the next, whatever happens."""

    def __init__(self, connection: str, partition: str) -> None:
        self.acknowledged: list[int] = []
        self.repeatable: set[int] = set()
        self._under_way = range(0)
        self._connection = connection
        self._partition = partition
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def was_cut_off(self) -> None:
        """What is under way may be stored twice, and without an error: the SDK itself tries a send twice."""
        self.repeatable.update(self._under_way)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        client = self._client()
        number = 0
        while not self._stop.is_set():
            self._under_way = range(number, number + 20)
            events = [EventData(f"{n}") for n in self._under_way]
            try:
                client.send_batch(events, partition_id=self._partition)
            except (EventHubError, OSError):
                self.was_cut_off()
                close_later(client.close)
                client = self._client()
                continue
            self.acknowledged += self._under_way
            number += 20
        close_later(client.close)

    def _client(self) -> EventHubProducerClient:
        return EventHubProducerClient.from_connection_string(
            self._connection, eventhub_name="killed", retry_total=0, retry_backoff_factor=0.01
        )


def test_a_hub_killed_again_and_again_while_it_is_sent_to_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    chance = random.Random(11)
    port = 0
    publishers: list[Publisher] = []
    with closed():
        for _ in range(pick(3, 30)):
            with hub_process(tmp_path, {"killed": 2}, port=port, retention=3600) as process:
                port = process.port
                if not publishers:
                    publishers = [Publisher(process.connection_string, str(n)) for n in range(2)]
                wanted = [len(publisher.acknowledged) + 60 + chance.randrange(200) for publisher in publishers]
                deadline = time.monotonic() + DEADLINE_S
                while any(
                    len(publisher.acknowledged) < count for publisher, count in zip(publishers, wanted, strict=True)
                ):
                    assert time.monotonic() < deadline
                    time.sleep(0.002)
                process.kill()
                for publisher in publishers:
                    publisher.was_cut_off()
        with LocalHub(tmp_path, {"killed": 2}, port=port) as hub:
            for publisher in publishers:
                publisher.stop()
            counts = [log.next_sequence for log in hub._logs["killed"].partitions]
            stored: list[list[Any]] = [received(hub, "killed", count, str(n)) for n, count in enumerate(counts)]
    for publisher, events in zip(publishers, stored, strict=True):
        bodies = [int(event.body_as_str()) for event in events]
        assert [event.sequence_number for event in events] == list(range(len(events)))
        first_seen = list(dict.fromkeys(bodies))
        assert first_seen == list(range(len(first_seen))), "in order, and nothing invented"
        assert set(publisher.acknowledged) <= set(first_seen)
        assert {body for body in bodies if bodies.count(body) > 1} <= publisher.repeatable
