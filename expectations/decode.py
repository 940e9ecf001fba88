"""From the bytes of an event to a typed report, or to the reason why they are none.

`decode` is strict about the report's skeleton (an object with an id and a patient, lists of drugs and reactions),
lenient about single values, and total: whatever the bytes, it returns. It does not judge whether a report is
plausible; that is for the suites.

What it decides where the data leave a choice: a byte order mark is skipped; of a repeated key the last counts;
unknown fields are counted and otherwise ignored; null and blank values are absent; a single object where a list is
promised is a list of one, and a list of one object is the object.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

import msgspec

from expectations.dates import DateRead
from expectations.fields import MAX_ENTRIES, Fields, Noted, is_absent, only_object, read_number
from expectations.known_fields import DRUG_FIELDS, PATIENT_FIELDS, REACTION_FIELDS, REPORT_FIELDS
from expectations.reasons import Reason
from expectations.report import Report, ReportedDrug, ReportedReaction

__all__ = ["MAX_BODY_BYTES", "MAX_DEPTH", "MAX_ID_LENGTH", "Rejection", "decode"]

MAX_BODY_BYTES = 8 * 1024 * 1024
"""The largest real report seen has 277 KB and Event Hubs takes 1 MB; files may hold more, within reason."""

MAX_DEPTH = 200
"""Nested levels of JSON; real reports have 6. The parser's own limit would depend on the caller's stack."""

MAX_ID_LENGTH = 64
"""Longest `safetyreportid`; real ones have up to 10 characters."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# Printable ASCII only: databases disagree on which other characters are equal, and the id is a key.
_ID = re.compile(rf"[!-~]{{1,{MAX_ID_LENGTH}}}")
_MAX_VERSION = 999_999_999
_MAX_AGE_YEARS = 1000.0  # Beyond it a value is no age in any unit; within, the suite judges.
_COUNTRY_LENGTH = 100
_YEARS_PER_AGE_UNIT = {800: 10.0, 801: 1.0, 802: 1 / 12, 803: 7 / 365.25, 804: 1 / 365.25, 805: 1 / 8766}
_CRITERIA = (
    ("death", "seriousnessdeath"),
    ("lifethreatening", "seriousnesslifethreatening"),
    ("hospitalization", "seriousnesshospitalization"),
    ("disabling", "seriousnessdisabling"),
    ("congenitalanomali", "seriousnesscongenitalanomali"),
    ("other", "seriousnessother"),
)

_TOO_MANY = {"drug": Reason.TOO_MANY_DRUGS, "reaction": Reason.TOO_MANY_REACTIONS}

_parser = msgspec.json.Decoder()
_canonical = msgspec.json.Encoder(order="sorted")


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why the bytes are no report, and where: a JSON path such as `$.patient.drug[3]`, never the text."""

    reason: Reason
    path: str


class _RejectedError(Exception):
    def __init__(self, reason: Reason, path: str) -> None:
        super().__init__(reason, path)
        self.rejection = Rejection(reason, path)


def decode(body: bytes) -> Report | Rejection:
    """Decode one report. Never raises, whatever the bytes."""
    try:
        root = _parse(body)
        return _report(root)
    except _RejectedError as rejected:
        return rejected.rejection


def _parse(body: bytes) -> dict[str, object]:
    if len(body) > MAX_BODY_BYTES:
        raise _RejectedError(Reason.TOO_LARGE, "$")
    text = body.removeprefix(_BYTE_ORDER_MARK)
    try:
        root = _parser.decode(text)
    except RecursionError:
        raise _RejectedError(Reason.TOO_DEEP, "$") from None
    except msgspec.ValidationError:  # Well-formed, but a number is beyond every range.
        raise _RejectedError(Reason.BAD_NUMBER, "$") from None
    except ValueError:
        raise _RejectedError(_why_no_json(text), "$") from None
    if type(root) is not dict:
        raise _RejectedError(Reason.NOT_AN_OBJECT, "$")
    # Few reports have so many brackets that they could be too deep, so few pay for the walk.
    if text.count(b"{") + text.count(b"[") > MAX_DEPTH and _is_too_deep(root):
        raise _RejectedError(Reason.TOO_DEEP, "$")
    return root


def _why_no_json(text: bytes) -> Reason:
    if not text.strip():
        return Reason.EMPTY_BODY
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return Reason.NOT_UTF8
    return Reason.BROKEN_JSON


def _is_too_deep(root: dict[str, object]) -> bool:
    level: list[dict[str, object] | list[object]] = [root]
    for _ in range(MAX_DEPTH):
        level = [child for container in level for child in _containers(container)]
        if not level:
            return False
    return True


def _containers(container: dict[str, object] | list[object]) -> list[dict[str, object] | list[object]]:
    children = container.values() if isinstance(container, dict) else container
    return [child for child in children if isinstance(child, dict | list)]


def _report(root: dict[str, object]) -> Report:
    noted = Noted()
    top = Fields(root, "$", noted)
    safetyreportid = _id(top)
    patient = _patient(top)
    receipt = top.date("receiptdate")
    received = top.date("receivedate")
    transmitted = top.date("transmissiondate")
    source = top.within("primarysource")
    drug_entries = _entries(patient, "drug")
    reaction_entries = _entries(patient, "reaction")
    unknown = top.unknown(REPORT_FIELDS) + patient.unknown(PATIENT_FIELDS)
    unknown += sum(entry.unknown(DRUG_FIELDS) for entry in drug_entries)
    unknown += sum(entry.unknown(REACTION_FIELDS) for entry in reaction_entries)
    age_unit = patient.code("patientonsetageunit")
    numbers = (entry.text("duplicatenumb") for entry in top.each("reportduplicate"))
    return Report(
        safetyreportid=safetyreportid,
        version=_version(top, receipt),
        digest=hashlib.sha256(_canonical.encode(root)).digest(),
        receivedate=received.date if received else None,
        receiptdate=receipt.date if receipt else None,
        receipt_time=receipt.time if receipt else None,
        transmissiondate=transmitted.date if transmitted else None,
        serious=top.yes_no("serious"),
        seriousness=tuple(criterion for criterion, field in _CRITERIA if top.yes_no(field)),
        age_years=_age_years(patient, age_unit),
        sex=patient.code("patientsex"),
        weight_kg=patient.number("patientweight"),
        qualification=source.code("qualification"),
        country=_country(top, source),
        sender=top.within("sender").text("senderorganization"),
        company_number=top.text("companynumb"),
        duplicate_numbers=tuple(number for number in numbers if number),
        drugs=tuple([_drug(entry) for entry in drug_entries]),
        reactions=tuple(
            [
                ReportedReaction(term=r.name("reactionmeddrapt"), outcome=r.code("reactionoutcome"))
                for r in reaction_entries
            ]
        ),
        narrative_length=patient.within("summary").length("narrativeincludeclinical"),
        unknown_fields=unknown,
        unreadable=tuple(noted.unreadable),
        altered=tuple(noted.altered),
        age_unit=age_unit,
    )


def _id(top: Fields) -> str:
    value = top.values.get("safetyreportid")
    if is_absent(value):
        raise _RejectedError(Reason.MISSING_ID, "$.safetyreportid")
    if type(value) is int:
        value = str(value)
    if type(value) is not str:
        raise _RejectedError(Reason.WRONG_TYPE, "$.safetyreportid")
    if not _ID.fullmatch(value):
        raise _RejectedError(Reason.MALFORMED_ID, "$.safetyreportid")
    return value


def _version(top: Fields, receipt: DateRead | None) -> int:
    value = top.values.get("safetyreportversion")
    if not is_absent(value):
        number = read_number(value)
        if number is None or not number.is_integer() or not 0 <= number <= _MAX_VERSION:
            raise _RejectedError(Reason.BAD_NUMBER, "$.safetyreportversion")
        return int(number)
    if receipt is not None:
        return receipt.date.year * 10_000 + receipt.date.month * 100 + receipt.date.day
    if not is_absent(top.values.get("receiptdate")):
        raise _RejectedError(Reason.BAD_DATE, "$.receiptdate")
    return 0


def _patient(top: Fields) -> Fields:
    value = top.values.get("patient")
    if is_absent(value):
        raise _RejectedError(Reason.MISSING_PATIENT, "$.patient")
    patient = only_object(value)
    if patient is None:
        raise _RejectedError(Reason.WRONG_TYPE, "$.patient")
    return Fields(patient, "$.patient", top.noted)


def _entries(patient: Fields, name: str) -> list[Fields]:
    """Entries of one of the two lists that make the report what it is; null entries are absent."""
    value = patient.values.get(name)
    if is_absent(value):
        return []
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list):
        raise _RejectedError(Reason.WRONG_TYPE, f"{patient.path}.{name}")
    if len(value) > MAX_ENTRIES:
        raise _RejectedError(_TOO_MANY[name], f"{patient.path}.{name}")
    entries = []
    for index, entry in enumerate(value):
        path = f"{patient.path}.{name}[{index}]"
        if isinstance(entry, dict):
            entries.append(Fields(entry, path, patient.noted))
        elif entry is not None:
            raise _RejectedError(Reason.WRONG_TYPE, path)
    return entries


def _drug(entry: Fields) -> ReportedDrug:
    product, product_name = entry.text_and_name("medicinalproduct")
    substance = entry.within("activesubstance").name("activesubstancename")
    return ReportedDrug(
        name=substance or _only_substance(entry.within("openfda")) or product_name,
        product=product,
        characterization=entry.code("drugcharacterization"),
        indication=entry.name("drugindication"),
    )


def _only_substance(openfda: Fields) -> str | None:
    """The substance that openFDA found for the product, where it found exactly one."""
    names = openfda.values.get("substance_name")
    if not isinstance(names, list):
        return openfda.name("substance_name")
    if len(names) != 1:
        return None
    return Fields({"substance_name[0]": names[0]}, openfda.path, openfda.noted).name("substance_name[0]")


def _age_years(patient: Fields, unit: int | None) -> float | None:
    age = patient.number("patientonsetage")
    if age is None:
        return None
    years_per_unit = _YEARS_PER_AGE_UNIT.get(unit or 0)
    if years_per_unit is None:  # 6 may be months or years: not guessed.
        patient.note("patientonsetageunit")
        return None
    years = age * years_per_unit
    if abs(years) > _MAX_AGE_YEARS:
        patient.note("patientonsetage")
        return None
    return years


def _country(top: Fields, source: Fields) -> str | None:
    return (
        top.name("occurcountry", limit=_COUNTRY_LENGTH)
        or top.name("primarysourcecountry", limit=_COUNTRY_LENGTH)
        or source.name("reportercountry", limit=_COUNTRY_LENGTH)
    )
