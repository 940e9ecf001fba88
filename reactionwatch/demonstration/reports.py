"""What a demo sends: earlier reports, which say what is usual, then a stream with two spikes, a launch and traps."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from generator.choose import MOST_FACTOR, SMALL_FACTOR, demo_spikes
from generator.clock import StreamClock
from generator.population import Population
from generator.reports import ReportFactory
from generator.stream import history, stream
from generator.traps.base import Rhythm, Trap
from generator.traps.catalogue import UNTIMED, parse_traps
from generator.traps.later import Duplicates
from generator.traps.more import Launch, Publicity, Season
from generator.traps.quality import Broken, Decay
from generator.truth import GeneratedReport, Truth

__all__ = ["HISTORY_SECONDS", "WINDOWS", "DemoOptions", "DemoReports"]

WINDOWS = "5s,30s"
HISTORY_SECONDS = 480.0
_LAUNCH_S = (10.0, 40.0)
"""When a new drug comes, and how long until it is reported as often as it will be."""
_DAY_SECONDS = 20.0
"""Length of a day for traps that count in days: a week in a demo."""


@dataclass(frozen=True)
class DemoOptions:
    """How long, how fast, and which world: what `reactionwatch demo` does unless told otherwise."""

    seconds: float = 120.0
    rate: float = 80.0
    """Ordinary reports per second."""
    seed: int = 0
    traps: bool = False
    """Whether every trap of the generator is on."""


class DemoReports:
    """The reports of one demo. They follow from its options and the moment it starts (aware)."""

    def __init__(self, options: DemoOptions, started: dt.datetime) -> None:
        self._options, self._started = options, started
        self._factory = ReportFactory(Population(), options.seed)
        self._traps = _every_trap() if options.traps else (Broken(), Duplicates(), Launch(*_LAUNCH_S))

    def earlier(self, stopped: Callable[[], bool] = lambda: False) -> Iterator[GeneratedReport]:
        """Those of `HISTORY_SECONDS` before the start, as they would have been sent."""
        return history(
            self._factory,
            rate=self._options.rate,
            until=self._started,
            length_s=HISTORY_SECONDS,
            traps=[trap for trap in self._traps if isinstance(trap, Rhythm)],
            day_s=_DAY_SECONDS,
            stopped=stopped,
        )

    def sent(
        self,
        truth: Truth,
        *,
        common_factor: float | None = None,
        clock: StreamClock | None = None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Iterator[GeneratedReport]:
        """Those sent live; `truth` knows the spikes at once. `common_factor`: another size of the smaller spike."""
        usual_factor = MOST_FACTOR if self._options.traps else SMALL_FACTOR
        return stream(
            self._factory,
            rate=self._options.rate,
            seconds=self._options.seconds,
            spikes=demo_spikes(
                self._factory.population,
                rate=self._options.rate,
                common_factor=usual_factor if common_factor is None else common_factor,
            ),
            traps=self._traps,
            started_at=self._started,
            clock=clock,
            day_s=_DAY_SECONDS,
            truth=truth,
            stopped=stopped,
        )


def _every_trap() -> tuple[Trap, ...]:
    """Those with a time of their own have it within two minutes."""
    timed = (f"{Launch.name}@40+30", f"{Season.name}@30+60", f"{Publicity.name}@75+30", f"{Decay.name}@60+40")
    return parse_traps([*UNTIMED, *timed])
