"""The report stage: events in, judged events out. Decode, expectations, features, forest.

Plain functions over plain values; Spark only carries them to the executors. Every event gets exactly one outcome.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

from expectations.checks import Checker
from expectations.decode import Rejection, decode
from expectations.report import Report
from models.scorer import Scorer
from sql.staging import Accepted, Refused
from streaming.event_time import EventTime

__all__ = ["Event", "Judges", "event_time_ms", "judge"]


@dataclass(frozen=True)
class Event:
    """One event of a partition as the hub gave it."""

    sequence: int
    enqueued_ms: int
    body: bytes = field(repr=False)


@dataclass(frozen=True)
class Judges:
    """What judges reports: the suite, and the champion model if there is one."""

    checker: Checker
    scorer: Scorer | None
    event_time: EventTime


def judge(events: Sequence[Event], judges: Judges) -> list[Accepted | Refused]:
    """One outcome per event, in their order."""
    decoded = [decode(event.body) for event in events]
    reports = [d for d in decoded if isinstance(d, Report)]
    verdicts = judges.checker.check(reports)
    passed = [r for r, critical in zip(reports, verdicts.critical, strict=True) if not critical]
    scores = judges.scorer.score(passed) if judges.scorer is not None and passed else None
    outcomes: list[Accepted | Refused] = []
    checked, scored = 0, 0
    for event, result in zip(events, decoded, strict=True):
        if isinstance(result, Rejection):
            outcomes.append(Refused(event.sequence, event.enqueued_ms, event.body, (str(result.reason),), result.path))
            continue
        critical, warnings = verdicts.critical[checked], verdicts.warnings[checked]
        checked += 1
        if critical:
            outcomes.append(Refused(event.sequence, event.enqueued_ms, event.body, critical))
            continue
        accepted = Accepted(
            sequence=event.sequence,
            enqueued_ms=event.enqueued_ms,
            event_ms=event_time_ms(result, event.enqueued_ms, judges.event_time),
            body=event.body,
            report=result,
            score=float(scores.score[scored]) if scores is not None else None,
            level=int(scores.level[scored]) if scores is not None else None,
            reasons=scores.reasons[scored] if scores is not None else (),
            warnings=warnings,
        )
        scored += 1
        outcomes.append(accepted)
    return outcomes


def event_time_ms(report: Report, enqueued_ms: int, event_time: EventTime) -> int:
    """The moment (UTC ms) a report counts at. Falls back on the hub's time where the report does not say.

    A time after the report was sent is a slip of the pen and must not drive the clock ahead: the hub's counts then.
    """
    if event_time in (EventTime.PAYLOAD, EventTime.REPORTED) and report.receipt_time is not None:
        return max(0, min(int(report.receipt_time.timestamp() * 1000), enqueued_ms))
    if event_time in (EventTime.RECEIVEDATE, EventTime.REPORTED) and report.receivedate is not None:
        midnight = dt.datetime.combine(report.receivedate, dt.time(), dt.UTC)
        return max(0, min(int(midnight.timestamp() * 1000), enqueued_ms))
    return enqueued_ms
