"""One stream per hub and database: who holds the lease, who is refused, who is fenced."""

from __future__ import annotations

import platform
import threading

import pytest
from sqlalchemy import Engine, text

from sql.commit import commit
from sql.errors import FencedError, LeaseHeldError, StoreUnavailableError
from sql.positions import LEASE_SECONDS, Lease, beat, positions, release, take_over
from streaming.heartbeat import heartbeat

HUB = "test/reports"


def beat_once(engine: Engine, lease: Lease) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE stream_lease SET beat_ms = beat_ms + 1 WHERE hub = :hub"), {"hub": lease.hub})


def held_elsewhere(engine: Engine) -> Lease:
    """A lease whose holder is on another host, so that only its beats tell whether it lives."""
    lease = take_over(engine, HUB, 1, {"0": 0})
    with engine.begin() as connection:
        connection.execute(text("UPDATE stream_lease SET holder = 'another-host:1:1'"))
    return lease


def test_a_second_stream_is_refused_as_soon_as_the_first_is_seen_beating(engine: Engine) -> None:
    first = held_elsewhere(engine)
    waited: list[float] = []

    def sleeper(seconds: float) -> None:
        waited.append(seconds)
        beat_once(engine, first)

    with pytest.raises(LeaseHeldError, match="--take-over"):
        take_over(engine, HUB, 1, {"0": 0}, sleeper=sleeper)
    assert len(waited) == 1


def test_a_silent_holder_is_succeeded_after_the_lease_has_run_out(engine: Engine) -> None:
    held_elsewhere(engine)
    waited: list[float] = []
    take_over(engine, HUB, 1, {"0": 0}, sleeper=waited.append)
    assert sum(waited) == pytest.approx(LEASE_SECONDS)


def test_a_holder_whose_process_is_gone_is_succeeded_at_once(engine: Engine) -> None:
    first = take_over(engine, HUB, 1, {"0": 0})
    with engine.begin() as connection:
        connection.execute(text("UPDATE stream_lease SET holder = :gone"), {"gone": f"{platform.node()}:999999999:1"})
    assert take_over(engine, HUB, 1, {"0": 0}, sleeper=pytest.fail).epoch > first.epoch


def test_after_a_clean_end_nobody_waits(engine: Engine) -> None:
    first = take_over(engine, HUB, 1, {"0": 0})
    release(engine, first)
    assert take_over(engine, HUB, 1, {"0": 0}, sleeper=pytest.fail).epoch > first.epoch


def test_taking_over_fences_the_first_and_keeps_its_positions(engine: Engine) -> None:
    first = take_over(engine, HUB, 1, {"0": 7})
    second = take_over(engine, HUB, 1, {"0": 0, "1": 3}, force=True)
    assert second.epoch > first.epoch
    with engine.begin() as connection, pytest.raises(FencedError):
        beat(connection, first)
    assert positions(engine, HUB, 1) == {"0": 7, "1": 3}


def test_a_commit_holds_the_lease_to_its_end_so_that_nobody_takes_it_for_dead(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sql.positions._TAKE_OVER_SECONDS", 0.3)
    first = held_elsewhere(engine)
    with commit(engine, first), pytest.raises(StoreUnavailableError, match="locked"):
        take_over(engine, HUB, 1, {"0": 0}, sleeper=lambda _: None)
    assert positions(engine, HUB, 1) == {"0": 0}


def test_the_heartbeat_tells_when_somebody_took_over(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streaming.heartbeat.LEASE_SECONDS", 0.25)

    first = take_over(engine, HUB, 1, {"0": 0})
    told = threading.Event()
    with heartbeat(engine, first, lambda _: told.set()):
        take_over(engine, HUB, 1, {"0": 0}, force=True)
        assert told.wait(30)
