"""A stream of generated reports: Poisson arrivals, planted spikes on top, and the truth about them.

Ordinary reports arrive as a Poisson process of `rate` per second. Each spike is a Poisson process of its own,
of rate * expected_rate(pair) * (factor - 1), between its start and its end; so the pair's total rate is factor
times the usual, and everything else stays as it is. Broken bodies and resends come on top as well. All times
and bytes follow from the factory's seed and series and from the start.
"""

from __future__ import annotations

import datetime as dt
import heapq
import random
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import count as numbers
from itertools import islice

import msgspec

from generator.broken import broken_bodies
from generator.choose import demo_spikes
from generator.reports import ReportFactory
from generator.spike import Spike
from generator.truth import GeneratedReport, PlantedSpike, Truth, TruthCounts, planted_rate

__all__ = [
    "GeneratedReport",
    "PlantedSpike",
    "Truth",
    "TruthCounts",
    "demo_spikes",
    "history",
    "planted_rate",
    "stream",
]

RESEND_POOL = 500
"""A resend repeats one of this many latest bodies."""


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def stream(
    factory: ReportFactory,
    *,
    rate: float,
    count: int | None = None,
    spikes: Sequence[Spike] = (),
    started_at: dt.datetime,
    paced: bool = True,
    clock: Callable[[], dt.datetime] = _now,
    sleeper: Callable[[float], None] = time.sleep,
    broken_share: float = 0.0,
    duplicate_share: float = 0.0,
    truth: Truth | None = None,
) -> Iterator[GeneratedReport]:
    """Yield reports in the order of their times from `started_at` (aware) on.

    `rate`: ordinary reports per second, above 0. `count`: bodies of all kinds to yield; None never ends.
    `paced`: sleep until each report's time; when behind, catch up without sleeping. Otherwise as fast as taken.
    `broken_share`, `duplicate_share`: broken bodies and resends per ordinary report, 0 to 1.
    `truth` is told the plan at once and every report as it is yielded.

    Raises at the call, not at the first report: `UnknownNameError` for a spike's unknown name, `ValueError` for a
    rate or share out of range, a time without zone, or one spike given twice.
    """
    _check(rate, started_at)
    if not (0 <= broken_share <= 1 and 0 <= duplicate_share <= 1):
        raise ValueError("broken_share and duplicate_share are between 0 and 1")
    if len(set(spikes)) < len(spikes):
        raise ValueError("the same spike is given twice; raise its factor instead")
    told = truth if truth is not None else Truth()
    told.plan(spikes, factory.population, rate, started_at)
    arrivals = _arrivals(factory, rate, spikes)
    made = _made(factory, arrivals, started_at, broken_share, duplicate_share)
    timed = _paced(made, clock, sleeper) if paced else made
    return _told(timed, told, count)


def history(factory: ReportFactory, *, rate: float, until: dt.datetime, length_s: float) -> Iterator[GeneratedReport]:
    """The past, for backfill: ordinary reports of the `length_s` seconds before `until`, as fast as taken.

    Drawn as the series "history" of the factory's population and seed, so a stream that goes on at `until` with
    the same seed does not repeat it.
    """
    _check(rate, until)
    past = factory.fork("history")
    start = until - dt.timedelta(seconds=length_s)
    arrivals = ((second, None) for second in _poisson(past.source("arrivals"), rate, 0.0, length_s))
    return _made(past, arrivals, start, 0.0, 0.0)


def _check(rate: float, moment: dt.datetime) -> None:
    if rate <= 0:
        raise ValueError("rate is a number of reports per second above 0")
    if moment.tzinfo is None:
        raise ValueError("the time of a stream needs a time zone")


_Arrival = tuple[float, Spike | None]


def _poisson(source: random.Random, rate: float, start: float, end: float | None) -> Iterator[float]:
    """Arrival times in seconds of a Poisson process of `rate` per second in [start, end)."""
    second = start
    while True:
        second += source.expovariate(rate)
        if end is not None and second >= end:
            return
        yield second


def _arrivals(factory: ReportFactory, rate: float, spikes: Sequence[Spike]) -> Iterator[_Arrival]:
    def ordinary() -> Iterator[_Arrival]:
        for second in _poisson(factory.source("arrivals"), rate, 0.0, None):
            yield second, None

    def extra(spike: Spike) -> Iterator[_Arrival]:
        per_second = planted_rate(factory.population, rate, spike)
        end = spike.start_s + spike.length_s
        for second in _poisson(factory.source(f"spike {spike}"), per_second, spike.start_s, end):
            yield second, spike

    return heapq.merge(ordinary(), *(extra(spike) for spike in spikes), key=lambda arrival: arrival[0])


def _made(
    factory: ReportFactory,
    arrivals: Iterator[_Arrival],
    started_at: dt.datetime,
    broken_share: float,
    duplicate_share: float,
) -> Iterator[GeneratedReport]:
    source = factory.source("broken and resent")
    broken = _broken(factory)
    earlier: deque[GeneratedReport] = deque(maxlen=RESEND_POOL)
    for second, spike in arrivals:
        received_at = started_at + dt.timedelta(seconds=second)
        report = factory.report(received_at) if spike is None else factory.spiked(spike, received_at)
        generated = GeneratedReport(
            body=msgspec.json.encode(report),
            case_id=report["safetyreportid"],
            received_at=received_at,
            planted=spike,
            kind="ordinary" if spike is None else "planted",
        )
        yield generated
        earlier.append(generated)
        if spike is not None:
            continue
        if source.random() < broken_share:
            case_id, body = next(broken)
            yield GeneratedReport(body, case_id, received_at, None, "broken")
        if source.random() < duplicate_share:
            yield replace(source.choice(earlier), received_at=received_at, planted=None, kind="resent")


def _broken(factory: ReportFactory) -> Iterator[tuple[str, bytes]]:
    """(number to partition by, body) without end, one kind after the other."""
    made = numbers()
    for round_seed in numbers(factory.seed):
        for _, body in broken_bodies(round_seed):
            yield f"broken-{next(made)}", body


def _paced(
    reports: Iterator[GeneratedReport], clock: Callable[[], dt.datetime], sleeper: Callable[[float], None]
) -> Iterator[GeneratedReport]:
    for report in reports:
        ahead = (report.received_at - clock()).total_seconds()
        if ahead > 0:
            sleeper(ahead)
        yield report


def _told(reports: Iterator[GeneratedReport], truth: Truth, count: int | None) -> Iterator[GeneratedReport]:
    for report in islice(reports, count):  # which does not wait for one report more
        truth.record(report)
        yield report
