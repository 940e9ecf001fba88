"""`kill -9` of a Spark driver that reads a hub: what its batches hold in the end is exactly what was sent, in order.

Run as a script, this file is that driver. Its sink replaces the files of a batch that comes again, as any
idempotent sink does; the source's part is that the same batch has the same rows.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import msgspec
import pyarrow.feather as feather
import pyspark
import pytest
from azure.eventhub import EventData, EventHubProducerClient
from effort import LONG, pick
from pyspark.sql import DataFrame, SparkSession

from eventhubs.hub.server import LocalHub
from eventhubs.settings import HubConnection
from eventhubs.source_options import connection_options
from eventhubs.spark import EventHubsDataSource

pytestmark = [pytest.mark.spark, pytest.mark.slow, pytest.mark.timeout(1_200)]

ROOT = Path(__file__).parents[2]
EVENTS = pick(20_000, 200_000)
PARTITIONS = 4
BATCHES = 5
PATIENCE = 240.0
"""Seconds for one driver, on a machine that may be busy."""
LOCAL, CLUSTER = "local[2]", "local-cluster[2,1,1024]"
LONG_ONLY = pytest.mark.skipif(not LONG, reason="each executor is a JVM of its own: make faults")


class Order(msgspec.Struct, frozen=True):
    """What a driver is to do, and where it is to die."""

    connection: str
    folder: str
    master: str
    dies: str | None = None
    """`reading`: while tasks read; `written`: with the batch's rows written and before Spark commits it."""
    at_batch: int = 0


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    with LocalHub(tmp_path_factory.mktemp("hub"), {"reports": PARTITIONS}) as hub:
        each = EVENTS // PARTITIONS
        with EventHubProducerClient.from_connection_string(hub.connection_string, eventhub_name="reports") as producer:
            for first in range(0, each, 1_000):
                for partition in map(str, range(PARTITIONS)):
                    bodies = [EventData(f"{partition}:{n}") for n in range(first, min(first + 1_000, each))]
                    producer.send_batch(bodies, partition_id=partition)
        yield hub


@contextmanager
def driver(order: Order) -> Iterator[subprocess.Popen[bytes]]:
    """The driver in a process group of its own, with its JVM; the group is gone at the end, whatever happens."""
    home = Path(order.folder) / "spark"
    if not home.exists():
        # Workers of a local cluster keep their files in Spark's home: not in site-packages, then.
        home.mkdir(parents=True)
        for name in ("bin", "jars"):
            (home / name).symlink_to(Path(pyspark.__file__).parent / name)
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_HOME": str(home),
    }
    command = [sys.executable, __file__, msgspec.json.encode(order).decode()]
    with (Path(order.folder) / "driver.log").open("ab") as log:
        process = subprocess.Popen(command, env=env, stdout=log, stderr=log, start_new_session=True)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def said(order: Order) -> str:
    return (Path(order.folder) / "driver.log").read_text(encoding="utf-8", errors="replace")[-8_000:]


def dies(order: Order) -> None:
    with driver(order) as process:
        assert process.wait(PATIENCE) == -signal.SIGKILL, said(order)


def dies_between_batches(order: Order, batch: int) -> None:
    """As soon as the batch is committed; the next one has hardly begun."""
    committed = Path(order.folder) / "checkpoint" / "commits" / str(batch)
    deadline = time.monotonic() + PATIENCE
    with driver(order) as process:
        while not committed.exists():
            assert process.poll() is None, said(order)
            assert time.monotonic() < deadline
            time.sleep(0.005)


def ends(order: Order) -> None:
    with driver(order) as process:
        assert process.wait(PATIENCE) == 0, said(order)


def read_back(folder: Path) -> dict[str, list[tuple[int, bytes]]]:
    """What the batches hold, one after the other: (sequence number, body) by partition."""
    found: dict[str, list[tuple[int, bytes]]] = {str(p): [] for p in range(PARTITIONS)}
    for batch in sorted((folder / "out").iterdir(), key=lambda path: int(path.stem)):
        for row in feather.read_table(batch).to_pylist():
            found[row["partition"]].append((row["sequenceNumber"], row["body"]))
    return found


@pytest.mark.parametrize("master", [LOCAL, pytest.param(CLUSTER, marks=LONG_ONLY)])
def test_batches_of_a_driver_killed_three_times_hold_exactly_what_was_sent(
    hub: LocalHub, tmp_path: Path, master: str
) -> None:
    order = Order(hub.connection_string, str(tmp_path), master)
    dies(msgspec.structs.replace(order, dies="written", at_batch=0))  # before the first batch is committed
    commits = tmp_path / "checkpoint" / "commits"
    assert not list(commits.glob("[0-9]*"))
    dies_between_batches(order, 1)
    dies(msgspec.structs.replace(order, dies="reading", at_batch=3))
    assert (commits / "2").exists()
    assert not (commits / "3").exists()
    ends(order)
    each = EVENTS // PARTITIONS
    expected = {p: [(n, f"{p}:{n}".encode()) for n in range(each)] for p in map(str, range(PARTITIONS))}
    assert read_back(tmp_path) == expected
    assert len(list((tmp_path / "out").iterdir())) == BATCHES


# The driver.


def drive(order: Order) -> None:
    """Read everything there is, in five batches."""
    Path(order.folder, "out").mkdir(exist_ok=True)
    session = (
        SparkSession.builder.master(order.master)
        .config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.local.dir", f"{order.folder}/local")
        .config("spark.driver.extraJavaOptions", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")  # it does not live long
        .config("spark.executorEnv.PYTHONPATH", os.environ["PYTHONPATH"])
        .getOrCreate()
    )
    session.dataSource.register(EventHubsDataSource)
    events = (
        session.readStream.format("eventhubs")
        .options(**connection_options(HubConnection.from_connection_string(order.connection)))
        .option("hub", "reports")
        .option("maxEventsPerTrigger", str(EVENTS // BATCHES))
        .load()
    )

    def write(rows: DataFrame, number: int) -> None:
        wanted = rows.select("partition", "sequenceNumber", "body")
        if order.dies == "reading" and number == order.at_batch:
            wanted = wanted.mapInArrow(partial(kill_at_first_rows, os.getpgrp()), wanted.schema)
        feather.write_feather(wanted.toArrow(), f"{order.folder}/draft")
        Path(order.folder, "draft").replace(f"{order.folder}/out/{number}.arrow")
        if order.dies == "written" and number == order.at_batch:
            os.killpg(os.getpgrp(), signal.SIGKILL)

    query = (
        events.writeStream.foreachBatch(write)
        .option("checkpointLocation", f"{order.folder}/checkpoint")
        .trigger(availableNow=True)
        .start()
    )
    query.awaitTermination()
    session.stop()


def kill_at_first_rows(group: int, batches: Iterator[object]) -> Iterator[object]:
    """In a task: with rows read and none written, the driver's machine is gone."""
    for batch in batches:
        os.killpg(group, signal.SIGKILL)
        yield batch


if __name__ == "__main__":
    drive(msgspec.json.decode(sys.argv[1], type=Order))
