"""The clock windows close by, against a real hub and a real database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from builders import openfda
from sqlalchemy import Engine, text

from eventhubs.hub.server import LocalHub
from eventhubs.receiver import HubReceiver, open_receiver
from eventhubs.sender import HubSender, OutgoingEvent
from eventhubs.settings import HubConnection
from sql.positions import take_over
from streaming.clock import HubClock

HUB, NOW = "localhost/reports", 5_000_000


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[LocalHub]:
    with LocalHub(tmp_path / "hub", {"reports": 2}) as hub:
        with HubSender(HubConnection.from_connection_string(hub.connection_string), "reports") as sender:
            sender.send(OutgoingEvent(openfda(str(i)), str(i)) for i in range(20))
        yield hub


@pytest.fixture
def receiver(hub: LocalHub) -> Iterator[HubReceiver]:
    with open_receiver(
        HubConnection.from_connection_string(hub.connection_string), "reports", receive_timeout=2.0
    ) as receiver:
        yield receiver


def clock(engine: Engine, receiver: HubReceiver, *, by_event: bool = False) -> HubClock:
    info = receiver.hub_info()
    take_over(engine, HUB, info.created_at_ms, dict.fromkeys(info.partition_ids, 0), force=True)
    return HubClock(receiver, engine, HUB, info.created_at_ms, info.partition_ids, by_event=by_event, now=lambda: NOW)


def stored(engine: Engine, receiver: HubReceiver, partition: str, *, left: int, at_ms: int) -> None:
    """Say that all but the last `left` events of a partition are stored, up to `at_ms`."""
    (info,) = receiver.partition_infos([partition])
    with engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE hub_position SET next_sequence = :next, enqueued_ms = :at, event_ms = :at "
                "WHERE partition_id = :partition"
            ),
            {"next": info.next_sequence - left, "at": at_ms, "partition": partition},
        )


def test_nothing_stored_yet_there_is_no_clock(engine: Engine, receiver: HubReceiver) -> None:
    assert clock(engine, receiver).read() is None


def test_with_everything_stored_it_is_the_present(engine: Engine, receiver: HubReceiver) -> None:
    reading = clock(engine, receiver)
    for partition in ("0", "1"):
        stored(engine, receiver, partition, left=0, at_ms=1_000)
    assert reading.read() == NOW


def test_a_partition_that_lags_holds_it_back(engine: Engine, receiver: HubReceiver) -> None:
    reading = clock(engine, receiver)
    stored(engine, receiver, "0", left=0, at_ms=1_000)
    stored(engine, receiver, "1", left=1, at_ms=2_000)
    assert reading.read() == 2_000


def test_by_event_time_a_drained_partition_does_not_hold_it_back(engine: Engine, receiver: HubReceiver) -> None:
    reading = clock(engine, receiver, by_event=True)
    stored(engine, receiver, "0", left=0, at_ms=1_000)
    stored(engine, receiver, "1", left=1, at_ms=2_000)
    assert reading.read() == 2_000
    stored(engine, receiver, "1", left=0, at_ms=3_000)
    assert reading.read() == 3_000


def test_while_the_hub_is_away_it_stands_still(engine: Engine, hub: LocalHub, receiver: HubReceiver) -> None:
    reading = clock(engine, receiver)
    for partition in ("0", "1"):
        stored(engine, receiver, partition, left=0, at_ms=1_000)
    assert reading.read() == NOW
    hub.stop()
    assert reading.read() == NOW
    hub.start()
