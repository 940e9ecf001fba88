"""When an alert about the pipeline opens and closes: one per failed expectation, as long as it fails.

Pure, as `alerts.policy` is: state and findings in, changes out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from alerts.alert import Alert, AlertKind, AlertStatus, PipelineFinding
from alerts.policy import AlertChange

__all__ = ["QUIET_MS", "decide_pipeline"]

QUIET_MS = 600_000
"""An expectation must have held for so long before its alert closes: one that hovers at its limit is one episode."""


def decide_pipeline(
    open_alerts: Sequence[Alert], findings: Sequence[PipelineFinding], *, now_ms: int, new_id: Callable[[], str]
) -> list[AlertChange]:
    """What changes, at most one change per alert, in order of code.

    `findings` holds one of every expectation that could be judged; one that could not keeps its alert as it is, but
    for closing it. Other kinds among `open_alerts` are left alone. `now_ms` is the wall clock.
    """
    alerts = {alert.expectation: alert for alert in open_alerts if alert.kind == AlertKind.PIPELINE}
    found = {finding.code: finding for finding in findings}
    changes = []
    for code in sorted({code for code in alerts if code is not None} | found.keys()):
        alert, finding = alerts.get(code), found.get(code)
        if alert is not None:
            change = _carried_on(alert, finding, now_ms)
        else:
            change = _opened(found[code], now_ms, new_id) if not found[code].ok else None
        if change is not None:
            changes.append(change)
    return changes


def _opened(finding: PipelineFinding, now_ms: int, new_id: Callable[[], str]) -> AlertChange:
    alert = Alert(
        alert_id=new_id(),
        kind=AlertKind.PIPELINE,
        status=AlertStatus.OPEN,
        drug_id=None,
        drug=None,
        reaction_id=None,
        reaction=None,
        case_key=None,
        safetyreportid=None,
        version=None,
        score=None,
        reasons=(),
        opened_at=now_ms,
        since=now_ms,
        last_alarm_end=now_ms,
        width_ms=0,
        window_start=now_ms,
        cases=finding.events,
        expected=0.0,
        spread=0.0,
        z=0.0,
        p=1.0,
        widths=(),
        published_cases=finding.events,
        revision=1,
        closed_at=None,
        expectation=finding.code,
        observed=finding.observed,
    )
    return AlertChange(alert, None, "opened", publish=True)


def _carried_on(alert: Alert, finding: PipelineFinding | None, now_ms: int) -> AlertChange | None:
    after = alert
    if finding is not None:
        after = replace(
            alert,
            observed=finding.observed,
            cases=finding.events,
            last_alarm_end=alert.last_alarm_end if finding.ok else now_ms,
        )
    if now_ms >= after.last_alarm_end + QUIET_MS:
        closed = replace(after, status=AlertStatus.CLOSED, closed_at=now_ms, revision=alert.revision + 1)
        return AlertChange(closed, alert, "closed", publish=True)
    return AlertChange(after, alert, "updated", publish=False) if after != alert else None
