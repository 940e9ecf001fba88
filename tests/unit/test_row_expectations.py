"""The rows that each type of expectation finds unexpected, on columns written by hand.

That Great Expectations finds the same ones is for `tests/contract/test_expectations_gx.py`.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expectations.row_expectations import ROW_EXPECTATIONS, RowExpectation

NAN, INF = float("nan"), float("inf")

BETWEEN = "expect_column_values_to_be_between"
LENGTHS = "expect_column_value_lengths_to_be_between"
IN_SET = "expect_column_values_to_be_in_set"
NOT_IN_SET = "expect_column_values_to_not_be_in_set"
MATCHES = "expect_column_values_to_match_regex"
NOT_MATCHES = "expect_column_values_to_not_match_regex"
NULL = "expect_column_values_to_be_null"
NOT_NULL = "expect_column_values_to_not_be_null"
GREATER = "expect_column_pair_values_a_to_be_greater_than_b"
EQUAL = "expect_column_pair_values_to_be_equal"

BOTH, EITHER, NEITHER = "both_values_are_missing", "either_value_is_missing", "neither"


def expectation(kind: str, **kwargs: Any) -> RowExpectation:
    return msgspec.convert(kwargs, ROW_EXPECTATIONS[kind])


def numbers(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float64)


def text(*values: str | None) -> np.ndarray:
    return np.array(values, dtype=object)


def unexpected(kind: str, values: np.ndarray, **kwargs: Any) -> list[Any]:
    """The values that fail."""
    mask = expectation(kind, column="x", **kwargs).unexpected({"x": values, "other": values[:0]})
    assert (mask.dtype, mask.shape) == (bool, values.shape)
    return values[mask].tolist()


def unexpected_pairs(kind: str, *pairs: tuple[float, float], **kwargs: Any) -> list[tuple[float, float]]:
    columns = {"a": numbers(*(a for a, _ in pairs)), "b": numbers(*(b for _, b in pairs))}
    mask = expectation(kind, column_A="a", column_B="b", **kwargs).unexpected(columns)
    assert (mask.dtype, mask.shape) == (bool, (len(pairs),))
    return [pair for pair, fails in zip(pairs, mask, strict=True) if fails]


# --- Numbers ----------------------------------------------------------------------------------------------------

BELOW_1, ABOVE_1 = np.nextafter(1.0, -INF), np.nextafter(1.0, INF)


@pytest.mark.parametrize(
    ("kwargs", "expected"),
    [
        ({"min_value": 1}, [-INF, -0.0, BELOW_1]),
        ({"min_value": 1, "strict_min": True}, [-INF, -0.0, BELOW_1, 1]),
        ({"max_value": 1}, [ABOVE_1, INF]),
        ({"max_value": 1, "strict_max": True}, [1, ABOVE_1, INF]),
        ({"min_value": 1, "max_value": 1}, [-INF, -0.0, BELOW_1, ABOVE_1, INF]),
        ({"min_value": 1, "max_value": 1, "strict_min": True}, [-INF, -0.0, BELOW_1, 1, ABOVE_1, INF]),
        ({"min_value": 0}, [-INF]),
        ({"min_value": 0, "strict_min": True}, [-INF, -0.0]),
        ({"min_value": 0, "strict_max": True}, [-INF]),
        ({"min_value": -1e308, "max_value": 1e308}, [-INF, INF]),
    ],
)
def test_between_takes_the_limits_themselves_unless_they_are_strict_and_lets_nulls_pass(kwargs, expected):
    values = numbers(NAN, -INF, -0.0, BELOW_1, 1, ABOVE_1, INF)
    assert unexpected(BETWEEN, values, **kwargs) == expected


def test_in_set_fails_what_is_not_in_it_and_lets_nulls_pass():
    values = numbers(0, -0.0, 1, ABOVE_1, 2, NAN, INF)
    assert unexpected(IN_SET, values, value_set=[0, 1]) == [ABOVE_1, 2, INF]


def test_not_in_set_fails_what_is_in_it_and_lets_nulls_pass():
    values = numbers(0, -0.0, 1, ABOVE_1, 2, NAN, INF)
    assert unexpected(NOT_IN_SET, values, value_set=[0, 1]) == [0, 0, 1]


def test_nothing_is_in_an_empty_set():
    values = numbers(0, NAN, 1)
    assert unexpected(IN_SET, values, value_set=[]) == [0, 1]
    assert unexpected(NOT_IN_SET, values, value_set=[]) == []


# --- Text -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kwargs", "expected"),
    [
        ({"min_value": 2}, ["", "a", "Ä"]),
        ({"max_value": 1}, ["ab", "a\n", "\N{PILL}\N{PILL}"]),
        ({"min_value": 1, "max_value": 1}, ["", "ab", "a\n", "\N{PILL}\N{PILL}"]),
    ],
)
def test_lengths_count_characters_and_let_nulls_pass(kwargs, expected):
    values = text(None, "", "a", "Ä", "ab", "a\n", "\N{PILL}\N{PILL}")
    assert unexpected(LENGTHS, values, **kwargs) == expected


@pytest.mark.parametrize(
    ("regex", "matching"),
    [
        ("a", ["a", "ba", "a\n", "a\0"]),
        ("^a", ["a", "a\n", "a\0"]),
        ("^a$", ["a", "a\n"]),
        (r"^a\Z", ["a"]),
        ("(?i)A", ["a", "A", "ba", "a\n", "a\0"]),
        ("", ["", "a", "A", "ba", "a\n", "a\0"]),
        ("^$", [""]),
        ("\0", ["a\0"]),
    ],
)
def test_a_regex_is_searched_for_and_nulls_pass_either_way(regex, matching):
    values = text(None, "", "a", "A", "ba", "a\n", "a\0")
    assert unexpected(NOT_MATCHES, values, regex=regex) == matching
    rest = [value for value in values if value is not None and value not in matching]
    assert unexpected(MATCHES, values, regex=regex) == rest


@given(st.lists(st.sampled_from([None, "", "a", "b"]), max_size=20))
@settings(max_examples=50, deadline=None)
def test_a_text_that_comes_again_is_judged_the_same(values):
    assert unexpected(MATCHES, text(*values), regex="^a$") == [v for v in values if v in ("", "b")]


# --- Null -------------------------------------------------------------------------------------------------------


def test_null_is_nan_among_numbers_and_none_in_text():
    assert unexpected(NULL, numbers(0, NAN, INF)) == [0, INF]
    assert len(unexpected(NOT_NULL, numbers(0, NAN, INF, NAN))) == 2
    assert unexpected(NULL, text("", None, "nan", "None")) == ["", "nan", "None"]
    assert unexpected(NOT_NULL, text("", None, "nan", "None")) == [None]


# --- Pairs ------------------------------------------------------------------------------------------------------

PAIRS = ((1, 0), (0, 1), (1, 1), (0, -0.0), (INF, INF), (-INF, INF))
MISSING = ((NAN, 1), (1, NAN), (NAN, NAN))


def test_greater_means_greater_unless_equal_will_do():
    assert unexpected_pairs(GREATER, *PAIRS) == [(0, 1), (1, 1), (0, 0), (INF, INF), (-INF, INF)]
    assert unexpected_pairs(GREATER, *PAIRS, or_equal=True) == [(0, 1), (-INF, INF)]


def test_equal_is_equal_as_numbers():
    assert unexpected_pairs(EQUAL, *PAIRS) == [(1, 0), (0, 1), (-INF, INF)]


@pytest.mark.parametrize("kind", [GREATER, EQUAL])
@pytest.mark.parametrize(
    ("ignore", "failing"),
    [({}, 2), ({"ignore_row_if": BOTH}, 2), ({"ignore_row_if": EITHER}, 0), ({"ignore_row_if": NEITHER}, 3)],
)
def test_a_pair_with_nulls_fails_unless_its_row_is_ignored(kind, ignore, failing):
    holds = (1.0, 1.0) if kind == EQUAL else (1.0, 0.0)
    found = unexpected_pairs(kind, holds, *MISSING, **ignore)
    assert found == list(MISSING[:failing])


@pytest.mark.parametrize("ignore", [BOTH, EITHER, NEITHER])
def test_what_is_ignored_is_only_ever_a_row_with_a_null(ignore):
    assert unexpected_pairs(EQUAL, (1, 0), ignore_row_if=ignore) == [(1, 0)]
    assert unexpected_pairs(GREATER, (1, 1), ignore_row_if=ignore) == [(1, 1)]


def test_a_column_may_be_held_against_itself():
    columns = {"a": numbers(1, NAN)}
    mask = expectation(EQUAL, column_A="a", column_B="a", ignore_row_if=NEITHER).unexpected(columns)
    assert mask.tolist() == [False, True]


# --- All of them ------------------------------------------------------------------------------------------------

ANY = {
    BETWEEN: {"min_value": 0},
    LENGTHS: {"min_value": 1},
    IN_SET: {"value_set": [1]},
    NOT_IN_SET: {"value_set": [1]},
    MATCHES: {"regex": "a"},
    NOT_MATCHES: {"regex": "a"},
    NULL: {},
    NOT_NULL: {},
    GREATER: {},
    EQUAL: {},
}


def any_of(kind: str) -> RowExpectation:
    pair = kind in (GREATER, EQUAL)
    return expectation(kind, **({"column_A": "x", "column_B": "y"} if pair else {"column": "x"}), **ANY[kind])


@pytest.mark.parametrize("kind", sorted(ROW_EXPECTATIONS))
def test_every_type_names_its_columns_and_takes_no_rows(kind):
    found = any_of(kind)
    assert found.names() == (("x", "y") if kind in (GREATER, EQUAL) else ("x",))
    empty = text() if found.judges == "text" else numbers()
    assert found.unexpected({"x": empty, "y": empty}).tolist() == []


@pytest.mark.parametrize("kind", sorted(ROW_EXPECTATIONS))
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_a_row_is_judged_by_that_row_alone_and_columns_are_left_as_they_are(kind, data):
    found = any_of(kind)
    one = st.sampled_from([None, "", "a", "b"]) if found.judges == "text" else st.sampled_from([NAN, 0.0, 1.0, -1.0])
    rows = data.draw(st.lists(st.tuples(one, one), min_size=1, max_size=8))
    make = text if found.judges == "text" else numbers

    def judged(*of):
        columns = {"x": make(*(x for x, _ in of)), "y": make(*(y for _, y in of))}
        before = {name: values.copy() for name, values in columns.items()}
        mask = found.unexpected(columns).tolist()
        for name, values in columns.items():
            assert values.tobytes() == before[name].tobytes()
        return mask

    assert judged(*rows) == [fails for row in rows for fails in judged(row)]
