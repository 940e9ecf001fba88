"""How hard to try: a little in `make test`, for long in `make faults`."""

from __future__ import annotations

import os
from typing import TypeVar

__all__ = ["LONG", "pick"]

T = TypeVar("T")

LONG = os.environ.get("REACTIONWATCH_TEST_LONG", "") not in ("", "0")
"""Whether the long form of a test was asked for."""


def pick(short: T, long: T) -> T:
    """`long` in the long form, else `short`."""
    return long if LONG else short
