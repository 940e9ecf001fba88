"""What became of a database, against the log that was read into it and against an undisturbed run's."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, func, select, text
from store_findings import findings_of
from store_model import Content, check_store, content_of, stored_content
from stream_log import HUB, StreamBatch, events_of

from sql.accounting import account
from sql.connection import READ, open_engine
from sql.positions import positions
from sql.schema import alert_outbox, hub_position, reaction_window, window_clock, window_total

__all__ = ["Balance", "check_so_far", "outcome_of", "relayed_all"]


@dataclass(frozen=True)
class Balance:
    """Reports of the log that are missing from the database, and rows of it that nothing in the log accounts for."""

    lost: int
    doubled: int
    unaccounted: int


def outcome_of(url: str, batches: Sequence[StreamBatch]) -> tuple[Balance, dict[str, Any]]:
    """The balance at the end of a log, and the tables as they can be compared with another run's."""
    engine = open_engine(url)
    try:
        found = stored_content(engine)
        wanted = content_of(events_of(batches), found.reports)
        missing, excess = _differences(wanted, found)
        totals = account(engine)
        tables = {
            "content": found,
            "findings": findings_of(engine),
            **{table.name: _rows(engine, select(table)) for table in (reaction_window, window_total, window_clock)},
            "positions": _rows(engine, select(hub_position.c.partition_id, hub_position.c.next_sequence)),
            "unfolded": totals.unfolded_receipts,
        }
        return Balance(missing, excess, totals.unaccounted), tables
    finally:
        engine.dispose()


def check_so_far(url: str, batches: Sequence[StreamBatch]) -> None:
    """Assert that the database holds what its own positions say, nothing less and nothing more."""
    engine = open_engine(url)
    try:
        _wait_for_other_sessions(engine)
        at = positions(engine, HUB, 1)
        read = {source: log[: at.get(source.partition_id, 0)] for source, log in events_of(batches).items()}
        check_store(engine, read)
    finally:
        engine.dispose()


def relayed_all(url: str, path: Path) -> bool:
    """Whether every alert message of the database has reached the file; repeats are allowed."""
    engine = open_engine(url)
    try:
        messages = {(row[0], row[1].decode()) for row in _rows(engine, _MESSAGES)}
    finally:
        engine.dispose()
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return messages == {(line["id"], line["body"]) for line in map(json.loads, lines)}


_MESSAGES = select(alert_outbox.c.outbox_id, alert_outbox.c.body)
_OTHERS = text(
    "SELECT COUNT(*) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
)


def _differences(wanted: Content, found: Content) -> tuple[int, int]:
    """How many facts are missing, and how many are too many."""
    counted = [
        Counter(
            [
                *c.reports.items(),
                *c.drugs,
                *(("reaction", *r) for r in c.reactions),
                *c.pairs.items(),
                *c.quarantined,
                *(("duplicate", n) for n in range(c.duplicates)),
            ]
        )
        for c in (wanted, found)
    ]
    return (counted[0] - counted[1]).total(), (counted[1] - counted[0]).total()


def _wait_for_other_sessions(engine: Engine) -> None:
    """The server may still be at a killed client's last statement."""
    if engine.dialect.name != "postgresql":
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for _ in range(3_000):
            if not connection.scalar(_OTHERS):
                return
            connection.execute(select(func.pg_sleep(0.01)))
    raise AssertionError("a killed client's session does not end")


def _rows(engine: Engine, query: Any) -> list[tuple[Any, ...]]:
    with engine.connect().execution_options(**READ) as connection, connection.begin():
        return sorted(tuple(row) for row in connection.execute(query))
