"""Dates in openFDA's five formats."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expectations.dates import read_date

DAY = dt.date(2014, 3, 12)


@pytest.mark.parametrize(
    ("digits", "date_format", "date", "time"),
    [
        ("20140312", "102", DAY, None),
        ("201403121530", "203", DAY, dt.datetime(2014, 3, 12, 15, 30, tzinfo=dt.UTC)),
        ("20140312153059", "204", DAY, dt.datetime(2014, 3, 12, 15, 30, 59, tzinfo=dt.UTC)),
        ("2014", "602", dt.date(2014, 1, 1), None),
        ("201403", "610", dt.date(2014, 3, 1), None),
    ],
)
def test_each_format_is_read_with_its_code_and_by_its_length(digits, date_format, date, time):
    assert read_date(digits, date_format) == (date, time)
    assert read_date(digits) == (date, time)


@pytest.mark.parametrize(
    ("digits", "date_format"),
    [
        ("20261301", "102"),
        ("20140229", "102"),
        ("20140300", "102"),
        ("0000", "602"),
        ("201413", "610"),
        ("201403122400", "203"),
        ("20140312153060", "204"),
        ("2014031", None),
        ("", None),
        ("", "102"),
        ("2014-3-2", "102"),
        ("+2140312", "102"),
        ("٢٠١٤٠٣١٢", "102"),
        ("²0140312", "102"),
        ("20140312", "999"),
    ],
)
def test_what_is_no_date_is_none(digits, date_format):
    assert read_date(digits, date_format) is None


@pytest.mark.parametrize("date_format", ["102", "203", "204", "602", "610"])
def test_a_date_that_contradicts_its_format_is_not_guessed_at(date_format):
    lengths = {"102": 8, "203": 12, "204": 14, "602": 4, "610": 6}
    for other, length in lengths.items():
        read = read_date("20140312153059"[:length], date_format)
        assert (read is not None) == (other == date_format)


@given(st.datetimes())
def test_every_moment_survives_the_way_through_format_204(moment):
    moment = moment.replace(microsecond=0, tzinfo=dt.UTC)
    digits = f"{moment.year:04}{moment:%m%d%H%M%S}"
    assert read_date(digits, "204") == (moment.date(), moment)


@given(st.text(max_size=16), st.none() | st.text(max_size=4))
def test_no_text_raises(digits, date_format):
    read_date(digits, date_format)
