from __future__ import annotations

import datetime as dt

import pytest

from generator.clock import StreamClock

NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
MONTH = dt.timedelta(days=30)


class Wall:
    def __init__(self) -> None:
        self.now = NOON
        self.slept: list[float] = []

    def __call__(self) -> dt.datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += dt.timedelta(seconds=seconds)


def test_without_a_start_it_is_the_wall() -> None:
    wall = Wall()
    clock = StreamClock(now=wall, sleeper=wall.sleep)
    assert clock.now() == NOON
    clock.wait_until(NOON + dt.timedelta(seconds=90))
    assert clock.now() == wall.now == NOON + dt.timedelta(seconds=90)


def test_a_fast_clock_passes_a_day_a_minute() -> None:
    wall = Wall()
    clock = StreamClock(NOON - MONTH, 1440, now=wall, sleeper=wall.sleep)
    clock.wait_until(NOON - MONTH + dt.timedelta(days=10))
    assert sum(wall.slept) == pytest.approx(600)


def test_it_never_runs_ahead_of_the_wall() -> None:
    """30 days take half an hour, in which the wall goes on; from then on the two are one."""
    wall = Wall()
    clock = StreamClock(NOON - MONTH, 1440, now=wall, sleeper=wall.sleep)
    clock.wait_until(NOON + dt.timedelta(hours=2))
    assert clock.now() == wall.now
    assert sum(wall.slept) == pytest.approx(2 * 3_600)


def test_what_is_past_is_not_waited_for() -> None:
    wall = Wall()
    StreamClock(now=wall, sleeper=wall.sleep).wait_until(NOON - MONTH)
    assert wall.slept == []


def test_a_sleeper_that_is_woken_ends_the_wait() -> None:
    wall = Wall()
    clock = StreamClock(now=wall, sleeper=lambda _: True)
    clock.wait_until(NOON + MONTH)
    assert clock.now() == NOON


def test_no_clock_is_slower_than_the_wall() -> None:
    with pytest.raises(ValueError, match="speed"):
        StreamClock(NOON, 0.5)
