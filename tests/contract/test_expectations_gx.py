"""Every verdict is Great Expectations' own: `Checker`'s are held against it, on cases by hand and on drawn rows."""

import datetime as dt
import importlib.util
import json
import math
import re
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from random import Random

import msgspec
import numpy as np
import pytest
from effort import pick
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from mutations import mutator

from expectations.agreement import confirm, telling_rows
from expectations.check_files import check_files
from expectations.checks import Checker, Verdicts
from expectations.columns import COLUMNS, TEXT_COLUMNS, checked_columns
from expectations.decode import decode
from expectations.errors import SuiteError
from expectations.pipeline import load_pipeline_suite
from expectations.reference import Reference, row_verdicts
from expectations.report import Report
from expectations.row_expectations import ROW_EXPECTATIONS
from expectations.suite import LoadedSuite, load_suite

DATA = Path(__file__).parents[1] / "data"
OPENFDA = DATA / "openfda_reports_100.jsonl"
FAERS = DATA / "faers_2014_reports_1000.jsonl"
TODAY = dt.date(2016, 1, 1)
CANARY = "Jane Canary"

pytestmark = [
    # Great Expectations imports two modules of the standard library that Python has deprecated.
    pytest.mark.filterwarnings("ignore:module 'sre_(constants|parse)' is deprecated:DeprecationWarning"),
    # It asks pandas, which has an opinion about groups in a regex and does as it is told.
    pytest.mark.filterwarnings("ignore:This pattern is interpreted as a regular expression:UserWarning"),
]


def suite_of(*expectations) -> LoadedSuite:
    """A suite of (type, kwargs), looked over as a file is; the code of each says its place."""
    document = {"name": "mine", "expectations": [numbered(i, *e) for i, e in enumerate(expectations)]}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "report.json").write_text(json.dumps(document))
        return load_suite(Path(folder))


def numbered(place, kind, kwargs):
    severity = "warning" if place % 3 else "critical"
    return {"type": kind, "kwargs": kwargs, "meta": {"code": f"c{place}", "severity": severity, "why": "x"}}


def by_checker(suite, columns) -> Verdicts:
    return Checker(suite).check_columns(columns, length(columns))


def by_great_expectations(suite, columns) -> Verdicts:
    return row_verdicts(Reference(suite.text).validate(columns), length(columns), suite)


def length(columns):
    return len(columns["safetyreportid"])


def assert_same_verdicts(suite, columns):
    ours, theirs = by_checker(suite, columns), by_great_expectations(suite, columns)
    if ours != theirs:
        expectations = {check.code: check.expectation for check in suite.checks}
        for at, (a, b) in enumerate(zip(failed_codes(ours), failed_codes(theirs), strict=True)):
            for code in a ^ b:
                values = {name: columns[name][at] for name in expectations[code].names()}
                who = "Checker" if code in a else "Great Expectations"
                raise AssertionError(f"only {who} finds {values} unexpected by {expectations[code]}")
    assert ours == theirs


def failed_codes(verdicts):
    return [set(c) | set(w) for c, w in zip(verdicts.critical, verdicts.warnings, strict=True)]


@pytest.fixture(scope="module")
def checker():
    return Checker(load_suite(), today=lambda: TODAY)


# --- The packaged suite, case by case ---------------------------------------------------------------------------


def report(value) -> Report:
    found = decode(json.dumps(value).encode())
    assert isinstance(found, Report), found
    return found


def example(patient=(), **changes):
    """A report that passes every expectation; `patient` and `changes` replace fields."""
    return {
        "safetyreportid": "10003301",
        "serious": "2",
        "receivedate": "20140312",
        "receiptdate": "20140312",
        "transmissiondate": "20141002",
        "primarysource": {"qualification": "5"},
        "patient": {
            "patientonsetage": "65",
            "patientonsetageunit": "801",
            "patientsex": "2",
            "patientweight": "61",
            "reaction": [{"reactionmeddrapt": "Dyspepsia", "reactionoutcome": "1"}],
            "drug": [{"medicinalproduct": "IBUPROFEN", "drugcharacterization": "1"}],
            **dict(patient),
        },
        **changes,
    }


def drugs(*entries):
    return example({"drug": list(entries)})


def reactions(*entries):
    return example({"reaction": list(entries)})


def many(count, **entry):
    return [{key: value.format(i) for key, value in entry.items()} for i in range(count)]


SUSPECT = {"medicinalproduct": "A", "drugcharacterization": "1"}
TERM = {"reactionmeddrapt": "Nausea"}

CASES = {
    "nothing wrong": (example(), [], []),
    "only what must be there": (
        {"safetyreportid": "1", "patient": {"drug": [SUSPECT], "reaction": [TERM]}},
        [],
        [],
    ),
    "no reaction": (reactions(), ["no_named_reaction"], []),
    "reaction without a term": (reactions({"reactionoutcome": "1"}), ["no_named_reaction"], []),
    "one term among nameless reactions": (reactions({}, TERM, {}), [], []),
    "no drug": (drugs(), ["no_named_drug"], ["no_suspect_drug"]),
    "drug without a name": (drugs({"drugcharacterization": "1"}), ["no_named_drug"], []),
    "neither": (example({"drug": [], "reaction": []}), ["no_named_drug", "no_named_reaction"], ["no_suspect_drug"]),
    "10,000 drugs": (drugs(*[SUSPECT] * 10_000), [], []),
    "10,001 drugs": (drugs(*[SUSPECT] * 10_001), ["too_many_drugs"], []),
    "2,000 reactions": (reactions(*[TERM] * 2000), [], []),
    "2,001 reactions": (reactions(*[TERM] * 2001), ["too_many_reactions"], []),
    "2,001 duplicates": (
        example(reportduplicate=many(2001, duplicatenumb="N-{}")),
        ["too_many_duplicate_numbers"],
        [],
    ),
    "50,000 pairs": (
        example(
            {
                "drug": many(500, medicinalproduct="A{}", drugcharacterization="1"),
                "reaction": many(100, reactionmeddrapt="T{}"),
            }
        ),
        [],
        [],
    ),
    "50,100 pairs": (
        example(
            {
                "drug": many(501, medicinalproduct="A{}", drugcharacterization="1"),
                "reaction": many(100, reactionmeddrapt="T{}"),
            }
        ),
        ["too_many_pairs"],
        [],
    ),
    "concomitant drugs only": (
        drugs({"medicinalproduct": "A", "drugcharacterization": "2"}),
        [],
        ["no_suspect_drug"],
    ),
    "interacting drug": (drugs({"medicinalproduct": "A", "drugcharacterization": "3"}), [], []),
    "characterization 4 of a second drug": (
        drugs(SUSPECT, {"medicinalproduct": "B", "drugcharacterization": "4"}),
        [],
        ["characterization_not_in_code_list"],
    ),
    "characterization 12": (
        drugs(SUSPECT, {"medicinalproduct": "B", "drugcharacterization": "12"}),
        [],
        ["characterization_not_in_code_list"],
    ),
    "outcome 0": (
        reactions(TERM, {**TERM, "reactionoutcome": "0"}),
        [],
        ["outcome_not_in_code_list"],
    ),
    "outcome 7": (reactions({**TERM, "reactionoutcome": "7"}), [], ["outcome_not_in_code_list"]),
    "sex 0": (example({"patientsex": "0"}), [], []),
    "sex 3": (example({"patientsex": "3"}), [], ["sex_not_in_code_list"]),
    "qualification 0": (
        example(primarysource={"qualification": "0"}),
        [],
        ["qualification_not_in_code_list"],
    ),
    "qualification 6": (
        example(primarysource={"qualification": "6"}),
        [],
        ["qualification_not_in_code_list"],
    ),
    "age -1": (example({"patientonsetage": "-1"}), [], ["age_implausible"]),
    "age 0": (example({"patientonsetage": "0"}), [], []),
    "age 120": (example({"patientonsetage": "120"}), [], []),
    "age 300": (example({"patientonsetage": "300"}), [], ["age_implausible"]),
    "300 months": (example({"patientonsetage": "300", "patientonsetageunit": "802"}), [], []),
    "age abc": (example({"patientonsetage": "abc"}), [], ["age_unreadable"]),
    "age without a unit": (example({"patientonsetageunit": None}), [], ["age_unreadable"]),
    "age beyond every range": (example({"patientonsetage": "9999"}), [], ["age_unreadable"]),
    "neither age nor unit can be read": (
        example({"patientonsetage": "abc", "patientonsetageunit": "x"}),
        [],
        ["age_unreadable"],
    ),
    "unit 800": (example({"patientonsetage": "6", "patientonsetageunit": "800"}), [], []),
    "unit 799 and no age": (
        example({"patientonsetage": None, "patientonsetageunit": "799"}),
        [],
        ["age_unit_not_in_code_list"],
    ),
    "unit 806": (
        example({"patientonsetageunit": "806"}),
        [],
        ["age_unit_not_in_code_list", "age_unreadable"],
    ),
    "weight 0": (example({"patientweight": "0"}), [], ["weight_implausible"]),
    "weight 0.2": (example({"patientweight": "0.2"}), [], []),
    "weight 650": (example({"patientweight": "650"}), [], []),
    "weight abc": (example({"patientweight": "abc"}), [], ["unreadable_values"]),
    "weight 700": (example({"patientweight": "700"}), [], ["weight_implausible"]),
    "receipt before receive": (
        example(receivedate="20140313"),
        [],
        ["receiptdate_before_receivedate"],
    ),
    "transmission before receipt": (
        example(transmissiondate="20140311"),
        [],
        ["transmissiondate_before_receiptdate"],
    ),
    "no receipt date": (example(receiptdate=None), [], []),
    "date 20261301": (example(receivedate="20261301"), [], ["date_unreadable"]),
    "date of the 1960s": (example(receivedate="19600101"), [], []),
    "date before them": (example(receivedate="19591231"), [], ["date_too_early"]),
    "every date before them": (
        example(receivedate="00010101", receiptdate="00010101", transmissiondate="00010101"),
        [],
        ["date_too_early"],
    ),
    "today": (example(transmissiondate="20160101"), [], []),
    "tomorrow": (example(transmissiondate="20160102"), [], []),
    "the day after tomorrow": (example(transmissiondate="20160103"), [], ["date_in_future"]),
    "serious without a criterion": (example(serious="1"), [], ["serious_contradicts_criteria"]),
    "serious by a criterion": (example(serious="1", seriousnessdeath="1"), [], []),
    "not serious in spite of one": (
        example(seriousnessdeath="1"),
        [],
        ["serious_contradicts_criteria"],
    ),
    "not serious, criteria denied": (example(seriousnessdeath="2"), [], []),
    "serious 3": (example(serious="3"), [], ["seriousness_not_in_code_list"]),
    "a criterion 0": (example(seriousnessdeath="0"), [], ["seriousness_not_in_code_list"]),
    "serious not said": (example(serious=None, seriousnessdeath="1"), [], []),
    "name too long": (drugs({**SUSPECT, "medicinalproduct": "A" * 600}), [], ["text_altered"]),
    "name with a control character": (drugs({**SUSPECT, "medicinalproduct": "A\0"}), [], ["text_altered"]),
    "name as long as may be": (drugs({**SUSPECT, "medicinalproduct": "A" * 500}), [], []),
    "everything at once": (
        example(
            {"drug": [], "patientsex": "7", "patientonsetage": "130", "patientweight": "x"},
            receivedate="20160201",
            transmissiondate="x",
        ),
        ["no_named_drug"],
        [
            "age_implausible",
            "date_in_future",
            "date_unreadable",
            "no_suspect_drug",
            "receiptdate_before_receivedate",
            "sex_not_in_code_list",
            "unreadable_values",
        ],
    ),
    # What the decoder lets no one send, but a suite judges all the same.
    "id of 64 characters": (replace(report(example()), safetyreportid="~" * 64), [], []),
    "id of 65 characters": (replace(report(example()), safetyreportid="~" * 65), ["malformed_id"], []),
    "no id": (replace(report(example()), safetyreportid=""), ["malformed_id"], []),
    "id with white space": (replace(report(example()), safetyreportid="1 2"), ["malformed_id"], []),
    "id beyond ASCII": (replace(report(example()), safetyreportid="\u0661"), ["malformed_id"], []),
    "version 0": (replace(report(example()), version=0), [], []),
    "version -1": (replace(report(example()), version=-1), ["version_out_of_range"], []),
    "version 999,999,999": (replace(report(example()), version=999_999_999), [], []),
    "version 1,000,000,000": (replace(report(example()), version=10**9), ["version_out_of_range"], []),
}
POOL = [value if isinstance(value, Report) else report(value) for value, _, _ in CASES.values()]


@pytest.fixture(scope="module")
def verdicts(checker):
    return checker.check(POOL)


@pytest.fixture(scope="module")
def their_verdicts():
    return by_great_expectations(load_suite(), checked_columns(POOL, TODAY))


@pytest.mark.parametrize("name", CASES)
def test_a_report_fails_exactly_what_its_json_breaks(verdicts, their_verdicts, name):
    at = list(CASES).index(name)
    _, critical, warnings = CASES[name]
    for found in (verdicts, their_verdicts):
        assert found.critical[at] == tuple(critical)
        assert found.warnings[at] == tuple(warnings)


def test_the_verdicts_are_the_same(verdicts, their_verdicts):
    assert verdicts == their_verdicts


def test_every_expectation_of_the_suite_is_broken_by_some_case():
    codes = {check.code for check in load_suite().checks}
    assert codes == {code for _, critical, warnings in CASES.values() for code in critical + warnings}


@given(st.lists(st.sampled_from(range(len(POOL))), max_size=12))
@settings(max_examples=pick(25, 1_000), deadline=None)
def test_a_verdict_does_not_depend_on_the_batch(checker, verdicts, chosen):
    again = checker.check([POOL[at] for at in chosen])
    assert again.critical == tuple(verdicts.critical[at] for at in chosen)
    assert again.warnings == tuple(verdicts.warnings[at] for at in chosen)


@given(
    st.lists(
        st.tuples(
            st.integers(-400, 400), st.sampled_from(["0", "1", "2", "3", None]), st.lists(st.integers(0, 5), max_size=4)
        ),
        min_size=1,
        max_size=30,
    )
)
@settings(max_examples=pick(12, 500), deadline=None)
def test_verdicts_agree_with_the_values_of_the_json(checker, rows):
    values = [
        example(
            {
                "patientonsetage": str(age),
                "patientsex": sex,
                "drug": [{"medicinalproduct": "A", "drugcharacterization": str(role)} for role in roles],
            }
        )
        for age, sex, roles in rows
    ]
    found = checker.check([report(value) for value in values])
    for at, (age, sex, roles) in enumerate(rows):
        assert ("age_implausible" in found.warnings[at]) == (not 0 <= age <= 120)
        assert ("sex_not_in_code_list" in found.warnings[at]) == (sex == "3")
        assert ("characterization_not_in_code_list" in found.warnings[at]) == any(r not in (1, 2, 3) for r in roles)
        assert ("no_suspect_drug" in found.warnings[at]) == (not {1, 3} & set(roles))
        assert found.critical[at] == (() if roles else ("no_named_drug",))


def test_no_reports_have_no_verdicts(checker):
    found = checker.check([])
    assert (found.critical, found.warnings) == ((), ())


def test_verdicts_name_the_suite_that_judged(verdicts):
    assert verdicts.version == load_suite().version


# --- The same verdicts as Great Expectations: drawn suites on drawn rows -----------------------------------------

DRAWN = settings(phases=[Phase.generate], deadline=None, suppress_health_check=list(HealthCheck), database=None)
"""Without shrinking: Great Expectations takes most of a second a try, and a failure names one expectation and row."""

NUMBER_COLUMNS = sorted(COLUMNS.keys() - TEXT_COLUMNS)
ROWS = 2_500

limits = (
    st.sampled_from([0.0, -0.0, 1.0, 0.1, 0.1 + 0.2, 120.0, 20140312.0, 1e15, 2.0**53, 1e308, -1e308, 5e-324])
    | st.integers(-3, 12)
    | st.floats(allow_nan=False, allow_infinity=False)
)
regex_parts = st.tuples(
    st.sampled_from(
        [*"abx0 ^$.äÄß", r"\d", r"\w", r"\s", r"\S", r"\b", r"\Z", r"\A", r"\.", "\n", "\0", "[a-c]", "[^ -~]", "[1-3]"]
    ),
    st.sampled_from(["", "", "", "?", "*", "+", "+?", "{2}", "{0,3}", "*+"]),
).map("".join)
regex_runs = st.lists(regex_parts, max_size=3).map("".join)


def compiles(regex):
    try:
        return bool(re.compile(regex))
    except re.error:
        return False


regexes = (
    st.tuples(
        st.sampled_from(["", "", "^", "(?i)", "(?s)", "(?m)", "(?x)", "(?a)"]),
        regex_runs
        | st.tuples(regex_runs, regex_runs).map("|".join)
        | st.tuples(st.sampled_from(["(", "(?:", "(?=", "(?!", "(?>", "(?P<n>"]), regex_runs).map(
            lambda r: f"{r[0]}{r[1]})"
        ),
        st.sampled_from(["", "", "$", r"\Z"]),
    )
    .map("".join)
    .filter(compiles)
)


def between(values, column):
    """Kwargs with one limit or both, the smaller one first."""
    both = st.lists(values, min_size=2, max_size=2).map(sorted).map(lambda v: {"min_value": v[0], "max_value": v[1]})
    one = st.dictionaries(st.sampled_from(["min_value", "max_value"]), values, min_size=1, max_size=1)
    return st.builds(lambda limits, column: {**limits, "column": column}, both | one, column)


number_column = st.sampled_from(NUMBER_COLUMNS)
text_column = st.sampled_from(sorted(TEXT_COLUMNS))
any_column = st.sampled_from(sorted(COLUMNS))
of_set = st.fixed_dictionaries({"column": number_column, "value_set": st.lists(limits, max_size=6)})
of_regex = st.fixed_dictionaries({"column": text_column, "regex": regexes})
of_any = st.fixed_dictionaries({"column": any_column})
of_pair = st.fixed_dictionaries(
    {"column_A": number_column, "column_B": number_column},
    optional={
        "ignore_row_if": st.sampled_from(["both_values_are_missing", "either_value_is_missing", "neither"]),
    },
)
KWARGS = {
    "expect_column_pair_values_a_to_be_greater_than_b": st.builds(
        dict.__or__, of_pair, st.fixed_dictionaries({}, optional={"or_equal": st.booleans()})
    ),
    "expect_column_pair_values_to_be_equal": of_pair,
    "expect_column_value_lengths_to_be_between": between(st.integers(0, 33), text_column),
    "expect_column_values_to_be_between": st.builds(
        dict.__or__,
        between(limits, number_column),
        st.fixed_dictionaries({}, optional={"strict_min": st.booleans(), "strict_max": st.booleans()}),
    ),
    "expect_column_values_to_be_in_set": of_set,
    "expect_column_values_to_be_null": of_any,
    "expect_column_values_to_match_regex": of_regex,
    "expect_column_values_to_not_be_in_set": of_set,
    "expect_column_values_to_not_be_null": of_any,
    "expect_column_values_to_not_match_regex": of_regex,
}
ONE_OF_EACH = st.tuples(*(st.tuples(st.just(kind), kwargs) for kind, kwargs in KWARGS.items()))
MORE = st.lists(st.sampled_from(sorted(KWARGS)).flatmap(lambda k: st.tuples(st.just(k), KWARGS[k])), max_size=6)

ODD_TEXTS = (
    *(
        "",
        " ",
        "0",
        "nan",
        "None",
        "1,2,3",
        "12",
        "a",
        "ab",
        "aB",
        "Ä",
        "ä",
        "ß",
        "\u017f",
        "\u212a",
        "\u0130",
        "a\u0301",
        "\u0661",
    ),
    *("a\n", "\na", "a\nb", "\n", "a\r\n", "a\u2028b", "a\0", "\0", "\x85", "\ufeff", "\N{PILL}", "x" * 32, "~" * 33),
    *("<NA>", "NaT", "x.x", "(a)", "aa", "aaa", "abab", "a b", "1-3"),
)


def drawn_columns(suite, texts, seed):
    """Rows of values near the suite's limits and of odd ones; some rows hold one value in all of their columns."""
    rng = np.random.default_rng(seed)
    told, _ = telling_rows(suite)
    numbers = np.array([*told_values(told, NUMBER_COLUMNS), -0.0, np.inf, -np.inf, 1e-300, 2**53 + 2, 1e308, -1.0])
    texts = np.array([*ODD_TEXTS, *texts], dtype=object)
    columns = {}
    for name in COLUMNS:
        pool = texts if name in TEXT_COLUMNS else numbers
        columns[name] = rng.choice(pool, ROWS)
        columns[name][rng.random(ROWS) < 0.15] = None if name in TEXT_COLUMNS else np.nan
    common = rng.choice(numbers, ROWS)
    for name in NUMBER_COLUMNS:
        columns[name] = np.where(rng.random(ROWS) < 0.3, common, columns[name])
    return columns


def told_values(columns, names):
    return sorted({float(value) for name in names for value in columns[name] if not np.isnan(value)})


def test_suites_of_every_type_are_drawn():
    assert KWARGS.keys() == ROW_EXPECTATIONS.keys()


@given(ONE_OF_EACH, MORE, st.lists(st.text(max_size=12), max_size=20), st.integers(0, 2**32))
@settings(DRAWN, max_examples=pick(10, 250))
def test_drawn_rows_under_drawn_suites_of_every_type_have_the_same_verdicts(each, more, texts, seed):
    suite = suite_of(*each, *more)
    assert_same_verdicts(suite, drawn_columns(suite, texts, seed))


# --- The same, on real reports and broken ones -------------------------------------------------------------------


@pytest.fixture(scope="module")
def real_columns():
    """Of every real report, and of what a mutator left of as many and more."""
    mutated = (mutator().body(Random(f"verdicts:{i}")) for i in range(pick(3_000, 30_000)))
    bodies = [*OPENFDA.read_bytes().splitlines(), *FAERS.read_bytes().splitlines(), *mutated]
    reports = [found for found in map(decode, bodies) if isinstance(found, Report)]
    assert len(reports) > 2_000
    return checked_columns(reports, TODAY)


def test_real_and_broken_reports_have_the_same_verdicts(real_columns):
    assert_same_verdicts(load_suite(), real_columns)


def test_most_of_the_packaged_suite_is_broken_by_some_of_them(real_columns):
    found = set().union(*failed_codes(by_checker(load_suite(), real_columns)))
    assert len(found) > len(load_suite().checks) / 2


@given(ONE_OF_EACH, MORE)
@settings(DRAWN, max_examples=pick(4, 100))
def test_real_and_broken_reports_under_drawn_suites_have_the_same_verdicts(real_columns, each, more):
    assert_same_verdicts(suite_of(*each, *more), real_columns)


# --- A suite is confirmed before it judges -----------------------------------------------------------------------


def test_the_packaged_suite_is_confirmed():
    confirm(load_suite())


def test_every_expectation_of_the_packaged_suite_has_rows_that_tell():
    columns, rows = telling_rows(load_suite())
    found = failed_codes(Checker(load_suite()).check_columns(columns, rows))
    for check in load_suite().checks:
        assert 0 < sum(check.code in codes for codes in found) < rows, check.code


@pytest.mark.parametrize(
    ("kind", "column", "told"),
    [
        ("expect_column_values_to_be_between", "weight_kg", {math.nextafter(20, 0), 20, math.nextafter(20, 99), 25}),
        ("expect_column_value_lengths_to_be_between", "safetyreportid", {"x" * n for n in (19, 20, 21, 24, 25, 26)}),
    ],
)
def test_rows_tell_what_is_a_little_beyond_a_limit(kind, column, told):
    columns, _ = telling_rows(suite_of((kind, {"column": column, "min_value": 20, "max_value": 25})))
    assert told <= set(columns[column])


@pytest.mark.parametrize("kind", sorted(KWARGS))
@given(data=st.data())
@settings(DRAWN, max_examples=pick(3, 60))
def test_a_drawn_suite_is_confirmed(kind, data):
    confirm(suite_of((kind, data.draw(KWARGS[kind]))))


@pytest.mark.parametrize("kind", ["expect_column_values_to_be_in_set", "expect_column_values_to_not_be_in_set"])
def test_a_suite_that_would_be_read_in_another_way_is_refused(kind):
    # A float64 cannot hold 2**53 + 1: Great Expectations says that no value is in the set, NumPy that 2**53 is.
    suite = suite_of((kind, {"column": "sex", "value_set": [1]}), (kind, {"column": "sex", "value_set": [2**53 + 1]}))
    with pytest.raises(SuiteError, match=r"otherwise than the stream would, by c1: write"):
        confirm(suite)


def document(**changes):
    meta = {"code": "odd", "severity": "critical", "why": "x"}
    good = {"type": "expect_column_values_to_be_between", "kwargs": {"column": "sex", "min_value": 1}, "meta": meta}
    return {"name": "mine", "expectations": [good], **changes}


def with_expectation(**changes):
    (good,) = document()["expectations"]
    return document(expectations=[{**good, **changes}])


@pytest.mark.parametrize(
    "broken",
    [
        document(name=""),
        document(unknown=1),
        document(meta=4),
        with_expectation(unknown=1),
        with_expectation(expectation_type="expect_column_values_to_be_null"),
        with_expectation(rendered_content=[1]),
    ],
)
def test_a_suite_that_great_expectations_does_not_take_is_refused_though_it_loads(tmp_path, broken):
    (tmp_path / "report.json").write_text(json.dumps(broken))
    suite = load_suite(tmp_path)
    with pytest.raises(SuiteError, match="Great Expectations does not take the suite"):
        confirm(suite)


def test_an_expectation_that_great_expectations_would_leave_out_is_refused():
    with pytest.raises(SuiteError, match="does not take expectation odd"):
        Reference(json.dumps(with_expectation(severity="fatal")))


# --- Great Expectations itself -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "broken",
    [
        {"type": "expect_column_values_to_match_regex", "kwargs": {"column": "reaction_outcomes", "regex": "("}},
        {"type": "expect_column_values_to_be_between", "kwargs": {"column": "sex", "min_value": "a"}},
        {"type": "expect_column_values_to_be_between", "kwargs": {"column": "drug_characterizations", "min_value": 1}},
        {"type": "expect_column_values_to_be_between", "kwargs": {"min_value": 1}},
        {"type": "expect_column_pair_values_to_be_equal", "kwargs": {"column_A": "sex"}},
        {"type": "expect_column_values_to_be_in_set", "kwargs": {"column": "sex", "values": [1]}},
        {"type": "expect_column_values_to_be_of_odd_shape", "kwargs": {"column": "sex"}},
    ],
)
def test_nothing_passes_unjudged_where_great_expectations_cannot_evaluate(broken):
    with pytest.raises(SuiteError, match=r"odd|does not take"):
        Reference(json.dumps(with_expectation(**broken))).validate(checked_columns(POOL, TODAY))


def test_what_it_cannot_evaluate_is_said_without_report_text():
    broken = {"type": "expect_column_values_to_be_between", "kwargs": {"column": "safetyreportid", "min_value": 1}}
    columns = checked_columns([replace(report(example()), safetyreportid=CANARY)], TODAY)
    with pytest.raises(SuiteError, match="expectation odd could not be evaluated") as raised:
        Reference(json.dumps(with_expectation(**broken))).validate(columns)
    assert CANARY not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None


def test_a_second_reference_in_the_process_leaves_the_first_one_working(their_verdicts):
    columns = checked_columns(POOL, TODAY)
    first = Reference(load_suite().text)
    lenient = suite_of(("expect_column_values_to_be_between", {"column": "age_years", "max_value": 999}))
    assert by_great_expectations(lenient, columns).critical == ((),) * len(POOL)
    assert row_verdicts(first.validate(columns), len(POOL), load_suite()) == their_verdicts


def test_validating_writes_no_file_opens_no_connection_and_prints_nothing(tmp_path, monkeypatch, capfd):
    def refuse(*args):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    Reference(load_suite().text).validate(checked_columns(POOL, TODAY))
    confirm(load_suite())
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_judging_needs_neither_great_expectations_nor_pandas():
    script = f"""
import sys
from pathlib import Path
from expectations.checks import Checker
from expectations.decode import decode
from expectations.suite import load_suite
verdicts = Checker(load_suite()).check([decode(body) for body in Path({str(OPENFDA)!r}).read_bytes().splitlines()])
assert verdicts.critical == ((),) * 100
print(*sorted({{"great_expectations", "pandas", "pyspark", "scipy", "pyarrow"}} & sys.modules.keys()))
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout, run.stderr) == (0, "\n", "")


@pytest.mark.parametrize("load", [load_suite, load_pipeline_suite])
def test_a_packaged_suite_is_what_great_expectations_itself_would_write(load):
    import great_expectations as gx

    gx.get_context(mode="ephemeral")
    packaged = msgspec.json.decode(load().text)
    written = gx.ExpectationSuite(**packaged).to_json_dict()
    for expectation in written["expectations"]:
        assert expectation.pop("id", None) is None
    assert written["expectations"] == packaged["expectations"]
    assert written["name"] == packaged["name"]


def test_every_expectation_type_a_suite_may_hold_is_one_of_great_expectations():
    from great_expectations.expectations.registry import list_registered_expectation_implementations

    assert set(list_registered_expectation_implementations()) >= ROW_EXPECTATIONS.keys()


def test_an_interpreter_that_pyspark_would_end_gets_an_error_instead_of_a_silent_exit():
    script = (
        "from expectations.reference import Reference; from expectations.suite import load_suite; "
        "Reference(load_suite().text)"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    # Where grpc is installed, PySpark lets the import go on.
    assert run.returncode == (0 if importlib.util.find_spec("grpc") else 1)
    if run.returncode:
        assert "run a file or a module" in run.stderr


# --- Files -------------------------------------------------------------------------------------------------------


def test_no_real_report_is_quarantined():
    result = check_files([OPENFDA, FAERS], load_suite(), load_pipeline_suite())
    assert result.ok
    assert [(file.reports, file.passed) for file in result.files] == [(100, 100), (1000, 1000)]
    assert all(not file.critical and not file.rejections for file in result.files)


def test_a_file_is_counted_by_what_its_reports_fail(tmp_path):
    path = tmp_path / "reports.jsonl"
    bodies = [example(), reactions(), example({"drug": [], "reaction": []}), example({"patientsex": "9"})]
    lines = [*map(json.dumps, bodies), '{"safetyreportid": "1"', "[]", "7", "{}"]
    path.write_text("\n".join(lines))
    result = check_files([path], load_suite(), load_pipeline_suite())
    (file,) = result.files
    assert not result.ok
    assert result.suite_version == load_suite().version
    assert (file.path, file.reports, file.passed) == (path, 8, 2)
    assert file.critical == {"no_named_drug": 1, "no_named_reaction": 2}
    assert file.warnings == {"no_suspect_drug": 1, "sex_not_in_code_list": 1}
    assert file.rejections == {"broken_json": 1, "missing_id": 1, "not_an_object": 2}


def test_a_file_of_nothing_but_broken_bodies_is_counted(tmp_path):
    path = tmp_path / "reports.jsonl"
    path.write_text("x\ny\n")
    result = check_files([path], load_suite(), load_pipeline_suite())
    assert not result.ok
    assert result.files[0].rejections == {"broken_json": 2}
