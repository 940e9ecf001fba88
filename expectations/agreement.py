"""Great Expectations and `Checker` held against each other, for the suite at hand.

Asked before a suite judges its first report, on rows made of the suite's own limits, sets and codes: so a suite that
Great Expectations does not take, or would read in another way, is refused instead of judging reports.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product

import msgspec
import numpy as np

from expectations.checks import Checker, Verdicts
from expectations.columns import COLUMNS, TEXT_COLUMNS
from expectations.errors import SuiteError
from expectations.reference import Reference, row_verdicts
from expectations.row_expectations import Columns
from expectations.suite import Check, LoadedSuite

__all__ = ["confirm", "telling_rows"]

_NUMBERS = (None, 0.0, 1.0, -1.0, 0.5, 2.0, 1e6)
_TEXTS = (None, "", "0", "1", "1,2", "1,2,3", "4", "12", "a", "a b", "ä", "x\n", "x" * 100)


def confirm(suite: LoadedSuite) -> None:
    """Raise SuiteError unless Great Expectations takes the suite and judges every telling row as `Checker` does.

    The first call of a process imports Great Expectations, which takes seconds.
    """
    columns, rows = telling_rows(suite)
    theirs = row_verdicts(Reference(suite.text).validate(columns), rows, suite)
    ours = Checker(suite).check_columns(columns, rows)
    if theirs != ours:
        codes = sorted({code for pair in zip(_flat(theirs), _flat(ours), strict=True) for code in pair[0] ^ pair[1]})
        raise SuiteError(
            f"Great Expectations judges some values otherwise than the stream would, by {', '.join(codes)}: "
            "write these expectations in another way"
        )


def telling_rows(suite: LoadedSuite) -> tuple[Columns, int]:
    """Rows that tell right from wrong for each expectation (its limits and a little beyond), and their number."""
    rows = [row for check in suite.checks for row in _rows(check)]
    columns = {
        name: np.array([row.get(name) for row in rows], dtype=object if name in TEXT_COLUMNS else np.float64)
        for name in COLUMNS
    }
    return columns, len(rows)


def _rows(check: Check) -> Iterator[dict[str, float | str | None]]:
    limits = list(_numbers(msgspec.structs.asdict(check.expectation).values()))
    names = check.expectation.names()
    for combined in product(*(_texts(limits) if name in TEXT_COLUMNS else _near(limits) for name in names)):
        yield dict(zip(names, combined, strict=True))


def _texts(limits: list[float]) -> list[str | None]:
    """Of text, limits are lengths."""
    return [*_TEXTS, *("x" * (int(limit) + beyond) for limit in limits for beyond in (-1, 0, 1))]


def _near(limits: list[float]) -> list[float | None]:
    near = [
        value
        for limit in limits
        for value in (math.nextafter(limit, -math.inf), limit, math.nextafter(limit, math.inf))
    ]
    return [*_NUMBERS, *near]


def _numbers(values: object) -> Iterator[float]:
    for value in values:  # type: ignore[attr-defined]
        if isinstance(value, list):
            yield from _numbers(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield float(value)


def _flat(verdicts: Verdicts) -> list[set[str]]:
    return [set(c) | set(w) for c, w in zip(verdicts.critical, verdicts.warnings, strict=True)]
