"""`reactionwatch demo`: everything at once, on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from reactionwatch.console import print_json, say, stopping
from reactionwatch.settings import load_settings

if TYPE_CHECKING:
    from alerts.cloudevent import AlertNotice
    from reactionwatch.demonstration.judge import DemoSummary

__all__ = ["demo"]


def demo(
    seconds: Annotated[float, typer.Option(min=120, help="How long reports are sent.")] = 120.0,
    rate: Annotated[float, typer.Option(min=10, max=500, help="Ordinary reports per second.")] = 40.0,
    seed: Annotated[int, typer.Option(help="Another seed, another world.")] = 0,
    json_output: Annotated[bool, typer.Option("--json", help="Print the summary as JSON on standard output.")] = False,
) -> None:
    """Run the whole chain on this machine, with two planted spikes, and judge what it found.

    Local hub, earlier reports as a baseline, a model in MLflow, generator, Spark stream, SQLite and alerts. Exit 1
    when a report is unaccounted for or a planted spike is missed.
    """
    from reactionwatch.demonstration.run import DemoOptions, run_demo

    folder = load_settings().data_dir / "demo"
    with stopping() as stop:
        summary = run_demo(folder, DemoOptions(seconds, rate, seed), stop, say=say, on_alert=_show)
    if json_output:
        print_json(summary.as_json())
    else:
        _print(summary)
        say(f"Everything is kept in {folder}: reactionwatch.db (SQLite), mlflow.db, logs/spark.log.")
    if not summary.ok:
        raise typer.Exit(1)


def _show(notice: AlertNotice) -> None:
    from alerts.tail import describe

    Console(stderr=True, highlight=False).print(describe(notice), soft_wrap=True)


def _print(summary: DemoSummary) -> None:
    table = Table(title="Summary", title_justify="left", show_header=False)
    table.add_row("history backfilled", f"{summary.backfilled:,}")
    table.add_row("sent by the generator", f"{summary.sent:,}")
    table.add_row("received", f"{summary.received:,}")
    table.add_row("  stored", f"{summary.stored:,}")
    table.add_row("  quarantined", f"{summary.quarantined:,}")
    for reason, count in summary.quarantined_by_reason.items():
        table.add_row(f"    {reason}", f"{count:,}")
    table.add_row("  duplicates", f"{summary.duplicates:,}")
    table.add_row("unaccounted (must be 0)", f"{summary.unaccounted:,}")
    table.add_row("reports per second, live", f"{summary.reports_per_second:,.1f}")
    for spike in summary.spikes:
        told = f"found {spike.seconds_to_alert:.0f} s after its start" if spike.found else "MISSED"
        table.add_row(f"spike x{spike.factor:g}", f"{spike.drug} / {spike.reaction}: {told}")
    table.add_row("false alerts", f"{len(summary.false_alerts)}")
    for alert in summary.false_alerts:
        table.add_row("", f"{alert.drug} / {alert.reaction}: {alert.cases} cases, {alert.expected:.1f} expected")
    table.add_row("unusual single reports", f"{summary.unusual_reports}")
    table.add_row("verdict", "OK" if summary.ok else "FAILED")
    Console().print(table)
