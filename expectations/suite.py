"""The suite of reports: Great Expectations' own JSON, with a code, a severity and a why in each expectation's `meta`.

Only expectations that judge row by row are taken (`ROW_EXPECTATIONS`), so that a report's verdict never depends on
which other reports are in its batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import msgspec

from expectations.columns import COLUMNS, TEXT_COLUMNS
from expectations.row_expectations import ROW_EXPECTATIONS, RowExpectation
from expectations.suite_file import as_shape, code_problems, refuse, suite_document, text_and_version

__all__ = ["REPORT_SUITE", "Check", "LoadedSuite", "Severity", "load_suite"]

REPORT_SUITE = "report"
"""The suite's name, and that of its file."""

Severity = Literal["critical", "warning"]


@dataclass(frozen=True)
class Check:
    """One expectation of the suite."""

    code: str
    severity: Severity
    why: str
    expectation: RowExpectation


@dataclass(frozen=True)
class LoadedSuite:
    """A suite that has been looked over. It travels to executors as text."""

    text: str
    version: str
    """First 12 hex digits of the SHA-256 over the suite's canonical JSON; stored with every row it judged."""

    @cached_property
    def checks(self) -> tuple[Check, ...]:
        """Its expectations, in the suite's order."""
        return tuple(
            Check(e.meta.code, e.meta.severity, e.meta.why, msgspec.convert(e.kwargs, ROW_EXPECTATIONS[e.type]))
            for e in msgspec.json.decode(self.text, type=_Suite).expectations
        )


class _Meta(msgspec.Struct):
    code: str
    severity: Severity
    why: str


class _Expectation(msgspec.Struct):
    type: str
    kwargs: dict[str, Any]
    meta: _Meta
    severity: str | None = None


class _Suite(msgspec.Struct):
    name: str
    expectations: list[_Expectation]


def load_suite(folder: Path | None = None) -> LoadedSuite:
    """Load `report.json` of a folder, or the packaged one. Raises SuiteError naming all that is wrong with it.

    Whether Great Expectations takes it too is for `expectations.agreement`.
    """
    document = suite_document(REPORT_SUITE, folder)
    suite = as_shape(REPORT_SUITE, document, _Suite)
    refuse(REPORT_SUITE, _problems(suite))
    return LoadedSuite(*text_and_version(document))


def _problems(suite: _Suite) -> Iterator[str]:
    yield from code_problems((e.meta.code, e.meta.why) for e in suite.expectations)
    for expectation in suite.expectations:
        if expectation.severity not in (None, expectation.meta.severity):
            yield (
                f"{expectation.meta.code}: severity is {expectation.severity!r} beside "
                f"{expectation.meta.severity!r} in meta"
            )
        for problem in _kwargs_problems(expectation):
            yield f"{expectation.meta.code}: {problem}"


def _kwargs_problems(expectation: _Expectation) -> Iterator[str]:
    kind = ROW_EXPECTATIONS.get(expectation.type)
    if kind is None:
        yield f"{expectation.type} does not judge row by row; take one of {', '.join(sorted(ROW_EXPECTATIONS))}"
        return
    for unsupported in {"row_condition", "mostly"} & expectation.kwargs.keys():
        yield f"{unsupported} is not supported; derive the verdict from a column"
        return
    try:
        read = msgspec.convert(expectation.kwargs, kind)
    except msgspec.ValidationError as error:
        yield f"kwargs of {expectation.type}: {error}"
        return
    for column in read.names():
        if column not in COLUMNS:
            yield f"there is no column {column!r}"
        elif read.judges is not None and (column in TEXT_COLUMNS) != (read.judges == "text"):
            yield f"{expectation.type} judges {read.judges}, which column {column!r} does not hold"
    problem = read.problem()
    if problem is not None:
        yield problem
