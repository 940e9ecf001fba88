"""Engines: one per process and database, set up so that a transaction means the same everywhere.

SQLite runs in WAL mode with `synchronous=NORMAL`: a killed process loses nothing that was committed; after a power
cut the last commits may be missing, whole, and are read again from the hub because positions live in the same file.
Writing transactions begin with `BEGIN IMMEDIATE`; reading and staging ones are deferred and take no write lock.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, create_engine, event, inspect
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool, QueuePool

from sql.errors import UnsupportedDatabaseError
from sql.schema import ingest_task, metadata
from sql.views import create_views

__all__ = ["READ", "create_schema", "has_schema", "open_engine", "safe_url"]

READ: dict[str, Any] = {"begin_mode": "DEFERRED"}
"""Execution options of a transaction that writes nothing but temporary tables."""

_BUSY_TIMEOUT_MS = 60_000
"""How long a writer waits for another's lock before its transaction is run again or given up."""


def open_engine(url: str, *, pooled: bool = True) -> Engine:
    """An engine for `url`; raises `UnsupportedDatabaseError` for anything but a SQLite file.

    With `pooled=False` every connection is closed after use, as a short-lived command wants it.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise UnsupportedDatabaseError("The database URL cannot be read; expected sqlite:///PATH.") from None
    if parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.database == ":memory:":
        raise UnsupportedDatabaseError(
            f"The database {safe_url(url)!r} is not supported yet: use a SQLite file, sqlite:///PATH."
        )
    engine = create_engine(
        parsed,
        poolclass=QueuePool if pooled else NullPool,
        hide_parameters=True,  # an error must not repeat what a report says
        connect_args={"timeout": _BUSY_TIMEOUT_MS / 1000, "check_same_thread": False},
    )
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def safe_url(url: str) -> str:
    """The URL as it may be shown: without its password."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return "(unreadable URL)"


def create_schema(engine: Engine) -> None:
    """Create the tables that are missing and put the views in place. Safe to call at every start."""
    with engine.begin() as connection:
        metadata.create_all(connection)
        create_views(connection)


def has_schema(engine: Engine) -> bool:
    """Whether the tables are there; reads only, so that looking never waits for a writer."""
    with engine.connect().execution_options(**READ) as connection, connection.begin():
        return inspect(connection).has_table(ingest_task.name)


def _set_up_sqlite(dbapi_connection: Any, _record: object) -> None:
    dbapi_connection.isolation_level = None  # transactions begin where we say, not where the driver guesses
    cursor = dbapi_connection.cursor()
    for pragma in (
        f"busy_timeout={_BUSY_TIMEOUT_MS}",
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "temp_store=MEMORY",
        "cache_size=-65536",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    mode = connection.get_execution_options().get("begin_mode", "IMMEDIATE")
    connection.exec_driver_sql(f"BEGIN {mode}")
