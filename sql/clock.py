"""The present, in the two forms the tables keep it."""

from __future__ import annotations

import datetime as dt
import time

__all__ = ["now_ms", "utc_now"]


def now_ms() -> int:
    """UTC milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def utc_now() -> dt.datetime:
    """A naive UTC datetime, the form `DateTime` columns take."""
    return dt.datetime.now(dt.UTC).replace(tzinfo=None)
