"""`reactionwatch expectations`: reports against the suite, before they are sent."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from reactionwatch.console import print_json
from reactionwatch.settings import load_settings

__all__ = ["app"]

app = typer.Typer(help="What a good report is.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """What a good report is."""


@app.command("check")
def check(
    files: Annotated[
        list[Path],
        typer.Argument(exists=True, dir_okay=False, metavar="FILE...", help="JSON lines, array, openFDA."),
    ],
    json_output: Annotated[bool, typer.Option("--json", help="Print as JSON on standard output.")] = False,
) -> None:
    """Judge the reports in files as the stream would; exit 1 when one would be quarantined."""
    from expectations.check_files import check_files
    from expectations.pipeline import load_pipeline_suite
    from expectations.suite import load_suite

    folder = load_settings().suites
    result = check_files(files, load_suite(folder), load_pipeline_suite(folder))
    if json_output:
        print_json(result.as_json())
    else:
        table = Table(title=f"Suite {result.suite_version}", title_justify="left")
        for heading in ("file", "verdict", "code", "reports"):
            table.add_column(heading, justify="right" if heading == "reports" else "left", overflow="fold")
        for file in result.files:
            table.add_row(file.path.name, "passed", "", f"{file.passed:,} of {file.reports:,}")
            for verdict, codes in (
                ("quarantined", {**file.rejections, **file.critical}),
                ("warning", file.warnings),
            ):
                for code, count in codes.items():
                    table.add_row("", verdict, code, f"{count:,}")
        Console().print(table)
    if not result.ok:
        raise typer.Exit(1)
