"""Values that tests of several folders build."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Sequence
from typing import Any

from expectations.report import Report, ReportedDrug, ReportedReaction
from sql.positions import Lease, Source
from sql.staging import Accepted, Refused, TaskBatch

T0 = 1_790_000_010_000
"""A moment on a 30 s boundary, in UTC milliseconds."""


def report(
    case: str,
    version: int = 1,
    pairs: Sequence[tuple[str, str]] = (("IBUPROFEN", "NAUSEA"),),
    content: str = "",
    age: float | None = 40.0,
) -> Report:
    """A report whose suspect drugs and reactions are those of `pairs` (their product counts)."""
    drugs = sorted({d for d, _ in pairs})
    terms = sorted({t for _, t in pairs})
    return Report(
        safetyreportid=case,
        version=version,
        digest=hashlib.sha256(f"{case}/{version}/{content}/{drugs}/{terms}".encode()).digest(),
        receivedate=dt.date(2026, 1, 5),
        receiptdate=dt.date(2026, 1, 5),
        receipt_time=None,
        transmissiondate=dt.date(2026, 1, 6),
        serious=True,
        seriousness=("other",),
        age_years=age,
        sex=2,
        weight_kg=None,
        qualification=1,
        country="US",
        sender="FDA",
        company_number=None,
        duplicate_numbers=(),
        drugs=tuple(ReportedDrug(name=d, product=d, characterization=1, indication=None) for d in drugs),
        reactions=tuple(ReportedReaction(term=t, outcome=None) for t in terms),
        narrative_length=0,
        unknown_fields=0,
        unreadable=(),
    )


def accepted(sequence: int, of: Report, event_ms: int = T0, body: bytes = b"{}") -> Accepted:
    """An event that passed, enqueued at its event time."""
    return Accepted(sequence, event_ms, event_ms, body, of)


def refused(sequence: int, body: bytes = b"broken", reason: str = "broken_json") -> Refused:
    """An event that did not."""
    return Refused(sequence, T0, body, (reason,), "$")


def batch(lease: Lease, events: Sequence[Accepted | Refused], partition: str = "0", generation: int = 1) -> TaskBatch:
    """A task's batch on a hub's partition."""
    return TaskBatch(Source(lease.hub, generation, partition), lease.epoch, events, None, "suite-1")


def openfda(case: str, drug: str = "IBUPROFEN", reaction: str = "Nausea", **fields: Any) -> bytes:
    """The JSON of a small, usable report."""
    return json.dumps(
        {
            "safetyreportid": case,
            "safetyreportversion": "1",
            "receivedate": "20260105",
            "receivedateformat": "102",
            "receiptdate": "20260105",
            "receiptdateformat": "102",
            "serious": "2",
            "patient": {
                "patientonsetage": "44",
                "patientonsetageunit": "801",
                "patientsex": "2",
                "reaction": [{"reactionmeddrapt": reaction}],
                "drug": [{"medicinalproduct": drug, "drugcharacterization": "1"}],
            },
            **fields,
        }
    ).encode()
