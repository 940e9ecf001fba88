"""Which moment a report counts at."""

from __future__ import annotations

import datetime as dt

import msgspec
import pytest
from builders import openfda, report

from expectations.checks import Checker
from expectations.suite import load_suite
from sql.staging import Accepted
from streaming.event_time import EventTime
from streaming.stage import Event, Judges, event_time_ms, judge

ENQUEUED = int(dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC).timestamp() * 1000)
RECEIPT = dt.datetime(2026, 2, 27, 8, 30, 15, tzinfo=dt.UTC)
MIDNIGHT = int(dt.datetime(2026, 1, 5, tzinfo=dt.UTC).timestamp() * 1000)
TIMED = msgspec.structs.replace(report("1"), receipt_time=RECEIPT)
AT_RECEIPT = int(RECEIPT.timestamp() * 1000)


@pytest.mark.parametrize(
    ("event_time", "with_time", "without_time"),
    [
        (EventTime.HUB, ENQUEUED, ENQUEUED),
        (EventTime.PAYLOAD, AT_RECEIPT, ENQUEUED),
        (EventTime.RECEIVEDATE, MIDNIGHT, MIDNIGHT),
        (EventTime.REPORTED, AT_RECEIPT, MIDNIGHT),
    ],
)
def test_every_event_time_has_its_moment(event_time: EventTime, with_time: int, without_time: int) -> None:
    assert event_time_ms(TIMED, ENQUEUED, event_time) == with_time
    assert event_time_ms(report("1"), ENQUEUED, event_time) == without_time


@pytest.mark.parametrize("event_time", list(EventTime))
def test_no_report_counts_after_it_was_sent_or_before_1970(event_time: EventTime) -> None:
    for year in (1901, 2099):
        moment = dt.datetime(year, 1, 1, tzinfo=dt.UTC)
        odd = msgspec.structs.replace(TIMED, receipt_time=moment, receivedate=moment.date())
        found = event_time_ms(odd, ENQUEUED, event_time)
        assert found is None if year == 2099 and event_time.replays else 0 <= found <= ENQUEUED


def judged(event_time: EventTime, *dates: str | None) -> list[Accepted]:
    bodies = [openfda(str(i), receivedate=date) for i, date in enumerate(dates)]
    events = [Event(i, ENQUEUED + i, body) for i, body in enumerate(bodies)]
    return [e for e in judge(events, Judges(Checker(load_suite()), None, event_time)) if isinstance(e, Accepted)]


def day(text: str) -> int:
    return int(dt.datetime.strptime(text, "%Y%m%d").replace(tzinfo=dt.UTC).timestamp() * 1000)


@pytest.mark.parametrize("nothing", [None, "x", "20260231", "20990101"])
@pytest.mark.parametrize("event_time", [EventTime.RECEIVEDATE, EventTime.REPORTED])
def test_a_replayed_report_without_a_date_counts_with_its_neighbours_and_moves_no_clock(
    event_time: EventTime, nothing: str | None
) -> None:
    found = judged(event_time, nothing, "20140105", nothing, "20140104", nothing)
    assert [event.event_ms for event in found] == [
        day(date) for date in ("20140105", "20140105", "20140105", "20140104", "20140104")
    ]
    assert [event.dated for event in found] == [False, True, False, True, False]


def test_where_no_neighbour_has_a_date_either_only_the_hub_s_time_is_left() -> None:
    (found,) = judged(EventTime.RECEIVEDATE, None)
    assert (found.event_ms, found.dated) == (ENQUEUED, False)


def test_in_a_live_stream_the_hub_s_time_stands_in() -> None:
    found = judged(EventTime.PAYLOAD, "20140105", None)
    assert [(event.event_ms, event.dated) for event in found] == [(ENQUEUED, True), (ENQUEUED + 1, True)]
