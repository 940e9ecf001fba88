"""The driver's commit: receipts become counts, counts findings, findings alerts, all in one transaction."""

from __future__ import annotations

import dataclasses
import datetime as dt
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine

from alerts.alert import Alert, PipelineFinding, SpikeFinding
from alerts.cloudevent import to_cloudevent
from alerts.pipeline import decide_pipeline
from alerts.policy import AlertChange, decide
from models.spikes import Evaluation, SpikeRules, close_verdict, open_verdict, zscore
from sql.candidates import Candidates, ClosingSpan
from sql.clock import now_ms
from sql.commit import CommitTransaction, Folded, SpikeRow, ToldChange, commit
from sql.positions import Lease
from sql.retry import persistently
from streaming.alert_rows import alert_from_row, row_from_alert, unusual_from_row

__all__ = ["CommitResult", "Committer"]

_EVIDENCE = 20
"""Case ids an alert message names; the database keeps them all."""

_LATE_WIDTHS = 2
"""Windows that ended more than this many widths ago are flagged, never alerted."""


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
    rules: SpikeRules
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
            findings = list(self._judge(tx, closing, clock_ms))
            tx.save_spikes([_row(finding) for finding in findings], rules="zscore", rules_version=self.rules.version)
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

    def _judge(
        self, tx: CommitTransaction, closing: dict[int, ClosingSpan], clock_ms: int | None
    ) -> Iterator[SpikeFinding]:
        for candidates in tx.candidates(
            self.widths_ms,
            closing,
            min_cases=self.rules.min_cases,
            baseline_windows=self.rules.baseline_windows,
            min_age=self.rules.warmup_windows,
        ):
            evaluation = zscore(candidates.counts, self.rules)
            stages = self._stages(candidates, closing.get(candidates.width_ms), tx.closed_until_ms(candidates.width_ms))
            # What the strict level finds does not depend on whether a commit came while the window was open.
            found = open_verdict(evaluation, candidates.counts.cases, self.rules) & candidates.touched
            for start, tested in candidates.tested.items():
                window = (candidates.window_starts_ms == start) & (stages == "closed")
                found[window] |= close_verdict(
                    _subset(evaluation, window), candidates.counts.cases[window], tested, self.rules
                )
            yield from self._findings(tx, candidates, evaluation, stages, np.flatnonzero(found), clock_ms)

    def _stages(
        self, candidates: Candidates, span: ClosingSpan | None, closed_until_ms: int | None
    ) -> NDArray[np.str_]:
        ends = candidates.window_starts_ms + candidates.width_ms
        closed = ends <= (closed_until_ms if closed_until_ms is not None else -1)
        now_closing = (ends > span.after_ms) & (ends <= span.until_ms) if span is not None else np.zeros_like(closed)
        return np.where(now_closing, "closed", np.where(closed, "late", "open"))

    def _findings(
        self,
        tx: CommitTransaction,
        candidates: Candidates,
        evaluation: Evaluation,
        stages: NDArray[np.str_],
        chosen: NDArray[np.intp],
        clock_ms: int | None,
    ) -> Iterator[SpikeFinding]:
        drugs, reactions = tx.names(
            [int(i) for i in candidates.drug_ids[chosen]], [int(i) for i in candidates.reaction_ids[chosen]]
        )
        for i in chosen:
            drug_id, reaction_id = int(candidates.drug_ids[i]), int(candidates.reaction_ids[i])
            start = int(candidates.window_starts_ms[i])
            end = start + candidates.width_ms
            yield SpikeFinding(
                width_ms=candidates.width_ms,
                window_start=start,
                drug_id=drug_id,
                drug=drugs[drug_id],
                reaction_id=reaction_id,
                reaction=reactions[reaction_id],
                cases=int(candidates.counts.cases[i]),
                expected=float(evaluation.expected[i]),
                spread=float(evaluation.spread[i]),
                z=float(evaluation.z[i]),
                p=float(evaluation.p[i]),
                stage=str(stages[i]),  # type: ignore[arg-type]
                alertable=clock_ms is not None and clock_ms - end <= _LATE_WIDTHS * candidates.width_ms,
            )

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
        tx.record_changes([self._told(tx, change, pipeline, at) for change in changes if change.publish])
        return changes

    def _told(
        self, tx: CommitTransaction, change: AlertChange, pipeline: Sequence[PipelineFinding], at_ms: int
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
                finding=next((found for found in pipeline if found.code == alert.expectation), None),
            ),
            created_ms=at_ms,
        )


def _new_id() -> str:
    return str(uuid.uuid4())


def _state(alert: Alert) -> str:
    seen = f"{alert.cases} cases" if alert.expectation is None else f"{alert.expectation} at {alert.observed:.4g}"
    return f"{alert.status}, revision {alert.revision}, {seen}"


def _subset(evaluation: Evaluation, mask: NDArray[np.bool_]) -> Evaluation:
    return Evaluation(**{f.name: getattr(evaluation, f.name)[mask] for f in dataclasses.fields(evaluation)})


def _row(finding: SpikeFinding) -> SpikeRow:
    return SpikeRow(
        width_ms=finding.width_ms,
        drug_id=finding.drug_id,
        reaction_id=finding.reaction_id,
        window_start_ms=finding.window_start,
        cases=finding.cases,
        expected=finding.expected,
        spread=finding.spread,
        z=finding.z,
        p=finding.p,
        stage=finding.stage,
    )
