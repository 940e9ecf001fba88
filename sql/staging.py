"""A task's rows in temporary tables, filled before the transaction so that no client data streams under locks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Table
from sqlalchemy.engine import Connection

from expectations.reasons import Reason
from expectations.report import Report
from sql.dialect import empty, load
from sql.errors import KeyCollisionError
from sql.keys import name_key
from sql.positions import Source
from sql.staging_tables import (
    stage_drug,
    stage_drug_name,
    stage_pair,
    stage_reaction,
    stage_reaction_name,
    stage_refused,
    stage_report,
    staging,
)

__all__ = ["CONFLICT", "Accepted", "Refused", "TaskBatch", "refusal", "stage", "staged_rows"]

CONFLICT = (str(Reason.CONFLICTING_DUPLICATE),)
"""Reasons of a report whose version of the case is stored already, with other content."""


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
    dated: bool = True
    """Whether its event time may move the clock of a replay: not where it is a guess."""


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


def stage(connection: Connection, batch: TaskBatch, conflicts: Collection[int]) -> None:
    """Fill the temporary tables with `batch`; bodies go along for refused events and for `conflicts`."""
    empty(connection, *staging.sorted_tables)
    for table, rows in staged_rows(batch, conflicts).items():
        load(connection, table, rows)


def staged_rows(batch: TaskBatch, conflicts: Collection[int]) -> dict[Table, list[tuple[Any, ...]]]:
    """The rows of every temporary table for `batch`, each with a value for every column, in order.

    Raises `KeyCollisionError` when two names of the batch share a key.
    """
    rows = _Rows(conflicts)
    for event in batch.events:
        rows.add(event)
    return rows.by_table()


def refusal(reasons: Sequence[str], path: str | None) -> tuple[str, str | None]:
    """Reasons and path as the quarantine keeps them."""
    return ",".join(reasons)[:1000], path[:400] if path else None


class _Rows:
    def __init__(self, conflicts: Collection[int]) -> None:
        self._conflicts = conflicts
        self._seen: set[tuple[int, int]] = set()
        self._drug_keys = _Names()
        self._reaction_keys = _Names()
        self._reports: list[tuple[Any, ...]] = []
        self._drugs: list[tuple[Any, ...]] = []
        self._reactions: list[tuple[Any, ...]] = []
        self._pairs: list[tuple[Any, ...]] = []
        self._refused: list[tuple[Any, ...]] = []

    def add(self, event: Accepted | Refused) -> None:
        if isinstance(event, Refused):
            self._refuse(event, event.reasons, event.path)
            return
        self._report(event)
        if event.sequence in self._conflicts:
            self._refuse(event, CONFLICT, None)

    def by_table(self) -> dict[Table, list[tuple[Any, ...]]]:
        return {
            stage_drug_name: sorted((key, name) for name, key in self._drug_keys.items()),
            stage_reaction_name: sorted(
                (key, name, int(name.endswith("OVERDOSE"))) for name, key in self._reaction_keys.items()
            ),
            stage_report: self._reports,
            stage_drug: self._drugs,
            stage_reaction: self._reactions,
            stage_pair: self._pairs,
            stage_refused: self._refused,
        }

    def _refuse(self, event: Accepted | Refused, reasons: Sequence[str], path: str | None) -> None:
        self._refused.append((event.sequence, event.enqueued_ms, event.body, *refusal(reasons, path)))

    def _report(self, event: Accepted) -> None:
        report = event.report
        sequence = event.sequence
        key = (name_key(report.safetyreportid), report.version)
        self._reports.append(
            (
                sequence,
                None,
                key not in self._seen,
                *key,
                report.safetyreportid,
                report.digest,
                event.enqueued_ms,
                event.event_ms,
                report.receivedate,
                report.receiptdate,
                report.transmissiondate,
                report.serious,
                ",".join(report.seriousness),
                report.age_years,
                _whole_years(report.age_years),
                report.sex,
                report.weight_kg,
                report.qualification,
                report.country,
                report.sender,
                report.company_number,
                len(report.drugs),
                len(report.reactions),
                event.score,
                event.level,
                ",".join(event.reasons)[:400] or None,
                ",".join(event.warnings)[:1000] or None,
                report.unknown_fields,
                next(iter(report.duplicate_numbers), None),
            )
        )
        self._seen.add(key)
        drugs, terms = self._drug_keys, self._reaction_keys
        self._drugs += [
            (sequence, i, drugs[d.name] if d.name else None, d.product, d.characterization, d.indication)
            for i, d in enumerate(report.drugs)
        ]
        self._reactions += [
            (sequence, i, terms[r.term] if r.term else None, r.outcome) for i, r in enumerate(report.reactions)
        ]
        self._pairs += sorted((sequence, drugs[drug], terms[term]) for drug, term in report.pairs())


class _Names(dict[str, int]):
    """Keys by name, made at the first use of a name."""

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[int, str] = {}

    def __missing__(self, name: str) -> int:
        key = self[name] = name_key(name)
        if self._known.setdefault(key, name) != name:
            raise KeyCollisionError("Two names of one batch share a key; please report this to the project.")
        return key


def _whole_years(age: float | None) -> int | None:
    """Completed years, within what a SMALLINT holds; implausible ages are kept and carry a warning."""
    if age is None:
        return None
    return max(-32_768, min(32_767, int(age // 1)))
