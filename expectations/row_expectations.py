"""The types of expectations that a suite of reports may hold, and the rows each finds unexpected.

A verdict is Great Expectations' own (its pandas engine's, version 1): the same rows, without its fixed cost of a
tenth of a second and more per batch. Each type judges a row by that row alone. `expectations.reference` asks Great
Expectations itself, and `expectations.agreement` holds the two against each other for every suite that is loaded.

A null fails nothing but `expect_column_values_to_not_be_null`; of a pair, `ignore_row_if` says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

__all__ = ["ROW_EXPECTATIONS", "Columns", "Mask", "RowExpectation"]

Columns: TypeAlias = Mapping[str, NDArray[Any]]
"""Columns of equal length by name: float64 with NaN for null, or objects (text) with None for null."""

Mask: TypeAlias = NDArray[np.bool_]


class RowExpectation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One expectation's kwargs. `unexpected` finds the rows of `columns` that fail it."""

    judges: ClassVar[Literal["numbers", "text"] | None] = "numbers"
    """What the columns must hold; None: anything."""

    def names(self) -> tuple[str, ...]:
        """Columns that it looks at."""
        return tuple(getattr(self, name) for name in ("column", "a", "b") if hasattr(self, name))

    def problem(self) -> str | None:
        """What is wrong with the kwargs, beyond their types."""
        return None

    def unexpected(self, columns: Columns) -> Mask:
        """Boolean, one per row."""
        raise NotImplementedError


class _Between(RowExpectation, frozen=True, forbid_unknown_fields=True):
    column: str
    min_value: float | None = None
    max_value: float | None = None
    strict_min: bool = False
    strict_max: bool = False

    def problem(self) -> str | None:
        return _limits_problem(self.min_value, self.max_value)

    def unexpected(self, columns: Columns) -> Mask:
        values = columns[self.column]
        found = np.zeros(len(values), dtype=bool)
        if self.min_value is not None:
            found |= values <= self.min_value if self.strict_min else values < self.min_value
        if self.max_value is not None:
            found |= values >= self.max_value if self.strict_max else values > self.max_value
        return found


class _InSet(RowExpectation, frozen=True, forbid_unknown_fields=True):
    column: str
    value_set: list[float]

    def unexpected(self, columns: Columns) -> Mask:
        values = columns[self.column]
        return ~np.isin(values, self.value_set) & ~np.isnan(values)


class _NotInSet(RowExpectation, frozen=True, forbid_unknown_fields=True):
    column: str
    value_set: list[float]

    def unexpected(self, columns: Columns) -> Mask:
        return np.isin(columns[self.column], self.value_set)


class _Null(RowExpectation, frozen=True, forbid_unknown_fields=True):
    judges: ClassVar[Literal["numbers", "text"] | None] = None
    column: str

    def unexpected(self, columns: Columns) -> Mask:
        return ~_is_null(columns[self.column])


class _NotNull(RowExpectation, frozen=True, forbid_unknown_fields=True):
    judges: ClassVar[Literal["numbers", "text"] | None] = None
    column: str

    def unexpected(self, columns: Columns) -> Mask:
        return _is_null(columns[self.column])


class _OfText(RowExpectation, frozen=True, forbid_unknown_fields=True):
    judges: ClassVar[Literal["numbers", "text"] | None] = "text"
    column: str

    def unexpected(self, columns: Columns) -> Mask:
        values = columns[self.column]
        fails = {value: self.fails(value) for value in set(values.tolist()) if value is not None}
        fails[None] = False
        return np.fromiter((fails[value] for value in values), dtype=bool, count=len(values))

    def fails(self, value: str) -> bool:
        """Whether one text is unexpected."""
        raise NotImplementedError


_Length: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=10_000)]  # No text is longer than 500 characters.


class _Lengths(_OfText, frozen=True, forbid_unknown_fields=True):
    min_value: _Length | None = None
    max_value: _Length | None = None

    def problem(self) -> str | None:
        return _limits_problem(self.min_value, self.max_value)

    def fails(self, value: str) -> bool:
        return (self.min_value is not None and len(value) < self.min_value) or (
            self.max_value is not None and len(value) > self.max_value
        )


class _MatchRegex(_OfText, frozen=True, forbid_unknown_fields=True):
    regex: str

    def problem(self) -> str | None:
        try:
            re.compile(self.regex)
        except (re.error, ValueError, RecursionError, OverflowError) as error:
            return f"the regex does not compile: {error}"
        return None

    def fails(self, value: str) -> bool:
        return re.search(self.regex, value) is None


class _NotMatchRegex(_MatchRegex, frozen=True, forbid_unknown_fields=True):
    def fails(self, value: str) -> bool:
        return re.search(self.regex, value) is not None


class _OfPair(RowExpectation, frozen=True, forbid_unknown_fields=True, rename={"a": "column_A", "b": "column_B"}.get):
    a: str
    b: str
    ignore_row_if: Literal["both_values_are_missing", "either_value_is_missing", "neither"] = "both_values_are_missing"

    def unexpected(self, columns: Columns) -> Mask:
        a, b = columns[self.a], columns[self.b]
        found = ~self.holds(a, b)  # a null compares as False, so that it fails unless the row is ignored
        if self.ignore_row_if == "either_value_is_missing":
            found &= ~(np.isnan(a) | np.isnan(b))
        elif self.ignore_row_if == "both_values_are_missing":
            found &= ~(np.isnan(a) & np.isnan(b))
        return found

    def holds(self, a: NDArray[np.float64], b: NDArray[np.float64]) -> Mask:
        """Whether the pair is as expected, row by row."""
        raise NotImplementedError


class _PairGreater(_OfPair, frozen=True, forbid_unknown_fields=True):
    or_equal: bool = False

    def holds(self, a: NDArray[np.float64], b: NDArray[np.float64]) -> Mask:
        found: Mask = a >= b if self.or_equal else a > b
        return found


class _PairEqual(_OfPair, frozen=True, forbid_unknown_fields=True):
    def holds(self, a: NDArray[np.float64], b: NDArray[np.float64]) -> Mask:
        found: Mask = a == b
        return found


ROW_EXPECTATIONS: Mapping[str, type[RowExpectation]] = {
    "expect_column_pair_values_a_to_be_greater_than_b": _PairGreater,
    "expect_column_pair_values_to_be_equal": _PairEqual,
    "expect_column_value_lengths_to_be_between": _Lengths,
    "expect_column_values_to_be_between": _Between,
    "expect_column_values_to_be_in_set": _InSet,
    "expect_column_values_to_be_null": _Null,
    "expect_column_values_to_match_regex": _MatchRegex,
    "expect_column_values_to_not_be_in_set": _NotInSet,
    "expect_column_values_to_not_be_null": _NotNull,
    "expect_column_values_to_not_match_regex": _NotMatchRegex,
}
"""By Great Expectations' name."""


def _limits_problem(min_value: float | None, max_value: float | None) -> str | None:
    if min_value is None and max_value is None:
        return "neither min_value nor max_value"
    if min_value is not None and max_value is not None and min_value > max_value:
        return "min_value is above max_value"
    return None


def _is_null(values: NDArray[Any]) -> Mask:
    if values.dtype == object:
        return np.fromiter((value is None for value in values), dtype=bool, count=len(values))
    found: Mask = np.isnan(values)
    return found
