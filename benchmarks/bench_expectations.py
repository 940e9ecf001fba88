"""Judging reports by the packaged suite: Great Expectations on Spark and on pandas, against the stream's own checks.

All three judge the same batch by the same `report.json`, in turns, and must come to the same verdicts. Great
Expectations gets the derived columns ready made (on Spark as a cached DataFrame); the stream's own time includes
deriving them. Then: decoding and checking real reports, small batches, and how long a new Spark worker takes to its
first verdict.
"""

from __future__ import annotations

import datetime as dt
import importlib
import itertools
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, ClassVar

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from expectations.checks import Checker, Verdicts
from expectations.columns import checked_columns
from expectations.decode import decode
from expectations.reference import Reference, row_verdicts
from expectations.report import Report
from expectations.row_expectations import Columns
from expectations.suite import load_suite

BATCH, SMALL = 5_000, (500, 40, 1)
ROUNDS, SPARK_ROUNDS, WORKERS, IMPORTS = 7, 3, 5, 3
TODAY = dt.date(2026, 1, 5)
DATA = Path(__file__).parents[1] / "tests" / "data"
OPENFDA, FAERS = "openfda_reports_100.jsonl", "faers_2014_reports_1000.jsonl"

_ON_SPARK, _ON_PANDAS = "Great Expectations, Spark engine", "Great Expectations, pandas engine"
_OURS = "ours, columns included"

Work = Callable[[], object]


def real_bodies(name: str) -> list[bytes]:
    """`BATCH` bodies: a file's reports without their `openfda` blocks, again and again, each with an id of its own."""
    bodies = []
    lines = (DATA / name).read_bytes().splitlines()
    for number, line in enumerate(itertools.islice(itertools.cycle(lines), BATCH)):
        body = json.loads(line)
        body["safetyreportid"] = str(10_000_000 + number)
        for drug in body["patient"]["drug"]:
            drug.pop("openfda", None)
        bodies.append(json.dumps(body, separators=(",", ":")).encode())
    return bodies


def decoded(bodies: Sequence[bytes]) -> list[Report]:
    """The reports, all of which are some."""
    reports = [report for report in map(decode, bodies) if isinstance(report, Report)]
    assert len(reports) == len(bodies)
    return reports


@dataclass(frozen=True)
class Taken:
    """Median seconds, of the clock and of this process's CPU: what else runs on the machine adds to the first only."""

    wall: float
    cpu: float


def in_turns(works: Sequence[Work], rounds: int) -> list[Taken]:
    """What each takes, all of them once a round."""
    taken: list[list[tuple[float, float]]] = [[] for _ in works]
    for _ in range(rounds):
        for work, times in zip(works, taken, strict=True):
            wall, cpu = time.perf_counter(), time.process_time()
            work()
            times.append((time.perf_counter() - wall, time.process_time() - cpu))
    return [Taken(*map(median, zip(*times, strict=True))) for times in taken]


# --- Great Expectations on Spark --------------------------------------------------------------------------------


def open_spark(daemon: str, *, reuse: bool = True) -> SparkSession:
    """A local session whose Python workers are forked by `daemon`."""
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    options = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.log.level": "ERROR",
        "spark.sql.shuffle.partitions": "2",
        "spark.python.daemon.module": daemon,
        "spark.python.worker.reuse": str(reuse).lower(),
    }
    return SparkSession.builder.master("local[2]").appName("bench").config(map=options).getOrCreate()


def as_spark_frame(spark: SparkSession, columns: Columns) -> DataFrame:
    """The columns with nulls for NaN and a number for each row, in Spark's memory."""
    arrays = {name: pa.array(values, from_pandas=True) for name, values in columns.items()}
    count = len(columns["safetyreportid"])
    frame = spark.createDataFrame(pa.table({"row": pa.array(range(count), pa.int64()), **arrays})).cache()
    assert frame.count() == count
    return frame


class OnSpark:
    """The packaged suite in the hands of Great Expectations' Spark engine.

    Row by row it says what failed only where it is told which column numbers the rows, so it is.
    """

    _FORMAT: ClassVar = {
        "result_format": "COMPLETE",
        "unexpected_index_column_names": ["row"],
        "partial_unexpected_count": 0,
    }

    def __init__(self) -> None:
        os.environ["GX_ANALYTICS_ENABLED"] = "false"
        gx = importlib.import_module("great_expectations")
        base = importlib.import_module("great_expectations.data_context.types.base")
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = base.ProgressBarsConfig(globally=False)
        asset = context.data_sources.add_spark("bench").add_dataframe_asset("reports")
        self._batches = asset.add_batch_definition_whole_dataframe("reports")
        self._suite = gx.ExpectationSuite(**json.loads(load_suite().text))

    def validate(self, frame: DataFrame) -> Any:
        """Validate a frame of `as_spark_frame`."""
        batch = self._batches.get_batch({"dataframe": frame})
        return batch.validate(self._suite, result_format=self._FORMAT)

    def verdicts(self, frame: DataFrame) -> Verdicts:
        """The verdict on each row."""
        failed = []
        for outcome in self.validate(frame).results:
            assert not outcome.exception_info["raised_exception"], outcome.exception_info
            meta = outcome.expectation_config.meta
            rows = [] if outcome.success else [found["row"] for found in outcome.result["unexpected_index_list"]]
            failed.append((meta["severity"], meta["code"], rows))
        return Verdicts.of(frame.count(), failed, load_suite().version)


def engines() -> Iterator[str]:
    """Rows of the table: one batch by all three."""
    spark = open_spark("pyspark.daemon")
    reports = decoded(real_bodies(FAERS)[: BATCH // 2] + real_bodies(OPENFDA)[BATCH // 2 :])
    columns = checked_columns(reports, TODAY)
    frame = as_spark_frame(spark, columns)
    on_spark, on_pandas = OnSpark(), Reference(load_suite().text)
    checker = Checker(load_suite(), today=lambda: TODAY)

    def by_pandas() -> Verdicts:
        return row_verdicts(on_pandas.validate(columns), len(reports), load_suite())

    ours = checker.check(reports)
    assert on_spark.verdicts(frame) == by_pandas() == ours  # which warms them up, too
    works: list[Work] = [lambda: on_spark.validate(frame), by_pandas, lambda: checker.check(reports)]
    taken = [one.wall for one in in_turns(works, SPARK_ROUNDS)]
    spark.stop()
    failing = sum(1 for critical, warnings in zip(ours.critical, ours.warnings, strict=True) if critical or warnings)
    what = f"{BATCH:,} reports, half of each file; {failing} fail something"
    yield row(what, _ON_SPARK, f"{taken[0] * 1000:,.0f} ms", f"{taken[0] / taken[2]:,.0f}")
    yield row(what, _ON_PANDAS, f"{taken[1] * 1000:,.0f} ms", f"{taken[1] / taken[2]:,.0f}")
    yield row(what, _OURS, f"{taken[2] * 1000:,.0f} ms", "1")
    assert taken[0] / taken[2] >= 15, f"only {taken[0] / taken[2]:.1f} times as fast as Great Expectations on Spark"


# --- Without Spark ----------------------------------------------------------------------------------------------


def decode_and_check() -> Iterator[str]:
    """Rows of the table: bytes to verdicts."""
    checker = Checker(load_suite(), today=lambda: TODAY)
    for name in (FAERS, OPENFDA):
        bodies = real_bodies(name)
        reports = decoded(bodies)
        works: list[Work] = [
            lambda bodies=bodies: checker.check(decoded(bodies)),
            lambda reports=reports: checker.check(reports),
        ]
        for label, taken in zip(("decode and check", "check alone"), in_turns(works, ROUNDS), strict=True):
            what = f"{BATCH:,} reports of {name.partition('_')[0]}, {sum(map(len, bodies)) / BATCH:,.0f} bytes each"
            per_report = f"{taken.wall / BATCH * 1e6:,.0f} µs per report (CPU {taken.cpu / BATCH * 1e6:,.0f} µs)"
            yield row(what, label, per_report, "")


def small_batches() -> Iterator[str]:
    """Rows of the table: what a quiet stream hands over."""
    reports = decoded(real_bodies(FAERS))
    reference = Reference(load_suite().text)
    checker = Checker(load_suite(), today=lambda: TODAY)
    for count in SMALL:
        some = reports[:count]
        columns = checked_columns(some, TODAY)
        works: list[Work] = [
            lambda columns=columns, count=count: row_verdicts(reference.validate(columns), count, load_suite()),
            lambda some=some: checker.check(some),
        ]
        by_pandas, by_us = (taken.wall for taken in in_turns(works, ROUNDS))
        what = f"{count:,} report{'s' * (count != 1)} of faers"
        yield row(what, _ON_PANDAS, f"{by_pandas * 1000:,.0f} ms", f"{by_pandas / by_us:,.0f}")
        yield row(what, _OURS, f"{by_us * 1000:,.2f} ms", "1")


# --- Workers ----------------------------------------------------------------------------------------------------


def first_verdict(bodies: Sequence[bytes]) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """A Spark task that judges once and says how old its process, the worker, was by then."""

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for _ in batches:
            task = importlib.import_module("streaming.task")
            suite = importlib.import_module("expectations.suite").load_suite()
            decode_one = importlib.import_module("expectations.decode").decode
            task.Checker(suite).check([decode_one(body) for body in bodies])
        started = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - started
        yield pa.RecordBatch.from_pydict({"seconds": [age]})

    return run


def new_workers(daemon: str) -> float:
    """Median seconds from a worker's fork to its first verdict, one worker at a time."""
    spark = open_spark(daemon, reuse=False)
    run = first_verdict(real_bodies(FAERS)[:40])
    jobs = (spark.range(0, 1, 1, 1).mapInArrow(run, "seconds double") for _ in range(WORKERS + 1))
    ages = [job.collect()[0].seconds for job in jobs]
    spark.stop()
    return median(ages[1:])


def cost_of_import(module: str) -> float:
    """Median seconds that a new interpreter spends on it."""
    script = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
    return median(
        float(subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout)
        for _ in range(IMPORTS)
    )


def workers() -> Iterator[str]:
    """Rows of the table: how long the first reports of a new worker wait."""
    if Path("/proc/self/stat").exists():
        cold, warm = new_workers("pyspark.daemon"), new_workers("streaming.worker_daemon")
        what = "40 reports of faers, fork of a worker to first verdict"
        yield row(what, "Spark's own daemon", f"{cold * 1000:,.0f} ms", f"{cold / warm:,.0f}")
        yield row(what, "warm daemon", f"{warm * 1000:,.0f} ms", "1")
    for module in ("streaming.task", "expectations.checks"):
        yield row("import in a new interpreter", f"`{module}`", f"{cost_of_import(module) * 1000:,.0f} ms", "")


# --- The table --------------------------------------------------------------------------------------------------


def row(*cells: str) -> str:
    """One row of the table."""
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the table."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("great-expectations", "pyspark", "pandas", "numpy"))
    checks = load_suite().checks
    print(
        f"{len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}, {versions}; "
        f"{len(checks)} expectations; medians of runs in turns; real reports without their openfda blocks, repeated\n"
    )
    print(row("what", "by", "time", "ratio"), row("---", "---", "---:", "---:"), sep="\n")
    for rows in (decode_and_check(), small_batches(), engines(), workers()):
        for line in rows:
            print(line, flush=True)


if __name__ == "__main__":
    main()
