"""`reactionwatch quarantine`: what could not be used, and why."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from reactionwatch.console import print_json
from reactionwatch.settings import load_settings

__all__ = ["app"]

app = typer.Typer(help="Reports that could not be used.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Reports that could not be used."""


@app.command("list")
def list_command(
    limit: Annotated[int, typer.Option(min=1, help="Show at most so many, newest first.")] = 50,
    json_output: Annotated[bool, typer.Option("--json", help="Print as JSON on standard output.")] = False,
) -> None:
    """List quarantined reports: where each came from and why it is there, never what it says."""
    from reactionwatch.database import open_database
    from sql.quarantine import list_quarantined

    rows = list_quarantined(open_database(load_settings()), limit)
    if json_output:
        print_json([vars(row) for row in rows])
        return
    table = Table("stored at (UTC)", "hub", "partition", "sequence", "bytes", "reasons", "path")
    for row in rows:
        table.add_row(
            row.stored_at, row.hub, row.partition_id, str(row.sequence), str(row.size), row.reasons, row.path or ""
        )
    Console().print(table)
