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
    times = _event_times(events, decoded, judges.event_time)
    reports = [d for d in decoded if isinstance(d, Report)]
    verdicts = judges.checker.check(reports)
    passed = [r for r, critical in zip(reports, verdicts.critical, strict=True) if not critical]
    scores = judges.scorer.score(passed) if judges.scorer is not None and passed else None
    outcomes: list[Accepted | Refused] = []
    checked, scored = 0, 0
    for event, result, time in zip(events, decoded, times, strict=True):
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
            event_ms=time.ms,
            dated=time.dated,
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


@dataclass(frozen=True)
class _Time:
    ms: int
    dated: bool = True
    """False where it is only a guess: such a report must not drive a replay's clock."""


def _event_times(events: Sequence[Event], decoded: Sequence[Report | Rejection], event_time: EventTime) -> list[_Time]:
    """When each event counts. In a replay, one that does not say when counts with its neighbours in the partition.

    The hub's time, which stands in for it in a live stream, is years away from the reports' own there.
    """
    times = [
        event_time_ms(found, event.enqueued_ms, event_time) if isinstance(found, Report) else None
        for event, found in zip(events, decoded, strict=True)
    ]
    near = next((ms for ms in times if ms is not None), None)
    filled = []
    for event, ms in zip(events, times, strict=True):
        near = ms if ms is not None else near
        filled.append(_Time(near if near is not None else event.enqueued_ms, dated=ms is not None))
    return filled


def event_time_ms(report: Report, enqueued_ms: int, event_time: EventTime) -> int | None:
    """The moment (UTC ms) a report counts at; the hub's time where a live stream's report does not say.

    None where a replayed one does not say. A moment after the report was sent is a slip of the pen, and says nothing.
    """
    said = None
    if event_time in (EventTime.PAYLOAD, EventTime.REPORTED) and report.receipt_time is not None:
        said = report.receipt_time
    elif event_time.replays and report.receivedate is not None:
        said = dt.datetime.combine(report.receivedate, dt.time(), dt.UTC)
    ms = max(0, int(said.timestamp() * 1000)) if said is not None else None
    if ms is None or ms > enqueued_ms:
        return None if event_time.replays else enqueued_ms
    return ms
