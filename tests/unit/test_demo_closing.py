"""What the demo ends with: the verdict in words, and commands that can be run."""

from __future__ import annotations

import io
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from reactionwatch.cli import app
from reactionwatch.demonstration.closing import QUERY, next_steps, summary_table, verdict
from reactionwatch.demonstration.judge import DemoSummary, FalseAlert, FoundSpike, Launched, TrapAlert
from sql.connection import open_engine
from sql.migrate import upgrade

FOUND = FoundSpike("IBUPROFEN", "NAUSEA", 12.0, 66, True, 17.6)
MISSED = FoundSpike("TREPROSTINIL", "HEADACHE", 12.0, 40, False, None)
NOT_BEGUN = replace(MISSED, planted_reports=0)
FOLDER = Path(".reactionwatch/demo")


def summary(*spikes: FoundSpike, stopped_early: bool = False, unaccounted: int = 0) -> DemoSummary:
    return DemoSummary(
        sent=4_966,
        backfilled=19_058,
        received=24_024,
        stored=23_909,
        quarantined=45,
        quarantined_by_reason={"broken_json": 45},
        duplicates=70,
        unaccounted=unaccounted,
        spikes=spikes,
        launches=(Launched("NEWDRUG", 81, 1), Launched("OTHERDRUG", 40, 0)),
        trap_alerts=(TrapAlert("launch", "NEWDRUG", "NAUSEA", 9, 0.1),),
        false_alerts=(FalseAlert("ASPIRIN", "RASH", 7, 0.5),),
        unusual_reports=0,
        pipeline_alerts=("quarantine_flood",),
        reports_per_second=39.9,
        stopped_early=stopped_early,
    )


def printed(of: DemoSummary) -> str:
    console = Console(width=80, file=io.StringIO())
    console.print(summary_table(of))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert all(len(line) <= 80 for line in text.splitlines())
    return " ".join(text.replace("│", " ").split())


def commands(text: str) -> list[list[str]]:
    """The commands as a shell reads them."""
    lines = text.replace("\\\n", " ").splitlines()
    return [shlex.split(line) for line in lines if line.startswith("  ")]


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        (summary(FOUND), "OK"),
        (summary(FOUND, stopped_early=True), "OK"),
        (summary(FOUND, MISSED), "FAILED"),
        (summary(FOUND, NOT_BEGUN), "FAILED"),
        (summary(FOUND, NOT_BEGUN, stopped_early=True), "STOPPED EARLY"),
        (summary(FOUND, stopped_early=True, unaccounted=1), "FAILED"),
    ],
)
def test_the_verdict_is_ok_only_when_everything_was_found_and_accounted_for(of: DemoSummary, expected: str) -> None:
    assert verdict(of) == expected
    assert (verdict(of) == "OK") == of.ok


def test_the_summary_tells_of_every_spike_and_false_alert() -> None:
    shown = printed(summary(FOUND, MISSED))
    assert "IBUPROFEN / NAUSEA: found 18 s after its start" in shown
    assert "TREPROSTINIL / HEADACHE: MISSED" in shown
    assert "ASPIRIN / RASH: 7 cases, 0.5 expected" in shown
    assert "NEWDRUG: 81 reports, 1 ALERTS" in shown
    assert "OTHERDRUG: 40 reports, no alert" in shown


@pytest.mark.parametrize(
    ("batches", "told"),
    [(0, "by the first batch that could"), (1, "1 batch after the first"), (3, "3 batches after the first")],
)
def test_the_summary_says_how_promptly_a_spike_was_told(batches: int, told: str) -> None:
    shown = " ".join(printed(summary(replace(FOUND, batches_to_alert=batches))).replace("│", " ").split())
    assert told in shown


def test_a_spike_that_had_no_time_is_not_called_missed() -> None:
    shown = printed(summary(NOT_BEGUN, MISSED, stopped_early=True))
    assert "TREPROSTINIL / HEADACHE: had not begun" in shown
    assert "TREPROSTINIL / HEADACHE: not found yet" in shown
    assert "MISSED" not in shown


def test_every_line_fits_80_columns() -> None:
    assert all(len(line) <= 80 for line in next_steps(FOLDER, Path(".venv/bin"), ()).splitlines())


def test_our_commands_exist_with_their_options() -> None:
    ours = [c[1:] for c in commands(next_steps(FOLDER, Path("bin"), ())) if c[0] == "bin/reactionwatch"]
    assert {c[0] for c in ours} == {"status", "quarantine", "hub", "alerts"}
    for arguments in ours:
        assert CliRunner().invoke(app, [*arguments, "--help"]).exit_code == 0


def test_the_query_runs_on_our_views(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'new.db'}", pooled=False)
    upgrade(engine)
    with engine.connect() as connection:
        assert connection.exec_driver_sql(QUERY).all() == []
    (sqlite,) = [c for c in commands(next_steps(FOLDER, Path("bin"), ())) if c[0] == "sqlite3"]
    assert sqlite == ["sqlite3", "-box", ".reactionwatch/demo/reactionwatch.db", QUERY]


def test_paths_with_spaces_are_quoted() -> None:
    found = commands(next_steps(Path("/my data/demo"), Path("/my programs"), ()))
    assert ["export", "REACTIONWATCH_DATA_DIR=/my data/demo"] in found
    assert ["/my programs/mlflow", "ui", "--backend-store-uri", "sqlite:////my data/demo/mlflow.db"] in found


def test_settings_that_would_lead_elsewhere_are_unset() -> None:
    assert ["unset", "REACTIONWATCH_DATABASE_URL", "REACTIONWATCH_WINDOWS"] in commands(
        next_steps(FOLDER, Path("bin"), ["REACTIONWATCH_WINDOWS", "REACTIONWATCH_DATABASE_URL"])
    )
    assert all(c[0] != "unset" for c in commands(next_steps(FOLDER, Path("bin"), ())))
