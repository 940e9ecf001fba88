"""Dates as openFDA writes them: digits, with a format code beside them.

| format | digits | as |
|---|---|---|
| 102 | 8 | YYYYMMDD |
| 203 | 12 | YYYYMMDDHHMM |
| 204 | 14 | YYYYMMDDHHMMSS |
| 602 | 4 | YYYY |
| 610 | 6 | YYYYMM |

A date without a format is told by its length, which no two formats share. A date that contradicts its format
is not guessed at.
"""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

__all__ = ["DateRead", "read_date"]

_LENGTH_OF_FORMAT = {"102": 8, "203": 12, "204": 14, "602": 4, "610": 6}
_LENGTHS = frozenset(_LENGTH_OF_FORMAT.values())


class DateRead(NamedTuple):
    """A date and, where its format carries a time of day, the moment (aware, UTC)."""

    date: dt.date
    """Where the format leaves out month or day: the first one."""
    time: dt.datetime | None


def read_date(digits: str, date_format: str | None = None) -> DateRead | None:
    """Read a date in its format, or by its length when `date_format` is None; None when it is no date.

    Times of day are read as UTC, since openFDA gives no time zone.
    """
    length = len(digits)
    if date_format is None:
        if length not in _LENGTHS:
            return None
    elif _LENGTH_OF_FORMAT.get(date_format) != length:
        return None
    if not (digits.isascii() and digits.isdigit()):
        return None
    year = int(digits[:4])
    month = int(digits[4:6]) if length > 4 else 1
    day = int(digits[6:8]) if length > 6 else 1
    try:
        if length <= 8:
            return DateRead(dt.date(year, month, day), None)
        second = int(digits[12:14]) if length > 12 else 0
        moment = dt.datetime(year, month, day, int(digits[8:10]), int(digits[10:12]), second, tzinfo=dt.UTC)
    except ValueError:
        return None
    return DateRead(moment.date(), moment)
