"""A module that stands in for pyodbc, Microsoft's driver 18 and the SQL Server behind them.

It takes what SQLAlchemy's `mssql+pyodbc` dialect and the store send, checks it as far as one can without that server,
and runs it on PostgreSQL. Where the three are known to be awkward it is at least as awkward:

- an error ends the whole transaction (XACT_ABORT), and the next statement begins another one;
- the driver asks the server for the types of NULLs and of parameter arrays. Where a server cannot tell, that fails
  quietly, and ends the transaction on some of them. So a NULL parameter is an error here, and so is a parameter
  array for a temporary table inside a transaction;
- strings are measured in UTF-16, and values have one of the types that the driver knows;
- errors have pyodbc's classes and texts, with SQL Server's numbers.
"""

from __future__ import annotations

import datetime as dt
import math
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any, ClassVar

import psycopg
from psycopg import pq
from psycopg.types.numeric import IntLoader
from sqlglot import exp
from tsql.translation import RefusedError, parsed, translated

__all__ = ["PREPARE_DATABASE", "SENT", "standing_in"]

SENT: set[str] = set()
"""Every statement that was sent, as it was."""

PREPARE_DATABASE = (
    "CREATE SCHEMA dbo",
    "CREATE SCHEMA sys",
    "CREATE FUNCTION dbo.datalength(bytea) RETURNS int LANGUAGE sql RETURN octet_length($1)",
    "CREATE VIEW sys.schemas AS SELECT oid AS schema_id, nspname::text AS name FROM pg_namespace",
    "CREATE VIEW sys.objects AS SELECT relnamespace AS schema_id, relname::text AS name, "
    "CASE relkind WHEN 'v' THEN 'V' ELSE 'U' END AS type FROM pg_class WHERE relkind IN ('r', 'v')",
    "CREATE VIEW sys.sysprocesses AS SELECT pid AS spid, coalesce((pg_blocking_pids(pid))[1], 0) AS blocked, "
    "application_name::char(128) AS program_name FROM pg_stat_activity",
)
"""Statements that make an empty PostgreSQL database look like one of SQL Server.

Not here is `sys.system_views`, in which SQLAlchemy looks up the isolation level: not every T-SQL endpoint has it.
"""


class Error(Exception):
    """Base of the driver's errors; its arguments are the SQLSTATE and a text that ends in the server's number."""


class DatabaseError(Error):
    pass


class InterfaceError(Error):
    pass


class DataError(DatabaseError):
    pass


class IntegrityError(DatabaseError):
    pass


class OperationalError(DatabaseError):
    pass


class ProgrammingError(DatabaseError):
    pass


_ERRORS: tuple[tuple[str, type[Error], str, int, str], ...] = (
    ("23505", IntegrityError, "23000", 2627, "Violation of PRIMARY KEY constraint. Cannot insert duplicate key."),
    ("23514", IntegrityError, "23000", 547, "The statement conflicted with a CHECK constraint."),
    ("23502", IntegrityError, "23000", 515, "Cannot insert the value NULL: the column does not allow nulls."),
    ("22001", DataError, "22001", 2628, "String or binary data would be truncated."),
    ("22003", DataError, "22003", 8115, "Arithmetic overflow error converting expression to data type."),
    ("40P01", Error, "40001", 1205, "Transaction was deadlocked and has been chosen as the deadlock victim."),
    ("55P03", OperationalError, "HYT00", 1222, "Lock request time out period exceeded."),
    ("42P01", ProgrammingError, "42S02", 208, "Invalid object name."),
    ("42703", ProgrammingError, "42S22", 207, "Invalid column name."),
    ("42P07", ProgrammingError, "42S01", 2714, "There is already an object of that name in the database."),
    ("57P", OperationalError, "08S01", 10054, "TCP Provider: An existing connection was closed by the remote host."),
    ("08", OperationalError, "08S01", 10054, "TCP Provider: An existing connection was closed by the remote host."),
)
_ANSWERS = {
    "SELECT schema_name()": "SELECT 'dbo'",
    "SELECT CAST(SERVERPROPERTY('ProductVersion') AS VARCHAR)": "SELECT '16.0.4000.6'",
    "SELECT 1 FROM fn_listextendedproperty(default, default, default, default, default, default, default)": "SELECT 1",
}
"""What is asked about the session and the server, in PostgreSQL's words."""
_IGNORED = {"SET XACT_ABORT ON", "SET TRANSACTION ISOLATION LEVEL READ COMMITTED"}
_RANGES = {-7: (0, 1), 5: (-(2**15), 2**15 - 1), 4: (-(2**31), 2**31 - 1), -5: (-(2**63), 2**63 - 1)}
_SMALLEST_FLOAT = sys.float_info.min


def _odbc(kind: type[Error], state: str, text: str, number: int) -> Error:
    return kind(
        state, f"[{state}] [Microsoft][ODBC Driver 18 for SQL Server][SQL Server]{text} ({number}) (SQLExecute)"
    )


def _as_odbc(error: psycopg.Error) -> Error:
    state = error.sqlstate or "08"
    for prefix, kind, odbc_state, number, text in _ERRORS:
        if state.startswith(prefix):
            said = f"{text} {error.diag.message_primary}" if state.startswith("42") else text
            return _odbc(kind, odbc_state, said, number)
    return _odbc(ProgrammingError, "42000", f"{state} {error}", 102)


class Connection:
    """A connection as pyodbc has it: transactions begin by themselves unless `autocommit`."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        connection.adapters.register_loader("numeric", IntLoader)  # sums of BIGINT stay integers in T-SQL

    @property
    def autocommit(self) -> bool:
        return self._connection.autocommit

    @autocommit.setter
    def autocommit(self, on: bool) -> None:
        if on and self.in_transaction:
            self.commit()
        self._connection.autocommit = on

    @property
    def in_transaction(self) -> bool:
        return self._connection.info.transaction_status != pq.TransactionStatus.IDLE

    def cursor(self) -> Cursor:
        return Cursor(self, psycopg.RawCursor(self._connection))

    def commit(self) -> None:
        self._checked(self._connection.commit)

    def rollback(self) -> None:
        self._checked(self._connection.rollback)

    def close(self) -> None:
        self._connection.close()

    def add_output_converter(self, _kind: int, _converter: object) -> None:
        pass

    def run(self, cursor: psycopg.RawCursor[Any], statement: str, rows: Sequence[Sequence[Any]], many: bool) -> None:
        self._checked(lambda: cursor.executemany(statement, rows) if many else cursor.execute(statement, rows[0]))

    def _checked(self, work: Any) -> None:
        try:
            work()
        except psycopg.Error as error:
            if not self._connection.closed and self.in_transaction:
                self._connection.rollback()
            raise _as_odbc(error) from None


class Cursor:
    """The part of pyodbc's cursor that is used."""

    def __init__(self, connection: Connection, cursor: psycopg.RawCursor[Any]) -> None:
        self.connection = connection
        self.fast_executemany = False
        self._cursor = cursor
        self._sizes: Sequence[tuple[int, int, int]] | None = None

    def setinputsizes(self, sizes: Sequence[tuple[int, int, int]] | None) -> None:
        self._sizes = sizes

    def execute(self, statement: str, *parameters: Any) -> Cursor:
        values = parameters[0] if len(parameters) == 1 and isinstance(parameters[0], (tuple, list)) else parameters
        self._run(statement, [values], many=False)
        return self

    def executemany(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        if not self.fast_executemany:
            for row in rows:
                self._run(statement, [row], many=False)
            return
        sizes = self._sizes
        tree = parsed(statement)
        assert isinstance(tree, exp.Insert), "parameter arrays are for plain inserts"
        if any(table.this.args.get("temporary") for table in tree.find_all(exp.Table)):
            _refuse(not self.connection.autocommit, "the server does not describe parameters for temporary tables")
            _refuse(sizes is None, "without sizes every parameter for a temporary table is VARCHAR(255)")
        for row in rows:
            for place, value in enumerate(row):
                _check_value(value)
                if sizes is not None and value is not None:
                    _check_fit(value, *sizes[place][:2])
        self._run(statement, rows, many=True)

    def fetchall(self) -> list[Any]:
        return [_decoded(row) for row in self._cursor.fetchall()]

    def fetchmany(self, size: int = 1) -> list[Any]:
        return [_decoded(row) for row in self._cursor.fetchmany(size)]

    def fetchone(self) -> Any:
        row = self._cursor.fetchone()
        return None if row is None else _decoded(row)

    @property
    def description(self) -> list[tuple[Any, ...]] | None:
        found = self._cursor.description
        return None if found is None else [(column.name, *[None] * 6) for column in found]

    @property
    def rowcount(self) -> int:
        return self._cursor.rowcount

    def nextset(self) -> bool:
        return False

    def close(self) -> None:
        self._cursor.close()

    def _run(self, statement: str, rows: Sequence[Sequence[Any]], *, many: bool) -> None:
        SENT.add(statement)
        if not many:
            _refuse(any(value is None for value in rows[0]), f"a NULL parameter: {statement}")
            for value in rows[0]:
                _check_value(value)
        if self._of_the_session(statement):
            return
        try:
            sql = translated(statement, tuple(_types(rows)))
        except RefusedError as refused:
            raise _odbc(ProgrammingError, "42000", str(refused), refused.code) from None
        self.connection.run(self._cursor, sql, [[_encoded(value) for value in row] for row in rows], many)

    def _of_the_session(self, statement: str) -> bool:
        """Statements that are not translated but done."""
        if found := re.fullmatch(r"SET LOCK_TIMEOUT (\d+)", statement):
            inside = self.connection.in_transaction
            self.connection.run(self._cursor, f"SET lock_timeout = {found[1]}", [()], False)
            if not inside:
                self.connection.commit()  # in T-SQL a setting is no part of a transaction
        elif found := re.fullmatch(r"KILL (\d+)", statement):
            if not self.connection.autocommit:
                raise _odbc(ProgrammingError, "42000", "KILL cannot be used inside user transactions.", 6115)
            self.connection.run(self._cursor, f"SELECT pg_terminate_backend({found[1]})", [()], False)
        elif statement == "SELECT @@TRANCOUNT":
            self.connection.run(self._cursor, f"SELECT {int(self.connection.in_transaction)}", [()], False)
        elif statement in _ANSWERS:
            self.connection.run(self._cursor, _ANSWERS[statement], [()], False)
        else:
            return statement in _IGNORED or statement.lower().startswith(
                ("execute sp_addextendedproperty", "execute sp_updateextendedproperty")
            )
        return True


def _refuse(bad: bool, why: str) -> None:
    if bad:
        raise _odbc(ProgrammingError, "42000", f"Not taken here: {why}", 102)


def _check_value(value: object) -> None:
    known = (str, bytes, bytearray, bool, int, float, dt.date, type(None))
    _refuse(not isinstance(value, known), f"a value of type {type(value).__name__}")
    if isinstance(value, float):
        _refuse(not math.isfinite(value) or 0 < abs(value) < _SMALLEST_FLOAT, "a number that FLOAT does not have")


def _check_fit(value: Any, code: int, size: int) -> None:
    """A value against the ODBC type it is sent as."""
    if code in _RANGES:
        low, high = _RANGES[code]
        _refuse(type(value) is not int or not low <= value <= high, f"{type(value).__name__} for an integer column")
    elif code == -9:
        _refuse(bool(size) and _units(value) > size, "String data, right truncation")
    elif code == -3:
        _refuse(bool(size) and len(value) > size, "String data, right truncation")
    else:
        wanted = {8: float, 91: dt.date, 93: dt.datetime}[code]
        _refuse(not isinstance(value, wanted), f"{type(value).__name__} for a column of {wanted.__name__}")


def _types(rows: Sequence[Sequence[Any]]) -> Iterator[str]:
    """PostgreSQL types of the parameters, by the values of the first row that has one, as the driver does it."""
    for place in range(len(rows[0])):
        values = [row[place] for row in rows if row[place] is not None]
        first = values[0] if values else None
        match first:
            case bool():
                yield "SMALLINT"
            case int():
                yield "BIGINT" if any(not -(2**31) <= value < 2**31 for value in values) else "INTEGER"
            case float():
                yield "DOUBLE PRECISION"
            case str():
                yield "VARCHAR"
            case bytes() | bytearray():
                yield "BYTEA"
            case dt.datetime():
                yield "TIMESTAMP"
            case dt.date():
                yield "DATE"
            case _:
                yield ""


_ASTRAL = re.compile("[\U00010000-\U0010ffff]")
_PRIVATE = 0xF0000 - 0xD800
_PAIR = re.compile("([\U000f0000-\U000f03ff])([\U000f0400-\U000f07ff])")


def _units(value: str) -> int:
    return len(value) + len(_ASTRAL.findall(value))


def _encoded(value: Any) -> Any:
    """Characters outside the first plane as two, so that PostgreSQL counts as UTF-16 does."""
    if isinstance(value, bool):
        return int(value)
    if not isinstance(value, str) or value.isascii():
        return value
    return _ASTRAL.sub(lambda m: "".join(chr(u + _PRIVATE) for u in _surrogates(m[0])), value)


def _surrogates(character: str) -> tuple[int, int]:
    code = ord(character) - 0x10000
    return 0xD800 + (code >> 10), 0xDC00 + (code & 0x3FF)


def _decoded(row: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(_PAIR.sub(_joined, v) if isinstance(v, str) and not v.isascii() else v for v in row)


def _joined(pair: re.Match[str]) -> str:
    high, low = (ord(half) - _PRIVATE for half in pair.groups())
    return chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))


def _connect(connection_string: str, *, timeout: int, **_options: Any) -> Connection:
    said = dict(part.split("=", 1) for part in connection_string.split(";"))
    given = {name.upper(): value for name, value in said.items()}
    assert given["ENCRYPT"] == "yes"
    assert given["TRUSTSERVERCERTIFICATE"] == "no"
    host, _, port = given["SERVER"].partition(",")
    try:
        connection = psycopg.connect(
            host=host,
            port=port,
            dbname=given["DATABASE"],
            user=given["UID"],
            application_name=given["APP"],
            connect_timeout=timeout,
            options="-c search_path=dbo",
        )
    except psycopg.OperationalError as error:
        raise _as_odbc(error) from None
    return Connection(connection)


class _PyOdbc(ModuleType):
    """What the dialect asks its DBAPI module for."""

    version = "5.5.0"
    paramstyle = "qmark"
    pooling = False
    SQL_VARCHAR, SQL_WVARCHAR = 12, -9
    STRING, NUMBER, DATETIME, BINARY = str, float, dt.datetime, bytearray
    Error, DatabaseError, InterfaceError, DataError = Error, DatabaseError, InterfaceError, DataError
    IntegrityError, OperationalError, ProgrammingError = IntegrityError, OperationalError, ProgrammingError
    Cursor, Binary, BinaryNull = Cursor, bytes, None
    connect = staticmethod(_connect)
    drivers: ClassVar[Any] = staticmethod(lambda: ["ODBC Driver 18 for SQL Server"])


for _error in (Error, DatabaseError, InterfaceError, DataError, IntegrityError, OperationalError, ProgrammingError):
    _error.__module__ = "pyodbc"


@contextmanager
def standing_in() -> Iterator[None]:
    """While the block runs, `import pyodbc` (an engine does it when it is made) finds this module."""
    real = sys.modules.get("pyodbc")
    sys.modules["pyodbc"] = _PyOdbc("pyodbc")
    try:
        yield
    finally:
        if real is None:
            del sys.modules["pyodbc"]
        else:
            sys.modules["pyodbc"] = real
