"""The packaged suite under the real Great Expectations: its verdicts against what the JSON says."""

import datetime as dt
import importlib.util
import json
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expectations.check_files import check_files
from expectations.checks import Checker
from expectations.decode import decode
from expectations.errors import SuiteError
from expectations.report import Report
from expectations.suite import ROW_EXPECTATIONS, LoadedSuite, load_suite

DATA = Path(__file__).parents[1] / "data"
OPENFDA = DATA / "openfda_reports_100.jsonl"
FAERS = DATA / "faers_2014_reports_1000.jsonl"
TODAY = dt.date(2016, 1, 1)


# Great Expectations imports two modules of the standard library that Python has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:module 'sre_(constants|parse)' is deprecated:DeprecationWarning")


@pytest.fixture(scope="module")
def checker():
    return Checker(load_suite(), today=lambda: TODAY)


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
    "age abc": (example({"patientonsetage": "abc"}), [], ["unreadable_values"]),
    "weight 0": (example({"patientweight": "0"}), [], ["weight_implausible"]),
    "weight 0.6": (example({"patientweight": "0.6"}), [], []),
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
    "date 20261301": (example(receivedate="20261301"), [], ["unreadable_values"]),
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
    "serious not said": (example(serious=None, seriousnessdeath="1"), [], []),
    "name too long": (drugs({**SUSPECT, "medicinalproduct": "A" * 600}), [], ["unreadable_values"]),
    "everything at once": (
        example(
            {"drug": [], "patientsex": "7", "patientonsetage": "130", "patientweight": "x"}, receivedate="20160201"
        ),
        ["no_named_drug"],
        [
            "age_implausible",
            "date_in_future",
            "no_suspect_drug",
            "receiptdate_before_receivedate",
            "sex_not_in_code_list",
            "unreadable_values",
        ],
    ),
}
POOL = [report(value) for value, _, _ in CASES.values()]


@pytest.fixture(scope="module")
def verdicts(checker):
    return checker.check(POOL)


@pytest.mark.parametrize("name", CASES)
def test_a_report_fails_exactly_what_its_json_breaks(verdicts, name):
    at = list(CASES).index(name)
    _, critical, warnings = CASES[name]
    assert verdicts.critical[at] == tuple(critical)
    assert verdicts.warnings[at] == tuple(warnings)


def test_every_expectation_of_the_suite_is_broken_by_some_case():
    codes = {e["meta"]["code"] for e in json.loads(load_suite().text)["expectations"]}
    assert codes == {code for _, critical, warnings in CASES.values() for code in critical + warnings}


@given(st.lists(st.sampled_from(range(len(POOL))), max_size=12))
@settings(max_examples=10, deadline=None)
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
@settings(max_examples=10, deadline=None)
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


def test_a_second_checker_in_the_process_leaves_the_first_one_working(checker, verdicts):
    lenient = {
        "name": "lenient",
        "expectations": [
            {
                "type": "expect_column_values_to_be_between",
                "kwargs": {"column": "age_years", "max_value": 999},
                "meta": {"code": "age_high", "severity": "critical", "why": "x"},
            }
        ],
    }
    other = Checker(LoadedSuite(json.dumps(lenient), "v"), today=lambda: TODAY)
    assert other.check(POOL).critical == ((),) * len(POOL)
    assert checker.check(POOL) == verdicts


def test_checking_writes_no_file_opens_no_connection_and_prints_nothing(tmp_path, monkeypatch, capfd):
    def refuse(*args):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    Checker(load_suite()).check(POOL)
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_the_packaged_suite_is_what_great_expectations_itself_would_write():
    import great_expectations as gx

    gx.get_context(mode="ephemeral")
    packaged = msgspec.json.decode(load_suite().text)
    written = gx.ExpectationSuite(**packaged).to_json_dict()
    for expectation in written["expectations"]:
        assert expectation.pop("id", None) is None
    assert written["expectations"] == packaged["expectations"]
    assert written["name"] == packaged["name"]


def test_every_expectation_type_a_suite_may_hold_is_one_of_great_expectations(checker):
    from great_expectations.expectations.registry import list_registered_expectation_implementations

    assert set(list_registered_expectation_implementations()) >= ROW_EXPECTATIONS


@pytest.mark.parametrize(
    "kwargs",
    [
        {"type": "expect_column_values_to_match_regex", "kwargs": {"column": "reaction_outcomes", "regex": "("}},
        {"type": "expect_column_values_to_be_between", "kwargs": {"column": "sex", "min_value": "a"}},
        {"type": "expect_column_values_to_be_between", "kwargs": {"column": "drug_characterizations", "min_value": 1}},
        {"type": "expect_column_values_to_be_between", "kwargs": {"min_value": 1}},
        {"type": "expect_column_pair_values_to_be_equal", "kwargs": {"column_A": "sex"}},
        {"type": "expect_column_values_to_be_in_set", "kwargs": {"column": "sex", "values": [1]}},
    ],
)
def test_a_suite_that_cannot_be_evaluated_is_refused_before_it_judges_a_report(tmp_path, kwargs):
    path = tmp_path / "suite.json"
    meta = {"code": "odd", "severity": "critical", "why": "x"}
    path.write_text(json.dumps({"name": "mine", "expectations": [{**kwargs, "meta": meta}]}))
    with pytest.raises(SuiteError, match=r"odd|does not take"):
        Checker(load_suite(path))


def test_an_interpreter_that_pyspark_would_end_gets_an_error_instead_of_a_silent_exit():
    script = "from expectations.checks import Checker; from expectations.suite import load_suite; Checker(load_suite())"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    # Where grpc is installed, PySpark lets the import go on.
    assert run.returncode == (0 if importlib.util.find_spec("grpc") else 1)
    if run.returncode:
        assert "run a file or a module" in run.stderr


def test_no_real_report_is_quarantined():
    result = check_files([OPENFDA, FAERS], load_suite())
    assert result.ok
    assert [(file.reports, file.passed) for file in result.files] == [(100, 100), (1000, 1000)]
    assert all(not file.critical and not file.rejections for file in result.files)


def test_a_file_is_counted_by_what_its_reports_fail(tmp_path):
    path = tmp_path / "reports.jsonl"
    bodies = [example(), reactions(), example({"drug": [], "reaction": []}), example({"patientsex": "9"})]
    lines = [*map(json.dumps, bodies), '{"safetyreportid": "1"', "[]", "7", "{}"]
    path.write_text("\n".join(lines))
    result = check_files([path], load_suite())
    assert not result.ok
    assert json.loads(json.dumps(result.as_json())) == {
        "ok": False,
        "suite_version": load_suite().version,
        "files": [
            {
                "path": str(path),
                "reports": 8,
                "passed": 2,
                "critical": {"no_named_drug": 1, "no_named_reaction": 2},
                "warnings": {"no_suspect_drug": 1, "sex_not_in_code_list": 1},
                "rejections": {"broken_json": 1, "missing_id": 1, "not_an_object": 2},
            }
        ],
    }


def test_a_file_of_nothing_but_broken_bodies_is_counted(tmp_path):
    path = tmp_path / "reports.jsonl"
    path.write_text("x\ny\n")
    result = check_files([path], load_suite())
    assert not result.ok
    assert result.files[0].rejections == {"broken_json": 2}
