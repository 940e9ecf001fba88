"""The store alone: task writes and commits on SQLite, against plain `executemany` of the same rows in the same run.

The baseline keeps no promise (no position, no duplicates, no windows): it is what writing the rows costs at least.
"""

from __future__ import annotations

import datetime as dt
import tempfile
import time
from pathlib import Path

from sqlalchemy import Table, insert

from expectations.decode import decode
from expectations.report import Report
from generator.population import Population
from generator.reports import ReportFactory
from sql.accounting import account
from sql.commit import commit
from sql.connection import open_engine
from sql.migrate import upgrade
from sql.keys import random_key
from sql.positions import Source, take_over
from sql.schema import case_pair, report_drug, report_reaction, safety_report
from sql.staging import Accepted, TaskBatch, staged_rows
from sql.staging_tables import stage_drug, stage_pair, stage_reaction, stage_report
from sql.task_write import write_task

BATCH, BATCHES = 5_000, 6
WIDTHS = (900_000, 3_600_000, 86_400_000)
START = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)


def batches() -> list[list[Accepted]]:
    """Generated reports, four a second, judged good."""
    factory = ReportFactory(Population(), 1)
    made: list[list[Accepted]] = []
    for number in range(BATCHES):
        events = []
        for i in range(BATCH):
            at = START + dt.timedelta(seconds=(number * BATCH + i) / 4)
            body = factory.body(at)
            report = decode(body)
            assert isinstance(report, Report)
            at_ms = int(at.timestamp() * 1000)
            events.append(Accepted(number * BATCH + i, at_ms, at_ms, body, report))
        made.append(events)
    return made


def ours(folder: Path, made: list[list[Accepted]]) -> tuple[float, float]:
    """Seconds in task writes and in commits."""
    engine = open_engine(f"sqlite:///{folder / 'ours.db'}")
    upgrade(engine)
    lease = take_over(engine, "bench/reports", 1, {"0": 0})
    writing = committing = 0.0
    for events in made:
        started = time.perf_counter()
        write_task(engine, TaskBatch(Source(lease.hub, 1, "0"), lease.epoch, events, None, "bench"))
        writing += time.perf_counter() - started
        started = time.perf_counter()
        with commit(engine, lease) as tx:
            tx.fold(WIDTHS)
            closing = tx.close_windows(WIDTHS, events[-1].event_ms)
            tx.candidates(WIDTHS, closing, min_cases=5, baseline_windows=28)
        committing += time.perf_counter() - started
    assert account(engine).stored == BATCH * BATCHES
    engine.dispose()
    return writing, committing


def baseline(folder: Path, made: list[list[Accepted]]) -> float:
    """Seconds for plain inserts of reports, drugs, reactions and pairs, one transaction a batch."""
    engine = open_engine(f"sqlite:///{folder / 'plain.db'}")
    upgrade(engine)
    lease = take_over(engine, "bench/reports", 1, {"0": 0})
    spent = 0.0
    for events in made:
        started = time.perf_counter()
        staged = staged_rows(TaskBatch(Source(lease.hub, 1, "0"), lease.epoch, events, None, "bench"), ())
        reports = {r["sequence"]: r for r in staged[stage_report]}
        same = {"receipt_id": random_key(), "suite_version": "bench", "stored_at": START.replace(tzinfo=None)}
        plain: list[tuple[Table, list[dict[str, object]]]] = [
            (safety_report, [{**r, **same} for r in reports.values()]),
            (report_drug, [{**d, **_key(reports[d["sequence"]])} for d in staged[stage_drug]]),
            (report_reaction, [{**d, **_key(reports[d["sequence"]])} for d in staged[stage_reaction]]),
            (
                case_pair,
                [
                    {**p, "case_key": r["case_key"], "event_ms": r["event_ms"], "moved_by": 1}
                    for p in staged[stage_pair]
                    for r in [reports[p["sequence"]]]
                ],
            ),
        ]
        with engine.begin() as connection:
            for table, rows in plain:
                names = {c.name for c in table.columns}
                connection.execute(insert(table), [{k: v for k, v in row.items() if k in names} for row in rows])
        spent += time.perf_counter() - started
    engine.dispose()
    return spent


def _key(report: dict[str, object]) -> dict[str, object]:
    return {"case_key": report["case_key"], "version": report["version"]}


def main() -> None:
    """Print reports per second of both, and where our time goes."""
    made = batches()
    total = BATCH * BATCHES
    with tempfile.TemporaryDirectory() as folder:
        plain = baseline(Path(folder), made)
        writing, committing = ours(Path(folder), made)
    spent = writing + committing
    print(f"{total:,} generated reports in batches of {BATCH:,}, {len(WIDTHS)} window widths, SQLite, one process")
    print(f"plain executemany       {total / plain:8,.0f} reports/s")
    print(f"task writes and commits {total / spent:8,.0f} reports/s   {spent / plain:.2f} times the baseline's time")
    print(f"  of which task writes {writing / spent:.0%}, commits {committing / spent:.0%}")


if __name__ == "__main__":
    main()
