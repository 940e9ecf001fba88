"""What an officer sees: alerts as they arrive, in words, at 80 columns, in a terminal or a pipe.

`follow` shows every alert at least once and drops repeats it remembers; `describe` never lets a name from a report
reach the terminal as anything but text.
"""

from __future__ import annotations

import datetime as dt
import logging
import textwrap
import threading
from collections import OrderedDict
from collections.abc import Iterator

from rich.text import Text

from alerts.alert import AlertKind
from alerts.cloudevent import AlertEvidence, AlertFormatError, AlertNotice, AlertWindow, from_cloudevent
from alerts.policy import Change
from eventhubs.errors import EventHubsError
from eventhubs.receiver import HubReceiver, PartitionInfo

__all__ = ["describe", "follow"]

_WIDTH = 80
_POLL_SECONDS = 0.5
_CASES_SHOWN = 4
"""Case ids a person is shown to begin with; the event names more, the database all."""
_REMEMBERED = 10_000
"""Event ids kept to drop repeats."""

_STYLES: dict[Change, str] = {"opened": "red", "grew": "yellow", "closed": "green", "updated": "default"}
_UNITS = ((86_400.0, "day"), (3_600.0, "hour"), (60.0, "minute"), (1.0, "second"))

_log = logging.getLogger(__name__)


def follow(receiver: HubReceiver, *, from_start: bool, stop: threading.Event) -> Iterator[AlertNotice]:
    """Alerts of all partitions until `stop` is set, from the oldest kept or from now on.

    Revisions of one alert come in order. Events that are no alerts are skipped with a warning. A transient error is
    logged and the reading goes on from where it was; others are raised.
    """
    seen = _Seen()
    partition_ids = receiver.hub_info().partition_ids
    positions = {
        info.partition_id: info.begin_sequence if from_start else info.next_sequence
        for info in receiver.partition_infos(partition_ids)
    }
    while not stop.is_set():
        try:
            for info in receiver.partition_infos(partition_ids):
                for notice in _arrived(receiver, info, positions, stop):
                    if seen.add(notice.event_id):
                        yield notice
        except EventHubsError as error:
            if not error.transient:
                raise
            _log.warning("Reading alerts was interrupted and goes on: %s", error)
        stop.wait(_POLL_SECONDS)


def describe(notice: AlertNotice) -> Text:
    """A few lines about one alert, none longer than 80 columns; `.plain` for a pipe. All times are UTC."""
    if notice.kind is AlertKind.REACTION_SPIKE and notice.window is not None:
        subject, lines = _spike(notice, notice.window)
    elif notice.kind is AlertKind.PIPELINE:
        subject, lines = _pipeline(notice)
    else:
        subject, lines = _unusual_report(notice)
    lines.append(f"alert {_printable(notice.alert_id)}, revision {notice.revision}")
    change = notice.change.upper()
    headline = _wrapped(f"{change} {_moment(notice.time)}  {subject}", first="")
    text = Text(headline, style="bold")
    text.stylize(_STYLES[notice.change], 0, len(change))
    return Text("\n").join([text, *(Text(_wrapped(line, first="  ")) for line in lines)])


class _Seen:
    """Remembers the latest event ids."""

    def __init__(self) -> None:
        self._ids: OrderedDict[str, None] = OrderedDict()

    def add(self, event_id: str) -> bool:
        """False when the id is known already."""
        if event_id in self._ids:
            return False
        self._ids[event_id] = None
        if len(self._ids) > _REMEMBERED:
            self._ids.popitem(last=False)
        return True


def _first_readable(info: PartitionInfo, wanted: int) -> int:
    """Where to read on: past what retention has dropped, and from the start of a hub that was created anew."""
    return info.begin_sequence if wanted > info.next_sequence else max(wanted, info.begin_sequence)


def _arrived(
    receiver: HubReceiver, info: PartitionInfo, positions: dict[str, int], stop: threading.Event
) -> Iterator[AlertNotice]:
    """The partition's alerts since its position, which moves past each event before it is given out."""
    first = positions[info.partition_id] = _first_readable(info, positions[info.partition_id])
    if first == info.next_sequence:
        return
    for events in receiver.read(info.partition_id, first, info.next_sequence - first):
        for event in events:
            if stop.is_set():
                return
            positions[info.partition_id] = event.sequence + 1
            try:
                yield from_cloudevent(event.body)
            except AlertFormatError as error:
                _log.warning("Skipped event %s of partition %s: %s", event.sequence, info.partition_id, error)


def _spike(notice: AlertNotice, window: AlertWindow) -> tuple[str, list[str]]:
    cases, expected, z = notice.cases or 0, notice.expected or 0.0, notice.z or 0.0
    lines = [
        f"{cases} cases in {_duration(window.seconds)}, {_number(expected)} expected (give or take "
        f"{_number(notice.spread or 0.0)}): {_how_far(z)}, z={z:.1f}, by chance {_chance(notice.p or 0.0)}",
        f"since {_moment(notice.since)}; {_ending(notice)}",
        f"{_windows(window)} from {_moment(window.start)}"
        f"{_other_widths(notice.widths, window.seconds / window.windows)}",
    ]
    if notice.evidence is not None:
        lines += _known(notice.evidence)
    if notice.safetyreportids:
        lines.append(_evidence(notice.safetyreportids))
    return f"{_printable(notice.drug)} / {_printable(notice.reaction)}", lines


def _windows(window: AlertWindow) -> str:
    return "window" if window.windows == 1 else f"{window.windows} windows together,"


def _known(evidence: AlertEvidence) -> list[str]:
    """How the pair stands out at all, and what the cases have in common."""
    lines = [
        f"ever since: {evidence.cases:,} cases, {_ratio(evidence.expected)} expected by chance; PRR "
        f"{_ratio(evidence.prr)} (chi-squared {_ratio(evidence.chi_squared)}), ROR {_ratio(evidence.ror)} "
        f"({_ratio(evidence.ror_lower)} to {_ratio(evidence.ror_upper)}), IC {evidence.ic:.2f} "
        f"({evidence.ic025:.2f} to {evidence.ic975:.2f})"
    ]
    common = []
    if evidence.serious_share is not None:
        common.append(f"{evidence.serious_share:.0%} serious")
    if evidence.largest_sender_share is not None:
        common.append(f"{evidence.largest_sender_share:.0%} from one sender")
    if evidence.same_duplicate_number:
        common.append(f"{evidence.same_duplicate_number} share a duplicate number")
    return [*lines, "of the cases " + ", ".join(common)] if common else lines


def _ratio(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _unusual_report(notice: AlertNotice) -> tuple[str, list[str]]:
    report = ", ".join(_printable(report) for report in notice.safetyreportids)
    lines = [f"anomaly score {notice.score or 0.0:.2f}, judged by model {_printable(notice.model_version)}"]
    if notice.reasons:
        lines.append("because " + "; ".join(_printable(reason) for reason in notice.reasons))
    lines.append(f"reported {_moment(notice.since)}")
    return f"unusual report {report}, version {notice.version}", lines


def _pipeline(notice: AlertNotice) -> tuple[str, list[str]]:
    lines = [
        f"{_printable(notice.measure)} is {_amount(notice.observed or 0.0)} over the newest {notice.events or 0:,} "
        f"events, {_limits(notice.minimum, notice.maximum)} expected",
        f"since {_moment(notice.since)}; "
        + (f"well since {_moment(notice.until)}" if notice.change == "closed" else "still going on"),
    ]
    if notice.why:
        lines.append(_printable(notice.why))
    return f"pipeline: {_printable(notice.expectation)}", lines


def _limits(minimum: float | None, maximum: float | None) -> str:
    if minimum is None and maximum is None:
        return "nothing in particular"
    if minimum is None:
        return f"at most {_amount(maximum or 0.0)}"
    return f"at least {_amount(minimum)}" if maximum is None else f"{_amount(minimum)} to {_amount(maximum)}"


def _amount(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"


def _ending(notice: AlertNotice) -> str:
    return f"quiet since {_moment(notice.until)}" if notice.change == "closed" else "still going on"


def _other_widths(widths: tuple[float, ...], shown: float) -> str:
    others = [_duration(width) for width in widths if width != shown]
    return f"; also unusual within {' and '.join(others)}" if others else ""


def _evidence(safetyreportids: tuple[str, ...]) -> str:
    others = " and others" if len(safetyreportids) > _CASES_SHOWN else ""
    return "cases " + ", ".join(map(_printable, safetyreportids[:_CASES_SHOWN])) + others


def _how_far(z: float) -> str:
    if z >= 20:
        return "beyond anything usual"
    if z >= 10:
        return "very far above the usual"
    return "far above the usual" if z >= 5 else "above the usual"


def _chance(p: float) -> str:
    """A probability as people say it, rounded towards caution."""
    if p < 1e-9:
        return "less than once in a billion such windows"
    return f"once in {_number(float(f'{1 / p:.1g}'))} such windows"


def _duration(seconds: float) -> str:
    """In the largest unit that needs no fraction: 90 seconds, not 1.5 minutes."""
    size, unit = next((found for found in _UNITS if seconds % found[0] == 0), _UNITS[-1])
    count = seconds / size
    return f"{count:g} {unit}{'' if count == 1 else 's'}"


def _number(value: float) -> str:
    if value >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 1 else f"{value:.2g}"


def _moment(moment: dt.datetime) -> str:
    return f"{moment.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC"


def _printable(text: str | None) -> str:
    """Names come from reports: control characters in them must not reach a terminal."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text) if text else "(not named)"


def _wrapped(line: str, first: str) -> str:
    return textwrap.fill(line, _WIDTH, initial_indent=first, subsequent_indent="    ", break_on_hyphens=False)
