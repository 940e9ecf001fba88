"""`reactionwatch rules`: what counts as a spike."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from models.spikes import DetectionRules, RuleBook
from models.spikes.rule_file import load_rules, rule_text
from models.spikes.widths import width_text
from reactionwatch.console import print_json
from reactionwatch.settings import load_settings

__all__ = ["app"]

app = typer.Typer(help="What counts as a spike.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """What counts as a spike."""


@app.command("show")
def show(
    defaults: Annotated[
        bool, typer.Option("--defaults", help="Print the packaged file, every setting with what it does.")
    ] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print as JSON on standard output.")] = False,
) -> None:
    """Show the rules in force for every width of window, with their versions.

    The file is that of REACTIONWATCH_RULES, or the packaged one. Start one of your own with:
    reactionwatch rules show --defaults > my-rules.toml
    """
    if defaults:
        print(rule_text(None), end="")  # noqa: T201
        return
    settings = load_settings()
    _print(load_rules(settings.rules), settings.widths_ms, settings.rules, json_output)


@app.command("check")
def check(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, metavar="FILE", help="Rules, as TOML.")],
    json_output: Annotated[bool, typer.Option("--json", help="Print as JSON on standard output.")] = False,
) -> None:
    """Say whether a stream could run on a file of rules, and what it would judge each width by; exit 1 when not."""
    _print(load_rules(file), load_settings().widths_ms, file, json_output)


def _print(book: RuleBook, widths_ms: tuple[int, ...], path: Path | None, json_output: bool) -> None:
    if json_output:
        print_json({width_text(width): _as_json(book.of(width)) for width in widths_ms})
        return
    table = Table("width", "rule", "baseline", "season", "cases", "p", "FDR", box=box.SIMPLE)
    table.add_column("version", no_wrap=True)
    for width in widths_ms:
        rules = book.of(width)
        spikes = rules.spikes
        table.add_row(
            width_text(width),
            rules.rule,
            str(spikes.baseline_windows),
            ", ".join(f"{season.period:g}" for season in rules.seasons) or "-",
            str(spikes.min_cases),
            f"{spikes.open_p:g}",
            f"{spikes.close_fdr:g}",
            rules.version,
        )
    console = Console(highlight=False)
    console.print(table)
    console.print(
        "baseline, season: in windows of that width; cases: fewest of a spike;\n"
        "p: the greatest while a window is open; FDR: false discovery rate at its close"
    )
    console.print(f"Rules of {path or 'the package'}", markup=False, soft_wrap=True)


def _as_json(rules: DetectionRules) -> dict[str, Any]:
    return {"version": rules.version, **dataclasses.asdict(rules)}
