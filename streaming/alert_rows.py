"""Alerts as rows of the `alert` table and back, and findings as alerts speak of them."""

from __future__ import annotations

from typing import Any

from sqlalchemy.engine import RowMapping

from alerts.alert import Alert, AlertKind, AlertStatus, PipelineFinding, UnusualReport
from alerts.cloudevent import AlertEvidence
from expectations.pipeline import Finding
from models.spikes.disproportionality import Evidence

__all__ = ["alert_from_row", "evidence_of", "pipeline_finding", "row_from_alert", "unusual_from_row"]


def alert_from_row(row: RowMapping) -> Alert:
    """An open alert as `CommitTransaction.open_alerts` reads it."""
    return Alert(
        alert_id=row["alert_id"],
        kind=AlertKind(row["kind"]),
        status=AlertStatus(row["status"]),
        drug_id=row["drug_id"],
        drug=row["drug"],
        reaction_id=row["reaction_id"],
        reaction=row["reaction"],
        case_key=row["case_key"],
        safetyreportid=None,
        version=row["version"],
        score=row["score"],
        reasons=_words(row["reasons"]),
        opened_at=row["opened_at_ms"],
        since=row["since_ms"],
        last_alarm_end=row["last_alarm_end_ms"],
        width_ms=row["width_ms"],
        window_start=row["window_start_ms"],
        cases=row["cases"],
        expected=row["expected"],
        spread=row["spread"],
        z=row["z"],
        p=row["p"],
        widths=tuple(int(w) for w in _words(row["widths"])),
        published_cases=row["published_cases"],
        revision=row["revision"],
        closed_at=row["closed_at_ms"],
        expectation=row["expectation"],
        observed=row["observed"],
        windows=row["windows"],
    )


def row_from_alert(alert: Alert) -> dict[str, Any]:
    """The row that keeps an alert's state."""
    return {
        "alert_id": alert.alert_id,
        "kind": str(alert.kind),
        "status": str(alert.status),
        "drug_id": alert.drug_id,
        "reaction_id": alert.reaction_id,
        "case_key": alert.case_key,
        "version": alert.version,
        "score": alert.score,
        "reasons": ",".join(alert.reasons) or None,
        "opened_at_ms": alert.opened_at,
        "since_ms": alert.since,
        "last_alarm_end_ms": alert.last_alarm_end,
        "width_ms": alert.width_ms,
        "window_start_ms": alert.window_start,
        "cases": alert.cases,
        "expected": alert.expected,
        "spread": alert.spread,
        "z": alert.z,
        "p": alert.p,
        "widths": ",".join(str(w) for w in alert.widths),
        "published_cases": alert.published_cases,
        "revision": alert.revision,
        "closed_at_ms": alert.closed_at,
        "expectation": alert.expectation,
        "observed": alert.observed,
        "windows": alert.windows,
    }


def unusual_from_row(row: RowMapping) -> UnusualReport:
    """A report that `CommitTransaction.extreme_reports` found."""
    return UnusualReport(
        case_key=row["case_key"],
        safetyreportid=row["safetyreportid"],
        version=row["version"],
        score=row["anomaly_score"],
        reasons=_words(row["anomaly_reasons"]),
        model_version=row["model_version"],
        event_time=row["event_ms"],
    )


def evidence_of(known: Evidence) -> AlertEvidence:
    """What is known of a pair and its cases, as alerts tell it."""
    return AlertEvidence(**vars(known))


def pipeline_finding(found: Finding) -> PipelineFinding:
    """A finding of the pipeline's suite, as alerts speak of it."""
    return PipelineFinding(
        code=found.code,
        ok=found.ok,
        why=found.why,
        measure=f"{found.statistic} of {found.limits.column}",
        observed=found.observed,
        minimum=found.limits.min_value,
        maximum=found.limits.max_value,
        events=found.events,
        is_flood=found.limits.column == "quarantined",
    )


def _words(text: str | None) -> tuple[str, ...]:
    return tuple(text.split(",")) if text else ()
