"""The readers of the Spark source on a real hub, without Spark's own machinery. Run as a script it is a Spark task."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from azure.eventhub import EventData, EventHubProducerClient
from effort import LONG
from pyspark.sql.streaming.datasource import ReadAllAvailable, ReadMaxRows

from eventhubs.errors import ConfigurationError, DataLossError
from eventhubs.hub.server import LocalHub
from eventhubs.receiver import PartitionInfo, open_receiver
from eventhubs.sender import HubSender, OutgoingEvent
from eventhubs.settings import HubConnection
from eventhubs.source_options import connection_options
from eventhubs.spark import SCHEMA, EventHubsDataSource, HubRange

ROOT = Path(__file__).parents[2]
SDK = pytest.param("sdk", marks=pytest.mark.skipif(not LONG, reason="the SDK takes its time: make faults"))
BOTH = pytest.mark.parametrize("transport", ["amqp", SDK])
"""What is the source's own part is the same for any transport."""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    with LocalHub(tmp_path_factory.mktemp("hub"), {"reports": 2, "timed": 1}) as hub:
        with HubSender(connection_to(hub.port), "reports") as sender:
            sender.send(OutgoingEvent(b"x" * (n * 37 % 5_000), f"key{n}", {"n": str(n)}) for n in range(3_000))
        yield hub


def connection_to(port: int) -> HubConnection:
    return HubConnection.from_connection_string(
        f"Endpoint=sb://127.0.0.1:{port};SharedAccessKeyName=local;SharedAccessKey=local;UseDevelopmentEmulator=true"
    )


def source(port: int, **more: str) -> EventHubsDataSource:
    options = {**connection_options(connection_to(port)), "hub": "reports", "receiveTimeout": "20", **more}
    return EventHubsDataSource(options)


def stream(port: int, **more: str) -> Any:
    return source(port, **more).streamReader(SCHEMA)


def batch(port: int, **more: str) -> Any:
    return source(port, **more).reader(SCHEMA)


def rows_of(reader: Any, ranges: Sequence[Any]) -> list[dict[str, Any]]:
    batches = [
        batch for one in ranges for batch in pickle.loads(pickle.dumps(reader)).read(pickle.loads(pickle.dumps(one)))
    ]
    return [row for batch in batches for row in batch.to_pylist()]


def places(rows: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return [(row["partition"], row["sequenceNumber"]) for row in rows]


def ipc(batches: Iterator[pa.RecordBatch]) -> bytes:
    """The batches as Spark gets them."""
    sink = pa.BufferOutputStream()
    first = next(batches)
    with pa.ipc.new_stream(sink, first.schema) as writer:
        writer.write_batch(first)
        for one in batches:
            writer.write_batch(one)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]  # pyarrow is untyped


def in_another_process(port: int, wanted: HubRange) -> str:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    order = json.dumps([port, wanted.partition_id, wanted.first, wanted.end, wanted.transport])
    done = subprocess.run([sys.executable, __file__, order], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_task_that_is_tried_again_gives_the_same_bytes_in_any_process_and_by_any_transport(hub: LocalHub) -> None:
    wanted = [HubRange("1", 3, 1_450, transport) for transport in ("amqp", "sdk")]
    here = [ipc(stream(hub.port).read(one)) for one in wanted]
    assert here[0] == here[1]
    with pa.ipc.open_stream(here[0]) as read:
        batches = list(read)
    assert [b.num_rows for b in batches] == [1_000, 447]
    there = [in_another_process(hub.port, one) for one in wanted]
    assert there == [hashlib.sha256(here[0]).hexdigest()] * 2


@BOTH
def test_batch_reads_from_one_time_to_another(hub: LocalHub, transport: str) -> None:
    with HubSender(connection_to(hub.port), "timed") as sender:
        for n in range(4):
            sender.send([OutgoingEvent(b"%d" % n)] * 3)
    options = {"hub": "timed", "transport": transport}
    everything = rows_of(r := batch(hub.port, **options), r.partitions())
    for first, last in ((3, 9), (0, 12), (5, 5)):
        begin, end = everything[first]["enqueuedTime"], everything[last - 1]["enqueuedTime"]
        reader = batch(hub.port, startingPosition=begin.isoformat(), endingPosition=end.isoformat(), **options)
        assert rows_of(reader, reader.partitions()) == [r for r in everything if begin <= r["enqueuedTime"] < end]


def test_batch_ends_before_the_numbers_it_is_given(hub: LocalHub) -> None:
    reader = batch(hub.port, startingPosition='{"0": 5, "1": 9}', endingPosition='{"0": 8, "1": 9}')
    assert places(rows_of(reader, reader.partitions())) == [("0", 5), ("0", 6), ("0", 7)]


def test_stream_refuses_an_end() -> None:
    with pytest.raises(ConfigurationError, match="a stream has no end"):
        stream(1, endingPosition="latest")


def test_stream_begins_at_a_time(hub: LocalHub) -> None:
    everything = rows_of(r := batch(hub.port), r.partitions())
    moment = everything[700]["enqueuedTime"]
    reader = stream(hub.port, startingPosition=moment.isoformat())
    expected = {}
    for row in everything:
        if row["enqueuedTime"] >= moment:
            expected.setdefault(row["partition"], row["sequenceNumber"])
    assert reader.initialOffset() == expected
    reader.stop()


def test_progress_tells_how_far_behind_each_partition_is(hub: LocalHub) -> None:
    reader = stream(hub.port, maxEventsPerTrigger="500")
    start = reader.initialOffset()
    assert reader.reportLatestOffset() is None
    while (end := reader.latestOffset(start, reader.getDefaultReadLimit())) != start:
        told = reader.reportLatestOffset()
        assert {p: t["end"] - t["behind"] for p, t in told.items()} == end
        assert all(t["lost"] == 0 for t in told.values())
        start = end
    assert [t["behind"] for t in reader.reportLatestOffset().values()] == [0, 0]
    assert sum(end.values()) == 3_000
    reader.stop()


class RefusesOurs:
    """A hub that our own client does not understand, and the official one does."""

    def __init__(self, port: int) -> None:
        self._behind = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.refused = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client = self._server.accept()[0]
                behind = socket.create_connection(("127.0.0.1", self._behind))
                threading.Thread(target=self._there, args=(client, behind), daemon=True).start()
                threading.Thread(target=self._back, args=(behind, client), daemon=True).start()

    def _there(self, client: socket.socket, behind: socket.socket) -> None:
        with suppress(OSError), client, behind:
            while data := client.recv(65_536):
                if b"reactionwatch-" in data:
                    self.refused += 1
                    client.sendall(b"\x00\x00\x00\x02\x02\x00\x00\x00")
                    return
                behind.sendall(data)

    def _back(self, behind: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while data := behind.recv(65_536):
                client.sendall(data)


@pytest.mark.filterwarnings("ignore:unclosed <socket.socket:ResourceWarning")
def test_only_the_driver_finds_out_the_transport_and_only_once(hub: LocalHub, caplog: pytest.LogCaptureFixture) -> None:
    between = RefusesOurs(hub.port)
    try:
        reader = stream(between.port)
        start = {"0": 0, "1": 0}
        end = reader.latestOffset(start, ReadMaxRows(20))
        ranges = reader.partitions(start, end)
        assert [one.transport for one in ranges] == ["sdk", "sdk"]
        assert len(rows_of(reader, ranges)) == 20
        reader.stop()  # closes the connection, as a broken one would be
        assert reader.latestOffset(end, ReadAllAvailable()) != end
        reader.stop()
    finally:
        between.close()
    assert between.refused == 1
    assert len([r for r in caplog.records if r.name.startswith("eventhubs")]) == 1


def test_a_batch_planned_before_a_restart_finds_out_the_transport_too(hub: LocalHub) -> None:
    reader = stream(hub.port)
    [one] = reader.partitions({"0": 0}, {"0": 3})
    assert one == HubRange("0", 0, 3, "amqp")
    reader.stop()


# What retention takes away.


class Aging:
    """A hub whose events can be made to be gone."""

    def __init__(self, folder: Path, partitions: int) -> None:
        self.folder = folder
        self.partitions = partitions
        self.hub = LocalHub(folder, {"reports": partitions})
        self.hub.start()
        self.port = self.hub.port

    def send(self, partition: str, count: int, size: int = 10) -> None:
        with EventHubProducerClient.from_connection_string(
            self.hub.connection_string, eventhub_name="reports"
        ) as producer:
            for _ in range(count):
                producer.send_batch([EventData(b"x" * size)], partition_id=partition)

    def restart(self, partitions: int | None = None, retention: float | None = None) -> None:
        self.hub.stop()
        self.partitions = partitions or self.partitions
        self.hub = LocalHub(self.folder, {"reports": self.partitions}, port=self.port, retention=retention)
        self.hub.start()

    def age(self) -> None:
        """Everything that was sent until now is gone."""
        self.restart(retention=0.001)
        while any(i.begin_sequence < i.next_sequence for i in self.infos()):
            pass
        self.restart()

    def infos(self) -> list[PartitionInfo]:
        with open_receiver(connection_to(self.port), "reports", transport="amqp") as receiver:
            return receiver.partition_infos(receiver.hub_info().partition_ids)


@pytest.fixture
def aging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Aging]:
    monkeypatch.setattr("eventhubs.watch._QUESTIONS_PER_SECOND", float("inf"))
    aging = Aging(tmp_path, 2)
    yield aging
    aging.hub.stop()


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [r.getMessage() for r in caplog.records if r.name == "eventhubs.loss"]
    caplog.clear()
    return found


def test_loss_stops_stream_and_batch_by_default_and_names_all_of_it(aging: Aging) -> None:
    aging.send("0", 4)
    aging.send("1", 3)
    aging.age()
    reader = stream(aging.port)
    with pytest.raises(DataLossError) as lost:
        reader.latestOffset({"0": 1, "1": 0}, ReadAllAvailable())
    reader.stop()
    assert "Partition 0: events 1 to 3 (3 events) are gone" in str(lost.value)
    assert "Partition 1: 0 to 2 (3 events) are gone as well" in str(lost.value)
    assert "failOnDataLoss=false" in str(lost.value)
    with pytest.raises(DataLossError):
        batch(aging.port, startingPosition='{"0": 1}').partitions()


@BOTH
def test_where_loss_is_accepted_a_batch_goes_on_behind_it_and_records_it_every_time(
    aging: Aging, transport: str, caplog: pytest.LogCaptureFixture
) -> None:
    aging.send("0", 6)
    reader = stream(aging.port, failOnDataLoss="false", transport=transport, maxEventsPerTrigger="4")
    start = reader.initialOffset()
    aging.age()
    aging.send("0", 5)
    aging.send("1", 1)
    end = reader.latestOffset(start, reader.getDefaultReadLimit())
    assert (start, end) == ({"0": 0, "1": 0}, {"0": 9, "1": 1})
    assert reader.reportLatestOffset() == {
        "0": {"end": 11, "behind": 2, "lost": 6},
        "1": {"end": 1, "behind": 0, "lost": 0},
    }
    assert warnings_of(caplog) == []
    ranges = reader.partitions(start, end)
    reader.stop()
    recorded = warnings_of(caplog)
    assert len(recorded) == 1
    assert f"Partition 0 of hub reports at 127.0.0.1:{aging.port}: events 0 to 5 (6 events) are gone" in recorded[0]
    rows = rows_of(reader, ranges)
    assert places(rows) == [("0", 6), ("0", 7), ("0", 8), ("1", 0)]
    again = stream(aging.port, failOnDataLoss="false", transport=transport)
    assert rows_of(again, again.partitions(start, end)) == rows
    assert warnings_of(caplog) == recorded
    again.stop()


def test_batch_of_which_nothing_is_left_is_empty_and_the_stream_goes_on(
    aging: Aging, caplog: pytest.LogCaptureFixture
) -> None:
    aging.send("0", 6)
    reader = stream(aging.port, failOnDataLoss="false")
    reader.prepareForTriggerAvailableNow()
    start = reader.initialOffset()
    aging.age()
    aging.send("0", 2)
    end = reader.latestOffset(start, ReadAllAvailable())
    assert end == {"0": 6, "1": 0}, "what came after the start of the run is not its business"
    assert reader.partitions(start, end) == []
    assert len(warnings_of(caplog)) == 1
    assert reader.latestOffset(end, ReadAllAvailable()) == end
    reader.stop()


@BOTH
def test_retention_that_passes_between_planning_and_reading_takes_only_what_it_takes(
    aging: Aging, transport: str, caplog: pytest.LogCaptureFixture
) -> None:
    aging.send("0", 6)
    reader = stream(aging.port, failOnDataLoss="false", transport=transport)
    end = reader.latestOffset(start := reader.initialOffset(), ReadAllAvailable())
    ranges = reader.partitions(start, end)
    reader.stop()
    aging.age()
    assert rows_of(reader, ranges) == []
    aging.send("0", 2)
    assert rows_of(reader, ranges) == []
    recorded = warnings_of(caplog)
    assert len(recorded) == 2
    assert all("events 0 to 5 (6 events) are gone" in one for one in recorded)


@BOTH
def test_retention_that_passes_in_the_middle_of_a_read_takes_only_what_it_takes(
    aging: Aging, transport: str, caplog: pytest.LogCaptureFixture
) -> None:
    aging.send("0", 70, 1_000_000)  # of which not all fit into the buffers along the way
    reader = stream(aging.port, failOnDataLoss="false", transport=transport)
    reading = reader.read(HubRange("0", 0, 75, transport))
    found = [row["sequenceNumber"] for row in next(reading).select(["sequenceNumber"]).to_pylist()]
    aging.age()
    aging.send("0", 5)
    found += [row["sequenceNumber"] for one in reading for row in one.select(["sequenceNumber"]).to_pylist()]
    kept = next(n for n in range(75) if n not in found)
    assert 0 < kept < 70
    assert found == [*range(kept), *range(70, 75)]
    [recorded] = warnings_of(caplog)
    assert f"events {kept} to 69 ({70 - kept} events) are gone" in recorded


def test_batch_read_goes_on_behind_a_loss_too(aging: Aging, caplog: pytest.LogCaptureFixture) -> None:
    aging.send("0", 3)
    aging.age()
    aging.send("0", 2)
    reader = batch(aging.port, startingPosition='{"0": 1}', failOnDataLoss="false")
    assert places(rows_of(reader, reader.partitions())) == [("0", 3), ("0", 4)]
    assert "events 1 to 2 (2 events) are gone" in warnings_of(caplog)[0]


def test_hub_that_was_made_anew_is_no_loss_to_be_accepted(aging: Aging) -> None:
    aging.send("0", 3)
    reader = stream(aging.port, failOnDataLoss="false")
    with pytest.raises(DataLossError, match="recreated"):
        reader.latestOffset({"0": 4, "1": 0}, ReadAllAvailable())
    reader.stop()


def test_partitions_that_are_added_are_read_from_their_first_event(aging: Aging) -> None:
    aging.send("0", 2)
    reader = stream(aging.port)
    first = reader.latestOffset(reader.initialOffset(), ReadAllAvailable())
    assert first == {"0": 2, "1": 0}
    aging.restart(partitions=4)
    aging.send("3", 2)
    second = reader.latestOffset(first, ReadAllAvailable())
    assert second == {"0": 2, "1": 0, "2": 0, "3": 2}
    assert reader.partitions(first, second) == [HubRange("3", 0, 2, "amqp")]
    assert reader.reportLatestOffset()["3"] == {"end": 2, "behind": 0, "lost": 0}
    reader.stop()


def task(port: int, partition_id: str, first: int, end: int, transport: Any) -> str:
    """Digest of what a task reads."""
    return hashlib.sha256(ipc(stream(port).read(HubRange(partition_id, first, end, transport)))).hexdigest()


if __name__ == "__main__":
    sys.stdout.write(task(*json.loads(sys.argv[1])))
