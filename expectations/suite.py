"""Loading a suite: Great Expectations' own JSON, with a code, a severity and a why in each expectation's `meta`.

Only expectations that judge row by row are taken (`ROW_EXPECTATIONS`), so that a report's verdict never depends on
which other reports are in its batch. This module reads the JSON without Great Expectations, which takes seconds
to import.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

import msgspec

from expectations.columns import COLUMNS
from expectations.errors import SuiteError

__all__ = ["ROW_EXPECTATIONS", "LoadedSuite", "load_suite"]

ROW_EXPECTATIONS = frozenset(
    [
        "expect_column_pair_values_a_to_be_greater_than_b",
        "expect_column_pair_values_to_be_equal",
        "expect_column_value_lengths_to_be_between",
        "expect_column_values_to_be_between",
        "expect_column_values_to_be_in_set",
        "expect_column_values_to_be_null",
        "expect_column_values_to_match_regex",
        "expect_column_values_to_not_be_in_set",
        "expect_column_values_to_not_be_null",
        "expect_column_values_to_not_match_regex",
    ]
)
"""Types of expectations a suite may hold: each judges one row by that row alone."""

_CODE = re.compile(r"[a-z][a-z0-9_]{0,49}")  # Codes are stored joined by commas.
_VERSION_LENGTH = 12


@dataclass(frozen=True)
class LoadedSuite:
    """A suite that has been looked over. It travels to executors as text."""

    text: str
    version: str
    """First 12 hex digits of the SHA-256 over the suite's canonical JSON; stored with every row it judged."""


class _Meta(msgspec.Struct):
    code: str
    severity: Literal["critical", "warning"]
    why: str


class _Expectation(msgspec.Struct):
    type: str
    kwargs: dict[str, object]
    meta: _Meta
    severity: str | None = None


class _Suite(msgspec.Struct):
    name: str
    expectations: list[_Expectation]


def load_suite(path: Path | None = None) -> LoadedSuite:
    """Load a suite from a file, or the packaged one. Raises SuiteError naming what is wrong with it."""
    try:
        if path is None:
            body = (resources.files("expectations") / "suites" / "report.json").read_bytes()
        else:
            body = path.read_bytes()
    except OSError as error:
        raise SuiteError(f"cannot read the suite {path}: {error.strerror}") from error
    try:
        document = msgspec.json.decode(body)
        suite = msgspec.convert(document, _Suite)
    except (ValueError, RecursionError) as error:
        raise SuiteError(f"the suite is not Great Expectations' JSON with our meta: {error}") from error
    problems = list(_problems(suite))
    if problems:
        raise SuiteError("the suite cannot be used: " + "; ".join(problems))
    canonical = msgspec.json.encode(document, order="sorted")
    return LoadedSuite(canonical.decode(), hashlib.sha256(canonical).hexdigest()[:_VERSION_LENGTH])


def _problems(suite: _Suite) -> Iterator[str]:
    if not suite.expectations:
        yield "it holds no expectation"
    codes = set()
    for expectation in suite.expectations:
        code = expectation.meta.code
        if not _CODE.fullmatch(code):
            yield f"code {code!r} is not lower-case letters, digits and underscores, 50 at most"
        if code in codes:
            yield f"code {code!r} is used twice"
        codes.add(code)
        if not expectation.meta.why.strip():
            yield f"{code}: no why"
        if expectation.severity not in (None, expectation.meta.severity):
            yield f"{code}: severity is {expectation.severity!r} beside {expectation.meta.severity!r} in meta"
        if expectation.type not in ROW_EXPECTATIONS:
            yield f"{code}: {expectation.type} does not judge row by row; take one of ROW_EXPECTATIONS"
        for argument in ("column", "column_A", "column_B"):
            column = expectation.kwargs.get(argument)
            if column is not None and column not in COLUMNS:
                yield f"{code}: there is no column {column!r}"
        if "row_condition" in expectation.kwargs or "mostly" in expectation.kwargs:
            yield f"{code}: row_condition and mostly are not supported; derive the verdict from a column"
