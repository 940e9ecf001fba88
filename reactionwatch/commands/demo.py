"""`reactionwatch demo`: everything at once, on this machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from reactionwatch.console import print_json, say, stopping
from reactionwatch.settings import load_settings

__all__ = ["demo"]


def demo(
    seconds: Annotated[float, typer.Option(min=120, help="How long reports are sent.")] = 120.0,
    rate: Annotated[float, typer.Option(min=10, max=500, help="Ordinary reports per second.")] = 80.0,
    seed: Annotated[int, typer.Option(help="Another seed, another world.")] = 0,
    traps: Annotated[
        bool, typer.Option("--traps", help="Make it hard: every trap of the generator at once (generate --list-traps).")
    ] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print the summary as JSON on standard output.")] = False,
) -> None:
    """Run the whole chain on this machine, with two planted spikes, and judge what it found.

    Local hub, earlier reports as a baseline, a model in MLflow, generator, Spark stream, SQLite and alerts; a live
    view on a terminal, lines in a pipe. Exit 1 when a report is unaccounted for or a planted spike is missed.
    """
    say("Getting ready: a local hub, a database, and two spikes to plant ...")
    from reactionwatch.demonstration.closing import next_steps, summary_table
    from reactionwatch.demonstration.reports import DemoOptions
    from reactionwatch.demonstration.run import run_demo

    folder = load_settings().data_dir / "demo"
    with stopping() as stop:
        summary = run_demo(folder, DemoOptions(seconds, rate, seed, traps), stop, Console(stderr=True, highlight=False))
    if json_output:
        print_json(summary.as_json())
    else:
        Console().print(summary_table(summary))
        say(next_steps(_from_here(folder), _from_here(Path(sys.executable).parent), _misleading()))
    if not summary.ok:
        raise typer.Exit(1)


def _from_here(path: Path) -> Path:
    """The shorter way to a path below the working folder, the whole one to any other."""
    here, whole = Path.cwd(), path.absolute()
    return whole.relative_to(here) if whole.is_relative_to(here) else whole


def _misleading() -> list[str]:
    """Settings of the environment that the demo did without."""
    return [name for name in os.environ if name.startswith("REACTIONWATCH_") and name != "REACTIONWATCH_DATA_DIR"]
