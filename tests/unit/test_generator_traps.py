from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expectations.decode import decode
from expectations.report import Report
from generator import truth as truth_module
from generator.population import Population
from generator.reports import ReportFactory
from generator.spike import Spike
from generator.stream import stream
from generator.traps.base import Alteration, Echo, Extra, Trap, World
from generator.traps.catalogue import TIMED, UNTIMED, TrapFormatError, described, parse_traps
from generator.traps.later import DayAndWeek, Duplicates, FollowUps, LateReports, NearDuplicates, NightlyBatch
from generator.traps.more import LAUNCHED, Launch, MedicalEvents, Publicity, Season, medical_events
from generator.traps.quality import Broken, Decay, OddReports
from generator.truth import FOREVER, ORDINARY, GeneratedReport, Planted, Truth, TruthCounts, truth_schema

MONDAY = dt.datetime(2026, 3, 2, tzinfo=dt.UTC)
HOUR, DAY = 3_600.0, 86_400.0
EVERY: tuple[Trap, ...] = (
    FollowUps(mean_days=0.05),
    Duplicates(0.03),
    NearDuplicates(0.03, mean_days=0.05),
    NightlyBatch(),
    LateReports(0.03, mean_days=0.05),
    MedicalEvents(0.02),
    OddReports(0.02),
    Broken(0.03),
    Launch(HOUR, 4 * HOUR),
    Season(HOUR, 8 * HOUR),
    Publicity(2 * HOUR, 4 * HOUR),
    Decay(3 * HOUR, 4 * HOUR),
)


@pytest.fixture(scope="module")
def population() -> Population:
    return Population()


def made(
    population: Population,
    traps: Sequence[Trap],
    *,
    rate: float = 0.05,
    seconds: float = DAY,
    seed: int = 3,
    truth: Truth | None = None,
    **options: Any,
) -> list[GeneratedReport]:
    return list(
        stream(
            ReportFactory(population, seed),
            rate=rate,
            seconds=seconds,
            started_at=MONDAY,
            traps=traps,
            truth=truth,
            **options,
        )
    )


def reports_of(generated: Iterable[GeneratedReport], kind: str) -> list[Report]:
    found = [decode(g.body) for g in generated if g.kind == kind]
    assert all(isinstance(report, Report) for report in found)
    return [report for report in found if isinstance(report, Report)]


def about(expected: float) -> Any:
    """Within five standard deviations of a Poisson count."""
    return pytest.approx(expected, abs=5 * expected**0.5 + 1)


@pytest.fixture(scope="module")
def day(population: Population) -> tuple[list[GeneratedReport], Truth]:
    """A day with everything in it but a rhythm."""
    truth = Truth()
    return made(population, EVERY, truth=truth), truth


def test_the_same_seed_gives_the_same_stream_and_truth(
    population: Population, day: tuple[list[GeneratedReport], Truth]
) -> None:
    again = Truth()
    assert made(population, EVERY, truth=again) == day[0]
    assert again.to_json_lines() == day[1].to_json_lines()


def test_reports_come_in_the_order_of_their_delivery(day: tuple[list[GeneratedReport], Truth]) -> None:
    times = [report.received_at for report in day[0]]
    assert times == sorted(times)
    assert times[0] > MONDAY
    assert times[-1] < MONDAY + dt.timedelta(days=1)


def test_every_trap_did_something_and_the_truth_tells_of_each_report(day: tuple[list[GeneratedReport], Truth]) -> None:
    generated, truth = day
    kinds = Counter(report.kind for report in generated)
    assert kinds.keys() == {ORDINARY, *(trap.name for trap in EVERY if not isinstance(trap, Alteration))}
    told: dict[str, Counter[str]] = {}
    for thing in truth.planted:
        told.setdefault(thing.kind, Counter()).update(thing.ids)
        assert thing.reports == len(thing.ids) or thing.end == FOREVER
    for trap in EVERY:
        if not isinstance(trap, Launch | Decay):  # which have no end, so that their cases are not listed
            ids = Counter(report.case_id for report in generated if trap.name in {t.plan.kind for t in report.things})
            assert told[trap.name] == ids
    assert truth.counts.total == len(generated)


def test_a_sink_is_told_the_same_as_soon_as_it_is_over(population: Population) -> None:
    lines: list[str] = []
    told, kept = Truth(lines.append), Truth()
    made(population, EVERY, truth=told, seconds=HOUR * 12)
    before_end = len(lines)
    told.finish()
    made(population, EVERY, truth=kept, seconds=HOUR * 12)
    assert before_end > 0.9 * len(lines)
    assert sorted(lines) == sorted(kept.to_json_lines().splitlines(keepends=True))
    assert told.planted == ()


def test_ordinary_reports_are_what_they_are_whatever_is_planted(population: Population) -> None:
    plain = made(population, ())
    added = [trap for trap in EVERY if isinstance(trap, Extra | Echo)]
    with_traps = made(population, added, spikes=[Spike("AMBRISENTAN", "Headache", 0, HOUR, 5)])
    assert [g for g in with_traps if g.kind == ORDINARY] == plain


def test_held_reports_are_delivered_as_they_were_made(population: Population) -> None:
    plain = made(population, ())
    held = made(population, [LateReports(0.2, mean_days=0.01), NightlyBatch()])
    assert {g.body for g in held} <= {g.body for g in plain}
    assert len(held) > 0.9 * len(plain)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10_000), st.floats(3.0, 15.0), st.sampled_from(["Dysphonia", "Headache", "Nausea"]))
def test_the_truth_is_true_of_a_spike(seed: int, factor: float, reaction: str) -> None:
    """Counting what was generated gives the usual and the planted excess, and the planted reports are those told."""
    population = POPULATION
    spike = Spike("AMBRISENTAN", reaction, 2 * HOUR, 6 * HOUR, factor)
    truth = Truth()
    generated = made(population, (), rate=0.1, seconds=8 * HOUR, seed=seed, spikes=[spike], truth=truth)
    (told,) = truth.spikes
    during = [g for g in generated if told.start <= g.received_at < told.end]
    counted = sum(told.pair in r.pairs() for g in during if isinstance(r := decode(g.body), Report))
    expected = told.expected_per_s * (told.end - told.start).total_seconds()
    assert counted == about(factor * expected)
    assert told.reports == about((factor - 1) * expected)
    assert {g.case_id for g in generated if g.kind == "spike"} == set(told.ids)


def test_follow_ups_are_later_versions_that_name_no_new_pair(population: Population) -> None:
    generated = made(population, [FollowUps(mean_days=0.02)], seconds=10 * DAY, rate=0.01)
    first = {r.safetyreportid: r for r in reports_of(generated, ORDINARY)}
    later = reports_of(generated, "follow_ups")
    assert len(later) / len(generated) == pytest.approx(0.35, abs=0.02)
    versions: dict[str, int] = {}
    for report in later:
        assert report.version == versions.get(report.safetyreportid, 1) + 1
        versions[report.safetyreportid] = report.version
        assert report.pairs() <= first[report.safetyreportid].pairs()
        assert report.receiptdate is not None
        assert report.receivedate == first[report.safetyreportid].receivedate
    assert any(report.pairs() < first[report.safetyreportid].pairs() for report in later)


def test_resends_are_byte_for_byte_the_same(day: tuple[list[GeneratedReport], Truth]) -> None:
    sent: set[bytes] = set()
    for report in day[0]:
        if report.kind == "duplicates":
            assert report.body in sent
        sent.add(report.body)


def test_near_duplicates_share_the_number_of_the_case_but_not_its_id(population: Population) -> None:
    generated = made(population, [NearDuplicates(0.2, mean_days=0.02)])
    originals = {g.case_id: json.loads(g.body) for g in generated if g.kind == ORDINARY}
    copies = [g for g in generated if g.kind == "near_duplicates"]
    assert len(copies) == about(0.2 * 2 * len(originals))
    for copy in copies:
        told, body = copy.things[0].plan.detail, json.loads(copy.body)
        original = originals[str(told).removeprefix("of case ")]
        assert body["reportduplicate"]["duplicatenumb"] == original["reportduplicate"]["duplicatenumb"]
        assert body["safetyreportid"] not in originals
        assert body["companynumb"] != original["companynumb"]
        one, other = decode(copy.body), decode(msgspec.json.encode(original))
        assert isinstance(one, Report)
        assert isinstance(other, Report)
        assert one.pairs() == other.pairs()


def test_a_launch_rises_from_nothing_to_its_share(population: Population) -> None:
    launch = Launch(6 * HOUR, 6 * HOUR, share=0.1)
    generated = made(population, [launch], rate=0.1, seconds=2 * DAY)
    new = [g for g in generated if g.kind == "launch"]
    assert min(g.received_at for g in new) > MONDAY + dt.timedelta(hours=6)
    assert {d for r in reports_of(new, "launch") for d, _ in r.pairs()} == {LAUNCHED}
    rising = [g for g in new if g.received_at < MONDAY + dt.timedelta(hours=12)]
    assert len(rising) == about(0.1 * 0.1 * 6 * HOUR / 2)
    assert len(new) - len(rising) == about(0.1 * 0.1 * 36 * HOUR)


def test_a_season_rises_and_falls_with_every_drug(population: Population) -> None:
    truth = Truth()
    generated = made(population, [Season(0, DAY, factor=20.0)], rate=0.25, truth=truth)
    (season,) = truth.planted
    assert season.expected_per_s is not None
    extra = [g for g in generated if g.kind == "season"]
    assert len(extra) == about(19.0 * season.expected_per_s * DAY / 2)
    quarters = Counter((g.received_at - MONDAY) // dt.timedelta(hours=6) for g in extra)
    assert min(quarters[1], quarters[2]) > 2 * max(quarters[0], quarters[3])
    pairs = {pair for report in reports_of(extra, "season") for pair in report.pairs()}
    assert {reaction for _, reaction in pairs} == {season.reaction}
    assert len({drug for drug, _ in pairs}) > 20
    # Every pair gains in proportion to its own usual rate, not to how often its drug is reported.
    gained = Counter(pair for report in reports_of(extra, "season") for pair in report.pairs())
    for drug in sorted(population.drugs, key=population.drug_rate)[-5:]:
        usual = 0.25 * population.expected_rate(drug, str(season.reaction)) * DAY
        assert gained[drug, str(season.reaction)] == about(19.0 * usual / 2)


def test_the_rate_of_a_reaction_is_what_is_drawn(population: Population) -> None:
    generated = reports_of(made(population, (), rate=0.2), ORDINARY)
    for reaction in population.reactions[:5]:
        seen = sum(reaction.upper() in {r.term for r in report.reactions} for report in generated)
        assert seen == about(population.reaction_rate(reaction) * len(generated))


def test_publicity_lifts_all_reactions_of_a_drug(population: Population) -> None:
    truth = Truth()
    generated = made(population, [Publicity(0, DAY, factor=6.0)], rate=0.2, truth=truth)
    (publicity,) = truth.planted
    assert publicity.expected_per_s is not None
    pairs = [r.pairs() for g in generated if isinstance(r := decode(g.body), Report)]
    assert sum(publicity.drug in {d for d, _ in p} for p in pairs) == about(6.0 * publicity.expected_per_s * DAY)
    assert len({r for p in pairs for d, r in p if d == publicity.drug}) > 10


def test_one_company_uploads_the_reports_of_a_day_at_two_in_the_night(population: Population) -> None:
    truth = Truth()
    generated = made(population, [NightlyBatch()], seconds=4 * DAY, truth=truth)
    nights = {g.received_at for g in generated if g.kind == "nightly_batch"}
    assert nights == {MONDAY + dt.timedelta(days=day, hours=2) for day in (0, 1, 2, 3)}
    (company,) = {night.detail for night in truth.planted}
    for report in generated:
        from_company = json.loads(report.body)["reportduplicate"]["duplicatesource"] == company
        assert from_company == (report.kind == "nightly_batch")


def test_late_reports_tell_of_the_moment_they_were_received(population: Population) -> None:
    late = [g for g in made(population, [LateReports(0.2, mean_days=0.1)]) if g.kind == "late"]
    delays = []
    for generated in late:
        report = decode(generated.body)
        assert isinstance(report, Report)
        assert report.receipt_time is not None
        delays.append((generated.received_at - report.receipt_time).total_seconds())
    assert min(delays) >= 0
    assert sum(delays) / len(delays) > 0.05 * DAY


def test_there_is_less_traffic_at_night_and_at_weekends_and_spikes_keep_their_factor(population: Population) -> None:
    spike = Spike("AMBRISENTAN", "Headache", 0, 7 * DAY, 8)
    rhythm = DayAndWeek(night=0.25, weekend=0.5)
    truth = Truth()
    generated = made(population, [rhythm], seconds=7 * DAY, spikes=[spike], truth=truth)
    hours = Counter(
        (g.received_at.weekday() >= 5, g.received_at.hour >= 22 or g.received_at.hour < 6) for g in generated
    )
    busiest = hours[False, False] / (5 * 16)
    for (weekend, night), count in hours.items():
        per_hour = count / ((2 if weekend else 5) * (8 if night else 16))
        share = (rhythm.weekend if weekend else 1.0) * (rhythm.night if night else 1.0)
        assert per_hour / busiest == pytest.approx(share, rel=0.15)
    pair = ("AMBRISENTAN", "HEADACHE")
    usual = [pair in r.pairs() for r in reports_of(generated, ORDINARY)]
    (told,) = truth.spikes
    assert told.reports == pytest.approx(7 * len(usual) * population.expected_rate(*pair), rel=0.15)
    assert {thing.kind for thing in truth.planted} == {"rhythm", "spike"}


def test_days_may_be_shorter_than_days(population: Population) -> None:
    generated = made(population, [DayAndWeek(night=0.1, weekend=1.0)], rate=50.0, seconds=120, day_s=60.0)
    thirds = Counter(int((g.received_at.timestamp() % 60) // 20) for g in generated)
    assert thirds[1] > 1.3 * thirds[0]  # seconds 0 to 15 are night, 55 to 60 too


def test_the_sex_of_patients_goes_missing(population: Population) -> None:
    generated = made(population, [Decay(0, 12 * HOUR)])
    halves: tuple[list[bool], list[bool]] = ([], [])
    for report in generated:
        half = halves[report.received_at >= MONDAY + dt.timedelta(hours=12)]
        half.append("patientsex" in json.loads(report.body)["patient"])
    assert sum(halves[0]) / len(halves[0]) == pytest.approx(0.86 / 2, abs=0.05)
    assert not any(halves[1])


def test_what_is_planted_loses_the_field_too(population: Population) -> None:
    spike = Spike("AMBRISENTAN", "Headache", 12 * HOUR, 12 * HOUR, 20)
    generated = made(population, [Decay(0, HOUR), FollowUps(mean_days=0.1)], spikes=[spike])
    late = [g for g in generated if g.received_at > MONDAY + dt.timedelta(hours=2)]
    assert {g.kind for g in late} == {ORDINARY, "spike", "follow_ups"}
    assert not any("patientsex" in json.loads(g.body)["patient"] for g in late)


def test_nothing_but_the_numbers_tells_an_odd_or_retold_report_from_others(population: Population) -> None:
    generated = made(population, [OddReports(0.1), NearDuplicates(0.1, mean_days=0.01)])
    for report in generated:
        body = json.loads(report.body)
        assert body["companynumb"].endswith(body["safetyreportid"])
        assert body["companynumb"].count("-") == 2


def test_nobody_comes_back_from_the_dead(population: Population) -> None:
    generated = made(population, [FollowUps(mean_days=0.02)], rate=0.2)
    fatal = {"5"}
    first = {
        g.case_id: json.loads(g.body)["patient"]["reaction"][0].get("reactionoutcome")
        for g in generated
        if g.kind == ORDINARY
    }
    later = [g for g in generated if g.kind == "follow_ups" and first[g.case_id] == "5"]
    assert len(later) > 20
    assert {json.loads(g.body)["patient"]["reaction"][0]["reactionoutcome"] for g in later} == fatal


def test_times_are_utc_wherever_the_stream_begins(population: Population) -> None:
    east = MONDAY.astimezone(dt.timezone(dt.timedelta(hours=5)))
    factory = ReportFactory(population, 3)
    there = list(stream(factory, rate=0.05, seconds=6 * HOUR, started_at=east, traps=EVERY))
    assert there == made(population, EVERY, seconds=6 * HOUR)


def test_a_stopped_stream_tells_only_what_it_handed_out(population: Population) -> None:
    truth = Truth()
    taken: list[GeneratedReport] = []
    for report in stream(
        ReportFactory(population, 3), rate=1.0, started_at=MONDAY, truth=truth, stopped=lambda: len(taken) >= 10
    ):
        taken.append(report)
    assert truth.counts.total == len(taken) == 10


def test_medical_events_are_serious_and_told_with_their_pair(population: Population) -> None:
    generated = [g for g in made(population, [MedicalEvents(0.2)]) if g.kind == "medical_events"]
    terms = {term.upper() for term in medical_events()}
    assert len(terms) == 41
    for one, report in zip(generated, reports_of(generated, "medical_events"), strict=True):
        assert report.serious
        assert report.pairs() == {one.things[0].plan.pair}
        assert {term for _, term in report.pairs()} <= terms
    assert len({pair for report in reports_of(generated, "medical_events") for pair in report.pairs()}) > 50


def test_odd_reports_decode_and_come_in_six_kinds(population: Population) -> None:
    generated = [g for g in made(population, [OddReports(0.1)]) if g.kind == "odd"]
    kinds = Counter(g.things[0].plan.detail for g in generated)
    assert kinds.keys() == {
        "rare_pair",
        "impossible_combination",
        "extreme_counts",
        "odd_demography",
        "copy_with_changes",
        "date_games",
    }
    assert max(kinds.values()) - min(kinds.values()) <= 1
    by_kind = {str(g.things[0].plan.detail): r for g, r in zip(generated, reports_of(generated, "odd"), strict=True)}
    assert len(by_kind["extreme_counts"].drugs) > 250
    assert by_kind["odd_demography"].age_years == 118
    assert (by_kind["impossible_combination"].sex, by_kind["impossible_combination"].age_years) == (1, 9)
    ids = [g.case_id for g in generated]
    assert len(set(ids)) == len(ids)


def test_factories_of_different_series_make_one_stream_side_by_side(population: Population) -> None:
    """Parts made in any order, or in other processes, are the same, and no two share a case."""

    def part(number: int) -> list[GeneratedReport]:
        factory = ReportFactory(population, 3).fork(f"part {number}")
        return list(stream(factory, rate=0.02, seconds=DAY / 4, started_at=MONDAY))

    parts = [part(number) for number in range(3)]
    assert [part(number) for number in (2, 1, 0)] == parts[::-1]
    ids = [g.case_id for p in parts for g in p]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Broken(-0.1),
        lambda: Duplicates(1.5),
        lambda: FollowUps(1.0),
        lambda: Launch(0, 0),
        lambda: Season(0, 1, 1.0),
    ],
)
def test_settings_that_make_no_sense_are_refused(make: Any) -> None:
    with pytest.raises(ValueError, match=r"share|length|factor"):
        make()


def test_traps_are_read_by_name_and_time() -> None:
    assert parse_traps(["late", "launch@1h+2d"]) == (LateReports(), Launch(HOUR, 2 * DAY))
    assert parse_traps(["broken"], blank_bodies=False) == (Broken(blank=False),)
    assert {trap.name for trap in parse_traps(["all"])} == {*UNTIMED, *TIMED}
    assert parse_traps([]) == ()


@pytest.mark.parametrize("text", ["flood", "late@1+2", "launch@1", "launch@1+0", "launch@x+y", ""])
def test_a_trap_that_cannot_be_read_is_explained(text: str) -> None:
    with pytest.raises(ValueError, match=r"launch|late"):
        parse_traps([text])
    assert issubclass(TrapFormatError, ValueError)


def test_every_trap_is_described_in_a_line() -> None:
    lines = described().splitlines()
    assert {line.split()[0].partition("@")[0] for line in lines} == {*UNTIMED, *TIMED, "all"}
    assert max(map(len, lines)) <= 100


def test_the_company_of_the_nightly_batch_has_about_its_share(population: Population) -> None:
    factory = ReportFactory(population, 3)
    world = World(factory, factory, 1.0, MONDAY, Truth())
    trap = NightlyBatch(share=0.05)
    company = trap.company(world)
    share = sum(rate for drug, rate in population.lead_rates() if world.factory.company_of(drug) == company)
    assert share == pytest.approx(0.05, abs=0.04)


def test_the_schema_of_truth_lines_is_current() -> None:
    file = Path(truth_module.__file__).parent / "data" / "truth.schema.json"
    assert json.loads(file.read_text(encoding="utf-8")) == json.loads(msgspec.json.encode(truth_schema())), (
        "renew it: python -m generator.truth > generator/data/truth.schema.json"
    )


def test_lines_of_the_truth_are_read_as_they_were_written(day: tuple[list[GeneratedReport], Truth]) -> None:
    text = day[1].to_json_lines()
    assert Truth.from_json_lines(text).to_json_lines() == text
    kinds = {type(msgspec.json.decode(line, type=Planted | TruthCounts)) for line in text.splitlines()}
    assert kinds == {Planted, TruthCounts}


POPULATION = Population()
