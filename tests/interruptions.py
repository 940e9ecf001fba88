"""What can come between a program and its database, at an exact point: for tests that try every point.

Points are counted through statements and commits in turn: point 2 n is just before the n-th, point 2 n + 1 just after.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, event

__all__ = ["Crash", "at_every_point", "before_transaction", "crashing", "forgetting_acknowledgement"]


class Crash(BaseException):
    """The process ends here; nothing may catch it and go on."""


@contextmanager
def at_every_point(engine: Engine, reached: Callable[[int, str, Any], None]) -> Iterator[None]:
    """Call `reached(point, statement, driver's connection)` at every point of `engine`, on whatever thread."""
    point = -1

    def count(statement: str, connection: Any) -> None:
        nonlocal point
        point += 1
        reached(point, statement, connection)

    def of_statement(connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        count(statement, connection.connection.driver_connection)

    do_commit = engine.dialect.do_commit

    def counted_commit(connection: Any) -> None:
        count("COMMIT", connection.driver_connection)
        do_commit(connection)
        count("COMMIT", connection.driver_connection)

    for name in ("before_cursor_execute", "after_cursor_execute"):
        event.listen(engine, name, of_statement)
    engine.dialect.do_commit = counted_commit
    try:
        yield
    finally:
        for name in ("before_cursor_execute", "after_cursor_execute"):
            event.remove(engine, name, of_statement)
        engine.dialect.do_commit = do_commit


@contextmanager
def crashing(engine: Engine, at: int) -> Iterator[None]:
    """Raise `Crash` at a point; its connections are gone afterwards, as those of a process that died."""

    def reached(point: int, _statement: str, connection: Any) -> None:
        if point == at:
            if engine.dialect.name == "sqlite":
                connection.rollback()  # closing does it only once the last cursor is gone
            connection.close()
            raise Crash

    try:
        with at_every_point(engine, reached):
            yield
    except Crash:
        engine.dispose()
        raise


@contextmanager
def forgetting_acknowledgement(engine: Engine, which: int) -> Iterator[None]:
    """On PostgreSQL: the `which`-th COMMIT goes through, but the connection is gone before the program hears of it."""
    left = which * 2

    def reached(_point: int, statement: str, connection: Any) -> None:
        nonlocal left
        left -= statement == "COMMIT"
        if left == 0:
            left = -1
            connection.close()
            raise psycopg.OperationalError("server closed the connection unexpectedly")

    with at_every_point(engine, reached):
        yield


@contextmanager
def before_transaction(engine: Engine, which: int, action: Callable[[], None]) -> Iterator[None]:
    """Do `action` once, before the `which`-th transaction on `engine` begins."""
    left = which

    def begins(*_: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            action()

    def executes(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("BEGIN"):
            begins()

    # On SQLite the event comes when the transaction has begun already; elsewhere no statement tells.
    name, hook = ("before_cursor_execute", executes) if engine.dialect.name == "sqlite" else ("begin", begins)
    event.listen(engine, name, hook)
    try:
        yield
    finally:
        event.remove(engine, name, hook)
