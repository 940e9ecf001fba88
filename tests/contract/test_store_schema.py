"""Tables and views: what migrations make is what the code speaks of, whoever upgrades, from where and how often."""

from __future__ import annotations

import math
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from databases import Databases
from sqlalchemy import Engine, inspect, literal, select, text

from sql import migrate, views
from sql.column_types import Finite
from sql.connection import open_engine
from sql.errors import NotFiniteError, StoreRefusedError
from sql.migrate import VERSION_TABLE, VERSIONS, current_version, ensure_schema, upgrade
from sql.schema import alert, metadata, safety_report, spike, window_clock
from sql.views import VIEWS

SECOND = """
import sqlalchemy as sa
from alembic import op

revision = "9000"
down_revision = "0004"


def upgrade():
    op.add_column("drug", sa.Column("added_later", sa.Integer()))
"""

OLD_SPIKE = """
INSERT INTO spike (width_ms, window_start_ms, drug_id, reaction_id, cases, expected, spread, z, p, stage, rules,
                   rules_version, found_at)
VALUES (1000, 0, 1, 2, 7, 0.5, 0.5, 9, 0, 'open', 'zscore', '1', '2026-01-05 00:00:00.000000')
"""
OLD_ALERT = """
INSERT INTO alert (alert_id, kind, status, opened_at_ms, since_ms, last_alarm_end_ms, width_ms, window_start_ms, cases,
                   expected, spread, z, p, widths, published_cases, revision)
VALUES ('id', 'spike', 'open', 0, 0, 0, 1000, 0, 7, 0.5, 0.5, 9, 0, '1000', 7, 1)
"""


@pytest.fixture
def empty(request: pytest.FixtureRequest, databases: Databases, tmp_path: Path) -> Iterator[Engine]:
    """A database with nothing in it."""
    if request.param == "sqlite":
        engine = open_engine(f"sqlite:///{tmp_path / 'empty.db'}")
        yield engine
        engine.dispose()
        return
    with databases.postgresql.database() as name:
        engine = open_engine(databases.postgresql.url(name))
        yield engine
        engine.dispose()


EMPTY = pytest.mark.parametrize("empty", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def a_later_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """From here on, this build has one version more. The version's name."""
    scripts = tmp_path / "migrations"
    shutil.copytree(Path(migrate.__file__).parent / "migrations", scripts)
    (scripts / "versions" / "v9000_later.py").write_text(SECOND, encoding="utf-8")
    monkeypatch.setattr(migrate, "_SCRIPTS", scripts)
    monkeypatch.setattr(migrate, "VERSIONS", (*VERSIONS, "9000"))
    return "9000"


def set_version(engine: Engine, version: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = :version"), {"version": version})


def tables_and_views(engine: Engine) -> tuple[set[str], set[str]]:
    found = inspect(engine)
    return set(found.get_table_names()), {name.lower() for name in found.get_view_names()}


EVERYTHING = ({*metadata.tables, VERSION_TABLE}, {name.lower() for name in VIEWS})


@EMPTY
def test_migrations_make_the_tables_the_code_speaks_of(empty: Engine) -> None:
    upgrade(empty)
    with empty.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, metadata) == []


@EMPTY
def test_primary_keys_and_checks_have_the_names_they_should(empty: Engine) -> None:
    upgrade(empty)
    found = inspect(empty)
    assert {found.get_pk_constraint(name)["name"] for name in metadata.tables} == {
        f"pk_{name}" for name in metadata.tables
    }
    assert [check["name"] for check in found.get_check_constraints("ingest_task")] == ["ck_ingest_task_adds_up"]


def test_comments_reach_the_database(databases: Databases) -> None:
    with databases.fresh("postgresql") as url:
        found = inspect(open_engine(url, pooled=False))
        for table in metadata.sorted_tables:
            assert found.get_table_comment(table.name)["text"] == table.comment
            assert {c["name"]: c["comment"] for c in found.get_columns(table.name)} == {
                c.name: c.comment for c in table.columns
            }


def test_every_view_can_be_read(engine: Engine) -> None:
    with engine.connect() as connection:
        for name in VIEWS:
            assert connection.execute(text(f"SELECT * FROM {name}")).all() == []


def test_the_view_of_reports_shows_every_column_of_the_table(engine: Engine) -> None:
    with engine.connect() as connection:
        assert list(connection.execute(text("SELECT * FROM LatestReport")).keys()) == safety_report.columns.keys()


@EMPTY
def test_an_empty_database_gets_everything_and_may_be_upgraded_again(empty: Engine) -> None:
    assert current_version(empty) is None
    upgrade(empty)
    upgrade(empty)
    assert current_version(empty) == VERSIONS[-1]
    assert tables_and_views(empty) == EVERYTHING


@EMPTY
def test_two_upgrades_at_once_both_succeed(empty: Engine) -> None:
    start = threading.Barrier(2)

    def run() -> None:
        engine = open_engine(empty.url.render_as_string(hide_password=False), pooled=False)
        start.wait()
        upgrade(engine)

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(run) for _ in range(2)]:
            done.result()
    assert tables_and_views(empty) == EVERYTHING


@EMPTY
def test_an_upgrade_that_fails_changes_nothing(empty: Engine, a_later_build: str) -> None:
    (migrate._SCRIPTS / "versions" / "v9000_later.py").write_text(SECOND.replace("drug", "missing"), encoding="utf-8")
    with pytest.raises(StoreRefusedError):
        upgrade(empty)
    assert tables_and_views(empty) == (set(), set())


def test_a_version_that_is_right_is_left_alone(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("DROP VIEW ReactionSpike"))
    ensure_schema(engine)
    assert "reactionspike" not in tables_and_views(engine)[1]


def test_an_older_database_keeps_its_rows_in_an_upgrade(engine: Engine, a_later_build: str) -> None:
    with engine.begin() as connection:
        connection.execute(window_clock.insert().values(width_ms=60_000, closed_until_ms=7))
    upgrade(engine)
    assert current_version(engine) == a_later_build
    with engine.connect() as connection:
        assert connection.execute(window_clock.select()).one().closed_until_ms == 7
        assert connection.execute(text("SELECT added_later FROM drug")).all() == []


@EMPTY
def test_findings_and_alerts_of_version_0003_stay_and_are_of_one_window(
    empty: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched, empty.begin() as connection:
        patched.setattr(views, "VIEWS", {})  # they are of today's tables
        command.upgrade(migrate._config(connection), "0003")
        connection.execute(text(OLD_SPIKE))
        connection.execute(text(OLD_ALERT))
    upgrade(empty)
    assert current_version(empty) == VERSIONS[-1]
    with empty.connect() as connection:
        found = connection.execute(spike.select()).one()
        assert (found.cases, found.rules, found.windows, found.observed, found.prr) == (7, "zscore", 1, None, None)
        told = connection.execute(alert.select()).one()
        assert (told.alert_id, told.cases, told.windows) == ("id", 7, 1)


def test_a_stream_upgrades_a_file_itself_and_asks_for_it_on_a_server(engine: Engine, a_later_build: str) -> None:
    if engine.dialect.name == "sqlite":
        ensure_schema(engine)
        assert current_version(engine) == a_later_build
    else:
        with pytest.raises(StoreRefusedError, match="reactionwatch db upgrade"):
            ensure_schema(engine)


@EMPTY
def test_a_stream_makes_a_file_and_wants_a_server_made(empty: Engine) -> None:
    if empty.dialect.name == "sqlite":
        ensure_schema(empty)
        assert tables_and_views(empty) == EVERYTHING
    else:
        with pytest.raises(StoreRefusedError, match=r"no ReactionWatch tables.*reactionwatch db upgrade"):
            ensure_schema(empty)


@pytest.mark.parametrize("way_in", [ensure_schema, upgrade, current_version])
def test_a_newer_database_is_refused(engine: Engine, way_in: Callable[[Engine], object]) -> None:
    set_version(engine, "9999")
    with pytest.raises(StoreRefusedError, match="A newer ReactionWatch has upgraded"):
        way_in(engine)


@pytest.mark.parametrize("way_in", [ensure_schema, upgrade])
@pytest.mark.parametrize("version", [None, "0001"])
def test_tables_of_development_builds_are_refused(
    engine: Engine, way_in: Callable[[Engine], object], version: str | None
) -> None:
    if version is None:
        with engine.begin() as connection:
            connection.execute(text(f"DROP TABLE {VERSION_TABLE}"))
    else:
        set_version(engine, version)
    with pytest.raises(StoreRefusedError, match="early development build"):
        way_in(engine)


def test_the_versions_listed_are_those_of_the_migrations() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
    listed = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert tuple(reversed(listed)) == VERSIONS


def test_names_that_differ_in_case_are_two_names(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO drug (drug_id, name) VALUES (1, 'Abc')"))
        assert connection.scalar(text("SELECT COUNT(*) FROM drug WHERE name = 'ABC'")) == 0


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_a_number_is_refused_before_the_database(engine: Engine, value: float) -> None:
    with engine.begin() as connection, pytest.raises(NotFiniteError):
        connection.execute(safety_report.update().values(anomaly_score=value))


@pytest.mark.parametrize(("value", "kept"), [(5e-324, 0.0), (-1e-310, 0.0), (1e-300, 1e-300)])
def test_numbers_too_small_for_full_precision_become_zero(engine: Engine, value: float, kept: float) -> None:
    with engine.connect() as connection:
        assert connection.scalar(select(literal(value, Finite()))) == kept
