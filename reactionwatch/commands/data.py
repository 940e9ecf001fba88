"""`generate`, `send` and `backfill`: how reports come in."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from generator.spike import Spike, SpikeFormatError, parse_spike
from reactionwatch.console import Progress, print_json, say, stopping
from reactionwatch.settings import load_settings

if TYPE_CHECKING:
    from generator.send import SendSummary
    from generator.stream import GeneratedReport
    from sql.task_write import TaskResult

__all__ = ["backfill", "generate", "send"]

Json = Annotated[bool, typer.Option("--json", help="Print the summary as JSON on standard output.")]


def _spike(text: str) -> Spike:
    try:
        return parse_spike(text)
    except SpikeFormatError as error:
        raise typer.BadParameter(str(error)) from None


def generate(
    rate: Annotated[float, typer.Option(min=0.01, help="Ordinary reports per second.")] = 10.0,
    count: Annotated[int | None, typer.Option(min=1, help="Stop after so many; default: go on until Ctrl-C.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed makes the same reports.")] = 0,
    spike: Annotated[
        list[Spike] | None,
        typer.Option(
            parser=_spike,
            metavar="DRUG/REACTION@START+LENGTHxFACTOR",
            help="Report a pair FACTOR times as often for LENGTH seconds, START seconds in; may be repeated.",
        ),
    ] = None,
    truth_file: Annotated[Path | None, typer.Option("--truth", help="Write what was planted to this file.")] = None,
    json_output: Json = False,
) -> None:
    """Send mock safety reports to the reports hub, continuously.

    Example: reactionwatch generate --rate 40 --spike "IBUPROFEN/Gastric ulcer@60+30x8"
    """
    from generator.population import Population
    from generator.reports import ReportFactory
    from generator.send import send_stream
    from generator.stream import Truth, stream
    from reactionwatch.wiring import report_sender

    settings = load_settings()
    truth = Truth()
    reports = stream(
        ReportFactory(Population(), seed),
        rate=rate,
        count=count,
        spikes=spike or (),
        started_at=dt.datetime.now(dt.UTC),
        truth=truth,
    )
    progress = Progress()
    with stopping() as stop, report_sender(settings) as sender:

        def until_stopped() -> Iterator[GeneratedReport]:
            return itertools.takewhile(lambda _: not stop.is_set(), reports)

        summary = send_stream(until_stopped(), sender, lambda s: progress.update(_sent(s)))
    progress.finish(_sent(summary))
    if truth_file is not None:
        truth_file.write_text(truth.to_json_lines(), encoding="utf-8")
    _close(summary, json_output)


def send(
    files: Annotated[
        list[Path],
        typer.Argument(exists=True, dir_okay=False, metavar="FILE...", help="JSON lines, array, openFDA."),
    ],
    json_output: Json = False,
) -> None:
    """Send the reports in files to the reports hub, as they are.

    Reads JSON lines, a JSON array, openFDA's own download files, and any of them gzipped (.gz).
    """
    from generator.send import send_file
    from reactionwatch.wiring import report_sender

    progress = Progress()
    with report_sender(load_settings()) as sender:
        summary = send_file([str(path) for path in files], sender, lambda s: progress.update(_sent(s)))
    progress.finish(_sent(summary))
    _close(summary, json_output)


def backfill(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="JSON lines, array or openFDA file.")],
    json_output: Json = False,
) -> None:
    """Store the reports of a file as history, to give the spike rules a baseline.

    Counts go by the receipt date (with its time of day where it has one), else the receive date. Nothing is judged
    or alerted. Running it again with the same file stores nothing twice; interrupted, it goes on where it was.
    """
    from reactionwatch.database import open_database
    from reactionwatch.wiring import backfill_settings
    from streaming.backfill import backfill as backfill_file

    settings = load_settings()
    engine = open_database(settings)
    progress = Progress()
    seen = 0

    def show(chunk: TaskResult) -> None:
        nonlocal seen
        seen += chunk.received
        progress.update(f"backfilled {seen:,} reports")

    with stopping() as stop:
        result = backfill_file(engine, file, backfill_settings(settings, engine), stop, show)
    progress.finish(
        f"backfilled {result.received:,} reports: {result.stored:,} stored, {result.quarantined:,} quarantined, "
        f"{result.duplicates:,} duplicates"
    )
    if stop.is_set():
        say("Stopped before the end of the file; run it again and it goes on there.")
    if json_output:
        print_json(vars(result))


def _sent(summary: SendSummary) -> str:
    rate = summary.sent / summary.seconds if summary.seconds > 0 else 0.0
    refused = f", {summary.refused:,} refused as too large" if summary.refused else ""
    return f"sent {summary.sent:,} reports{refused} in {summary.seconds:.0f} s ({rate:,.0f}/s)"


def _close(summary: SendSummary, json_output: bool) -> None:
    if json_output:
        print_json(vars(summary))
    if summary.refused:
        say(f"{summary.refused:,} reports were larger than the hub accepts and were not sent.")
        raise typer.Exit(1)
