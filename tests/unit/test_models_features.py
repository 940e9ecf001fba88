"""Laws of the features and of the frequencies they rest on."""

from __future__ import annotations

import contextlib
import datetime as dt
import random

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expectations.report import Report, ReportedDrug, ReportedReaction
from models.errors import ModelError
from models.features import FEATURE_MEANINGS, FEATURES, feature_matrix
from models.frequencies import Frequencies
from models.terms import NAMES_PER_REPORT, terms_of

NAMES = st.one_of(st.none(), st.sampled_from(["ASPIRIN", "IBUPROFEN", "METFORMIN", "WARFARIN"]), st.text(max_size=8))
DRUGS = st.builds(ReportedDrug, NAMES, st.none(), st.sampled_from([None, 1, 2, 3]), st.none())
REACTIONS = st.builds(ReportedReaction, NAMES, st.none())
DATES = st.one_of(st.none(), st.dates())
NUMBERS = st.one_of(st.none(), st.floats())
REPORTS = st.builds(
    Report,
    safetyreportid=st.sampled_from([str(n) for n in range(20)]),
    version=st.integers(0, 3),
    digest=st.just(bytes(32)),
    receivedate=DATES,
    receiptdate=DATES,
    receipt_time=st.none(),
    transmissiondate=st.none(),
    serious=st.sampled_from([None, True, False]),
    seriousness=st.lists(st.sampled_from(["death", "disabling", "other"]), unique=True).map(tuple),
    age_years=NUMBERS,
    sex=st.sampled_from([None, 0, 1, 2]),
    weight_kg=NUMBERS,
    qualification=st.none(),
    country=st.none(),
    sender=st.none(),
    company_number=st.none(),
    duplicate_numbers=st.just(()),
    drugs=st.lists(DRUGS, max_size=4).map(tuple),
    reactions=st.lists(REACTIONS, max_size=4).map(tuple),
    narrative_length=st.integers(0, 10**6),
    unknown_fields=st.just(0),
)
MANY = st.lists(REPORTS, max_size=5)
LEARNED = MANY.map(Frequencies.learn)
LEAN = settings(max_examples=25, deadline=None)


def a_report(
    case: str = "1", drugs: tuple[str, ...] = ("ASPIRIN",), reactions: tuple[str, ...] = ("NAUSEA",)
) -> Report:
    return Report(
        safetyreportid=case,
        version=1,
        digest=bytes(32),
        receivedate=dt.date(2024, 1, 1),
        receiptdate=dt.date(2024, 1, 11),
        receipt_time=None,
        transmissiondate=None,
        serious=True,
        seriousness=("death",),
        age_years=40.0,
        sex=2,
        weight_kg=60.0,
        qualification=1,
        country=None,
        sender=None,
        company_number=None,
        duplicate_numbers=(),
        drugs=tuple(ReportedDrug(name, None, 1, None) for name in drugs),
        reactions=tuple(ReportedReaction(term, None) for term in reactions),
        narrative_length=0,
        unknown_fields=0,
    )


def value(report: Report, feature: str, frequencies: Frequencies | None = None) -> float:
    matrix = feature_matrix([report], frequencies or Frequencies.learn([]))
    return float(matrix[0, FEATURES.index(feature)])


@LEAN
@given(MANY, LEARNED)
def test_every_feature_of_any_report_is_finite_in_single_precision(reports: list[Report], learned: Frequencies) -> None:
    matrix = feature_matrix(reports, learned)
    assert matrix.shape == (len(reports), len(FEATURES))
    assert matrix.dtype == np.float64
    assert np.isfinite(matrix.astype(np.float32)).all()


@LEAN
@given(REPORTS, LEARNED, st.randoms())
def test_the_order_of_drugs_and_reactions_changes_nothing(
    report: Report, learned: Frequencies, rng: random.Random
) -> None:
    shuffled = msgspec.structs.replace(
        report,
        drugs=tuple(rng.sample(report.drugs, len(report.drugs))),
        reactions=tuple(rng.sample(report.reactions, len(report.reactions))),
    )
    assert np.array_equal(feature_matrix([report], learned), feature_matrix([shuffled], learned))


@LEAN
@given(MANY, LEARNED)
def test_features_of_a_report_do_not_depend_on_its_batch(reports: list[Report], learned: Frequencies) -> None:
    alone = [feature_matrix([report], learned)[0] for report in reports]
    assert np.array_equal(feature_matrix(reports, learned), np.array(alone).reshape(-1, len(FEATURES)))


@LEAN
@given(REPORTS, DRUGS, REACTIONS)
def test_counts_grow_with_every_entry(report: Report, drug: ReportedDrug, reaction: ReportedReaction) -> None:
    longer = msgspec.structs.replace(
        report, drugs=(*report.drugs, drug), reactions=(*report.reactions, reaction), narrative_length=10**7
    )
    for feature in ("log_drugs", "log_reactions", "log_narrative"):
        assert value(longer, feature) > value(report, feature)
    assert value(longer, "log_suspect_drugs") >= value(report, "log_suspect_drugs")


def test_features_are_numbered_as_the_chunks_of_a_long_batch_are_put_together() -> None:
    reports = [a_report(drugs=("ASPIRIN",) * n) for n in range(1300)]
    matrix = feature_matrix(reports, Frequencies.learn([]))
    assert np.allclose(np.expm1(matrix[:, FEATURES.index("log_drugs")]), np.arange(1300))


@pytest.mark.parametrize(
    ("change", "feature", "expected"),
    [
        ({"age_years": 40.0}, "age_years", 40.0),
        ({"age_years": None}, "age_missing", 1.0),
        ({"age_years": float("nan")}, "age_missing", 1.0),
        ({"weight_kg": None}, "weight_missing", 1.0),
        ({"sex": 1}, "sex_male", 1.0),
        ({"sex": 2}, "sex_female", 1.0),
        ({"sex": 0}, "sex_missing", 1.0),
        ({"sex": None}, "sex_missing", 1.0),
        ({"serious": None}, "serious_missing", 1.0),
        ({"seriousness": ("congenitalanomali",)}, "congenitalanomali", 1.0),
        ({"seriousness": ("congenitalanomali",)}, "death", 0.0),
        ({"receiptdate": dt.date(2024, 1, 11)}, "log_delay_days", np.log(11)),
        ({"receiptdate": dt.date(2023, 12, 22)}, "log_delay_days", -np.log(11)),
        ({"receiptdate": None}, "delay_missing", 1.0),
    ],
)
def test_a_field_becomes_its_feature(change: dict[str, object], feature: str, expected: float) -> None:
    assert value(msgspec.structs.replace(a_report(), **change), feature) == pytest.approx(expected)


def test_a_concomitant_drug_counts_as_a_drug_but_not_as_a_suspect() -> None:
    report = msgspec.structs.replace(a_report(), drugs=(ReportedDrug("ASPIRIN", None, 2, None),))
    assert value(report, "log_drugs") == pytest.approx(np.log(2))
    assert value(report, "log_suspect_drugs") == 0


def test_every_feature_says_what_it_means() -> None:
    assert tuple(FEATURE_MEANINGS) == FEATURES
    assert all(meaning.endswith(".") for meaning in FEATURE_MEANINGS.values())


def test_rarity_falls_as_more_cases_hold_the_name() -> None:
    learned = Frequencies.learn(
        [a_report(str(n)) for n in range(8)] + [a_report(str(n), ("WARFARIN",)) for n in range(8, 10)]
    )
    common, rare, unseen = (value(a_report(drugs=(d,)), "rarest_drug", learned) for d in ("ASPIRIN", "WARFARIN", "NEW"))
    assert (common, rare, unseen) == pytest.approx((np.log(11 / 8.5), np.log(11 / 2.5), np.log(22)))


def test_rarest_and_mean_are_taken_over_distinct_names() -> None:
    learned = Frequencies.learn([a_report("1"), a_report("2", ("WARFARIN",))])
    report = a_report(drugs=("ASPIRIN", "ASPIRIN", "ASPIRIN", "NEW"))
    assert value(report, "rarest_drug", learned) == pytest.approx(np.log(6))
    assert value(report, "mean_drug", learned) == pytest.approx((np.log(2) + np.log(6)) / 2)


def test_two_common_names_that_never_met_are_less_expected_than_two_that_did() -> None:
    learned = Frequencies.learn(
        [a_report(str(n)) for n in range(50)] + [a_report(str(n), ("WARFARIN",), ("RASH",)) for n in range(50, 100)]
    )
    met = value(a_report(), "least_expected_pair", learned)
    never = value(a_report(reactions=("RASH",)), "least_expected_pair", learned)
    assert met == pytest.approx(np.log(25.5 / 50.5))
    assert never == pytest.approx(np.log(25.5 / 0.5))


def test_a_report_without_names_gets_the_typical_rarity() -> None:
    learned = Frequencies.learn([a_report(str(n)) for n in range(9)])
    assert (
        value(a_report(drugs=()), "rarest_drug", learned)
        == learned.drugs.typical_rarity
        == pytest.approx(np.log(9 / 8.5))
    )


def test_a_report_of_thousands_of_names_costs_a_bounded_number_of_pairs() -> None:
    names = tuple(str(n) for n in range(5000))
    learned = Frequencies.learn([a_report(drugs=names, reactions=names)])
    assert len(learned.pairs.keys) == NAMES_PER_REPORT**2
    assert np.isfinite(feature_matrix([a_report(drugs=names, reactions=names)], learned)).all()


def test_the_names_looked_at_of_a_long_report_do_not_depend_on_their_order() -> None:
    names = [str(n) for n in range(300)]
    there, back = (terms_of([a_report(drugs=tuple(order))]) for order in (names, names[::-1]))
    assert len(there.drug_key) == NAMES_PER_REPORT
    assert np.array_equal(there.drug_key, back.drug_key)
    assert (np.diff(there.drug_key.astype(object)) > 0).all()


@LEAN
@given(MANY)
def test_frequencies_survive_their_bytes(reports: list[Report]) -> None:
    learned = Frequencies.learn(reports)
    again = Frequencies.from_bytes(learned.to_bytes())
    assert again.to_bytes() == learned.to_bytes()
    assert np.array_equal(feature_matrix(reports, again), feature_matrix(reports, learned))


@LEAN
@given(MANY, st.randoms())
def test_frequencies_depend_neither_on_order_nor_on_repetition(reports: list[Report], rng: random.Random) -> None:
    again = rng.sample(reports, len(reports)) + reports
    assert Frequencies.learn(again).to_bytes() == Frequencies.learn(reports).to_bytes()


def test_versions_of_a_case_count_once() -> None:
    first = a_report("1", ("ASPIRIN",))
    second = msgspec.structs.replace(a_report("1", ("ASPIRIN", "WARFARIN")), version=2)
    learned = Frequencies.learn([first, second])
    assert learned.cases == 1
    assert learned.drugs.cases.tolist() == [1, 1]


@LEAN
@given(st.lists(REPORTS, min_size=1, max_size=8, unique_by=lambda r: r.safetyreportid))
def test_leaving_oneself_out_equals_learning_from_the_others(reports: list[Report]) -> None:
    me, others = reports[0], reports[1:]
    without = feature_matrix([me], Frequencies.learn(reports).without_self())
    learned = feature_matrix([me], Frequencies.learn(others))
    named = [i for i, name in enumerate(FEATURES) if name not in _absent_terms(me)]
    assert np.allclose(without[0, named], learned[0, named])


def _absent_terms(report: Report) -> set[str]:
    """Features that stand in for names the report lacks: these are typical of all learned cases, itself included."""
    drugs = any(d.name and d.characterization in (1, 3) for d in report.drugs)
    reactions = any(r.term for r in report.reactions)
    present = {"drug": drugs, "reaction": reactions, "pair": drugs and reactions}
    return {f"{kind}_{what}" for what, there in present.items() if not there for kind in ("rarest", "mean")}


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"\x80\x04K\x01."])
def test_bytes_that_are_no_frequencies_are_refused(data: bytes) -> None:
    with pytest.raises(ModelError, match="Train the model again"):
        Frequencies.from_bytes(data)


@LEAN
@given(st.data())
def test_damaged_frequencies_are_refused_or_read_as_what_they_were(data: st.DataObject) -> None:
    good = Frequencies.learn([a_report(str(n), (str(n),)) for n in range(5)]).to_bytes()
    at = data.draw(st.integers(0, len(good) - 1))
    damaged = good[:at] + bytes([good[at] ^ 0xFF]) + good[at + 1 :]
    with contextlib.suppress(ModelError):
        assert Frequencies.from_bytes(damaged).to_bytes() == good
