"""Task writes on a real PostgreSQL: staging against psycopg's pipelined `executemany` of the same rows.

The baseline writes the same reports, drugs, reactions, names and pairs to the same tables, one transaction a task,
position and receipt included. It leaves out what ours does besides: telling duplicates from conflicts and the changes
of counts.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import psycopg
from postgresql import PostgresServer
from sqlalchemy import Table

from benchmarks.store_reports import BATCH, GENERATION, HUB, PARTITIONS, Batch, describe, make_batches
from sql.clock import now_ms, utc_now
from sql.connection import open_engine
from sql.keys import receipt_key
from sql.migrate import upgrade
from sql.positions import Lease, take_over
from sql.schema import case_pair, drug, reaction, report_drug, report_reaction, safety_report
from sql.staging import TaskBatch, staged_rows
from sql.staging_tables import (
    stage_drug,
    stage_drug_name,
    stage_pair,
    stage_reaction,
    stage_reaction_name,
    stage_report,
)
from sql.task_write import write_task

START = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
BATCHES, WARM_UP = 8, 2

_NOTHING = "DO NOTHING"
_LOWER = (
    "(case_key, drug_id, reaction_id) DO UPDATE SET prev_ms = case_pair.event_ms, event_ms = excluded.event_ms, "
    "moved_by = excluded.moved_by WHERE excluded.event_ms < case_pair.event_ms"
)
_WRITTEN = (
    (drug, stage_drug_name, _NOTHING),
    (reaction, stage_reaction_name, _NOTHING),
    (safety_report, stage_report, _NOTHING),
    (report_drug, stage_drug, _NOTHING),
    (report_reaction, stage_reaction, _NOTHING),
    (case_pair, stage_pair, _LOWER),
)


def plain_write(connection: psycopg.Connection[Any], task: TaskBatch) -> None:
    """The baseline: one `executemany` per table, rows sorted by key as they come from the same builder."""
    staged = staged_rows(task, ())
    reports = [_named(stage_report, row) for row in staged[stage_report]]
    of_task = {
        "receipt_id": receipt_key(now_ms()),
        "model_version": task.model_version,
        "suite_version": task.suite_version,
        "stored_at": utc_now(),
    }
    of_report = {
        report["sequence"]: {
            **{name: report[name] for name in ("case_key", "version", "event_ms")},
            "moved_by": of_task["receipt_id"],
            "prev_ms": None,
        }
        for report in reports
    }
    with connection.transaction(), connection.cursor() as cursor:
        source = task.source
        cursor.execute(
            "UPDATE hub_position SET next_sequence = %s, enqueued_ms = %s WHERE hub = %s AND generation = %s "
            "AND partition_id = %s AND epoch = %s AND next_sequence = %s",
            (
                task.last + 1,
                task.events[-1].enqueued_ms,
                source.hub,
                source.generation,
                source.partition_id,
                task.epoch,
                task.first,
            ),
        )
        for table, stage, conflict in _WRITTEN:
            rows = reports if stage is stage_report else [_named(stage, row) for row in staged[stage]]
            whole = [{**of_report.get(row.get("sequence"), {}), **of_task, **row} for row in rows]
            names = [column.name for column in table.columns]
            whole.sort(key=lambda row, table=table: [row[c.name] for c in table.primary_key.columns])
            places = ", ".join(["%s"] * len(names))
            cursor.executemany(
                f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({places}) ON CONFLICT {conflict}",
                [[row.get(name) for name in names] for row in whole],
            )
        count = len(task.events)
        cursor.execute(
            "INSERT INTO ingest_task (receipt_id, hub, generation, partition_id, first_sequence, last_sequence, "
            "stored, quarantined, duplicates, epoch, suite_version, written_at) "
            "VALUES (%s, %s, %s, %s, %s, %s, %s, 0, 0, %s, %s, %s)",
            (
                of_task["receipt_id"],
                source.hub,
                source.generation,
                source.partition_id,
                task.first,
                task.last,
                count,
                task.epoch,
                task.suite_version,
                of_task["stored_at"],
            ),
        )


def seconds(batches: Sequence[Batch], lease: Lease, write: Callable[[TaskBatch], object]) -> float:
    """Median seconds a batch, its tasks one after the other."""
    taken = []
    for batch in batches:
        started = time.perf_counter()
        for task in batch.tasks(lease):
            write(task)
        taken.append(time.perf_counter() - started)
    return median(taken[WARM_UP:])


def main() -> None:
    """Print both and the ratio."""
    batches = make_batches(BATCHES, start=START, per_second=4.0)
    print(describe(batches))
    server = PostgresServer()
    try:
        with server.database() as ours, server.database() as plain:
            engines = [open_engine(server.url(name)) for name in (ours, plain)]
            leases = []
            for engine in engines:
                upgrade(engine)
                leases.append(take_over(engine, HUB, GENERATION, dict.fromkeys(PARTITIONS, 0)))
            staged = seconds(batches, leases[0], lambda task: write_task(engines[0], task))
            with psycopg.connect(server.url(plain), autocommit=True) as connection:
                pipelined = seconds(batches, leases[1], lambda task: plain_write(connection, task))
            for name in (safety_report, report_drug, report_reaction, case_pair):
                assert _count(engines[0], name) == _count(engines[1], name)
            for engine in engines:
                engine.dispose()
    finally:
        server.close()
    print(f"psycopg executemany  {BATCH / pipelined:8,.0f} reports/s")
    print(f"write_task           {BATCH / staged:8,.0f} reports/s, {pipelined / staged:.2f} times as many")


def _named(table: Table, row: Sequence[Any]) -> dict[str, Any]:
    return dict(zip((column.name for column in table.columns), row, strict=True))


def _count(engine: Any, table: Table) -> int:
    with engine.connect() as connection:
        return int(connection.exec_driver_sql(f"SELECT COUNT(*) FROM {table.name}").scalar())


if __name__ == "__main__":
    main()
