"""Batches of reports as the stream hands them to the store: realistic in size, skew and event time.

5,000 real reports of FAERS have 3.1 drugs, 2.6 reactions and 3.9 suspect pairs each; generated ones about as many.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from expectations.decode import decode
from expectations.report import Report
from generator.population import Population
from generator.reports import ReportFactory
from sql.positions import Lease, Source
from sql.staging import Accepted, TaskBatch

__all__ = ["BATCH", "GENERATION", "HUB", "PARTITIONS", "WIDTHS", "Batch", "describe", "make_batches"]

BATCH = 5_000
HUB, GENERATION = "bench/reports", 1
PARTITIONS = ("0", "1", "2", "3")
WIDTHS = (900_000, 3_600_000, 21_600_000, 86_400_000, 604_800_000)


@dataclass(frozen=True)
class Batch:
    """One micro-batch: a run of events per partition, and the clock when all of them are stored."""

    parts: tuple[tuple[Accepted, ...], ...]
    clock_ms: int

    def tasks(self, lease: Lease) -> list[TaskBatch]:
        """The tasks that write it, one per partition."""
        return [
            TaskBatch(Source(lease.hub, GENERATION, partition), lease.epoch, part, None, "bench")
            for partition, part in zip(PARTITIONS, self.parts, strict=True)
        ]


def make_batches(count: int, *, start: dt.datetime, per_second: float, seed: int = 1) -> list[Batch]:
    """`count` batches of reports that arrive evenly, `per_second` of them, from `start` on; all judged good."""
    factory = ReportFactory(Population(), seed)
    times = [start + dt.timedelta(seconds=i / per_second) for i in range(count * BATCH)]
    bodies = [factory.body(at) for at in times]
    reports = [report for report in map(decode, bodies) if isinstance(report, Report)]
    assert len(reports) == len(bodies)
    events = [
        Accepted(i // len(PARTITIONS), at_ms, at_ms, body, report)
        for i, (at, body, report) in enumerate(zip(times, bodies, reports, strict=True))
        for at_ms in [int(at.timestamp() * 1000)]
    ]
    return [
        Batch(
            tuple(tuple(batch[partition :: len(PARTITIONS)]) for partition in range(len(PARTITIONS))),
            batch[-1].event_ms,
        )
        for batch in (events[first : first + BATCH] for first in range(0, len(events), BATCH))
    ]


def describe(batches: Sequence[Batch]) -> str:
    """What the reports are like."""
    reports = [event.report for batch in batches for part in batch.parts for event in part]
    drugs, reactions, pairs = (
        sum(sizes) / len(reports)
        for sizes in zip(*((len(r.drugs), len(r.reactions), len(r.pairs())) for r in reports), strict=True)
    )
    rows = 1 + drugs + reactions + 2 * pairs
    return (
        f"{len(reports):,} reports in batches of {BATCH:,} over {len(PARTITIONS)} partitions; each has "
        f"{drugs:.2f} drugs, {reactions:.2f} reactions and {pairs:.2f} suspect pairs: "
        f"{rows:.1f} rows with the changes of counts"
    )
