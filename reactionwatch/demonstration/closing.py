"""What the demo leaves the reader with: the summary, and commands that show more of the same data. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path

from rich.table import Table
from rich.text import Text

from reactionwatch.demonstration.judge import DemoSummary, FoundSpike

__all__ = ["next_steps", "summary_table", "verdict"]

QUERY = "SELECT drug_name, reactionmeddrapt, cases, expected, z FROM ReactionSpike"


def verdict(summary: DemoSummary) -> str:
    """One word of judgement, or two."""
    if summary.ok:
        return "OK"
    return "STOPPED EARLY" if summary.stopped_early and summary.unaccounted == 0 else "FAILED"


def summary_table(summary: DemoSummary) -> Table:
    """The summary as a table of at most 80 columns."""
    table = Table(title="Summary", title_justify="left", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column()
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
        told = _told(spike, stopped_early=summary.stopped_early)
        table.add_row(f"spike x{spike.factor:g}", Text(f"{spike.drug} / {spike.reaction}: {told}"))
    for launch in summary.launches:
        alerts = "no alert" if launch.alerts == 0 else f"{launch.alerts} ALERTS"
        table.add_row("launch, no spike", Text(f"{launch.drug}: {launch.reports:,} reports, {alerts}"))
    if summary.trap_alerts:
        table.add_row("alerts on traps", f"{len(summary.trap_alerts)}")
    for trapped in summary.trap_alerts:
        told = f"{trapped.drug} / {trapped.reaction}: {trapped.cases} cases, {trapped.expected:.1f} expected"
        table.add_row(f"  {trapped.trap}", Text(told))
    table.add_row("false alerts", f"{len(summary.false_alerts)}")
    for alert in summary.false_alerts:
        told = f"{alert.drug} / {alert.reaction}: {alert.cases} cases, {alert.expected:.1f} expected"
        table.add_row("", Text(told))
    table.add_row("unusual single reports", f"{summary.unusual_reports}")
    if summary.pipeline_alerts:
        table.add_row("alerts on the pipeline", Text(", ".join(summary.pipeline_alerts)))
    table.add_row("verdict", verdict(summary))
    return table


def _told(spike: FoundSpike, *, stopped_early: bool) -> str:
    if spike.seconds_to_alert is not None:
        return f"found {spike.seconds_to_alert:.0f} s after its start{_promptly(spike.batches_to_alert)}"
    if stopped_early:
        return "not found yet" if spike.planted_reports else "had not begun"
    return "MISSED"


def _promptly(batches: int | None) -> str:
    if batches is None:
        return ""
    if batches == 0:
        return ", by the first batch that could"
    return f", {batches} {'batch' if batches == 1 else 'batches'} after the first that could"


def next_steps(folder: Path, programs: Path, unwanted: Iterable[str]) -> str:
    """Shell commands to paste in the demo's working folder.

    `folder` is the demo's data folder, `programs` where `reactionwatch` and `mlflow` are, `unwanted` the environment
    variables that would make commands look elsewhere.
    """
    data, ours = shlex.quote(str(folder)), shlex.quote(str(programs / "reactionwatch"))
    database, runs = shlex.quote(str(folder / "reactionwatch.db")), shlex.quote(f"sqlite:///{folder / 'mlflow.db'}")
    settings = [f"export REACTIONWATCH_DATA_DIR={data}"]
    settings += [f"unset {' '.join(names)}" for names in [sorted(unwanted)] if names]
    parts = {
        "Tell the commands where the data is": settings,
        "Does everything add up, and what could not be used": [
            f"{ours} status",
            f"{ours} quarantine list --limit 10",
        ],
        "The findings behind the alerts, with sqlite3 (more views: docs/analysts.md)": [
            f'sqlite3 -box {database} \\\n    "{QUERY}"'
        ],
        "The alerts as an officer reads them: start the hub, then in another terminal": [
            f"{ours} hub",
            f"{ours} alerts tail --from-start",
        ],
        "The model and the run that made it, at http://127.0.0.1:5000": [
            f"{shlex.quote(str(programs / 'mlflow'))} ui \\\n    --backend-store-uri {runs}"
        ],
        "All files; what Spark and its workers printed is in logs/spark.log": [f"ls {data}"],
    }
    return "What to look at next\n" + "\n".join(
        f"{title}:\n" + "\n".join(f"  {command}" for command in commands) for title, commands in parts.items()
    )
