"""What Great Expectations itself says: the reference for every verdict.

Great Expectations is imported here and nowhere else, and only when a `Reference` is built: it takes seconds. The
context is ephemeral: no file is written, no usage statistics are sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pandas as pd

from expectations.checks import Verdicts
from expectations.errors import ExpectationsError, SuiteError
from expectations.row_expectations import Columns
from expectations.suite import LoadedSuite

__all__ = ["Reference", "Validation", "row_verdicts"]

Validation = Any
"""Great Expectations' ExpectationSuiteValidationResult; the package has no types."""

_COMPLETE = {"result_format": "COMPLETE", "partial_unexpected_count": 0}


class Reference:
    """A suite in the hands of Great Expectations. Raises SuiteError when it does not take the suite."""

    def __init__(self, suite_text: str) -> None:
        gx, base = _great_expectations()
        config = base.DataContextConfig(
            store_backend_defaults=base.InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
            analytics_enabled=False,
            progress_bars=base.ProgressBarsConfig(globally=False),
        )
        context = gx.get_context(mode="ephemeral", project_config=config)
        asset = context.data_sources.add_pandas("reports").add_dataframe_asset("reports")
        self._whole_frame = asset.add_batch_definition_whole_dataframe("reports")
        self._make = gx.ExpectationSuite
        self._document = msgspec.json.decode(suite_text)
        self._suite_of(self._document["expectations"])

    def validate(self, columns: Columns) -> Validation:
        """Validate rows by every expectation whose columns are there.

        Raises SuiteError when one of these cannot be evaluated: nothing is ever passed unjudged.
        """
        judged = [e for e in self._document["expectations"] if _columns_of(e) <= columns.keys()]
        batch = self._whole_frame.get_batch({"dataframe": pd.DataFrame(dict(columns))})
        validation = batch.validate(self._suite_of(judged), result_format=_COMPLETE)
        for outcome in validation.results:
            if outcome.exception_info.get("raised_exception", True) or not outcome.result:
                # Great Expectations reports its own failures as unsuccessful results; its message may quote report
                # text, so it is not passed on.
                code = outcome.expectation_config.meta["code"]
                raise SuiteError(f"expectation {code} could not be evaluated: check its type and kwargs")
        return validation

    def _suite_of(self, expectations: Sequence[Any]) -> Any:
        try:
            suite = self._make(**{**self._document, "expectations": expectations})
        except Exception as error:
            raise SuiteError(f"Great Expectations does not take the suite: {error}") from error
        taken = {expectation.meta["code"] for expectation in suite.expectations}
        for code in [e["meta"]["code"] for e in expectations if e["meta"]["code"] not in taken]:
            # It logs an expectation that it cannot read, and goes on without it.
            raise SuiteError(f"Great Expectations does not take expectation {code}: check its fields")
        return suite


def row_verdicts(validation: Validation, reports: int, suite: LoadedSuite) -> Verdicts:
    """The verdict on each row, through the index of unexpected rows."""
    failed = []
    for outcome in validation.results:
        meta = outcome.expectation_config.meta
        failed.append((meta["severity"], meta["code"], _failed_rows(outcome)))
    return Verdicts.of(reports, failed, suite.version)


def _columns_of(expectation: dict[str, Any]) -> set[str]:
    return {value for name, value in expectation["kwargs"].items() if name in ("column", "column_A", "column_B")}


def _failed_rows(outcome: Any) -> Sequence[int]:
    if outcome.success:
        return []
    rows: list[int] = outcome.result["unexpected_index_list"]
    if len(rows) != outcome.result["unexpected_count"]:
        raise SuiteError(f"expectation {outcome.expectation_config.meta['code']} does not say which rows fail it")
    return rows


def _great_expectations() -> tuple[Any, Any]:
    try:
        import great_expectations as gx
        from great_expectations.data_context.types import base
    except SystemExit as exiting:
        # Without grpc, PySpark takes an interpreter with no main file for its own doctests and exits with code 0:
        # a check that never ran would look like one that passed.
        raise ExpectationsError(
            "PySpark ended the import of Great Expectations: run a file or a module, not `python -c` or a pipe"
        ) from exiting
    return gx, base
