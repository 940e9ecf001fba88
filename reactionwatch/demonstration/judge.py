"""The demo's summary: what was planted against the alerts that reached the alerts hub. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from alerts.alert import AlertKind
from alerts.cloudevent import AlertNotice
from generator.traps.more import Launch
from generator.truth import Planted
from sql.accounting import Accounting

__all__ = ["DemoSummary", "FalseAlert", "FoundSpike", "Launched", "TrapAlert", "judge"]


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
    batches_to_alert: int | None = None
    """From the first batch that could alert, by the counts stored, to the one that did; 0: the same."""


@dataclass(frozen=True)
class Launched:
    """A new drug, whose reactions all rise with it: none of them is a spike."""

    drug: str
    reports: int
    alerts: int


@dataclass(frozen=True)
class FalseAlert:
    """A spike alert without anything planted that would make that pair rise then."""

    drug: str
    reaction: str
    cases: int
    expected: float


@dataclass(frozen=True)
class TrapAlert:
    """A spike alert on what a trap made rise: it is true that it rose, and it is no spike."""

    trap: str
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
    launches: tuple[Launched, ...]
    trap_alerts: tuple[TrapAlert, ...]
    false_alerts: tuple[FalseAlert, ...]
    unusual_reports: int
    pipeline_alerts: tuple[str, ...]
    """Codes of expectations about the newest events as a whole that failed."""
    reports_per_second: float
    stopped_early: bool
    """The user ended it, so that a spike may not have had its time."""

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
            "launches": [vars(launch) for launch in self.launches],
            "trap_alerts": [vars(alert) for alert in self.trap_alerts],
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
    planted: Sequence[Planted],
    notices: Sequence[AlertNotice],
    widest: dt.timedelta,
    seconds: float,
    stopped_early: bool,
    batches_to_alert: Callable[[str], int | None] = lambda _: None,
) -> DemoSummary:
    """Hold the alerts and the database against the truth.

    An alert belongs to a planted spike of its pair when its windows overlap the spike's time, stretched by the
    `widest` window: a window that holds the end of a spike goes on for up to its width. Else it belongs to a planted
    thing that makes its drug, its reaction or its pair rise then, or that brought half of the cases it names (an upload
    of many reports at once). `planted` is everything that was. `batches_to_alert` says of an alert, by its id, how many
    batches late it was.
    """
    opened = [n for n in notices if n.change == "opened" and n.kind is AlertKind.REACTION_SPIKE]
    planted_spikes = [thing for thing in planted if thing.kind == "spike"]
    traps = [thing for thing in planted if thing.kind != "spike" and thing.pair != (None, None)]
    causes = [
        _cause(notice, planted_spikes, widest) or _cause(notice, traps, widest) or _brought_by(notice, planted)
        for notice in opened
    ]
    spikes = []
    for spike in planted_spikes:
        told = [notice for notice, cause in zip(opened, causes, strict=True) if cause is spike]
        first = min(told, key=lambda notice: notice.time, default=None)
        spikes.append(
            FoundSpike(
                drug=spike.drug or "",
                reaction=spike.reaction or "",
                factor=spike.factor or 1.0,
                planted_reports=spike.reports,
                found=first is not None,
                seconds_to_alert=round((first.time - spike.start).total_seconds(), 1) if first else None,
                batches_to_alert=batches_to_alert(first.alert_id) if first else None,
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
        launches=tuple(
            Launched(thing.drug or "", thing.reports, sum(cause is thing for cause in causes))
            for thing in planted
            if thing.kind == Launch.name
        ),
        trap_alerts=tuple(
            TrapAlert(cause.kind, n.drug or "", n.reaction or "", n.cases or 0, n.expected or 0.0)
            for n, cause in zip(opened, causes, strict=True)
            if cause is not None and cause.kind != "spike"
        ),
        false_alerts=tuple(
            FalseAlert(n.drug or "", n.reaction or "", n.cases or 0, n.expected or 0.0)
            for n, cause in zip(opened, causes, strict=True)
            if cause is None
        ),
        unusual_reports=sum(n.kind is AlertKind.UNUSUAL_REPORT for n in notices),
        pipeline_alerts=tuple(
            n.expectation or "" for n in notices if n.kind is AlertKind.PIPELINE and n.change == "opened"
        ),
        reports_per_second=round(sent / seconds, 1) if seconds > 0 else 0.0,
        stopped_early=stopped_early,
    )


def _cause(notice: AlertNotice, planted: Sequence[Planted], widest: dt.timedelta) -> Planted | None:
    for thing in planted:
        same = thing.drug in (None, notice.drug) and thing.reaction in (None, notice.reaction)
        # FOREVER has no time after it
        if same and notice.since - widest < thing.end and notice.until > thing.start:
            return thing
    return None


def _brought_by(notice: AlertNotice, planted: Sequence[Planted]) -> Planted | None:
    """The thing with most of the cases that the alert names, if it has at least half of them."""
    named = set(notice.safetyreportids)
    most = max(planted, key=lambda thing: len(named.intersection(thing.ids)), default=None)
    return most if most is not None and named and 2 * len(named.intersection(most.ids)) >= len(named) else None
