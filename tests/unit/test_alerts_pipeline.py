"""Alerts about the pipeline: one per failed expectation, open as long as it fails, told when it opens and closes."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import alerts
from alerts.alert import Alert, AlertKind, AlertStatus, PipelineFinding, SpikeFinding, UnusualReport
from alerts.cloudevent import from_cloudevent, to_cloudevent
from alerts.pipeline import QUIET_MS, decide_pipeline
from alerts.policy import AlertChange, decide
from alerts.tail import describe

NOW = 1_800_000_000_000
MINUTE = 60_000


def finding(code: str = "quarantine_flood", *, ok: bool = False, observed: float = 0.31) -> PipelineFinding:
    return PipelineFinding(
        code=code,
        ok=ok,
        why="One in five is too many.",
        measure="mean of quarantined",
        observed=observed,
        minimum=None,
        maximum=0.2,
        events=2000,
        is_flood=True,
    )


def run(alerts: Sequence[Alert], *findings: PipelineFinding, at: int = NOW) -> list[AlertChange]:
    ids = (f"alert-{n}" for n in itertools.count())
    return decide_pipeline(alerts, findings, now_ms=at, new_id=lambda: next(ids))


def opened(at: int = NOW) -> Alert:
    (change,) = run([], finding(), at=at)
    return change.alert


def test_a_failed_expectation_opens_an_alert_and_one_that_holds_none() -> None:
    (change,) = run([], finding("a", ok=True), finding("b"))
    assert (change.change, change.publish, change.previous) == ("opened", True, None)
    assert (change.alert.kind, change.alert.expectation) == (AlertKind.PIPELINE, "b")
    assert (change.alert.observed, change.alert.cases, change.alert.revision) == (0.31, 2000, 1)


def test_while_it_fails_the_alert_is_kept_up_to_date_and_tells_nobody_again() -> None:
    (change,) = run([opened()], finding(observed=0.5), at=NOW + MINUTE)
    assert (change.change, change.publish) == ("updated", False)
    assert (change.alert.observed, change.alert.last_alarm_end, change.alert.since) == (0.5, NOW + MINUTE, NOW)


def test_it_closes_once_the_expectation_has_held_for_long_enough() -> None:
    alert = opened()
    (still,) = run([alert], finding(ok=True, observed=0.1), at=NOW + QUIET_MS - 1)
    assert still.alert.status == AlertStatus.OPEN
    (change,) = run([still.alert], finding(ok=True, observed=0.1), at=NOW + QUIET_MS)
    assert (change.change, change.publish) == ("closed", True)
    assert (change.alert.status, change.alert.closed_at, change.alert.revision) == ("closed", NOW + QUIET_MS, 2)


def test_failing_again_in_the_meantime_makes_it_one_episode() -> None:
    (change,) = run([opened()], finding(ok=True, observed=0.1), at=NOW + QUIET_MS // 2)
    (change,) = run([change.alert], finding(), at=NOW + QUIET_MS - 1)
    (change,) = run([change.alert], finding(ok=True, observed=0.1), at=NOW + QUIET_MS)
    assert change.change == "updated"


def test_an_expectation_that_the_suite_does_not_hold_any_more_closes_in_time() -> None:
    assert run([opened()], finding("other", ok=True), at=NOW + MINUTE) == []
    (change,) = run([opened()], finding("other", ok=True), at=NOW + QUIET_MS)
    assert (change.change, change.alert.expectation) == ("closed", "quarantine_flood")


def test_nothing_changed_is_no_change() -> None:
    assert run([opened()], finding(), at=NOW) == []


def test_alerts_of_other_kinds_are_left_alone_and_leave_it_alone() -> None:
    spike = SpikeFinding(10_000, NOW, 1, "DRUG", 2, "REACTION", 14, 2.25, 1.5, 5.6, 2e-8, "open", alertable=True)
    report = UnusualReport(7, "10012345", 3, 0.8125, (), "11", NOW)
    others = decide(
        [opened()], [spike], [report], clock_ms=NOW, now_ms=NOW, new_id=lambda: "x", silenced=lambda finding: False
    )
    assert [change.change for change in others] == ["opened", "opened"]
    assert run([change.alert for change in others], finding(ok=True), at=NOW + 10 * QUIET_MS) == []


@given(
    st.lists(
        st.tuples(st.integers(1, 4 * QUIET_MS), st.dictionaries(st.sampled_from("abc"), st.booleans(), max_size=3)),
        max_size=20,
    )
)
def test_whatever_happens_each_code_has_one_open_alert_at_most_and_revisions_without_a_gap(
    steps: list[tuple[int, dict[str, bool]]],
) -> None:
    state: dict[str, Alert] = {}
    told: dict[str, list[int]] = {}
    ids = (f"alert-{n}" for n in itertools.count())
    at = NOW
    for wait, verdicts in steps:
        at += wait
        found = [finding(code, ok=ok) for code, ok in verdicts.items()]
        still_open = [alert for alert in state.values() if alert.status == AlertStatus.OPEN]
        for change in decide_pipeline(still_open, found, now_ms=at, new_id=lambda: next(ids)):
            state[change.alert.alert_id] = change.alert
            if change.publish:
                told.setdefault(change.alert.alert_id, []).append(change.alert.revision)
        codes = [alert.expectation for alert in state.values() if alert.status == AlertStatus.OPEN]
        assert len(codes) == len(set(codes))
        assert {code for code, ok in verdicts.items() if not ok} <= set(codes)
    assert all(revisions == list(range(1, len(revisions) + 1)) for revisions in told.values())


def message(change: AlertChange, found: PipelineFinding | None) -> bytes:
    now = dt.datetime(2027, 1, 15, 8, 0, 5, tzinfo=dt.UTC)
    return to_cloudevent(change, source="reactionwatch/reports", cases=[], now=now, finding=found)


@pytest.mark.parametrize("found", [finding(), None], ids=["with its finding", "without"])
def test_the_message_follows_the_published_schema(found: PipelineFinding | None) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="comes with the model tools, not with alerts")
    schema = json.loads((Path(alerts.__file__).parent / "schema" / "alert.v1.json").read_text())
    (change,) = run([], finding())
    data = json.loads(message(change, found))["data"]
    jsonschema.Draft202012Validator(schema).validate(data)
    assert data.keys() == schema["properties"].keys()


def test_an_officer_reads_what_was_measured_and_what_was_expected() -> None:
    (change,) = run([], finding())
    text = describe(from_cloudevent(message(change, finding()))).plain
    assert "OPENED" in text
    assert "pipeline: quarantine_flood" in text
    assert "mean of quarantined is 0.31 over the newest 2,000 events, at most 0.2 expected" in " ".join(text.split())
    assert "One in five is too many." in text
    assert max(map(len, text.splitlines())) <= 80


def test_the_end_says_since_when_all_is_well() -> None:
    alert = opened()
    (change,) = run([alert], finding(ok=True, observed=0.05), at=NOW + QUIET_MS)
    text = describe(from_cloudevent(message(change, None))).plain
    assert "CLOSED" in text
    assert "well since 2027-01-15 08:00:00 UTC" in text
