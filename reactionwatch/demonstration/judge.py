"""The demo's summary: what was planted against the alerts that reached the alerts hub. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from alerts.alert import AlertKind
from alerts.cloudevent import AlertNotice
from generator.truth import PlantedSpike
from sql.accounting import Accounting

__all__ = ["DemoSummary", "FalseAlert", "FoundSpike", "judge"]


@dataclass(frozen=True)
class FoundSpike:
    """One planted spike and the alert that told of it, if any."""

    drug: str
    reaction: str
    factor: float
    planted_reports: int
    found: bool
    seconds_to_alert: float | None
    """From the spike's first moment to the alert's publication."""


@dataclass(frozen=True)
class FalseAlert:
    """A spike alert without a spike of that pair planted then."""

    drug: str
    reaction: str
    cases: int
    expected: float


@dataclass(frozen=True)
class DemoSummary:
    """What the demo ends with."""

    sent: int
    """By the generator, to the hub."""
    backfilled: int
    """History, from a file."""
    received: int
    stored: int
    quarantined: int
    quarantined_by_reason: dict[str, int]
    duplicates: int
    unaccounted: int
    """Sent to the hub (or backfilled) but neither stored, quarantined nor counted as duplicate; must be 0."""
    spikes: tuple[FoundSpike, ...]
    false_alerts: tuple[FalseAlert, ...]
    unusual_reports: int
    reports_per_second: float

    @property
    def missed(self) -> int:
        """Planted spikes without an alert."""
        return sum(not spike.found for spike in self.spikes)

    @property
    def ok(self) -> bool:
        """Every report accounted for, every planted spike found."""
        return self.unaccounted == 0 and self.missed == 0

    def as_json(self) -> dict[str, object]:
        """The same for programs."""
        return {
            **vars(self),
            "spikes": [vars(spike) for spike in self.spikes],
            "false_alerts": [vars(alert) for alert in self.false_alerts],
            "spikes_planted": len(self.spikes),
            "spikes_found": len(self.spikes) - self.missed,
            "spikes_missed": self.missed,
            "ok": self.ok,
        }


def judge(
    *,
    sent: int,
    backfilled: int,
    accounting: Accounting,
    planted: Sequence[PlantedSpike],
    notices: Sequence[AlertNotice],
    widest: dt.timedelta,
    seconds: float,
) -> DemoSummary:
    """Hold the alerts and the database against the truth.

    An alert belongs to a planted spike of its pair when its windows overlap the spike's time, stretched by the
    `widest` window: a window that holds the end of a spike goes on for up to its width.
    """
    opened = [n for n in notices if n.change == "opened" and n.kind is AlertKind.REACTION_SPIKE]
    causes = [_cause(notice, planted, widest) for notice in opened]
    spikes = []
    for spike in planted:
        times = [notice.time for notice, cause in zip(opened, causes, strict=True) if cause is spike]
        spikes.append(
            FoundSpike(
                drug=spike.drug,
                reaction=spike.reaction,
                factor=spike.factor,
                planted_reports=spike.planted_reports,
                found=bool(times),
                seconds_to_alert=round((min(times) - spike.start).total_seconds(), 1) if times else None,
            )
        )
    return DemoSummary(
        sent=sent,
        backfilled=backfilled,
        received=accounting.received,
        stored=accounting.stored,
        quarantined=accounting.quarantined,
        quarantined_by_reason=accounting.quarantined_by_reason,
        duplicates=accounting.duplicates,
        unaccounted=abs(accounting.unaccounted) + abs(sent + backfilled - accounting.received),
        spikes=tuple(spikes),
        false_alerts=tuple(
            FalseAlert(n.drug or "", n.reaction or "", n.cases or 0, n.expected or 0.0)
            for n, cause in zip(opened, causes, strict=True)
            if cause is None
        ),
        unusual_reports=sum(n.kind is AlertKind.UNUSUAL_REPORT for n in notices),
        reports_per_second=round(sent / seconds, 1) if seconds > 0 else 0.0,
    )


def _cause(notice: AlertNotice, planted: Sequence[PlantedSpike], widest: dt.timedelta) -> PlantedSpike | None:
    for spike in planted:
        same = (notice.drug, notice.reaction) == spike.pair
        if same and notice.since < spike.end + widest and notice.until > spike.start:
            return spike
    return None
