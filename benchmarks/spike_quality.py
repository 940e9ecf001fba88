"""How early, how seldom wrong and how fast the spike rules are, beside oracles and R's `surveillance`.

    python -m benchmarks.spike_quality --out FOLDER            # minutes
    python -m benchmarks.spike_quality --out FOLDER --full     # 300 series per scenario, R on all of them: hours
    python -m benchmarks.spike_quality --out FOLDER --full --peer-series 0     # without R: minutes

Prints markdown tables; writes them, their numbers and a picture as `simulator.md`, `.json` and `.svg` into the folder.
What R finds is kept there as well, part by part, and read again by the next run: one that was ended goes on.
The simulator is that of Noufaily et al. (2013). `benchmarks.spike_year` is a year of the whole job.

The settings of the default were chosen with seed 7; the tables are of other seeds.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.spike_simulator import (
    FIRST_TEST,
    SCENARIOS,
    TESTED,
    WEEKS,
    YEAR,
    Peers,
    Score,
    Simulated,
    found,
    oracle,
    run_peers,
    score,
    simulate,
)
from models.spikes import Background, CandidateCounts, DetectionRules, Season, SpikeRules, confirm, judge, zscore
from models.spikes.ears import ears_c1, ears_c2, ears_c3

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

LEVEL, EARS_LEVEL = 0.005, 0.001
EQUAL_RATES = (0.001, 0.0053, 0.01)
YEARLY = DetectionRules(seasons=(Season(YEAR),))
FIVE_YEARS = 5 * YEAR
DEFAULT = "default, 260 windows"


@dataclass(frozen=True)
class Rule:
    """A rule that has been run: p, or what is used like one, of every test week."""

    name: str
    p: Floats
    level: float | None
    """Where it alarms by default; None for oracles, which have no default."""

    def alarms(self, level: float | None = None) -> Bools:
        """(n, TESTED) at this level, by default its own."""
        return self.p <= (level if level is not None else self.level or LEVEL)

    def level_for(self, rate: float, simulated: Simulated) -> float:
        """The highest level at which no more than this share of the quiet weeks alarm; 0 where ties allow none."""
        quiet = np.sort(self.p[simulated.outbreak[:, FIRST_TEST:] == 0])
        allowed = int(rate * quiet.size)
        return float(np.nextafter(quiet[allowed], 0.0))

    def at_rate(self, rate: float, simulated: Simulated) -> Score:
        """Its score at the level that gives this false positive rate."""
        return score(self.alarms(self.level_for(rate, simulated)), simulated)


@dataclass
class Report:
    """Markdown on the screen, the same numbers in a file."""

    lines: list[str] = field(default_factory=list)
    numbers: dict[str, object] = field(default_factory=dict)

    def say(self, text: str = "") -> None:
        """Show a line."""
        print(text, flush=True)
        self.lines.append(text)

    def table(self, key: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Show a table and keep its cells under `key`."""
        self.say()
        for cells in (head, ["---"] + ["---:"] * (len(head) - 1), *rows):
            self.say("| " + " | ".join(cells) + " |")
        self.say()
        self.numbers[key] = [dict(zip(head, row, strict=True)) for row in rows]


# The rules on the simulated series


def candidates(simulated: Simulated, week: int, windows: int) -> CandidateCounts:
    """The series as candidates of one test week. Other pairs are steady; the prior rate is the series' own mean."""
    history = simulated.cases[:, week - windows : week]
    steady = np.full_like(history, 1_000_000)
    return CandidateCounts(
        cases=simulated.cases[:, week],
        history=history,
        usable=np.ones(history.shape, dtype=np.bool_),
        drug_history=history,
        reaction_history=steady,
        total_history=steady,
        drug_age_windows=np.full(len(history), week, dtype=np.int64),
    )


def weekly(simulated: Simulated, windows: int, p: Callable[[CandidateCounts], Floats]) -> Floats:
    """(n, TESTED) p of every test week, each judged from the windows before it."""
    return np.stack([p(candidates(simulated, week, windows)) for week in range(FIRST_TEST, WEEKS)], axis=1)


def by_zscore(simulated: Simulated, windows: int) -> Floats:
    """p of the rule of the stream's first release."""
    return weekly(simulated, windows, lambda counts: zscore(counts, SpikeRules(baseline_windows=windows)).p)


def by_judgement(simulated: Simulated, windows: int, rules: DetectionRules) -> dict[str, Floats]:
    """p of the default and of its parts."""
    parts: dict[str, list[Floats]] = {"default": [], "exceedance": [], "scan": []}
    for week in range(FIRST_TEST, WEEKS):
        judged = judge(candidates(simulated, week, windows), rules)
        parts["default"].append(judged.evaluation.p)
        parts["exceedance"].append(judged.exceedance.p)
        parts["scan"].append(judged.scan.p)
    return {name: np.stack(columns, axis=1) for name, columns in parts.items()}


def by_ears(simulated: Simulated, threshold: Callable[..., Floats]) -> Floats:
    """The least alpha of a fine grid at which the week alarms; 1 where it does at none."""
    recent = simulated.cases[:, FIRST_TEST - 30 :]
    least = np.ones((len(recent), TESTED))
    for alpha in [*np.geomspace(0.3, 1e-12, 150), EARS_LEVEL]:
        alarms = (recent > threshold(recent, alpha))[:, -TESTED:]
        least[alarms] = np.minimum(least[alarms], alpha)
    return least


def run_rules(simulated: Simulated) -> list[Rule]:
    """Every rule of ours, and the oracles."""
    long = by_judgement(simulated, FIVE_YEARS, YEARLY)
    rules = [
        Rule("oracle, one week", oracle(simulated, 1), None),
        Rule("oracle, two weeks", oracle(simulated, 2), None),
        Rule(DEFAULT, long["default"], LEVEL),
        Rule("scan alone, 260 windows", long["scan"], LEVEL),
        Rule("exceedance alone, 260 windows", long["exceedance"], LEVEL),
    ]
    for windows in (2 * YEAR, YEAR):
        rules.append(Rule(f"default, {windows} windows", by_judgement(simulated, windows, YEARLY)["default"], LEVEL))
    short = by_judgement(simulated, 28, DetectionRules())
    return [
        *rules,
        Rule("default, 28 windows", short["default"], LEVEL),
        Rule("exceedance alone, 28 windows", short["exceedance"], LEVEL),
        Rule("zscore, 52 windows", by_zscore(simulated, YEAR), LEVEL),
        Rule("zscore, 28 windows", by_zscore(simulated, 28), LEVEL),
        *(
            Rule(f"EARS {name}", by_ears(simulated, threshold), EARS_LEVEL)
            for name, threshold in (("C1", ears_c1), ("C2", ears_c2), ("C3", ears_c3))
        ),
    ]


def flexible_rule(peers: Peers, simulated: Simulated) -> Rule:
    """farringtonFlexible's p, with its own low-count guard, so that it can be held against the others at any rate."""
    recent = sum(simulated.cases[:, FIRST_TEST - back : WEEKS - back] for back in range(4))
    return Rule("R farringtonFlexible", np.where(recent < 5, 1.0, peers.flexible_p), LEVEL)


# Tables


def percent(value: float) -> str:
    """As 0.53%."""
    return f"{100 * value:.2f}%"


def cells(result: Score) -> list[str]:
    """Under HEAD. Ties can forbid a low rate (a baseline without any spread alarms at every level): then none."""
    if result.false_positive_rate == 0.0:
        return ["-"] * len(HEAD)
    return [
        percent(result.false_positive_rate),
        f"{result.detected:.3f}",
        f"{result.at_once:.3f}",
        f"{result.delay:.2f}",
    ]


HEAD = ("FPR", "POD", "POD in its first week", "delay, weeks")


def error_of_share(share: float, n: int) -> float:
    """Standard error."""
    return float(np.sqrt(share * (1.0 - share) / n))


def outbreaks(report: Report, folder: Path, per_scenario: int, peer_series: int, seed: int) -> None:
    """The simulator."""
    simulated = simulate(per_scenario, seed)
    n = len(simulated.k)
    report.say(
        f"## Simulated outbreaks\n\n{len(SCENARIOS)} scenarios x {per_scenario} series = {n:,} series, "
        f"{TESTED} test weeks each, seed {seed}. One standard error of a POD near one half is "
        f"{error_of_share(0.5, n):.3f}."
    )
    rules = run_rules(simulated)
    default = next(rule for rule in rules if rule.name == DEFAULT)
    report.say("\n**At the level each rule alarms at by default** (EARS 0.001, the others 0.005):")
    report.table(
        "default_level",
        ("rule", *HEAD),
        [[rule.name, *cells(score(rule.alarms(), simulated))] for rule in rules if rule.level is not None],
    )
    report.say("**At equal false positive rates**, each rule's level set to meet them on these series:")
    report.table(
        "equal_rates",
        ("rule", *(f"POD at {percent(rate)}" for rate in EQUAL_RATES), *(f"{name} at 0.53%" for name in HEAD[2:])),
        [
            [
                rule.name,
                *(cells(rule.at_rate(rate, simulated))[1] for rate in EQUAL_RATES),
                *cells(rule.at_rate(0.0053, simulated))[2:],
            ]
            for rule in rules
        ],
    )
    report.say("**POD by size k** (cases of the outbreak in standard deviations of a week), at FPR 0.53%:")
    report.table(
        "by_size",
        ("rule", *(str(k) for k in range(1, 11))),
        [
            [rule.name, *(f"{by_k.get(k, float('nan')):.2f}" for k in range(1, 11))]
            for rule in rules
            if rule.at_rate(0.0053, simulated).false_positive_rate > 0.0
            for by_k in [rule.at_rate(0.0053, simulated).by_k]
        ],
    )
    steady = simulated.steady
    report.say(f"**Where there is neither trend nor season** ({int(steady.sum()):,} series), POD at FPR 0.53%:")
    report.table(
        "steady",
        ("rule", *HEAD),
        [
            [rule.name, *cells(replace(rule, p=rule.p[steady]).at_rate(0.0053, simulated.where(steady)))]
            for rule in rules
        ],
    )
    if peer_series:
        beside_r(report, simulated.first(peer_series), default.p, per_scenario, folder / "surveillance")
    weekdays(report, seed)
    speed(report)
    report.numbers["curves"] = {rule.name: curve(rule, simulated) for rule in rules}
    report.numbers["run"] = {
        "series": n,
        "seed": seed,
        "peer_series": peer_series * len(SCENARIOS),
        "rules": dataclasses.asdict(YEARLY),
    }
    draw(folder / "simulator.svg", report.numbers)


def beside_r(report: Report, sample: Simulated, default_p: Floats, per_scenario: int, kept: Path) -> None:
    """R on a sample of the series, all of them in a full run, and our default on the same ones."""
    sampled = np.arange(len(default_p)) % per_scenario < len(sample.k) // len(SCENARIOS)
    ours = Rule(DEFAULT, default_p[sampled], LEVEL)
    peers = run_peers(sample, kept)
    if peers is None:
        report.say("R with `surveillance` is not installed (Debian: `apt-get install r-cran-surveillance`): left out.")
        return
    own = score(peers.flexible, sample)
    ours_there = ours.at_rate(own.false_positive_rate, sample)
    for name, threshold in (("C1", ears_c1), ("C2", ears_c2), ("C3", ears_c3)):
        mine = (sample.cases > threshold(sample.cases, EARS_LEVEL))[:, FIRST_TEST:]
        given = ~np.isnan(peers.ears[name])
        same = int((mine == (peers.ears[name] > 0))[given].sum())
        report.say(f"EARS {name}: our alarms equal R's in {same:,} of the {int(given.sum()):,} weeks that R judges.")
    started = time.process_time()
    by_judgement(sample, FIVE_YEARS, YEARLY)
    ours_per_second = len(sample.k) * TESTED / (time.process_time() - started)
    report.say(f"\n**Beside {peers.version}**, on the same {len(sample.k):,} series:")
    report.table(
        "beside_r",
        ("rule", *HEAD, "series-points per CPU second"),
        [
            ["R farringtonFlexible at 0.005", *cells(own), f"{peers.points_per_second:,.0f}"],
            [f"{DEFAULT}, at the same FPR", *cells(ours_there), f"{ours_per_second:,.0f}"],
            *([f"R EARS {name} at 0.001", *cells(score(ears > 0, sample)), ""] for name, ears in peers.ears.items()),
        ],
    )
    level = ours.level_for(own.false_positive_rate, sample)
    gain = found(ours.alarms(level), sample) - found(peers.flexible, sample)
    gain = gain[~np.isnan(gain)]
    report.say(
        f"Default over farringtonFlexible at its own FPR: POD {gain.mean():+.3f} (paired standard error "
        f"{gain.std() / np.sqrt(gain.size):.3f}), level {level:.4f}; "
        f"{ours_per_second / peers.points_per_second:,.0f} times its speed."
    )
    report.numbers["r_curve"] = curve(flexible_rule(peers, sample), sample)
    alarms = {
        "R farringtonFlexible": peers.flexible,
        **{f"R EARS {name}": ears > 0 for name, ears in peers.ears.items()},
    }
    scores = {name: score(raised, sample) for name, raised in alarms.items()}
    report.numbers["r_points"] = {name: (s.false_positive_rate, s.detected) for name, s in scores.items()}


WEEK = np.array([1.3, 1.3, 1.2, 1.2, 1.2, 0.4, 0.4])
WEEKDAYS = DetectionRules(seasons=(Season(7, 3, 0.2),))


def a_week(n: int, windows: int, usual: float, times: float, seed: int) -> tuple[CandidateCounts, Background, Bools]:
    """n pairs of a system that rests on weekends, the last day `times` the usual; the rest; who is on a weekend."""
    rng = np.random.default_rng([seed, windows, int(usual), int(times)])
    days = (rng.integers(0, 7, (n, 1)) + np.arange(windows + 1)) % 7
    factor = WEEK[days]
    pair = rng.poisson(usual * factor * np.where(np.arange(windows + 1) == windows, times, 1.0))
    drug = pair + rng.poisson(9 * usual * factor)
    reaction = pair + rng.poisson(200 * factor)
    total = drug + reaction + rng.poisson(1800 * factor)
    counts = CandidateCounts(
        cases=pair[:, -1],
        history=pair[:, :-1],
        usable=np.ones((n, windows), dtype=np.bool_),
        drug_history=drug[:, :-1],
        reaction_history=reaction[:, :-1],
        total_history=total[:, :-1],
        drug_age_windows=np.full(n, windows, dtype=np.int64),
    )
    background = Background(
        drug_now=drug[:, -1],
        reaction_now=reaction[:, -1],
        pair_before=pair[:, :-1].sum(axis=1),
        drug_before=drug[:, :-1].sum(axis=1),
        reaction_before=reaction[:, :-1].sum(axis=1),
        all_before=total[:, :-1].sum(axis=1),
        retold=np.zeros((n, 2), dtype=np.int64),
    )
    return counts, background, days[:, -1] >= 5


def weekdays(report: Report, seed: int, n: int = 10_000) -> None:
    """What a season shared by all counts is worth, for daily windows."""
    rules: dict[str, Callable[[CandidateCounts, Background], Floats]] = {
        "zscore": lambda counts, _: zscore(counts, SpikeRules()).p,
        "default, no season": lambda counts, known: confirm(counts, known, DetectionRules()).evaluation.p,
        "default, Season(7, 3, 0.2)": lambda counts, known: confirm(counts, known, WEEKDAYS).evaluation.p,
    }
    rows = []
    for windows, usual in ((28, 3.0), (28, 15.0), (91, 3.0), (91, 15.0)):
        quiet, quiet_known, _ = a_week(n, windows, usual, 1.0, seed)
        spike, spike_known, weekend = a_week(n, windows, usual, 4.0, seed)
        for name, rule in rules.items():
            level = float(np.quantile(rule(quiet, quiet_known), 0.005))
            p = rule(spike, spike_known)
            shares = ((p <= level)[~weekend], (p <= level)[weekend], p <= SpikeRules().open_p)
            rows.append([name, str(windows), f"{usual:.0f}", *(f"{share.mean():.2f}" for share in shares)])
    report.say(f"\n**Daily windows, few reports at weekends**: {n:,} pairs, four times the usual count on one day.")
    head = (
        "rule",
        "windows",
        "usual cases",
        "found on a weekday at FPR 0.5%",
        "at a weekend",
        "at the stream's open level",
    )
    report.table("weekdays", head, rows)


def speed(report: Report, pairs: int = 100_000, windows: int = 28) -> None:
    """A commit's worth of candidates, all at once."""
    rng = np.random.default_rng(0)
    history = rng.poisson(rng.gamma(0.5, 4.0, (pairs, 1)), (pairs, windows)).astype(np.int64)
    counts = CandidateCounts(
        cases=rng.poisson(3, pairs).astype(np.int64),
        history=history,
        usable=np.ones((pairs, windows), dtype=np.bool_),
        drug_history=history * 8,
        reaction_history=history * 30 + 20,
        total_history=np.full((pairs, windows), 1_000_000, dtype=np.int64),
        drug_age_windows=np.full(pairs, windows + 1, dtype=np.int64),
    )
    background = Background(
        drug_now=counts.cases * 8,
        reaction_now=counts.cases * 30 + 20,
        pair_before=history.sum(axis=1),
        drug_before=history.sum(axis=1) * 8,
        reaction_before=history.sum(axis=1) * 30 + 20 * windows,
        all_before=np.full(pairs, 1_000_000 * windows, dtype=np.int64),
        retold=np.zeros((pairs, 2), dtype=np.int64),
    )
    works: dict[str, Callable[[], object]] = {
        "zscore": lambda: zscore(counts, SpikeRules()),
        "default": lambda: judge(counts, DetectionRules()),
        "default with a weekly season": lambda: judge(counts, DetectionRules(seasons=(Season(7, 3, 0.2),))),
        "default with every condition": lambda: confirm(counts, background, DetectionRules()),
    }
    taken = {name: min(_seconds(work) for _ in range(3)) for name, work in works.items()}
    report.say(f"\n**{pairs:,} pairs x {windows} windows**, CPU seconds, best of 3:")
    report.table(
        "speed",
        ("rule", "seconds", "times zscore"),
        [[name, f"{s:.2f}", f"{s / taken['zscore']:.1f}"] for name, s in taken.items()],
    )


def _seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


# The picture

RATES = np.geomspace(0.0005, 0.05, 40)
STYLES = {
    "oracle, one week": ":",
    "oracle, two weeks": (0, (5, 2, 1, 2)),
    "default": "-",
    "scan alone": "--",
    "exceedance alone": "--",
}


def curve(rule: Rule, simulated: Simulated) -> list[tuple[float, float]]:
    """(FPR, POD) over levels that give false positive rates of 0.05% to 5%."""
    scores = [rule.at_rate(float(rate), simulated) for rate in RATES]
    points = {(round(s.false_positive_rate, 6), round(s.detected, 4)) for s in scores if s.false_positive_rate > 0.0}
    return sorted(points)


def draw(path: Path, numbers: Mapping[str, Any]) -> None:
    """POD against FPR. matplotlib comes with MLflow; it is no dependency of ours, so without it there is no picture."""
    try:
        import matplotlib as mpl
    except ModuleNotFoundError:
        print("no matplotlib: no picture")
        return
    mpl.use("svg")
    from matplotlib import pyplot as plt

    plt.rcParams.update({"svg.hashsalt": "spike_quality", "svg.fonttype": "none"})
    figure, axes = plt.subplots(figsize=(9, 6))
    for name, points in numbers["curves"].items():
        look = {"color": "black", "linewidth": 1.0} if name.startswith("oracle") else {"linewidth": 1.3}
        if name == DEFAULT:
            look["linewidth"] = 2.6
        style = STYLES.get(name, STYLES.get(name.split(",")[0], "-."))
        axes.plot(*zip(*points, strict=True), linestyle=style, label=name, **look)
    if "r_curve" in numbers:
        axes.plot(
            *zip(*numbers["r_curve"], strict=True),
            color="crimson",
            linewidth=0.8,
            label="R farringtonFlexible, any level",
        )
        for (name, point), marker in zip(numbers["r_points"].items(), "*os^", strict=True):
            axes.plot(*point, marker, color="crimson", markersize=9, label=name)
    axes.set(xscale="log", xlabel="false positive rate, per series and week", ylabel="outbreaks detected (POD)")
    axes.set_xlim(RATES[0], RATES[-1])
    axes.set_ylim(0, 0.9)
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=7, loc="upper left", ncols=2)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the parts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for numbers and picture")
    parser.add_argument("--full", action="store_true", help="300 series per scenario instead of 60, R on all of them")
    parser.add_argument("--series", type=int, help="series per scenario")
    parser.add_argument("--peer-series", type=int, help="series per scenario that R judges too; 0 leaves R out")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    per_scenario = given.series or (300 if given.full else 60)
    peer_series = given.peer_series if given.peer_series is not None else (per_scenario if given.full else 10)
    given.out.mkdir(parents=True, exist_ok=True)
    report = Report()
    report.say(f"{platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__}")
    outbreaks(report, given.out, per_scenario, min(peer_series, per_scenario), given.seed)
    (given.out / "simulator.json").write_text(json.dumps(report.numbers, indent=1) + "\n", encoding="utf-8")
    (given.out / "simulator.md").write_text("\n".join(report.lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
