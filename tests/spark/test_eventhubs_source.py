"""The Spark source, on a real Spark and a real (local) hub."""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql.streaming.readwriter import DataStreamReader

from eventhubs.errors import DataLossError
from eventhubs.hub.access import AccessKey
from eventhubs.hub.server import LocalHub
from eventhubs.receiver import HubReceiver, open_receiver
from eventhubs.sender import HubSender, OutgoingEvent
from eventhubs.settings import HubConnection
from eventhubs.source_options import connection_options
from eventhubs.spark import SCHEMA, EventHubsDataSource

pytestmark = pytest.mark.spark

SECRET = "do-not-show-this-key"


@pytest.fixture(scope="module")
def session(spark: SparkSession) -> SparkSession:
    spark.dataSource.register(EventHubsDataSource)
    return spark


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    hubs = {"reports": 3, "growing": 2, "empty": 2}
    with LocalHub(tmp_path_factory.mktemp("hub"), hubs, keys=[AccessKey("local", SECRET)]) as hub:
        with HubSender(connect(hub), "reports") as sender:
            sender.send(OutgoingEvent(b"\xff%d" % n, f"k{n}", {"n": str(n)}) for n in range(200))
        yield hub


def connect(hub: LocalHub) -> HubConnection:
    return HubConnection.from_connection_string(hub.connection_string)


def options(hub: LocalHub, name: str = "reports", **more: str) -> dict[str, str]:
    return {**connection_options(connect(hub)), "hub": name, "receiveTimeout": "20", **more}


def batch(session: SparkSession, hub: LocalHub, name: str = "reports", **more: str) -> DataFrame:
    return session.read.format("eventhubs").options(**options(hub, name, **more)).load()


def stream(session: SparkSession, hub: LocalHub, name: str = "reports", **more: str) -> DataStreamReader:
    return session.readStream.format("eventhubs").options(**options(hub, name, **more))


def run(
    frame: DataFrame,
    checkpoint: Path,
    each: Callable[[DataFrame, int], None] | None = None,
    progress: list[dict[str, Any]] | None = None,
) -> list[list[Row]]:
    """Everything there is, as the rows of each micro-batch; `progress` gets what each told of the source."""
    batches: list[list[Row]] = []

    def collect(rows: DataFrame, number: int) -> None:
        batches.append(rows.collect())
        if each is not None:
            each(rows, number)

    query = (
        frame.writeStream.foreachBatch(collect)
        .option("checkpointLocation", str(checkpoint))
        .trigger(availableNow=True)
        .start()
    )
    try:
        query.awaitTermination(180)
        if progress is not None:
            progress += [told["sources"][0] for told in query.recentProgress]
    finally:
        query.stop()
    return [rows for rows in batches if rows]


def places(rows: list[Row]) -> list[tuple[str, int]]:
    return [(row.partition, row.sequenceNumber) for row in rows]


def test_batch_has_the_declared_columns_and_every_event(session: SparkSession, hub: LocalHub) -> None:
    frame = batch(session, hub)
    assert frame.schema == SCHEMA
    rows = frame.collect()
    assert sorted(bytes(r.body) for r in rows) == sorted(b"\xff%d" % n for n in range(200))
    assert all(r.partitionKey == "k" + r.properties["n"] for r in rows)
    assert {r.partition for r in rows} == {"0", "1", "2"}
    assert all(r.publisher is None and r.systemProperties == {} and r.offset for r in rows)
    now = dt.datetime.now()  # noqa: DTZ005 - Spark gives naive local times
    assert all(abs(now - r.enqueuedTime) < dt.timedelta(minutes=10) for r in rows)


def test_one_task_reads_one_partition_in_sequence_order(session: SparkSession, hub: LocalHub) -> None:
    tasks = [[(r.partition, r.sequenceNumber) for r in task] for task in batch(session, hub).rdd.glom().collect()]
    assert len(tasks) == 3
    for task in tasks:
        assert task == [(task[0][0], n) for n in range(len(task))]


def test_batch_begins_where_it_is_told(session: SparkSession, hub: LocalHub) -> None:
    last = {p: n for p, n in sorted(places(batch(session, hub).collect()))}  # noqa: C416 - the last of each wins
    rows = batch(session, hub, startingPosition=json.dumps(last)).collect()
    assert sorted(places(rows)) == sorted(last.items())


def test_batch_reads_from_a_time_to_numbers(session: SparkSession, hub: LocalHub) -> None:
    end = {"0": 3, "1": 0, "2": 5}
    rows = batch(session, hub, startingPosition="2001-02-03T04:05:06Z", endingPosition=json.dumps(end)).collect()
    assert sorted(places(rows)) == [(p, n) for p, last in end.items() for n in range(last)]
    assert batch(session, hub, startingPosition="2101-01-01").collect() == []


def test_batch_of_an_empty_hub_is_empty(session: SparkSession, hub: LocalHub) -> None:
    assert batch(session, hub, "empty").collect() == []


@pytest.mark.parametrize("transport", ["amqp", "sdk"])
def test_stream_reads_everything_once_within_the_limit(
    session: SparkSession, hub: LocalHub, tmp_path: Path, transport: str
) -> None:
    frame = stream(session, hub, maxEventsPerTrigger="80", transport=transport).load()
    batches = run(frame, tmp_path)
    assert [len(rows) for rows in batches] == [80, 80, 40]
    assert all({r.partition for r in rows} == {"0", "1", "2"} for rows in batches[:2])
    assert sorted(places([r for rows in batches for r in rows])) == sorted(places(batch(session, hub).collect()))


def test_progress_tells_how_far_behind_each_partition_is(session: SparkSession, hub: LocalHub, tmp_path: Path) -> None:
    told: list[dict[str, Any]] = []
    run(stream(session, hub, maxEventsPerTrigger="120").load(), tmp_path, progress=told)
    batches = [one for one in told if one["numInputRows"]]
    assert [one["numInputRows"] for one in batches] == [120, 80]
    for one in batches:
        latest, end = json.loads(one["latestOffset"]), json.loads(one["endOffset"])
        assert {p: seen["end"] - seen["behind"] for p, seen in latest.items()} == end
        assert all(seen["lost"] == 0 for seen in latest.values())
    assert sum(seen["behind"] for seen in json.loads(batches[0]["latestOffset"]).values()) == 80


def test_stream_refuses_an_end(session: SparkSession, hub: LocalHub, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="'endingPosition' is for batch reads: a stream has no end"):
        run(stream(session, hub, endingPosition="latest").load(), tmp_path)


def test_events_that_are_gone_stop_the_stream_or_are_passed_over_and_counted(
    session: SparkSession, tmp_path: Path
) -> None:
    with LocalHub(tmp_path / "hub", {"reports": 1}) as hub, HubSender(connect(hub), "reports") as sender:
        sender.send([OutgoingEvent(b"read")])
        run(stream(session, hub).load(), tmp_path / "checkpoint")
        sender.send([OutgoingEvent(b"lost")] * 3)
    with LocalHub(tmp_path / "hub", {"reports": 1}, retention=0.001) as hub, receiver_of(hub) as receiver:
        while (info := receiver.partition_infos(["0"])[0]).begin_sequence < info.next_sequence:
            pass
    with LocalHub(tmp_path / "hub", {"reports": 1}) as hub, HubSender(connect(hub), "reports") as sender:
        sender.send([OutgoingEvent(b"left")] * 2)
        with pytest.raises(StreamingQueryException, match=r"DataLossError.*events 1 to 3 \(3 events\) are gone"):
            run(stream(session, hub).load(), tmp_path / "checkpoint")
        told: list[dict[str, Any]] = []
        frame = stream(session, hub, failOnDataLoss="false").load()
        [rows] = run(frame, tmp_path / "checkpoint", progress=told)
    assert [(r.sequenceNumber, bytes(r.body)) for r in rows] == [(4, b"left"), (5, b"left")]
    assert [json.loads(one["latestOffset"])["0"] for one in told if one["numInputRows"]] == [
        {"end": 6, "behind": 0, "lost": 3}
    ]


def test_partitions_added_while_a_query_runs_are_read(session: SparkSession, tmp_path: Path) -> None:
    seen: set[tuple[str, int]] = set()
    more = threading.Condition()

    def collect(rows: DataFrame, _: int) -> None:
        found = places(rows.collect())
        with more:
            seen.update(found)
            more.notify()

    def wait_for(place: tuple[str, int]) -> None:
        with more:
            assert more.wait_for(lambda: place in seen or query.exception(), timeout=180)
        assert query.exception() is None

    with LocalHub(tmp_path / "hub", {"reports": 1}) as hub:
        port = hub.port
        with HubSender(connect(hub), "reports") as sender:
            sender.send([OutgoingEvent(b"before")])
        writer = stream(session, hub).load().writeStream.foreachBatch(collect)
        query = writer.option("checkpointLocation", str(tmp_path / "checkpoint")).start()
        wait_for(("0", 0))
    try:
        with LocalHub(tmp_path / "hub", {"reports": 3}, port=port) as hub:
            with HubSender(connect(hub), "reports") as sender:
                sender.send(OutgoingEvent(b"after", f"key{n}") for n in range(20))
            for partition in ("1", "2"):
                wait_for((partition, 0))
            query.stop()
    finally:
        query.stop()


def receiver_of(hub: LocalHub) -> HubReceiver:
    return open_receiver(connect(hub), "reports", transport="amqp")


def test_stream_goes_on_from_its_checkpoint_and_sees_what_is_new(
    session: SparkSession, hub: LocalHub, tmp_path: Path
) -> None:
    with HubSender(connect(hub), "growing") as sender:
        sender.send([OutgoingEvent(b"first", "a")])
        [first] = run(stream(session, hub, "growing").load(), tmp_path)
        sender.send([OutgoingEvent(b"second", "a"), OutgoingEvent(b"third", "a")])
        [second] = run(stream(session, hub, "growing").load(), tmp_path)
    assert [bytes(r.body) for r in first] == [b"first"]
    assert [bytes(r.body) for r in second] == [b"second", b"third"]


def test_failed_batch_comes_again_with_identical_rows(session: SparkSession, hub: LocalHub, tmp_path: Path) -> None:
    seen: list[list[Row]] = []

    def fails(rows: DataFrame, number: int) -> None:
        seen.append(rows.collect())
        raise RuntimeError("the sink broke")

    with pytest.raises(StreamingQueryException):
        run(stream(session, hub, maxEventsPerTrigger="30").load(), tmp_path, fails)
    again = run(stream(session, hub, maxEventsPerTrigger="200").load(), tmp_path)
    assert len(seen[0]) == 30
    assert again[0] == seen[0]


def test_positions_that_are_gone_stop_the_stream(session: SparkSession, hub: LocalHub, tmp_path: Path) -> None:
    frame = stream(session, hub, startingPosition='{"0": 5000}').load()
    with pytest.raises(StreamingQueryException, match=DataLossError.__name__):
        run(frame, tmp_path)


def test_mistaken_option_fails_at_load_with_the_right_name(session: SparkSession, hub: LocalHub) -> None:
    with pytest.raises(Exception, match="Did you mean 'startingPosition'"):
        stream(session, hub, startingPositions="earliest").load()


def test_plan_does_not_show_the_key(session: SparkSession, hub: LocalHub, capsys: pytest.CaptureFixture[str]) -> None:
    batch(session, hub).explain(extended=True)
    assert SECRET not in capsys.readouterr().out
