"""What a database can do to a stream: crash, cut it off, lock it out, fill up, refuse; and two streams at once.

After each the tables are those of an undisturbed run, on whichever database that was.
"""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from databases import Databases
from effort import LONG, pick
from faults.harness import Fault, Order
from faults.judging import Balance, check_so_far, outcome_of, relayed_all
from faults.nursery import Ended, Nursery
from sqlalchemy import make_url
from stream_log import stream_log

SEED, DAYS = 3, 9
BATCHES = stream_log(SEED, DAYS)
BOTH = pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
POSTGRESQL = pytest.mark.parametrize("backend", ["postgresql"])
SQLITE = pytest.mark.parametrize("backend", ["sqlite"])

IN_A_TASK = Fault("stop", prefix="INSERT INTO case_pair", which=4)
"""Stopped with locks held, in the second batch."""


@dataclass
class Scene:
    """A database, and streams on it."""

    order: Order
    nursery: Nursery
    databases: Databases
    undisturbed: dict[str, Any]
    runs: int = 0

    @property
    def database(self) -> str:
        """Path of the file, or name on the server."""
        return str(make_url(self.order.url).database)

    def start(self, **changes: Any) -> int:
        self.runs += 1
        log = f"{self.order.log}-{self.runs}"
        return self.nursery.start(msgspec.structs.replace(self.order, log=log, **changes))

    def run(self, **changes: Any) -> Ended:
        return self.nursery.wait(self.start(**changes))

    def frozen(self, fault: Fault, **changes: Any) -> int:
        """A stream that has stopped itself at a point."""
        pid = self.start(fault=fault, **changes)
        self.nursery.wait_for_stop(pid)
        return pid

    def wait_for_retries(self, pid: int, count: int) -> None:
        until(lambda: retries(self.nursery.said(pid)) >= count)

    def ends_well(self) -> None:
        """A stream reads to the end, and everything is as if nothing had happened."""
        ended = self.run()
        assert ended.code == 0, ended.said
        balance, tables = outcome_of(self.order.url, BATCHES)
        assert balance == Balance(0, 0, 0)
        assert tables == self.undisturbed
        assert relayed_all(self.order.url, Path(self.order.relayed))


@pytest.fixture(scope="session")
def undisturbed(databases: Databases, nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("undisturbed")
    with databases.fresh("sqlite") as url:
        ended = nursery.run(Order(url, SEED, DAYS, str(folder / "log"), str(folder / "relayed")))
        assert ended.code == 0, ended.said
        tables = outcome_of(url, BATCHES)[1]
    assert tables["findings"]["alerts"], "a log without any alert proves little"
    return tables


@pytest.fixture
def scene(
    backend: str, databases: Databases, nursery: Nursery, undisturbed: dict[str, Any], tmp_path: Path
) -> Iterator[Scene]:
    with databases.fresh(backend) as url:
        order = Order(url, SEED, DAYS, str(tmp_path / "log"), str(tmp_path / "relayed"))
        yield Scene(order, nursery, databases, undisturbed)


def retries(said: str) -> int:
    return said.count("stamina.retry_scheduled")


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def resume(pid: int) -> None:
    os.kill(pid, signal.SIGCONT)


@contextmanager
def server_down(databases: Databases) -> Iterator[None]:
    """The server crashes, and comes back at the end."""
    databases.postgresql.stop("immediate")
    try:
        yield
    finally:
        databases.postgresql.start()


@contextmanager
def positions_locked(scene: Scene) -> Iterator[None]:
    """Somebody else holds what every task begins with."""
    if scene.order.url.startswith("sqlite"):
        with closing(sqlite3.connect(scene.database, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield
    else:
        with psycopg.connect(scene.order.url) as connection:
            connection.execute("SELECT * FROM hub_position FOR UPDATE")
            yield
            connection.rollback()


# --- the server or the connection goes away ---------------------------------------------------------------------


@POSTGRESQL
@pytest.mark.timeout(240)
def test_a_server_that_crashes_in_the_middle_of_a_batch_is_waited_for(scene: Scene) -> None:
    pid = scene.frozen(IN_A_TASK)
    with server_down(scene.databases):
        resume(pid)
        scene.wait_for_retries(pid, pick(1, 4))  # waits of 5, 10, 20 and 40 s
    ended = scene.nursery.wait(pid, 150)
    assert ended.code == 0, ended.said
    scene.ends_well()


@POSTGRESQL
def test_a_server_that_stays_away_ends_the_stream_with_a_remedy(scene: Scene) -> None:
    pid = scene.frozen(IN_A_TASK, attempts=3)
    with server_down(scene.databases):
        resume(pid)
        ended = scene.nursery.wait(pid)
    assert ended.code == 1
    assert "check that it can be reached" in ended.said
    scene.ends_well()


@POSTGRESQL
@pytest.mark.skipif(not LONG, reason="waits for as long as the product does: make faults")
@pytest.mark.timeout(400)
def test_patience_ends_after_two_and_a_half_minutes(scene: Scene) -> None:
    pid = scene.frozen(IN_A_TASK)
    with server_down(scene.databases):
        resume(pid)
        ended = scene.nursery.wait(pid, 300)
    assert ended.code == 1
    assert "check that it can be reached" in ended.said
    scene.ends_well()


@POSTGRESQL
@pytest.mark.timeout(pick(240, 1_200))
def test_a_connection_cut_at_every_statement_in_turn_costs_nothing(scene: Scene) -> None:
    ended = scene.nursery.wait(scene.start(cuts=pick(60, 1_500), attempts=100_000), pick(120, 1_000))
    assert ended.code == 0, ended.said
    assert retries(ended.said) >= pick(30, 750)
    scene.ends_well()


# --- locks --------------------------------------------------------------------------------------------------------


@POSTGRESQL
def test_the_victim_of_a_deadlock_tries_again(scene: Scene) -> None:
    pid = scene.frozen(Fault("stop", prefix="INSERT INTO quarantined_report", which=2))
    with (
        psycopg.connect(scene.order.url) as other,
        psycopg.connect(scene.order.url, autocommit=True) as watcher,
    ):
        other.execute("LOCK TABLE quarantined_report IN EXCLUSIVE MODE")
        waiting = threading.Thread(target=other.execute, args=("SELECT * FROM hub_position FOR UPDATE",))
        waiting.start()
        # Who waited first has looked for a deadlock in vain by then; who closes the circle is its victim.
        long_enough = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock' AND "
        long_enough += "query_start < clock_timestamp() - interval '1 second'"
        until(lambda: watcher.execute(long_enough, [other.info.backend_pid]).fetchone() == (1,))
        resume(pid)
        waiting.join(60)
        other.rollback()
        ended = scene.nursery.wait(pid)
        assert ended.code == 0, ended.said
        assert retries(ended.said) >= 1
        deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        until(lambda: watcher.execute(deadlocks).fetchone() == (1,))
    scene.ends_well()


@BOTH
def test_a_lock_held_for_longer_than_we_wait_is_waited_for_again(scene: Scene) -> None:
    fault = Fault("stop", after=True, statement="COMMIT", which=8)
    pid = scene.frozen(fault, lock_seconds=0.2)
    with positions_locked(scene):
        resume(pid)
        scene.wait_for_retries(pid, 2)
    ended = scene.nursery.wait(pid)
    assert ended.code == 0, ended.said
    scene.ends_well()


@BOTH
def test_a_lock_that_is_never_released_ends_the_stream_with_a_remedy(scene: Scene) -> None:
    pid = scene.frozen(Fault("stop", after=True, statement="COMMIT", which=8), lock_seconds=0.05, attempts=3)
    with positions_locked(scene):
        resume(pid)
        ended = scene.nursery.wait(pid)
    assert ended.code == 1
    assert "stayed locked" in ended.said
    scene.ends_well()


# --- what the database does not allow -----------------------------------------------------------------------------


@SQLITE
def test_a_full_disk_ends_the_stream_and_room_lets_it_go_on(scene: Scene) -> None:
    with closing(sqlite3.connect(scene.database)) as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
    ended = scene.run(pragma=f"max_page_count={pages + 1}", attempts=2)
    assert ended.code == 1
    assert "SQLITE_FULL" in ended.said
    assert "has room" in ended.said
    check_so_far(scene.order.url, BATCHES)
    scene.ends_well()


@BOTH
def test_a_database_that_is_read_only_ends_the_stream_until_it_is_writable(scene: Scene, backend: str) -> None:
    if backend == "sqlite":
        ended = scene.run(pragma="query_only=1", attempts=2)
    else:
        admin = scene.databases.postgresql.admin
        admin(f"ALTER DATABASE {scene.database} SET default_transaction_read_only = on")
        ended = scene.run(attempts=2)
        admin(f"ALTER DATABASE {scene.database} RESET default_transaction_read_only")
    assert ended.code == 1
    assert "written" in ended.said
    scene.ends_well()


@POSTGRESQL
def test_a_login_without_rights_is_refused_at_once(scene: Scene) -> None:
    admin = scene.databases.postgresql.admin
    admin("CREATE ROLE nobody_in_particular LOGIN")
    try:
        url = make_url(scene.order.url).set(username="nobody_in_particular")
        ended = scene.run(url=url.render_as_string(hide_password=False))
    finally:
        admin("DROP ROLE nobody_in_particular")
    assert (ended.code, retries(ended.said)) == (1, 0)
    assert "check the login, its rights" in ended.said
    scene.ends_well()


@BOTH
def test_a_missing_table_is_refused_at_once(scene: Scene, backend: str) -> None:
    connect = sqlite3.connect if backend == "sqlite" else psycopg.connect
    with closing(connect(scene.database if backend == "sqlite" else scene.order.url)) as connection:
        connection.execute("ALTER TABLE case_pair RENAME TO hidden")
        connection.commit()
        ended = scene.run()
        connection.execute("ALTER TABLE hidden RENAME TO case_pair")
        connection.commit()
    assert (ended.code, retries(ended.said)) == (1, 0)
    assert "the schema" in ended.said
    scene.ends_well()


# --- two streams --------------------------------------------------------------------------------------------------


@BOTH
def test_a_second_stream_is_refused_while_the_first_beats_and_fences_it_when_told_to(
    scene: Scene, tmp_path: Path
) -> None:
    first = scene.start(linger=str(tmp_path / "end"), lease_seconds=2)
    until(lambda: outcome_of(scene.order.url, BATCHES)[0].lost == 0)
    second = scene.run(lease_seconds=2)
    assert second.code == 1
    assert "LeaseHeldError" in second.said
    assert "--take-over" in second.said
    assert scene.run(force=True).code == 0
    ended = scene.nursery.wait(first)
    assert ended.code == 1
    assert "Another stream has taken over" in ended.said
    scene.ends_well()


@POSTGRESQL
def test_a_stream_frozen_in_a_transaction_is_ended_by_the_takeover(scene: Scene) -> None:
    pid = scene.frozen(IN_A_TASK, attempts=5)
    second = scene.run(force=True)
    assert second.code == 0, second.said
    resume(pid)
    ended = scene.nursery.wait(pid)
    assert ended.code == 1
    assert "FencedError" in ended.said
    scene.ends_well()


@SQLITE
def test_a_stream_frozen_in_a_transaction_on_a_file_is_named(scene: Scene) -> None:
    pid = scene.frozen(IN_A_TASK)
    second = scene.run(force=True, lock_seconds=1)
    assert second.code == 1
    assert re.search(rf"\bkill {pid}\b", second.said)
    os.kill(pid, signal.SIGKILL)
    scene.nursery.wait(pid)
    scene.ends_well()


@BOTH
def test_a_stream_frozen_between_transactions_wakes_up_fenced(scene: Scene) -> None:
    pid = scene.frozen(Fault("stop", after=True, statement="COMMIT", which=20))
    second = scene.run(force=True)
    assert second.code == 0, second.said
    before = outcome_of(scene.order.url, BATCHES)
    resume(pid)
    ended = scene.nursery.wait(pid)
    assert ended.code == 1
    assert "FencedError" in ended.said
    assert outcome_of(scene.order.url, BATCHES) == before
    scene.ends_well()
