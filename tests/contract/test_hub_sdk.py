"""The local hub as the official SDK sees it: nothing here but azure-eventhub and `LocalHub` itself."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from azure.eventhub import EventData, EventHubConsumerClient, EventHubProducerClient
from azure.eventhub.aio import EventHubConsumerClient as AsyncConsumerClient
from azure.eventhub.exceptions import ConnectError, EventDataSendError, EventHubError

from eventhubs.hub.server import LocalHub
from eventhubs.partition_key import partition_of

DEADLINE_S = 20.0
HUBS = ("single", "batches", "keys", "positions", "live", "groups", "epochs", "large", "parallel", "empty")


closing: list[threading.Thread] = []


def close_later(*steps: Callable[[], None]) -> None:
    """The SDK takes up to a second to close a client: nobody waits for it before the end of the module."""
    thread = threading.Thread(target=lambda: [step() for step in steps])
    thread.start()
    closing.append(thread)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    with LocalHub(tmp_path_factory.mktemp("hub"), dict.fromkeys(HUBS, 2)) as hub:
        yield hub
        for thread in closing:
            thread.join()
        closing.clear()


@contextmanager
def producer(hub: LocalHub, name: str) -> Iterator[EventHubProducerClient]:
    client = EventHubProducerClient.from_connection_string(hub.connection_string, eventhub_name=name, retry_total=0)
    yield client
    close_later(client.close)


def send(hub: LocalHub, name: str, *bodies: str, partition: str = "0") -> None:
    with producer(hub, name) as client:
        client.send_batch([EventData(body) for body in bodies], partition_id=partition)


class Reading:
    """One partition being received on a thread, until left."""

    def __init__(
        self,
        hub: LocalHub,
        name: str,
        partition: str = "0",
        *,
        group: str = "$Default",
        start: Any = "-1",
        **options: Any,
    ) -> None:
        self.events: list[EventData] = []
        self.errors: list[Exception] = []
        self._changed = threading.Condition()
        self._client = EventHubConsumerClient.from_connection_string(
            hub.connection_string, group, eventhub_name=name, retry_total=0
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

    def _take(self, _: object, events: list[EventData]) -> None:
        with self._changed:
            # An empty batch also means that the link is open.
            self.opened = True
            self.events += events
            self._changed.notify_all()

    def _fail(self, error: Exception) -> None:
        with self._changed:
            self.errors.append(error)
            self._changed.notify_all()

    opened = False

    def until(self, done: Callable[[Reading], bool]) -> Reading:
        with self._changed:
            assert self._changed.wait_for(lambda: done(self), DEADLINE_S), f"{len(self.events)} events, {self.errors}"
        return self

    def bodies(self) -> list[str]:
        return [event.body_as_str() for event in self.events]


def received(hub: LocalHub, name: str, count: int, partition: str = "0", **options: Any) -> list[EventData]:
    with Reading(hub, name, partition, **options) as reading:
        return reading.until(lambda r: len(r.events) >= count).events


def test_a_single_event_keeps_body_properties_and_annotations(hub: LocalHub) -> None:
    event = EventData(b"\x00body\xff")
    event.properties = {"text": "häß", "number": -5, "large": 2**31 - 1, "ratio": 0.5, "yes": True, "raw": b"\x00\x01"}
    event.properties["id"] = uuid.UUID(int=9)
    event.message_id = "m-1"
    event.correlation_id = "c-1"
    event.content_type = "application/json"
    event.raw_amqp_message.annotations = {"x-mine": "kept", "x-number": 7}
    event.raw_amqp_message.properties.subject = "report"
    with producer(hub, "single") as client:
        client.send_event(event, partition_id="1")
    before = dt.datetime.now(dt.UTC)
    (got,) = received(hub, "single", 1, partition="1")

    assert b"".join(got.body) == b"\x00body\xff"
    assert got.properties == {
        b"text": "häß".encode(),
        b"number": -5,
        b"large": 2**31 - 1,
        b"ratio": 0.5,
        b"yes": True,
        b"raw": b"\x00\x01",
        b"id": uuid.UUID(int=9),
    }
    assert (got.message_id, got.correlation_id, got.content_type) == ("m-1", "c-1", "application/json")
    assert got.raw_amqp_message.properties.subject == b"report"
    assert got.raw_amqp_message.annotations[b"x-mine"] == b"kept"
    assert got.raw_amqp_message.annotations[b"x-number"] == 7
    assert got.sequence_number == 0
    assert isinstance(got.offset, str)
    assert abs(before - got.enqueued_time) < dt.timedelta(minutes=1)
    assert got.partition_key is None


def test_a_batch_arrives_in_order_with_contiguous_numbers_and_rising_offsets(hub: LocalHub) -> None:
    bodies = [f"event {n}" for n in range(500)]
    send(hub, "batches", *bodies)
    events = received(hub, "batches", 500)

    assert [event.body_as_str() for event in events] == bodies
    assert [event.sequence_number for event in events] == list(range(500))
    offsets = [int(event.offset or "") for event in events]
    assert offsets == sorted(set(offsets))


def test_keys_choose_the_partition_and_events_without_take_turns(hub: LocalHub) -> None:
    key = next(key for key in ("a", "b", "c", "d", "e") if partition_of(key, 2) == 1)
    with producer(hub, "keys") as client:
        client.send_event(EventData("keyed"), partition_key=key)
        client.send_batch([EventData("in a batch")], partition_key=key)
        for n in range(4):
            client.send_event(EventData(f"turn {n}"))
    with Reading(hub, "keys", "0") as first, Reading(hub, "keys", "1") as second:
        first.until(lambda r: len(r.events) == 2)
        second.until(lambda r: len(r.events) == 4)

    assert second.bodies()[:2] == ["keyed", "in a batch"]
    assert [event.partition_key for event in second.events[:2]] == [key.encode()] * 2
    assert sorted(first.bodies() + second.bodies()[2:]) == [f"turn {n}" for n in range(4)]


def test_a_receiver_starts_at_any_position_inclusive_or_not(hub: LocalHub) -> None:
    """With the asyncio client, all positions at once."""
    with Reading(hub, "positions") as reading, producer(hub, "positions") as sender:
        sender.send_batch([EventData(f"early {n}") for n in range(3)], partition_id="0")
        early = list(reading.until(lambda r: len(r.events) == 3).events)
        # Times are in milliseconds: the next batch must not share one with the first.
        while dt.datetime.now(dt.UTC) <= early[-1].enqueued_time + dt.timedelta(milliseconds=1):
            pass
        sender.send_batch([EventData(f"late {n}") for n in range(3)], partition_id="0")
        late_time = reading.until(lambda r: len(r.events) == 6).events[3].enqueued_time
    offset = str(early[1].offset)
    cases: list[tuple[Any, bool, int]] = [
        ("-1", False, 0),
        (1, False, 2),
        (1, True, 1),
        (-1, False, 0),
        (offset, False, 2),
        (offset, True, 1),
        (late_time, True, 3),
        (late_time - dt.timedelta(milliseconds=1), False, 3),
        (early[-1].enqueued_time - dt.timedelta(hours=1), False, 0),
    ]

    async def first_number(start: Any, inclusive: bool) -> int:
        numbers: list[int] = []
        client = AsyncConsumerClient.from_connection_string(
            hub.connection_string,
            f"group {start} {inclusive}",
            eventhub_name="positions",
            load_balancing_interval=0.2,  # how long `receive` lingers after `close`
        )

        async def take(_: object, event: EventData | None) -> None:
            assert event is not None
            numbers.append(event.sequence_number or 0)

        async with client:
            task = asyncio.create_task(
                client.receive(take, partition_id="0", starting_position=start, starting_position_inclusive=inclusive)
            )
            async with asyncio.timeout(DEADLINE_S):
                while 5 not in numbers:
                    await asyncio.sleep(0.01)
        await task
        assert numbers == list(range(numbers[0], 6))
        return numbers[0]

    async def everything() -> list[int]:
        return await asyncio.gather(*(first_number(start, inclusive) for start, inclusive, _ in cases))

    assert asyncio.run(everything()) == [expected for _, _, expected in cases]


def test_a_receiver_at_the_latest_position_sees_only_what_comes_after(hub: LocalHub) -> None:
    send(hub, "live", "old")
    with Reading(hub, "live", start="@latest") as reading:
        reading.until(lambda r: r.opened)
        with producer(hub, "live") as client:
            client.send_batch([EventData("new 1"), EventData("new 2")], partition_id="0")
            client.send_event(EventData("new 3"), partition_id="0")
        reading.until(lambda r: len(r.events) == 3)

    assert reading.bodies() == ["new 1", "new 2", "new 3"]


def test_consumer_groups_and_receivers_within_one_each_get_every_event(hub: LocalHub) -> None:
    send(hub, "groups", "a", "b")
    with (
        Reading(hub, "groups", group="officers") as one,
        Reading(hub, "groups", group="analysts") as two,
        Reading(hub, "groups", group="analysts") as three,
    ):
        for reading in (one, two, three):
            assert reading.until(lambda r: len(r.events) == 2).bodies() == ["a", "b"]


def test_a_higher_epoch_takes_the_partition_over(hub: LocalHub) -> None:
    send(hub, "epochs", "x")
    with Reading(hub, "epochs", owner_level=1) as lower:
        lower.until(lambda r: len(r.events) == 1)
        with Reading(hub, "epochs", owner_level=2) as higher:
            higher.until(lambda r: len(r.events) == 1)
            lower.until(lambda r: bool(r.errors))
            assert higher.errors == []
            with Reading(hub, "epochs", owner_level=1) as again:
                again.until(lambda r: bool(r.errors))

    for reading in (lower, again):
        error = reading.errors[0]
        assert isinstance(error, EventHubError)
        assert "link:stolen" in str(error)


def test_an_event_of_almost_1_mib_passes_and_a_larger_one_is_refused(hub: LocalHub) -> None:
    with producer(hub, "large") as client:
        with pytest.raises(EventDataSendError):
            client.send_event(EventData(b"x" * (1024 * 1024 + 1)), partition_id="0")
        client.send_event(EventData(b"y" * (1024 * 1024 - 100)), partition_id="0")
        batch = client.create_batch()
        assert batch.max_size_in_bytes == 1024 * 1024
    (event,) = received(hub, "large", 1)

    assert b"".join(event.body) == b"y" * (1024 * 1024 - 100)


def test_many_clients_at_once_lose_and_double_nothing(hub: LocalHub) -> None:
    def send_some(sender: int) -> None:
        for part in range(2):
            send(hub, "parallel", *[f"{sender}-{part}-{n}" for n in range(200)], partition=str(sender % 2))

    with Reading(hub, "parallel", "0") as first, Reading(hub, "parallel", "1") as second:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(send_some, range(4)))
        for reading in (first, second):
            reading.until(lambda r: len(r.events) == 800)

    expected = sorted(f"{sender}-{part}-{n}" for sender in range(4) for part in range(2) for n in range(200))
    assert sorted(first.bodies() + second.bodies()) == expected
    assert [event.sequence_number for event in first.events] == list(range(800))


def test_hub_and_partition_properties_are_what_was_stored(hub: LocalHub) -> None:
    with producer(hub, "empty") as client:
        properties = client.get_eventhub_properties()
        empty = client.get_partition_properties("1")
        client.send_event(EventData("a"), partition_id="0")
        client.send_event(EventData("b"), partition_id="0")
        filled = client.get_partition_properties("0")

    assert properties["eventhub_name"] == "empty"
    assert properties["partition_ids"] == ["0", "1"]
    assert dt.datetime.now(dt.UTC) - properties["created_at"] < dt.timedelta(minutes=5)
    assert (empty["is_empty"], empty["last_enqueued_sequence_number"], empty["last_enqueued_offset"]) == (
        True,
        -1,
        "-1",
    )
    assert empty["last_enqueued_time_utc"].year == 1
    assert (filled["is_empty"], filled["beginning_sequence_number"]) == (False, 0)
    assert filled["last_enqueued_sequence_number"] == 1
    assert int(filled["last_enqueued_offset"]) > 0
    assert dt.datetime.now(dt.UTC) - filled["last_enqueued_time_utc"] < dt.timedelta(minutes=5)
    assert hub.event_counts()["empty"] == 2


def test_an_unknown_hub_is_refused_as_not_found(hub: LocalHub) -> None:
    with producer(hub, "nowhere") as client, pytest.raises(ConnectError, match="NotFound"):
        client.get_eventhub_properties()
    with Reading(hub, "nowhere") as reading:
        reading.until(lambda r: bool(r.errors))
    assert "not-found" in str(reading.errors[0]) or "NotFound" in str(reading.errors[0])


def test_events_numbers_and_creation_time_survive_a_restart_and_a_torn_record(tmp_path: Path) -> None:
    with LocalHub(tmp_path, {"kept": 1}) as first:
        send(first, "kept", "one", "two")
        with producer(first, "kept") as client:
            created_at = client.get_eventhub_properties()["created_at"]
    with (tmp_path / "kept" / "0.log").open("ab") as log:
        log.write(b"\x00\x00\x01\x00torn")
    with LocalHub(tmp_path, {"kept": 1}, port=first.port) as second:
        assert second.event_counts() == {"kept": 2}
        send(second, "kept", "three")
        events = received(second, "kept", 3)
        with producer(second, "kept") as client:
            assert client.get_eventhub_properties()["created_at"] == created_at

    assert [(event.sequence_number, event.body_as_str()) for event in events] == [(0, "one"), (1, "two"), (2, "three")]


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    program = (
        "import pathlib, sys, threading; from eventhubs.hub.server import LocalHub\n"
        "hub = LocalHub(pathlib.Path(sys.argv[1]), {'kept': 1}); hub.start()\n"
        "sys.stdout.write(hub.connection_string + '\\n'); sys.stdout.flush(); threading.Event().wait()"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        connection_string = process.stdout.readline().strip()
        client = EventHubProducerClient.from_connection_string(connection_string, eventhub_name="kept", retry_total=0)
        client.send_batch([EventData(f"{n}") for n in range(100)])
        os.kill(process.pid, signal.SIGKILL)
        client.close()

    with LocalHub(tmp_path, {"kept": 1}) as hub:
        assert hub.event_counts() == {"kept": 100}
