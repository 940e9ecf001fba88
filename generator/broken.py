"""Bodies that are no report, one of each kind that senders really produce, for quarantine to show.

Every body is invalid on its own account; none resembles a real report that merely has odd fields.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import msgspec

__all__ = ["broken_bodies"]

_DEPTH = 5_000
"""Brackets of the body that is nested too deep: more than any reader follows, and still small."""


def broken_bodies(seed: int) -> Iterator[tuple[str, bytes]]:
    """(kind, body), each kind once, the same for the same seed, other ids for another seed."""
    source = random.Random(f"{seed}/broken")  # noqa: S311 - synthetic data, not secrets
    report = {
        "safetyreportid": str(source.randrange(10**7, 10**8)),
        "safetyreportversion": "1",
        "receivedateformat": "102",
        "receivedate": "20140312",
        "receiptdateformat": "102",
        "receiptdate": "20140312",
        "patient": {
            "reaction": [{"reactionmeddrapt": "Headache"}],
            "drug": [{"medicinalproduct": "IBUPROFEN", "drugcharacterization": "1"}],
        },
    }
    patient = report["patient"]
    assert isinstance(patient, dict)

    def changed(**fields: object) -> bytes:
        return msgspec.json.encode({**report, **fields})

    def without(*names: str, **fields: object) -> bytes:
        return msgspec.json.encode({**{k: v for k, v in report.items() if k not in names}, **fields})

    whole = changed()
    yield "empty", b""
    yield "blank", b" \t "
    yield "truncated_json", whole[: source.randrange(len(whole) // 2, len(whole) - 1)]
    yield "not_utf8", whole.replace(b"Headache", b"C\xe9phal\xe9e")  # Latin-1
    yield "binary", bytes(source.choices(range(0x80, 0x100), k=64)) + b"\xff"
    yield "not_a_number", whole.replace(b'"1"', b"NaN", 1)
    yield "half_a_character", whole.replace(b"Headache", b"\\ud83d")
    yield "two_at_once", whole + whole
    yield "too_deep", whole[:-1] + b',"note":' + b"[" * _DEPTH + b"]" * _DEPTH + b"}"
    yield "not_an_object", b"[" + whole + b"]"
    yield "no_id", without("safetyreportid")
    yield "malformed_id", changed(safetyreportid=f"{report['safetyreportid']} (2)")
    yield "no_patient", without("patient")
    yield "patient_is_text", changed(patient="adult")
    yield "version_is_text", changed(safetyreportversion="first")
    yield "no_such_date", without("safetyreportversion", receiptdate="20141399")
    yield "no_reaction", changed(patient={**patient, "reaction": []})
    yield "no_drug", changed(patient={**patient, "drug": [{"drugcharacterization": "1"}]})
