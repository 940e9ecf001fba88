"""`reactionwatch db`: what each command says, and that it does it."""

from __future__ import annotations

import datetime as dt
import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from builders import accepted, batch, refused, report
from sqlalchemy import Engine, event
from typer.testing import CliRunner, Result

from reactionwatch.cli import app
from sql.clock import utc_now
from sql.commit import commit
from sql.connection import open_engine
from sql.migrate import VERSION_TABLE, VERSIONS, azure_sql_ddl, upgrade
from sql.positions import take_over
from sql.schema import quarantined_report, safety_report
from sql.task_write import write_task


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the database will be."""
    monkeypatch.setenv("REACTIONWATCH_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("REACTIONWATCH_DATABASE_URL", raising=False)
    return tmp_path / "reactionwatch.db"


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["db", *words])


def store_reports_of_a_year_ago(file: Path) -> None:
    """Two reports and one in quarantine, counted."""
    engine = open_engine(f"sqlite:///{file}", pooled=False)
    upgrade(engine)
    lease = take_over(engine, "test/reports", 1, {"0": 0})
    write_task(engine, batch(lease, [accepted(0, report("1")), accepted(1, report("2")), refused(2)]))
    with commit(engine, lease) as tx:
        tx.fold([60_000])
    with engine.begin() as connection:
        for table in (safety_report, quarantined_report):
            connection.execute(table.update().values(stored_at=utc_now() - dt.timedelta(days=365)))


def test_upgrade_says_from_which_version_to_which(file: Path) -> None:
    assert f"Tables and views made, version {VERSIONS[-1]}." in run("upgrade").stderr
    assert f"at version {VERSIONS[-1]} already" in run("upgrade").stderr


def test_upgrade_puts_views_back_in_place(file: Path) -> None:
    run("upgrade")
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("DROP VIEW FlaggedEvent")
    run("upgrade")
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT * FROM FlaggedEvent").fetchall() == []
        assert connection.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchall() == [(VERSIONS[-1],)]


def test_ddl_prints_to_standard_output_and_makes_nothing(file: Path) -> None:
    assert run("ddl").stdout == azure_sql_ddl()
    assert not file.exists()


def test_prune_tells_what_it_forgets(file: Path) -> None:
    store_reports_of_a_year_ago(file)
    told = "2 reports, 1 in quarantine, 0 sent messages"
    for _ in range(2):
        assert f"Would forget {told}" in run("prune", "--older-than", "180d", "--dry-run").stderr
    assert f"Forgotten: {told}" in run("prune", "--older-than", "180d").stderr
    assert "Forgotten: 0 reports, 0 in quarantine" in run("prune", "--older-than", "180d").stderr


def test_prune_ends_cleanly_on_ctrl_c_and_goes_on_another_time(file: Path) -> None:
    store_reports_of_a_year_ago(file)

    def press_ctrl_c(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("UPDATE safety_report"):
            os.kill(os.getpid(), signal.SIGINT)

    event.listen(Engine, "after_cursor_execute", press_ctrl_c)
    try:
        stopped = run("prune", "--older-than", "180d")
    finally:
        event.remove(Engine, "after_cursor_execute", press_ctrl_c)
    assert stopped.exit_code == 0
    assert "Stopped after 2 reports, 0 in quarantine, 0 sent messages; run it again" in stopped.stderr
    assert "Forgotten: 0 reports, 1 in quarantine" in run("prune", "--older-than", "180d").stderr


@pytest.mark.parametrize("age", ["180", "0d", "-1d", "1w", "d", "1000000d", "1.5d"])
def test_an_age_is_a_number_of_days(file: Path, age: str) -> None:
    assert run("prune", f"--older-than={age}").exit_code == 2


def test_prune_has_no_age_of_its_own(file: Path) -> None:
    assert run("prune").exit_code == 2
