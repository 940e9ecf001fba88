"""How the spike detection does its job for a simulated year: what it finds, how late, and how often it cries wolf.

    python -m benchmarks.spike_year --out FOLDER            # a quarter of an hour, most of it to make the year
    python -m benchmarks.spike_year --out FOLDER --full     # every rule set
    python -m benchmarks.spike_year --out FOLDER --rules default --seed 2 3

FAERS's rate of reports, with spikes planted whose every case is known, and every trap of the generator. Rule sets are
compared on the same reports. Prints markdown tables and writes them into the folder as `year.md`, with all alerts and
what caused them in `alerts.csv`. The year is kept in the folder and read again by the next run.
"""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import poisson

from alerts.alert import SpikeFinding
from benchmarks.spike_job import Cases, Episode, Found, episodes, find
from benchmarks.spike_world import DAY_MS, FACTORS, Plan, World, busy_seconds, load_or_make
from generator.truth import ORDINARY, Planted
from models.spikes import DetectionRules
from models.spikes.rule_file import load_rules
from models.spikes.settings import Season

__all__ = ["Judged", "Score", "cause", "main", "oracle", "score"]

HOUR_MS = 3_600_000
WIDTHS = {
    "15 m": HOUR_MS // 4,
    "1 h": HOUR_MS,
    "6 h": 6 * HOUR_MS,
    "1 d": DAY_MS,
    "3 d": 3 * DAY_MS,
    "7 d": 7 * DAY_MS,
}
SPIKE, NOTHING = "spike", "nothing"
EXCESS = ((0, 5), (5, 10), (10, 20), (20, 50), (50, 1_000_000))
"""Groups of extra cases: from, and below."""
CLEAR_FACTOR, CLEAR_EXCESS = 5.0, 5
"""What the targets are about."""
ORACLE_LEVELS = (1e-4, 1e-6)

Key = tuple[str | None, str | None, dt.datetime]
"""Drug, reaction and start of a spike."""
RuleSet = Mapping[str, DetectionRules]
"""By the name of the width; others are not watched."""


_PACKAGED = load_rules(None)
DEFAULT = {label: _PACKAGED.of(WIDTHS[label]) for label in ("15 m", "1 h", "6 h", "1 d", "7 d")}
NEVER = 1e-300
RULE_SETS: dict[str, RuleSet] = {
    "zscore": dict.fromkeys(DEFAULT, DetectionRules(rule="zscore")),
    "default": DEFAULT,
    "whatever the drug's total": {label: replace(rules, launch_rate=NEVER) for label, rules in DEFAULT.items()},
    "whatever the reaction's total": {label: replace(rules, season_rate=NEVER) for label, rules in DEFAULT.items()},
    "the usual rules for every width": dict.fromkeys(DEFAULT, _PACKAGED.usual),
    "without 6 h": {label: rules for label, rules in DEFAULT.items() if label != "6 h"},
}
"""Launches and seasons that never come are not looked for."""
SLOW: dict[str, RuleSet] = {
    "with 3 d": {
        **DEFAULT,
        "3 d": replace(
            DEFAULT["1 d"],
            spikes=replace(DEFAULT["1 d"].spikes, baseline_windows=60),
            seasons=(Season(7 / 3, 1, 0.2),),
        ),
    },
    "a week of hours": {
        **DEFAULT,
        "1 h": replace(
            DEFAULT["1 h"],
            spikes=replace(DEFAULT["1 h"].spikes, baseline_windows=168),
            seasons=(Season(24, 3, 0.2),),
        ),
    },
}


@dataclass(frozen=True)
class Judged:
    """An alert and what made it: `SPIKE`, a trap's name, or `NOTHING`."""

    episode: Episode
    cause: str
    spike: Planted | None = None


def cause(episode: Episode, world: World) -> Judged:
    """A planted spike of its pair, else a rise of its drug or reaction, else what brought half of its first window.

    The time must fit: an alert overlaps its cause, stretched by the alert's widest window, for the window after one
    with the end of a spike may be taken together with it; and it opens after its cause began.
    """
    alert = episode.alert
    for thing in sorted(world.planted, key=lambda thing: thing.kind != SPIKE):
        same = thing.drug in (None, alert.drug) and thing.reaction in (None, alert.reaction)
        if not same or thing.pair == (None, None) or episode.opened_ms < _ms(thing.start):
            continue
        # FOREVER has no time after it
        if alert.since - max(alert.widths) < _ms(thing.end) and alert.last_alarm_end > _ms(thing.start):
            return Judged(episode, thing.kind, thing if thing.kind == SPIKE else None)
    return Judged(episode, _brought_by(episode.first, world))


def _brought_by(first: SpikeFinding, world: World) -> str:
    rows = _rows(world, first.drug, first.reaction, first.start, first.window_end)
    kinds = Counter(world.kinds[kind] for kind in world.kind[rows])
    kind, most = kinds.most_common(1)[0]
    return kind if kind != ORDINARY and 2 * most >= kinds.total() else NOTHING


def _rows(world: World, drug: str | None, reaction: str | None, start_ms: int, end_ms: int) -> NDArray[np.intp]:
    """Places of the cases of a pair in [start, end)."""
    first, last = np.searchsorted(world.event_ms, [start_ms, end_ms])
    of_drug = world.drug[first:last] == world.drugs.index(drug or "")
    of_reaction = world.reaction[first:last] == world.reactions.index(reaction or "")
    return int(first) + np.flatnonzero(of_drug & of_reaction)


def _ms(at: dt.datetime) -> int:
    return int(at.timestamp() * 1000)


@dataclass(frozen=True)
class Score:
    """What one rule set did in the scored year."""

    name: str
    days: int
    spikes: tuple[Planted, ...]
    alerts: tuple[Judged, ...]
    """Those that opened in the scored year."""
    seconds: float
    """It took."""

    @property
    def true(self) -> list[Judged]:
        """Alerts that a planted spike caused."""
        return [judged for judged in self.alerts if judged.spike is not None]

    @property
    def false(self) -> list[Judged]:
        """All others."""
        return [judged for judged in self.alerts if judged.spike is None]

    @property
    def precision(self) -> float:
        """Share of the alerts that a planted spike caused; NaN without alerts."""
        return len(self.true) / len(self.alerts) if self.alerts else float("nan")

    @property
    def first_of(self) -> dict[Key, Judged]:
        """The first alert of each spike that was found."""
        return {_key(judged.spike): judged for judged in reversed(self.alerts) if judged.spike is not None}

    def found(self, spike: Planted) -> bool:
        """Whether an alert told of it."""
        return _key(spike) in self.first_of


def _key(spike: Planted) -> Key:
    return spike.drug, spike.reaction, spike.start


def score(name: str, made: Sequence[Episode], world: World, seconds: float) -> Score:
    """Judge the alerts that opened in the scored year."""
    start, end = world.scored_ms
    inside = [episode for episode in made if start <= episode.opened_ms < end]
    return Score(name, world.plan.days, world.spikes, tuple(cause(episode, world) for episode in inside), seconds)


def together(scores: Sequence[Score]) -> Score:
    """What one rule set did in several years."""
    return Score(
        scores[0].name,
        sum(s.days for s in scores),
        tuple(spike for s in scores for spike in s.spikes),
        tuple(judged for s in scores for judged in s.alerts),
        sum(s.seconds for s in scores),
    )


def oracle(spike: Planted, world: World) -> float:
    """p of one who knows the usual rate and the very span: P(X >= cases in it), X Poisson (no rule can know more)."""
    start, end = ((at - world.plan.started_at).total_seconds() for at in (spike.start, spike.end))
    usual = (spike.expected_per_s or 0.0) * busy_seconds(world.plan, start, end)
    cases = _rows(world, spike.drug, spike.reaction, _ms(spike.start), _ms(spike.end)).size
    return float(poisson.sf(cases - 1, usual))


# Tables


@dataclass
class Report:
    """Markdown on the screen and in a file."""

    lines: list[str] = field(default_factory=list)

    def say(self, text: str = "") -> None:
        """Show a line."""
        print(text, flush=True)
        self.lines.append(text)

    def table(self, title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Show a table under its title."""
        self.say(f"\n{title}\n")
        for cells in (head, ["---"] + ["---:"] * (len(head) - 1), *rows):
            self.say("| " + " | ".join(cells) + " |")


def tables(report: Report, scores: Sequence[Score], oracles: Mapping[Key, float]) -> None:
    """Everything, with the rule sets below each other. `oracles`: p of each spike."""
    _summary(report, scores)
    _recall(report, scores, oracles, "factor", {f"{factor:g}x": _with_factor(factor) for factor in FACTORS})
    groups = {f"{a} to {b - 1}" if b < EXCESS[-1][1] else f"{a} and more": _with_excess(a, b) for a, b in EXCESS}
    _recall(report, scores, oracles, "extra cases sent", groups)
    causes = [name for name, _ in Counter(judged.cause for s in scores for judged in s.false).most_common()]
    report.table(
        "**False alerts by their cause**, in all that time:",
        ("rules", *(name.replace("_", " ") for name in causes)),
        [[s.name, *_counts(Counter(judged.cause for judged in s.false), causes)] for s in scores],
    )
    widths = list(WIDTHS.values())
    report.table(
        "**False alerts by the width that found them first**, and in brackets those without any cause:",
        ("rules", *WIDTHS),
        [
            [
                s.name,
                *(
                    f"{_of_width(s.false, width)} ({_of_width([j for j in s.false if j.cause == NOTHING], width)})"
                    for width in widths
                ),
            ]
            for s in scores
        ],
    )
    report.table(
        "**Delay** from a spike's start to its alert, over those found, and how many were found by which width first, "
        "with the median delay in windows of it:",
        ("rules", "median, hours", "90%, hours", *WIDTHS),
        [[s.name, *_delays(s)] for s in scores],
    )


def _summary(report: Report, scores: Sequence[Score]) -> None:
    clear = [spike for spike in scores[0].spikes if _is_clear(spike)]
    report.table(
        f"**All in all.** {len(clear)} spikes are clear: at least {CLEAR_FACTOR:g} times the usual rate, with at least "
        f"{CLEAR_EXCESS} extra cases. EMA's published precision is 1.29% (2018, minimum count 5).",
        ("rules", "alerts", "caused by a spike", "precision", "false a day", "recall", "recall, clear", "seconds"),
        [
            [
                s.name,
                f"{len(s.alerts):,}",
                f"{len(s.true):,}",
                f"{100 * s.precision:.1f}%",
                f"{len(s.false) / s.days:.2f}",
                _share([s.found(spike) for spike in s.spikes]),
                _share([s.found(spike) for spike in clear]),
                f"{s.seconds:.0f}",
            ]
            for s in scores
        ],
    )


def _recall(
    report: Report,
    scores: Sequence[Score],
    oracles: Mapping[Key, float],
    what: str,
    groups: Mapping[str, Callable[[Planted], bool]],
) -> None:
    groups = {"clear": _is_clear, **groups}
    spikes = scores[0].spikes

    def knows(level: float) -> Callable[[Planted], bool]:
        return lambda spike: oracles[_key(spike)] <= level

    finders = {f"oracle at {level:g}": knows(level) for level in ORACLE_LEVELS}
    finders.update({s.name: s.found for s in scores})
    report.table(
        f"**Recall by {what}**; the oracle knows the usual rate and the exact span:",
        ("rules", *groups),
        [
            [name, *(_share([finds(spike) for spike in spikes if belongs(spike)]) for belongs in groups.values())]
            for name, finds in finders.items()
        ],
    )


def _is_clear(spike: Planted) -> bool:
    return (spike.factor or 0.0) >= CLEAR_FACTOR and spike.reports >= CLEAR_EXCESS


def _with_factor(factor: float) -> Callable[[Planted], bool]:
    return lambda spike: spike.factor == factor


def _with_excess(least: int, below: int) -> Callable[[Planted], bool]:
    return lambda spike: least <= spike.reports < below


def _share(hits: Sequence[bool]) -> str:
    return f"{sum(hits)}/{len(hits)}" + (f" ({100 * sum(hits) / len(hits):.0f}%)" if len(hits) else "")


def _counts(counted: Mapping[str, int], names: Sequence[str]) -> list[str]:
    return [f"{counted.get(name, 0):,}" for name in names]


def _of_width(alerts: Sequence[Judged], width_ms: int) -> int:
    return sum(judged.episode.first.width_ms == width_ms for judged in alerts)


def _delays(s: Score) -> list[str]:
    delays = {
        judged: judged.episode.opened_ms - _ms(judged.spike.start)
        for judged in s.first_of.values()
        if judged.spike is not None
    }
    if not delays:
        return ["-"] * (2 + len(WIDTHS))
    hours = np.array(list(delays.values())) / 3_600_000
    cells = [f"{np.median(hours):.1f}", f"{np.quantile(hours, 0.9):.1f}"]
    for width in WIDTHS.values():
        windows = [delay / width for judged, delay in delays.items() if judged.episode.first.width_ms == width]
        cells.append(f"{len(windows)} ({np.median(windows):.2f})" if windows else "0")
    return cells


def write_alerts(path: Path, scores: Sequence[Score]) -> None:
    """Every alert of the scored year, by what it was found and what caused it."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(
            ("rules", "cause", "drug", "reaction", "opened", "width_h", "stage", "cases", "expected", "z", "p")
        )
        for s in scores:
            for judged in s.alerts:
                first = judged.episode.first
                opened = dt.datetime.fromtimestamp(judged.episode.opened_ms / 1000, dt.UTC)
                width = first.width_ms / 3_600_000
                seen = (first.cases, f"{first.expected:.3f}", f"{first.z:.2f}", f"{first.p:.3g}")
                rows.writerow(
                    (s.name, judged.cause, first.drug, first.reaction, f"{opened:%F %T}", width, first.stage, *seen)
                )


def run(world: World, chosen: Mapping[str, RuleSet]) -> list[Score]:
    """Every rule set on the same year; what two of them have in common is worked out once."""
    cases = Cases(world.event_ms, world.drug, world.reaction, world.told_as, world.scored_ms[1])
    known: dict[tuple[str, DetectionRules, tuple[int, int]], tuple[list[Found], float]] = {}
    scores = []
    for name, of_width in chosen.items():
        widest = max(of_width, key=lambda label: WIDTHS[label])
        long = WIDTHS[widest], of_width[widest].spikes.baseline_windows
        parts = {}
        for label, rules in of_width.items():
            if (label, rules, long) not in known:
                print(f"{name}: {label}", file=sys.stderr, flush=True)
                started = time.process_time()
                found = find(cases, WIDTHS[label], rules, long, (world.drugs, world.reactions))
                known[label, rules, long] = found, time.process_time() - started
            parts[WIDTHS[label]] = known[label, rules, long]
        made = episodes({width_ms: found for width_ms, (found, _) in parts.items()})
        scores.append(score(name, made, world, sum(seconds for _, seconds in parts.values())))
    return scores


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the year, judge it, and tell."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the year and the tables")
    parser.add_argument("--seed", type=int, nargs="+", default=[Plan.seed], help="a year for each, counted together")
    parser.add_argument("--days", type=int, default=Plan.days, help="days that are scored")
    parser.add_argument("--learn-days", type=int, default=Plan.learn_days, help="days before them")
    parser.add_argument("--spikes", type=int, default=Plan.spikes, help="spikes that are planted")
    parser.add_argument("--without", nargs="+", default=[], help="traps whose cases are not counted")
    parser.add_argument("--retold", action="store_true", help="take a case that is told again for another one")
    parser.add_argument("--rules", nargs="+", choices=[*RULE_SETS, *SLOW], help="rule sets to compare")
    parser.add_argument("--full", action="store_true", help="with the rule sets that take long")
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    offered = {**RULE_SETS, **SLOW}
    chosen = {name: offered[name] for name in given.rules or (offered if given.full else RULE_SETS)}
    report = Report()
    oracles: dict[Key, float] = {}
    years = []
    for seed in given.seed:
        plan = Plan(seed=seed, days=given.days, learn_days=given.learn_days, spikes=given.spikes)
        world = load_or_make(plan, given.out).without(given.without)
        if given.retold:
            world = replace(world, told_as=world.case)
        report.say(
            f"{plan.days} days after {plan.learn_days} to learn from, seed {plan.seed}: "
            f"{np.unique(world.case).size:,} cases, {world.event_ms.size:,} counted for a pair, {len(world.spikes)} "
            f"spikes with {sum(spike.reports for spike in world.spikes):,} extra cases; every trap is on"
            + (f", nothing is counted of {', '.join(given.without)}" if given.without else "")
            + (", cases told again are not known." if given.retold else ".")
        )
        years.append(run(world, chosen))
        oracles.update({_key(spike): oracle(spike, world) for spike in world.spikes})
    scores = [together(of_rules) for of_rules in zip(*years, strict=True)]
    tables(report, scores, oracles)
    (given.out / "year.md").write_text("\n".join(report.lines) + "\n", encoding="utf-8")
    write_alerts(given.out / "alerts.csv", scores)


if __name__ == "__main__":
    main()
