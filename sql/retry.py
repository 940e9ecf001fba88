"""Which failures of a database pass, and how long we wait for them.

Collisions with another transaction are run again at once, with jitter. What is away (lost connection, failover,
full disk, throttling) is waited for, first 5 s, then longer up to 60 s. After two and a half minutes neither is tried
again. What the database refuses (permission, missing table, bad statement) fails at once: no waiting makes it right.

Transient codes: Microsoft, "Troubleshoot transient connection errors in SQL Database"; PostgreSQL manual, appendix A;
SQLite, "Result and error codes".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum
from typing import TypeVar

import stamina
from sqlalchemy.exc import DBAPIError

from sql.errors import StoreError, StoreRefusedError, StoreUnavailableError

__all__ = ["Failure", "cause_of", "failure_of", "is_lock_timeout", "persistently", "store_error"]

T = TypeVar("T")

_PATIENCE_SECONDS = 150.0

_SQLITE_COLLISIONS = ("SQLITE_BUSY", "SQLITE_LOCKED")
_SQLITE_AWAY = ("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PROTOCOL")
_POSTGRESQL_COLLISIONS = ("23505", "40001", "40P01", "55P03")
_POSTGRESQL_AWAY = ("08", "25006", "53", "57P0", "58030")
_POSTGRESQL_START = ("starting up", "shutting down", "too many clients", "recovery", "not yet accepting")
"""Refusals to connect that pass; libpq gives no code for those."""
_MSSQL_COLLISIONS = frozenset({1205, 1222, 2601, 2627, 3960})
_MSSQL_AWAY = frozenset(
    {926, 4060, 40197, 40501, 40613, 49918, 49919, 49920, 4221, 615}  # Microsoft's list
    | {20, 64, 233, 596, 6005, 10053, 10054, 10060}  # connection cut, session ended, server going down
    | {701, 1204, 8645, 10928, 10929, 40143, 40166, 40540}  # resource limits
    | {1105, 3906, 9002, 40544}  # full or read-only for now
)
_MSSQL_AWAY_STATES = ("08", "HYT0")
_POSTGRESQL_ABOUT_THE_DATABASE = ("28", "3D", "40P01", "42", "55P03")
_MSSQL_ABOUT_THE_DATABASE = frozenset({0, 207, 208, 229, 230, 262, 916, 1205, 1222, 18456})
"""Codes whose message names tables, columns and logins, never a value of a row."""


class Failure(StrEnum):
    """What kind of failure an error of the driver is."""

    COLLISION = "collision"
    AWAY = "away"
    REFUSED = "refused"


def failure_of(error: DBAPIError) -> Failure:
    """The kind of a driver's error."""
    orig = error.orig
    kind = type(orig).__module__.partition(".")[0]
    found = _of_sqlite(orig) if kind == "sqlite3" else _of_pyodbc(orig) if kind == "pyodbc" else _of_psycopg(orig)
    return Failure.AWAY if error.connection_invalidated and found is not Failure.COLLISION else found


def is_lock_timeout(error: DBAPIError) -> bool:
    """Whether another transaction kept a lock for longer than this one was willing to wait."""
    orig = error.orig
    return (
        getattr(orig, "sqlstate", None) == "55P03"
        or getattr(orig, "sqlite_errorname", "").startswith("SQLITE_BUSY")
        or (type(orig).__module__ == "pyodbc" and 1222 in _mssql_codes(orig))
    )


def persistently(work: Callable[[], T]) -> T:
    """Do `work`, a transaction that may be run again whole, through collisions and outages.

    Raises `StoreUnavailableError` when patience is at its end and `StoreRefusedError` at once where none would help.
    """
    try:
        for attempt in stamina.retry_context(
            on=_is(Failure.AWAY), attempts=None, timeout=_PATIENCE_SECONDS, wait_initial=5.0, wait_max=60.0
        ):
            with attempt:
                return _through_collisions(work)
    except DBAPIError as error:
        raise store_error(error) from None
    raise AssertionError("unreachable: the retry loop returns or raises")


def store_error(error: DBAPIError) -> StoreError:
    """The error to stop with, in words that say what to do and repeat nothing of a report."""
    cause = cause_of(error)
    match failure_of(error):
        case Failure.COLLISION:
            return StoreUnavailableError(
                f"The database stayed locked ({cause}): see what else writes to it, then start again. Nothing is lost."
            )
        case Failure.AWAY:
            return StoreUnavailableError(
                f"The database cannot be used ({cause}): check that it can be reached and written and has room, "
                "then start again. Nothing is lost."
            )
        case _:
            return StoreRefusedError(
                f"The database refuses ({cause}): check the login, its rights and the schema "
                "(reactionwatch db upgrade), then start again. Nothing is lost."
            )


def _through_collisions(work: Callable[[], T]) -> T:
    for attempt in stamina.retry_context(
        on=_is(Failure.COLLISION),
        attempts=10,
        timeout=_PATIENCE_SECONDS,
        wait_initial=0.02,
        wait_max=1.0,
        wait_jitter=0.2,
    ):
        with attempt:
            return work()
    raise AssertionError("unreachable: the retry loop returns or raises")


def _is(kind: Failure) -> Callable[[Exception], bool]:
    return lambda error: isinstance(error, DBAPIError) and failure_of(error) is kind


def _of_sqlite(orig: object) -> Failure:
    name = getattr(orig, "sqlite_errorname", "")
    if name.startswith(_SQLITE_COLLISIONS):
        return Failure.COLLISION
    return Failure.AWAY if name.startswith(_SQLITE_AWAY) else Failure.REFUSED


def _of_psycopg(orig: object) -> Failure:
    state = getattr(orig, "sqlstate", None)
    if state is None:  # no connection came about, or it broke
        said = str(orig)
        refused = "FATAL:" in said and not any(words in said for words in _POSTGRESQL_START)
        lost = isinstance(orig, Exception) and type(orig).__name__ in ("OperationalError", "ConnectionTimeout")
        return Failure.AWAY if lost and not refused else Failure.REFUSED
    if state in _POSTGRESQL_COLLISIONS:
        return Failure.COLLISION
    return Failure.AWAY if state.startswith(_POSTGRESQL_AWAY) else Failure.REFUSED


def _of_pyodbc(orig: object) -> Failure:
    codes = _mssql_codes(orig)
    if codes & _MSSQL_COLLISIONS:
        return Failure.COLLISION
    if codes & _MSSQL_AWAY or _odbc_state(orig).startswith(_MSSQL_AWAY_STATES):
        return Failure.AWAY
    return Failure.REFUSED


def _mssql_codes(orig: object) -> set[int]:
    """The server's numbers in "[state] text (number) (function)"; other numbers in brackets may be values of a row."""
    said = " ".join(str(argument) for argument in getattr(orig, "args", ())[1:])
    return {int(number) for number in re.findall(r"\((\d+)\)(?= \(SQL\w+\)|; \[|$)", said)}


def _odbc_state(orig: object) -> str:
    return str(next(iter(getattr(orig, "args", ())), ""))


def cause_of(error: DBAPIError) -> str:
    """The driver's first line where it speaks of the database; only its code where it may quote a row."""
    orig, said = error.orig, str(error.orig)
    name = type(orig).__name__
    match type(orig).__module__.partition(".")[0]:
        case "sqlite3":
            code, speaks_of_rows = getattr(orig, "sqlite_errorname", name), False
        case "pyodbc":
            codes, said = _mssql_codes(orig), " ".join(str(a) for a in getattr(orig, "args", ())[1:])
            code = " ".join([_odbc_state(orig), *map(str, sorted(codes))])
            speaks_of_rows = not codes or not codes <= _MSSQL_AWAY | _MSSQL_ABOUT_THE_DATABASE
        case _:
            code = getattr(orig, "sqlstate", None) or name
            speaks_of_rows = not code.startswith((*_POSTGRESQL_AWAY, *_POSTGRESQL_ABOUT_THE_DATABASE, name))
    if speaks_of_rows:
        return f"{name} {code}"
    first = next(iter(said.strip().splitlines()), "")
    return f"{code}: {first[:200]}" if first else code
