"""Loading a suite: what it must hold, and what is said when it does not."""

import json

import pytest

from expectations.columns import COLUMNS
from expectations.errors import SuiteError
from expectations.reasons import Reason
from expectations.suite import load_suite


def expectation(**changes):
    return {
        "type": "expect_column_values_to_be_between",
        "kwargs": {"column": "age_years", "min_value": 0},
        "meta": {"code": "age_low", "severity": "warning", "why": "No one is younger."},
        **changes,
    }


@pytest.fixture
def suite_file(tmp_path):
    def write(*expectations, **changes):
        path = tmp_path / "suite.json"
        path.write_text(json.dumps({"name": "mine", "expectations": list(expectations), **changes}))
        return path

    return write


def packaged():
    return json.loads(load_suite().text)["expectations"]


def test_the_packaged_suite_loads():
    assert len(packaged()) >= 15


def test_every_critical_expectation_of_the_packaged_suite_is_a_reason():
    critical = {e["meta"]["code"] for e in packaged() if e["meta"]["severity"] == "critical"}
    assert critical
    assert critical <= set(Reason)


def test_codes_of_all_warnings_fit_the_database_together():
    warnings = [e["meta"]["code"] for e in packaged() if e["meta"]["severity"] == "warning"]
    assert len(",".join(warnings)) <= 1000


def test_every_column_is_judged_or_serves_a_judgement():
    judged = {value for e in packaged() for key, value in e["kwargs"].items() if key.startswith("column")}
    assert judged == set(COLUMNS)


def test_a_suite_of_ones_own_loads(suite_file):
    suite = load_suite(suite_file(expectation()))
    assert json.loads(suite.text)["name"] == "mine"


def test_version_depends_on_what_the_suite_says_not_on_how_it_is_written(tmp_path, suite_file):
    written = suite_file(expectation())
    version = load_suite(written).version
    reordered = dict(reversed(json.loads(written.read_text()).items()))
    (tmp_path / "other.json").write_text(json.dumps(reordered, indent=4))
    assert load_suite(tmp_path / "other.json").version == version
    changed = suite_file(expectation(kwargs={"column": "age_years", "min_value": 1}))
    assert load_suite(changed).version != version


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (
            expectation(type="expect_column_mean_to_be_between"),
            "expect_column_mean_to_be_between does not judge row by row",
        ),
        (expectation(type="expect_column_values_to_be_unique"), "does not judge row by row"),
        (expectation(kwargs={"column": "age"}), "no column 'age'"),
        (expectation(kwargs={"column_A": "sex", "column_B": "x"}), "no column 'x'"),
        (expectation(kwargs={"column": "sex", "mostly": 0.9}), "mostly are not supported"),
        (expectation(meta={"code": "a b", "severity": "warning", "why": "x"}), "code 'a b'"),
        (expectation(meta={"code": "a", "severity": "fatal", "why": "x"}), "meta.severity"),
        (expectation(meta={"code": "a", "severity": "warning", "why": " "}), "a: no why"),
        (expectation(meta={"severity": "warning", "why": "x"}), "missing required field `code`"),
        (expectation(severity="critical"), "'critical' beside 'warning'"),
    ],
)
def test_what_cannot_be_used_is_named(suite_file, broken, message):
    with pytest.raises(SuiteError, match=message):
        load_suite(suite_file(broken))


def test_every_problem_is_named_at_once(suite_file):
    with pytest.raises(SuiteError, match=r"used twice.*no column 'age'"):
        load_suite(suite_file(expectation(), expectation(), expectation(kwargs={"column": "age"})))


def test_an_empty_suite_is_refused(suite_file):
    with pytest.raises(SuiteError, match="no expectation"):
        load_suite(suite_file())


@pytest.mark.parametrize("text", ["", "[]", "{", '{"name": "x"}', "[" * 5000])
def test_what_is_no_suite_is_refused(tmp_path, text):
    path = tmp_path / "suite.json"
    path.write_text(text)
    with pytest.raises(SuiteError, match="not Great Expectations' JSON"):
        load_suite(path)


def test_a_missing_suite_is_refused_by_name(tmp_path):
    with pytest.raises(SuiteError, match=r"nowhere\.json"):
        load_suite(tmp_path / "nowhere.json")


def test_every_reason_has_a_code_and_a_sentence():
    for reason in Reason:
        assert reason.value == reason.name.lower()
        assert reason.sentence.endswith(".")
        assert str(reason) == reason.value
