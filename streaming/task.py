"""One Spark task: the events of one partition, judged and written in one transaction. Runs on the executors.

What is expensive to build (suite, model, database engine) is built once per worker process and version.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

import pyarrow as pa
from sqlalchemy import Engine

from expectations.checks import Checker
from expectations.suite import LoadedSuite
from models.scorer import ModelBundle, Scorer
from sql.connection import open_engine
from sql.positions import Source
from sql.staging import TaskBatch
from sql.task_write import TaskResult, write_task
from streaming.event_time import EventTime
from streaming.stage import Event, Judges, judge

__all__ = ["RESULT_COLUMNS", "TaskPlan", "judge_and_write", "read_events", "run_task"]

RESULT_COLUMNS = "partition string, received long, stored long, quarantined long, duplicates long"
"""What a task returns, as Spark DDL: one row."""

_RESULT_SCHEMA = pa.schema(
    [("partition", pa.string()), *((name, pa.int64()) for name in ("received", "stored", "quarantined", "duplicates"))]
)


@dataclass(frozen=True)
class TaskPlan:
    """What the driver resolved once for all tasks of a batch."""

    database_url: str = field(repr=False)
    hub: str
    generation: int
    epoch: int
    suite: LoadedSuite
    event_time: EventTime


def run_task(batches: Iterator[pa.RecordBatch], plan: TaskPlan, model: ModelBundle | None) -> Iterator[pa.RecordBatch]:
    """Judge and write the rows of one hub partition (source columns in, `RESULT_COLUMNS` out)."""
    received = [batch for batch in batches if batch.num_rows]
    if not received:
        return
    table = pa.Table.from_batches(received)
    partition_id = table.column("partition")[0].as_py()
    result = judge_and_write(
        read_events(table), Source(plan.hub, plan.generation, partition_id), plan, model, _engine(plan.database_url)
    )
    row = [partition_id, result.received, result.stored, result.quarantined, result.duplicates]
    yield pa.RecordBatch.from_arrays([pa.array([value]) for value in row], schema=_RESULT_SCHEMA)


def judge_and_write(
    events: list[Event], source: Source, plan: TaskPlan, model: ModelBundle | None, engine: Engine
) -> TaskResult:
    """The same without Arrow or Spark: what a backfill runs in its own process."""
    judges = Judges(_checker(plan.suite), _scorer(model) if model is not None else None, plan.event_time)
    batch = TaskBatch(
        source=source,
        epoch=plan.epoch,
        events=judge(events, judges),
        model_version=model.version if model is not None else None,
        suite_version=plan.suite.version,
    )
    return write_task(engine, batch)


def read_events(table: pa.Table) -> list[Event]:
    """Events from the source's columns, in order of their sequence numbers."""
    columns = zip(
        table.column("sequenceNumber").to_pylist(),
        table.column("enqueuedTime").cast(pa.timestamp("ms", tz="UTC"), safe=False).cast(pa.int64()).to_pylist(),
        table.column("body").to_pylist(),
        strict=True,
    )
    return sorted((Event(*values) for values in columns), key=lambda event: event.sequence)


@lru_cache(maxsize=4)
def _checker(suite: LoadedSuite) -> Checker:
    return Checker(suite)


@lru_cache(maxsize=2)
def _scorer(model: ModelBundle) -> Scorer:
    return Scorer(model)


@lru_cache(maxsize=2)
def _engine(url: str) -> Engine:
    return open_engine(url)
