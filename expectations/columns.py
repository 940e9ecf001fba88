"""What the suites judge: one flat row of derived columns per report.

A report holds lists of drugs and reactions; an expectation judges one value. So lists become counts and sets of
codes here, and every limit stays in the suite, where it can be read and changed.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from expectations.report import SUSPECT_ROLES, Report

__all__ = ["COLUMNS", "checked_frame"]

COLUMNS = {
    "drug_count": "entries of patient.drug",
    "named_drug_count": "drug entries with a name",
    "suspect_drug_count": "drug entries that are suspect or interacting",
    "reaction_count": "entries of patient.reaction",
    "named_reaction_count": "reaction entries with a term",
    "pair_count": "distinct suspect drugs times distinct terms",
    "duplicate_number_count": "numbers that other senders gave the case",
    "unreadable_count": "values that could not be taken as they stand",
    "drug_characterizations": "distinct codes of the drugs, ascending, comma separated; null when no drug has one",
    "reaction_outcomes": "distinct codes of the reactions, ascending, comma separated; null when none has one",
    "sex": "code as reported",
    "qualification": "code as reported",
    "age_years": "years",
    "weight_kg": "kilograms",
    "receivedate": "yyyymmdd as a number",
    "receiptdate": "yyyymmdd as a number",
    "transmissiondate": "yyyymmdd as a number",
    "days_in_future": "days from today to the latest of the three dates; negative for the past, null without dates",
    "serious": "1 yes, 0 no",
    "any_criterion": "1 when any criterion of seriousness is met, else 0",
}
"""Column names of `checked_frame` and what each holds; whatever the report does not say is null."""


def checked_frame(reports: Sequence[Report], today: dt.date) -> pd.DataFrame:
    """One row per report in their order, under a RangeIndex, with the columns of `COLUMNS`.

    Numbers are float64 with NaN for null, codes joined to text are objects with None for null. `today` (UTC) is
    the day that `days_in_future` counts from.
    """
    rows = [_row(report, today) for report in reports]
    columns = zip(*rows, strict=True) if rows else ((),) * len(COLUMNS)
    return pd.DataFrame(
        {
            name: np.array(values, dtype=object if name in _TEXT_COLUMNS else np.float64)
            for name, values in zip(COLUMNS, columns, strict=True)
        }
    )


_TEXT_COLUMNS = frozenset(["drug_characterizations", "reaction_outcomes"])


def _row(report: Report, today: dt.date) -> tuple[float | str | None, ...]:
    suspects = [drug for drug in report.drugs if drug.characterization in SUSPECT_ROLES]
    terms = [reaction.term for reaction in report.reactions if reaction.term]
    dates = [date for date in (report.receivedate, report.receiptdate, report.transmissiondate) if date]
    return (
        len(report.drugs),
        sum(1 for drug in report.drugs if drug.name),
        len(suspects),
        len(report.reactions),
        len(terms),
        len({drug.name for drug in suspects if drug.name}) * len(set(terms)),
        len(report.duplicate_numbers),
        len(report.unreadable),
        _codes(drug.characterization for drug in report.drugs),
        _codes(reaction.outcome for reaction in report.reactions),
        report.sex,
        report.qualification,
        report.age_years,
        report.weight_kg,
        _yyyymmdd(report.receivedate),
        _yyyymmdd(report.receiptdate),
        _yyyymmdd(report.transmissiondate),
        (max(dates) - today).days if dates else None,
        report.serious,
        bool(report.seriousness),
    )


def _codes(codes: Iterable[int | None]) -> str | None:
    found = {code for code in codes if code is not None}
    return ",".join(map(str, sorted(found))) if found else None


def _yyyymmdd(date: dt.date | None) -> int | None:
    return date.year * 10_000 + date.month * 100 + date.day if date else None
