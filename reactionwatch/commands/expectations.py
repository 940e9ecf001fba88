"""`reactionwatch expectations`: reports against the suites, before they are sent."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from reactionwatch.console import Progress, print_json, say
from reactionwatch.settings import load_settings

if TYPE_CHECKING:
    from expectations.check_files import CheckResult, FileResult
    from expectations.pipeline import Finding

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
    """Judge the reports in files as the stream would; exit 1 when one would be quarantined.

    Warnings, and what the suite of the pipeline finds, are shown and fail nothing. A suite that the stream would refuse
    is refused here, too. Reads JSON lines, a JSON array, openFDA's own download files, and any of them gzipped (.gz).
    """
    from expectations.check_files import check_files
    from expectations.pipeline import load_pipeline_suite
    from expectations.suite import load_suite

    settings = load_settings()
    suite, pipeline_suite = load_suite(settings.suites), load_pipeline_suite(settings.suites)
    progress = Progress()
    result = check_files(
        files,
        suite,
        pipeline_suite,
        lambda path, reports: progress.update(f"checking {path.name}: {reports:,} reports read"),
    )
    reports = sum(file.reports for file in result.files)
    progress.finish(
        f"checked {reports:,} reports, {sum(file.quarantined for file in result.files):,} would be quarantined"
    )
    _keep(result, settings.data_dir)
    if json_output:
        print_json(result.as_json())
    else:
        console = Console(highlight=False)
        for file in result.files:
            console.print(_table(result, file))
            console.print()
        where = "the package" if settings.suites is None else settings.suites
        console.print(
            f"Suites of {where}: report {result.suite_version}, pipeline {result.pipeline_version}",
            markup=False,
            soft_wrap=True,
        )
    if not result.ok:
        raise typer.Exit(1)


@app.command("docs")
def docs(
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", file_okay=False, help="Where to; else in the data folder.")
    ] = None,
) -> None:
    """Make Data Docs, Great Expectations' pages, of the last check, and print the path of the first one."""
    from expectations import last_check
    from expectations.data_docs import write_data_docs

    kept = load_settings().data_dir / _KEPT
    found = last_check.load(kept)
    folder = kept / "docs" if out is None else out
    try:
        index = write_data_docs(found, folder)
    except OSError as error:
        say(f"Error: cannot write to {folder}: {error.strerror}")
        raise typer.Exit(1) from None
    typer.echo(index.resolve())


_KEPT = "expectations"


def _keep(result: CheckResult, data_dir: Path) -> None:
    from expectations import last_check

    try:
        last_check.keep(result, data_dir / _KEPT)
    except OSError as error:
        say(f"Not kept for `reactionwatch expectations docs`: cannot write to {data_dir / _KEPT}: {error.strerror}")


def _table(result: CheckResult, file: FileResult) -> Table:
    from expectations.reasons import Reason

    why: dict[str, str] = {check.code: check.why for check in result.suite.checks}
    sentences = {reason.value: reason.sentence for reason in Reason if reason in file.rejections}
    table = Table(
        title=Text(str(file.path), style="bold"),
        title_justify="left",
        box=box.HORIZONTALS,
        show_header=False,
        expand=True,
    )
    table.add_column("verdict", no_wrap=True)
    table.add_column("reports", no_wrap=True, justify="right")
    table.add_column("what", ratio=1, overflow="fold")
    table.add_row("passed", f"{file.passed:,}", f"of {file.reports:,} reports")
    _add_codes(table, "quarantined", file.quarantined_by, why | sentences, "red")
    _add_codes(table, "warning", file.warnings, why, "yellow")
    _add_pipeline(table, result, file)
    return table


def _add_codes(table: Table, verdict: str, codes: Mapping[str, int], why: Mapping[str, str], style: str) -> None:
    for code, count in sorted(codes.items(), key=lambda found: (-found[1], found[0])):
        table.add_row(Text(verdict, style=style), f"{count:,}", _with_why(code, why[code]))


def _add_pipeline(table: Table, result: CheckResult, file: FileResult) -> None:
    table.add_section()
    if file.pipeline is None:
        table.add_row("pipeline", "", f"not judged: fewer than {result.pipeline_suite.at_least:,} reports")
        return
    for found in file.breaches:
        table.add_row(Text("pipeline", style="yellow"), "breach", _with_why(_observed(found), found.why))
    fine = len(file.pipeline) - len(file.breaches)
    table.add_row("pipeline", "fine", f"{fine} of {len(file.pipeline)} checks of all reports together")
    unknown = result.not_judged(file)
    if unknown:
        table.add_row("pipeline", "unknown", f"{', '.join(unknown)}: the file does not tell")


def _observed(found: Finding) -> str:
    from expectations.catalogue import limits_in_words

    limits = limits_in_words(found.limits)
    return f"{found.code}: {found.statistic} of {found.limits.column} is {found.observed:.4g}, expected {limits}"


def _with_why(what: str, why: str) -> Text:
    return Text.assemble(what, "\n", (why, "dim"))
