"""Alerts on the wire: CloudEvents 1.0 in structured JSON, their data as `schema/alert.v1.json` says.

The data only ever gain fields; a consumer ignores those it does not know. Anything else gets a new schema.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Annotated

import msgspec
from cloudevents.core.exceptions import CloudEventValidationError
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from alerts.alert import AlertKind, PipelineFinding
from alerts.policy import AlertChange, Change

__all__ = [
    "CONTENT_TYPE",
    "DATA_SCHEMA",
    "EVIDENCE_LIMIT",
    "AlertData",
    "AlertEvidence",
    "AlertFormatError",
    "AlertNotice",
    "AlertWindow",
    "from_cloudevent",
    "to_cloudevent",
]

CONTENT_TYPE = JSONFormat.CONTENT_TYPE
DATA_SCHEMA = "urn:reactionwatch:schema:alert:v1"
EVIDENCE_LIMIT = 20
"""Most safetyreportids that one event carries."""

_TYPE_PREFIX = "org.reactionwatch.alert."
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

Moment = Annotated[dt.datetime, msgspec.Meta(tz=True)]


class AlertFormatError(ValueError):
    """The bytes are not an alert event that this version can read. Never repeats what they hold."""


class AlertWindow(msgspec.Struct, frozen=True):
    """The time that the numbers are of."""

    start: Moment
    seconds: float
    windows: int = 1
    """How many windows of one width that is."""


class AlertEvidence(msgspec.Struct, frozen=True):
    """What else is known of a spike's pair and its cases. Shares are 0 to 1, None where nothing is known."""

    cases: int
    """Cases of the pair since counting began."""
    expected: float
    """Of these, how many chance alone would give."""
    prr: float
    chi_squared: float
    ror: float
    ror_lower: float
    ror_upper: float
    ic: float
    ic025: float
    ic975: float
    largest_sender_share: float | None
    """Of the episode's cases, those of the sender with most of them."""
    same_duplicate_number: int | None
    """Of the episode's cases, how many carry a duplicate number that another one carries."""
    serious_share: float | None
    """Of the episode's cases that say whether they are serious, those that are."""


class AlertData(msgspec.Struct, frozen=True, kw_only=True):
    """The event's data. Fields of the other kinds are None or empty."""

    alert_id: str
    revision: int
    change: Change
    kind: AlertKind
    since: Moment
    """Start of the first alarmed window; an unusual report's event time; when a failed expectation was first seen."""
    until: Moment
    """End of the last alarmed window; an unusual report's event time; when it was last seen."""
    safetyreportids: tuple[str, ...]
    """Evidence: at most 20 of the cases."""
    drug: str | None = None
    reaction: str | None = None
    window: AlertWindow | None = None
    cases: int | None = None
    expected: float | None = None
    spread: float | None = None
    z: float | None = None
    p: float | None = None
    widths: tuple[float, ...] = ()
    """Seconds of every width that alarmed, ascending."""
    evidence: AlertEvidence | None = None
    version: int | None = None
    score: float | None = None
    reasons: tuple[str, ...] = ()
    model_version: str | None = None
    expectation: str | None = None
    """Code of the expectation about the pipeline that failed."""
    why: str | None = None
    """Why it is expected, in the words of the suite; null when the suite does not hold it any more."""
    measure: str | None = None
    """What was measured; also null then, as are both limits."""
    observed: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    events: int | None = None
    """How many of the newest events were looked at."""


class AlertNotice(AlertData, frozen=True, kw_only=True):
    """An alert event as read: its data, and what its envelope says."""

    event_id: str
    """Alert id and revision; the same in every repeat."""
    source: str
    time: Moment
    """When it was told."""


def to_cloudevent(
    change: AlertChange,
    *,
    source: str,
    cases: Sequence[str],
    now: dt.datetime,
    evidence: AlertEvidence | None = None,
    finding: PipelineFinding | None = None,
) -> bytes:
    """The event that tells of `change`.

    `source` is the URI reference of the stream that speaks, `cases` the safetyreportids of the evidence (the first
    20 are kept), `now` an aware time, `evidence` what is known of a spike's pair and cases, `finding` the latest of an
    alert about the pipeline. Raises ValueError for a change that is not to be published.
    """
    if not change.publish:
        raise ValueError("a change that is not published becomes no event")
    match change.alert.kind:
        case AlertKind.REACTION_SPIKE:
            data = _spike_data(change, cases, evidence)
        case AlertKind.UNUSUAL_REPORT:
            data = _report_data(change)
        case AlertKind.PIPELINE:
            data = _pipeline_data(change, finding)
    event = CloudEvent(
        {
            "id": f"{data.alert_id}/{data.revision}",
            "source": source,
            "type": _TYPE_PREFIX + change.change,
            "subject": _subject(data),
            "time": now.astimezone(dt.UTC),
            "datacontenttype": "application/json",
            "dataschema": DATA_SCHEMA,
            "partitionkey": data.alert_id,
        },
        msgspec.to_builtins(data),
    )
    return JSONFormat().write(event)


def from_cloudevent(body: bytes) -> AlertNotice:
    """Read an alert event; raises `AlertFormatError`."""
    try:
        event = JSONFormat().read(CloudEvent, body)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, CloudEventValidationError):
        # The cause would carry the event's text.
        raise AlertFormatError("not a CloudEvent 1.0 in structured JSON") from None
    if not event.get_type().startswith(_TYPE_PREFIX):
        raise AlertFormatError("a CloudEvent of another type, not an alert: is this the alerts hub?")
    if event.get_dataschema() != DATA_SCHEMA:
        raise AlertFormatError(f"an alert of another data schema than {DATA_SCHEMA}: use a version that knows it")
    data = event.get_data()
    if not isinstance(data, dict):
        raise AlertFormatError("an alert event without JSON data")
    envelope = {"event_id": event.get_id(), "source": event.get_source(), "time": event.get_time()}
    try:
        return msgspec.convert({**data, **envelope}, AlertNotice)
    except msgspec.ValidationError as error:
        raise AlertFormatError(f"an alert whose data do not follow {DATA_SCHEMA}{_place(error)}") from None


def _spike_data(change: AlertChange, cases: Sequence[str], evidence: AlertEvidence | None) -> AlertData:
    alert = change.alert
    return AlertData(
        alert_id=alert.alert_id,
        revision=alert.revision,
        change=change.change,
        kind=alert.kind,
        since=_moment(alert.since),
        until=_moment(alert.last_alarm_end),
        safetyreportids=tuple(cases[:EVIDENCE_LIMIT]),
        drug=alert.drug,
        reaction=alert.reaction,
        window=AlertWindow(_moment(alert.evidence_start), alert.windows * alert.width_ms / 1000, windows=alert.windows),
        cases=alert.cases,
        expected=alert.expected,
        spread=alert.spread,
        z=alert.z,
        p=alert.p,
        widths=tuple(width / 1000 for width in alert.widths),
        evidence=evidence,
    )


def _report_data(change: AlertChange) -> AlertData:
    alert = change.alert
    return AlertData(
        alert_id=alert.alert_id,
        revision=alert.revision,
        change=change.change,
        kind=alert.kind,
        since=_moment(alert.since),
        until=_moment(alert.last_alarm_end),
        safetyreportids=(alert.safetyreportid,) if alert.safetyreportid else (),
        version=alert.version,
        score=alert.score,
        reasons=alert.reasons,
        model_version=alert.model_version,
    )


def _pipeline_data(change: AlertChange, finding: PipelineFinding | None) -> AlertData:
    alert = change.alert
    return AlertData(
        alert_id=alert.alert_id,
        revision=alert.revision,
        change=change.change,
        kind=alert.kind,
        since=_moment(alert.since),
        until=_moment(alert.last_alarm_end),
        safetyreportids=(),
        expectation=alert.expectation,
        why=finding.why if finding else None,
        measure=finding.measure if finding else None,
        observed=alert.observed,
        minimum=finding.minimum if finding else None,
        maximum=finding.maximum if finding else None,
        events=alert.cases,
    )


def _subject(data: AlertData) -> str:
    match data.kind:
        case AlertKind.REACTION_SPIKE:
            return f"{data.drug} / {data.reaction}"
        case AlertKind.UNUSUAL_REPORT:
            return f"report {', '.join(data.safetyreportids)}"
        case AlertKind.PIPELINE:
            return f"pipeline {data.expectation}"


def _moment(ms: int) -> dt.datetime:
    return _EPOCH + dt.timedelta(milliseconds=ms)


def _place(error: msgspec.ValidationError) -> str:
    """Where in the data, without the value that msgspec may quote."""
    _, found, path = str(error).rpartition(" - at `")
    return f" at {path.rstrip('`')}" if found else ""
