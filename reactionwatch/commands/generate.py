"""`generate`: mock reports to the hub, to a file or to standard output, with spikes and traps planted."""

from __future__ import annotations

import datetime as dt
import re
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

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
    if not 1970 < moment.year < 2200:
        raise typer.BadParameter("reports come from the years 1971 to 2199.")
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def generate(
    rate: Annotated[
        float, typer.Option(min=0.01, help="Ordinary reports per second of the wall's time, at this clock.")
    ] = 10.0,
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
    openfda: Annotated[
        bool, typer.Option("--openfda", help="With openfda blocks: 13 KB a report on average, not 2.")
    ] = False,
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
    with ExitStack() as files, stopping() as stop:
        lines: list[IO[str]] = []
        truth = Truth(lambda line: lines[0].write(line) if lines else None)
        try:
            begins = start or _beginning(dt.datetime.now(dt.UTC), length, live=out is None and clock == 1.0)
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
                stopped=stop.is_set,
            )
        except (UnknownNameError, ValueError) as error:
            raise typer.BadParameter(str(error)) from None
        except OverflowError:
            raise typer.BadParameter("no calendar reaches as far as these times do.") from None
        if truth_file is not None:
            lines.append(files.enter_context(_opened(truth_file, "w", "--truth")))
        try:
            if out is None:
                _send(reports, json_output)
            else:
                target = sys.stdout.buffer if out == "-" else files.enter_context(_opened(Path(out), "wb", "--out"))
                _write(reports, target, json_output)
        finally:
            stop.set()  # what makes reports may be a thread ahead
            truth.finish()


def _opened(path: Path, mode: str, option: str) -> IO[Any]:
    try:
        return path.open(mode, encoding=None if "b" in mode else "utf-8")
    except OSError as error:
        raise typer.BadParameter(f"cannot write {path}: {error.strerror}", param_hint=option) from None


def _beginning(now: dt.datetime, length: float | None, *, live: bool) -> dt.datetime:
    """Live: now. Else so long ago that the reports' time ends now."""
    if live:
        return now
    return now - (dt.timedelta(seconds=length) if length is not None else _PAST)


def _send(reports: Iterator[GeneratedReport], json_output: bool) -> None:
    from generator.send import send_stream
    from reactionwatch.wiring import report_sender

    progress = Progress()
    with report_sender(load_settings()) as sender:
        summary = send_stream(reports, sender, lambda s: progress.update(sent(s)))
    progress.finish(sent(summary))
    close(summary, json_output)


def _write(reports: Iterator[GeneratedReport], target: IO[bytes], json_output: bool) -> None:
    progress = Progress()
    began = time.monotonic()
    written = 0
    try:
        for report in reports:
            target.write(report.body + b"\n")
            written += 1
            progress.update(f"wrote {written:,} reports")
        target.flush()
    except BrokenPipeError:
        sys.stdout = None  # whoever read it has enough; closing it would complain
    progress.finish(f"wrote {written:,} reports in {time.monotonic() - began:.0f} s")
    if json_output:
        print_json({"written": written, "seconds": round(time.monotonic() - began, 3)})
