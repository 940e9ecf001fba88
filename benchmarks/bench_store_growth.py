"""Does a batch cost more when much is stored? The same batches on 50,000 and on a million reports, SQLite."""

from __future__ import annotations

import datetime as dt
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks.store_history import fill_store
from benchmarks.store_reports import BATCH, WIDTHS, Batch, describe, make_batches
from models.spikes import SpikeRules
from sql.connection import open_engine
from sql.task_write import write_task
from streaming.commit import Committer

START = dt.datetime(2026, 3, 2, tzinfo=dt.UTC)
PER_SECOND = 4.0
STORED, COPIES, BATCHES, WARM_UP = 10, 19, 10, 2


def spent(url: str, stored: Sequence[Batch], copies: int, batches: Sequence[Batch]) -> list[list[float]]:
    """Per batch: wall seconds, CPU seconds of its task writes and of its commit, after `copies` of `stored`."""
    engine = open_engine(url)
    lease = fill_store(engine, stored, copies, int(len(stored) * BATCH / PER_SECOND * 1000))
    committer = Committer(engine, lease, WIDTHS, SpikeRules())
    taken = []
    for batch in batches:
        wall, started = time.perf_counter(), time.process_time()
        for task in batch.tasks(lease):
            write_task(engine, task)
        written = time.process_time()
        committer.run(batch.clock_ms)
        taken.append([time.perf_counter() - wall, written - started, time.process_time() - written])
    engine.dispose()
    return taken[WARM_UP:]


def main() -> None:
    """Print medians of both and their ratio."""
    made = make_batches(STORED + BATCHES, start=START, per_second=PER_SECOND)
    stored, batches = made[:STORED], made[STORED:]
    print(describe(batches))
    medians = []
    with tempfile.TemporaryDirectory() as folder:
        for copies in (0, COPIES):
            url = f"sqlite:///{Path(folder) / f'{copies}.db'}"
            wall, write, commit = (median(column) for column in zip(*spent(url, stored, copies, batches), strict=True))
            medians.append((wall, write + commit))
            print(
                f"{len(stored) * BATCH * (copies + 1):>9,} reports stored: a batch takes {wall:.2f} s, "
                f"{write:.2f} s CPU for task writes and {commit:.2f} s for the commit"
            )
    (wall, cpu), (wall_then, cpu_then) = medians
    print(f"{wall_then / wall:.2f} times as long, {cpu_then / cpu:.2f} times the CPU time")


if __name__ == "__main__":
    main()
