"""What holds of every input, however broken: the laws that `tests/unit/test_mutations.py` and `make fuzz` check."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterable

from mutations import CANARY

from expectations.decode import MAX_ID_LENGTH, Rejection
from expectations.fields import MAX_TEXT_LENGTH
from expectations.known_fields import DRUG_FIELDS, PATIENT_FIELDS, REACTION_FIELDS, REPORT_FIELDS
from expectations.reasons import Reason
from expectations.report import Report, normalise_name

__all__ = ["LawBrokenError", "obey"]

_NAMES = (
    REPORT_FIELDS
    | PATIENT_FIELDS
    | DRUG_FIELDS
    | REACTION_FIELDS
    | {"activesubstancename", "substance_name", "qualification", "reportercountry", "senderorganization"}
    | {"duplicatenumb", "narrativeincludeclinical"}
)
_PATH = re.compile(rf"\$(?:\.(?:{'|'.join(sorted(_NAMES))})(?:\[[0-9]+\])?)*")
_COUNTRY_LENGTH = 100


class LawBrokenError(AssertionError):
    """Names the law and never what the report says."""


def obey(found: object) -> None:
    """Raise `LawBrokenError` when `found` is nothing that `decode` may return."""
    if isinstance(found, Rejection):
        _must(isinstance(found.reason, Reason), "a rejection's reason is a Reason")
        _must_be_paths([found.path])
    else:
        _must(type(found) is Report, "decode returns a Report or a Rejection")
        assert isinstance(found, Report)
        _must_be_storable(found)


def _must(held: bool, law: str) -> None:
    if not held:
        raise LawBrokenError(law)


def _must_be_paths(paths: Iterable[str]) -> None:
    for path in paths:
        _must(_PATH.fullmatch(path) is not None, "a path is made of openFDA's field names and positions")
        _must(CANARY.lower() not in path.lower(), "a path says nothing of the report's text")


def _must_be_storable(report: Report) -> None:
    """What the database, the models and the alerts rely on."""
    _must(re.fullmatch(rf"[!-~]{{1,{MAX_ID_LENGTH}}}", report.safetyreportid) is not None, "an id is short, plain text")
    _must(type(report.version) is int and 0 <= report.version < 10**9, "a version is a number of up to 9 digits")
    _must(len(report.digest) == 32, "a digest is a SHA-256")
    for date in (report.receivedate, report.receiptdate, report.transmissiondate):
        _must(date is None or type(date) is dt.date, "a date is a date")
    _must(report.receipt_time is None or report.receipt_time.tzinfo is dt.UTC, "a time is in UTC")
    _must_be_number(report.age_years, 1000)
    _must_be_number(report.weight_kg, 1e15)
    codes = [report.sex, report.qualification, report.age_unit]
    codes += [drug.characterization for drug in report.drugs] + [reaction.outcome for reaction in report.reactions]
    _must(all(code is None or (type(code) is int and 0 <= code <= 9999) for code in codes), "a code has up to 4 digits")
    names = [reaction.term for reaction in report.reactions]
    texts = [report.sender, report.company_number, *report.duplicate_numbers]
    for drug in report.drugs:
        names += [drug.name, drug.indication]
        texts.append(drug.product)
    _must_be_text([*names, *texts], MAX_TEXT_LENGTH)
    _must_be_text([report.country], _COUNTRY_LENGTH)
    _must(
        all(name is None or name == normalise_name(name) for name in [*names, report.country]), "a name is normalised"
    )
    _must(report.narrative_length >= 0 and report.unknown_fields >= 0, "a count is not negative")
    _must_be_paths([*report.unreadable, *report.altered])


def _must_be_number(number: float | None, limit: float) -> None:
    _must(
        number is None or (type(number) is float and math.isfinite(number) and abs(number) <= limit),
        "a measure is finite and within its limit",
    )


def _must_be_text(texts: Iterable[str | None], limit: int) -> None:
    for text in texts:
        if text is not None:
            try:
                units = len(text.encode("utf-16-le")) // 2
            except UnicodeEncodeError:
                raise LawBrokenError("a text can be encoded") from None
            _must(0 < units <= limit, "a text is neither empty nor longer than its column")
            _must(text == text.strip(), "a text has no white space around it")
            _must("\0" not in text and not _CONTROLS.search(text), "a text has no control characters but white space")


_CONTROLS = re.compile("[\x01-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]")
