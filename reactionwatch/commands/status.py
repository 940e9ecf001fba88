"""`reactionwatch status`: does everything add up?"""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from reactionwatch.console import print_json
from reactionwatch.settings import load_settings

__all__ = ["status"]


def status(
    json_output: Annotated[bool, typer.Option("--json", help="Print as JSON on standard output.")] = False,
) -> None:
    """Show what was received and what became of it; exit 1 when a report is unaccounted for."""
    from reactionwatch.database import open_database
    from sql.accounting import account

    found = account(open_database(load_settings()))
    if json_output:
        print_json(vars(found))
    else:
        table = Table(show_header=False, box=None)
        for name, value in vars(found).items():
            if isinstance(value, dict):
                for reason, count in value.items():
                    table.add_row(f"  {reason}", f"{count:,}")
                if found.awaiting_replay:
                    table.add_row("  of these waiting for a replay", f"{found.awaiting_replay:,}")
            elif name != "awaiting_replay":
                table.add_row(name.replace("_", " "), f"{value:,}")
        Console().print(table)
    if found.unaccounted:
        raise typer.Exit(1)
