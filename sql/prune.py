"""Pruning: what reports say is forgotten after a while; that they came, and what they counted for, is not.

Of a stored report there remain its case and version, its digest (so that it is known when it comes again), its
receipt and place in the hub, its times, and how unusual the model found it. Drugs, reactions and everything about
patient and sender go. Of a quarantined report the place and the reasons remain; one that is marked for replay waits
for that, and replayed and discarded ones say nothing already. Messages that have been sent go.
Pairs, window counts, findings and alerts stay as they are, so that nothing counted changes.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Engine,
    MetaData,
    Table,
    and_,
    delete,
    exists,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.engine import Connection

from sql.clock import utc_now
from sql.column_types import timestamp
from sql.connection import READ
from sql.dialect import confirm_open, create_staging, empty, is_staged
from sql.quarantine import State
from sql.retry import persistently
from sql.schema import alert_outbox, ingest_task, quarantined_report, report_drug, report_reaction, safety_report

__all__ = ["Pruned", "prunable", "prune"]

_CHUNK = 5_000
"""Most reports or messages of one transaction, so that a running stream never waits long."""

_BEGINNING = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - columns hold naive UTC
_FORGOTTEN: dict[str, Any] = {
    "receivedate": None,
    "receiptdate": None,
    "transmissiondate": None,
    "serious": None,
    "seriousness": "",
    "age_years": None,
    "age_whole_years": None,
    "sex": None,
    "weight_kg": None,
    "qualification": None,
    "country": None,
    "sender": None,
    "company_number": None,
    "duplicate_number": None,
    "anomaly_reasons": None,
    "warnings": None,
}
"""Columns of `safety_report` that repeat what the report says, and what they are set to."""


@dataclass(frozen=True)
class Pruned:
    """How many rows were, or can be, pruned."""

    reports: int = 0
    quarantined: int = 0
    messages: int = 0

    def __add__(self, other: Pruned) -> Pruned:
        """The two together."""
        return Pruned(
            self.reports + other.reports, self.quarantined + other.quarantined, self.messages + other.messages
        )


@dataclass(frozen=True)
class _Kind:
    """Rows of one table that are pruned in the same way."""

    table: Table
    time: Column[dt.datetime]
    condition: ColumnElement[bool]
    staged: Table
    """Temporary table for the keys of one chunk, with `time` in column `at`."""
    forget: Callable[[Connection], Pruned]

    def due(self, before: dt.datetime) -> Sequence[ColumnElement[bool]]:
        return self.time < before, self.condition


def prunable(engine: Engine, before: dt.datetime) -> Pruned:
    """What `prune` would prune now."""
    with engine.connect().execution_options(**READ) as connection, connection.begin():
        counts = [
            connection.scalar(select(func.count()).select_from(kind.table).where(*kind.due(before))) or 0
            for kind in _KINDS
        ]
    return Pruned(*counts)


def prune(engine: Engine, before: dt.datetime, *, chunk: int = _CHUNK) -> Iterator[Pruned]:
    """Prune what was stored (messages: sent) before a UTC moment, oldest first, in transactions of `chunk` rows.

    Yields the totals so far after every transaction; the caller may stop there and go on another time. Reports whose
    counts are not committed yet are left for then. Raises what `sql.retry.persistently` does.
    """
    done = Pruned()
    for kind in _KINDS:
        since = _BEGINNING
        while (found := persistently(partial(_prune_chunk, engine, kind, since, before, chunk))) is not None:
            pruned, since = found
            done += pruned
            yield done


def _prune_chunk(
    engine: Engine, kind: _Kind, since: dt.datetime, before: dt.datetime, chunk: int
) -> tuple[Pruned, dt.datetime] | None:
    """Prune the oldest rows due that are not older than `since`; with the time of the last. None where none is due."""
    with engine.connect() as connection:
        create_staging(connection.execution_options(**READ), _staging)
        with connection.execution_options(**READ).begin():
            empty(connection, kind.staged)
            rows = (
                select(*(kind.table.c[c.name] for c in kind.staged.primary_key.columns), kind.time.label("at"))
                .where(*kind.due(before), kind.time >= since)
                .order_by(kind.time)
                .limit(chunk)
            )
            connection.execute(insert(kind.staged).from_select(list(rows.selected_columns.keys()), rows))
            last = connection.scalar(select(func.max(kind.staged.c.at)))
        if last is None:
            return None
        with connection.execution_options(begin_mode="IMMEDIATE").begin():
            pruned = kind.forget(connection)
            confirm_open(connection)
    return pruned, last


def _forget_reports(connection: Connection) -> Pruned:
    for items in (report_drug, report_reaction):
        connection.execute(delete(items).where(is_staged(connection, items, _stage_report)))
    result = connection.execute(
        update(safety_report)
        .where(is_staged(connection, safety_report, _stage_report), safety_report.c.pruned_at.is_(None))
        .values(**_FORGOTTEN, pruned_at=utc_now())
    )
    return Pruned(reports=result.rowcount)


def _forget_bodies(connection: Connection) -> Pruned:
    result = connection.execute(
        update(quarantined_report)
        .where(
            is_staged(connection, quarantined_report, _stage_refused), quarantined_report.c.state == State.KEPT.value
        )
        .values(body=b"", state=State.PRUNED.value)
    )
    return Pruned(quarantined=result.rowcount)


def _forget_messages(connection: Connection) -> Pruned:
    result = connection.execute(delete(alert_outbox).where(is_staged(connection, alert_outbox, _stage_message)))
    return Pruned(messages=result.rowcount)


_staging = MetaData()


def _keys_of(name: str, *columns: Column[Any]) -> Table:
    keys = [Column(c.name, c.type, primary_key=True, autoincrement=False) for c in columns]
    return Table(name, _staging, *keys, Column("at", timestamp(), nullable=False), prefixes=["TEMPORARY"])


def _folded(receipt_id: Column[int]) -> ColumnElement[bool]:
    t = ingest_task.c
    return exists().where(t.receipt_id == receipt_id, t.folded_at.is_not(None))


_stage_report = _keys_of("#prune_report", safety_report.c.receipt_id, safety_report.c.sequence)
_stage_refused = _keys_of("#prune_refused", *quarantined_report.primary_key.columns)
_stage_message = _keys_of("#prune_message", *alert_outbox.primary_key.columns)

_KINDS = (
    _Kind(
        table=safety_report,
        time=safety_report.c.stored_at,
        condition=and_(safety_report.c.pruned_at.is_(None), _folded(safety_report.c.receipt_id)),
        staged=_stage_report,
        forget=_forget_reports,
    ),
    _Kind(
        table=quarantined_report,
        time=quarantined_report.c.stored_at,
        condition=and_(quarantined_report.c.state == State.KEPT.value, _folded(quarantined_report.c.receipt_id)),
        staged=_stage_refused,
        forget=_forget_bodies,
    ),
    _Kind(
        table=alert_outbox,
        time=alert_outbox.c.sent_at,
        condition=alert_outbox.c.sent_at.is_not(None),
        staged=_stage_message,
        forget=_forget_messages,
    ),
)
"""In the order of the fields of `Pruned`."""
