"""A store that has run for long: tens of thousands of reports written as ever, and copies of them in the time before.

The copies are made inside the database, so that a million reports with their windows take a minute or two.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Engine, Table, text

from benchmarks.store_reports import GENERATION, HUB, PARTITIONS, WIDTHS, Batch
from models.spikes.rule_file import load_rules
from sql.keys import RECEIPT_BITS
from sql.migrate import upgrade
from sql.positions import Lease, take_over
from sql.schema import case_pair, ingest_task, report_drug, report_reaction, safety_report
from sql.task_write import write_task
from streaming.commit import Committer

__all__ = ["fill_store"]


def fill_store(engine: Engine, recent: Sequence[Batch], copies: int, span_ms: int) -> Lease:
    """Store `recent`, which spans `span_ms`, and `copies` of it in the time before; all folded, none judged."""
    upgrade(engine)
    lease = take_over(engine, HUB, GENERATION, dict.fromkeys(PARTITIONS, 0))
    for batch in recent:
        for task in batch.tasks(lease):
            write_task(engine, task)
    if copies:
        for table in (ingest_task, safety_report, report_drug, report_reaction, case_pair):
            _multiply(engine, table, copies, span_ms)
    Committer(engine, lease, WIDTHS, load_rules(None)).run_backfill()
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("VACUUM ANALYZE"))
    return lease


def _multiply(engine: Engine, table: Table, copies: int, span_ms: int) -> None:
    """Copy every row `copies` times, each copy for a case and receipt of its own and earlier by another `span_ms`."""
    changed = {
        "receipt_id": f"t.receipt_id - n.i * {span_ms << RECEIPT_BITS}",
        "case_key": "t.case_key + n.i",
        "event_ms": f"t.event_ms - n.i * {span_ms}",
        "enqueued_ms": f"t.enqueued_ms - n.i * {span_ms}",
        "safetyreportid": "t.safetyreportid || '/' || n.i",
    }
    columns = ", ".join(c.name for c in table.columns)
    values = ", ".join(changed.get(c.name, f"t.{c.name}") for c in table.columns)
    key = ", ".join(str(i + 1) for i, c in enumerate(table.columns) if c.primary_key)
    with engine.begin() as connection:
        connection.execute(
            text(
                f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {copies}) "
                f"INSERT INTO {table.name} ({columns}) SELECT {values} FROM {table.name} t CROSS JOIN n ORDER BY {key}"
            )
        )
