"""Checking files of reports as the stream would judge them, by Great Expectations itself.

Each file is decoded report by report; of those that are reports, the columns of `columns.COLUMNS` are kept and judged
together, so that a file may be larger than memory.
"""

from __future__ import annotations

import datetime as dt
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import msgspec
import numpy as np

from expectations.agreement import confirm
from expectations.checks import Verdicts, utc_today
from expectations.columns import COLUMNS, checked_columns
from expectations.decode import Rejection, decode
from expectations.pipeline import Finding, LoadedPipelineSuite, PipelineChecker, Received, findings
from expectations.reference import Reference, Validation, row_verdicts
from expectations.report import SUSPECT_ROLES, Report
from expectations.report_file import read_bodies
from expectations.row_expectations import Columns
from expectations.suite import LoadedSuite

__all__ = ["CheckResult", "FileResult", "check_files"]

_CHUNK = 2000


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
    pipeline: tuple[Finding, ...] | None
    """What the suite of the pipeline finds in the file as a whole; it fails no report. None: too few to judge."""
    validations: Mapping[str, Validation] = field(repr=False, compare=False)
    """What Great Expectations said, by name of the suite."""

    @property
    def quarantined(self) -> int:
        """How many bodies the stream would put into quarantine."""
        return self.reports - self.passed

    @property
    def quarantined_by(self) -> Mapping[str, int]:
        """Bodies by the code that quarantines them, whether the decoder or the suite finds it."""
        return dict(sorted((Counter(self.rejections) + Counter(self.critical)).items()))

    @property
    def breaches(self) -> tuple[Finding, ...]:
        """What the suite of the pipeline finds wrong."""
        return tuple(found for found in self.pipeline or () if not found.ok)


@dataclass(frozen=True)
class CheckResult:
    """What was found in all files, and by which suites."""

    files: tuple[FileResult, ...]
    suite: LoadedSuite
    pipeline_suite: LoadedPipelineSuite
    checked_at: dt.datetime
    """UTC."""

    @property
    def suite_version(self) -> str:
        """Version of the suite of reports."""
        return self.suite.version

    @property
    def pipeline_version(self) -> str:
        """Version of the suite of the pipeline."""
        return self.pipeline_suite.version

    @property
    def ok(self) -> bool:
        """Whether every report of every file passes."""
        return all(file.passed == file.reports for file in self.files)

    def not_judged(self, file: FileResult) -> tuple[str, ...]:
        """Codes of the pipeline's suite that a file says nothing of, such as times in the hub."""
        codes = [e["meta"]["code"] for e in msgspec.json.decode(self.pipeline_suite.text)["expectations"]]
        judged = {found.code for found in file.pipeline or ()}
        return tuple(code for code in codes if code not in judged)

    def as_json(self) -> dict[str, object]:
        """Give the same as plain values, for `json.dumps`."""
        return {
            "ok": self.ok,
            "suite_version": self.suite_version,
            "pipeline_version": self.pipeline_version,
            "pipeline_at_least": self.pipeline_suite.at_least,
            "files": [
                {
                    "path": str(file.path),
                    "reports": file.reports,
                    "passed": file.passed,
                    "quarantined": file.quarantined,
                    "critical": dict(file.critical),
                    "warnings": dict(file.warnings),
                    "rejections": dict(file.rejections),
                    "pipeline": [_finding_as_json(found) for found in file.pipeline or ()],
                    "pipeline_not_judged": list(self.not_judged(file)),
                }
                for file in self.files
            ],
        }


def check_files(
    paths: Iterable[Path],
    suite: LoadedSuite,
    pipeline_suite: LoadedPipelineSuite,
    on_read: Callable[[Path, int], None] = lambda _path, _reports: None,
) -> CheckResult:
    """Check every report of every file.

    `on_read` is told, again and again, how many reports of a file have been read. Raises ReportFileError, and
    SuiteError for a suite that the stream would refuse.
    """
    confirm(suite)
    files = _Files(suite, pipeline_suite, on_read)
    checked_at = dt.datetime.now(dt.UTC)
    return CheckResult(tuple(files.check(path) for path in paths), suite, pipeline_suite, checked_at)


def _finding_as_json(found: Finding) -> dict[str, object]:
    return {
        "code": found.code,
        "ok": found.ok,
        "statistic": found.statistic,
        "observed": found.observed,
        **msgspec.structs.asdict(found.limits),
        "events": found.events,
        "why": found.why,
    }


class _Files:
    def __init__(
        self, suite: LoadedSuite, pipeline_suite: LoadedPipelineSuite, on_read: Callable[[Path, int], None]
    ) -> None:
        self._suite = suite
        self._on_read = on_read
        self._reference = Reference(suite.text)
        self._pipeline = PipelineChecker(pipeline_suite)

    def check(self, path: Path) -> FileResult:
        today = utc_today()
        chunks: list[Columns] = []
        received: list[Received] = []
        rejections: Counter[str] = Counter()
        bodies = read_bodies(path)
        while chunk := [decode(body) for body in islice(bodies, _CHUNK)]:
            rejections.update(found.reason.value for found in chunk if isinstance(found, Rejection))
            reports = [found for found in chunk if isinstance(found, Report)]
            chunks.append(checked_columns(reports, today))
            received += [_received(report) for report in reports]
            self._on_read(path, len(received) + rejections.total())
        validations = {}
        verdicts = Verdicts((), (), self._suite.version)
        if received:
            columns = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in COLUMNS}
            validations["report"] = self._reference.validate(columns)
            verdicts = row_verdicts(validations["report"], len(received), self._suite)
        return self._result(path, received, verdicts, rejections, validations)

    def _result(
        self,
        path: Path,
        decoded: list[Received],
        verdicts: Verdicts,
        rejections: Counter[str],
        validations: dict[str, Validation],
    ) -> FileResult:
        received = [Received("quarantined")] * rejections.total()
        for event, critical, warnings in zip(decoded, verdicts.critical, verdicts.warnings, strict=True):
            received.append(Received("quarantined") if critical else event.with_warnings(bool(warnings)))
        found = None
        if len(received) >= self._pipeline.suite.at_least:
            validations["pipeline"] = self._pipeline.validate(received, now_ms=time.time_ns() // 1_000_000)
            found = findings(validations["pipeline"], len(received))
        return FileResult(
            path,
            reports=len(received),
            passed=verdicts.critical.count(()),
            critical=_by_code(verdicts.critical),
            warnings=_by_code(verdicts.warnings),
            rejections=dict(sorted(rejections.items())),
            pipeline=found,
            validations=validations,
        )


def _received(report: Report) -> Received:
    return Received(
        "stored",
        serious=report.serious,
        has_age=report.age_years is not None,
        has_sex=report.sex is not None,
        has_country=report.country is not None,
        has_receivedate=report.receivedate is not None,
        suspect=next((d.name for d in report.drugs if d.name and d.characterization in SUSPECT_ROLES), None),
        unknown_fields=report.unknown_fields,
    )


def _by_code(failed: Iterable[tuple[str, ...]]) -> dict[str, int]:
    return dict(sorted(Counter(code for codes in failed for code in codes).items()))
