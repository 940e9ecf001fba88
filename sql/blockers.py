"""Takeover from a run that is frozen in the middle of a transaction: its session is ended, or at least named.

A stopped process keeps its locks for as long as its connection stands, which can be for ever. PostgreSQL and SQL
Server can end a session from another one (the client gets an error when it wakes up, and its transaction is rolled
back). SQLite has no server: only the person who runs it can end the process, so that is named.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from sql.connection import PROGRAM
from sql.errors import StoreUnavailableError
from sql.retry import is_lock_timeout

__all__ = ["ending_blockers"]

_PATIENCE_SECONDS = 3.0
"""How long a takeover waits for transactions in flight before it ends their sessions."""

_POSTGRESQL = (
    text("SELECT pg_backend_pid()"),
    text(
        "SELECT pid FROM pg_stat_activity WHERE pid = ANY(pg_blocking_pids(:session)) AND application_name = :program"
    ),
    "SELECT pg_terminate_backend({})",
)
_MSSQL = (
    text("SELECT @@SPID"),
    text(
        "SELECT b.spid FROM sys.sysprocesses w JOIN sys.sysprocesses b ON b.spid = w.blocked "
        "WHERE w.spid = :session AND w.blocked <> w.spid AND RTRIM(b.program_name) = :program"
    ),
    "KILL {}",
)


@contextmanager
def ending_blockers(engine: Engine, connection: Connection, *, end: bool) -> Iterator[None]:
    """Use around a transaction of `connection` that may find its locks held.

    With `end`, sessions of ours that keep it waiting are ended on the way; those of other programs never are.
    Raises `StoreUnavailableError` that says who holds the locks when they stay held.
    """
    found: set[int] = set()
    try:
        if engine.dialect.name == "sqlite":
            yield
        else:
            with _watching(engine, connection, found, end=end):
                yield
    except DBAPIError as error:
        if not is_lock_timeout(error):
            raise
        held_by = _lock_holders(Path(f"{engine.url.database}-shm")) if engine.dialect.name == "sqlite" else found
        raise _still_locked(engine, sorted(held_by), end=end) from None


@contextmanager
def _watching(engine: Engine, connection: Connection, found: set[int], *, end: bool) -> Iterator[None]:
    own, blocking, ending = _POSTGRESQL if engine.dialect.name == "postgresql" else _MSSQL
    with connection.begin():
        session = connection.scalar(own)
    done = threading.Event()

    def watch() -> None:
        while not done.wait(_PATIENCE_SECONDS):
            # What may fail is that we are not allowed to; the takeover's own lock timeout has the last word then.
            with suppress(DBAPIError), engine.connect() as other:
                other.detach()  # closed afterwards: the pool keeps no connection that commits by itself
                driver: Any = other.connection.dbapi_connection
                driver.autocommit = True  # T-SQL ends no session from within a transaction
                blockers = other.scalars(blocking, {"session": session, "program": PROGRAM}).all()
                found.update(int(blocker) for blocker in blockers)
                for blocker in blockers if end else ():
                    other.exec_driver_sql(ending.format(int(blocker)))

    watcher = threading.Thread(target=watch, name="take-over", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _still_locked(engine: Engine, holders: list[int], *, end: bool) -> StoreUnavailableError:
    kind = "process" if engine.dialect.name == "sqlite" else "database session"
    who = f"{kind} {', '.join(map(str, holders))}" if holders else f"another {kind}"
    if engine.dialect.name == "sqlite":
        remedy = f"End it (kill {' '.join(map(str, holders)) or 'PID'}), then start again."
    elif end:
        remedy = "End it in the database, then start again."
    else:
        remedy = "Start again with --take-over, which ends it."
    return StoreUnavailableError(
        f"The database stays locked by {who}, which may be stopped in the middle of a write. {remedy} Nothing is lost."
    )


def _lock_holders(path: Path) -> list[int]:
    """Processes that hold a write lock on a file, as Linux tells; none known on other systems."""
    try:
        inode = path.stat().st_ino
        locks = [line.split() for line in Path("/proc/locks").read_text(encoding="ascii").splitlines()]
    except OSError:
        return []
    # "1: POSIX ADVISORY WRITE pid major:minor:inode start end"; waiting ones have "->" in the second place.
    held = [lock for lock in locks if len(lock) == 8 and lock[3] == "WRITE" and lock[5].endswith(f":{inode}")]
    return sorted({int(lock[4]) for lock in held} - {os.getpid()})
