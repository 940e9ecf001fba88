"""`generate`: mock reports to the hub, to a file or to standard output, with spikes and traps planted."""

from __future__ import annotations

import datetime as dt
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from generator.durations import parse_duration
from generator.spike import Spike, SpikeFormatError, parse_spike
from reactionwatch.commands.sending import close, sent
from reactionwatch.console import Progress, print_json, stopping
from reactionwatch.settings import load_settings

if TYPE_CHECKING:
    from generator.truth import GeneratedReport

__all__ = ["generate"]

_PAST = dt.timedelta(days=30)
"""How long ago simulated time begins where nothing else is said: enough for a baseline of days."""


def _spike(text: str) -> Spike:
    try:
        return parse_spike(text)
    except SpikeFormatError as error:
        raise typer.BadParameter(str(error)) from None


def _duration(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _speed(text: str | float) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)x?", str(text))  # the default comes as a number
    if match is None or float(match[1]) < 1:
        raise typer.BadParameter(f"{text!r} is no speed: write 1x for the wall's time, 1440x for a day a minute.")
    return float(match[1])


def _moment(text: str) -> dt.datetime:
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no moment: write it as 2026-01-31T06:00.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def generate(
    rate: Annotated[float, typer.Option(min=0.01, help="Ordinary reports per second of the wall's time.")] = 10.0,
    count: Annotated[int | None, typer.Option(min=1, help="Stop after so many; default: go on until Ctrl-C.")] = None,
    length: Annotated[
        float | None,
        typer.Option("--for", parser=_duration, metavar="LENGTH", help="Stop after so much of the reports' time (7d)."),
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed makes the same reports.")] = 0,
    spike: Annotated[
        list[Spike] | None,
        typer.Option(
            parser=_spike,
            metavar="DRUG/REACTION@START+LENGTHxFACTOR",
            help="Report a pair FACTOR times as often for LENGTH, START after the beginning; may be repeated.",
        ),
    ] = None,
    trap: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[@START+LENGTH]", help="Make it hard: a trap by name, or all. May be repeated; --list-traps."
        ),
    ] = None,
    list_traps: Annotated[bool, typer.Option("--list-traps", help="Say what the traps are, and do nothing.")] = False,
    clock: Annotated[
        float,
        typer.Option(parser=_speed, metavar="SPEED", help="How fast the reports' time runs: 1440x is a day a minute."),
    ] = 1.0,
    start: Annotated[
        dt.datetime | None,
        typer.Option(parser=_moment, metavar="MOMENT", help="When the reports' time begins (UTC unless said)."),
    ] = None,
    openfda: Annotated[bool, typer.Option("--openfda", help="With openfda blocks: about 17 KB a report.")] = False,
    out: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write JSON lines there, - is standard output, and send nothing.")
    ] = None,
    truth_file: Annotated[
        Path | None, typer.Option("--truth", metavar="FILE", help="Write what was planted there, as JSON lines.")
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print the summary as JSON on standard output.")] = False,
) -> None:
    """Make mock safety reports and send them to the reports hub, continuously, or write them to a file.

    Example: reactionwatch generate --rate 40 --spike "IBUPROFEN/Gastric ulcer@60+30x8"

    A month within half an hour, with everything that makes spikes hard to tell, for a stream that runs with
    REACTIONWATCH_EVENT_TIME=reported: reactionwatch generate --clock 1440x --trap all --truth truth.jsonl

    A file for backfill: reactionwatch generate --for 7d --rate 0.5 --out history.jsonl
    """
    from generator.clock import StreamClock
    from generator.population import Population, UnknownNameError
    from generator.reports import ReportFactory
    from generator.stream import stream
    from generator.traps.catalogue import described, parse_traps
    from generator.truth import Truth

    if list_traps:
        typer.echo(described())
        return
    if json_output and out == "-":
        raise typer.BadParameter("standard output takes either the reports or the summary.", param_hint="--json")
    now = dt.datetime.now(dt.UTC)
    begins = start if start is not None else _beginning(now, length, live=out is None and clock == 1.0)
    with ExitStack() as open_files:
        stop = open_files.enter_context(stopping())
        sink = open_files.enter_context(truth_file.open("w", encoding="utf-8")).write if truth_file else None
        truth = Truth(sink)
        try:
            reports = stream(
                ReportFactory(Population(), seed, openfda=openfda),
                rate=rate / clock,
                count=count,
                seconds=length,
                spikes=spike or (),
                traps=parse_traps(trap or (), blank_bodies=out is None),
                started_at=begins,
                clock=StreamClock(begins, clock, sleeper=stop.wait) if out is None else None,
                truth=truth,
            )
        except (UnknownNameError, ValueError) as error:
            raise typer.BadParameter(str(error)) from None
        try:
            if out is None:
                _send(reports, stop, json_output)
            else:
                _write(reports, out, stop, json_output)
        finally:
            truth.finish()


def _beginning(now: dt.datetime, length: float | None, *, live: bool) -> dt.datetime:
    """Live: now. Else so long ago that the reports' time ends now."""
    if live:
        return now
    return now - (dt.timedelta(seconds=length) if length is not None else _PAST)


def _until(stop: threading.Event, reports: Iterator[GeneratedReport]) -> Iterator[GeneratedReport]:
    return takewhile(lambda _: not stop.is_set(), reports)


def _send(reports: Iterator[GeneratedReport], stop: threading.Event, json_output: bool) -> None:
    from generator.send import send_stream
    from reactionwatch.wiring import report_sender

    progress = Progress()
    with report_sender(load_settings()) as sender:
        summary = send_stream(_until(stop, reports), sender, lambda s: progress.update(sent(s)))
    progress.finish(sent(summary))
    close(summary, json_output)


def _write(reports: Iterator[GeneratedReport], out: str, stop: threading.Event, json_output: bool) -> None:
    progress = Progress()
    began = time.monotonic()
    written = 0
    with ExitStack() as files:
        target = sys.stdout.buffer if out == "-" else files.enter_context(Path(out).open("wb"))
        try:
            for report in _until(stop, reports):
                target.write(report.body + b"\n")
                written += 1
                progress.update(f"wrote {written:,} reports")
            target.flush()
        except BrokenPipeError:
            sys.stdout = None  # whoever read it has enough; Python would complain when it closes it
    progress.finish(f"wrote {written:,} reports in {time.monotonic() - began:.0f} s")
    if json_output:
        print_json({"written": written, "seconds": round(time.monotonic() - began, 3)})
