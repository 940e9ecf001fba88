"""`reactionwatch alerts`: what officers read."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console

from reactionwatch.console import say, stopping
from reactionwatch.settings import load_settings

__all__ = ["app"]

app = typer.Typer(help="Alerts as officers read them.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Alerts as officers read them."""


@app.command("tail")
def tail(
    from_start: Annotated[
        bool, typer.Option("--from-start", help="Begin with the oldest alert the hub keeps.")
    ] = False,
) -> None:
    """Show alerts from the alerts hub as they arrive, until Ctrl-C.

    What, how unusual (cases, expected, z), since when, and the cases behind it. Times are UTC.
    """
    from alerts.tail import describe, follow
    from reactionwatch.wiring import alerts_receiver

    console = Console(highlight=False)
    with stopping() as stop, alerts_receiver(load_settings()) as receiver:
        if not from_start:
            say("Waiting for alerts. Stop with Ctrl-C; --from-start shows earlier ones.")
        for notice in follow(receiver, from_start=from_start, stop=stop):
            console.print(describe(notice), soft_wrap=True)
            sys.stdout.flush()
