from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Iterator

import pytest

from expectations.decode import decode
from expectations.report import Report, normalise_name
from generator.derive import MOST_ENTRIES
from generator.labels import label_of
from generator.population import Population
from generator.reports import FATAL_TERMS, ReportFactory, encode

NOON = dt.datetime(2026, 3, 1, 12, 0, 5, 250_000, tzinfo=dt.UTC)
SAME = ("drugcharacterization", "medicinalproduct", "drugindication", "drugauthorizationnumb", "activesubstance")
PAIR = ("AMBRISENTAN", "Dysphonia")


@pytest.fixture(scope="module")
def population() -> Population:
    return Population()


@pytest.fixture(scope="module")
def bodies(population: Population) -> list[bytes]:
    factory = ReportFactory(population, seed=3)
    return [factory.body(NOON + dt.timedelta(seconds=second / 10)) for second in range(2_000)]


def scalars(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        for item in value.values():
            yield from scalars(item)
    elif isinstance(value, list):
        for item in value:
            yield from scalars(item)
    else:
        yield value


def decoded(body: bytes) -> Report:
    report = decode(body)
    assert isinstance(report, Report), report
    return report


def named_pairs(body: bytes) -> set[tuple[str, str]]:
    """The pairs the raw JSON names, worked out apart from the decoder."""
    patient = json.loads(body)["patient"]
    drugs = {
        drug.get("activesubstance", {}).get("activesubstancename", drug["medicinalproduct"])
        for drug in patient["drug"]
        if drug["drugcharacterization"] == "1"
    }
    return {(normalise_name(d), normalise_name(r["reactionmeddrapt"])) for d in drugs for r in patient["reaction"]}


def test_the_same_seed_and_times_give_the_same_bytes(population: Population, bodies: list[bytes]) -> None:
    again = ReportFactory(population, seed=3)
    assert [again.body(NOON + dt.timedelta(seconds=s / 10)) for s in range(200)] == bodies[:200]


@pytest.mark.parametrize(("seed", "series"), [(4, "live"), (3, "history")])
def test_another_seed_or_series_gives_other_reports(population: Population, seed: int, series: str) -> None:
    factories = ReportFactory(population, 3), ReportFactory(population, seed, series=series)
    ours, theirs = ([json.loads(f.body(NOON)) for _ in range(50)] for f in factories)
    assert not {r["safetyreportid"] for r in ours} & {r["safetyreportid"] for r in theirs}
    assert [r["patient"] for r in ours] != [r["patient"] for r in theirs]


def test_a_later_run_of_the_same_seed_tells_of_the_same_patients_as_other_cases(population: Population) -> None:
    early, late = ReportFactory(population, 3), ReportFactory(population, 3)
    for _ in range(50):
        one, other = decoded(early.body(NOON)), decoded(late.body(NOON + dt.timedelta(days=1)))
        assert one.pairs() == other.pairs()
        assert one.safetyreportid != other.safetyreportid


def test_every_scalar_is_a_string_that_says_something(bodies: list[bytes]) -> None:
    for body in bodies:
        assert all(isinstance(value, str) and value for value in scalars(json.loads(body)))


def test_case_numbers_are_unique_digits_that_fit_a_signed_64_bit_number(bodies: list[bytes]) -> None:
    ids = [json.loads(body)["safetyreportid"] for body in bodies]
    assert len(set(ids)) == len(ids)
    assert all(case_id.isdigit() and int(case_id) < 2**63 for case_id in ids)


def test_company_numbers_are_unique(bodies: list[bytes]) -> None:
    numbers = [decoded(body).company_number for body in bodies]
    assert len(set(numbers)) == len(numbers)


def test_every_report_decodes_to_the_pairs_it_names(bodies: list[bytes]) -> None:
    for body in bodies:
        report = decoded(body)
        assert report.pairs() == named_pairs(body)
        assert report.pairs()
        assert not report.unreadable
        assert not report.unknown_fields


def test_the_decoder_names_drugs_as_the_population_does(population: Population, bodies: list[bytes]) -> None:
    known = {normalise_name(drug) for drug in population.drugs}
    assert {drug for body in bodies for drug, _ in decoded(body).pairs()} <= known


def test_dates_are_those_of_the_moment_in_utc(population: Population) -> None:
    east = dt.timezone(dt.timedelta(hours=10))
    moment = dt.datetime(2026, 3, 2, 1, 2, 3, tzinfo=east)
    report = decoded(ReportFactory(population, 1).body(moment))
    assert report.receipt_time == moment
    assert report.receivedate == report.receiptdate == report.transmissiondate == dt.date(2026, 3, 1)
    assert report.version == 1


def test_a_moment_without_zone_is_refused(population: Population) -> None:
    with pytest.raises(ValueError, match="time zone"):
        ReportFactory(population, 1).body(dt.datetime(2026, 3, 1))  # noqa: DTZ001 - what is refused


def test_fields_are_missing_as_often_as_in_reality(bodies: list[bytes]) -> None:
    reports = [decoded(body) for body in bodies]
    for share, missing in (
        (0.31, sum(report.age_years is None for report in reports)),
        (0.14, sum(report.sex is None for report in reports)),
    ):
        expected = share * len(reports)
        assert abs(missing - expected) < 4 * (expected * (1 - share)) ** 0.5


def test_seriousness_agrees_with_its_criteria_and_death_with_its_outcome(bodies: list[bytes]) -> None:
    reports = [decoded(body) for body in bodies]
    assert any("death" in report.seriousness for report in reports)
    for report in reports:
        assert report.serious == bool(report.seriousness)
        died = any(r.outcome == 5 or r.term in FATAL_TERMS for r in report.reactions)
        assert not died or "death" in report.seriousness


def test_ages_and_weights_are_those_of_people(bodies: list[bytes]) -> None:
    reports = [decoded(body) for body in bodies]
    assert all(0 <= report.age_years < 100 for report in reports if report.age_years is not None)
    assert all(2 <= report.weight_kg < 200 for report in reports if report.weight_kg is not None)


def test_size_is_about_that_of_real_reports_without_openfda(bodies: list[bytes]) -> None:
    assert 1_200 < sum(map(len, bodies)) / len(bodies) < 2_400


def test_a_report_of_a_pair_counts_for_that_pair_alone(population: Population) -> None:
    factory = ReportFactory(population, 1)
    for _ in range(50):
        assert decoded(encode(factory.report_of(NOON, *PAIR))).pairs() == {("AMBRISENTAN", "DYSPHONIA")}


def test_reports_of_a_pair_keep_their_usual_company_and_differ_from_each_other(population: Population) -> None:
    factory = ReportFactory(population, 1)
    reports = [factory.report_of(NOON, *PAIR) for _ in range(50)]
    assert len({report["safetyreportid"] for report in reports}) == 50
    assert len({json.dumps(report["patient"]) for report in reports}) > 40
    assert any(len(report["patient"]["drug"]) > 1 for report in reports)


def test_a_report_of_a_pair_has_no_field_that_ordinary_ones_lack(population: Population, bodies: list[bytes]) -> None:
    ordinary = {key for body in bodies for key in json.loads(body)}
    factory = ReportFactory(population, 1)
    assert {key for _ in range(100) for key in factory.report_of(NOON, *PAIR)} <= ordinary


def test_a_drug_that_nobody_knows_can_be_reported(population: Population) -> None:
    report = decoded(encode(ReportFactory(population, 1).report_of(NOON, "NEW DRUG")))
    assert {drug for drug, _ in report.pairs()} == {"NEW DRUG"}


def test_a_reaction_can_be_reported_with_drugs_as_usual(population: Population) -> None:
    factory = ReportFactory(population, 1)
    reports = [decoded(encode(factory.report_with(NOON, "Dysphonia"))) for _ in range(100)]
    assert {term for report in reports for _, term in report.pairs()} == {"DYSPHONIA"}
    assert len({drug for report in reports for drug, _ in report.pairs()}) > 30


def test_openfda_blocks_bring_a_report_to_its_real_size_and_change_nothing_else(population: Population) -> None:
    plain, blocks = ReportFactory(population, 3), ReportFactory(population, 3, openfda=True)
    sizes = []
    for second in range(2_000):
        at = NOON + dt.timedelta(seconds=second)
        one, other = plain.body(at), blocks.body(at)
        sizes.append(len(other))
        assert decoded(one).pairs() == decoded(other).pairs()
        report = json.loads(other)
        for drug in report["patient"]["drug"]:
            drug.pop("openfda", None)
        assert report == json.loads(one)
    # 16 KB on average in 100 real ones, give or take 4; 13 KB here. Half of either are below 3 KB or little above.
    assert 10_000 < sum(sizes) / len(sizes) < 22_000
    assert 2_300 < sorted(sizes)[len(sizes) // 2] < 3_500


def test_the_block_of_a_drug_is_always_the_same() -> None:
    letairis = block("AMBRISENTAN", "LETAIRIS", is_substance=True)
    label_of.cache_clear()
    assert block("AMBRISENTAN", "LETAIRIS", is_substance=True) == letairis
    assert block("AMBRISENTAN", "VOLIBRIS", is_substance=True) != letairis


def test_a_trade_name_has_a_small_block_and_some_substances_a_large_one() -> None:
    names = [f"SUBSTANCE {n}" for n in range(300)]
    trade = [len(block(name, f"TRADE NAME OF {name}", is_substance=True) or b"") for name in names]
    substance = sorted(len(block(name, name, is_substance=True) or b"") for name in names)
    assert 500 < min(trade) <= max(trade) < 1_200
    assert 2_500 < substance[150] < 7_000
    assert 20_000 < substance[270] < substance[-1] < 100_000


def test_a_third_of_the_names_that_may_not_be_substances_have_no_block() -> None:
    none = sum(block(f"NAME {n}", f"NAME {n}", is_substance=False) is None for n in range(1_000))
    assert abs(none - 330) < 5 * (1_000 * 0.33 * 0.67) ** 0.5
    assert all(block(f"NAME {n}", f"NAME {n}", is_substance=True) for n in range(100))


def block(drug: str, product: str, *, is_substance: bool) -> bytes | None:
    label = label_of(drug, product, is_substance=is_substance)
    return None if label is None else bytes(label)


def test_a_drug_has_several_entries_that_differ_in_dosage_and_dates_only(bodies: list[bytes]) -> None:
    repeated = []
    for body in bodies:
        entries = defaultdict(list)
        for entry in json.loads(body)["patient"]["drug"]:
            drug = entry.get("activesubstance", {}).get("activesubstancename", entry["medicinalproduct"])
            entries[drug].append(entry)
        repeated += [several for several in entries.values() if len(several) > 1]
    assert len(repeated) > 300
    for several in repeated:
        assert len({json.dumps({key: entry.get(key) for key in SAME}) for entry in several}) == 1
        assert len(several) <= MOST_ENTRIES
    assert sum(any(entry != several[0] for entry in several) for several in repeated) > 0.9 * len(repeated)


def test_a_fork_shares_no_case_number(population: Population) -> None:
    """Not even where the two names have the same salt, as one in a thousand has."""
    factory = ReportFactory(population, 1)
    forks = [factory.fork(str(number)) for number in range(2_000)]
    assert factory.case_id(NOON) not in {fork.case_id(NOON) for fork in forks}
