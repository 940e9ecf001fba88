"""The pipeline's suite and its columns, without Great Expectations."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expectations.errors import SuiteError
from expectations.pipeline import (
    PIPELINE_COLUMNS,
    PIPELINE_EXPECTATIONS,
    Received,
    load_pipeline_suite,
    pipeline_columns,
)

NOW = 1_790_000_000_000
HOUR = 3_600_000

MEAN = "expect_column_mean_to_be_between"


def expectation(**changes: Any) -> dict[str, Any]:
    return {
        "type": MEAN,
        "kwargs": {"column": "quarantined", "max_value": 0.2},
        "meta": {"code": "flood", "why": "Real reports pass."},
        **changes,
    }


def of_column(name: str) -> dict[str, Any]:
    return expectation(kwargs={"column": name, "max_value": 1})


Write = Callable[..., Path]


@pytest.fixture
def suite_folder(tmp_path: Path) -> Write:
    def write(*expectations: dict[str, Any], **changes: Any) -> Path:
        document = {"name": "mine", "expectations": list(expectations), "meta": {"newest": 100, "at_least": 10}}
        (tmp_path / "pipeline.json").write_text(json.dumps({**document, **changes}))
        return tmp_path

    return write


# --- Loading ----------------------------------------------------------------------------------------------------


def test_the_packaged_suite_loads() -> None:
    suite = load_pipeline_suite()
    assert (suite.newest, suite.at_least) == (2000, 200)
    assert re.fullmatch("[0-9a-f]{12}", suite.version)


def test_every_column_is_one_that_an_expectation_of_the_packaged_suite_judges_or_the_country() -> None:
    judged = {e["kwargs"]["column"] for e in json.loads(load_pipeline_suite().text)["expectations"]}
    assert judged == PIPELINE_COLUMNS.keys() - {"country_missing"}


@pytest.mark.parametrize("kind", sorted(PIPELINE_EXPECTATIONS))
@pytest.mark.parametrize("column", sorted(PIPELINE_COLUMNS))
def test_a_suite_of_ones_own_loads(suite_folder: Write, kind: str, column: str) -> None:
    suite = load_pipeline_suite(suite_folder({**of_column(column), "type": kind}))
    assert (suite.newest, suite.at_least) == (100, 10)


def test_version_depends_on_what_the_suite_says_not_on_how_it_is_written(suite_folder: Write) -> None:
    folder = suite_folder(expectation())
    version = load_pipeline_suite(folder).version
    document = json.loads((folder / "pipeline.json").read_text())
    (folder / "pipeline.json").write_text(json.dumps(dict(reversed(document.items())), indent=4))
    assert load_pipeline_suite(folder).version == version
    assert load_pipeline_suite(suite_folder(expectation(), meta={"newest": 101, "at_least": 10})).version != version


@pytest.mark.parametrize(("newest", "at_least"), [(1, 1), (50_000, 50_000), (50_000, 1)])
def test_the_sample_may_be_small_or_large(suite_folder: Write, newest: int, at_least: int) -> None:
    suite = load_pipeline_suite(suite_folder(expectation(), meta={"newest": newest, "at_least": at_least}))
    assert (suite.newest, suite.at_least) == (newest, at_least)


@pytest.mark.parametrize(("newest", "at_least"), [(100, 0), (100, -1), (100, 101), (0, 0), (50_001, 10)])
def test_a_sample_that_makes_no_sense_is_refused(suite_folder: Write, newest: int, at_least: int) -> None:
    with pytest.raises(SuiteError, match="meta needs 0 < at_least <= newest <= 50000"):
        load_pipeline_suite(suite_folder(expectation(), meta={"newest": newest, "at_least": at_least}))


@pytest.mark.parametrize(
    "meta", [None, {}, {"newest": 100}, {"newest": "100", "at_least": 1}, {"newest": 100.5, "at_least": 1}]
)
def test_a_suite_that_does_not_say_its_sample_is_refused(suite_folder: Write, meta: object) -> None:
    with pytest.raises(SuiteError, match="not Great Expectations' JSON with our meta"):
        load_pipeline_suite(suite_folder(expectation(), meta=meta))


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (
            expectation(type="expect_column_values_to_be_between"),
            "flood: expect_column_values_to_be_between finds no single number; take one of expect_column_max",
        ),
        (of_column("drug"), "flood: there is no column 'drug'"),
        (of_column("age_years"), "flood: there is no column 'age_years'"),
        (expectation(kwargs={"column": "quarantined"}), "flood: neither min_value nor max_value"),
        (
            expectation(kwargs={"column": "quarantined", "min_value": 1, "max_value": 0.2}),
            "flood: min_value is above max_value",
        ),
        (expectation(kwargs={"column": "quarantined", "max_value": 1, "mostly": 0.9}), "unknown field `mostly`"),
        (expectation(kwargs={"column": "quarantined", "max_value": "1"}), "Expected `float"),
        (expectation(kwargs={"max_value": 1}), "missing required field `column`"),
        (expectation(meta={"code": "a b", "why": "x"}), "code 'a b' is not lower-case"),
        (expectation(meta={"code": "a", "why": ""}), "a: no why"),
        (expectation(meta={"why": "x"}), "missing required field `code`"),
    ],
)
def test_what_cannot_be_used_is_named(suite_folder: Write, broken: dict[str, Any], message: str) -> None:
    with pytest.raises(SuiteError, match=message):
        load_pipeline_suite(suite_folder(broken))


def test_every_problem_is_named_at_once(suite_folder: Write) -> None:
    with pytest.raises(SuiteError, match=r"pipeline\.json cannot be used: .*used twice.*meta needs.*no column 'x'"):
        load_pipeline_suite(
            suite_folder(expectation(), expectation(), of_column("x"), meta={"newest": 1, "at_least": 2})
        )


def test_an_empty_or_missing_suite_is_refused(suite_folder: Write, tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match="no expectation"):
        load_pipeline_suite(suite_folder())
    with pytest.raises(SuiteError, match=r"cannot read pipeline\.json in .*nowhere"):
        load_pipeline_suite(tmp_path / "nowhere")


# --- Columns ----------------------------------------------------------------------------------------------------


def stored(seconds: float | None = 0.0, **known: Any) -> Received:
    """A stored event, so many seconds after `NOW`."""
    return Received("stored", None if seconds is None else NOW + int(seconds * 1000), **known)


def column(name: str, *received: Received, now_ms: int = NOW) -> list[float | None]:
    return [None if math.isnan(value) else value for value in pipeline_columns(received, now_ms)[name].tolist()]


def test_there_is_one_value_per_event_in_every_column() -> None:
    for received in ([], [stored()], [stored(), Received("quarantined"), Received("duplicate")]):
        columns = pipeline_columns(received, NOW)
        assert list(columns) == list(PIPELINE_COLUMNS)
        assert all(values.dtype == np.float64 and len(values) == len(received) for values in columns.values())


def test_events_are_in_order_of_the_hubs_time() -> None:
    events = [stored(30, unknown_fields=3), stored(10, unknown_fields=1), stored(20, unknown_fields=2)]
    assert column("unknown_fields", *events) == [1, 2, 3]
    assert column("gap_seconds", *events) == [None, 10, 10]
    assert column("hours_ago", *events, now_ms=NOW + 30_000 + HOUR) == [1 + 20 / 3600, 1 + 10 / 3600, 1]


def test_gaps_are_in_seconds_and_the_first_event_has_none() -> None:
    assert column("gap_seconds", stored()) == [None]
    assert column("gap_seconds", stored(0), stored(0), stored(0.001), stored(7200)) == [None, 0, 0.001, 7199.999]


def test_an_event_ahead_of_the_clock_is_less_than_no_hours_ago() -> None:
    assert column("hours_ago", stored(3600)) == [-1]


def test_events_of_a_file_have_no_time() -> None:
    events = [stored(None), stored(None)]
    assert column("gap_seconds", *events) == column("hours_ago", *events) == [None, None]


def test_the_outcome_is_known_of_every_event() -> None:
    events = [stored(0), Received("quarantined", NOW + 1), Received("duplicate", NOW + 2)]
    assert column("quarantined", *events) == [0, 1, 0]
    assert column("duplicate", *events) == [0, 0, 1]


def test_what_is_not_known_of_an_event_is_null() -> None:
    known = PIPELINE_COLUMNS.keys() - {"quarantined", "duplicate", "gap_seconds", "hours_ago"}
    for event in (stored(), Received("quarantined", NOW), Received("duplicate", NOW)):
        assert [column(name, event) for name in known] == [[None]] * len(known)


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("age_missing", "has_age"),
        ("sex_missing", "has_sex"),
        ("country_missing", "has_country"),
        ("receivedate_missing", "has_receivedate"),
    ],
)
def test_what_is_there_is_not_missing(name: str, field: str) -> None:
    assert column(name, stored(**{field: True}), stored(1, **{field: False}), stored(2)) == [0, 1, None]


@pytest.mark.parametrize("field", ["warned", "serious"])
def test_yes_is_one_and_no_is_zero(field: str) -> None:
    assert column(field, stored(**{field: True}), stored(1, **{field: False}), stored(2)) == [1, 0, None]


def test_the_commonest_drug_is_the_one_that_most_stored_reports_have() -> None:
    events = [stored(i, suspect=name) for i, name in enumerate(["B", "A", None, "B", "C"])]
    assert column("commonest_drug", *events) == [1, 0, None, 1, 0]


@given(st.lists(st.sampled_from(["A", "B", "C", None]) | st.integers(1, 3), max_size=12), st.randoms())
def test_one_drug_is_the_commonest_whatever_the_order(suspects: list[str | int | None], random: Random) -> None:
    def commonest(order: list[str | int | None]) -> set[str | int | None]:
        found = column("commonest_drug", *(stored(i, suspect=drug) for i, drug in enumerate(order)))
        return {drug for drug, is_commonest in zip(order, found, strict=True) if is_commonest}

    shuffled = random.sample(suspects, len(suspects))
    assert commonest(suspects) == commonest(shuffled)
    assert len(commonest(suspects)) == any(drug is not None for drug in suspects)
    for drug in commonest(suspects):
        assert suspects.count(drug) == max(suspects.count(other) for other in suspects if other is not None)


def test_warnings_are_added_to_what_is_known() -> None:
    event = stored(5, serious=True, suspect="A")
    assert event.with_warnings(True) == stored(5, serious=True, suspect="A", warned=True)
    assert event.warned is None
