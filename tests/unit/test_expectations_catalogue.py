"""docs/expectations.md says what the suites, the decoder and the columns are."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest

from expectations import decode as decoder
from expectations.catalogue import COMMAND, PAGE, asks, limits_in_words, page_with_tables
from expectations.columns import COLUMNS
from expectations.dates import read_date
from expectations.fields import MAX_TEXT_LENGTH
from expectations.pipeline import PIPELINE_COLUMNS, PIPELINE_EXPECTATIONS, Limits, load_pipeline_suite
from expectations.reasons import Reason
from expectations.report import Report
from expectations.row_expectations import ROW_EXPECTATIONS
from expectations.suite import load_suite

TEXT = PAGE.read_text(encoding="utf-8")


def cells(page: str) -> list[list[str]]:
    return [re.split(r"(?<!\\) \| ", line.strip("| ")) for line in page.splitlines() if line.startswith("|")]


def first_cells(page: str) -> set[str]:
    return {row[0].strip("`") for row in cells(page)}


def test_the_page_is_current() -> None:
    assert page_with_tables(TEXT) == TEXT, f"renew docs/expectations.md with: {COMMAND}"


def test_renewing_leaves_the_rest_of_the_page_alone() -> None:
    stale = re.sub(r"(<!-- begin:[^>]*-->\n).*(<!-- end -->)", r"\1anything\n\2", TEXT, flags=re.DOTALL)
    assert "malformed_id" not in stale
    assert page_with_tables(stale) == TEXT


def test_every_reason_check_and_column_is_in_a_table() -> None:
    pipeline = {e["meta"]["code"] for e in json.loads(load_pipeline_suite().text)["expectations"]}
    codes = set(Reason) | {check.code for check in load_suite().checks} | pipeline
    assert codes | COLUMNS.keys() | PIPELINE_COLUMNS.keys() <= first_cells(TEXT)


def test_the_reasons_of_the_decoder_are_those_that_it_gives() -> None:
    given = {Reason[name] for name in re.findall(r"Reason\.([A-Z_0-9]+)", Path(decoder.__file__).read_text())}
    assert {row[0].strip("`") for row in cells(TEXT) if row[1:2] == ["decoder"]} == given


KWARGS = {
    "expect_column_pair_values_a_to_be_greater_than_b": (
        {"column_A": "receiptdate", "column_B": "receivedate", "ignore_row_if": "either_value_is_missing"},
        "`receiptdate` is above `receivedate`, where both are given",
    ),
    "expect_column_pair_values_to_be_equal": (
        {"column_A": "serious", "column_B": "any_criterion"},
        "`serious` equals `any_criterion`, where either is given",
    ),
    "expect_column_value_lengths_to_be_between": (
        {"column": "safetyreportid", "max_value": 9},
        "`safetyreportid` has at most 9 characters",
    ),
    "expect_column_values_to_be_between": (
        {"column": "age_years", "min_value": 0.0, "max_value": 120.0, "strict_max": True},
        "`age_years` is at least 0 and below 120",
    ),
    "expect_column_values_to_be_in_set": ({"column": "sex", "value_set": [0, 1]}, "`sex` is one of 0, 1"),
    "expect_column_values_to_be_null": ({"column": "sex"}, "`sex` is null"),
    "expect_column_values_to_match_regex": (
        {"column": "safetyreportid", "regex": "^a|b$"},
        "`safetyreportid` matches <code>^a&#124;b$</code>",
    ),
    "expect_column_values_to_not_be_in_set": ({"column": "sex", "value_set": [0.5]}, "`sex` is none of 0.5"),
    "expect_column_values_to_not_be_null": ({"column": "sex"}, "`sex` is not null"),
    "expect_column_values_to_not_match_regex": (
        {"column": "safetyreportid", "regex": "x"},
        "`safetyreportid` does not match <code>x</code>",
    ),
}


@pytest.mark.parametrize("kind", ROW_EXPECTATIONS)
def test_every_type_of_expectation_has_words(kind: str) -> None:
    kwargs, words = KWARGS[kind]
    assert asks(msgspec.convert(kwargs, ROW_EXPECTATIONS[kind])) == words


def test_limits_have_words() -> None:
    assert limits_in_words(Limits("age_missing", max_value=0.75)) == "at most 0.75"
    assert limits_in_words(Limits("serious", 0.05, 0.995, strict_min=True)) == "above 0.05 and at most 0.995"


def test_types_of_expectations_that_the_page_allows_are_those_that_load() -> None:
    named = set(re.findall(r"`(expect_\w+)`", TEXT.split("<!-- begin", 1)[0]))
    assert named == ROW_EXPECTATIONS.keys() | PIPELINE_EXPECTATIONS


def test_the_limits_shown_are_those_of_the_decoder() -> None:
    shown = {row[0]: row[1] for row in cells(TEXT) if len(row) == 3}
    assert shown["size of a body"] == f"{decoder.MAX_BODY_BYTES // 1024**2} MB"
    assert shown["depth of the JSON"] == f"{decoder.MAX_DEPTH} levels"
    assert shown["`safetyreportid`"] == f"{decoder.MAX_ID_LENGTH} characters"
    assert shown["a text that is kept"] == f"{MAX_TEXT_LENGTH} characters"


def test_the_sample_sizes_shown_are_those_of_the_suite() -> None:
    suite = load_pipeline_suite()
    assert f"the newest {suite.newest:,} events together" in TEXT
    assert f"fewer than {suite.at_least} events nothing is judged" in TEXT


def test_every_date_format_shown_is_read() -> None:
    shown = [row for row in cells(TEXT) if re.fullmatch(r"`\d{3}`", row[0]) and row[1].startswith("YYYY")]
    assert len(shown) == 5
    for date_format, digits, example in shown:
        assert len(digits) == len(example.strip("`"))
        assert read_date(example.strip("`"), date_format.strip("`")), date_format


def test_every_age_unit_shown_is_read() -> None:
    shown = [row for row in cells(TEXT) if re.fullmatch(r"`80\d`", row[0])]
    (listed,) = [check.expectation for check in load_suite().checks if check.code == "age_unit_not_in_code_list"]
    assert [float(row[0].strip("`")) for row in shown] == msgspec.structs.asdict(listed)["value_set"]
    for unit, _, years in shown:
        patient = {"patientonsetage": "12", "patientonsetageunit": unit.strip("`"), "drug": [], "reaction": []}
        found = decoder.decode(json.dumps({"safetyreportid": "1", "patient": patient}).encode())
        assert isinstance(found, Report)
        numerator, _, denominator = years.partition("/")
        assert found.age_years == pytest.approx(12 * float(numerator) / float(denominator or 1))
