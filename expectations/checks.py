"""Which expectations each report fails: the verdicts of Great Expectations, found without it.

Fast enough to judge every report of a stream, and light: Great Expectations, which takes seconds to import and a
tenth of a second per batch, is not needed where reports are judged. `expectations.agreement` shows for every suite
that the verdicts are the same.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from expectations.columns import checked_columns
from expectations.report import Report
from expectations.row_expectations import Columns
from expectations.suite import LoadedSuite, Severity

__all__ = ["Checker", "Verdicts", "utc_today"]


@dataclass(frozen=True)
class Verdicts:
    """Codes of failed expectations: element i belongs to report i, in alphabetical order, empty when it passes."""

    critical: tuple[tuple[str, ...], ...]
    warnings: tuple[tuple[str, ...], ...]
    version: str
    """Version of the suite that judged."""

    @classmethod
    def of(cls, reports: int, failed: Sequence[tuple[Severity, str, Sequence[int]]], version: str) -> Verdicts:
        """From severity and code of each expectation, and the rows that fail it."""
        codes: dict[Severity, list[tuple[str, ...]]] = {"critical": [()] * reports, "warning": [()] * reports}
        for severity, code, rows in sorted(failed, key=lambda one: one[1]):
            for row in rows:
                codes[severity][row] += (code,)
        return cls(tuple(codes["critical"]), tuple(codes["warning"]), version)


def utc_today() -> dt.date:
    """Today's date in UTC."""
    return dt.datetime.now(dt.UTC).date()


class Checker:
    """A suite ready to judge batches of reports."""

    def __init__(self, suite: LoadedSuite, *, today: Callable[[], dt.date] = utc_today) -> None:
        self._suite = suite
        self._today = today

    def check(self, reports: Sequence[Report]) -> Verdicts:
        """Judge every report by every expectation."""
        return self.check_columns(checked_columns(reports, self._today()), len(reports))

    def check_columns(self, columns: Columns, reports: int) -> Verdicts:
        """The same, from the columns of `checked_columns`."""
        failed = [
            (check.severity, check.code, np.flatnonzero(check.expectation.unexpected(columns)).tolist())
            for check in self._suite.checks
        ]
        return Verdicts.of(reports, failed, self._suite.version)
