"""Backfill: reports from files build the baseline, through the same stage and store, without Spark.

A file has a position of its own (its hub is the digest of its content), so running it twice stores nothing twice.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from expectations.report_file import read_bodies
from models.scorer import ModelBundle
from sql.clock import now_ms
from sql.positions import Lease, Source, release, take_over
from sql.positions import positions as stored_positions
from sql.task_write import TaskResult
from streaming.commit import Committer
from streaming.event_time import EventTime
from streaming.stage import Event
from streaming.task import TaskPlan, judge_and_write

__all__ = ["BackfillSettings", "backfill"]

_CHUNK = 5_000
"""Reports per transaction."""


@dataclass(frozen=True)
class BackfillSettings:
    """What a backfill shares with the stream: how reports are judged and counted."""

    plan: TaskPlan
    committer: Callable[[Lease], Committer]
    model: ModelBundle | None


def backfill(
    engine: Engine,
    path: Path,
    settings: BackfillSettings,
    stop: threading.Event,
    on_chunk: Callable[[TaskResult], None],
) -> TaskResult:
    """Store the reports of one file and count them into the windows; nothing is judged or alerted.

    Interrupted by `stop`, it goes on where it was at the next call with the same file.
    """
    hub = f"file:{_digest(path)}"
    lease = take_over(engine, hub, 0, {"0": 0})
    committer = settings.committer(lease)
    plan = _with(settings.plan, hub, lease)
    total = TaskResult(0, 0, 0, 0)
    try:
        done = stored_positions(engine, hub, 0)["0"]
        chunk: list[Event] = []
        for sequence, body in enumerate(read_bodies(path)):
            if sequence < done:
                continue
            chunk.append(Event(sequence, now_ms(), body))
            if len(chunk) == _CHUNK:
                total = _store(engine, chunk, plan, settings.model, committer, on_chunk, total)
                chunk = []
                if stop.is_set():
                    return total
        if chunk:
            total = _store(engine, chunk, plan, settings.model, committer, on_chunk, total)
        else:
            committer.run_backfill()
        return total
    finally:
        release(engine, lease)


def _store(
    engine: Engine,
    chunk: list[Event],
    plan: TaskPlan,
    model: ModelBundle | None,
    committer: Committer,
    on_chunk: Callable[[TaskResult], None],
    total: TaskResult,
) -> TaskResult:
    result = judge_and_write(chunk, Source(plan.hub, plan.generation, "0"), plan, model, engine)
    committer.run_backfill()
    on_chunk(result)
    return TaskResult(*(a + b for a, b in zip(vars(total).values(), vars(result).values(), strict=True)))


def _with(plan: TaskPlan, hub: str, lease: Lease) -> TaskPlan:
    return TaskPlan(plan.database_url, hub, 0, lease.epoch, plan.suite, EventTime.REPORTED)


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as source:
        while block := source.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
