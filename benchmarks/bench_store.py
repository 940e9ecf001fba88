"""The store alone, as the stream uses it: tasks write in two processes, then one commit, on SQLite.

The commit is the stream's own: counts of every width, candidates, judging, findings, alerts and messages. The
second half says where the time goes, by profiling the same batches in one process.
"""

from __future__ import annotations

import cProfile
import datetime as dt
import multiprocessing
import pstats
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.pool import Pool
from pathlib import Path
from statistics import median

from sqlalchemy import Engine

from benchmarks.store_reports import BATCH, GENERATION, HUB, PARTITIONS, WIDTHS, Batch, describe, make_batches
from models.spikes.rule_file import load_rules
from sql.accounting import account
from sql.connection import open_engine
from sql.migrate import upgrade
from sql.positions import Lease, take_over
from sql.staging import TaskBatch
from sql.task_write import write_task
from streaming.commit import Committer

BATCHES, WARM_UP, PROCESSES = 16, 4, 2
START = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
PER_SECOND = 4.0

_PARTS = (
    ("write", "build rows", ("staged_rows",)),
    ("write", "load them", ("load",)),
    ("write", "names", ("_add_names",)),
    ("write", "reports, drugs, reactions", ("_insert_reports", "_classify", "_insert_items")),
    ("write", "pairs", ("_move_pairs",)),
    ("write", "changes of counts", ("_insert_deltas",)),
    ("commit", "fold into counts", ("fold",)),
    ("commit", "find candidates", ("_stage", "read_staged", "_tested")),
    ("commit", "their history", ("fetch_counts",)),
    ("commit", "judging", ("evaluate", "confirm", "open_verdict", "close_verdict")),
    ("commit", "what else is known", ("fetch_background", "fetch_evidence")),
    ("commit", "findings and alerts", ("save_spikes", "_alert")),
)
_TOTALS = {"write": "write_task", "commit": "run"}

_batches: list[Batch] = []
_engines: dict[str, Engine] = {}


def open_store(url: str) -> tuple[Engine, Committer]:
    """An empty store, taken over."""
    engine = open_engine(url)
    upgrade(engine)
    lease = take_over(engine, HUB, GENERATION, dict.fromkeys(PARTITIONS, 0))
    return engine, Committer(engine, lease, WIDTHS, load_rules(None))


def write_part(url: str, lease: Lease, batch: int, part: int) -> float:
    """One task in a worker process, which has the batches from its parent. CPU seconds spent."""
    engine = _engines.setdefault(url, open_engine(url))
    task: TaskBatch = _batches[batch].tasks(lease)[part]
    started = time.process_time()
    write_task(engine, task)
    return time.process_time() - started


@dataclass(frozen=True)
class Taken:
    """Seconds of one batch; the CPU time of the writes is that of both processes."""

    write: float
    commit: float
    write_cpu: float
    commit_cpu: float


def together(url: str, pool: Pool) -> list[Taken]:
    """What every batch took, its task writes side by side."""
    engine, committer = open_store(url)
    taken = []
    for number, batch in enumerate(_batches):
        started = time.perf_counter()
        tasks = [(url, committer.lease, number, part) for part in range(len(PARTITIONS))]
        write_cpu = sum(pool.starmap(write_part, tasks, 1))
        written, cpu = time.perf_counter(), time.process_time()
        committer.run(batch.clock_ms)
        taken.append(Taken(written - started, time.perf_counter() - written, write_cpu, time.process_time() - cpu))
    counted = account(engine)
    assert (counted.stored, counted.unfolded_receipts) == (BATCH * BATCHES, 0)
    engine.dispose()
    return taken[WARM_UP:]


def profiled(url: str) -> pstats.Stats:
    """The same batches one after the other in this process, CPU time by function."""
    engine, committer = open_store(url)
    profile = cProfile.Profile(time.process_time)
    for number, batch in enumerate(_batches):
        if number == WARM_UP:
            profile.enable()
        for task in batch.tasks(committer.lease):
            write_task(engine, task)
        committer.run(batch.clock_ms)
    profile.disable()
    engine.dispose()
    return pstats.Stats(profile)


def print_parts(stats: pstats.Stats) -> None:
    """Milliseconds per batch of every part, from the cumulative times of the functions that do it."""
    spent: dict[str, float] = {}
    for (path, _, name), (_, _, _, cumulative, _) in stats.stats.items():  # type: ignore[attr-defined]
        if any(folder in path for folder in ("/sql/", "/streaming/", "/models/")):
            spent[name] = max(spent.get(name, 0.0), cumulative * 1000 / (BATCHES - WARM_UP))
    for of, total in _TOTALS.items():
        rest = spent[total]
        print(f"  {of:6} {'all of it':28} {spent[total]:6.0f} ms")
        for _, label, functions in [part for part in _PARTS if part[0] == of]:
            took = sum(spent.get(function, 0.0) for function in functions)
            rest -= took
            print(f"         {label:28} {took:6.0f} ms")
        print(f"         {'the rest, transactions':28} {rest:6.0f} ms")


def report(taken: Sequence[Taken]) -> None:
    """Print reports per second and the split."""
    both = median(t.write + t.commit for t in taken)
    print(f"{BATCH / both:,.0f} reports/s; a batch takes {both:.2f} s", end=": ")
    print(
        f"task writes {median(t.write for t in taken):.2f} s, commit {median(t.commit for t in taken):.2f} s", end="; "
    )
    print(f"CPU {median(t.write_cpu for t in taken):.2f} s and {median(t.commit_cpu for t in taken):.2f} s")


def main() -> None:
    """Print throughput and where the time goes."""
    _batches.extend(make_batches(BATCHES, start=START, per_second=PER_SECOND))
    print(describe(_batches))
    print(f"{len(WIDTHS)} window widths, SQLite, tasks in {PROCESSES} processes; medians after {WARM_UP} batches")
    with tempfile.TemporaryDirectory() as folder:
        with multiprocessing.get_context("fork").Pool(PROCESSES) as pool:
            report(together(f"sqlite:///{Path(folder) / 'together.db'}", pool))
        print("CPU time a batch in one process, profiled (which weighs most on building rows):")
        print_parts(profiled(f"sqlite:///{Path(folder) / 'profiled.db'}"))


if __name__ == "__main__":
    main()
