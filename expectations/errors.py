"""What can go wrong with a suite or a file of reports (a report that is no report is no error: see `decode`).

ExpectationsError
├── SuiteError        the suite cannot be used: says which part of it, and what to do
└── ReportFileError   the file cannot be read to its end
"""

from __future__ import annotations

__all__ = ["ExpectationsError", "ReportFileError", "SuiteError"]


class ExpectationsError(Exception):
    """Anything this package raises on purpose."""


class SuiteError(ExpectationsError):
    """A suite that does not load, or an expectation that Great Expectations cannot evaluate."""


class ReportFileError(ExpectationsError):
    """A file of reports that cannot be read to its end."""
