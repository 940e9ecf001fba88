"""Engines: one per process and database, set up so that a transaction means the same everywhere (READ COMMITTED).

SQLite runs in WAL mode with `synchronous=NORMAL`: a killed process loses nothing that was committed; after a power
cut the last commits may be missing, whole, and are read again from the hub because positions live in the same file.
Writing transactions begin with `BEGIN IMMEDIATE`; reading and staging ones are deferred and take no write lock.

PostgreSQL is spoken to by psycopg 3, Azure SQL and SQL Server by pyodbc and Microsoft's driver 18 (`sql.azure_sql`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool, QueuePool

from sql.azure_sql import prepare_azure_sql
from sql.errors import UnsupportedDatabaseError

__all__ = ["PROGRAM", "READ", "open_engine", "safe_url"]

READ: dict[str, Any] = {"begin_mode": "DEFERRED"}
"""Execution options of a transaction that writes nothing but temporary tables."""

PROGRAM = "reactionwatch"
"""The name our sessions carry in the database's list of sessions."""

_LOCK_SECONDS = 60.0
"""How long a writer waits for another's lock before its transaction is run again or given up.

A transaction asks for another by the execution option `lock_seconds`.
"""

_EXPECTED = "sqlite:///PATH, postgresql://USER:PASSWORD@HOST/DATABASE or mssql://HOST/DATABASE"


def open_engine(url: str, *, pooled: bool = True) -> Engine:
    """An engine for `url`; connects to nothing yet. Raises `UnsupportedDatabaseError` where `url` is no use.

    With `pooled=False` every connection is closed after use, as a short-lived command wants it.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise UnsupportedDatabaseError(f"The database URL cannot be read; expected {_EXPECTED}.") from None
    prepare = _BACKENDS.get(parsed.get_backend_name())
    if prepare is None or not (parsed.database or "odbc_connect" in parsed.query) or parsed.database == ":memory:":
        raise UnsupportedDatabaseError(f"The database {safe_url(url)!r} cannot be used: expected {_EXPECTED}.")
    return prepare(parsed, {"poolclass": QueuePool if pooled else NullPool})


def safe_url(url: str) -> str:
    """The URL as it may be shown: without its password, nor any ODBC connection string."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        return "(unreadable URL)"
    return parsed.difference_update_query(["odbc_connect", "password"]).render_as_string(hide_password=True)


def _create(url: URL, **options: Any) -> Engine:
    return create_engine(url, hide_parameters=True, **options)  # an error must not repeat what a report says


def _sqlite(url: URL, options: dict[str, Any]) -> Engine:
    engine = _create(url, connect_args={"timeout": _LOCK_SECONDS, "check_same_thread": False}, **options)
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(dbapi_connection: Any, _record: object) -> None:
    dbapi_connection.isolation_level = None  # transactions begin where we say, not where the driver guesses
    cursor = dbapi_connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "temp_store=MEMORY",
        "cache_size=-65536",
        "wal_autocheckpoint=16000",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    mode = connection.get_execution_options().get("begin_mode", "IMMEDIATE")
    if (seconds := _new_lock_seconds(connection)) is not None:
        connection.exec_driver_sql(f"PRAGMA busy_timeout={seconds * 1000:.0f}")
    connection.exec_driver_sql(f"BEGIN {mode}")


def _postgresql(url: URL, options: dict[str, Any]) -> Engine:
    if url.host not in (None, "localhost", "127.0.0.1", "::1") and "sslmode" not in url.query:
        url = url.update_query_dict({"sslmode": "verify-full", "sslrootcert": "system"})
    defaults: dict[str, Any] = {
        "application_name": PROGRAM,
        "connect_timeout": 10,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 60_000,  # ms; a peer that fell silent is noticed in the middle of a statement, too
    }
    engine = _create(
        url.set(drivername="postgresql+psycopg"),
        connect_args={name: value for name, value in defaults.items() if name not in url.query},
        pool_pre_ping=True,
        **options,
    )
    event.listen(engine, "connect", _set_up_postgresql)
    event.listen(engine, "begin", _begin_postgresql)
    return engine


def _set_up_postgresql(dbapi_connection: Any, _record: object) -> None:
    dbapi_connection.execute(f"SET lock_timeout = {_LOCK_SECONDS * 1000:.0f}")
    dbapi_connection.commit()


def _begin_postgresql(connection: Connection) -> None:
    if (seconds := connection.get_execution_options().get("lock_seconds")) is not None:
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {seconds * 1000:.0f}")


def _mssql(url: URL, options: dict[str, Any]) -> Engine:
    url, prepare = prepare_azure_sql(url, PROGRAM)
    engine = _create(url, fast_executemany=True, use_insertmanyvalues=False, pool_pre_ping=True, **options)
    prepare(engine)
    event.listen(engine, "begin", _begin_mssql)
    return engine


def _begin_mssql(connection: Connection) -> None:
    if (seconds := _new_lock_seconds(connection)) is not None:
        connection.exec_driver_sql(f"SET LOCK_TIMEOUT {seconds * 1000:.0f}")


def _new_lock_seconds(connection: Connection) -> float | None:
    """The lock timeout this transaction wants, where the session does not have it yet."""
    wanted: float = connection.get_execution_options().get("lock_seconds", _LOCK_SECONDS)
    if connection.info.get("lock_seconds") == wanted:
        return None
    connection.info["lock_seconds"] = wanted
    return wanted


_BACKENDS: dict[str, Callable[[URL, dict[str, Any]], Engine]] = {
    "sqlite": _sqlite,
    "postgresql": _postgresql,
    "mssql": _mssql,
}
