"""The demo's summary says what is true."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace

import msgspec
import pytest

from alerts.alert import AlertKind
from alerts.cloudevent import AlertNotice
from generator.truth import FOREVER, Planted
from reactionwatch.demonstration.judge import DemoSummary, judge
from sql.accounting import Accounting

START = dt.datetime(2026, 1, 5, 12, 0, tzinfo=dt.UTC)
PLANTED = Planted(
    kind="spike",
    start=START,
    end=START + dt.timedelta(seconds=60),
    drug="IBUPROFEN",
    reaction="NAUSEA",
    factor=12.0,
    expected_per_s=0.1,
    reports=66,
)
ADDS_UP = Accounting(
    received=110,
    stored=100,
    quarantined=6,
    duplicates=4,
    quarantined_by_reason={"broken_json": 6},
    unscored=0,
    flagged=0,
    unfolded_receipts=0,
    spikes=1,
    alerts_open=0,
    alerts_total=1,
    unaccounted=0,
)


def notice(second: float, *, drug: str = "IBUPROFEN", change: str = "opened") -> AlertNotice:
    at = START + dt.timedelta(seconds=second)
    return AlertNotice(
        alert_id="a",
        revision=1,
        change=change,  # type: ignore[arg-type]  # a literal in the caller
        kind=AlertKind.REACTION_SPIKE,
        since=at,
        until=at + dt.timedelta(seconds=30),
        safetyreportids=(),
        drug=drug,
        reaction="NAUSEA",
        event_id="a/1",
        source="test",
        time=at + dt.timedelta(seconds=5),
    )


def judged(
    notices: list[AlertNotice], accounting: Accounting = ADDS_UP, sent: int = 100, traps: Sequence[Planted] = ()
) -> DemoSummary:
    return judge(
        sent=sent,
        backfilled=10,
        accounting=accounting,
        planted=[PLANTED, *traps],
        notices=notices,
        widest=dt.timedelta(seconds=30),
        seconds=50.0,
        stopped_early=False,
    )


def test_an_alert_of_the_pair_at_its_time_finds_the_spike() -> None:
    summary = judged([notice(30), notice(60, change="closed")])
    assert summary.ok
    assert (summary.missed, summary.false_alerts) == (0, ())
    assert summary.spikes[0].seconds_to_alert == 35.0
    assert summary.reports_per_second == 2.0


def test_a_launch_is_told_of_with_its_alerts() -> None:
    launch = Planted(kind="launch", start=START, end=FOREVER, drug="ASPIRIN", reports=70)
    quiet, loud = (judged(of, traps=[launch]).launches for of in ([notice(30)], [notice(30, drug="ASPIRIN")]))
    assert ([one.alerts for one in quiet], [one.alerts for one in loud], quiet[0].reports) == ([0], [1], 70)


def test_without_an_alert_the_spike_is_missed_and_the_demo_fails() -> None:
    summary = judged([])
    assert (summary.missed, summary.ok) == (1, False)


@pytest.mark.parametrize("second", [-31.0, 91.0])
def test_an_alert_of_the_pair_at_another_time_is_false_and_finds_nothing(second: float) -> None:
    summary = judged([notice(second)])
    assert (summary.missed, len(summary.false_alerts)) == (1, 1)


def test_an_alert_of_another_pair_is_false() -> None:
    summary = judged([notice(30), notice(30, drug="ASPIRIN")])
    assert [alert.drug for alert in summary.false_alerts] == ["ASPIRIN"]


@pytest.mark.parametrize(
    ("kind", "drug", "reaction"),
    [("launch", "ASPIRIN", None), ("season", None, "NAUSEA"), ("medical_events", "ASPIRIN", "NAUSEA")],
)
def test_an_alert_on_what_a_trap_made_rise_is_told_apart(kind: str, drug: str | None, reaction: str | None) -> None:
    trap = Planted(kind=kind, start=START, end=FOREVER, drug=drug, reaction=reaction)
    summary = judged([notice(30), notice(30, drug="ASPIRIN")], traps=[trap])
    assert [(alert.trap, alert.drug) for alert in summary.trap_alerts] == [(kind, "ASPIRIN")]
    assert (summary.missed, summary.false_alerts) == (0, ())


def test_a_trap_that_lifts_no_drug_and_no_reaction_excuses_nothing() -> None:
    trap = Planted(kind="rhythm", start=START, end=FOREVER)
    summary = judged([notice(30), notice(30, drug="ASPIRIN")], traps=[trap])
    assert (len(summary.trap_alerts), len(summary.false_alerts)) == (0, 1)


def test_an_alert_on_an_upload_of_many_reports_at_once_is_told_apart() -> None:
    upload = Planted(kind="nightly_batch", start=START, end=START, ids=("1", "2", "3"))
    brought = msgspec.structs.replace(notice(30, drug="ASPIRIN"), safetyreportids=("1", "2", "7"))
    other = msgspec.structs.replace(notice(30, drug="ASPIRIN"), safetyreportids=("3", "8", "9"))
    summary = judged([brought, other], traps=[upload])
    assert ([alert.trap for alert in summary.trap_alerts], len(summary.false_alerts)) == (["nightly_batch"], 1)


def test_a_report_that_never_arrived_fails_the_demo() -> None:
    assert judged([notice(30)], sent=101).unaccounted == 1
    assert not judged([notice(30)], sent=101).ok


def test_rows_that_are_missing_fail_the_demo() -> None:
    assert not judged([notice(30)], replace(ADDS_UP, stored=99, unaccounted=1)).ok


def test_the_json_names_what_a_program_looks_for() -> None:
    told = judged([notice(30)]).as_json()
    assert (told["spikes_planted"], told["spikes_found"], told["spikes_missed"], told["ok"]) == (1, 1, 0, True)
