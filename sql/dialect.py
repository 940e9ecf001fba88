"""What differs between SQLite, PostgreSQL and T-SQL, in one place.

SQLite and PostgreSQL have `ON CONFLICT`, which also keeps SQLite's planner driving from the staging table where
`UPDATE … FROM` and `WHERE EXISTS` would scan the whole target. T-SQL (SQL Server, Azure SQL) gets plain statements
under a unique key, INSERT … WHERE NOT EXISTS first and UPDATE … FROM after it; bare `MERGE` races.

Staging tables are temporary on every database: `#name` is what T-SQL asks for and a legal quoted name elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    Boolean,
    ColumnElement,
    Date,
    DateTime,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    Select,
    SmallInteger,
    String,
    Subquery,
    Table,
    TypeDecorator,
    and_,
    exists,
    insert,
    literal,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateTable
from sqlalchemy.sql.compiler import DDLCompiler, SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine

from sql.errors import StoreUnavailableError

__all__ = [
    "add_counts",
    "byte_length",
    "confirm_open",
    "create_staging",
    "empty",
    "insert_absent",
    "is_staged",
    "load",
    "lower_pairs",
    "replace_rows",
    "used_again",
]

_Upsert = sqlite.Insert | postgresql.Insert
_LARGE = 4_000
"""Characters or bytes from which on a T-SQL parameter is sent in pieces."""


def create_staging(connection: Connection, staging: MetaData) -> None:
    """Make the temporary tables of `staging`, once per database connection, in a transaction of its own."""
    made = connection.info.setdefault("staging", set())
    missing = [table for table in staging.sorted_tables if table.name not in made]
    if missing:
        with connection.begin():
            for table in missing:
                connection.execute(CreateTable(table))
        made.update(table.name for table in missing)


def empty(connection: Connection, *tables: Table) -> None:
    """Take every row out of temporary tables."""
    # PostgreSQL never vacuums temporary tables by itself, so deleted rows would pile up there.
    verb = "TRUNCATE TABLE" if connection.dialect.name == "postgresql" else "DELETE FROM"
    quote = connection.dialect.identifier_preparer.format_table
    for table in tables:
        connection.execute(text(f"{verb} {quote(table)}"))


def load(connection: Connection, table: Table, rows: Sequence[Sequence[Any]]) -> None:
    """Bulk load whole rows, every column in order, into a temporary table.

    Only in a transaction that writes nothing else (`sql.connection.READ`): on T-SQL it ends it.
    """
    assert connection.get_execution_options().get("begin_mode") == "DEFERRED"
    if not rows:
        return
    rows = _bound(connection, table, rows)
    if connection.dialect.name == "postgresql":
        with _errors_as_usual(connection):
            _copy(connection, table, rows)
    elif connection.dialect.name == "mssql":
        with _errors_as_usual(connection):
            _execute_parameter_arrays(connection, table, rows)
    else:
        connection.exec_driver_sql(_insert_text(connection, table), [tuple(row) for row in rows])


def insert_absent(connection: Connection, table: Table, rows: Select[Any]) -> None:
    """INSERT … SELECT that leaves rows alone whose primary key is there already."""
    if connection.dialect.name == "mssql":
        _insert_where_not_exists(connection, table, rows)
    else:
        statement = _upsert(connection, table).from_select(_names(rows), rows)
        connection.execute(statement.on_conflict_do_nothing(index_elements=list(table.primary_key.columns)))


def add_counts(connection: Connection, table: Table, rows: Select[Any]) -> None:
    """INSERT … SELECT that adds `cases` to rows whose primary key is there already."""
    if connection.dialect.name == "mssql":
        added = rows.order_by(None).subquery("s")
        zeros = select(*(literal(0).label(c.name) if c.name == "cases" else c for c in added.c))
        _insert_where_not_exists(connection, table, zeros.order_by(*_key(table, added)))
        connection.execute(update(table).values(cases=table.c.cases + added.c.cases).where(_same_key(table, added)))
    else:
        statement = _upsert(connection, table).from_select(_names(rows), rows)
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=list(table.primary_key.columns),
                set_={"cases": table.c.cases + statement.excluded.cases},
            )
        )


def lower_pairs(connection: Connection, case_pair: Table, rows: Select[Any]) -> None:
    """Insert pairs, or move those with a later event time to the earlier one, keeping the old value in the row."""
    if connection.dialect.name == "mssql":
        _insert_where_not_exists(connection, case_pair, rows)
        # Those just inserted have the time they are compared with, so that they stay as they are.
        new = rows.order_by(None).subquery("s")
        connection.execute(
            update(case_pair)
            .values(prev_ms=case_pair.c.event_ms, event_ms=new.c.event_ms, moved_by=new.c.moved_by)
            .where(_same_key(case_pair, new), new.c.event_ms < case_pair.c.event_ms)
        )
    else:
        statement = _upsert(connection, case_pair).from_select(_names(rows), rows)
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=list(case_pair.primary_key.columns),
                set_={
                    "prev_ms": case_pair.c.event_ms,
                    "event_ms": statement.excluded.event_ms,
                    "moved_by": statement.excluded.moved_by,
                },
                where=statement.excluded.event_ms < case_pair.c.event_ms,
            )
        )


def replace_rows(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], *, keep: Collection[str] = ()
) -> None:
    """Insert whole rows, overwriting those with the same primary key but for the columns of `keep`."""
    if not rows:
        return
    key = [column.name for column in table.primary_key.columns]
    changed = [c.name for c in table.columns if c.name not in key and c.name not in keep]
    if connection.dialect.name == "mssql":
        for row in rows:  # a few at most: findings and alerts of one commit
            same = and_(*(table.c[name] == row[name] for name in key))
            if not connection.execute(update(table).where(same).values({n: row[n] for n in changed})).rowcount:
                connection.execute(insert(table).values(**row))
    else:
        statement = _upsert(connection, table)
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=list(table.primary_key.columns), set_={n: statement.excluded[n] for n in changed}
            ),
            rows,
        )


def used_again(connection: Connection, rows: Select[Any], name: str) -> CTE | Subquery:
    """Rows that one statement reads more than once: looked up once, but on T-SQL, which keeps no such rows anyway."""
    return rows.subquery(name) if connection.dialect.name == "mssql" else rows.cte(name)


def is_staged(connection: Connection, table: Table, staged: Table) -> ColumnElement[bool]:
    """Whether a row of `table`, in UPDATE or DELETE, is one whose key is in the temporary table `staged`."""
    key = staged.primary_key.columns
    if connection.dialect.name == "sqlite":
        return tuple_(*(table.c[column.name] for column in key)).in_(select(*key))
    return exists().where(*(table.c[column.name] == column for column in key))


def confirm_open(connection: Connection) -> None:
    """Make sure that the server has not ended the transaction behind our back: T-SQL would go on outside it."""
    if connection.dialect.name == "mssql" and not connection.scalar(text("SELECT @@TRANCOUNT")):
        raise StoreUnavailableError("The server ended the transaction before its commit; nothing of it was stored.")


class byte_length(FunctionElement[int]):  # noqa: N801 - reads as the SQL function it is
    """Size of a binary value in bytes."""

    inherit_cache = True
    type = Integer()
    name = "byte_length"


@compiles(byte_length)
def _byte_length(element: byte_length, compiler: SQLCompiler, **kw: Any) -> str:
    return f"octet_length({compiler.process(element.clauses, **kw)})"


@compiles(byte_length, "sqlite")
def _byte_length_sqlite(element: byte_length, compiler: SQLCompiler, **kw: Any) -> str:
    return f"length({compiler.process(element.clauses, **kw)})"


@compiles(byte_length, "mssql")
def _byte_length_mssql(element: byte_length, compiler: SQLCompiler, **kw: Any) -> str:
    return f"DATALENGTH({compiler.process(element.clauses, **kw)})"


@compiles(CreateTable, "mssql")
def _create_table_mssql(element: CreateTable, compiler: DDLCompiler, **kw: Any) -> str:
    """The # of its name already says that a table is temporary."""
    statement: str = compiler.visit_create_table(element, **kw)  # type: ignore[no-untyped-call]
    return statement.replace("CREATE TEMPORARY TABLE", "CREATE TABLE", 1)


def _upsert(connection: Connection, table: Table) -> _Upsert:
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)


def _names(rows: Select[Any]) -> list[str]:
    return list(rows.selected_columns.keys())


def _key(table: Table, rows: Any) -> list[ColumnElement[Any]]:
    return [rows.c[column.name] for column in table.primary_key.columns]


def _same_key(table: Table, rows: Any) -> ColumnElement[bool]:
    return and_(*(table.c[column.name] == rows.c[column.name] for column in table.primary_key.columns))


def _insert_where_not_exists(connection: Connection, table: Table, rows: Select[Any]) -> None:
    new = rows.order_by(None).subquery("s")
    absent = select(new).where(~exists().where(_same_key(table, new))).order_by(*_key(table, new))
    connection.execute(insert(table).from_select(_names(rows), absent))


def _bound(connection: Connection, table: Table, rows: Sequence[Sequence[Any]]) -> Sequence[Sequence[Any]]:
    """The rows as the driver takes them: what the column types do to values on their way to the database."""
    dialect = connection.dialect
    processors = [
        (place, processor)
        for place, column in enumerate(table.columns)
        if (processor := column.type.dialect_impl(dialect).bind_processor(dialect)) is not None
    ]
    if not processors:
        return rows
    bound = [list(row) for row in rows]
    for place, process in processors:
        for row in bound:
            row[place] = process(row[place])
    return bound


@contextmanager
def _errors_as_usual(connection: Connection) -> Iterator[None]:
    """What the driver raises while we use it directly is raised as SQLAlchemy does; the connection is given up."""
    driver = connection.dialect.loaded_dbapi
    try:
        yield
    except driver.Error as error:
        lost = connection.dialect.is_disconnect(error, connection.connection, None)
        connection.invalidate(error)
        raise DBAPIError.instance(
            None, None, error, driver.Error, connection_invalidated=lost, dialect=connection.dialect
        ) from error


def _insert_text(connection: Connection, table: Table) -> str:
    return str(insert(table).compile(dialect=connection.dialect))


def _copy(connection: Connection, table: Table, rows: Sequence[Sequence[Any]]) -> None:
    quote = connection.dialect.identifier_preparer
    columns = ", ".join(quote.format_column(column) for column in table.columns)
    cursor = connection.connection.cursor()
    with cursor.copy(f"COPY {quote.format_table(table)} ({columns}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
    cursor.close()


def _execute_parameter_arrays(connection: Connection, table: Table, rows: Sequence[Sequence[Any]]) -> None:
    """pyodbc's `fast_executemany`, with the types told and outside of any transaction.

    The driver asks the server for the types all the same. About a temporary table that fails, which is ignored, but
    on some servers it would end the transaction.
    """
    driver: Any = connection.connection.dbapi_connection
    cursor = driver.cursor()
    cursor.fast_executemany = True
    cursor.setinputsizes([_odbc_type(column.type) for column in table.columns])
    driver.autocommit = True
    cursor.executemany(_insert_text(connection, table), rows)
    driver.autocommit = False
    cursor.close()


def _odbc_type(of: TypeEngine[Any]) -> tuple[int, int, int]:
    """ODBC type code (pyodbc.SQL_*), column size and decimal digits; size 0: sent in pieces."""
    if isinstance(of, TypeDecorator):
        of = of.impl_instance
    if isinstance(of, String | LargeBinary):
        size = of.length or 0
        return (-9 if isinstance(of, String) else -3, size if size <= _LARGE else 0, 0)
    for kind, code in (
        (BigInteger, (-5, 19, 0)),
        (SmallInteger, (5, 5, 0)),
        (Integer, (4, 10, 0)),
        (Boolean, (-7, 1, 0)),
        (Float, (8, 15, 0)),
        (Date, (91, 10, 0)),
        (DateTime, (93, 26, 6)),
    ):
        if isinstance(of, kind):
            return code
    raise TypeError(f"no ODBC type for {of!r}")
