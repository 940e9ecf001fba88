"""A simulated year of reports with planted spikes and every trap of the generator, as arrays of counted cases.

The stream of `generator.stream`, body by body through `expectations.decode`, without hub, Spark and SQL: a case counts
once per (drug, reaction), when it first reached the hub. A function of the plan alone. It takes some ten minutes, so
`load_or_make` keeps it in a folder.
"""

from __future__ import annotations

import datetime as dt
import itertools
import math
import sys
from array import array
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from expectations.decode import decode
from expectations.report import Report
from generator.population import Population
from generator.reports import ReportFactory
from generator.spike import Spike
from generator.stream import stream
from generator.traps.base import Trap
from generator.traps.catalogue import UNTIMED, parse_traps
from generator.traps.later import DayAndWeek
from generator.traps.more import Launch, Publicity, Season
from generator.traps.quality import Decay
from generator.truth import GeneratedReport, Planted, Truth

__all__ = ["DAY_MS", "Plan", "World", "busy_seconds", "count_cases", "draw_spikes", "load_or_make", "make"]

DAY_S, DAY_MS = 86_400, 86_400_000
YEAR_START = dt.datetime(2025, 1, 6, tzinfo=dt.UTC)
"""A Monday."""

REPORTS_PER_S = 0.06
"""Ordinary reports on average, as FAERS has them; some 5,200 a day."""
FACTORS = (2.0, 3.0, 5.0, 8.0, 12.0, 20.0)
SHORTEST_S, LONGEST_S = 6 * 3_600, 14 * DAY_S
FEWEST_EXCESS, MOST_EXCESS = 4.0, 100.0
"""Expected extra cases of a spike."""
NEAR = 1.1
"""A pair is taken for a spike where its usual rate is within this factor of the one asked for."""

TIMED = ((Launch, 0.15, 30), (Season, 0.35, 60), (Publicity, 0.65, 14), (Decay, 0.8, 30))
"""Traps with a time of their own: after which share of the year they begin, and for how many days they go on."""

_TOLD = frozenset({"spike", "rhythm", *(trap.name for trap, _, _ in TIMED)})
"""What is kept of the truth. All else belongs to single reports and is told by their kind."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Plan:
    """What decides a year."""

    seed: int = 1
    days: int = 365
    """Days that are scored."""
    learn_days: int = 105
    """Days before, so that there is something to learn from."""
    spikes: int = 100

    @property
    def started_at(self) -> dt.datetime:
        """When the reports begin."""
        return YEAR_START - dt.timedelta(days=self.learn_days)

    @property
    def rate(self) -> float:
        """Ordinary reports per second at the busiest hours."""
        return REPORTS_PER_S * 7 * DAY_S / busy_seconds(self, 0.0, 7.0 * DAY_S)


@dataclass(frozen=True)
class World:
    """n cases counted for a pair, by the time they first reached the hub, and what was planted."""

    plan: Plan
    event_ms: NDArray[np.int64]
    """(n,) ascending, Unix milliseconds."""
    drug: NDArray[np.int32]
    reaction: NDArray[np.int32]
    case: NDArray[np.int32]
    """(n,) numbers of drug and reaction among the names, and of the case."""
    told_as: NDArray[np.int32]
    """(n,) number of the case's duplicate number, the same for a case that another sender tells again."""
    kind: NDArray[np.uint8]
    """(n,) number among `kinds`: what the body was that brought the case."""
    drugs: tuple[str, ...]
    reactions: tuple[str, ...]
    kinds: tuple[str, ...]
    planted: tuple[Planted, ...]
    """Spikes and the traps with a time of their own."""

    @property
    def spikes(self) -> tuple[Planted, ...]:
        """The planted spikes by their start."""
        return tuple(sorted((thing for thing in self.planted if thing.kind == "spike"), key=lambda t: t.start))

    @property
    def scored_ms(self) -> tuple[int, int]:
        """The scored year: its first moment, and the first after it."""
        start = int(YEAR_START.timestamp() * 1000)
        return start, start + self.plan.days * DAY_MS

    def without(self, kinds: Collection[str]) -> World:
        """The same, had no body of these kinds been counted: as if near duplicates, say, were recognised."""
        kept = ~np.isin(self.kind, [number for number, kind in enumerate(self.kinds) if kind in kinds])
        columns = {
            name: getattr(self, name)[kept] for name in ("event_ms", "drug", "reaction", "case", "told_as", "kind")
        }
        return replace(self, **columns)


@cache
def _level(started_at: dt.datetime) -> Callable[[float], float]:
    return DayAndWeek().level(started_at, float(DAY_S))


def busy_seconds(plan: Plan, start_s: float, end_s: float) -> float:
    """Seconds between two seconds of the stream, each weighed by how busy it is: usual cases are these times a rate.

    Exact, for the rhythm changes on the hour only, and streams begin on one.
    """
    hours = np.arange(math.floor(start_s / 3_600), math.ceil(end_s / 3_600))
    lengths = np.minimum((hours + 1) * 3_600, end_s) - np.maximum(hours * 3_600, start_s)
    level = _level(plan.started_at)
    return float(
        sum(length * level(3_600.0 * float(hour) + 1_800.0) for hour, length in zip(hours, lengths, strict=True))
    )


def draw_spikes(plan: Plan, population: Population) -> tuple[Spike, ...]:
    """Spikes of different pairs in the scored days, with every factor equally often.

    Length and excess are drawn log-uniformly, then a pair of any drug whose usual rate makes that excess. Where there
    is no such pair (a hundred cases more in six hours), they are drawn again.
    """
    rng = np.random.default_rng([plan.seed, 1])
    rates = _Rates(population)
    taken: set[tuple[str, str]] = set()
    spikes = []
    for factor in itertools.islice(itertools.cycle(FACTORS), plan.spikes):
        pair = None
        while pair is None or pair in taken:
            length = round(_log_uniform(rng, SHORTEST_S, min(LONGEST_S, plan.days * DAY_S / 2)))
            start = plan.learn_days * DAY_S + round(rng.uniform(0, plan.days * DAY_S - length))
            usual = _log_uniform(rng, FEWEST_EXCESS, MOST_EXCESS) / (factor - 1.0)
            pair = rates.draw(usual / (plan.rate * busy_seconds(plan, start, start + length)), rng)
        taken.add(pair)
        spikes.append(Spike(*pair, start, length, factor))
    return tuple(spikes)


def _log_uniform(rng: np.random.Generator, least: float, most: float) -> float:
    return math.exp(rng.uniform(math.log(least), math.log(most)))


class _Rates:
    """Share of reports of every pair of a population, worked out drug by drug as they are asked for."""

    def __init__(self, population: Population) -> None:
        self._population = population
        self._drug_rates = np.array([population.drug_rate(drug) for drug in population.drugs])
        self._known: dict[int, Floats] = {}

    def draw(self, wanted: float, rng: np.random.Generator) -> tuple[str, str] | None:
        """A random drug that has such a pair, and one of these; None where no drug has."""
        for drug in rng.permutation(np.flatnonzero(self._drug_rates >= wanted / NEAR)):
            near = np.flatnonzero(np.abs(np.log(self._of(int(drug)) / wanted)) <= math.log(NEAR))
            if near.size:
                return self._population.drugs[drug], self._population.reactions[rng.choice(near)]
        return None

    def _of(self, drug: int) -> Floats:
        if drug not in self._known:
            rates = self._population.expected_rates(self._population.drugs[drug], self._population.reactions)
            self._known[drug] = np.maximum(np.array(rates), 1e-300)
        return self._known[drug]


def traps(plan: Plan) -> tuple[Trap, ...]:
    """Every trap of the catalogue; those with a time of their own have it in the scored days."""
    timed = [
        f"{trap.name}@{plan.learn_days + share * plan.days:g}d+{min(length, plan.days / 5):g}d"
        for trap, share, length in TIMED
    ]
    return parse_traps([*UNTIMED, *timed])


def make(plan: Plan) -> World:
    """Generate the year. Says on stderr how far it is."""
    factory = ReportFactory(Population(), plan.seed)
    lines: list[str] = []
    reports = stream(
        factory,
        rate=plan.rate,
        seconds=float((plan.learn_days + plan.days) * DAY_S),
        spikes=draw_spikes(plan, factory.population),
        traps=traps(plan),
        started_at=plan.started_at,
        truth=(truth := Truth(_only(_TOLD, lines.append))),
    )
    counted = count_cases(_progress(reports, plan))
    truth.finish()
    return World(plan, *counted, planted=Truth.from_json_lines("".join(lines)).planted)


def _only(kinds: frozenset[str], sink: Callable[[str], object]) -> Callable[[str], None]:
    def keep(line: str) -> None:
        if msgspec.json.decode(line).get("kind") in kinds:
            sink(line)

    return keep


def _progress(reports: Iterator[GeneratedReport], plan: Plan) -> Iterator[GeneratedReport]:
    days, day = plan.learn_days + plan.days, -1
    for number, report in enumerate(reports):
        if (passed := (report.received_at - plan.started_at).days) > day:
            day = passed
            print(f"\rgenerating: day {day + 1} of {days}, {number:,} bodies", end="", file=sys.stderr, flush=True)
        yield report
    print(file=sys.stderr)


_Counted = tuple[
    NDArray[np.int64],
    NDArray[np.int32],
    NDArray[np.int32],
    NDArray[np.int32],
    NDArray[np.int32],
    NDArray[np.uint8],
    tuple[str, ...],
    tuple[str, ...],
    tuple[str, ...],
]


def count_cases(reports: Iterator[GeneratedReport]) -> _Counted:
    """Decode bodies, given by time, and count each case once per pair, when it came first: fields of a `World`.

    What does not decode counts for nothing.
    """
    drugs, reactions, kinds, cases, duplicates = (_Numbers() for _ in range(5))
    event_ms, drug, reaction, case, told_as, kind = (array(code) for code in "qiiiiB")
    for generated in reports:
        report = decode(generated.body)
        if not isinstance(report, Report):
            continue
        at, number, of_kind = _ms(generated.received_at), cases[report.safetyreportid], kinds[generated.kind]
        told = duplicates[next(iter(report.duplicate_numbers), f"case {report.safetyreportid}")]
        for drug_name, reaction_name in sorted(report.pairs()):
            event_ms.append(at)
            drug.append(drugs[drug_name])
            reaction.append(reactions[reaction_name])
            case.append(number)
            told_as.append(told)
            kind.append(of_kind)
    rows = [np.frombuffer(column, dtype=column.typecode) for column in (event_ms, drug, reaction, case, told_as, kind)]
    first = _first_of_each(*rows[1:4])
    return (
        rows[0][first].astype(np.int64),
        rows[1][first].astype(np.int32),
        rows[2][first].astype(np.int32),
        rows[3][first].astype(np.int32),
        rows[4][first].astype(np.int32),
        rows[5][first].astype(np.uint8),
        tuple(drugs),
        tuple(reactions),
        tuple(kinds),
    )


class _Numbers(dict[str, int]):
    """Numbers names as they come."""

    def __missing__(self, name: str) -> int:
        self[name] = len(self)
        return self[name]


def _ms(at: dt.datetime) -> int:
    return int(at.timestamp() * 1000)


def _first_of_each(*keys: NDArray[np.int32]) -> NDArray[np.intp]:
    """Places, ascending, at which a combination of keys comes for the first time."""
    if not keys[0].size:
        return np.zeros(0, dtype=np.intp)
    order = np.lexsort(keys)  # stable
    new = np.ones(order.size, dtype=np.bool_)
    new[1:] = np.any([key[order][1:] != key[order][:-1] for key in keys], axis=0)
    return np.sort(order[new])


def load_or_make(plan: Plan, folder: Path) -> World:
    """The year from the folder, made and kept there if it is not yet."""
    name = "-".join(f"{key}{value}" for key, value in asdict(plan).items())
    cases, truth = folder / f"world-{name}.npz", folder / f"world-{name}.jsonl"
    if not (cases.exists() and truth.exists()):
        _save(make(plan), cases, truth)
    planted = Truth.from_json_lines(truth.read_text(encoding="utf-8")).planted
    with np.load(cases) as kept:
        return World(
            plan,
            kept["event_ms"],
            kept["drug"],
            kept["reaction"],
            kept["case"],
            kept["told_as"],
            kept["kind"],
            tuple(kept["drugs"].tolist()),
            tuple(kept["reactions"].tolist()),
            tuple(kept["kinds"].tolist()),
            planted,
        )


def _save(world: World, cases: Path, truth: Path) -> None:
    np.savez_compressed(
        cases,
        event_ms=world.event_ms,
        drug=world.drug,
        reaction=world.reaction,
        case=world.case,
        told_as=world.told_as,
        kind=world.kind,
        drugs=np.array(world.drugs),
        reactions=np.array(world.reactions),
        kinds=np.array(world.kinds),
    )
    truth.write_text("".join(msgspec.json.encode(thing).decode() + "\n" for thing in world.planted), encoding="utf-8")
