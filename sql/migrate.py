"""Tables and views, brought to the version this build speaks.

Tables are migrated by Alembic (`sql/migrations`). Views have no version: every upgrade drops them and makes them
anew, in the same transaction, so that readers see either the old state or the new one.
"""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Engine, column, func, inspect, select, table
from sqlalchemy.engine import Connection

from sql.connection import READ
from sql.dialect import confirm_open
from sql.errors import StoreRefusedError
from sql.retry import persistently
from sql.schema import ingest_task

if TYPE_CHECKING:
    from alembic.config import Config

__all__ = ["VERSIONS", "VERSION_TABLE", "azure_sql_ddl", "current_version", "ensure_schema", "upgrade"]

VERSIONS = ("0002", "0003", "0004")
"""Every version of the tables, oldest first; the last is the one this build speaks."""

VERSION_TABLE = "reactionwatch_version"
"""Not Alembic's usual name, which MLflow takes when it is given the same database."""

_SCRIPTS = Path(__file__).parent / "migrations"
_UPGRADE_LOCK = 0x5265_6163_7469_6F6E  # "Reaction"
_DDL_HEAD = """\
-- ReactionWatch: tables and views for Azure SQL and SQL Server, as `reactionwatch db ddl` prints them.
-- For an empty database; `reactionwatch db upgrade` does the same, and upgrades one that is older.
-- Run it so that the first error ends it: sqlcmd -b -i schema.sql
SET XACT_ABORT ON
GO

"""


def upgrade(engine: Engine) -> None:
    """Bring tables and views to the version of this build, in one transaction. Safe to call again.

    Of two at once, the second waits (SQLite, PostgreSQL) or may fail and find all done when it is run again (T-SQL).
    Raises `StoreRefusedError` for tables that a newer build or an early development build has made.
    """
    persistently(lambda: _upgrade(engine))


def ensure_schema(engine: Engine) -> None:
    """Make sure that the tables are of this build's version: a SQLite file is upgraded, a server must have been.

    Raises `StoreRefusedError` naming `reactionwatch db upgrade`, or as `upgrade` does. Changes nothing, not even
    views, where the version is right.
    """
    version = current_version(engine)
    if version == VERSIONS[-1]:
        return
    if engine.dialect.name != "sqlite":
        found = "has no ReactionWatch tables" if version is None else f"has tables of version {version}"
        raise StoreRefusedError(
            f"The database {found}, and version {VERSIONS[-1]} is needed: run reactionwatch db upgrade."
        )
    upgrade(engine)


def current_version(engine: Engine) -> str | None:
    """Version of the tables there are, None in a database without them; raises as `upgrade` does."""
    with engine.connect().execution_options(**READ) as connection, connection.begin():
        return _version(connection)


def azure_sql_ddl() -> str:
    """The statements that make an empty Azure SQL database what `upgrade` makes it. Connects to nothing."""
    from alembic import command

    config = _config()
    command.upgrade(config, "head", sql=True)
    assert isinstance(config.output_buffer, StringIO)
    return _DDL_HEAD + "\n".join(line.rstrip() for line in config.output_buffer.getvalue().splitlines()) + "\n"


def _upgrade(engine: Engine) -> None:
    from alembic import command

    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(_UPGRADE_LOCK)))
        _version(connection)  # asked for what it refuses
        command.upgrade(_config(connection), "head")
        confirm_open(connection)


def _config(connection: Connection | None = None) -> Config:
    from alembic.config import Config

    config = Config(output_buffer=StringIO(), attributes={"connection": connection})
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    return config


def _version(connection: Connection) -> str | None:
    there = inspect(connection)
    version: str | None = None
    if there.has_table(VERSION_TABLE):
        version = connection.scalar(select(column("version_num")).select_from(table(VERSION_TABLE)))
    elif there.has_table(ingest_task.name):
        version = ""
    if version is not None and version < VERSIONS[0]:
        raise StoreRefusedError(
            "The database has tables of an early development build, which cannot be upgraded: "
            "set REACTIONWATCH_DATABASE_URL or the data folder to a new one."
        )
    if version is not None and version not in VERSIONS:
        raise StoreRefusedError(
            f"A newer ReactionWatch has upgraded this database (to version {version}; this build knows "
            f"{VERSIONS[-1]}): use that one, or another database."
        )
    return version
