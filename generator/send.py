"""Sends generated reports, or files of reports, to a hub.

Delivery is the sender's: at least once, in order per partition key. The key is the case, so all versions of a
case land in one partition. An event above the hub's size limit is counted as refused and the rest goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Protocol

import msgspec

from eventhubs.sender import OutgoingEvent
from expectations.report_file import read_bodies
from generator.batching import batches
from generator.truth import GeneratedReport

__all__ = ["EventSender", "SendSummary", "send_file", "send_stream"]

BATCH_SIZE = 2_000
LINGER_S = 0.2
"""A report of a slow stream waits at most this long for others to share its batch."""


class EventSender(Protocol):
    """What is needed of `eventhubs.sender.HubSender`."""

    def send(
        self,
        events: Iterable[OutgoingEvent],
        on_sent: Callable[[int], None] | None = None,
        on_refused: Callable[[int, OutgoingEvent], None] | None = None,
    ) -> int:
        """Send all events; return how many were acknowledged."""


@dataclass(frozen=True)
class SendSummary:
    """What became of the events given so far."""

    sent: int
    """Acknowledged by the hub."""
    refused: int
    """Too large for the hub."""
    seconds: float
    """Since sending began."""


Progress = Callable[[SendSummary], None]


def send_stream(
    reports: Iterable[GeneratedReport], sender: EventSender, on_progress: Progress | None = None
) -> SendSummary:
    """Send reports as they come: full batches of a fast stream, at most `LINGER_S` of waiting in a slow one.

    `on_progress` hears the running summary after every batch. Errors of the stream and of the sender are raised.
    """
    events = (OutgoingEvent(report.body, report.case_id) for report in reports)
    with closing(batches(events, BATCH_SIZE, LINGER_S)) as batched:
        return _send(batched, sender, on_progress)


def send_file(
    paths: str | PathLike[str] | Sequence[str | PathLike[str]],
    sender: EventSender,
    on_progress: Progress | None = None,
) -> SendSummary:
    """Send every body of one or several files (JSON lines or arrays), unchanged, broken ones too.

    The partition key is the safetyreportid where one can be read, else none. Raises
    `ReportFileError` for a file that cannot be read.
    """
    several = [paths] if isinstance(paths, str | PathLike) else paths
    bodies = (body for path in several for body in read_bodies(Path(path)))
    events = (OutgoingEvent(body, _case_id(body)) for body in bodies)
    return _send(_chunks(events), sender, on_progress)


def _send(batched: Iterable[list[OutgoingEvent]], sender: EventSender, on_progress: Progress | None) -> SendSummary:
    began = time.monotonic()
    refused: list[int] = []
    summary = SendSummary(0, 0, 0.0)
    for batch in batched:
        sent = sender.send(batch, on_refused=lambda index, _: refused.append(index))
        summary = SendSummary(summary.sent + sent, len(refused), time.monotonic() - began)
        if on_progress is not None:
            on_progress(summary)
    return summary


def _chunks(events: Iterator[OutgoingEvent]) -> Iterator[list[OutgoingEvent]]:
    while chunk := list(islice(events, BATCH_SIZE)):
        yield chunk


class _Identified(msgspec.Struct):
    safetyreportid: str | int | None = None


_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_identified = msgspec.json.Decoder(_Identified)


def _case_id(body: bytes) -> str | None:
    """The report's case, if the body is whole enough to tell; key length is limited as by Event Hubs."""
    try:
        case_id = _identified.decode(body.removeprefix(_BYTE_ORDER_MARK)).safetyreportid
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return str(case_id)[:128] if case_id not in (None, "") else None
