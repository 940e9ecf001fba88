"""What the newest reports look like together: the suite whose breach says that something upstream is wrong.

One report without an age is usual; a thousand in a row are a sender whose export broke. The suite judges columns as
wholes (a mean, an extreme) over the newest events received, whatever became of them. It never decides about a report.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from expectations.reference import Reference, Validation
from expectations.row_expectations import Columns
from expectations.suite_file import as_shape, code_problems, refuse, suite_document, text_and_version

__all__ = [
    "PIPELINE_COLUMNS",
    "PIPELINE_EXPECTATIONS",
    "PIPELINE_SUITE",
    "Finding",
    "Limits",
    "LoadedPipelineSuite",
    "PipelineChecker",
    "Received",
    "findings",
    "load_pipeline_suite",
    "pipeline_columns",
]

PIPELINE_SUITE = "pipeline"
"""The suite's name, and that of its file."""

PIPELINE_COLUMNS = {
    "quarantined": "1 when the event went to quarantine, else 0",
    "duplicate": "1 when the event was stored already, else 0",
    "warned": "1 when the stored report fails a warning, else 0",
    "serious": "1 when the sender calls the report serious, 0 when not, null when that is not said",
    "age_missing": "1 when the stored report has no age that could be read, else 0",
    "sex_missing": "1 when the stored report does not say the sex, else 0",
    "country_missing": "1 when the stored report names no country, else 0",
    "receivedate_missing": "1 when the stored report has no receivedate that could be read, else 0",
    "commonest_drug": "1 when the stored report's first suspect drug is the one that most of them have, else 0",
    "unknown_fields": "fields of the stored report that openFDA does not have",
    "gap_seconds": "seconds in the hub between the event and the one before it",
    "hours_ago": "hours since the hub took the event in",
}
"""One value per event; null where it says nothing (most of them for events that were not stored)."""

PIPELINE_EXPECTATIONS = frozenset(
    [
        "expect_column_max_to_be_between",
        "expect_column_mean_to_be_between",
        "expect_column_median_to_be_between",
        "expect_column_min_to_be_between",
    ]
)
"""Types of expectations the suite may hold: each judges one column by one number."""


@dataclass(frozen=True)
class Received:
    """One event received, and what is known of its report. Fields after `outcome` are None unless it was stored."""

    outcome: Literal["stored", "quarantined", "duplicate"]
    enqueued_ms: int | None = None
    """When the hub took it in; None for a report from a file."""
    warned: bool | None = None
    serious: bool | None = None
    has_age: bool | None = None
    has_sex: bool | None = None
    has_country: bool | None = None
    has_receivedate: bool | None = None
    suspect: Hashable | None = None
    """Name or key of its first suspect drug."""
    unknown_fields: int | None = None

    def with_warnings(self, warned: bool) -> Received:
        """The same, once its report has been checked."""
        return replace(self, warned=warned)


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Kwargs of an expectation of the suite."""

    column: str
    min_value: float | None = None
    max_value: float | None = None
    strict_min: bool = False
    strict_max: bool = False


@dataclass(frozen=True)
class Finding:
    """What one expectation found."""

    code: str
    why: str
    ok: bool
    statistic: str
    """What was taken of the column: mean, median, min or max."""
    observed: float
    limits: Limits
    events: int
    """How many events were looked at."""


@dataclass(frozen=True)
class LoadedPipelineSuite:
    """A suite that has been looked over."""

    text: str
    version: str
    newest: int
    """How many of the newest events are looked at together."""
    at_least: int
    """With fewer events than this, nothing is judged: chance would decide."""


class _Meta(msgspec.Struct):
    code: str
    why: str


class _Expectation(msgspec.Struct):
    type: str
    kwargs: Limits
    meta: _Meta


class _Sample(msgspec.Struct):
    newest: int
    at_least: int


class _Suite(msgspec.Struct):
    name: str
    expectations: list[_Expectation]
    meta: _Sample


def load_pipeline_suite(folder: Path | None = None) -> LoadedPipelineSuite:
    """Load `pipeline.json` of a folder, or the packaged one. Raises SuiteError naming all that is wrong with it."""
    document = suite_document(PIPELINE_SUITE, folder)
    suite = as_shape(PIPELINE_SUITE, document, _Suite)
    refuse(PIPELINE_SUITE, _problems(suite))
    return LoadedPipelineSuite(*text_and_version(document), suite.meta.newest, suite.meta.at_least)


class PipelineChecker:
    """The suite ready to judge. Raises SuiteError when Great Expectations does not take it or cannot evaluate it."""

    def __init__(self, suite: LoadedPipelineSuite) -> None:
        self.suite = suite
        self._reference = Reference(suite.text)
        self._reference.validate({name: np.array([0.0, 1.0]) for name in PIPELINE_COLUMNS})

    def check(self, received: Sequence[Received], *, now_ms: int) -> tuple[Finding, ...] | None:
        """Judge events in any order; None when they are too few. What is known of too few of them is not judged."""
        if len(received) < self.suite.at_least:
            return None
        return findings(self.validate(received, now_ms=now_ms), len(received))

    def validate(self, received: Sequence[Received], *, now_ms: int) -> Validation:
        """What Great Expectations says of the columns of which enough is known."""
        columns = pipeline_columns(received, now_ms)
        enough = min(self.suite.at_least, len(received))
        return self._reference.validate({n: values for n, values in columns.items() if _known(values) >= enough})


def findings(validation: Validation, events: int) -> tuple[Finding, ...]:
    """What each expectation of a validation found, in the suite's order."""
    return tuple(
        Finding(
            code=outcome.expectation_config.meta["code"],
            why=outcome.expectation_config.meta["why"],
            ok=bool(outcome.success),
            statistic=outcome.expectation_config.type.removeprefix("expect_column_").removesuffix("_to_be_between"),
            observed=float(outcome.result["observed_value"]),
            limits=Limits(
                **{
                    name: value
                    for name, value in outcome.expectation_config.kwargs.items()
                    if name in Limits.__struct_fields__
                }
            ),
            events=events,
        )
        for outcome in validation.results
    )


def pipeline_columns(received: Sequence[Received], now_ms: int) -> Columns:
    """The columns of `PIPELINE_COLUMNS` as float64 with NaN for null, in order of the hub's time."""
    events = sorted(received, key=lambda event: event.enqueued_ms or 0)
    suspects = Counter(event.suspect for event in events if event.suspect is not None)
    commonest = max(suspects.items(), key=lambda found: (found[1], str(found[0])))[0] if suspects else None
    enqueued = np.array([event.enqueued_ms for event in events], dtype=np.float64)
    rows: Mapping[str, list[float | None]] = {
        "quarantined": [float(e.outcome == "quarantined") for e in events],
        "duplicate": [float(e.outcome == "duplicate") for e in events],
        "warned": [e.warned for e in events],
        "serious": [e.serious for e in events],
        "age_missing": [_missing(e.has_age) for e in events],
        "sex_missing": [_missing(e.has_sex) for e in events],
        "country_missing": [_missing(e.has_country) for e in events],
        "receivedate_missing": [_missing(e.has_receivedate) for e in events],
        "commonest_drug": [None if e.suspect is None else e.suspect == commonest for e in events],
        "unknown_fields": [e.unknown_fields for e in events],
    }
    return {
        **{name: np.array(values, dtype=np.float64) for name, values in rows.items()},
        "gap_seconds": np.diff(enqueued, prepend=np.nan) / 1000,
        "hours_ago": (now_ms - enqueued) / 3_600_000,
    }


def _known(values: NDArray[np.float64]) -> int:
    return int(np.count_nonzero(~np.isnan(values)))


def _missing(there: bool | None) -> float | None:
    return None if there is None else float(not there)


def _problems(suite: _Suite) -> Iterator[str]:
    yield from code_problems((e.meta.code, e.meta.why) for e in suite.expectations)
    if not 0 < suite.meta.at_least <= suite.meta.newest <= 50_000:
        yield "meta needs 0 < at_least <= newest <= 50000"
    for expectation in suite.expectations:
        limits = expectation.kwargs
        if expectation.type not in PIPELINE_EXPECTATIONS:
            names = ", ".join(sorted(PIPELINE_EXPECTATIONS))
            yield f"{expectation.meta.code}: {expectation.type} finds no single number; take one of {names}"
        if limits.column not in PIPELINE_COLUMNS:
            yield f"{expectation.meta.code}: there is no column {limits.column!r}"
        if limits.min_value is None and limits.max_value is None:
            yield f"{expectation.meta.code}: neither min_value nor max_value"
        elif limits.min_value is not None and limits.max_value is not None and limits.min_value > limits.max_value:
            yield f"{expectation.meta.code}: min_value is above max_value"
