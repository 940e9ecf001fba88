"""What the last check found, kept without report text, so that pages can be made of it later.

Of what Great Expectations said only numbers are kept (how many rows, how many of them unexpected, a mean), never a
value, a row's index or a message: any of these may hold or point at what a report says.
"""

from __future__ import annotations

import datetime as dt
import math
import os
from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import msgspec

from expectations.check_files import CheckResult, FileResult
from expectations.errors import ExpectationsError
from expectations.pipeline import PIPELINE_SUITE
from expectations.reference import Validation
from expectations.suite import REPORT_SUITE

__all__ = ["CheckedFile", "LastCheck", "NothingCheckedError", "keep", "load"]

_FILE = "last_check.json"

_NUMBERS_KEPT = (
    "element_count",
    "missing_count",
    "missing_percent",
    "observed_value",
    "unexpected_count",
    "unexpected_percent",
    "unexpected_percent_nonmissing",
    "unexpected_percent_total",
)
"""Fields of a result that are kept, where they hold a number."""


class NothingCheckedError(ExpectationsError):
    """There is no last check, or one that this version cannot read."""


class CheckedFile(msgspec.Struct, frozen=True):
    """What was found in one file: see `FileResult`."""

    path: str
    reports: int
    passed: int
    rejections: dict[str, int]
    critical: dict[str, int]
    warnings: dict[str, int]
    validations: dict[str, dict[str, Any]]
    """By name of the suite, in Great Expectations' own JSON."""


class LastCheck(msgspec.Struct, frozen=True):
    """What was found in all files, and by which suites."""

    checked_at: dt.datetime
    suites: dict[str, dict[str, Any]]
    """The suites' JSON by name."""
    versions: dict[str, str]
    """The suites' versions by name."""
    files: list[CheckedFile]


def keep(result: CheckResult, folder: Path) -> None:
    """Put a result in place of the one in `folder`, as a whole. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    new = folder / f"{_FILE}.{os.getpid()}"
    try:
        new.write_bytes(msgspec.json.encode(_last_check(result)))
        new.replace(folder / _FILE)
    finally:
        new.unlink(missing_ok=True)


def load(folder: Path) -> LastCheck:
    """The result in `folder`. Raises NothingCheckedError and OSError."""
    try:
        return msgspec.json.decode((folder / _FILE).read_bytes(), type=LastCheck)
    except FileNotFoundError:
        raise NothingCheckedError(
            "Nothing has been checked yet: run reactionwatch expectations check FILE first"
        ) from None
    except ValueError as error:
        raise NothingCheckedError(
            f"{folder / _FILE} cannot be read: run reactionwatch expectations check FILE again"
        ) from error


def _last_check(result: CheckResult) -> LastCheck:
    return LastCheck(
        checked_at=result.checked_at,
        suites={
            REPORT_SUITE: msgspec.json.decode(result.suite.text),
            PIPELINE_SUITE: msgspec.json.decode(result.pipeline_suite.text),
        },
        versions={REPORT_SUITE: result.suite_version, PIPELINE_SUITE: result.pipeline_version},
        files=[_checked_file(file) for file in result.files],
    )


def _checked_file(file: FileResult) -> CheckedFile:
    return CheckedFile(
        path=str(file.path),
        reports=file.reports,
        passed=file.passed,
        rejections=dict(file.rejections),
        critical=dict(file.critical),
        warnings=dict(file.warnings),
        validations={name: _without_values(name, found) for name, found in file.validations.items()},
    )


def _without_values(name: str, validation: Validation) -> dict[str, Any]:
    return {
        "success": bool(validation.success),
        "suite_name": name,
        "statistics": _numbers(validation.statistics, validation.statistics),
        "meta": {"great_expectations_version": validation.meta["great_expectations_version"]},
        "results": [
            {
                "success": bool(outcome.success),
                "expectation_config": _as_in_suite(outcome.expectation_config),
                "result": _numbers(outcome.result, _NUMBERS_KEPT),
                "exception_info": {"raised_exception": False, "exception_message": None, "exception_traceback": None},
            }
            for outcome in validation.results
        ],
    }


def _as_in_suite(configuration: Any) -> dict[str, Any]:
    found: dict[str, Any] = configuration.to_json_dict()
    found["kwargs"].pop("batch_id", None)
    return found


def _numbers(values: Mapping[str, object], names: Iterable[str]) -> dict[str, float]:
    found = {name: values.get(name) for name in names}
    return {
        name: int(value) if isinstance(value, Integral) else float(value)
        for name, value in found.items()
        if isinstance(value, Real) and not math.isnan(value)
    }
