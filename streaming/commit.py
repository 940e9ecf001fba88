"""The driver's commit: receipts become counts, counts findings, findings alerts, all in one transaction."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Engine

from alerts.alert import Alert, PipelineFinding, SpikeFinding
from alerts.cloudevent import AlertEvidence, to_cloudevent
from alerts.pipeline import decide_pipeline
from alerts.policy import AlertChange, decide
from models.spikes import RuleBook
from sql.clock import now_ms
from sql.commit import CommitTransaction, Folded, ToldChange, commit
from sql.evidence import FoundSpan
from sql.positions import Lease
from sql.retry import persistently
from streaming.alert_rows import alert_from_row, evidence_of, row_from_alert, unusual_from_row
from streaming.judging import judge_windows

__all__ = ["CommitResult", "Committer"]

_EVIDENCE = 20
"""Case ids an alert message names; the database keeps them all."""


@dataclass(frozen=True)
class CommitResult:
    """What one commit did."""

    folded: Folded
    clock_ms: int | None
    spikes: int
    alerts: tuple[AlertChange, ...]
    flood: bool = False
    """Whether an alert was opened because too many events are quarantined."""


@dataclass(frozen=True)
class Committer:
    """Runs commits for one lease. One at a time: the caller holds the driver lock."""

    engine: Engine
    lease: Lease
    widths_ms: tuple[int, ...]
    rules: RuleBook
    watch: Callable[[], Sequence[PipelineFinding]] = tuple
    """What there is to say about the pipeline at the moment; by default nothing."""
    replay: Callable[[], object] = tuple
    """Stores quarantined reports that are marked for it, to be counted by this commit; by default none."""

    def run(self, clock_ms: int | None) -> CommitResult:
        """Fold, judge, alert. `clock_ms`: up to which moment everything is stored; None while it is not known.

        A transaction that a lock, a deadlock or an outage ends is run again whole (see `sql.retry`). Raises
        `FencedError` when the lease is lost; nothing is committed then.
        """
        self.replay()
        pipeline = self.watch()
        return persistently(lambda: self._run(clock_ms, pipeline))

    def _run(self, clock_ms: int | None, pipeline: Sequence[PipelineFinding]) -> CommitResult:
        with commit(self.engine, self.lease) as tx:
            folded = tx.fold(self.widths_ms)
            closing = tx.close_windows(self.widths_ms, clock_ms) if clock_ms is not None else {}
            findings = judge_windows(tx, {width: self.rules.of(width) for width in self.widths_ms}, closing, clock_ms)
            changes = self._alert(tx, findings, pipeline, clock_ms)
        floods = {found.code for found in pipeline if found.is_flood}
        flood = any(change.change == "opened" and change.alert.expectation in floods for change in changes)
        return CommitResult(folded, clock_ms, len(findings), tuple(changes), flood)

    def run_backfill(self) -> Folded:
        """Fold history that only builds a baseline: no window up to its last report is judged or alerted."""
        return persistently(self._run_backfill)

    def _run_backfill(self) -> Folded:
        with commit(self.engine, self.lease) as tx:
            folded = tx.fold(self.widths_ms)
            until_ms = tx.last_event_ms()
            if until_ms is not None:
                tx.skip_judgement(self.widths_ms, until_ms)
        return folded

    def _alert(
        self,
        tx: CommitTransaction,
        findings: list[SpikeFinding],
        pipeline: Sequence[PipelineFinding],
        clock_ms: int | None,
    ) -> list[AlertChange]:
        at = now_ms()
        silences = tx.active_silences(at)

        def silenced(finding: SpikeFinding) -> bool:
            return any(
                s["drug_id"] in (None, finding.drug_id) and s["reaction_id"] in (None, finding.reaction_id)
                for s in silences
            )

        open_alerts = [alert_from_row(row) for row in tx.open_alerts()]
        changes = decide(
            open_alerts,
            findings,
            [unusual_from_row(row) for row in tx.extreme_reports()],
            clock_ms=clock_ms if clock_ms is not None else 0,
            now_ms=at,
            new_id=_new_id,
            silenced=silenced,
        )
        if pipeline:
            changes += decide_pipeline(open_alerts, pipeline, now_ms=at, new_id=_new_id)
        tx.save_alerts([row_from_alert(change.alert) for change in changes])
        told = [change for change in changes if change.publish]
        known = _known(tx, [change.alert for change in told])
        tx.record_changes([self._told(tx, change, known, pipeline, at) for change in told])
        return changes

    def _told(
        self,
        tx: CommitTransaction,
        change: AlertChange,
        known: Mapping[str, AlertEvidence],
        pipeline: Sequence[PipelineFinding],
        at_ms: int,
    ) -> ToldChange:
        alert, previous = change.alert, change.previous
        cases: list[tuple[int, str]] = []
        if alert.drug_id is not None and alert.reaction_id is not None:
            cases = tx.cases_of(alert.drug_id, alert.reaction_id, alert.since, alert.last_alarm_end)
        elif alert.case_key is not None:
            cases = [(alert.case_key, alert.safetyreportid or "")]
        return ToldChange(
            outbox_id=_new_id(),
            alert_id=alert.alert_id,
            revision=alert.revision,
            change=change.change,
            who="reactionwatch",
            old=_state(previous) if previous is not None else None,
            new=_state(alert),
            cases=[key for key, _ in cases],
            body=to_cloudevent(
                change,
                source=f"reactionwatch://{self.lease.hub}",
                cases=[case_id for _, case_id in cases[-_EVIDENCE:]],
                now=dt.datetime.fromtimestamp(at_ms / 1000, dt.UTC),
                evidence=known.get(alert.alert_id),
                finding=next((found for found in pipeline if found.code == alert.expectation), None),
            ),
            created_ms=at_ms,
        )


def _new_id() -> str:
    return str(uuid.uuid4())


def _state(alert: Alert) -> str:
    seen = f"{alert.cases} cases" if alert.expectation is None else f"{alert.expectation} at {alert.observed:.4g}"
    return f"{alert.status}, revision {alert.revision}, {seen}"


def _known(tx: CommitTransaction, alerts: Sequence[Alert]) -> dict[str, AlertEvidence]:
    """By alert, what is known of a spike's pair and of the episode's cases."""
    spans = {
        alert.alert_id: FoundSpan(alert.drug_id, alert.reaction_id, alert.since, alert.last_alarm_end)
        for alert in alerts
        if alert.drug_id is not None and alert.reaction_id is not None
    }
    return {
        alert_id: evidence_of(found) for alert_id, found in zip(spans, tx.evidence(list(spans.values())), strict=True)
    }
