"""Lengths of time as people write them on a command line: `90`, `90s`, `1.5m`, `2h`, `7d`."""

from __future__ import annotations

import re

__all__ = ["DURATION", "parse_duration"]

DURATION = r"\d+(?:\.\d+)?\s*[smhd]?"
"""Pattern of one."""

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def parse_duration(text: str) -> float:
    """Seconds. Raises ValueError for what is no duration."""
    if not re.fullmatch(DURATION, text):
        raise ValueError(
            f"{text!r} is no length of time: write seconds, or a number with s, m, h or d, as in 90s or 7d"
        )
    unit = text[-1]
    return float(text[:-1]) * _SECONDS[unit] if unit in _SECONDS else float(text)
