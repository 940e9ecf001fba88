"""What stays in the local hub and what goes, across restarts, kill -9, retention and new partitions."""

from __future__ import annotations

import datetime as dt
import json
import time
from pathlib import Path

import pytest
from azure.eventhub import EventData
from hub_sdk import DEADLINE_S, Reading, closed, hub_process, producer, received, send

from eventhubs.amqp import encode_message
from eventhubs.hub.errors import PartitionCountError
from eventhubs.hub.ingest import ingest
from eventhubs.hub.log import PartitionLog
from eventhubs.hub.server import LocalHub
from eventhubs.partition_key import partition_of


def test_events_numbers_and_creation_time_survive_a_restart_and_a_torn_record(tmp_path: Path) -> None:
    with LocalHub(tmp_path, {"kept": 1}) as first, closed():
        send(first, "kept", "one", "two")
        with producer(first, "kept") as client:
            created_at = client.get_eventhub_properties()["created_at"]
    with (tmp_path / "kept" / "0.log").open("ab") as log:
        log.write(b"\x00\x00\x01\x00torn")
    with LocalHub(tmp_path, {"kept": 1}, port=first.port) as second, closed():
        assert second.event_counts() == {"kept": 2}
        send(second, "kept", "three")
        events = received(second, "kept", 3)
        with producer(second, "kept") as client:
            assert client.get_eventhub_properties()["created_at"] == created_at

    assert [(event.sequence_number, event.body_as_str()) for event in events] == [(0, "one"), (1, "two"), (2, "three")]


@pytest.mark.parametrize("options", [{}, {"fsync": True, "retention": 3600}])
def test_what_was_acknowledged_survives_kill_9(tmp_path: Path, options: dict[str, object]) -> None:
    with hub_process(tmp_path, {"kept": 1}, **options) as process, closed():
        send(process.connection_string, "kept", *(f"{n}" for n in range(100)))
        process.kill()

    with LocalHub(tmp_path, {"kept": 1}, retention=3600) as hub:
        assert hub.event_counts() == {"kept": 100}


def test_what_is_older_than_the_retention_is_gone_and_the_numbers_go_on(tmp_path: Path) -> None:
    # Events of three days, as an earlier hub may have left them.
    now_ms = int(dt.datetime.now(dt.UTC).timestamp() * 1000)
    fill(tmp_path, [(now_ms - days * 86_400_000, 10) for days in (3, 2, 1)])

    with LocalHub(tmp_path, {"aged": 1}, retention=dt.timedelta(days=1.5)) as hub, closed():
        with producer(hub, "aged") as client:
            told = client.get_partition_properties("0")
            client.send_event(EventData("new"), partition_id="0")
        kept = [*range(20, 31)]
        with (
            Reading(hub, "aged", start="-1") as beginning,
            Reading(hub, "aged", start=3) as early,
            Reading(hub, "aged", start=24) as late,
            Reading(hub, "aged", start=dt.datetime.now(dt.UTC) - dt.timedelta(days=2.5)) as timed,
        ):
            for reading, first in ((beginning, 20), (early, 20), (late, 25), (timed, 20)):
                reading.until(lambda r: bool(r.events) and r.events[-1].body_as_str() == "new")
                assert [event.sequence_number for event in reading.events] == [n for n in kept if n >= first]
        assert hub.event_counts() == {"aged": 11}
    assert (told["beginning_sequence_number"], told["last_enqueued_sequence_number"], told["is_empty"]) == (
        20,
        29,
        False,
    )


def test_a_running_hub_drops_what_grows_old_and_tells_an_empty_partition(tmp_path: Path) -> None:
    with LocalHub(tmp_path, {"aged": 1}, retention=0.2) as hub, closed(), producer(hub, "aged") as client:
        client.send_batch([EventData(f"{n}") for n in range(5)], partition_id="0")
        told = client.get_partition_properties("0")
        deadline = time.monotonic() + DEADLINE_S
        while not told["is_empty"] and time.monotonic() < deadline:
            told = client.get_partition_properties("0")
        assert (told["beginning_sequence_number"], told["last_enqueued_sequence_number"]) == (5, 4)
        assert int(told["last_enqueued_offset"]) > 0
        with Reading(hub, "aged", start="-1") as reading:
            reading.until(lambda r: r.opened)
            client.send_event(EventData("next"), partition_id="0")
            reading.until(lambda r: len(r.events) == 1)
        assert reading.events[0].sequence_number == 5


def fill(folder: Path, batches: list[tuple[int, int]]) -> None:
    """Write a hub's files with events of given times, one file per batch."""
    (folder / "aged").mkdir()
    (folder / "aged" / "hub.json").write_text(json.dumps({"created_at_ms": batches[0][0], "partitions": 1}))
    log = PartitionLog(folder / "aged" / "0.log", segment_size=1)
    for now_ms, count in batches:
        log.append([ingest(encode_message(data=[b"old"]), 0).encoders[0]] * count, now_ms)
    log.close()


def test_partitions_are_added_at_a_start_and_keys_spread_over_all(tmp_path: Path) -> None:
    moved = next(key for key in map(str, range(99)) if partition_of(key, 2) == 1 and partition_of(key, 4) == 3)
    with LocalHub(tmp_path, {"growing": 2}) as hub, closed(), producer(hub, "growing") as client:
        client.send_event(EventData("before"), partition_key=moved)
    with LocalHub(tmp_path, {"growing": 4}) as hub, closed(), producer(hub, "growing") as client:
        assert client.get_partition_ids() == ["0", "1", "2", "3"]
        client.send_event(EventData("after"), partition_key=moved)
        assert received(hub, "growing", 1, "1")[0].body_as_str() == "before"
        assert received(hub, "growing", 1, "3")[0].body_as_str() == "after"
    with pytest.raises(PartitionCountError, match="4 partitions"):
        LocalHub(tmp_path, {"growing": 2}).start()
