"""Takeover from a run that is frozen in the middle of a transaction: its session is ended, or at least named.

A stopped process keeps its locks for as long as its connection stands, which can be for ever. PostgreSQL and SQL
Server can end a session from another one (the client gets an error when it wakes up, and its transaction is rolled
back). SQLite has no server: only the person who runs it can end the process, so that is named.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, TextClause, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from sql.connection import PROGRAM, READ
from sql.errors import StoreUnavailableError
from sql.retry import Failure, failure_of

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
def ending_blockers(engine: Engine, connection: Connection) -> Iterator[None]:
    """While the block runs, end sessions of ours that keep `connection` waiting; use it around the transaction.

    Sessions of other programs are left alone. Raises `StoreUnavailableError` naming the process that holds the
    lock of a SQLite file.
    """
    if engine.dialect.name == "sqlite":
        try:
            yield
        except DBAPIError as error:
            if failure_of(error) is Failure.COLLISION:
                raise _sqlite_locked(engine) from None
            raise
        return
    own, blocking, ending = _POSTGRESQL if engine.dialect.name == "postgresql" else _MSSQL
    with connection.begin():
        session = connection.scalar(own)
    done = threading.Event()
    watcher = threading.Thread(
        target=_watch, args=(engine, session, blocking, ending, done), name="take-over", daemon=True
    )
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _watch(engine: Engine, session: int, blocking: TextClause, ending: str, done: threading.Event) -> None:
    while not done.wait(_PATIENCE_SECONDS):
        try:
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                for blocker in connection.scalars(blocking, {"session": session, "program": PROGRAM}).all():
                    connection.exec_driver_sql(ending.format(int(blocker)))
        except DBAPIError:  # not allowed to, or gone already: the takeover's own lock timeout has the last word
            return


def _sqlite_locked(engine: Engine) -> StoreUnavailableError:
    holders = _lock_holders(Path(f"{engine.url.database}-shm"))
    who = f"process {', '.join(map(str, holders))} on this machine" if holders else "another process"
    remedy = f"end it (kill {' '.join(map(str, holders))})" if holders else "end it"
    return StoreUnavailableError(
        f"The database file stays locked by {who}, which may be stopped in the middle of a write: {remedy}, "
        "then start again. Nothing is lost."
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
