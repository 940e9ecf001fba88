"""What the commits of a database have found and told: comparable between databases, so without ids and clocks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Engine, Table, select

from alerts.cloudevent import from_cloudevent
from sql.connection import READ
from sql.schema import alert, alert_case, alert_history, alert_outbox, spike

__all__ = ["findings_of"]

_WALL_CLOCK = ("found_at", "opened_at_ms", "closed_at_ms", "at", "created_ms", "sent_at")


def findings_of(engine: Engine) -> dict[str, list[Any]]:
    """Spikes, and alerts each with its history, evidence and messages."""
    with engine.connect().execution_options(**READ) as connection, connection.begin():

        def rows(table: Table, *without: str) -> list[dict[str, Any]]:
            found = connection.execute(select(table)).mappings().all()
            return [{k: v for k, v in row.items() if k not in (*_WALL_CLOCK, *without)} for row in found]

        history = _by_alert(rows(alert_history), "entry", "change", "old", "new")
        evidence = _by_alert(rows(alert_case), "case_key")
        messages = _by_alert(
            [{**row, **_told(row["body"])} for row in rows(alert_outbox, "outbox_id")], "revision", "change", "cases"
        )
        return {
            "spikes": sorted(sorted(row.items()) for row in rows(spike)),
            "alerts": sorted(
                repr(
                    (
                        sorted((k, v) for k, v in row.items() if k != "alert_id"),
                        *(of[row["alert_id"]] for of in (history, evidence, messages)),
                    )
                )
                for row in rows(alert)
            ),
        }


def _told(body: bytes) -> dict[str, Any]:
    notice = from_cloudevent(body)
    return {"change": notice.change, "cases": (notice.cases, notice.safetyreportids)}


def _by_alert(rows: Iterable[dict[str, Any]], *names: str) -> dict[str, list[tuple[Any, ...]]]:
    found: defaultdict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for row in rows:
        found[row["alert_id"]].append(tuple(row[name] for name in names))
    return defaultdict(list, {key: sorted(values) for key, values in found.items()})
