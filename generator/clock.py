"""The time that generated reports tell: the wall's, or one that runs faster until it has caught up with the wall.

A simulated clock never runs ahead of the wall: the hub takes a report in at a moment of the wall's, and one that tells
of a later moment than that would be wrong.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable

__all__ = ["StreamClock"]


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class StreamClock:
    """Runs `speed` times as fast as the wall from `start` (aware) on; `speed` 1 and no `start` is the wall itself."""

    def __init__(
        self,
        start: dt.datetime | None = None,
        speed: float = 1.0,
        *,
        now: Callable[[], dt.datetime] = _now,
        sleeper: Callable[[float], object] = time.sleep,
    ) -> None:
        if speed < 1.0:
            raise ValueError("a clock runs at the wall's speed or faster")
        self._now, self._sleeper, self._speed = now, sleeper, speed
        self._began = now()
        self.start = start if start is not None else self._began

    def now(self) -> dt.datetime:
        """The moment it shows, aware."""
        wall = self._now()
        return min(self.start + (wall - self._began) * self._speed, wall)

    def wait_until(self, moment: dt.datetime) -> None:
        """Sleep until it shows `moment`; returns at once when that is past, or when the sleeper says True: woken."""
        while (ahead := (moment - self.now()).total_seconds()) > 0:
            caught_up = self.now() >= self._now()
            if self._sleeper(ahead if caught_up else ahead / self._speed):
                return
