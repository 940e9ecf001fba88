"""Fresh databases of every kind for the store's tests, with the schema in place."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from postgresql import PostgresServer
from sqlalchemy import Engine, text
from tsql.driver import PREPARE_DATABASE, standing_in

from sql.connection import open_engine
from sql.errors import StoreRefusedError
from sql.migrate import VERSION_TABLE, VERSIONS, current_version, upgrade
from sql.schema import metadata
from sql.views import drop_views

__all__ = ["BACKENDS", "Databases"]

MSSQL_URL = os.environ.get("REACTIONWATCH_TEST_MSSQL_URL")
BACKENDS = ("sqlite", "postgresql", "tsql-stand-in", *(("mssql",) if MSSQL_URL else ()))
"""T-SQL goes through a stand-in that runs it on PostgreSQL (see `tsql.driver`), and to SQL Server where a URL of an
empty database names one."""


class Databases:
    """Makes databases from templates; one object per test session, closed at its end."""

    def __init__(self) -> None:
        self._folder = Path(mkdtemp(prefix="databases-"))
        self._server: PostgresServer | None = None
        self._made = 0
        self._made_anew = False

    @property
    def postgresql(self) -> PostgresServer:
        """The server, started at its first use."""
        if self._server is None:
            self._server = PostgresServer()
            self._server.admin("CREATE DATABASE template_store")
            self._prepare(self._server.url("template_store"))
        return self._server

    @contextmanager
    def fresh(self, backend: str) -> Iterator[str]:
        """URL of a database with the tables in place and nothing in them."""
        self._made += 1
        if backend == "sqlite":
            path = self._folder / f"store-{self._made}.db"
            shutil.copy(self._sqlite_template(), path)
            yield f"sqlite:///{path}"
            for file in self._folder.glob(f"{path.name}*"):
                file.unlink()
        elif backend == "postgresql":
            with self.postgresql.database("template_store") as name:
                yield self.postgresql.url(name)
        elif backend == "tsql-stand-in":
            with standing_in(), self.postgresql.database(self._tsql_template()) as name:
                yield self._tsql_url(name)
        else:
            assert MSSQL_URL is not None
            self._clear_mssql(MSSQL_URL)
            yield MSSQL_URL

    def close(self) -> None:
        """Stop the server and remove every file."""
        if self._server is not None:
            self._server.close()
        shutil.rmtree(self._folder)

    @cache  # noqa: B019 - one object lives as long as the session
    def _sqlite_template(self) -> Path:
        path = self._folder / "template.db"
        self._prepare(f"sqlite:///{path}")
        return path

    @cache  # noqa: B019
    def _tsql_template(self) -> str:
        name = "template_tsql"
        self.postgresql.admin(f"CREATE DATABASE {name}")
        for statement in PREPARE_DATABASE:
            self.postgresql.admin(statement, name)
        self._prepare(self._tsql_url(name))
        return name

    def _tsql_url(self, database: str) -> str:
        return f"mssql://postgres:any@127.0.0.1:{self.postgresql.port}/{database}"

    @cache  # noqa: B019
    def _prepare(self, url: str) -> None:
        engine = open_engine(url, pooled=False)
        upgrade(engine)
        engine.dispose()

    def _clear_mssql(self, url: str) -> None:
        """Take every row out, or make the tables anew where they are not this session's or a test has broken them."""
        engine = open_engine(url, pooled=False)
        if self._is_clean(engine):
            with engine.begin() as connection:
                for table in metadata.sorted_tables:
                    connection.execute(table.delete())
        else:
            with engine.begin() as connection:
                tables = (*(table.name for table in metadata.sorted_tables), VERSION_TABLE)
                for statement in (*drop_views(), *(f"DROP TABLE IF EXISTS {name}" for name in tables)):
                    connection.execute(text(statement))
            upgrade(engine)
            self._made_anew = True
        engine.dispose()

    def _is_clean(self, engine: Engine) -> bool:
        try:
            return self._made_anew and current_version(engine) == VERSIONS[-1]
        except StoreRefusedError:
            return False
