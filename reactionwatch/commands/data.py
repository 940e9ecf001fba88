"""`send` and `backfill`: how files of reports come in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reactionwatch.commands.sending import close, sent
from reactionwatch.console import Progress, print_json, say, stopping
from reactionwatch.settings import load_settings

if TYPE_CHECKING:
    from sql.task_write import TaskResult

__all__ = ["backfill", "send"]

Json = Annotated[bool, typer.Option("--json", help="Print the summary as JSON on standard output.")]


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
        summary = send_file([str(path) for path in files], sender, lambda s: progress.update(sent(s)))
    progress.finish(sent(summary))
    close(summary, json_output)


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
