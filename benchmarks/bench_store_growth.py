"""Does a batch cost more when much is stored? The same batches on 50,000 and on a million reports, SQLite.

Both stores take every batch, one after the other, so that a machine that gets slower or faster meanwhile does so for
both.
"""

from __future__ import annotations

import datetime as dt
import gc
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks.store_history import fill_store
from benchmarks.store_reports import BATCH, WIDTHS, Batch, describe, make_batches
from models.spikes.rule_file import load_rules
from sql.connection import open_engine
from sql.task_write import write_task
from streaming.commit import Committer

START = dt.datetime(2026, 3, 2, tzinfo=dt.UTC)
PER_SECOND = 4.0
STORED, COPIES, BATCHES, WARM_UP = 10, (0, 19), 16, 4


@dataclass
class Store:
    """A filled store, and what every batch since took: seconds, CPU seconds of task writes and of the commit."""

    committer: Committer
    stored: int
    taken: list[tuple[float, float, float]] = field(default_factory=list)

    def take(self, batch: Batch) -> None:
        """Store and judge one batch."""
        wall, started = time.perf_counter(), time.process_time()
        for task in batch.tasks(self.committer.lease):
            write_task(self.committer.engine, task)
        written = time.process_time()
        self.committer.run(batch.clock_ms)
        self.taken.append((time.perf_counter() - wall, written - started, time.process_time() - written))


def fill(url: str, stored: Sequence[Batch], copies: int) -> Store:
    """A store that holds `stored` and `copies` of it."""
    engine = open_engine(url)
    lease = fill_store(engine, stored, copies, int(len(stored) * BATCH / PER_SECOND * 1000))
    return Store(Committer(engine, lease, WIDTHS, load_rules(None)), len(stored) * BATCH * (copies + 1))


def main() -> None:
    """Print medians of both and their ratio."""
    made = make_batches(STORED + BATCHES, start=START, per_second=PER_SECOND)
    print(describe(made[STORED:]))
    with tempfile.TemporaryDirectory() as folder:
        stores = [fill(f"sqlite:///{Path(folder) / f'{copies}.db'}", made[:STORED], copies) for copies in COPIES]
        gc.freeze()  # else Python looks through the million objects of the batches ahead in the middle of a commit
        for batch in made[STORED:]:
            for store in stores:
                store.take(batch)
        medians = []
        for store in stores:
            wall, write, commit = (median(column) for column in zip(*store.taken[WARM_UP:], strict=True))
            medians.append((wall, write + commit))
            print(
                f"{store.stored:>9,} reports stored: a batch takes {wall:.2f} s, "
                f"{write:.2f} s CPU for task writes and {commit:.2f} s for the commit"
            )
            store.committer.engine.dispose()
    (wall, cpu), (wall_then, cpu_then) = medians
    print(f"{wall_then / wall:.2f} times as long, {cpu_then / cpu:.2f} times the CPU time")


if __name__ == "__main__":
    main()
