"""One suite for both transports: whatever reads a hub gives the same events, and the same errors."""

from __future__ import annotations

import itertools
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.eventhub import EventData, EventHubConsumerClient, EventHubProducerClient
from azure.eventhub.amqp import AmqpAnnotatedMessage

from eventhubs.errors import HubNotFoundError, HubUnreachableError, ReceiverDisplacedError
from eventhubs.hub.server import LocalHub
from eventhubs.kept_receiver import KeptReceiver
from eventhubs.receiver import HubReceiver, PartitionInfo, ReceivedEvent, Transport, open_receiver
from eventhubs.sender import HubSender, OutgoingEvent
from eventhubs.settings import HubConnection

MANY = 5_001
"""Events in partition 1 of the hub `reports`; one more than the largest credit, so that a last one is asked for."""
BODIES = [b"", b"\x00\xff\xfe", "drug é".encode(), b"x" * 300_000, b"y" * 900_000]
"""Bodies in partition 0."""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    hubs = {"reports": 3, "odd": 1, "growing": 1, "timed": 1, "wanted": 1}
    with LocalHub(tmp_path_factory.mktemp("hub"), hubs, consumer_groups=["crowd"]) as served:
        with EventHubProducerClient.from_connection_string(
            served.connection_string, eventhub_name="reports"
        ) as producer:
            for body in BODIES:
                producer.send_batch([EventData(body)], partition_id="0")
            many = [EventData(str(n)) for n in range(MANY)]
            for start in range(0, MANY, 1_000):
                producer.send_batch(many[start : start + 1_000], partition_id="1")
        with EventHubProducerClient.from_connection_string(served.connection_string, eventhub_name="odd") as producer:
            for message in ODD_MESSAGES:
                producer.send_batch([message], partition_id="0")
        yield served


@pytest.fixture(scope="module")
def connection(hub: LocalHub) -> HubConnection:
    return HubConnection.from_connection_string(hub.connection_string)


@pytest.fixture(scope="module", params=["amqp", "sdk"])
def transport(request: pytest.FixtureRequest) -> Transport:
    return request.param  # type: ignore[no-any-return]  # pytest's params are untyped


@pytest.fixture(scope="module")
def reports(connection: HubConnection, transport: Transport) -> Iterator[HubReceiver]:
    with open_receiver(connection, "reports", transport=transport, receive_timeout=20.0) as receiver:
        yield receiver


def test_hub_tells_its_name_partitions_and_age(reports: HubReceiver) -> None:
    info = reports.hub_info()
    assert (info.name, info.partition_ids) == ("reports", ("0", "1", "2"))
    assert time.time() - 600 < info.created_at_ms / 1_000 <= time.time()
    assert reports.hub_info() == info


def test_partitions_tell_their_range_in_the_order_asked(reports: HubReceiver) -> None:
    infos = reports.partition_infos(["2", "0", "1"])
    assert [(i.partition_id, i.begin_sequence, i.next_sequence) for i in infos] == [
        ("2", 0, 0),
        ("0", 0, len(BODIES)),
        ("1", 0, MANY),
    ]
    assert infos[0] == PartitionInfo("2", 0, 0, None)
    assert all(i.last_enqueued_ms and i.last_enqueued_ms <= time.time() * 1_000 for i in infos[1:])


def test_receiver_says_which_transport_it_is(reports: HubReceiver, transport: Transport) -> None:
    assert reports.transport == transport


def test_hub_and_partitions_are_described_in_one_go(reports: HubReceiver) -> None:
    assert reports.describe(["1", "0"]) == (reports.hub_info(), reports.partition_infos(["1", "0"]))


def test_nothing_asked_is_nothing_answered(reports: HubReceiver) -> None:
    assert reports.partition_infos([]) == []
    assert list(reports.read("0", 0, 0)) == []


def test_whole_partition_is_read_in_order(reports: HubReceiver) -> None:
    events = flat(reports.read("1", 0, MANY))
    assert [e.sequence for e in events] == list(range(MANY))
    assert [e.body for e in events] == [str(n).encode() for n in range(MANY)]


def test_bodies_of_any_bytes_and_size_come_as_they_were_sent(reports: HubReceiver) -> None:
    assert [e.body for e in flat(reports.read("0", 0, len(BODIES)))] == BODIES


def test_range_in_the_middle_is_exact_and_the_same_again(reports: HubReceiver) -> None:
    events = flat(reports.read("1", 1_203, 7))
    assert [e.sequence for e in events] == list(range(1_203, 1_210))
    assert flat(reports.read("1", 1_203, 7)) == events


def test_reads_of_two_partitions_may_be_interleaved(reports: HubReceiver) -> None:
    pairs = itertools.zip_longest(reports.read("0", 0, 3), reports.read("1", 5, 3))
    by_partition = list(zip(*pairs, strict=True))
    found = [[e.sequence for events in lists if events for e in events] for lists in by_partition]
    assert found == [[0, 1, 2], [5, 6, 7]]


def test_abandoned_reads_leave_the_receiver_usable(reports: HubReceiver) -> None:
    for first in (0, 100):
        abandoned = reports.read("1", first, 1_000)
        assert next(abandoned)[0].sequence == first
        abandoned.close()  # type: ignore[attr-defined]  # it is a generator
    assert [e.sequence for e in flat(reports.read("1", 9, 2))] == [9, 10]


def test_read_past_the_end_is_given_up_in_time(connection: HubConnection, transport: Transport) -> None:
    with open_receiver(connection, "reports", transport=transport, receive_timeout=2.0) as receiver:
        began = time.monotonic()
        reading = receiver.read("0", len(BODIES) - 1, 2)
        assert next(reading)[0].body == BODIES[-1]
        with pytest.raises(HubUnreachableError, match=f"event {len(BODIES)} was awaited"):
            next(reading)
        assert time.monotonic() - began < 20


def test_events_sent_while_waiting_arrive(connection: HubConnection, transport: Transport) -> None:
    with (
        open_receiver(connection, "growing", transport=transport, receive_timeout=20.0) as receiver,
        HubSender(connection, "growing") as sender,
    ):
        [info] = receiver.partition_infos(["0"])
        sender.send([OutgoingEvent(b"before")])
        reading = receiver.read("0", info.next_sequence, 2)
        assert next(reading)[0].body == b"before"
        sender.send([OutgoingEvent(b"after")])
        assert next(reading)[0].body == b"after"


def test_a_time_is_the_first_event_enqueued_then_or_later(connection: HubConnection, transport: Transport) -> None:
    with (
        open_receiver(connection, "timed", transport=transport, receive_timeout=20.0) as receiver,
        HubSender(connection, "timed") as sender,
    ):
        assert receiver.sequence_at("0", 0) == 0
        for n in range(3):
            sender.send([OutgoingEvent(b"%d" % n)] * 2)
        [info] = receiver.partition_infos(["0"])
        end = info.next_sequence
        times = [e.enqueued_ms for e in flat(receiver.read("0", 0, end))]
        for moment in {times[0] - 1, *times[-4:]}:
            assert receiver.sequence_at("0", moment) == next(n for n in range(end) if times[n] >= moment)
        assert receiver.sequence_at("0", times[-1] + 1) == end


def test_reader_is_told_when_one_with_a_higher_epoch_takes_its_partition(
    connection: HubConnection, transport: Transport
) -> None:
    thief = EventHubConsumerClient.from_connection_string(
        connection.to_text(), consumer_group="$Default", eventhub_name="wanted"
    )
    stealing = threading.Thread(
        target=lambda: thief.receive_batch(lambda *_: None, partition_id="0", owner_level=7, max_wait_time=1)
    )
    with (
        open_receiver(connection, "wanted", transport=transport, receive_timeout=60.0) as receiver,
        HubSender(connection, "wanted") as sender,
    ):
        sender.send([OutgoingEvent(b"mine")])
        [info] = receiver.partition_infos(["0"])
        reading = receiver.read("0", info.next_sequence - 1, 2)
        assert next(reading)[0].body == b"mine"
        stealing.start()
        try:
            with pytest.raises(ReceiverDisplacedError, match="consumer group"):
                next(reading)
        finally:
            thief.close()
            stealing.join()


@pytest.mark.parametrize("call", [lambda r: r.hub_info(), lambda r: list(r.read("0", 0, 1))], ids=["info", "read"])
def test_hub_that_does_not_exist_is_not_found(connection: HubConnection, transport: Transport, call: object) -> None:
    with (
        open_receiver(connection, "nowhere", transport=transport, receive_timeout=10.0) as receiver,
        pytest.raises(HubNotFoundError, match="nowhere"),
    ):
        call(receiver)  # type: ignore[operator]  # a lambda


def test_partition_that_does_not_exist_is_not_found(reports: HubReceiver) -> None:
    with pytest.raises(HubNotFoundError):
        reports.partition_infos(["9"])
    with pytest.raises(HubNotFoundError):
        flat(reports.read("9", 0, 1))
    assert reports.hub_info().name == "reports"


def test_sixth_reader_of_a_partition_is_told_why(connection: HubConnection, transport: Transport) -> None:
    receivers = [
        open_receiver(connection, "reports", "crowd", transport="amqp", receive_timeout=10.0) for _ in range(5)
    ]
    readings = [receiver.read("1", 0, MANY) for receiver in receivers]
    try:
        for reading in readings:
            next(reading)
        with (
            open_receiver(connection, "reports", "crowd", transport=transport, receive_timeout=10.0) as sixth,
            pytest.raises(ReceiverDisplacedError, match="consumer group"),
        ):
            flat(sixth.read("1", 0, 1))
    finally:
        for receiver in receivers:
            receiver.close()


def test_kept_receiver_survives_a_restart_of_the_hub(tmp_path: Path, transport: Transport) -> None:
    with LocalHub(tmp_path, {"reports": 1}) as hub:
        port, connection = hub.port, HubConnection.from_connection_string(hub.connection_string)
        with HubSender(connection, "reports") as sender:
            sender.send([OutgoingEvent(b"1"), OutgoingEvent(b"2")])
        kept = KeptReceiver(
            lambda: open_receiver(connection, "reports", transport=transport, receive_timeout=10.0), 20.0
        )
        before = (kept.hub_info(), flat(kept.read("0", 0, 2)))
    with LocalHub(tmp_path, {"reports": 1}, port=port), kept:
        assert (kept.hub_info(), flat(kept.read("0", 0, 2))) == before


def test_both_transports_give_the_same_events(connection: HubConnection) -> None:
    found = {}
    for transport in ("amqp", "sdk"):
        with open_receiver(connection, "odd", transport=transport, receive_timeout=20.0) as receiver:
            found[transport] = flat(receiver.read("0", 0, len(ODD_MESSAGES)))
    assert found["amqp"] == found["sdk"]
    everything = found["amqp"][0]
    assert everything.properties == {"flag": "true", "n": "7", "text": "é", "uuid": str(uuid.UUID(int=5))}
    assert everything.partition_key == "k"
    assert everything.publisher == "device"
    assert everything.system_properties == {
        "content-type": "application/json",
        "correlation-id": "c",
        "creation-time": "1700000000000",
        "group-sequence": "3",
        "message-id": "m",
        "x-opt-mine": "4",
    }
    assert [e.body for e in found["amqp"][1:]] == [b"value", b'{"a": 1}', b"[[1, 2], [3]]", b"two parts"]


ODD_MESSAGES = [
    AmqpAnnotatedMessage(
        data_body=b"{}",
        properties={
            "message_id": "m",
            "correlation_id": "c",
            "content_type": "application/json",
            "creation_time": 1_700_000_000_000,
            "group_sequence": 3,
        },
        application_properties={"flag": True, "n": 7, "text": "é", "uuid": uuid.UUID(int=5)},
        annotations={b"x-opt-partition-key": "k", b"x-opt-publisher": "device", b"x-opt-mine": 4},
    ),
    AmqpAnnotatedMessage(value_body="value"),
    AmqpAnnotatedMessage(value_body={"a": 1}),
    AmqpAnnotatedMessage(sequence_body=[[1, 2], [3]]),
    AmqpAnnotatedMessage(data_body=[b"two ", b"parts"]),
]


def flat(lists: Iterator[list[ReceivedEvent]]) -> list[ReceivedEvent]:
    return [event for events in lists for event in events]
