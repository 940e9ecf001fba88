"""What the demo shows: every number of the snapshot, in 80 columns or more, whatever names come along."""

from __future__ import annotations

import datetime as dt
import io
from dataclasses import replace

import pytest
from rich.console import Console

from alerts.alert import AlertKind
from alerts.cloudevent import AlertNotice, AlertWindow
from generator.truth import Planted
from reactionwatch.demonstration.state import Entry, Snapshot, Step
from reactionwatch.demonstration.view import DemoView, as_lines, sparkline, status_line
from sql.overview import Overview, PairTrend, Totals

START = dt.datetime(2026, 1, 5, 12, 0, tzinfo=dt.UTC)
SIZES = pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40)])


def planted(drug: str, reaction: str, start_s: float) -> Planted:
    start = START + dt.timedelta(seconds=start_s)
    return Planted(
        kind="spike",
        start=start,
        end=start + dt.timedelta(seconds=60),
        drug=drug,
        reaction=reaction,
        factor=12.0,
        reports=21,
    )


def notice(change: str = "opened", revision: int = 1, alert_id: str = "a1", second: float = 75.0) -> AlertNotice:
    return AlertNotice(
        alert_id=alert_id,
        revision=revision,
        change=change,  # type: ignore[arg-type]  # a literal in the caller
        kind=AlertKind.REACTION_SPIKE,
        since=START,
        until=START,
        safetyreportids=("17954679310400177", "17954679310400178", "17954679310400179", "17954679310400180", "1"),
        drug="DIANEAL LOW CALCIUM",
        reaction="DEHYDRATION",
        window=AlertWindow(START, 30.0),
        cases=19,
        expected=3.0,
        spread=2.0,
        z=5.4,
        p=1e-6,
        widths=(30.0,),
        event_id=f"{alert_id}/{revision}",
        source="test",
        time=START + dt.timedelta(seconds=second),
    )


STORE = Overview(
    hub=Totals(received=2_638, stored=2_562, quarantined=53, duplicates=23),
    others=Totals(received=18_952, stored=18_952),
    quarantined_by_reason={
        "broken_json": 8,
        "empty_body": 9,
        "missing_id": 9,
        "missing_patient": 9,
        "not_an_object": 9,
        "not_utf8": 9,
    },
    watched={5_000: 412, 30_000: 1_792},
    window_start_ms=int(START.timestamp() * 1000),
    top=(
        PairTrend("DIANEAL LOW CALCIUM", "DEHYDRATION", 19, 3.04, (2, 3, 4, 2, 3, 3, 2, 5, 3, 19)),
        PairTrend(
            "ELECTROLYTES NOS W/GLUCOSE/LACTIC ACID", "POSTERIOR REVERSIBLE ENCEPHALOPATHY SYNDROME", 17, None, (9,)
        ),
        *(PairTrend(f"DRUG {i}", "NAUSEA", 15 - i, None, (15 - i,) * 10) for i in range(8)),
    ),
)
RUNNING = Snapshot(
    elapsed_s=76.0,
    sending_s=120.0,
    started=START,
    stopping=False,
    steps=(
        Step("Hub", "a hub", 0.0, 0.4, "up"),
        Step("Spark", "starts", 0.4, 14.0, "up"),
        Step("Baseline", "earlier reports", 14.0, 40.0, "18,952 earlier reports stored"),
        Step("Stream", "stores each report once", 42.0),
        Step("Drain", "the rest"),
    ),
    planted=(planted("DIANEAL LOW CALCIUM", "DEHYDRATION", 52.0), planted("TREPROSTINIL", "HEADACHE", 80.0)),
    history_written=18_952,
    history_complete=True,
    sent=2_677,
    sent_per_s=41.2,
    stored_per_s=39.8,
    store=STORE,
    log=(Entry(0.0, "Planted."), Entry(75.0, notice())),
)
STARTING = replace(
    RUNNING,
    elapsed_s=16.0,
    steps=(*RUNNING.steps[:2], Step("Baseline", "earlier reports", 14.0), Step("Stream", "stores each report once")),
    history_written=7_000,
    history_complete=False,
    sent=640,
    store=None,
    log=(),
)


def lines(snapshot: Snapshot, width: int = 80, height: int = 24) -> list[str]:
    console = Console(width=width, height=height, file=io.StringIO(), force_terminal=True, color_system=None)
    rendered = console.render_lines(DemoView(snapshot), console.options.update(height=height), pad=False)
    return ["".join(segment.text for segment in line).rstrip() for line in rendered]


def page(snapshot: Snapshot, width: int = 80, height: int = 24) -> str:
    """All words; where there are two columns, one after the other."""
    drawn = lines(snapshot, width, height)
    head, body = drawn[:2], drawn[2:]
    split = width - 80 if width >= 120 else width
    return " ".join(" ".join([*head, *(line[:split] for line in body), *(line[split:] for line in body)]).split())


@SIZES
@pytest.mark.parametrize("snapshot", [STARTING, RUNNING], ids=["starting", "running"])
def test_the_picture_fills_the_screen_and_no_more(snapshot: Snapshot, width: int, height: int) -> None:
    drawn = lines(snapshot, width, height)
    assert len(drawn) == height
    assert max(len(line) for line in drawn) <= width


@SIZES
def test_every_number_is_shown(width: int, height: int) -> None:
    shown = page(RUNNING, width, height)
    for number in (
        "1:16 reports are sent until 2:00",
        "sent 2,677 41/s",
        "stored 2,562 40/s",
        "lag 39 not stored yet",
        "duplicates 23",
        "watched 2,204 412 of 5 s, 1,792 of 30 s",
        "baseline 18,952",
        "quarantined 53",
        "empty_body 9",
        "missing_id 9",
        "broken_json 8",
    ):
        assert number in shown


def test_of_many_reasons_the_most_frequent_are_shown_and_the_rest_counted() -> None:
    many = {f"reason_number_{i}": i for i in range(1, 20)}
    shown = page(replace(RUNNING, store=replace(STORE, quarantined_by_reason=many)))
    assert "quarantined 53: reason_number_19 19, reason_number_18 18" in shown
    assert "and 13 more Planted" in shown
    assert "other reasons 91" in page(replace(RUNNING, store=replace(STORE, quarantined_by_reason=many)), 120, 40)


@SIZES
def test_an_alert_is_shown_with_all_its_evidence(width: int, height: int) -> None:
    shown = page(RUNNING, width, height)
    for line in as_lines(RUNNING.log[-1]).splitlines()[:-1]:
        assert " ".join(line.split()) in shown


@SIZES
def test_pairs_are_shown_with_cases_expected_and_trend(width: int, height: int) -> None:
    shown = page(RUNNING, width, height)
    assert "Top pairs in the 30 s window from 12:00:00 UTC" in shown
    assert "DIANEAL LOW CALCIUM DEHYDRATION 19 3.0 ▂▂▂▂▂▂▂▃▂█" in shown


def test_unusual_pairs_come_first_and_the_rest_by_cases() -> None:
    few = replace(STORE.top[0], cases=4)
    shown = page(replace(RUNNING, store=replace(STORE, top=(*STORE.top[1:], few))))
    assert shown.index("DIANEAL LOW CALCIUM DEHYDRATION 4") < shown.index("ELECTROLYTES") < shown.index("DRUG 0")


def test_names_that_are_too_long_are_cut_between_words() -> None:
    assert "ELECTROLYTES NOS …" in page(RUNNING)
    assert "POSTERIOR REVERSIBLE …" in page(RUNNING)


@pytest.mark.parametrize(
    ("elapsed_s", "state"),
    [
        (50.0, "begins in 2 s"),
        (70.0, "on for 18 s, +21 reports, alert after 23 s"),
        (115.0, "over, +21 reports, alert after 23 s"),
    ],
)
@SIZES
def test_a_planted_spike_is_followed_from_before_its_start_to_its_alert(
    elapsed_s: float, state: str, width: int, height: int
) -> None:
    assert state in page(replace(RUNNING, elapsed_s=elapsed_s), width, height)


def test_a_planted_spike_without_an_alert_says_so() -> None:
    assert "over, +21 reports, no alert" in page(replace(RUNNING, elapsed_s=115.0, log=()))


@SIZES
def test_the_start_shows_what_is_done_under_way_and_to_come(width: int, height: int) -> None:
    shown = page(STARTING, width, height)
    assert "✓ Spark: up (14 s)" in shown
    assert "▸ Baseline: 7,000 earlier reports written (2 s)" in shown
    assert "· Stream: stores each report once" in shown
    assert "sent 640" in shown


def test_the_baseline_has_a_bar_once_its_size_is_known() -> None:
    half = replace(STORE, hub=Totals(), others=Totals(received=5_000, stored=5_000))
    shown = page(replace(STARTING, history_complete=True, store=half))
    assert "Baseline: 5,000 of 7,000 earlier reports stored ━" in shown


def test_the_last_message_of_an_alert_counts() -> None:
    log = (Entry(1, notice()), Entry(2, notice(alert_id="a2", second=80)), Entry(3, notice("closed", 2, second=90)))
    shown = page(replace(RUNNING, log=log), height=40)
    assert "Alerts: 1 going on, 1 closed" in shown
    assert shown.index("CLOSED") < shown.index("OPENED")


def test_a_stop_is_acknowledged() -> None:
    assert "Stopping" in page(replace(RUNNING, stopping=True))


def test_control_characters_in_names_do_not_reach_the_terminal() -> None:
    evil = PairTrend("A\x1b[2J", "B\r\n", 3, None, (3,))
    drawn = lines(replace(RUNNING, store=replace(STORE, top=(evil,)), planted=(planted("C\x1b", "D\x07", 1.0),)))
    assert all(character.isprintable() for line in drawn for character in line)


def test_names_are_text_and_no_markup() -> None:
    odd = PairTrend("A [/b] [red]", "B :pill:", 3, None, (3,))
    drawn = page(replace(RUNNING, store=replace(STORE, top=(odd,)), planted=(planted("C [/i]", "D [bold]", 1.0),)))
    for name in ("A [/b] [red]", "B :pill:", "C [/i]", "D [bold]"):
        assert name in drawn


@pytest.mark.parametrize("size", [(1, 1), (20, 5), (79, 10), (300, 90)])
def test_any_size_can_be_drawn(size: tuple[int, int]) -> None:
    assert lines(RUNNING, *size)
    assert lines(STARTING, *size)


def test_a_sparkline_goes_from_zero_to_the_largest_count() -> None:
    assert sparkline((0, 7, 14)) == "▁▅█"
    assert sparkline((0, 0)) == "▁▁"
    assert sparkline(()) == ""
    assert sparkline((-9, 1)) == "▁█"


def test_the_status_line_is_one_line_of_80_columns() -> None:
    busy = replace(RUNNING, elapsed_s=500.0, sent=250_000, sent_per_s=520.0, store=replace(STORE, hub=Totals(200_000)))
    assert status_line(RUNNING) == "[ 76 s] sent 2,677 (41/s), stored 2,562 (40/s), lag 39, alerts 1"
    assert "\n" not in status_line(busy)
    assert len(status_line(busy)) <= 80


def test_long_lines_are_broken_between_words() -> None:
    told = as_lines(Entry(3.0, "Planted: " + "MANY WORDS " * 9))
    assert told.startswith("[  3 s] Planted: MANY")
    assert all(len(line) <= 80 for line in told.splitlines())
    assert told.splitlines()[1].startswith(" " * 8 + "WORDS")
