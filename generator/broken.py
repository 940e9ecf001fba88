"""Bodies that are no report, one of each kind that senders really produce, for quarantine to show.

Every body is invalid on its own account; none resembles a real report that merely has odd fields.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import msgspec

__all__ = ["broken_bodies"]


def broken_bodies(seed: int) -> Iterator[tuple[str, bytes]]:
    """Six (kind, body), each kind once, the same for the same seed, other ids for another seed."""
    source = random.Random(f"{seed}/broken")  # noqa: S311 - synthetic data, not secrets
    case_id = str(source.randrange(10**7, 10**8))
    report = {
        "safetyreportid": case_id,
        "safetyreportversion": "1",
        "receivedateformat": "102",
        "receivedate": "20140312",
        "patient": {
            "reaction": [{"reactionmeddrapt": "Headache"}],
            "drug": [{"medicinalproduct": "IBUPROFEN", "drugcharacterization": "1"}],
        },
    }
    whole = msgspec.json.encode(report)
    yield "empty", b""
    yield "truncated_json", whole[: source.randrange(len(whole) // 2, len(whole) - 1)]
    yield "not_an_object", b"[" + whole + b"]"
    yield "no_id", msgspec.json.encode({k: v for k, v in report.items() if k != "safetyreportid"})
    yield "no_patient", msgspec.json.encode({k: v for k, v in report.items() if k != "patient"})
    yield "not_utf8", whole.replace(b"Headache", b"C\xe9phal\xe9e")  # Latin-1
