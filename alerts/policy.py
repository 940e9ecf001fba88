"""When an alert opens, grows and closes: one alert per episode of a pair, however many windows and widths alarm.

Pure: state and findings in, changes out. Giving the same findings again, at the same clock or a later one, opens and
publishes nothing more (time alone closes); the order of the findings does not matter.

Does not remember what is closed. That is safe for spikes, because a window that an alert closed over is no longer
fresh; an unusual report is known again only if its alert is among those given (the store inserts a report once).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal

from alerts.alert import Alert, AlertKind, AlertStatus, SpikeFinding, UnusualReport

__all__ = ["QUIET_WIDTHS", "AlertChange", "Change", "Growth", "decide", "growth", "is_fresh", "quiet_ms"]

Change = Literal["opened", "grew", "closed", "updated"]

QUIET_WIDTHS = 2
"""A window older than this many widths alerts nobody, and an alert closes after this many of its widest width."""


class Growth(StrEnum):
    """Why an open alert is worth telling about again."""

    WIDER_WINDOW = "wider_window"
    """A wider window alarmed for the first time: the spike lasts."""
    MORE_CASES = "more_cases"
    """Half as many cases again as were last told."""


@dataclass(frozen=True)
class AlertChange:
    """One alert's new state, and whether people hear of it."""

    alert: Alert
    previous: Alert | None
    """The state before; None exactly when the alert is new."""
    change: Change
    publish: bool


def decide(
    open_alerts: Sequence[Alert],
    findings: Sequence[SpikeFinding],
    unusual: Sequence[UnusualReport],
    *,
    clock_ms: int,
    now_ms: int,
    new_id: Callable[[], str],
    silenced: Callable[[SpikeFinding], bool],
) -> list[AlertChange]:
    """What changes, at most one change per alert, spikes by pair and then unusual reports by case.

    `open_alerts` holds at most one open alert per pair. `clock_ms` is the clock that windows close by, `now_ms` the
    wall clock that alerts are stamped with; `new_id` is called once per new alert, in the order of the result.

    A silenced finding opens nothing and publishes nothing, but keeps an alert that is open from closing. Closing
    is always published: whoever heard of a spike hears of its end.
    """
    alerts = {_pair(alert): alert for alert in open_alerts if _is_open_spike(alert)}
    fresh: defaultdict[tuple[int, int], list[SpikeFinding]] = defaultdict(list)
    for finding in findings:
        if finding.alertable and is_fresh(finding, clock_ms):
            fresh[finding.drug_id, finding.reaction_id].append(finding)

    changes = []
    for pair in sorted(alerts.keys() | fresh.keys()):
        alert, evidence = alerts.get(pair), fresh[pair]
        heard = any(not silenced(finding) for finding in evidence)
        if alert is not None:
            change = _carried_on(alert, evidence, heard, clock_ms, now_ms)
        else:
            change = _opened(evidence, now_ms, new_id) if heard else None
        if change is not None:
            changes.append(change)
    return changes + _told_once(open_alerts, unusual, now_ms, new_id)


def is_fresh(finding: SpikeFinding, clock_ms: int) -> bool:
    """Whether the finding's window is recent enough to alert."""
    return clock_ms < finding.window_end + QUIET_WIDTHS * finding.width_ms


def quiet_ms(alert: Alert) -> int:
    """How long after its last alarmed window a spike counts as over."""
    return QUIET_WIDTHS * max(alert.widths)


def growth(before: Alert, after: Alert) -> Growth | None:
    """Why `after` is worth telling to those who were last told `before`; None when it is not."""
    if max(after.widths) > max(before.widths):
        return Growth.WIDER_WINDOW
    if 2 * after.cases >= 3 * before.published_cases:
        return Growth.MORE_CASES
    return None


def _opened(evidence: Sequence[SpikeFinding], now_ms: int, new_id: Callable[[], str]) -> AlertChange:
    strongest = _strongest(evidence)
    alert = Alert(
        alert_id=new_id(),
        kind=AlertKind.REACTION_SPIKE,
        status=AlertStatus.OPEN,
        drug_id=strongest.drug_id,
        drug=strongest.drug,
        reaction_id=strongest.reaction_id,
        reaction=strongest.reaction,
        case_key=None,
        safetyreportid=None,
        version=None,
        score=None,
        reasons=(),
        opened_at=now_ms,
        since=min(finding.start for finding in evidence),
        last_alarm_end=max(finding.window_end for finding in evidence),
        width_ms=strongest.width_ms,
        window_start=strongest.window_start,
        cases=strongest.cases,
        expected=strongest.expected,
        spread=strongest.spread,
        z=strongest.z,
        p=strongest.p,
        widths=tuple(sorted({finding.width_ms for finding in evidence})),
        published_cases=strongest.cases,
        revision=1,
        closed_at=None,
        windows=strongest.windows,
    )
    return AlertChange(alert, None, "opened", publish=True)


def _carried_on(
    alert: Alert, evidence: Sequence[SpikeFinding], heard: bool, clock_ms: int, now_ms: int
) -> AlertChange | None:
    after = _with_evidence(alert, evidence)
    if clock_ms >= after.last_alarm_end + quiet_ms(after):
        closed = replace(_published(after), status=AlertStatus.CLOSED, closed_at=now_ms)
        return AlertChange(closed, alert, "closed", publish=True)
    if heard and growth(alert, after) is not None:
        return AlertChange(_published(after), alert, "grew", publish=True)
    return AlertChange(after, alert, "updated", publish=False) if after != alert else None


def _with_evidence(alert: Alert, evidence: Sequence[SpikeFinding]) -> Alert:
    if not evidence:
        return alert
    after = replace(
        alert,
        since=min(alert.since, *(finding.start for finding in evidence)),
        last_alarm_end=max(alert.last_alarm_end, *(finding.window_end for finding in evidence)),
        widths=tuple(sorted({*alert.widths, *(finding.width_ms for finding in evidence)})),
    )
    strongest = _strongest(evidence)
    if _strength(strongest) <= _strength(alert):
        return after
    return replace(
        after,
        width_ms=strongest.width_ms,
        window_start=strongest.window_start,
        cases=strongest.cases,
        expected=strongest.expected,
        spread=strongest.spread,
        z=strongest.z,
        p=strongest.p,
        windows=strongest.windows,
    )


def _published(alert: Alert) -> Alert:
    return replace(alert, published_cases=alert.cases, revision=alert.revision + 1)


def _strongest(evidence: Iterable[SpikeFinding]) -> SpikeFinding:
    return max(evidence, key=_strength)


def _strength(evidence: SpikeFinding | Alert) -> tuple[float, ...]:
    """Order of evidence: wider, then more cases. The rest only makes the choice one and the same in any order."""
    return (
        evidence.width_ms,
        evidence.cases,
        evidence.z,
        -evidence.p,
        -evidence.window_start,
        evidence.windows,
        evidence.expected,
        evidence.spread,
    )


def _is_open_spike(alert: Alert) -> bool:
    return alert.kind == AlertKind.REACTION_SPIKE and alert.status == AlertStatus.OPEN


def _pair(alert: Alert) -> tuple[int, int]:
    if alert.drug_id is None or alert.reaction_id is None:
        raise ValueError(f"spike alert {alert.alert_id} names no pair: its stored row is incomplete")
    return alert.drug_id, alert.reaction_id


def _told_once(
    known: Iterable[Alert], unusual: Iterable[UnusualReport], now_ms: int, new_id: Callable[[], str]
) -> list[AlertChange]:
    told = {(alert.case_key, alert.version) for alert in known if alert.kind == AlertKind.UNUSUAL_REPORT}
    reports = {(report.case_key, report.version): report for report in unusual}
    return [
        AlertChange(_unusual_alert(report, now_ms, new_id()), None, "opened", publish=True)
        for key, report in sorted(reports.items())
        if key not in told
    ]


def _unusual_alert(report: UnusualReport, now_ms: int, alert_id: str) -> Alert:
    return Alert(
        alert_id=alert_id,
        kind=AlertKind.UNUSUAL_REPORT,
        status=AlertStatus.CLOSED,
        drug_id=None,
        drug=None,
        reaction_id=None,
        reaction=None,
        case_key=report.case_key,
        safetyreportid=report.safetyreportid,
        version=report.version,
        score=report.score,
        reasons=report.reasons,
        opened_at=now_ms,
        since=report.event_time,
        last_alarm_end=report.event_time,
        width_ms=0,
        window_start=report.event_time,
        cases=1,
        expected=0.0,
        spread=0.0,
        z=0.0,
        p=1.0,
        widths=(),
        published_cases=1,
        revision=1,
        closed_at=now_ms,
        model_version=report.model_version,
    )
