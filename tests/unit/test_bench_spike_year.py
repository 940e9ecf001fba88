"""The simulated year's own arithmetic: what counts, what is found when, which alerts that makes, what caused them."""

import datetime as dt

import numpy as np
import pytest

from alerts.alert import SpikeFinding
from benchmarks.spike_job import Cases, Found, episodes, find
from benchmarks.spike_world import DAY_MS, FACTORS, NEAR, Plan, World, busy_seconds, count_cases, draw_spikes
from benchmarks.spike_year import NOTHING, SPIKE, cause, oracle, score
from generator.population import Population
from generator.reports import ReportFactory, encode
from generator.truth import FOREVER, ORDINARY, GeneratedReport, Planted
from models.spikes import Background, CandidateCounts, DetectionRules, close_verdict, confirm, evaluate, open_verdict
from models.spikes.rules import Evaluation
from sql.windows import window_start

PLAN = Plan(days=20, learn_days=70, spikes=2)
START_MS, END_MS = 1_736_121_600_000, 1_736_121_600_000 + 20 * DAY_MS
"""The scored days of the plan: from Monday, 6 January 2025."""
HOUR_MS = 3_600_000
LONG = (DAY_MS, 28)
NAMES = ([f"D{n}" for n in range(4)], [f"R{n}" for n in range(4)])


# The world


def test_a_second_counts_for_as_much_as_there_is_traffic():
    monday = 70 * 86_400.0

    assert busy_seconds(PLAN, monday + 43_200, monday + 43_260) == pytest.approx(60.0)
    assert busy_seconds(PLAN, monday + 21_600 - 100, monday + 21_600 + 100) == pytest.approx(140.0)
    assert busy_seconds(PLAN, monday + 5 * 86_400, monday + 6 * 86_400) == pytest.approx(0.35 * 0.8 * 86_400)


@pytest.fixture(scope="module")
def population():
    return Population()


def test_spikes_are_of_different_pairs_in_the_scored_days_with_the_excess_asked_for(population):
    spikes = draw_spikes(PLAN, population)

    assert len({(spike.drug, spike.reaction) for spike in spikes}) == 2
    assert [spike.factor for spike in spikes] == [*FACTORS[:2]]
    for spike in spikes:
        busy = busy_seconds(PLAN, spike.start_s, spike.start_s + spike.length_s)
        excess = PLAN.rate * busy * population.expected_rate(spike.drug, spike.reaction) * (spike.factor - 1.0)
        assert 4.0 / NEAR <= excess <= 100.0 * NEAR
        assert 70 * 86_400 <= spike.start_s < spike.start_s + spike.length_s <= 90 * 86_400


def test_a_case_counts_once_for_a_pair_when_it_first_came_and_is_known_when_told_by_another(population):
    factory = ReportFactory(population, 1)
    at = dt.datetime(2025, 1, 6, tzinfo=dt.UTC)
    later = at + dt.timedelta(hours=1)
    first = factory.report_of(at, "AMBRISENTAN", "Dyspnoea")
    follow_up = encode({**first, "safetyreportversion": "2"})
    another = factory.report_of(later, "AMBRISENTAN", "Dyspnoea")
    another["reportduplicate"] = first["reportduplicate"]

    event_ms, drug, _, case, told_as, kind, drugs, reactions, kinds = count_cases(
        GeneratedReport(body, "1", moment)
        for moment, body in [(at, encode(first)), (later, follow_up), (later, b"{"), (later, encode(another))]
    )

    assert event_ms.tolist() == [at.timestamp() * 1000, later.timestamp() * 1000]
    assert case.tolist() == [0, 1]
    assert told_as.tolist() == [0, 0]
    assert (drugs[drug[0]], reactions, kinds[kind[0]]) == ("AMBRISENTAN", ("DYSPNOEA",), ORDINARY)


# The job


def few_pairs(seed):
    """50 days of 4 drugs with 4 reactions each, some of which go wild for a while, and every eighth case is told again.

    Columns: moment, drug, reaction, duplicate number; and when the days end.
    """
    rng = np.random.default_rng(seed)
    start = 19_000 * DAY_MS + 5 * HOUR_MS
    rows = []
    for drug in range(4):
        for reaction in range(4):
            usual, began = rng.uniform(0.5, 6.0), rng.integers(15, 40)
            for day in range(50):
                times = 5.0 if reaction < 2 and began <= day < began + 6 else 1.0
                for quarter in rng.integers(0, 96, rng.poisson(usual * times)):
                    moment = start + day * DAY_MS + int(quarter) * (HOUR_MS // 4)
                    rows.append((moment, drug, reaction, len(rows)))
                    if rng.random() < 0.125 and day < 45:
                        rows.append((moment + HOUR_MS, drug, reaction, rows[-1][3]))
    return *np.array(sorted(rows)).T, start + 50 * DAY_MS


def by_the_book(at, drug, reaction, told_as, end_ms, width_ms, rules):
    """(window start, drug, reaction, stage) of all findings: window by window, pair by pair, moment by moment."""
    level = rules.spikes
    first = window_start(int(at[0]), width_ms)
    retold = np.zeros(at.size, dtype=bool)
    for case in range(at.size):
        same = (drug == drug[case]) & (reaction == reaction[case]) & (told_as == told_as[case])
        retold[case] = (same & (at < at[case]) & (at >= at[case] - 7 * DAY_MS)).any()
    alarmed, found = set(), set()
    for start in range(first + level.warmup_windows * width_ms, end_ms, width_ms):
        before = start - width_ms * np.arange(level.baseline_windows, 0, -1)
        inside = (at >= start) & (at < start + width_ms)
        just_before = (at >= start - width_ms) & (at < start)
        long_ago = (at >= start - LONG[0] * LONG[1]) & (at < start)
        pairs = sorted(set(zip(drug[inside].tolist(), reaction[inside].tolist(), strict=True)))
        closing = []

        def history(mask, before=before):
            return np.array([[(mask & (at >= s) & (at < s + width_ms)).sum() for s in before]])

        total = history(at >= 0)
        for d, r in pairs:
            of_pair, of_drug, of_reaction = (drug == d) & (reaction == r), drug == d, reaction == r
            teaches = np.array([[(s, d, r) not in alarmed for s in before.tolist()]])
            past = {
                "history": history(of_pair),
                "usable": (before[None] > first) & (total > 0) & teaches,
                "drug_history": history(of_drug),
                "reaction_history": history(of_reaction),
                "total_history": total,
                "drug_age_windows": np.array([(start - window_start(int(at[of_drug].min()), width_ms)) // width_ms]),
            }
            for moment in [*sorted(set(at[inside & of_pair].tolist())), start + width_ms]:
                now = inside & (at <= moment)
                counts = CandidateCounts(cases=np.array([(now & of_pair).sum()]), **past)
                if counts.cases[0] < level.min_cases:
                    continue
                background = Background(
                    drug_now=np.array([(now & of_drug).sum()]),
                    reaction_now=np.array([(now & of_reaction).sum()]),
                    pair_before=np.array([(long_ago & of_pair).sum()]),
                    drug_before=np.array([(long_ago & of_drug).sum()]),
                    reaction_before=np.array([(long_ago & of_reaction).sum()]),
                    all_before=np.array([long_ago.sum()]),
                    retold=np.array([[(when & of_pair & retold).sum() for when in (just_before, now)]]),
                )
                made = confirm(counts, background, rules) if rules.rule == "default" else evaluate(counts, rules)
                if moment == start + width_ms:
                    closing.append((d, r, made))
                elif open_verdict(made.evaluation, made.told_once, level)[0]:
                    found.add((start, d, r, "open"))
        if closing and start + width_ms <= end_ms:
            p, warm = (np.array([getattr(made.evaluation, name)[0] for *_, made in closing]) for name in ("p", "warm"))
            counts = np.array([made.told_once[0] for *_, made in closing])
            passed = close_verdict(Evaluation(p, p, p, p, warm), counts, len(pairs), level)
            found |= {(start, d, r, "closed") for (d, r, _), yes in zip(closing, passed, strict=True) if yes}
        alarmed |= {(start, d, r) for begins, d, r, _ in found if begins == start}
    return found


@pytest.mark.parametrize("rule", ["zscore", "default"])
def test_all_at_once_finds_what_one_window_after_the_other_does(rule):
    *columns, end_ms = few_pairs(3)
    # So few pairs explain each other's spikes: with higher rates hardly any would be found.
    rules = DetectionRules(rule=rule, launch_rate=0.001, season_rate=0.001)

    found = find(Cases(*columns, end_ms), DAY_MS, rules, LONG, NAMES)

    seen = {(f.finding.window_start, f.finding.drug_id, f.finding.reaction_id, f.finding.stage) for f in found}
    assert len(seen) > 10
    assert seen == by_the_book(*columns, end_ms, DAY_MS, rules)


def test_an_open_window_is_found_at_the_case_that_is_too_many():
    quiet = [START_MS + day * DAY_MS + 9 * HOUR_MS for day in range(40) for _ in range(2)]
    wild = [START_MS + 40 * DAY_MS + minute * 60_000 for minute in range(60)]
    at = np.array(quiet + wild)
    zeros = np.zeros(at.size, dtype=np.int64)
    cases = Cases(at, zeros, zeros, np.arange(at.size), START_MS + 42 * DAY_MS)

    first = min(find(cases, DAY_MS, DetectionRules(rule="zscore"), LONG, NAMES), key=lambda found: found.at_ms)

    assert first.finding.stage == "open"
    assert first.at_ms == wild[first.finding.cases - 1]
    assert first.finding.cases < 30


# Alerts


def finding(start_ms, **changes):
    values = {
        "width_ms": HOUR_MS,
        "window_start": start_ms,
        "drug_id": 0,
        "drug": "D0",
        "reaction_id": 0,
        "reaction": "R0",
        "cases": 9,
        "expected": 0.5,
        "spread": 0.8,
        "z": 7.0,
        "p": 1e-8,
        "stage": "open",
        "alertable": True,
    }
    return SpikeFinding(**(values | changes))


def alerts_at(*starts_ms, width_ms=HOUR_MS, **changes):
    found = [Found(start + width_ms // 2, finding(start, width_ms=width_ms, **changes)) for start in starts_ms]
    return episodes({width_ms: found})


def test_windows_in_a_row_are_one_alert_and_quiet_ones_between_them_end_it():
    made = alerts_at(START_MS, START_MS + HOUR_MS, START_MS + 9 * HOUR_MS)

    assert [episode.opened_ms for episode in made] == [START_MS + HOUR_MS // 2, START_MS + 9 * HOUR_MS + HOUR_MS // 2]
    assert made[0].alert.last_alarm_end == START_MS + 2 * HOUR_MS


def test_an_alert_is_found_by_the_narrowest_width_of_its_first_findings():
    wide, narrow = finding(START_MS, width_ms=DAY_MS), finding(START_MS)

    (made,) = episodes({DAY_MS: [Found(START_MS + 1, wide)], HOUR_MS: [Found(START_MS + 1, narrow)]})

    assert made.first == narrow
    assert made.alert.widths == (HOUR_MS, DAY_MS)


def world(*planted, kinds=(ORDINARY,), cases=0):
    """A case of D0 and R0 every minute from the start on, in turn of these kinds."""
    return World(
        PLAN,
        event_ms=START_MS + 60_000 * np.arange(cases),
        drug=np.zeros(cases, dtype=np.int32),
        reaction=np.zeros(cases, dtype=np.int32),
        case=np.arange(cases, dtype=np.int32),
        told_as=np.arange(cases, dtype=np.int32),
        kind=(np.arange(cases) % len(kinds)).astype(np.uint8),
        drugs=("D0",),
        reactions=("R0",),
        kinds=kinds,
        planted=planted,
    )


def thing(kind, start_h, end_h=None, **changes):
    def at(hours):
        return dt.datetime.fromtimestamp(START_MS / 1000 + hours * 3_600, dt.UTC)

    return Planted(kind=kind, start=at(start_h), end=at(end_h) if end_h is not None else FOREVER, **changes)


def test_an_alert_is_caused_by_the_spike_of_its_pair_that_it_overlaps():
    spike = thing(SPIKE, 2, 30, drug="D0", reaction="R0")
    during, after, before = (alerts_at(START_MS + hour * HOUR_MS)[0] for hour in (5, 40, 0))

    assert cause(during, world(spike, cases=3_000)).spike == spike
    assert cause(after, world(spike, cases=3_000)).spike is None
    assert cause(before, world(spike, cases=3_000)).spike is None


def test_an_alert_in_the_window_after_a_spike_is_caused_by_it():
    (episode,) = alerts_at(START_MS + HOUR_MS)

    assert cause(episode, world(thing(SPIKE, 0, 0.9, drug="D0", reaction="R0"))).cause == SPIKE


def test_a_rise_of_the_whole_drug_explains_an_alert():
    (episode,) = alerts_at(START_MS)

    assert cause(episode, world(thing("launch", -5, drug="D0"), cases=9)).cause == "launch"
    assert cause(episode, world(thing("launch", -5, drug="D1"), cases=9)).cause == NOTHING


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [(("nightly_batch",), "nightly_batch"), (("late", ORDINARY), "late"), (("late", ORDINARY, ORDINARY), NOTHING)],
)
def test_what_brought_half_of_the_cases_explains_an_alert(kinds, expected):
    (episode,) = alerts_at(START_MS)

    assert cause(episode, world(kinds=kinds, cases=12)).cause == expected


# The score


def test_recall_precision_and_the_alerts_of_the_scored_days_only():
    spikes = [thing(SPIKE, 0, 30, drug="D0", reaction="R0"), thing(SPIKE, 0, 30, drug="D1", reaction="R0")]
    made = alerts_at(START_MS - 9 * HOUR_MS, START_MS + HOUR_MS, START_MS + 48 * HOUR_MS)

    scored = score("rules", made, world(*spikes, cases=3_000), 0.0)

    assert len(scored.alerts) == 2
    assert scored.precision == 0.5
    assert [scored.found(spike) for spike in spikes] == [True, False]


def test_the_oracle_holds_the_cases_in_the_span_against_the_usual_ones():
    spike = thing(SPIKE, 10, 10.5, drug="D0", reaction="R0", expected_per_s=1 / 1_800)
    quiet, busy = world(spike, cases=601), world(spike, cases=700)

    assert oracle(spike, quiet) == pytest.approx(1.0 - np.exp(-1.0))
    assert oracle(spike, busy) < 1e-20
