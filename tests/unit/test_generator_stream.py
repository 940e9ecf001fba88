from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import pytest

from expectations.decode import decode
from expectations.report import Report
from generator.choose import demo_spikes
from generator.clock import StreamClock
from generator.population import Population, UnknownNameError
from generator.reports import ReportFactory
from generator.spike import Spike
from generator.stream import history, stream
from generator.traps.later import Duplicates
from generator.traps.more import planted_rate
from generator.traps.quality import Broken
from generator.truth import GeneratedReport, Truth

START = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
DYSPHONIA = Spike("Letairis", "Dysphonia", 20, 30, 10)
HEADACHE = Spike("TECFIDERA", "Headache", 30, 40, 8)


class FakeClock:
    """Time that passes by sleeping, and by `taking` seconds for every report taken."""

    def __init__(self, taking: float = 0.0) -> None:
        self.now = START
        self.taking = taking
        self.slept: list[float] = []

    def __call__(self) -> dt.datetime:
        return self.now

    def of_stream(self) -> StreamClock:
        return StreamClock(now=self, sleeper=self.sleep)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += dt.timedelta(seconds=seconds)

    def work(self) -> None:
        self.now += dt.timedelta(seconds=self.taking)


@pytest.fixture(scope="module")
def population() -> Population:
    return Population()


def unpaced(
    population: Population, seconds: float, *, rate: float = 40.0, seed: int = 5, **options: Any
) -> list[GeneratedReport]:
    """All reports of the first `seconds`."""
    reports = stream(ReportFactory(population, seed), rate=rate, started_at=START, **options)
    return list(until(reports, START + dt.timedelta(seconds=seconds)))


def until(reports: Iterator[GeneratedReport], end: dt.datetime) -> Iterator[GeneratedReport]:
    for report in reports:
        if report.received_at >= end:
            return
        yield report


def pairs(reports: Sequence[GeneratedReport]) -> Counter[tuple[str, str]]:
    counts: Counter[tuple[str, str]] = Counter()
    for generated in reports:
        report = decode(generated.body)
        assert isinstance(report, Report)
        counts.update(report.pairs())
    return counts


def test_the_same_seed_and_start_give_the_same_stream(population: Population) -> None:
    options = {"spikes": [DYSPHONIA], "traps": [Broken(0.1), Duplicates(0.1)]}
    assert unpaced(population, 40, **options) == unpaced(population, 40, **options)


def test_another_seed_gives_another_stream(population: Population) -> None:
    assert [r.received_at for r in unpaced(population, 1)] != [r.received_at for r in unpaced(population, 1, seed=6)]


def test_reports_come_in_the_order_of_their_times_at_the_rate_asked_for(population: Population) -> None:
    times = [report.received_at for report in unpaced(population, 30, spikes=[DYSPHONIA])]
    assert times == sorted(times)
    assert times[0] > START
    assert abs(len(times) - 30 * 40) < 5 * 1_200**0.5


def test_body_case_and_time_of_a_report_agree(population: Population) -> None:
    for generated in unpaced(population, 3):
        report = decode(generated.body)
        assert isinstance(report, Report)
        assert report.safetyreportid == generated.case_id
        assert report.receipt_time == generated.received_at.replace(microsecond=0)


def test_planted_reports_fall_between_start_and_end_and_count_for_their_pair_only(population: Population) -> None:
    planted = [r for r in unpaced(population, 90, spikes=[DYSPHONIA, HEADACHE]) if r.kind == "spike"]
    seconds = {
        spike: [(r.received_at - START).total_seconds() for r in planted if reaction in r.things[0].plan.pair]
        for spike, reaction in ((DYSPHONIA, "DYSPHONIA"), (HEADACHE, "HEADACHE"))
    }
    assert all(20 <= second < 50 for second in seconds[DYSPHONIA])
    assert all(30 <= second < 70 for second in seconds[HEADACHE])
    assert set(pairs(planted)) == {("AMBRISENTAN", "DYSPHONIA"), ("TECFIDERA", "HEADACHE")}


def test_the_planted_excess_is_factor_minus_one_times_the_usual(population: Population) -> None:
    long = Spike("Letairis", "Dysphonia", 0, 3_600, 6)
    usual = 100 * population.expected_rate("Letairis", "Dysphonia")
    reports = stream(ReportFactory(population, 5), rate=100, started_at=START, spikes=[long])
    taken = list(islice(reports, 5_000))
    seconds = (taken[-1].received_at - START).total_seconds()
    planted = sum(report.kind == "spike" for report in taken)
    assert planted_rate(population, 100, long) == pytest.approx(5 * usual)
    assert abs(planted - 5 * usual * seconds) < 4 * (5 * usual * seconds) ** 0.5
    pair = pairs(taken)[("AMBRISENTAN", "DYSPHONIA")]
    assert abs(pair - 6 * usual * seconds) < 4 * (6 * usual * seconds) ** 0.5


def test_truth_tells_what_was_handed_out(population: Population) -> None:
    truth = Truth()
    reports = unpaced(population, 60, spikes=[DYSPHONIA, HEADACHE], traps=[Broken(0.05), Duplicates(0.05)], truth=truth)
    kinds = Counter(report.kind for report in reports)
    # The stream made one report more, past the end, to see that it was past.
    assert truth.counts.total - len(reports) == 1
    for kind in ("spike", "broken", "duplicates"):
        assert truth.counts.of(kind) == kinds[kind] > 0
    dysphonia, headache = truth.spikes
    assert dysphonia.pair == ("AMBRISENTAN", "DYSPHONIA")
    assert (dysphonia.start, dysphonia.end) == (START + dt.timedelta(seconds=20), START + dt.timedelta(seconds=50))
    assert dysphonia.expected_per_s == pytest.approx(40 * population.expected_rate("AMBRISENTAN", "Dysphonia"))
    for spike in (dysphonia, headache):
        ids = [report.case_id for report in reports if [thing.plan.pair for thing in report.things] == [spike.pair]]
        assert (spike.reports, list(spike.ids)) == (len(ids), ids)
        assert ids


def test_truth_knows_the_plan_before_the_first_report(population: Population) -> None:
    truth = Truth()
    stream(ReportFactory(population, 1), rate=1, started_at=START, spikes=[DYSPHONIA], truth=truth)
    assert [spike.reports for spike in truth.spikes] == [0]


def test_truth_survives_json_lines(population: Population) -> None:
    truth = Truth()
    unpaced(population, 60, spikes=[DYSPHONIA, HEADACHE], traps=[Duplicates(0.01)], truth=truth)
    text = truth.to_json_lines()
    again = Truth.from_json_lines(text)
    assert (again.spikes, again.counts) == (truth.spikes, truth.counts)
    assert again.to_json_lines() == text
    assert len(text.splitlines()) == 3 + truth.counts.of("duplicates")


def test_broken_bodies_and_resends_come_on_top_in_the_shares_asked_for(population: Population) -> None:
    plain = unpaced(population, 30)
    mixed = unpaced(population, 30, traps=[Broken(0.1), Duplicates(0.2, mean_s=0.1)])
    kinds = Counter(report.kind for report in mixed)
    assert [r for r in mixed if r.kind == "ordinary"] == plain
    for kind, share in (("broken", 0.1), ("duplicates", 0.2)):
        expected = share * len(plain)
        assert abs(kinds[kind] - expected) < 4 * expected**0.5


def test_a_resend_is_an_earlier_body_of_the_same_case(population: Population) -> None:
    seen: dict[str, bytes] = {}
    for report in unpaced(population, 25, spikes=[DYSPHONIA], traps=[Broken(0.1), Duplicates(0.3)]):
        if report.kind == "duplicates":
            assert seen[report.case_id] == report.body
        else:
            assert report.case_id not in seen
            seen[report.case_id] = report.body


def test_no_broken_body_of_a_stream_decodes(population: Population) -> None:
    broken = [r for r in unpaced(population, 10, traps=[Broken(0.5)]) if r.kind == "broken"]
    assert len(broken) > 24
    judged = ((report.things[0].plan.detail, decode(report.body)) for report in broken)
    assert {kind for kind, outcome in judged if isinstance(outcome, Report)} == {"no_reaction", "no_drug"}


@pytest.mark.parametrize("count", [0, 1, 250])
def test_count_counts_bodies_of_all_kinds(population: Population, count: int) -> None:
    truth = Truth()
    reports = stream(
        ReportFactory(population, 1),
        rate=10,
        count=count,
        started_at=START,
        traps=[Broken(0.2), Duplicates(0.2)],
        truth=truth,
    )
    assert len(list(reports)) == count == truth.counts.total


def test_a_paced_stream_sleeps_until_each_report_is_due(population: Population) -> None:
    clock = FakeClock()
    reports = stream(ReportFactory(population, 1), rate=2, count=20, started_at=START, clock=clock.of_stream())
    for report in reports:
        assert abs(clock.now - report.received_at) < dt.timedelta(microseconds=5)
    assert len(clock.slept) == 20


def test_a_paced_stream_that_is_behind_catches_up_without_sleeping(population: Population) -> None:
    clock = FakeClock()
    reports = stream(ReportFactory(population, 1), rate=10, count=100, started_at=START, clock=clock.of_stream())
    next(reports)
    clock.now += dt.timedelta(seconds=5)
    slept = len(clock.slept)
    behind = list(until(reports, clock.now))
    assert len(behind) > 25
    # Only the first report that is not behind any more was slept for.
    assert len(clock.slept) == slept + 1


def test_a_paced_stream_does_not_drift_when_taking_a_report_takes_time(population: Population) -> None:
    clock = FakeClock(taking=0.05)
    reports = stream(ReportFactory(population, 1), rate=5, count=100, started_at=START, clock=clock.of_stream())
    for report in reports:
        last = report
        late = clock.now - report.received_at
        clock.work()
    assert late < dt.timedelta(seconds=1)
    assert sum(clock.slept) < (last.received_at - START).total_seconds()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"rate": 0}, "rate"),
        ({"rate": -1}, "rate"),
        ({"spikes": [DYSPHONIA, DYSPHONIA]}, "twice"),
        ({"traps": [Broken(0.1), Broken(0.2)]}, "twice"),
        ({"started_at": START.replace(tzinfo=None)}, "time zone"),
    ],
)
def test_what_makes_no_sense_is_refused_at_once(population: Population, options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        stream(ReportFactory(population, 1), **{"rate": 1, "started_at": START, **options})


def test_an_unknown_pair_is_refused_at_once(population: Population) -> None:
    with pytest.raises(UnknownNameError):
        stream(ReportFactory(population, 1), rate=1, started_at=START, spikes=[Spike("NO SUCH", "Headache", 0, 1, 2)])


def test_history_ends_where_the_stream_begins_and_shares_no_case_with_it(population: Population) -> None:
    factory = ReportFactory(population, 5)
    past = list(history(factory, rate=20, until=START, length_s=60))
    live = list(islice(stream(factory, rate=50, started_at=START), 500))
    assert START - dt.timedelta(seconds=60) <= past[0].received_at <= past[-1].received_at < START
    assert abs(len(past) - 1_200) < 5 * 1_200**0.5
    assert not {report.case_id for report in past} & {report.case_id for report in live}
    assert {report.kind for report in past} == {"ordinary"}


def test_history_does_not_repeat_what_the_stream_of_the_same_seed_tells(population: Population) -> None:
    factory = ReportFactory(population, 5)
    past = pairs(list(history(factory, rate=50, until=START, length_s=10)))
    live = pairs(list(islice(stream(factory, rate=50, started_at=START), past.total())))
    assert past != live


@pytest.mark.parametrize("rate", [5.0, 40.0, 400.0])
def test_demo_spikes_are_two_different_pairs_at_any_rate(population: Population, rate: float) -> None:
    first, second = demo_spikes(population, rate=rate)
    assert first.drug != second.drug
    assert first.reaction != second.reaction
    assert all(3 <= spike.factor <= 12 for spike in (first, second))


def test_demo_spikes_suit_the_default_rate_and_a_demo_of_two_minutes(population: Population) -> None:
    small, great = demo_spikes(population)
    assert small.factor == 4
    assert great.factor > 10
    for spike, least, most in ((small, 12, 18), (great, 2, 4)):
        expected = 80 * 30 * population.expected_rate(spike.drug, spike.reaction)
        assert least <= expected <= most
        assert planted_rate(population, 80, spike) * 30 > 20
        assert spike.start_s > 50
        assert spike.start_s + spike.length_s <= 120
        assert spike.length_s >= 60
