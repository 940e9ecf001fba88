"""The local hub as the official SDK sees it: nothing here but azure-eventhub and `LocalHub` itself."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubConsumerClient as AsyncConsumerClient
from hub_sdk import DEADLINE_S, Reading, closed, producer, received, send

from eventhubs.hub.server import LocalHub
from eventhubs.partition_key import partition_of

HUBS = ("single", "batches", "keys", "positions", "live", "groups", "empty")
GROUPS = ("officers", "analysts", *(f"position{n}" for n in range(9)))


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    hubs = dict.fromkeys(HUBS, 2)
    with LocalHub(tmp_path_factory.mktemp("hub"), hubs, consumer_groups=GROUPS) as hub, closed():
        yield hub


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

    async def first_number(case: int) -> int:
        start, inclusive, _ = cases[case]
        numbers: list[int] = []
        client = AsyncConsumerClient.from_connection_string(
            hub.connection_string,
            f"position{case}",
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
        return await asyncio.gather(*(first_number(case) for case in range(len(cases))))

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
