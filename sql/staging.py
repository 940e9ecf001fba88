"""A task's rows in temporary tables, filled before the transaction so that no client data streams under locks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Table, delete, insert
from sqlalchemy.engine import Connection

from expectations.report import Report
from sql.errors import KeyCollisionError
from sql.keys import name_key
from sql.positions import Source
from sql.schema import NAME_LENGTH
from sql.staging_tables import stage_drug, stage_pair, stage_reaction, stage_refused, stage_report, staging

__all__ = ["Accepted", "Refused", "TaskBatch", "stage", "staged_names", "staged_rows"]


@dataclass(frozen=True)
class Accepted:
    """An event whose report passed the critical expectations, with what was found about it."""

    sequence: int
    enqueued_ms: int
    event_ms: int
    body: bytes = field(repr=False)
    report: Report = field(repr=False)
    score: float | None = None
    level: int | None = None
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Refused:
    """An event that goes to quarantine: reason codes, and the JSON path of what broke."""

    sequence: int
    enqueued_ms: int
    body: bytes = field(repr=False)
    reasons: tuple[str, ...]
    path: str | None = None


@dataclass(frozen=True)
class TaskBatch:
    """Consecutive events of one partition, judged: `events[i].sequence == first + i`."""

    source: Source
    epoch: int
    events: Sequence[Accepted | Refused]
    model_version: str | None
    suite_version: str
    first: int = field(init=False)
    last: int = field(init=False)

    def __post_init__(self) -> None:
        """Refuse ranges that are empty or not consecutive."""
        sequences = [e.sequence for e in self.events]
        if not sequences or sequences != list(range(sequences[0], sequences[0] + len(sequences))):
            raise ValueError("a task's events must be a non-empty run of consecutive sequence numbers")
        object.__setattr__(self, "first", sequences[0])
        object.__setattr__(self, "last", sequences[-1])

    def tail(self, first: int) -> TaskBatch:
        """The same batch from sequence number `first` on."""
        kept = [e for e in self.events if e.sequence >= first]
        return TaskBatch(self.source, self.epoch, kept, self.model_version, self.suite_version)


def staged_names(batch: TaskBatch) -> tuple[dict[int, str], dict[int, str]]:
    """Drug and reaction names of the batch by key: what the dimension tables must hold before the write."""
    drugs: set[str] = set()
    terms: set[str] = set()
    for event in batch.events:
        if isinstance(event, Accepted):
            drugs.update(d.name for d in event.report.drugs if d.name)
            terms.update(r.term for r in event.report.reactions if r.term)
    return _by_key(drugs), _by_key(terms)


def _by_key(names: set[str]) -> dict[int, str]:
    keyed = {name_key(name): name for name in names}
    if len(keyed) < len(names):
        raise KeyCollisionError("Two names of one batch share a key; please report this to the project.")
    return keyed


def stage(connection: Connection, batch: TaskBatch, conflicts: Collection[int]) -> None:
    """Fill the temporary tables with `batch`; bodies go along for refused events and for `conflicts`."""
    staging.create_all(connection)
    for table in staging.sorted_tables:
        connection.execute(delete(table))
    for table, rows in staged_rows(batch, conflicts).items():
        if rows:
            connection.execute(insert(table), rows)


def staged_rows(batch: TaskBatch, conflicts: Collection[int]) -> dict[Table, list[dict[str, Any]]]:
    """The rows of every temporary table for `batch`."""
    rows = _Rows(conflicts)
    for event in batch.events:
        rows.add(event)
    return rows.by_table()


class _Rows:
    def __init__(self, conflicts: Collection[int]) -> None:
        self._conflicts = conflicts
        self._seen: set[tuple[int, int]] = set()
        self._reports: list[dict[str, Any]] = []
        self._drugs: list[dict[str, Any]] = []
        self._reactions: list[dict[str, Any]] = []
        self._pairs: list[dict[str, Any]] = []
        self._refused: list[dict[str, Any]] = []

    def add(self, event: Accepted | Refused) -> None:
        if isinstance(event, Refused):
            self._refuse(event, event.reasons, event.path)
            return
        self._report(event)
        if event.sequence in self._conflicts:
            self._refuse(event, ("conflicting_duplicate",), None)

    def by_table(self) -> dict[Table, list[dict[str, Any]]]:
        return {
            stage_report: self._reports,
            stage_drug: self._drugs,
            stage_reaction: self._reactions,
            stage_pair: self._pairs,
            stage_refused: self._refused,
        }

    def _refuse(self, event: Accepted | Refused, reasons: Sequence[str], path: str | None) -> None:
        self._refused.append(
            {
                "sequence": event.sequence,
                "enqueued_ms": event.enqueued_ms,
                "body": event.body,
                "reasons": ",".join(reasons)[:1000],
                "path": path[:400] if path else None,
            }
        )

    def _report(self, event: Accepted) -> None:
        report = event.report
        key = (name_key(report.safetyreportid), report.version)
        self._reports.append(
            {
                "sequence": event.sequence,
                "outcome": None,
                "is_first": key not in self._seen,
                "case_key": key[0],
                "version": report.version,
                "safetyreportid": report.safetyreportid,
                "digest": report.digest,
                "enqueued_ms": event.enqueued_ms,
                "event_ms": event.event_ms,
                "receivedate": report.receivedate,
                "receiptdate": report.receiptdate,
                "transmissiondate": report.transmissiondate,
                "serious": report.serious,
                "seriousness": ",".join(report.seriousness),
                "age_years": report.age_years,
                "age_whole_years": _whole_years(report.age_years),
                "sex": report.sex,
                "weight_kg": report.weight_kg,
                "qualification": report.qualification,
                "country": _cut(report.country, 100),
                "sender": _cut(report.sender, NAME_LENGTH),
                "company_number": _cut(report.company_number, NAME_LENGTH),
                "drug_count": len(report.drugs),
                "reaction_count": len(report.reactions),
                "anomaly_score": event.score,
                "anomaly_level": event.level,
                "anomaly_reasons": ",".join(event.reasons)[:400] or None,
                "warnings": ",".join(event.warnings)[:1000] or None,
            }
        )
        self._seen.add(key)
        drug_keys = [name_key(d.name) if d.name else None for d in report.drugs]
        reaction_keys = [name_key(r.term) if r.term else None for r in report.reactions]
        self._drugs.extend(
            {
                "sequence": event.sequence,
                "ordinal": i,
                "drug_id": drug_id,
                "product": _cut(d.product, NAME_LENGTH),
                "characterization": d.characterization,
                "indication": _cut(d.indication, NAME_LENGTH),
            }
            for i, (d, drug_id) in enumerate(zip(report.drugs, drug_keys, strict=True))
        )
        self._reactions.extend(
            {"sequence": event.sequence, "ordinal": i, "reaction_id": reaction_id, "outcome": r.outcome}
            for i, (r, reaction_id) in enumerate(zip(report.reactions, reaction_keys, strict=True))
        )
        self._pairs.extend(
            {"sequence": event.sequence, "drug_id": drug_id, "reaction_id": reaction_id}
            for drug_id, reaction_id in sorted((name_key(d), name_key(t)) for d, t in report.pairs())
        )


def _cut(text: str | None, length: int) -> str | None:
    return text[:length] if text else None


def _whole_years(age: float | None) -> int | None:
    """Completed years, within what a SMALLINT holds; implausible ages are kept and carry a warning."""
    if age is None:
        return None
    return max(-32_768, min(32_767, int(age // 1)))
