"""How surely the demo's spikes are found: its reports with many seeds, judged without hub, Spark and SQL.

    python -m benchmarks.spike_demo                             # 20 seeds, a small spike of 3, 4 and 6 times
    python -m benchmarks.spike_demo --seeds 200 --factor 4

Reports, rate and windows are the demo's. Prints a markdown table, by the size of the smaller spike: how often it and
the great one were found, how long after their start, and what was alerted besides.
"""

from __future__ import annotations

import argparse
import datetime as dt
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from benchmarks.spike_job import Cases, Episode, episodes, find
from benchmarks.spike_world import count_cases
from generator.traps.more import Launch
from generator.truth import GeneratedReport, Planted, Truth
from models.spikes.rule_file import load_rules
from models.spikes.widths import parse_width
from reactionwatch.demonstration.reports import WINDOWS, DemoOptions, DemoReports

STARTED = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Outcome:
    """What became of one demo."""

    seconds: tuple[float | None, ...]
    """From each spike's start to its alert, the smaller spike first; None where missed."""
    launch_alerts: int
    other_alerts: int


def play(options: DemoOptions, factor: float, earlier: Sequence[GeneratedReport]) -> Outcome:
    """One demo, with the smaller spike `factor` times the usual, after the earlier reports that go with its options."""
    truth = Truth()
    counted = count_cases(chain(earlier, DemoReports(options, STARTED).sent(truth, common_factor=factor)))
    event_ms, drug, reaction, _, told_as, _, drugs, reactions, _ = counted
    widths = [parse_width(text) for text in WINDOWS.split(",")]
    ended_ms = int((STARTED.timestamp() + options.seconds) * 1000) + max(widths)
    cases, book = Cases(event_ms, drug, reaction, told_as, ended_ms), load_rules(None)
    long = max(widths), book.of(max(widths)).spikes.baseline_windows
    alerts = episodes({width: find(cases, width, book.of(width), long, (drugs, reactions)) for width in widths})
    spikes = truth.spikes
    launched = {thing.drug for thing in truth.planted if thing.kind == Launch.name}
    others = [one for one in alerts if not any(_of(one, spike) for spike in spikes)]
    of_launch = sum(one.alert.drug in launched for one in others)
    return Outcome(tuple(_seconds(alerts, spike) for spike in spikes), of_launch, len(others) - of_launch)


def _of(episode: Episode, spike: Planted) -> bool:
    return (episode.alert.drug, episode.alert.reaction) == spike.pair


def _seconds(alerts: Sequence[Episode], spike: Planted) -> float | None:
    """An alert before its spike is none of it."""
    start_ms = spike.start.timestamp() * 1000
    opened = [one.opened_ms for one in alerts if _of(one, spike) and one.opened_ms >= start_ms]
    return (opened[0] - start_ms) / 1000 if opened else None


def _row(factor: float, outcomes: Sequence[Outcome]) -> list[str]:
    cells = [f"{factor:g}x"]
    for spike in (0, 1):
        found = [s for outcome in outcomes if (s := outcome.seconds[spike]) is not None]
        when = f"{np.median(found):.0f} ({np.max(found):.0f})" if found else "-"
        cells += [f"{len(found)} of {len(outcomes)}", when]
    return [*cells, *(str(sum(getattr(o, name) for o in outcomes)) for name in ("launch_alerts", "other_alerts"))]


def main(arguments: Sequence[str] | None = None) -> None:
    """See the module's text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20, help="demos of each size")
    parser.add_argument("--factor", type=float, nargs="+", default=[3.0, 4.0, 6.0], help="sizes of the smaller spike")
    parser.add_argument("--rate", type=float, default=DemoOptions.rate, help="ordinary reports per second")
    given = parser.parse_args(arguments)
    outcomes: dict[float, list[Outcome]] = {factor: [] for factor in given.factor}
    for seed in range(given.seeds):
        options = DemoOptions(rate=given.rate, seed=seed)
        earlier = list(DemoReports(options, STARTED).earlier())
        for factor, of_factor in outcomes.items():
            print(f"\rdemo {seed + 1} of {given.seeds}, {factor:g}x", end="", file=sys.stderr, flush=True)
            of_factor.append(play(options, factor, earlier))
    print(file=sys.stderr)
    print("| smaller spike | found | after s, median (most) | great spike | after s | launch alerts | other alerts |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for factor, of_factor in outcomes.items():
        print("| " + " | ".join(_row(factor, of_factor)) + " |")


if __name__ == "__main__":
    main()
