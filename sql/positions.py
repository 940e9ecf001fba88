"""Lease and positions: who may write, from where, and the guard every task's transaction begins with.

Takeover raises the epoch on the lease and on every position of the hub. From that moment the guarded UPDATE of
any earlier run matches no row, so whatever it left behind (tasks in flight, frozen processes) can store nothing.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, Row, case, func, insert, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from sql.blockers import ending_blockers
from sql.clock import now_ms
from sql.connection import READ
from sql.dialect import confirm_open
from sql.errors import FencedError, LeaseHeldError, PositionError
from sql.retry import persistently
from sql.schema import hub_position, stream_lease

__all__ = [
    "LEASE_SECONDS",
    "Guard",
    "Lease",
    "Source",
    "beat",
    "move_position",
    "positions",
    "release",
    "take_over",
]

LEASE_SECONDS = 15.0
"""A holder that has given no sign of life for this long counts as dead."""

_TAKE_OVER_SECONDS = 15.0
"""How long a takeover waits for locks; sessions of an earlier run that hold them are ended before that."""


@dataclass(frozen=True)
class Source:
    """One partition of one generation of a hub (or one file of a backfill)."""

    hub: str
    generation: int
    partition_id: str


@dataclass(frozen=True)
class Lease:
    """The right to write for `hub`, as long as nobody takes over."""

    hub: str
    epoch: int
    holder: str


class Guard(StrEnum):
    """What the guarded UPDATE found."""

    MOVED = "moved"
    DONE = "done"
    OVERLAP = "overlap"


def take_over(
    engine: Engine,
    hub: str,
    generation: int,
    begin: Mapping[str, int],
    *,
    force: bool = False,
    sleeper: Callable[[float], None] = time.sleep,
) -> Lease:
    """Take the lease of `hub`, fence every earlier run and create the positions that are missing.

    `begin` gives, per partition, the first sequence number the hub still holds: where a new position starts.
    Raises `LeaseHeldError` when another holder is seen beating and `force` is not set; a holder whose process is
    known to be gone (same host) is succeeded at once, any other after it has been silent for `LEASE_SECONDS`.
    With `force`, a session that is frozen in the middle of a transaction is ended; without, a commit that takes long
    keeps its lease, since the lease row it holds shows a new beat as soon as it lets go.
    """
    seen = None if force else _wait_for_silence(engine, hub, sleeper)
    tried: set[int] = set()
    return persistently(lambda: _take_over(engine, hub, generation, begin, seen, tried, force=force))


def _take_over(
    engine: Engine,
    hub: str,
    generation: int,
    begin: Mapping[str, int],
    seen: tuple[int, int] | None,
    tried: set[int],
    *,
    force: bool,
) -> Lease:
    holder = _this_process()
    with (
        engine.connect().execution_options(lock_seconds=_TAKE_OVER_SECONDS) as connection,
        ending_blockers(engine, connection, end=force),
        connection.begin(),
    ):
        lease = stream_lease.c
        row = connection.execute(select(stream_lease).where(lease.hub == hub)).one_or_none()
        # An epoch of ours is there when the connection was lost just as the commit went through.
        force = force or (row is not None and row.epoch in tried)
        if not force and row is not None and (row.epoch, row.beat_ms) != seen:
            raise _held(row.holder, hub)  # somebody was quicker
        now_us = time.time_ns() // 1000
        epoch = max((row.epoch if row else 0) + 1, now_us)  # beyond any epoch that a restored backup has forgotten
        tried.add(epoch)
        values = {"epoch": epoch, "holder": holder, "beat_ms": now_us // 1000}
        if row is None:
            connection.execute(insert(stream_lease).values(hub=hub, **values))
        else:
            same = (lease.hub == hub, lease.epoch == row.epoch, *(() if force else (lease.beat_ms == row.beat_ms,)))
            if connection.execute(update(stream_lease).where(*same).values(**values)).rowcount != 1:
                raise _held("one that started at the same moment", hub)
        connection.execute(update(hub_position).where(hub_position.c.hub == hub).values(epoch=epoch))
        known = set(
            connection.scalars(
                select(hub_position.c.partition_id).where(
                    hub_position.c.hub == hub, hub_position.c.generation == generation
                )
            )
        )
        missing = [
            {
                "hub": hub,
                "generation": generation,
                "partition_id": partition_id,
                "next_sequence": first,
                "epoch": epoch,
            }
            for partition_id, first in sorted(begin.items())
            if partition_id not in known
        ]
        if missing:
            connection.execute(insert(hub_position), missing)
        confirm_open(connection)
    return Lease(hub, epoch, holder)


def positions(engine: Engine, hub: str, generation: int) -> dict[str, int]:
    """Next sequence number to store, per partition."""
    query = select(hub_position.c.partition_id, hub_position.c.next_sequence).where(
        hub_position.c.hub == hub, hub_position.c.generation == generation
    )

    def ask() -> dict[str, int]:
        with engine.connect().execution_options(**READ) as connection, connection.begin():
            return {row.partition_id: row.next_sequence for row in connection.execute(query)}

    return persistently(ask)


def beat(connection: Connection, lease: Lease) -> None:
    """Give a sign of life and hold the lease row to the end of the transaction; `FencedError` when it is lost."""
    result = connection.execute(
        update(stream_lease)
        .where(stream_lease.c.hub == lease.hub, stream_lease.c.epoch == lease.epoch)
        .values(beat_ms=now_ms())
    )
    if result.rowcount != 1:
        raise FencedError(
            f"Another stream has taken over hub {lease.hub}; this one stops. Its events are safe: the other reads on."
        )


def release(engine: Engine, lease: Lease) -> None:
    """Say that the holder has ended cleanly, so that the next one need not wait.

    No error when the lease is lost already or the database is away: the next one then waits for the lease to run out.
    """
    mine = (stream_lease.c.hub == lease.hub, stream_lease.c.epoch == lease.epoch)
    with suppress(DBAPIError), engine.begin() as connection:
        connection.execute(update(stream_lease).where(*mine).values(beat_ms=0))


def move_position(
    connection: Connection,
    source: Source,
    epoch: int,
    first: int,
    last: int,
    enqueued_ms: int,
    event_ms: int | None,
) -> tuple[Guard, int]:
    """The guard: move the position of `source` from `first` to `last + 1`, if it stands at `first`.

    Returns (`Guard.MOVED`, first), (`Guard.DONE`, next) when the whole range is stored already, or
    (`Guard.OVERLAP`, next) when only the tail from `next` on is new (nothing was changed then).
    Raises `FencedError` on another epoch and `PositionError` on a gap or a missing position.
    """
    at = (
        (hub_position.c.hub == source.hub)
        & (hub_position.c.generation == source.generation)
        & (hub_position.c.partition_id == source.partition_id)
    )
    latest = hub_position.c.event_ms
    moved = connection.execute(
        update(hub_position)
        .where(at, hub_position.c.epoch == epoch, hub_position.c.next_sequence == first)
        .values(
            next_sequence=last + 1,
            enqueued_ms=enqueued_ms,
            event_ms=case((func.coalesce(latest, event_ms) > event_ms, latest), else_=event_ms)
            if event_ms is not None
            else latest,
        )
    )
    if moved.rowcount == 1:
        return Guard.MOVED, first
    row = connection.execute(select(hub_position.c.next_sequence, hub_position.c.epoch).where(at)).one_or_none()
    where = f"hub {source.hub}, partition {source.partition_id}"
    if row is None:
        raise PositionError(f"No position is kept for {where}: the stream must be started again.")
    if row.epoch != epoch:
        raise FencedError(f"Another stream has taken over {where}; this task stores nothing.")
    if row.next_sequence > last:
        return Guard.DONE, row.next_sequence
    if row.next_sequence > first:
        return Guard.OVERLAP, row.next_sequence
    raise PositionError(
        f"Gap at {where}: stored up to {row.next_sequence - 1}, but the next events offered begin at {first}."
    )


def _wait_for_silence(engine: Engine, hub: str, sleeper: Callable[[float], None]) -> tuple[int, int] | None:
    """Wait until the lease is free or its holder is dead; raise `LeaseHeldError` as soon as it is seen alive.

    Returns the (epoch, beat) that was seen last, None where there has been no lease yet.
    """

    def ask() -> Row[Any] | None:
        with engine.connect().execution_options(**READ) as connection, connection.begin():
            return connection.execute(select(stream_lease).where(stream_lease.c.hub == hub)).one_or_none()

    first_beat: int | None = None
    waited = 0.0
    while True:
        row = persistently(ask)
        if row is None:
            return None
        if row.beat_ms == 0 or not _may_be_alive(row.holder):
            return row.epoch, row.beat_ms
        if first_beat is None:
            first_beat = row.beat_ms
        if row.beat_ms != first_beat:
            raise _held(row.holder, hub)
        if waited >= LEASE_SECONDS:
            return row.epoch, row.beat_ms
        sleeper(0.5)
        waited += 0.5


def _held(holder: str, hub: str) -> LeaseHeldError:
    return LeaseHeldError(
        f"Another stream ({holder}) is running on hub {hub} and this database. "
        "Stop it first, or start this one with --take-over."
    )


def _this_process() -> str:
    return f"{platform.node()}:{os.getpid()}:{_start_of(os.getpid())}"


def _may_be_alive(holder: str) -> bool:
    """False only when the holder ran on this host and its process is gone."""
    host, pid, start = holder.rsplit(":", 2)
    if host != platform.node():
        return True
    return _start_of(int(pid)) == start


def _start_of(pid: int) -> str:
    """When a process started, in clock ticks since boot, so that a reused pid is told apart; "" when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[19]
    except (OSError, IndexError):
        pass
    if Path("/proc/self/stat").exists():
        return ""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return "running"
