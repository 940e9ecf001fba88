"""The demo's picture: a snapshot in, something for rich to draw out. Pure.

From 120 columns on in two columns, else one below the other; made to measure for 80 x 24. Names come from reports:
nothing in them reaches the terminal but printable text, and they are shortened between words.
"""

from __future__ import annotations

import datetime as dt
import textwrap
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.layout import Layout
from rich.progress_bar import ProgressBar
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from alerts.cloudevent import AlertNotice
from alerts.tail import describe
from generator.truth import Planted
from reactionwatch.demonstration.state import Entry, Snapshot, Step

__all__ = ["DemoView", "as_lines", "sparkline", "status_line"]

_WIDE = 120
_RIGHT = 80
"""Columns of the right side of a wide picture: what `describe` needs."""
_ALERT_LINES = 8
"""A title and one alert with its evidence."""
_MOST_PAIRS = 10
_REASON_LINES = 2
_REASONS_LISTED = 6
_BARS = "▁▂▃▄▅▆▇█"
_LINE = 80


@dataclass(frozen=True)
class DemoView:
    """Draws a snapshot in the width and height it is given."""

    snapshot: Snapshot

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """One layout as large as the screen."""
        width, height = options.max_width, options.height or console.height
        yield _wide(self.snapshot, width, height) if width >= _WIDE else _narrow(self.snapshot, width, height)


def sparkline(counts: tuple[int, ...]) -> str:
    """One bar per count, from zero to the largest of them."""
    shown = [max(count, 0) for count in counts]  # below zero for a moment, where a case has moved
    most = max(shown, default=0) or 1
    return "".join(_BARS[round(count / most * (len(_BARS) - 1))] for count in shown)


def status_line(snapshot: Snapshot) -> str:
    """The state in one line of at most 80 columns, for a pipe."""
    stored = snapshot.store.hub.stored if snapshot.store is not None else 0
    return _stamped(
        snapshot.elapsed_s,
        f"sent {snapshot.sent:,} ({snapshot.sent_per_s:.0f}/s), stored {stored:,} ({snapshot.stored_per_s:.0f}/s), "
        f"lag {snapshot.lag:,}, alerts {len(_latest(snapshot))}",
    )


def as_lines(entry: Entry) -> str:
    """What was told as plain lines of at most 80 columns."""
    return describe(entry.told).plain if isinstance(entry.told, AlertNotice) else _stamped(entry.at_s, entry.told)


def _stamped(at_s: float, text: str) -> str:
    return textwrap.fill(
        text,
        _LINE,
        initial_indent=f"[{at_s:3.0f} s] ",
        subsequent_indent=" " * 8,
        break_on_hyphens=False,
        break_long_words=False,
    )


def _narrow(snapshot: Snapshot, width: int, height: int) -> Layout:
    planted = 1 + len(snapshot.planted)
    left = height - 2 - 5 - planted
    alerts = _ALERT_LINES if snapshot.alerts else 3
    middle = _pairs(snapshot, width, max(left - alerts - 2, 3)) if snapshot.streaming else _checklist(snapshot, width)
    wanted = 2 + _MOST_PAIRS if snapshot.streaming else 2 + len(snapshot.steps)
    layout = Layout()
    layout.split_column(
        Layout(_head(snapshot, width), size=2),
        Layout(_numbers(snapshot, width), size=5),
        Layout(_planted(snapshot, width), size=planted),
        Layout(middle, size=max(min(left - alerts, wanted), 1)),
        Layout(_alerts(snapshot), ratio=1),
    )
    return layout


def _wide(snapshot: Snapshot, width: int, height: int) -> Layout:
    side = width - _RIGHT - 2
    layout = Layout()
    columns = Layout()
    layout.split_column(Layout(_head(snapshot, width), size=2), columns)
    right = Layout(size=_RIGHT)
    columns.split_row(
        Layout(Group(_numbers_listed(snapshot), _planted(snapshot, side), _checklist(snapshot, side)), size=side),
        Layout(Text(" "), size=2),
        right,
    )
    rows = max(min(_MOST_PAIRS, height - 4 - _ALERT_LINES), 3)
    right.split_column(
        Layout(_pairs(snapshot, _RIGHT, rows), size=rows + 2),
        Layout(_alerts(snapshot), ratio=1),
    )
    return layout


def _head(snapshot: Snapshot, width: int) -> RenderableType:
    title = _sides(
        Text("ReactionWatch demo", style="bold"),
        Text(f"{_clock(snapshot.elapsed_s)}   reports are sent until {_clock(snapshot.sending_s)}"),
    )
    step = snapshot.current
    if snapshot.stopping:
        until = "what was sent is stored" if snapshot.streaming else "the steps under way have ended"
        return Group(title, Text(f"Stopping when {until}. Ctrl-C again ends at once.", style="yellow"))
    if step is None:
        return Group(title, Text(""))
    if snapshot.history_complete and step.title == "Baseline":
        return Group(title, _baseline_bar(snapshot))
    return Group(title, Text(_shortened(f"▸ {step.title}: {step.explained}", width), style="cyan"))


def _baseline_bar(snapshot: Snapshot) -> RenderableType:
    stored = snapshot.store.others.received if snapshot.store is not None else 0
    row = Table.grid(expand=True, padding=(0, 1))
    row.add_column(no_wrap=True)
    row.add_column(ratio=1)
    row.add_row(
        Text(f"▸ Baseline: {stored:,} of {snapshot.history_written:,} earlier reports stored", style="cyan"),
        ProgressBar(total=max(snapshot.history_written, 1), completed=stored),
    )
    return row


def _figures(snapshot: Snapshot) -> dict[str, tuple[str, str]]:
    """Name, number and remark of what is counted."""
    store = snapshot.store
    hub = store.hub if store is not None else None
    watched = store.watched if store is not None else {}
    widths = ", ".join(f"{count:,} of {width // 1000} s" for width, count in watched.items())
    return {
        "sent": (f"{snapshot.sent:,}", f"{snapshot.sent_per_s:.0f}/s"),
        "stored": (f"{hub.stored if hub else 0:,}", f"{snapshot.stored_per_s:.0f}/s"),
        "lag": (f"{snapshot.lag:,}", "not stored yet" if snapshot.lag else ""),
        "duplicates": (f"{hub.duplicates if hub else 0:,}", ""),
        "watched": (f"{sum(watched.values()):,}", widths),
        "baseline": (f"{store.others.stored if store is not None else 0:,}", "earlier reports"),
        "quarantined": (f"{hub.quarantined if hub else 0:,}", ""),
    }


def _numbers(snapshot: Snapshot, width: int) -> RenderableType:
    """Three lines of figures in two columns, two of reasons."""
    figures = _figures(snapshot)
    names = list(figures)
    table = Table.grid(padding=(0, 1))
    for justify, least in (("left", 6), ("right", 7), ("left", 20), ("left", 10), ("right", 7), ("left", 0)):
        table.add_column(justify=justify, min_width=least, no_wrap=True)  # type: ignore[arg-type]  # literals above
    for left, right in zip(names[:3], names[3:6], strict=True):
        table.add_row(*_figure(left, figures[left]), *_figure(right, figures[right]))
    start = f"quarantined {figures['quarantined'][0]}"
    quarantined = Text("\n".join(_listed(start, _reasons(snapshot), width)))
    quarantined.stylize("bold", len("quarantined "), len(start))
    return Group(table, quarantined)


def _listed(start: str, reasons: list[tuple[str, int]], width: int) -> list[str]:
    """`start` and as many of the reasons as two lines hold, the most frequent first."""
    lines = [start]
    for shown in range(1, len(reasons) + 1):
        text = f"{start}: " + ", ".join(f"{reason} {count:,}" for reason, count in reasons[:shown])
        if shown < len(reasons):
            text += f" and {len(reasons) - shown} more"
        wrapped = textwrap.wrap(text, max(width, 1), break_on_hyphens=False)
        if len(wrapped) > _REASON_LINES:
            break
        lines = wrapped
    return lines


def _reasons(snapshot: Snapshot) -> list[tuple[str, int]]:
    found = snapshot.store.quarantined_by_reason if snapshot.store is not None else {}
    return sorted(found.items(), key=lambda reason: (-reason[1], reason[0]))


def _numbers_listed(snapshot: Snapshot) -> RenderableType:
    """One figure a line, reasons below their sum."""
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column()
    for name, figure in _figures(snapshot).items():
        table.add_row(*_figure(name, figure))
    for reason, count in _reasons(snapshot)[:_REASONS_LISTED]:
        table.add_row(Text(f"  {reason}", style="dim"), Text(f"{count:,}", style="dim"), "")
    if len(_reasons(snapshot)) > _REASONS_LISTED:
        rest = sum(count for _, count in _reasons(snapshot)[_REASONS_LISTED:])
        table.add_row(Text("  other reasons", style="dim"), Text(f"{rest:,}", style="dim"), "")
    return table


def _figure(name: str, figure: tuple[str, str]) -> tuple[Text, Text, Text]:
    number, remark = figure
    return Text(name), Text(number, style="bold"), Text(remark, style="dim")


def _planted(snapshot: Snapshot, width: int) -> RenderableType:
    lines: list[RenderableType] = [_title("Planted, and not told to the stream")]
    for spike in snapshot.planted:
        state, style = _state(spike, snapshot)
        subject = f"{_printable(spike.drug)} / {_printable(spike.reaction)} x{spike.factor or 1:g}"
        if width >= _RIGHT:
            lines.append(_sides(Text(_shortened(subject, width - len(state) - 1)), Text(state, style=style)))
        else:
            lines += [Text(_hanging(subject, width)), Text(_hanging(f"  {state}", width), style=style)]
    return Group(*lines)


def _state(spike: Planted, snapshot: Snapshot) -> tuple[str, str]:
    """Where a planted spike stands, and in which colour."""
    told = [n.time for n in snapshot.alerts if n.change == "opened" and (n.drug, n.reaction) == spike.pair]
    found = f", alert after {(min(told) - spike.start).total_seconds():.0f} s" if told else ""
    now = snapshot.started + dt.timedelta(seconds=snapshot.elapsed_s)
    if now < spike.start:
        return f"begins in {(spike.start - now).total_seconds():.0f} s", "dim"
    style = "green" if told else "yellow"
    if now < spike.end:
        return f"on for {(now - spike.start).total_seconds():.0f} s, +{spike.reports} reports{found}", style
    return f"over, +{spike.reports} reports{found or ', no alert'}", style


def _checklist(snapshot: Snapshot, width: int) -> RenderableType:
    return Group(_title("Steps"), *(_item(step, snapshot, width) for step in snapshot.steps))


def _item(step: Step, snapshot: Snapshot, width: int) -> Text:
    if step.began_s is None:
        return Text(_hanging(f"· {step.title}: {step.explained}", width), style="dim")
    if step.ended_s is not None:
        return Text(_hanging(f"✓ {step.title}: {step.result} ({step.ended_s - step.began_s:.0f} s)", width))
    text = step.explained
    if step.title == "Baseline" and not snapshot.history_complete and snapshot.history_written:
        text = f"{snapshot.history_written:,} earlier reports written"
    took = f" ({snapshot.elapsed_s - step.began_s:.0f} s)"
    return Text(_hanging(f"▸ {step.title}: {text}{took}", width), style="cyan")


def _pairs(snapshot: Snapshot, width: int, rows: int) -> RenderableType:
    store = snapshot.store
    if store is None or store.window_start_ms is None:
        return Group(_title("Top pairs"), Text("No report has been counted yet.", style="dim"))
    start = dt.datetime.fromtimestamp(store.window_start_ms / 1000, dt.UTC)
    table = Table.grid(padding=(0, 1))
    trend = max((len(pair.trend) for pair in store.top), default=0)
    names = max((width - trend - 5 - 8 - 4) // 2, 1)
    table.add_column(width=names, no_wrap=True)
    table.add_column(width=names, no_wrap=True)
    table.add_column(width=5, justify="right")
    table.add_column(width=8, justify="right")
    table.add_column(width=trend, no_wrap=True)
    table.add_row("drug", "reaction", "cases", "expected", "trend", style="dim")
    for pair in sorted(store.top, key=lambda pair: pair.expected is None)[:rows]:
        found = pair.expected is not None
        table.add_row(
            Text(_shortened(_printable(pair.drug), names)),
            Text(_shortened(_printable(pair.reaction), names)),
            f"{pair.cases:,}",
            f"{pair.expected:.1f}" if pair.expected is not None else "",
            Text(sparkline(pair.trend), style="red" if found else "cyan"),
            style="bold red" if found else "",
        )
    return Group(_title(f"Top pairs in the 30 s window from {start:%H:%M:%S} UTC, unusual ones first"), table)


def _alerts(snapshot: Snapshot) -> RenderableType:
    latest = _latest(snapshot)
    going_on = sum(notice.change != "closed" for notice in latest)
    if not latest:
        text = "None so far." if snapshot.streaming else "None: nothing is judged before the stream runs."
        return Group(_title("Alerts"), Text(text, style="dim"))
    title = _title(f"Alerts: {going_on} going on, {len(latest) - going_on} closed; newest first")
    return Group(title, *(_evidence(notice) for notice in latest))


def _evidence(notice: AlertNotice) -> Text:
    """All that is said of it but the id, which stays in what is told after the picture."""
    return Text("\n").join(describe(notice).split("\n")[:-1])


def _latest(snapshot: Snapshot) -> list[AlertNotice]:
    """Each alert's last message, the newest first."""
    newest = {notice.alert_id: notice for notice in snapshot.alerts}
    return sorted(newest.values(), key=lambda notice: notice.time, reverse=True)


def _title(text: str) -> RenderableType:
    return Rule(Text(text, style="bold"), align="left", style="dim")


def _sides(left: Text, right: Text) -> RenderableType:
    row = Table.grid(expand=True)
    row.add_column(no_wrap=True)
    row.add_column(justify="right", no_wrap=True)
    row.add_row(left, right)
    return row


def _hanging(text: str, width: int) -> str:
    return textwrap.fill(text, max(width, 3), subsequent_indent="  ", break_on_hyphens=False)


def _shortened(text: str, width: int) -> str:
    """Cut between words where it is too long; a single word that is too long is cut all the same."""
    if len(text) <= width:
        return text
    short = textwrap.shorten(text, max(width, 2), placeholder=" …")
    return short if short.strip() != "…" else text[: width - 1] + "…"


def _printable(text: str | None) -> str:
    return "".join(c if c.isprintable() else "\ufffd" for c in text or "")


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
