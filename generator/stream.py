"""A stream of generated reports: Poisson arrivals, planted spikes and traps, and the truth about them.

Ordinary reports arrive as a Poisson process of `rate` per second. Each spike is a Poisson process of its own,
of rate * expected_rate(pair) * (factor - 1), between its start and its end; so the pair's total rate is factor
times the usual, and everything else stays as it is. What traps do is said in `generator.traps`. All times and bytes
follow from the factory's seed and series, the settings and the start.
"""

from __future__ import annotations

import datetime as dt
import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count as numbers
from itertools import islice

from generator.clock import StreamClock
from generator.reports import Json, ReportFactory
from generator.spike import Spike
from generator.traps.base import Alteration, Arrival, Echo, Extra, Hold, Rhythm, Trap, World
from generator.traps.more import PlantedSpike
from generator.truth import ORDINARY, GeneratedReport, Thing, Truth

__all__ = ["history", "stream"]


def stream(
    factory: ReportFactory,
    *,
    rate: float,
    count: int | None = None,
    seconds: float | None = None,
    spikes: Sequence[Spike] = (),
    traps: Sequence[Trap] = (),
    started_at: dt.datetime,
    clock: StreamClock | None = None,
    day_s: float = 86_400.0,
    truth: Truth | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[GeneratedReport]:
    """Yield reports in the order of their times from `started_at` (aware) on.

    `rate`: ordinary reports per second of the stream's own time, above 0; with a rhythm, at its busiest. `count`,
    `seconds`: end after so many bodies of all kinds, or before so much time has passed; without, never. `clock`: wait
    until it shows each report's time, and catch up without waiting when behind; without one, as fast as taken. `day_s`:
    the length of a day for traps that count in days. `truth` is told the plan at once, and every report as it is
    yielded. `stopped`: asked before each report; True ends the stream.

    Raises at the call, not at the first report: `UnknownNameError` for a spike's unknown name, `ValueError` for a
    rate out of range, a time without zone, or a spike or trap given twice.
    """
    _check(rate, started_at)
    planted = [PlantedSpike(spike) for spike in spikes]
    if len(set(planted)) < len(planted):
        raise ValueError("the same spike is given twice; raise its factor instead")
    if len({trap.name for trap in traps}) < len(traps):
        raise ValueError("the same trap is given twice")
    started_at = started_at.astimezone(dt.UTC)
    world = World(
        factory,
        factory.fork(f"{factory.series}, planted"),
        rate,
        started_at,
        truth if truth is not None else Truth(),
        day_s,
    )
    made = _made(_begin(world, (*planted, *traps)))
    if seconds is not None:
        made = _before(made, world.moment(seconds))
    return _told(_paced(made, clock) if clock is not None else made, world.truth, count, stopped)


def history(
    factory: ReportFactory,
    *,
    rate: float,
    until: dt.datetime,
    length_s: float,
    traps: Sequence[Trap] = (),
    day_s: float = 86_400.0,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[GeneratedReport]:
    """The past, for backfill: reports of the `length_s` seconds before `until`, as fast as taken; else as `stream`.

    Drawn as the series "history" of the factory's population and seed, so a stream that goes on at `until` with
    the same seed does not repeat it.
    """
    _check(rate, until)
    return stream(
        factory.fork("history"),
        rate=rate,
        seconds=length_s,
        traps=traps,
        started_at=until - dt.timedelta(seconds=length_s),
        day_s=day_s,
        stopped=stopped,
    )


def _check(rate: float, moment: dt.datetime) -> None:
    if rate <= 0:
        raise ValueError("rate is a number of reports per second above 0")
    if moment.tzinfo is None:
        raise ValueError("the time of a stream needs a time zone")


@dataclass(frozen=True)
class _Effects:
    """The traps of a stream, begun, by what they do."""

    world: World
    extras: Sequence[Iterator[Arrival]]
    holds: Sequence[tuple[str, Callable[[float, Json], tuple[float, Thing] | None]]]
    echoes: Sequence[Callable[[float, Json, GeneratedReport], Iterable[Arrival]]]


def _begin(world: World, traps: Sequence[Trap]) -> _Effects:
    for rhythm in (trap for trap in traps if isinstance(trap, Rhythm)):
        world = replace(world, level=rhythm.level(world.started_at, world.day_s))
        world.truth.plan(rhythm.plan(world))
    world = replace(world, alterations=[trap.begin(world) for trap in traps if isinstance(trap, Alteration)])
    return _Effects(
        world,
        extras=[trap.begin(world) for trap in traps if isinstance(trap, Extra)],
        holds=[(trap.name, trap.begin(world)) for trap in traps if isinstance(trap, Hold)],
        echoes=[trap.begin(world) for trap in traps if isinstance(trap, Echo)],
    )


def _made(effects: _Effects) -> Iterator[GeneratedReport]:
    """Reports in the order of their delivery."""
    world = effects.world
    tie = numbers()
    waiting: list[tuple[float, int, Arrival]] = []

    def later(arrivals: Iterable[Arrival]) -> None:
        for arrival in arrivals:
            heapq.heappush(waiting, (arrival.second, next(tie), arrival))

    def deliver(arrival: Arrival) -> GeneratedReport:
        return arrival.make(world.moment(arrival.second))

    ordinary = ((second, None) for second in world.poisson(world.factory.source("arrivals"), world.rate))
    extras = (((arrival.second, arrival) for arrival in extra) for extra in effects.extras)
    for second, arrival in heapq.merge(ordinary, *extras, key=lambda timed: timed[0]):
        while waiting and waiting[0][0] <= second:
            yield deliver(heapq.heappop(waiting)[2])
        if arrival is not None:
            yield deliver(arrival)
            continue
        at = world.moment(second)
        report = world.factory.report(at)
        generated = world.report(report, at, ORDINARY)
        held = next(
            (held for name, hold in effects.holds if (held := _held(hold, name, second, report, generated))), None
        )
        if held is not None:
            later([held])
        else:
            yield generated
        delivered = held.second if held is not None else second
        for echo in effects.echoes:
            later(echo(delivered, report, generated))


def _held(
    hold: Callable[[float, Json], tuple[float, Thing] | None],
    name: str,
    second: float,
    report: Json,
    generated: GeneratedReport,
) -> Arrival | None:
    found = hold(second, report)
    if found is None:
        return None
    until, thing = found
    return Arrival(until, lambda at: replace(generated, received_at=at, kind=name, things=(*generated.things, thing)))


def _before(reports: Iterator[GeneratedReport], end: dt.datetime) -> Iterator[GeneratedReport]:
    for report in reports:
        if report.received_at >= end:
            return
        yield report


def _paced(reports: Iterator[GeneratedReport], clock: StreamClock) -> Iterator[GeneratedReport]:
    for report in reports:
        clock.wait_until(report.received_at)
        yield report


def _told(
    reports: Iterator[GeneratedReport], truth: Truth, count: int | None, stopped: Callable[[], bool]
) -> Iterator[GeneratedReport]:
    for report in islice(reports, count):  # which does not wait for one report more
        if stopped():
            return
        truth.record(report)
        yield report
