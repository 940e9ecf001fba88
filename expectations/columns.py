"""What the suites judge: one flat row of derived columns per report.

A report holds lists of drugs and reactions; an expectation judges one value. So lists become counts and sets of
codes here, and every limit stays in the suite, where it can be read and changed.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence

import numpy as np

from expectations.report import SUSPECT_ROLES, Report
from expectations.row_expectations import Columns

__all__ = ["COLUMNS", "TEXT_COLUMNS", "checked_columns"]

COLUMNS = {
    "safetyreportid": "as reported",
    "version": "safetyreportversion, else receiptdate as yyyymmdd, else 0",
    "drug_count": "entries of patient.drug",
    "named_drug_count": "drug entries with a name",
    "suspect_drug_count": "drug entries that are suspect or interacting",
    "reaction_count": "entries of patient.reaction",
    "named_reaction_count": "reaction entries with a term",
    "pair_count": "distinct suspect drugs times distinct terms",
    "duplicate_number_count": "numbers that other senders gave the case",
    "unknown_field_count": "fields of the report's own levels that openFDA does not have",
    "unreadable_date_count": "of receivedate, receiptdate and transmissiondate, those that are no date in their format",
    "unreadable_age_count": "1 when the age is no number, has no unit or is beyond 1,000 years; else 0",
    "unreadable_seriousness_count": "of serious and its criteria, those that are neither 1 nor 2",
    "unreadable_count": "other values that could not be read",
    "altered_count": "texts that were cut at 500 characters, or rid of control or invisible characters",
    "drug_characterizations": "distinct codes of the drugs, ascending, comma separated; null when no drug has one",
    "reaction_outcomes": "distinct codes of the reactions, ascending, comma separated; null when none has one",
    "sex": "code as reported",
    "qualification": "code as reported",
    "age_unit": "code as reported",
    "age_years": "years, whatever the unit",
    "weight_kg": "kilograms",
    "receivedate": "yyyymmdd as a number",
    "receiptdate": "yyyymmdd as a number",
    "transmissiondate": "yyyymmdd as a number",
    "earliest_date": "earliest of the three, yyyymmdd as a number",
    "days_in_future": "days from today to the latest of the three dates; negative for the past, null without dates",
    "serious": "1 yes, 0 no",
    "any_criterion": "1 when any criterion of seriousness is met, else 0",
}
"""Names of the columns and what each holds; whatever the report does not say is null."""

TEXT_COLUMNS = frozenset(["safetyreportid", "drug_characterizations", "reaction_outcomes"])
"""Those that hold text; the others hold numbers."""


def checked_columns(reports: Sequence[Report], today: dt.date) -> Columns:
    """The columns of `COLUMNS`, one value per report in their order.

    Numbers are float64 with NaN for null, text is objects with None for null. `today` (UTC) is the day that
    `days_in_future` counts from.
    """
    rows = [_row(report, today) for report in reports]
    columns = zip(*rows, strict=True) if rows else ((),) * len(COLUMNS)
    return {
        name: np.array(values, dtype=object if name in TEXT_COLUMNS else np.float64)
        for name, values in zip(COLUMNS, columns, strict=True)
    }


def _row(report: Report, today: dt.date) -> tuple[float | str | None, ...]:
    suspects = [drug for drug in report.drugs if drug.characterization in SUSPECT_ROLES]
    terms = [reaction.term for reaction in report.reactions if reaction.term]
    dates = [date for date in (report.receivedate, report.receiptdate, report.transmissiondate) if date]
    return (
        report.safetyreportid,
        report.version,
        len(report.drugs),
        sum(1 for drug in report.drugs if drug.name),
        len(suspects),
        len(report.reactions),
        len(terms),
        len({drug.name for drug in suspects if drug.name}) * len(set(terms)),
        len(report.duplicate_numbers),
        report.unknown_fields,
        *(_unreadable(report.unreadable) if report.unreadable else (0, 0, 0, 0)),
        len(report.altered),
        _codes(drug.characterization for drug in report.drugs),
        _codes(reaction.outcome for reaction in report.reactions),
        report.sex,
        report.qualification,
        report.age_unit,
        report.age_years,
        report.weight_kg,
        _yyyymmdd(report.receivedate),
        _yyyymmdd(report.receiptdate),
        _yyyymmdd(report.transmissiondate),
        _yyyymmdd(min(dates)) if dates else None,
        (max(dates) - today).days if dates else None,
        report.serious,
        bool(report.seriousness),
    )


_DATES = ("$.receivedate", "$.receiptdate", "$.transmissiondate")


def _unreadable(paths: Sequence[str]) -> tuple[int, int, int, int]:
    """Paths by kind: dates, the age, seriousness, others."""
    dates = sum(path in _DATES for path in paths)
    age = sum(path.startswith("$.patient.patientonsetage") for path in paths)
    seriousness = sum(path.startswith("$.serious") for path in paths)
    return dates, min(age, 1), seriousness, len(paths) - dates - age - seriousness


def _codes(codes: Iterable[int | None]) -> str | None:
    found = {code for code in codes if code is not None}
    return ",".join(map(str, sorted(found))) if found else None


def _yyyymmdd(date: dt.date | None) -> int | None:
    return date.year * 10_000 + date.month * 100 + date.day if date else None
