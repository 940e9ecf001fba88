"""Column types that mean the same on every database.

Strings are compared by code point, so that names that differ in case are two names (Azure SQL ignores case unless
told otherwise). Numbers are finite. Times keep microseconds. Binary and long columns are of the kind that can be
indexed and copied like any other.
"""

from __future__ import annotations

import math

from sqlalchemy import NVARCHAR, VARBINARY, Date, DateTime, Float, LargeBinary, TypeDecorator, Unicode, UnicodeText
from sqlalchemy.dialects import mssql
from sqlalchemy.engine import Dialect

from sql.errors import NotFiniteError

__all__ = ["Finite", "binary", "date", "long_string", "string", "timestamp"]

_BY_CODE_POINT = "Latin1_General_100_BIN2"
"""What SQLite (BINARY) and PostgreSQL (any deterministic collation) do for equality of their own accord."""

_SMALLEST = 2.3e-308
"""Below this, SQL Server's float has no numbers but zero."""


def string(length: int) -> Unicode:
    """At most `length` characters."""
    return Unicode(length).with_variant(NVARCHAR(length, collation=_BY_CODE_POINT), "mssql")


def long_string() -> UnicodeText:
    """Text of any length; neither a key nor compared."""
    return UnicodeText().with_variant(NVARCHAR(None, collation=_BY_CODE_POINT), "mssql")


def binary(length: int | None = None) -> LargeBinary:
    """At most `length` bytes, any number where it is None."""
    return LargeBinary(length).with_variant(VARBINARY(length), "mssql")


def date() -> Date:
    """A day without a time."""
    return Date().with_variant(mssql.DATE, "mssql")


def timestamp() -> DateTime:
    """A naive UTC moment, to the microsecond."""
    return DateTime().with_variant(mssql.DATETIME2, "mssql")


class Finite(TypeDecorator[float]):
    """A 64-bit float that is a number: `NotFiniteError` for NaN and infinities, before the database sees them.

    Databases disagree on them (SQLite makes NaN NULL, PostgreSQL sorts it above everything, SQL Server refuses it),
    and on numbers too small for full precision, which become 0.
    """

    impl = Float
    cache_ok = True

    def process_bind_param(self, value: float | None, dialect: Dialect) -> float | None:
        """The value as it goes to the database."""
        if value is None:
            return None
        if not math.isfinite(value):
            raise NotFiniteError("A score or count came out as NaN or infinite: a defect. Nothing of it was stored.")
        return 0.0 if abs(value) < _SMALLEST else value
