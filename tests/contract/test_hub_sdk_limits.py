"""The service's limits as the official SDK meets them, and many of its clients at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from azure.eventhub import EventData
from azure.eventhub.exceptions import EventHubError
from hub_sdk import Reading, at_once, closed, producer, received, send

from eventhubs.hub.server import LocalHub

LIMIT = 1024 * 1024


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    with LocalHub(tmp_path_factory.mktemp("hub"), {"large": 1, "crowded": 1, "parallel": 2}) as hub, closed():
        yield hub


def test_an_event_of_almost_1_mib_passes_and_a_larger_one_is_refused(hub: LocalHub) -> None:
    with producer(hub, "large") as client:
        client.send_event(EventData(b"before"), partition_id="0")
        # Of which class the error is depends on whether the SDK first learns of the message or of the link.
        with pytest.raises(EventHubError, match=r"exceeds the limit \(1048576 bytes\)") as refused:
            client.send_event(EventData(b"x" * (LIMIT + 1)), partition_id="0")
        assert "message-size-exceeded" in str(refused.value)
        # On the same connection: only the link was detached.
        client.send_event(EventData(b"y" * (LIMIT - 100)), partition_id="0")
        batch = client.create_batch()
        assert batch.max_size_in_bytes == LIMIT
        while True:
            try:
                batch.add(EventData(b"z" * 10_000))
            except ValueError:
                break
        client.send_batch(batch)
        client.send_event(EventData(b"after"), partition_id="0")
    events = received(hub, "large", 3 + len(batch))

    assert [len(b"".join(event.body)) for event in events] == [6, LIMIT - 100, *[10_000] * len(batch), 5]


def test_a_sixth_receiver_of_a_partition_and_group_is_told_why(hub: LocalHub) -> None:
    send(hub, "crowded", "x")
    with ExitStack() as stack:
        readings = [stack.enter_context(Reading(hub, "crowded")) for _ in range(5)]
        for reading in readings:
            reading.until(lambda r: len(r.events) == 1)
        sixth = stack.enter_context(Reading(hub, "crowded"))
        sixth.until(lambda r: bool(r.errors))
        assert "resource-limit-exceeded" in str(sixth.errors[0])
        assert "Exceeded the maximum number of allowed receivers" in str(sixth.errors[0])
        # One that claims the partition for itself may come, and displaces the others.
        with Reading(hub, "crowded", owner_level=0) as owner:
            owner.until(lambda r: len(r.events) == 1)
            for reading in readings:
                reading.until(lambda r: bool(r.errors))


def test_many_clients_at_once_lose_and_double_nothing(hub: LocalHub) -> None:
    def send_some(sender: int) -> None:
        with producer(hub, "parallel") as client:
            for part in range(3):
                bodies = [EventData(f"{sender}-{part}-{n}") for n in range(200)]
                client.send_batch(bodies, partition_id=str(sender % 2))

    with Reading(hub, "parallel", "0") as first, Reading(hub, "parallel", "1") as second:
        assert at_once(*(lambda sender=sender: send_some(sender) for sender in range(8))) == [None] * 8
        for reading in (first, second):
            reading.until(lambda r: len(r.events) == 2400)

    expected = [f"{sender}-{part}-{n}" for sender in range(8) for part in range(3) for n in range(200)]
    assert sorted(first.bodies() + second.bodies()) == sorted(expected)
    for reading in (first, second):
        assert [event.sequence_number for event in reading.events] == list(range(2400))
        by_sender = sorted(reading.bodies(), key=lambda body: body[0])
        assert by_sender == [body for body in expected if body in set(by_sender)], "each sender's order is kept"
