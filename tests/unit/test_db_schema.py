"""What holds for every table, and for the statements that make them on Azure SQL."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import sqlglot
from sqlalchemy import BigInteger, Boolean, Date, DateTime, Float, Integer, LargeBinary, SmallInteger, String, Table
from sqlalchemy.dialects import mssql
from sqlalchemy.schema import CreateTable
from sqlalchemy.types import TypeDecorator, TypeEngine
from sqlglot import exp

from sql import migrate
from sql.migrate import VERSION_TABLE, azure_sql_ddl
from sql.schema import metadata
from sql.views import VIEWS

SCHEMA_FILE = Path(migrate.__file__).parent / "azure" / "schema.sql"
TABLES = pytest.mark.parametrize("table", metadata.sorted_tables, ids=lambda table: table.name)


def bytes_of(of: TypeEngine[object]) -> int:
    """Most bytes a value takes in an index of SQL Server."""
    if isinstance(of, TypeDecorator):
        of = of.impl_instance
    if isinstance(of, String):
        return 2 * of.length if of.length else 1_000_000
    if isinstance(of, LargeBinary):
        return of.length or 1_000_000
    for kind, size in ((BigInteger, 8), (SmallInteger, 2), (Integer, 4), (Boolean, 1), (Float, 8), (Date, 3)):
        if isinstance(of, kind):
            return size
    assert isinstance(of, DateTime)
    return 8


@TABLES
def test_every_table_and_column_is_explained(table: Table) -> None:
    assert [
        name for name, comment in (("", table.comment), *((c.name, c.comment) for c in table.c)) if not comment
    ] == []


@TABLES
def test_comments_are_plain_enough_for_a_script_in_any_encoding(table: Table) -> None:
    assert all(str(comment).isascii() for comment in (table.comment, *(c.comment for c in table.c)))


@TABLES
def test_keys_fit_into_an_index_of_sql_server(table: Table) -> None:
    assert sum(bytes_of(column.type) for column in table.primary_key.columns) <= 900
    for index in table.indexes:
        # The clustered key stands in every other index, too.
        columns = {*index.columns, *table.primary_key.columns}
        assert sum(bytes_of(column.type) for column in columns) <= 1700


@TABLES
def test_azure_sql_gets_types_that_mean_the_same_as_elsewhere(table: Table) -> None:
    made = str(CreateTable(table).compile(dialect=mssql.dialect()))
    assert not re.search(r"\b(?:NTEXT|TEXT|IMAGE|DATETIME|TIMESTAMP|VARCHAR|IDENTITY)\b", made)
    assert made.count("NVARCHAR") == made.count("COLLATE Latin1_General_100_BIN2")


def batches() -> list[str]:
    return [batch.strip() for batch in re.split(r"^GO$", azure_sql_ddl(), flags=re.MULTILINE) if batch.strip()]


def test_the_file_for_azure_sql_is_current() -> None:
    assert SCHEMA_FILE.read_text(encoding="utf-8") == azure_sql_ddl(), (
        "renew it: reactionwatch db ddl > sql/azure/schema.sql"
    )


def test_azure_sql_can_read_every_batch() -> None:
    for batch in batches():
        statements = [s for s in sqlglot.parse(batch, dialect="tsql") if s and not isinstance(s, exp.Semicolon)]
        assert statements, batch
        unread = any(isinstance(statement, exp.Command) for statement in statements)
        assert not unread or re.search(
            r"^(?:execute sp_(?:add|update)extendedproperty 'MS_Description', N'|SET XACT_ABORT)", batch, re.M
        )
        if any(isinstance(statement, exp.Create) and statement.kind == "VIEW" for statement in statements):
            assert len(statements) == 1


def test_azure_sql_gets_every_table_and_view_in_one_transaction() -> None:
    made = azure_sql_ddl()
    assert re.findall(r"^CREATE TABLE (\w+)", made, re.MULTILINE) == [VERSION_TABLE, *metadata.tables]
    assert re.findall(r"^CREATE VIEW (\w+)", made, re.MULTILINE) == [*VIEWS]
    assert made.count("BEGIN TRANSACTION") == made.count("COMMIT") == 1
    assert made.index("BEGIN TRANSACTION") < made.index("CREATE") < made.rindex("CREATE") < made.index("COMMIT")


@pytest.mark.parametrize(
    "word", [r"MERGE", r"CREATE OR ALTER", r"ALTER VIEW", r"ALTER COLUMN", r"IGNORE_DUP_KEY", r"OUTPUT"]
)
def test_azure_sql_is_asked_for_nothing_that_its_kin_refuse(word: str) -> None:
    assert not re.search(rf"\b{word}\b", re.sub(r"N'[^']*'", "", azure_sql_ddl()))


def test_printing_needs_no_driver() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; sys.modules.update(pyodbc=None, psycopg=None, mssql_python_odbc=None);"
            "from sql.migrate import azure_sql_ddl; print(len(azure_sql_ddl()))",
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    assert int(done.stdout) > 10_000
    assert done.stderr == ""
