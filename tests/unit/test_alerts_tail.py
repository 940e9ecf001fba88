"""What an officer reads: the words, their width, and nothing that could steer a terminal."""

import datetime as dt
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from alerts.alert import AlertKind
from alerts.cloudevent import AlertEvidence, AlertNotice, AlertWindow
from alerts.tail import describe

SINCE = dt.datetime(2027, 1, 15, 8, 0, tzinfo=dt.UTC)


def notice(**changes):
    values = {
        "event_id": "a/2",
        "source": "reactionwatch/reports",
        "time": SINCE + dt.timedelta(seconds=70),
        "alert_id": "3e0c5b7e-9a4f-4f64-8f3a-0d8a2d3c4b5a",
        "revision": 2,
        "change": "grew",
        "kind": AlertKind.REACTION_SPIKE,
        "since": SINCE,
        "until": SINCE + dt.timedelta(minutes=1),
        "safetyreportids": ("101", "102"),
        "drug": "IBUPROFEN",
        "reaction": "ACUTE KIDNEY INJURY",
        "window": AlertWindow(SINCE, 60.0),
        "cases": 14,
        "expected": 2.13,
        "spread": 1.5,
        "z": 5.6,
        "p": 2e-8,
        "widths": (10.0, 60.0),
    }
    return AlertNotice(**(values | changes))


def unusual(**changes):
    nothing = dict.fromkeys(("drug", "reaction", "window", "cases", "expected", "spread", "z", "p"))
    about = {"kind": AlertKind.UNUSUAL_REPORT, "change": "opened", "safetyreportids": ("10012345",), "widths": ()}
    score = {"version": 3, "score": 0.8125, "reasons": ("rare pair", "no age"), "model_version": "11"}
    return notice(**(nothing | about | score | changes))


def test_spike_is_told_in_words():
    assert describe(notice()).plain.splitlines() == [
        "GREW 2027-01-15 08:01:10 UTC  IBUPROFEN / ACUTE KIDNEY INJURY",
        "  14 cases in 1 minute, 2.1 expected (give or take 1.5): far above the usual,",
        "    z=5.6, by chance once in 50,000,000 such windows",
        "  since 2027-01-15 08:00:00 UTC; still going on",
        "  window from 2027-01-15 08:00:00 UTC; also unusual within 10 seconds",
        "  cases 101, 102",
        "  alert 3e0c5b7e-9a4f-4f64-8f3a-0d8a2d3c4b5a, revision 2",
    ]


def test_what_is_known_of_the_pair_and_the_cases_is_told():
    known = AlertEvidence(1234, 410.4, 3.01, 882.0, 3.3, 3.1, 3.6, 1.59, 1.5, 1.67, 0.46, 3, 0.8)
    assert describe(notice(evidence=known)).plain.splitlines()[5:9] == [
        "  ever since: 1,234 cases, 410 expected by chance; PRR 3.0 (chi-squared 882),",
        "    ROR 3.3 (3.1 to 3.6), IC 1.59 (1.50 to 1.67)",
        "  of the cases 80% serious, 46% from one sender, 3 share a duplicate number",
        "  cases 101, 102",
    ]


def test_what_is_not_known_of_the_cases_is_not_told():
    known = AlertEvidence(5, 0.4, 3.01, 8.0, 3.3, 3.1, 3.6, 1.59, 1.5, 1.67, None, 0, None)
    assert "of the cases" not in describe(notice(evidence=known)).plain


def test_two_windows_together_are_told_as_the_time_they_are():
    lines = describe(notice(window=AlertWindow(SINCE, 120.0, windows=2))).plain.splitlines()
    assert lines[1].startswith("  14 cases in 2 minutes, ")
    assert lines[4:6] == [
        "  2 windows together, from 2027-01-15 08:00:00 UTC; also unusual within 10",
        "    seconds",
    ]


def test_end_of_a_spike_says_since_when_it_is_quiet():
    assert "quiet since 2027-01-15 08:01:00 UTC" in describe(notice(change="closed")).plain


def test_of_many_cases_the_first_are_named():
    twenty = tuple(str(n) for n in range(20))
    assert "cases 0, 1, 2, 3 and others" in " ".join(describe(notice(safetyreportids=twenty)).plain.split())


def test_unusual_report_is_told_with_its_reasons():
    assert describe(unusual()).plain.splitlines() == [
        "OPENED 2027-01-15 08:01:10 UTC  unusual report 10012345, version 3",
        "  anomaly score 0.81, judged by model 11",
        "  because rare pair; no age",
        "  reported 2027-01-15 08:00:00 UTC",
        "  alert 3e0c5b7e-9a4f-4f64-8f3a-0d8a2d3c4b5a, revision 2",
    ]


def test_times_are_shown_in_utc_whatever_they_came_in():
    tokyo = dt.timezone(dt.timedelta(hours=9))
    assert describe(notice(since=SINCE.astimezone(tokyo))).plain == describe(notice()).plain


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (2.5, "in 2.5 seconds,"),
        (1, "in 1 second,"),
        (90, "in 90 seconds,"),
        (3600, "in 1 hour,"),
        (172_800, "in 2 days,"),
    ],
)
def test_width_is_told_in_the_largest_unit_without_a_fraction(seconds, words):
    assert words in describe(notice(window=AlertWindow(SINCE, seconds))).plain


def test_chance_too_small_to_count_is_not_counted():
    assert "less than once in a billion" in " ".join(describe(notice(p=0.0)).plain.split())


names = st.text(min_size=1, max_size=150)


@given(names, names, st.lists(names, max_size=5), names)
def test_every_line_fits_into_80_columns_and_holds_only_text(drug, reaction, ids, reason):
    for told in (
        notice(drug=drug, reaction=reaction, safetyreportids=tuple(ids)),
        unusual(safetyreportids=(drug,), reasons=(reason,), alert_id=reaction),
    ):
        lines = describe(told).plain.split("\n")
        assert max(map(len, lines)) <= 80
        assert all(line.isprintable() for line in lines)


def test_markup_in_a_name_is_text():
    assert "[red]DRUG[/red]" in describe(notice(drug="[red]DRUG[/red]")).plain


def test_pipe_gets_the_same_words_without_colour():
    pipe = io.StringIO()
    Console(file=pipe, width=80).print(describe(notice()))
    assert pipe.getvalue() == describe(notice()).plain + "\n"
