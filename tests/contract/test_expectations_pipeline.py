"""The pipeline's suite under the real Great Expectations: what each expectation finds in a sample."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expectations.errors import SuiteError
from expectations.pipeline import (
    PIPELINE_EXPECTATIONS,
    Limits,
    LoadedPipelineSuite,
    PipelineChecker,
    Received,
    findings,
    load_pipeline_suite,
)
from expectations.reference import Reference

NOW = 1_790_000_000_000
HOUR = 3_600_000
EVENTS = 400
GAP_MS = 10_000

# Great Expectations imports two modules of the standard library that Python has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:module 'sre_(constants|parse)' is deprecated:DeprecationWarning")


@pytest.fixture(scope="module")
def checker() -> PipelineChecker:
    return PipelineChecker(load_pipeline_suite())


def usual() -> list[Received]:
    """Events as they come: one in three without an age, one in seven without a sex, ten seconds apart."""
    return [
        Received(
            "stored",
            NOW - (EVENTS - 1 - i) * GAP_MS,
            warned=i % 100 == 0,
            serious=i % 10 != 0,
            has_age=i % 3 != 0,
            has_sex=i % 7 != 0,
            has_country=i % 20 != 0,
            has_receivedate=True,
            suspect=i % 4 if i % 5 else None,
            unknown_fields=0,
        )
        for i in range(EVENTS)
    ]


def share(of: float, **changes: Any) -> list[Received]:
    """The usual sample, but a share of it is changed."""
    changed = round(of * EVENTS)
    return [replace(e, **changes) if i < changed else e for i, e in enumerate(usual())]


def not_stored(of: float, outcome: Any) -> list[Received]:
    """The usual sample, of which a share was not stored."""
    left = round(of * EVENTS)
    return [Received(outcome, e.enqueued_ms) if i < left else e for i, e in enumerate(usual())]


def apart(milliseconds: float) -> list[Received]:
    """The usual sample, but its events are so far apart."""
    return [replace(e, enqueued_ms=NOW - round((EVENTS - 1 - i) * milliseconds)) for i, e in enumerate(usual())]


def breaches(checker: PipelineChecker, received: Sequence[Received], now_ms: int = NOW) -> list[str]:
    found = checker.check(received, now_ms=now_ms)
    assert found is not None
    return [finding.code for finding in found if not finding.ok]


# --- The packaged suite -----------------------------------------------------------------------------------------

BROKEN = {
    "quarantine_flood": [not_stored(0.25, "quarantined"), not_stored(1, "quarantined")],
    "duplicate_flood": [not_stored(0.55, "duplicate"), not_stored(1, "duplicate")],
    "warnings_everywhere": [share(0.6, warned=True)],
    "ages_missing": [share(0.8, has_age=False)],
    "sexes_missing": [share(0.6, has_sex=False)],
    "receivedates_missing": [share(0.11, has_receivedate=False)],
    "share_of_serious": [share(1, serious=True), share(1, serious=False)],
    "one_drug_everywhere": [share(0.6, suspect="ONE"), share(1, suspect=7)],
    "unknown_fields": [share(0.51, unknown_fields=2), share(1 / EVENTS, unknown_fields=EVENTS + 1)],
    "volume": [apart(0), apart(0.4), apart(HOUR + 10_000)],
}
BARELY_GOOD = {
    "quarantine_flood": not_stored(0.2, "quarantined"),
    "duplicate_flood": not_stored(0.5, "duplicate"),
    "warnings_everywhere": share(0.49, warned=True),
    "ages_missing": share(0.6, has_age=False),
    "sexes_missing": share(0.4, has_sex=False),
    "receivedates_missing": share(0.1, has_receivedate=False),
    "share_of_serious": share(0.94, serious=False),
    "one_drug_everywhere": share(0.2, suspect=3),
    "unknown_fields": share(0.5, unknown_fields=2),
    "volume": apart(HOUR),
}


def test_the_usual_breaks_nothing_and_every_expectation_is_judged_in_the_suites_order(
    checker: PipelineChecker,
) -> None:
    found = checker.check(usual(), now_ms=NOW)
    assert found is not None
    assert all(finding.ok for finding in found)
    packaged = json.loads(load_pipeline_suite().text)["expectations"]
    assert [(finding.code, finding.why) for finding in found] == [
        (e["meta"]["code"], e["meta"]["why"]) for e in packaged
    ]
    assert {finding.events for finding in found} == {EVENTS}


@pytest.mark.parametrize(
    ("code", "received"), [(code, received) for code, samples in BROKEN.items() for received in samples]
)
def test_a_sample_breaks_exactly_what_is_wrong_with_it(
    checker: PipelineChecker, code: str, received: list[Received]
) -> None:
    assert breaches(checker, received) == [code]


@pytest.mark.parametrize("code", BARELY_GOOD)
def test_what_is_barely_good_breaks_nothing(checker: PipelineChecker, code: str) -> None:
    assert breaches(checker, BARELY_GOOD[code]) == []


def test_a_day_of_silence_breaks_only_that(checker: PipelineChecker) -> None:
    assert breaches(checker, usual(), NOW + 24 * HOUR) == []
    assert breaches(checker, usual(), NOW + 24 * HOUR + 1000) == ["feed_silent"]


def test_every_expectation_of_the_packaged_suite_is_broken_by_some_sample() -> None:
    codes = {e["meta"]["code"] for e in json.loads(load_pipeline_suite().text)["expectations"]}
    assert codes == BROKEN.keys() | {"feed_silent"} == BARELY_GOOD.keys() | {"feed_silent"}


def test_what_is_wrong_is_found_whatever_the_order_of_the_events(checker: PipelineChecker) -> None:
    for code, samples in BROKEN.items():
        assert breaches(checker, samples[0][::-1]) == [code]


def test_too_few_events_are_not_judged(checker: PipelineChecker) -> None:
    at_least = load_pipeline_suite().at_least
    bad = not_stored(1, "quarantined")
    assert checker.check(bad[: at_least - 1], now_ms=NOW) is None
    assert checker.check([], now_ms=NOW) is None
    assert breaches(checker, bad[:at_least], NOW) == ["quarantine_flood"]


def test_columns_of_which_nothing_is_known_are_not_judged(checker: PipelineChecker) -> None:
    of_a_file = [replace(event, enqueued_ms=None, warned=None) for event in usual()]
    found = checker.check(of_a_file, now_ms=NOW)
    assert found is not None
    judged = {finding.limits.column for finding in found}
    assert not judged & {"gap_seconds", "hours_ago", "warned"}
    assert judged >= {"quarantined", "age_missing", "commonest_drug"}
    everything_refused = checker.check(not_stored(1, "quarantined"), now_ms=NOW)
    assert everything_refused is not None
    assert {finding.limits.column for finding in everything_refused} == {
        *("quarantined", "duplicate", "gap_seconds", "hours_ago"),
    }


def test_fewer_events_than_enough_can_be_validated_for_a_page(checker: PipelineChecker) -> None:
    found = findings(checker.validate(usual()[:3], now_ms=NOW), 3)
    assert {finding.events for finding in found} == {3}


def test_a_finding_says_what_was_taken_what_was_seen_and_what_was_allowed(checker: PipelineChecker) -> None:
    found = checker.check(not_stored(0.25, "quarantined"), now_ms=NOW + HOUR)
    assert found is not None
    by_code = {finding.code: finding for finding in found}
    flood, silent = by_code["quarantine_flood"], by_code["feed_silent"]
    assert (flood.statistic, flood.observed, flood.limits) == ("mean", 0.25, Limits("quarantined", max_value=0.2))
    assert (silent.statistic, silent.observed, silent.limits) == ("min", 1.0, Limits("hours_ago", max_value=24))
    assert by_code["share_of_serious"].limits == Limits("serious", min_value=0.05, max_value=0.995)


# --- A suite of one's own ---------------------------------------------------------------------------------------


def document(kind: str = "expect_column_mean_to_be_between", **changes: Any) -> dict[str, Any]:
    return {
        "name": "mine",
        "expectations": [
            {
                "type": kind,
                "kwargs": {"column": "unknown_fields", "max_value": 3},
                "meta": {"code": "odd", "why": "x"},
                **changes,
            }
        ],
        "meta": {"newest": 100, "at_least": 1},
    }


Load = Callable[[dict[str, Any]], LoadedPipelineSuite]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def write(suite: dict[str, Any]) -> LoadedPipelineSuite:
        (tmp_path / "pipeline.json").write_text(json.dumps(suite))
        return load_pipeline_suite(tmp_path)

    return write


@pytest.mark.parametrize(
    ("kind", "of"),
    [
        ("expect_column_max_to_be_between", np.max),
        ("expect_column_mean_to_be_between", np.mean),
        ("expect_column_median_to_be_between", np.median),
        ("expect_column_min_to_be_between", np.min),
    ],
)
@pytest.mark.parametrize("values", [[3], [0, 2, 9], [1, 2], [4, 4, 4, None], [None, 0, 7, None]])
def test_every_type_takes_its_statistic_of_what_is_known(
    load: Load, kind: str, of: Callable[[list[int]], float], values: list[int | None]
) -> None:
    found = PipelineChecker(load(document(kind))).check(
        [Received("stored", unknown_fields=value) for value in values], now_ms=NOW
    )
    assert found is not None
    expected = of([value for value in values if value is not None])
    assert found[0].statistic == kind.removeprefix("expect_column_").removesuffix("_to_be_between")
    assert found[0].observed == pytest.approx(expected)
    assert found[0].ok == (expected <= 3)


def test_every_type_a_suite_may_hold_is_tried_here() -> None:
    from great_expectations.expectations.registry import list_registered_expectation_implementations

    assert set(list_registered_expectation_implementations()) >= PIPELINE_EXPECTATIONS
    assert {name.split("_")[2] for name in PIPELINE_EXPECTATIONS} == {"max", "mean", "median", "min"}


@given(st.lists(st.integers(0, 6), min_size=1, max_size=9), st.integers(0, 6), st.booleans())
@settings(max_examples=25, deadline=None)
def test_strict_limits_leave_the_limit_out(values: list[int], limit: int, strict: bool) -> None:
    kwargs = {"column": "unknown_fields", "max_value": limit, "strict_max": strict}
    suite = LoadedPipelineSuite(json.dumps(document(kwargs=kwargs)), "v", 100, 1)
    found = PipelineChecker(suite).check([Received("stored", unknown_fields=v) for v in values], now_ms=NOW)
    assert found is not None
    mean = np.mean(values)
    assert found[0].ok == (mean < limit if strict else mean <= limit)
    assert found[0].limits == Limits("unknown_fields", max_value=limit, strict_max=strict)


@pytest.mark.parametrize(
    "broken",
    [
        {**document(), "name": ""},
        {**document(), "unknown": 1},
        document(unknown=1),
        document(rendered_content=[1]),
    ],
)
def test_a_suite_that_great_expectations_does_not_take_is_refused_at_construction(
    load: Load, broken: dict[str, Any]
) -> None:
    suite = load(broken)
    with pytest.raises(SuiteError, match="Great Expectations does not take the suite"):
        PipelineChecker(suite)


def test_an_expectation_that_great_expectations_would_leave_out_is_refused_at_construction(load: Load) -> None:
    suite = load(document(severity="fatal"))
    with pytest.raises(SuiteError, match="does not take expectation odd"):
        PipelineChecker(suite)


def test_a_suite_that_cannot_be_evaluated_is_refused_at_construction() -> None:
    broken = document("expect_column_values_to_match_regex", kwargs={"column": "unknown_fields", "regex": "("})
    not_looked_over = LoadedPipelineSuite(json.dumps(broken), "v", 100, 1)
    with pytest.raises(SuiteError, match="expectation odd could not be evaluated"):
        PipelineChecker(not_looked_over)


def test_a_checker_of_the_pipeline_leaves_one_of_reports_working(checker: PipelineChecker) -> None:
    from expectations.suite import load_suite

    reports = Reference(load_suite().text)
    assert breaches(checker, usual()) == []
    assert reports.validate({"sex": np.array([1.0, 9.0])}).results[0].result["unexpected_count"] == 1
    assert breaches(checker, usual()) == []


def test_what_is_known_of_a_few_events_only_is_not_judged(checker: PipelineChecker) -> None:
    nameless = [replace(event, suspect=None) for event in usual()]
    nameless[0] = replace(nameless[0], suspect="the only one")
    found = checker.check(nameless, now_ms=NOW)
    assert found is not None
    assert "one_drug_everywhere" not in {finding.code for finding in found}
    assert all(finding.ok for finding in found)
