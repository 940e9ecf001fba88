"""Tables and views, brought to the version this build speaks."""

from __future__ import annotations

from sqlalchemy import Engine, inspect

from sql.connection import READ
from sql.errors import StoreRefusedError
from sql.schema import ingest_task, metadata
from sql.views import create_views

__all__ = ["ensure_schema", "upgrade"]


def upgrade(engine: Engine) -> None:
    """Create the tables that are missing and put the views in place. Safe to call again."""
    with engine.begin() as connection:
        metadata.create_all(connection)
        create_views(connection)


def ensure_schema(engine: Engine) -> None:
    """Make sure that the tables are there: an embedded SQLite file is upgraded, a server must have been."""
    with engine.connect().execution_options(**READ) as connection, connection.begin():
        there = inspect(connection).has_table(ingest_task.name)
    if there:
        return
    if engine.dialect.name != "sqlite":
        raise StoreRefusedError("The database has no ReactionWatch tables: run reactionwatch db upgrade.")
    upgrade(engine)
