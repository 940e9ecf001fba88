"""How widths of windows are written: `15m`, `1h`, `7d`."""

from __future__ import annotations

import re

__all__ = ["parse_width", "width_text"]

_UNITS_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def parse_width(text: str) -> int:
    """Milliseconds of a width; raises ValueError for anything else than a whole number of s, m, h or d."""
    match = re.fullmatch(r"\s*(\d+)([smhd])\s*", text)
    if match is None:
        raise ValueError("window widths look like 15m,1h,6h,1d,7d (units s, m, h, d)")
    return int(match[1]) * _UNITS_MS[match[2]]


def width_text(width_ms: int) -> str:
    """A width as people write it, in the widest unit that is whole."""
    unit = next((unit for unit, ms in reversed(_UNITS_MS.items()) if width_ms % ms == 0), None)
    return f"{width_ms} ms" if unit is None else f"{width_ms // _UNITS_MS[unit]}{unit}"
