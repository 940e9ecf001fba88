"""Which moment a report counts at."""

from __future__ import annotations

import datetime as dt

import msgspec
import pytest
from builders import report

from streaming.event_time import EventTime
from streaming.stage import event_time_ms

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
        assert 0 <= event_time_ms(odd, ENQUEUED, event_time) <= ENQUEUED
