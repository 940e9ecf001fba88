"""What happens to one micro-batch: judged and written on the executors, then committed on the driver."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pyarrow as pa
from pyspark import SparkContext
from pyspark.core.broadcast import Broadcast
from pyspark.sql import DataFrame

from models.scorer import ModelBundle
from streaming.clock import HubClock
from streaming.commit import CommitResult, Committer
from streaming.suites import CurrentSuites
from streaming.task import RESULT_COLUMNS, TaskPlan, run_task
from streaming.versions import ChampionModel

__all__ = ["BatchHandler", "BatchReport"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BatchReport:
    """One finished batch, for the progress line."""

    received: int
    stored: int
    quarantined: int
    duplicates: int
    seconds: float
    commit: CommitResult


class BatchHandler:
    """The `foreachBatch` function. Safe to be called again with the same batch: the store knows what it has."""

    def __init__(
        self,
        plan: TaskPlan,
        suites: CurrentSuites,
        model: ChampionModel,
        committer: Committer,
        clock: HubClock,
        driver_lock: threading.Lock,
        on_batch: Callable[[BatchReport], None],
    ) -> None:
        self._plan = plan
        self._suites = suites
        self._model = model
        self._committer = committer
        self._clock = clock
        self._lock = driver_lock
        self._on_batch = on_batch
        self._shipped: Broadcast[ModelBundle | None] | None = None

    def __call__(self, batch: DataFrame, _batch_id: int) -> None:
        """Run the batch. The driver lock is held from its first task to its commit, so ticks stay between batches."""
        started = time.monotonic()
        with self._lock:
            rows = batch.mapInArrow(self._task(batch), RESULT_COLUMNS).collect()
            result = self._committer.run(self._clock.read())
        self._on_batch(
            BatchReport(
                received=sum(row["received"] for row in rows),
                stored=sum(row["stored"] for row in rows),
                quarantined=sum(row["quarantined"] for row in rows),
                duplicates=sum(row["duplicates"] for row in rows),
                seconds=time.monotonic() - started,
                commit=result,
            )
        )

    def _ship(self, context: SparkContext, model: ModelBundle | None) -> Broadcast[ModelBundle | None]:
        """Broadcast a model once per version: each broadcast leaves a file behind until it is destroyed."""
        if self._shipped is None or self._shipped.value != model:
            if self._shipped is not None:
                self._shipped.destroy()
            self._shipped = context.broadcast(model)
        return self._shipped

    def _task(self, batch: DataFrame) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
        plan = replace(self._plan, suite=self._suites.report())
        shipped = self._ship(batch.sparkSession.sparkContext, self._model.resolve())

        def task(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            return run_task(batches, plan, shipped.value)

        return task
