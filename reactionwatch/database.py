"""The database for commands that need nothing else: apart from the wiring, whose imports take seconds."""

from __future__ import annotations

from sqlalchemy import Engine

from reactionwatch.settings import Settings
from sql.connection import open_engine
from sql.migrate import ensure_schema

__all__ = ["open_database"]


def open_database(settings: Settings) -> Engine:
    """The database, with its tables in place."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    engine = open_engine(settings.database, pooled=False)
    ensure_schema(engine)
    return engine
