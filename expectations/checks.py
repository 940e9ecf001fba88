"""Which expectations each report fails, as Great Expectations says.

Great Expectations is imported here and nowhere else, and only when a `Checker` is built: it takes seconds. The
context is ephemeral: no file is written, no usage statistics are sent.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from expectations.columns import checked_frame
from expectations.decode import decode
from expectations.errors import ExpectationsError, SuiteError
from expectations.report import Report
from expectations.suite import LoadedSuite

__all__ = ["Checker", "Verdicts", "utc_today"]

_RESULT_FORMAT = {"result_format": "COMPLETE", "partial_unexpected_count": 0}

# A report with a value in every column: an expectation that cannot judge it cannot judge any.
_PROBE = b"""{"safetyreportid": "1", "receivedate": "20140101", "receiptdate": "20140102",
"transmissiondate": "20140103", "serious": "1", "primarysource": {"qualification": "1"}, "patient": {
"patientsex": "1", "patientonsetage": "1", "patientonsetageunit": "801", "patientweight": "1",
"drug": {"drugcharacterization": "1"}, "reaction": {"reactionoutcome": "1"}}}"""


@dataclass(frozen=True)
class Verdicts:
    """Codes of failed expectations: element i belongs to report i, in alphabetical order, empty when it passes."""

    critical: tuple[tuple[str, ...], ...]
    warnings: tuple[tuple[str, ...], ...]
    version: str
    """Version of the suite that judged."""


def utc_today() -> dt.date:
    """Today's date in UTC."""
    return dt.datetime.now(dt.UTC).date()


class Checker:
    """A suite ready to judge batches of reports. Build one per process: the first one imports Great Expectations.

    Raises SuiteError when Great Expectations does not take the suite or cannot evaluate one of its expectations.
    """

    def __init__(self, suite: LoadedSuite, *, today: Callable[[], dt.date] = utc_today) -> None:
        try:
            import great_expectations as gx
            from great_expectations.data_context.types import base
        except SystemExit as exiting:
            # Without grpc, PySpark takes an interpreter with no main file for its own doctests and exits with code 0:
            # a check that never ran would look like one that passed.
            raise ExpectationsError(
                "PySpark ended the import of Great Expectations: run a file or a module, not `python -c` or a pipe"
            ) from exiting

        self._version = suite.version
        self._today = today
        config = base.DataContextConfig(
            store_backend_defaults=base.InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
            analytics_enabled=False,
            progress_bars=base.ProgressBarsConfig(globally=False),
        )
        context = gx.get_context(mode="ephemeral", project_config=config)
        asset = context.data_sources.add_pandas("reports").add_dataframe_asset("reports")
        self._whole_frame = asset.add_batch_definition_whole_dataframe("reports")
        try:
            self._suite = gx.ExpectationSuite(**msgspec.json.decode(suite.text))
        except Exception as error:
            raise SuiteError(f"Great Expectations does not take the suite: {error}") from error
        probe = decode(_PROBE)
        assert isinstance(probe, Report)
        self.check([probe])

    def check(self, reports: Sequence[Report]) -> Verdicts:
        """Judge every report by every expectation.

        Raises SuiteError when an expectation cannot be evaluated: a report is never passed unjudged.
        """
        failed: dict[str, list[list[str]]] = {
            "critical": [[] for _ in reports],
            "warning": [[] for _ in reports],
        }
        if reports:
            batch = self._whole_frame.get_batch({"dataframe": checked_frame(reports, self._today())})
            for outcome in batch.validate(self._suite, result_format=_RESULT_FORMAT).results:
                meta = outcome.expectation_config.meta
                for row in _failed_rows(outcome):
                    failed[meta["severity"]][row].append(meta["code"])
        return Verdicts(
            critical=tuple(tuple(sorted(codes)) for codes in failed["critical"]),
            warnings=tuple(tuple(sorted(codes)) for codes in failed["warning"]),
            version=self._version,
        )


def _failed_rows(outcome: Any) -> list[int]:
    """Rows that the expectation found unexpected, from one ExpectationValidationResult."""
    if outcome.success:
        return []
    rows: list[int] | None = outcome.result.get("unexpected_index_list")
    if not rows or len(rows) != outcome.result["unexpected_count"]:
        # Great Expectations reports its own failures as unsuccessful results without rows; its message may quote
        # report text, so it is not passed on.
        code = outcome.expectation_config.meta["code"]
        raise SuiteError(f"expectation {code} could not be evaluated: check its type and kwargs")
    return rows
