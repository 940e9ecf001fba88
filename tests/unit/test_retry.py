"""Which errors of the drivers pass, and what is said of those that do not. The errors are the drivers' own."""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path

import psycopg
import psycopg.errors
import pytest
from sqlalchemy.exc import DBAPIError

from sql.connection import open_engine
from sql.errors import StoreRefusedError, StoreUnavailableError
from sql.retry import Failure, failure_of, is_lock_timeout, store_error

SECRET = "PARACETAMOL (1205) of case 4711"


def wrapped(error: Exception) -> DBAPIError:
    return DBAPIError("INSERT INTO drug (name) VALUES (?)", [SECRET], error, hide_parameters=True)


def sqlite(work: Callable[[sqlite3.Connection], object], path: Path) -> DBAPIError:
    """The error that real work on a real file ends with."""
    connection = sqlite3.connect(path, timeout=0)
    with pytest.raises(sqlite3.Error) as caught:
        work(connection)
    connection.close()
    return wrapped(caught.value)


def fill(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA max_page_count = 2")
    connection.execute("CREATE TABLE t (a PRIMARY KEY)")
    connection.executemany("INSERT INTO t VALUES (?)", [(f"{SECRET} {n}" * 50,) for n in range(500)])


def write_read_only(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA query_only = on")
    connection.execute("CREATE TABLE t (a)")


def insert_twice(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE t (a PRIMARY KEY)")
    connection.executemany("INSERT INTO t VALUES (?)", [(SECRET,)] * 2)


@pytest.mark.parametrize(
    ("work", "failure"),
    [
        (fill, Failure.AWAY),
        (write_read_only, Failure.AWAY),
        (insert_twice, Failure.REFUSED),
        (lambda connection: connection.execute("SELECT * FROM missing"), Failure.REFUSED),
    ],
)
def test_sqlite(work: Callable[[sqlite3.Connection], object], failure: Failure, tmp_path: Path) -> None:
    error = sqlite(work, tmp_path / "store.db")
    assert failure_of(error) is failure
    assert SECRET not in str(store_error(error))


def test_a_locked_sqlite_file_is_a_collision(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    error = sqlite(lambda connection: connection.execute("CREATE TABLE t (a)"), tmp_path / "store.db")
    other.close()
    assert failure_of(error) is Failure.COLLISION
    assert is_lock_timeout(error)


@pytest.mark.parametrize(
    ("state", "failure"),
    [
        ("23505", Failure.COLLISION),
        ("40001", Failure.COLLISION),
        ("40P01", Failure.COLLISION),
        ("55P03", Failure.COLLISION),
        ("08006", Failure.AWAY),
        ("25006", Failure.AWAY),
        ("53100", Failure.AWAY),
        ("53300", Failure.AWAY),
        ("57P01", Failure.AWAY),
        ("57P03", Failure.AWAY),
        ("58030", Failure.AWAY),
        ("22001", Failure.REFUSED),
        ("22P02", Failure.REFUSED),
        ("23502", Failure.REFUSED),
        ("28P01", Failure.REFUSED),
        ("3D000", Failure.REFUSED),
        ("42501", Failure.REFUSED),
        ("42P01", Failure.REFUSED),
    ],
)
def test_postgresql(state: str, failure: Failure) -> None:
    error = wrapped(psycopg.errors.lookup(state)("a sentence of the server"))
    assert failure_of(error) is failure


@pytest.mark.parametrize(
    ("said", "failure"),
    [
        ("connection failed: Connection refused", Failure.AWAY),
        ("the connection is lost", Failure.AWAY),
        ("FATAL:  the database system is starting up", Failure.AWAY),
        ("FATAL:  sorry, too many clients already", Failure.AWAY),
        ('FATAL:  password authentication failed for user "x"', Failure.REFUSED),
    ],
)
def test_postgresql_without_a_state(said: str, failure: Failure) -> None:
    assert failure_of(wrapped(psycopg.OperationalError(said))) is failure


@pytest.mark.parametrize("state", ["22001", "22P02", "23502", "23505", "23514"])
def test_what_postgresql_says_of_a_row_is_not_repeated(state: str) -> None:
    error = wrapped(psycopg.errors.lookup(state)(f"value {SECRET} is no good\nDETAIL:  Key (name)=({SECRET})"))
    assert SECRET not in str(store_error(error))
    assert state in str(store_error(error))


def pyodbc_error(kind: str, state: str, text: str, number: int, function: str = "SQLExecDirectW") -> DBAPIError:
    """An error as pyodbc makes it of what Microsoft's driver says."""
    pyodbc = pytest.importorskip("pyodbc", reason="pyodbc needs unixODBC (libodbc.so.2)", exc_type=ImportError)
    said = f"[{state}] [Microsoft][ODBC Driver 18 for SQL Server][SQL Server]{text} ({number}) ({function})"
    return wrapped(getattr(pyodbc, kind)(state, said))


MSSQL = [
    ("Error", "40001", 1205, Failure.COLLISION),
    ("OperationalError", "HYT00", 1222, Failure.COLLISION),
    ("ProgrammingError", "42000", 1222, Failure.COLLISION),
    ("IntegrityError", "23000", 2601, Failure.COLLISION),
    ("IntegrityError", "23000", 2627, Failure.COLLISION),
    ("ProgrammingError", "42000", 3960, Failure.COLLISION),
    *(
        ("ProgrammingError", "42000", number, Failure.AWAY)
        for number in (926, 4060, 40197, 40501, 40613, 49918, 49919, 49920, 4221, 615)
    ),
    ("ProgrammingError", "42000", 1105, Failure.AWAY),
    ("ProgrammingError", "42000", 9002, Failure.AWAY),
    ("ProgrammingError", "42000", 3906, Failure.AWAY),
    ("Error", "HY000", 596, Failure.AWAY),
    ("OperationalError", "08S01", 10054, Failure.AWAY),
    ("OperationalError", "08001", 0, Failure.AWAY),
    ("OperationalError", "HYT00", 0, Failure.AWAY),
    ("IntegrityError", "23000", 515, Failure.REFUSED),
    ("IntegrityError", "23000", 547, Failure.REFUSED),
    ("DataError", "22001", 2628, Failure.REFUSED),
    ("DataError", "22003", 8115, Failure.REFUSED),
    ("ProgrammingError", "42000", 102, Failure.REFUSED),
    ("ProgrammingError", "42000", 229, Failure.REFUSED),
    ("ProgrammingError", "42S02", 208, Failure.REFUSED),
    ("InterfaceError", "28000", 18456, Failure.REFUSED),
]


@pytest.mark.parametrize(("kind", "state", "number", "failure"), MSSQL)
def test_sql_server(kind: str, state: str, number: int, failure: Failure) -> None:
    error = pyodbc_error(kind, state, "A sentence of the server.", number)
    assert failure_of(error) is failure
    assert is_lock_timeout(error) is (number == 1222)
    expected = StoreRefusedError if failure is Failure.REFUSED else StoreUnavailableError
    assert type(store_error(error)) is expected


@pytest.mark.parametrize(
    ("kind", "state", "text", "number"),
    [
        ("IntegrityError", "23000", f"Cannot insert duplicate key in 'dbo.drug'. The key value is ({SECRET}).", 2627),
        ("DataError", "22001", f"String data would be truncated in column 'name'. Truncated value: '{SECRET}'.", 2628),
        ("DataError", "22018", f"Conversion failed when converting the nvarchar value '{SECRET}' to int.", 245),
    ],
)
def test_what_sql_server_says_of_a_row_is_neither_repeated_nor_taken_for_a_code(
    kind: str, state: str, text: str, number: int
) -> None:
    error = pyodbc_error(kind, state, text, number)
    assert failure_of(error) is (Failure.COLLISION if number == 2627 else Failure.REFUSED)
    said = str(store_error(error))
    assert "PARACETAMOL" not in said
    assert "4711" not in said
    assert "1205" not in said
    assert str(number) in said


def test_several_messages_of_one_error_all_count() -> None:
    error = pyodbc_error("Error", "HY000", "Something. (3621) (SQLExecute); [HY000] [Microsoft]Deadlock.", 1205)
    assert failure_of(error) is Failure.COLLISION


def test_an_error_of_pyodbc_itself_is_refused_and_says_no_values() -> None:
    pyodbc = pytest.importorskip("pyodbc", reason="pyodbc needs unixODBC (libodbc.so.2)", exc_type=ImportError)
    error = wrapped(pyodbc.ProgrammingError("String data, right truncation: length 6 buffer 4", "HY000"))
    assert failure_of(error) is Failure.REFUSED


def test_a_server_that_is_not_there_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Microsoft's driver itself, against a loopback port where nobody listens."""
    pytest.importorskip("pyodbc", reason="pyodbc needs unixODBC (libodbc.so.2)", exc_type=ImportError)
    monkeypatch.setattr("sql.azure_sql._LOGIN_SECONDS", 1)  # for which the driver knocks again and again
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    engine = open_engine(f"mssql://user:word@127.0.0.1:{port}/reports", pooled=False)
    with pytest.raises(DBAPIError) as caught:
        engine.connect()
    assert failure_of(caught.value) is Failure.AWAY
    assert "word" not in str(store_error(caught.value))
