"""Loading the suite of reports: what it must hold, and what is said when it does not."""

import json
import re

import pytest

from expectations.columns import COLUMNS, TEXT_COLUMNS
from expectations.errors import SuiteError
from expectations.reasons import Reason
from expectations.row_expectations import ROW_EXPECTATIONS
from expectations.suite import load_suite

BETWEEN = "expect_column_values_to_be_between"
LENGTHS = "expect_column_value_lengths_to_be_between"
IN_SET = "expect_column_values_to_be_in_set"
NOT_IN_SET = "expect_column_values_to_not_be_in_set"
MATCHES = "expect_column_values_to_match_regex"
NOT_MATCHES = "expect_column_values_to_not_match_regex"
NULL = "expect_column_values_to_be_null"
NOT_NULL = "expect_column_values_to_not_be_null"
GREATER = "expect_column_pair_values_a_to_be_greater_than_b"
EQUAL = "expect_column_pair_values_to_be_equal"

GOOD = {
    BETWEEN: {"column": "age_years", "min_value": 0},
    LENGTHS: {"column": "safetyreportid", "max_value": 64},
    IN_SET: {"column": "sex", "value_set": [0, 1, 2]},
    NOT_IN_SET: {"column": "weight_kg", "value_set": [0, 999.9]},
    MATCHES: {"column": "reaction_outcomes", "regex": "^[1-6]"},
    NOT_MATCHES: {"column": "safetyreportid", "regex": "^0+$"},
    NULL: {"column": "receivedate"},
    NOT_NULL: {"column": "drug_characterizations"},
    GREATER: {"column_A": "receiptdate", "column_B": "receivedate"},
    EQUAL: {"column_A": "serious", "column_B": "any_criterion"},
}


def expectation(**changes):
    return {
        "type": BETWEEN,
        "kwargs": {"column": "age_years", "min_value": 0},
        "meta": {"code": "age_low", "severity": "warning", "why": "No one is younger."},
        **changes,
    }


def of_type(kind, **changes):
    return expectation(type=kind, kwargs={**GOOD[kind], **changes})


@pytest.fixture
def suite_folder(tmp_path):
    def write(*expectations, **changes):
        (tmp_path / "report.json").write_text(
            json.dumps({"name": "mine", "expectations": list(expectations), **changes})
        )
        return tmp_path

    return write


def packaged():
    return json.loads(load_suite().text)["expectations"]


# --- The packaged suite -----------------------------------------------------------------------------------------


def test_every_critical_expectation_of_the_packaged_suite_is_a_reason():
    critical = {check.code for check in load_suite().checks if check.severity == "critical"}
    assert critical
    assert critical <= set(Reason)


def test_codes_of_all_warnings_fit_the_database_together():
    warnings = [check.code for check in load_suite().checks if check.severity == "warning"]
    assert len(",".join(warnings)) <= 1000


def test_every_column_is_judged_but_those_that_say_what_the_source_does():
    judged = {name for check in load_suite().checks for name in check.expectation.names()}
    assert judged == set(COLUMNS) - {"unknown_field_count"}


def test_checks_hold_what_the_json_says_in_its_order():
    checks = load_suite().checks
    assert [check.code for check in checks] == [e["meta"]["code"] for e in packaged()]
    assert [type(check.expectation) for check in checks] == [ROW_EXPECTATIONS[e["type"]] for e in packaged()]
    assert [(check.severity, check.why) for check in checks] == [
        (e["meta"]["severity"], e["meta"]["why"]) for e in packaged()
    ]


def test_text_columns_are_columns():
    assert set(COLUMNS) > TEXT_COLUMNS


# --- A suite of one's own ---------------------------------------------------------------------------------------


def test_every_type_is_tried_here():
    assert GOOD.keys() == ROW_EXPECTATIONS.keys()


@pytest.mark.parametrize("kind", sorted(GOOD))
def test_a_suite_of_ones_own_loads(suite_folder, kind):
    suite = load_suite(suite_folder(of_type(kind)))
    assert json.loads(suite.text)["name"] == "mine"
    (check,) = suite.checks
    assert (check.code, check.severity, check.why) == ("age_low", "warning", "No one is younger.")
    assert set(check.expectation.names()) <= set(GOOD[kind].values() if kind in (GREATER, EQUAL) else COLUMNS)


def test_version_depends_on_what_the_suite_says_not_on_how_it_is_written(suite_folder, tmp_path):
    written = suite_folder(expectation())
    version = load_suite(written).version
    document = json.loads((tmp_path / "report.json").read_text())
    (tmp_path / "report.json").write_text(json.dumps(dict(reversed(document.items())), indent=4))
    assert load_suite(tmp_path).version == version
    assert re.fullmatch("[0-9a-f]{12}", version)
    assert load_suite(suite_folder(of_type(BETWEEN, min_value=1))).version != version


def test_severity_may_be_said_twice_if_it_is_the_same(suite_folder):
    assert load_suite(suite_folder(expectation(severity="warning"))).checks[0].severity == "warning"


@pytest.mark.parametrize("kwargs", [{"min_value": 120, "max_value": 120}, {"strict_min": True}, {"max_value": None}])
def test_limits_that_make_sense_are_taken(suite_folder, kwargs):
    load_suite(suite_folder(of_type(BETWEEN, **kwargs)))


# --- What is refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (expectation(type="expect_column_mean_to_be_between"), "age_low: expect_column_mean_to_be_between does not"),
        (expectation(type="expect_column_values_to_be_unique"), "age_low: .* does not judge row by row; take one of"),
        (expectation(meta={"code": "a b", "severity": "warning", "why": "x"}), "code 'a b'"),
        (expectation(meta={"code": "a,b", "severity": "warning", "why": "x"}), "code 'a,b'"),
        (expectation(meta={"code": "a\n", "severity": "warning", "why": "x"}), "code 'a"),
        (expectation(meta={"code": "a" * 51, "severity": "warning", "why": "x"}), "50 at most"),
        (expectation(meta={"code": "a", "severity": "fatal", "why": "x"}), "meta.severity"),
        (expectation(meta={"code": "a", "severity": "warning", "why": " "}), "a: no why"),
        (expectation(meta={"severity": "warning", "why": "x"}), "missing required field `code`"),
        (expectation(severity="critical"), "age_low: severity is 'critical' beside 'warning' in meta"),
    ],
)
def test_an_expectation_that_cannot_be_used_is_named(suite_folder, broken, message):
    with pytest.raises(SuiteError, match=message):
        load_suite(suite_folder(broken))


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (of_type(BETWEEN, column="age"), "there is no column 'age'"),
        (of_type(EQUAL, column_B="x"), "there is no column 'x'"),
        (of_type(NULL, column="x"), "there is no column 'x'"),
        (of_type(BETWEEN, column="safetyreportid"), "judges numbers, which column 'safetyreportid' does not hold"),
        (of_type(IN_SET, column="reaction_outcomes"), "judges numbers, which column 'reaction_outcomes' does not"),
        (of_type(GREATER, column_A="safetyreportid"), "judges numbers, which column 'safetyreportid' does not hold"),
        (of_type(MATCHES, column="sex"), "judges text, which column 'sex' does not hold"),
        (of_type(LENGTHS, column="drug_count"), "judges text, which column 'drug_count' does not hold"),
        (of_type(BETWEEN, mostly=0.9), "mostly is not supported"),
        (of_type(EQUAL, row_condition="sex==1"), "row_condition is not supported"),
        (of_type(BETWEEN, minimum=0), "kwargs of expect_column_values_to_be_between: .*unknown field `minimum`"),
        (of_type(NULL, min_value=0), "unknown field `min_value`"),
        (of_type(LENGTHS, strict_min=True), "unknown field `strict_min`"),
        (of_type(BETWEEN, result_format="COMPLETE"), "unknown field `result_format`"),
        (of_type(EQUAL, a="serious"), "unknown field `a`"),
        (expectation(kwargs={"min_value": 1}), "missing required field `column`"),
        (expectation(type=EQUAL, kwargs={"column_A": "sex"}), "missing required field `column_B`"),
        (expectation(type=IN_SET, kwargs={"column": "sex"}), "missing required field `value_set`"),
        (expectation(type=MATCHES, kwargs={"column": "safetyreportid"}), "missing required field `regex`"),
        (of_type(BETWEEN, min_value="0"), r"Expected `float \| null`, got `str` - at `\$.min_value`"),
        (of_type(BETWEEN, min_value=True), r"got `bool` - at `\$.min_value`"),
        (of_type(BETWEEN, strict_min=1), r"Expected `bool`, got `int` - at `\$.strict_min`"),
        (of_type(BETWEEN, min_value={"$PARAMETER": "x"}), r"got `object` - at `\$.min_value`"),
        (of_type(BETWEEN, max_value=10**400), r"out of range - at `\$.max_value`"),
        (of_type(IN_SET, value_set=["1"]), r"Expected `float`, got `str` - at `\$.value_set\[0\]`"),
        (of_type(IN_SET, value_set=[1, None]), r"got `null` - at `\$.value_set\[1\]`"),
        (of_type(NOT_IN_SET, value_set=None), r"got `null` - at `\$.value_set`"),
        (of_type(LENGTHS, max_value=64.0), r"got `float` - at `\$.max_value`"),
        (of_type(LENGTHS, max_value=-1), r"Expected `int` >= 0 - at `\$.max_value`"),
        (of_type(LENGTHS, max_value=10**400), r"Expected `int` <= 10000 - at `\$.max_value`"),
        (of_type(MATCHES, regex=1), r"Expected `str`, got `int` - at `\$.regex`"),
        (of_type(GREATER, ignore_row_if="never"), r"Invalid enum value 'never' - at `\$.ignore_row_if`"),
        (expectation(kwargs={"column": "sex"}), "neither min_value nor max_value"),
        (of_type(LENGTHS, max_value=None), "neither min_value nor max_value"),
        (of_type(BETWEEN, max_value=-0.5), "min_value is above max_value"),
        (of_type(LENGTHS, min_value=65), "min_value is above max_value"),
        (of_type(MATCHES, regex="("), "the regex does not compile: missing"),
        (of_type(NOT_MATCHES, regex="["), "the regex does not compile: unterminated character set"),
        (of_type(MATCHES, regex="(?a)(?u)x"), "the regex does not compile: ASCII and UNICODE flags"),
        (of_type(MATCHES, regex="x{1,99999999999999999999}"), "the regex does not compile: the repetition number"),
        (of_type(MATCHES, regex="(" * 5000 + ")" * 5000), "the regex does not compile: maximum recursion"),
    ],
)
def test_kwargs_that_cannot_be_used_are_named_with_their_expectation(suite_folder, broken, message):
    with pytest.raises(SuiteError, match=rf"report\.json cannot be used: age_low: .*{message}"):
        load_suite(suite_folder(broken))


def test_every_problem_is_named_at_once(suite_folder):
    with pytest.raises(SuiteError, match=r"used twice.*no column 'age'.*neither min_value"):
        load_suite(suite_folder(expectation(), of_type(BETWEEN, column="age"), expectation(kwargs={"column": "sex"})))


def test_an_empty_suite_is_refused(suite_folder):
    with pytest.raises(SuiteError, match="no expectation"):
        load_suite(suite_folder())


@pytest.mark.parametrize("text", ["", "{", "[" * 5000, '{"name": NaN}', "\x00", '{"name": "\\ud800"}', "1e400"])
def test_what_is_no_json_is_refused(tmp_path, text):
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(SuiteError, match=r"report\.json is no JSON"):
        load_suite(tmp_path)


@pytest.mark.parametrize(
    "text", ["[]", "1", '{"name": "x"}', '{"name": 1, "expectations": []}', '{"name": "x", "expectations": [1]}']
)
def test_what_is_no_suite_is_refused(tmp_path, text):
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(SuiteError, match="not Great Expectations' JSON"):
        load_suite(tmp_path)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "report.json").write_bytes(b'{"name": "\xff"}')
    with pytest.raises(SuiteError, match=r"report\.json is no JSON"):
        load_suite(tmp_path)


def test_a_missing_suite_is_refused_by_name_and_folder(tmp_path):
    with pytest.raises(SuiteError, match=r"cannot read report\.json in .*nowhere: No such file"):
        load_suite(tmp_path / "nowhere")


def test_every_reason_has_a_code_and_a_sentence():
    for reason in Reason:
        assert reason.value == reason.name.lower()
        assert reason.sentence.endswith(".")
        assert str(reason) == reason.value
