"""Commit: one transaction on the driver in which receipts become counts, findings and alerts.

    with commit(engine, lease) as tx:      # 1. beat: the lease row is held to the end
        tx.fold(widths)                    # 2. unfolded receipts → counts of every width
        tx.candidates(...)                 # 3. touched and closing windows with their history
        tx.save_spikes(...)                # 4. findings
        tx.save_alerts(...)                # 5. alerts; record_changes: evidence, history, outbox
                                           # 6. receipts marked folded, beat again, commit

The ids of unfolded receipts are read once, into a temporary table, and everything after joins only that: asked
twice, a task could commit in between and its deltas would be lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Column, Engine, delete, func, insert, select, update
from sqlalchemy.engine import Connection, RowMapping

from models.spikes.background import Background
from models.spikes.disproportionality import Evidence
from models.spikes.settings import SpikeRules
from sql.background import fetch_background
from sql.candidates import Candidates, ClosingSpan, fetch_candidates
from sql.clock import utc_now
from sql.connection import READ
from sql.dialect import confirm_open, create_staging, empty, replace_rows
from sql.evidence import FoundSpan, fetch_evidence
from sql.positions import Lease, beat
from sql.schema import (
    alert,
    alert_case,
    alert_history,
    alert_outbox,
    case_pair,
    drug,
    hub_position,
    ingest_task,
    reaction,
    safety_report,
    silence,
    spike,
    window_clock,
    window_delta,
    window_total,
)
from sql.windows import build_width, fold_deltas, stage_receipt, staging, window_start

__all__ = ["CommitTransaction", "Folded", "SpikeRow", "ToldChange", "commit"]


T = TypeVar("T", int, str)
V = TypeVar("V", int, str)

_MOST_PARAMETERS = 1_000
"""Values asked for in one statement; SQL Server takes 2,100 parameters at most."""

_STAGED = select(stage_receipt.c.receipt_id)
"""The receipts this commit folds."""


@dataclass(frozen=True)
class Folded:
    """What a fold brought in."""

    receipts: int
    received: int
    stored: int
    quarantined: int
    duplicates: int


@dataclass(frozen=True)
class SpikeRow:
    """A finding as it is kept: the window's cases, and what those `observed` in `windows` windows are held against."""

    width_ms: int
    drug_id: int
    reaction_id: int
    window_start_ms: int
    cases: int
    windows: int
    observed: int
    expected: float
    spread: float
    z: float
    p: float
    stage: str
    rules: str
    rules_version: str
    evidence: Evidence


@dataclass(frozen=True)
class ToldChange:
    """A change of an alert that people hear of: its evidence (case keys), history entry and message."""

    outbox_id: str
    alert_id: str
    revision: int
    change: str
    who: str
    old: str | None
    new: str
    cases: Sequence[int]
    body: bytes = field(repr=False)
    created_ms: int


@contextmanager
def commit(engine: Engine, lease: Lease) -> Iterator[CommitTransaction]:
    """A commit transaction under `lease`; raises `FencedError` at its start or end when the lease is lost."""
    with engine.connect() as connection:
        create_staging(connection.execution_options(**READ), staging)
        with connection.execution_options(begin_mode="IMMEDIATE").begin():
            beat(connection, lease)
            transaction = CommitTransaction(connection, lease)
            yield transaction
            transaction.finish()
            beat(connection, lease)
            confirm_open(connection)


class CommitTransaction:
    """The steps of one commit, each set-based. Use through `commit`."""

    def __init__(self, connection: Connection, lease: Lease) -> None:
        self._connection = connection
        self._lease = lease

    def fold(self, widths_ms: Sequence[int]) -> Folded:
        """Add the counts of every receipt of this hub that is not folded yet, and begin to keep `widths_ms`.

        Widths kept before are counted on, whether or not they are asked for now: another command may use them.
        """
        unfolded = (
            select(ingest_task.c.receipt_id)
            .where(ingest_task.c.hub == self._lease.hub, ingest_task.c.folded_at.is_(None))
            .order_by(ingest_task.c.receipt_id)
        )
        empty(self._connection, stage_receipt)
        self._connection.execute(insert(stage_receipt).from_select(["receipt_id"], unfolded))
        for width_ms in widths_ms:
            self._keep_width(width_ms)
        kept = self._connection.scalars(select(window_clock.c.width_ms).order_by(window_clock.c.width_ms)).all()
        fold_deltas(self._connection, kept)
        t = ingest_task.c
        row = self._connection.execute(
            select(
                func.count(),
                func.coalesce(func.sum(t.stored + t.quarantined + t.duplicates), 0),
                func.coalesce(func.sum(t.stored), 0),
                func.coalesce(func.sum(t.quarantined), 0),
                func.coalesce(func.sum(t.duplicates), 0),
            ).where(t.receipt_id.in_(_STAGED))
        ).one()
        return Folded(*(int(value) for value in row))

    def last_event_ms(self) -> int | None:
        """Largest event time stored for this lease's hub; None before the first event."""
        p = hub_position.c
        last: int | None = self._connection.scalar(select(func.max(p.event_ms)).where(p.hub == self._lease.hub))
        return last

    def close_windows(self, widths_ms: Sequence[int], clock_ms: int) -> dict[int, ClosingSpan]:
        """Move the close of every width up to `clock_ms`; what closes thereby, per width."""
        spans = {}
        for width_ms in widths_ms:
            until = window_start(clock_ms, width_ms)
            after = self.closed_until_ms(width_ms)
            if after is not None and until > after:
                spans[width_ms] = ClosingSpan(width_ms, after, until)
                self._connection.execute(
                    update(window_clock).where(window_clock.c.width_ms == width_ms).values(closed_until_ms=until)
                )
        return spans

    def closed_until_ms(self, width_ms: int) -> int | None:
        """Up to where the windows of a width are closed; None before its first report."""
        until: int | None = self._connection.scalar(
            select(window_clock.c.closed_until_ms).where(window_clock.c.width_ms == width_ms)
        )
        return until

    def candidates(self, rules: Mapping[int, SpikeRules], closing: Mapping[int, ClosingSpan]) -> list[Candidates]:
        """Touched and closing windows that the rules of their width could find, with the history these need."""
        return fetch_candidates(self._connection, rules, closing)

    def background(self, candidates: Candidates, widest_ms: int, windows: int) -> Background:
        """What is known besides of candidates; of a long past, that of so many windows of the widest width."""
        return fetch_background(self._connection, candidates, widest_ms, windows)

    def evidence(self, spans: Sequence[FoundSpan]) -> list[Evidence]:
        """What is known of pairs and of their cases in a span of time, in the order given."""
        return fetch_evidence(self._connection, spans)

    def save_spikes(self, rows: Sequence[SpikeRow]) -> None:
        """Keep findings; one found again gets its newest numbers but keeps when it was found. None is withdrawn."""
        at = utc_now()
        replace_rows(
            self._connection, spike, [{**_columns(row), "found_at": at} for row in rows], keep=("stage", "found_at")
        )

    def names(self, drug_ids: Sequence[int], reaction_ids: Sequence[int]) -> tuple[dict[int, str], dict[int, str]]:
        """Names by key, for findings and alerts."""
        return (
            dict(self._rows_of(drug.c.drug_id, drug_ids, drug.c.name)),
            dict(self._rows_of(reaction.c.reaction_id, reaction_ids, reaction.c.name)),
        )

    def extreme_reports(self) -> Sequence[RowMapping]:
        """Reports among the receipts of this fold that score beyond anything the model was trained on."""
        r = safety_report.c
        query = select(
            r.case_key, r.safetyreportid, r.version, r.anomaly_score, r.anomaly_reasons, r.model_version, r.event_ms
        ).where(r.anomaly_level == 2)
        found: list[RowMapping] = []
        # By value: of a temporary table PostgreSQL knows no size, and would rather read all reports.
        receipts = self._connection.scalars(_STAGED.order_by(stage_receipt.c.receipt_id)).all()
        for some in _portions(receipts):
            found += self._connection.execute(query.where(r.receipt_id.in_(some))).mappings()
        return sorted(found, key=lambda row: (row["case_key"], row["version"]))

    def open_alerts(self) -> Sequence[RowMapping]:
        """Rows of `alert` that are open, with the names of drug and reaction."""
        query = (
            select(alert, drug.c.name.label("drug"), reaction.c.name.label("reaction"))
            .select_from(
                alert.outerjoin(drug, drug.c.drug_id == alert.c.drug_id).outerjoin(
                    reaction, reaction.c.reaction_id == alert.c.reaction_id
                )
            )
            .where(alert.c.status == "open")
            .order_by(alert.c.alert_id)
        )
        return self._connection.execute(query).mappings().all()

    def active_silences(self, now_ms: int) -> Sequence[RowMapping]:
        """Silences that have not expired."""
        return self._connection.execute(select(silence).where(silence.c.until_ms > now_ms)).mappings().all()

    def cases_of(self, drug_id: int, reaction_id: int, from_ms: int, until_ms: int) -> list[tuple[int, str]]:
        """Evidence: (case key, safetyreportid) of the cases that count in [from, until), in order of event time."""
        p, r = case_pair.c, safety_report.c
        ids = (
            select(r.case_key, func.min(r.safetyreportid).label("safetyreportid"), func.min(p.event_ms).label("at"))
            .select_from(case_pair.join(safety_report, r.case_key == p.case_key))
            .where(p.drug_id == drug_id, p.reaction_id == reaction_id, p.event_ms >= from_ms, p.event_ms < until_ms)
            .group_by(r.case_key)
            .order_by("at", r.case_key)
        )
        return [(row.case_key, row.safetyreportid) for row in self._connection.execute(ids)]

    def save_alerts(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Keep the new state of alerts."""
        replace_rows(self._connection, alert, rows)

    def record_changes(self, changes: Sequence[ToldChange]) -> None:
        """Keep what changes of alerts are told with: evidence, a history entry, and a message to go out.

        Messages leave only if this transaction commits.
        """
        if not changes:
            return
        ids = [change.alert_id for change in changes]
        known = set(self._rows_of(alert_case.c.alert_id, ids, alert_case.c.case_key))
        evidence = sorted({(change.alert_id, key) for change in changes for key in change.cases} - known)
        if evidence:
            self._connection.execute(insert(alert_case), [{"alert_id": a, "case_key": key} for a, key in evidence])
        last: dict[str, int] = {}
        for alert_id, entry in self._rows_of(alert_history.c.alert_id, ids, alert_history.c.entry):
            last[alert_id] = max(entry, last.get(alert_id, 0))
        at = utc_now()
        self._connection.execute(
            insert(alert_history),
            [
                {
                    "alert_id": change.alert_id,
                    "entry": last.get(change.alert_id, 0) + 1,
                    "at": at,
                    "who": change.who,
                    "change": change.change,
                    "old": change.old,
                    "new": change.new,
                }
                for change in changes
            ],
        )
        self._connection.execute(
            insert(alert_outbox),
            [
                {
                    "outbox_id": change.outbox_id,
                    "alert_id": change.alert_id,
                    "revision": change.revision,
                    "body": change.body,
                    "created_ms": change.created_ms,
                }
                for change in changes
            ],
        )

    def skip_judgement(self, widths_ms: Sequence[int], until_ms: int) -> None:
        """Treat windows ending up to `until_ms` as closed and judged: history that only builds a baseline."""
        for width_ms in widths_ms:
            until = window_start(until_ms, width_ms)
            self._connection.execute(
                update(window_clock)
                .where(window_clock.c.width_ms == width_ms, window_clock.c.closed_until_ms < until)
                .values(closed_until_ms=until)
            )

    def finish(self) -> None:
        """Mark the staged receipts folded and drop their deltas; called by `commit`."""
        self._connection.execute(delete(window_delta).where(window_delta.c.receipt_id.in_(_STAGED)))
        self._connection.execute(
            update(ingest_task).where(ingest_task.c.receipt_id.in_(_STAGED)).values(folded_at=utc_now())
        )

    def _rows_of(self, key: Column[T], wanted: Iterable[T], value: Column[V]) -> Iterator[tuple[T, V]]:
        """(key, value) of the rows whose key is wanted."""
        for some in _portions(sorted(set(wanted))):
            for row in self._connection.execute(select(key, value).where(key.in_(some))):
                yield row[0], row[1]

    def _keep_width(self, width_ms: int) -> None:
        """Begin to keep a width: count what is stored already, and judge from the earliest report not folded yet."""
        if self.closed_until_ms(width_ms) is not None:
            return
        earliest = self._connection.scalar(
            select(func.min(window_delta.c.event_ms)).where(window_delta.c.receipt_id.in_(_STAGED))
        )
        latest = self._connection.scalar(select(func.max(window_total.c.window_start_ms)))
        begin = latest if latest is not None else earliest
        if begin is None:
            return
        build_width(self._connection, width_ms)
        self._connection.execute(
            insert(window_clock).values(width_ms=width_ms, closed_until_ms=window_start(begin, width_ms))
        )


def _columns(row: SpikeRow) -> dict[str, Any]:
    """The row of table `spike`, where the evidence's cases and expectation are named for the pair they are of."""
    columns = {**vars(row), **vars(row.evidence)}
    del columns["evidence"]
    return columns | {
        "cases": row.cases,
        "expected": row.expected,
        "pair_cases": row.evidence.cases,
        "pair_expected": row.evidence.expected,
    }


def _portions(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """The values in lists that one statement takes."""
    for first in range(0, len(values), _MOST_PARAMETERS):
        yield values[first : first + _MOST_PARAMETERS]
