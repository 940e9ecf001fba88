"""Checking files of reports, as the stream would judge them: decode, then the suite."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from expectations.checks import Checker
from expectations.decode import Rejection, decode
from expectations.report_file import read_bodies
from expectations.suite import LoadedSuite

__all__ = ["CheckResult", "FileResult", "check_files"]

_CHUNK = 2000  # The cost of a check is nearly all per batch; this many large reports still fit easily.


@dataclass(frozen=True)
class FileResult:
    """What was found in one file. A report can fail several expectations, so codes need not add up to reports."""

    path: Path
    reports: int
    """Bodies in the file: passed, rejected by the decoder, or failed by a critical expectation."""
    passed: int
    critical: Mapping[str, int]
    """Reports by code of critical expectation that they fail."""
    warnings: Mapping[str, int]
    """Reports by code of warning; these pass, unless something critical fails as well."""
    rejections: Mapping[str, int]
    """Bodies by reason for which the decoder rejects them."""


@dataclass(frozen=True)
class CheckResult:
    """What was found in all files, and by which suite."""

    files: tuple[FileResult, ...]
    suite_version: str

    @property
    def ok(self) -> bool:
        """Whether every report of every file passes."""
        return all(file.passed == file.reports for file in self.files)

    def as_json(self) -> dict[str, object]:
        """Give the same as plain values, for `json.dumps`."""
        return {
            "ok": self.ok,
            "suite_version": self.suite_version,
            "files": [
                {
                    "path": str(file.path),
                    "reports": file.reports,
                    "passed": file.passed,
                    "critical": dict(file.critical),
                    "warnings": dict(file.warnings),
                    "rejections": dict(file.rejections),
                }
                for file in self.files
            ],
        }


def check_files(paths: Iterable[Path], suite: LoadedSuite) -> CheckResult:
    """Check every report of every file. Raises ReportFileError and SuiteError."""
    checker = Checker(suite)
    return CheckResult(tuple(_check_file(path, checker) for path in paths), suite.version)


def _check_file(path: Path, checker: Checker) -> FileResult:
    reports = passed = 0
    critical: Counter[str] = Counter()
    warnings: Counter[str] = Counter()
    rejections: Counter[str] = Counter()
    bodies = read_bodies(path)
    while chunk := [decode(body) for body in islice(bodies, _CHUNK)]:
        rejections.update(found.reason.value for found in chunk if isinstance(found, Rejection))
        verdicts = checker.check([found for found in chunk if not isinstance(found, Rejection)])
        for codes in verdicts.critical:
            critical.update(codes)
        for codes in verdicts.warnings:
            warnings.update(codes)
        reports += len(chunk)
        passed += verdicts.critical.count(())
    return FileResult(path, reports, passed, _by_code(critical), _by_code(warnings), _by_code(rejections))


def _by_code(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items()))
