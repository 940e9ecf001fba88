"""`kill -9` of the running stream: after a restart everything is as if nothing had happened.

In the long form (`make faults`) once more, on PostgreSQL as well, and with a stream frozen while another takes over.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from builders import openfda
from databases import Databases
from effort import LONG
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from alerts.cloudevent import from_cloudevent
from eventhubs.hub.server import LocalHub
from eventhubs.receiver import open_receiver
from eventhubs.sender import HubSender, OutgoingEvent
from eventhubs.settings import HubConnection
from expectations.report_file import read_bodies
from sql.connection import READ, open_engine

pytestmark = [
    pytest.mark.spark,
    pytest.mark.slow,
    pytest.mark.timeout(420),
]

DATA = Path(__file__).parents[1] / "data"
COMMAND = [str(Path(sys.executable).parent / "reactionwatch"), "stream", "--once"]
LONG_ONLY = pytest.mark.skipif(not LONG, reason="takes minutes: make faults")
BACKENDS = pytest.mark.parametrize("backend", ["sqlite", pytest.param("postgresql", marks=LONG_ONLY)])


def history() -> list[bytes]:
    """Real reports, resends and broken ones, and 24 quiet days with a spike on the 25th."""
    real = [*read_bodies(DATA / "openfda_reports_100.jsonl"), *read_bodies(DATA / "faers_2014_reports_1000.jsonl")]
    planted = []
    for day in range(1, 26):
        date = f"202603{day:02d}"
        cases = 30 if day == 25 else 2
        planted += [openfda(f"9{date}{i:03d}", "TESTDRUG", "Rash", receivedate=date) for i in range(cases)]
        planted += [openfda(f"8{date}{i:03d}", "OTHER", "Fever", receivedate=date) for i in range(3)]
    return [*real, *real[:50], b"{broken", b"", *planted]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[LocalHub]:
    with LocalHub(tmp_path / "hub", {"reports": 1, "alerts": 1, "alerts-undisturbed": 1}) as hub:
        with HubSender(HubConnection.from_connection_string(hub.connection_string), "reports") as sender:
            sender.send(OutgoingEvent(body) for body in history())
        yield hub


def environment(hub: LocalHub, folder: Path, url: str, alerts: str) -> dict[str, str]:
    return {
        **os.environ,
        "REACTIONWATCH_EVENTHUB_CONNECTION": hub.connection_string,
        "REACTIONWATCH_ALERTS_HUB": alerts,
        "REACTIONWATCH_DATA_DIR": str(folder),
        "REACTIONWATCH_DATABASE_URL": url,
        "REACTIONWATCH_EVENT_TIME": "receivedate",
        "REACTIONWATCH_WINDOWS": "1d",
        "REACTIONWATCH_MAX_EVENTS": "500",
    }


def run_to_the_end(env: dict[str, str], *options: str) -> None:
    done = subprocess.run([*COMMAND, *options], env=env, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stderr


def wait_until(process: subprocess.Popen[bytes], moment: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 150
    while not moment():
        assert process.poll() is None, "the stream ended before its moment came"
        assert time.monotonic() < deadline
        time.sleep(0.01)


def kill_when(env: dict[str, str], moment: Callable[[], bool]) -> None:
    process = subprocess.Popen(COMMAND, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(process, moment)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def rows(url: str, statement: str) -> list[tuple[object, ...]]:
    engine = open_engine(url, pooled=False)
    try:
        with engine.connect().execution_options(**READ) as connection, connection.begin():
            return [tuple(row) for row in connection.execute(text(statement))]
    except DBAPIError:
        return []  # not there yet
    finally:
        engine.dispose()


def receipts(url: str, at_least: int, *, folded: bool) -> bool:
    state = "NOT NULL" if folded else "NULL"
    ((count,),) = rows(url, f"SELECT COUNT(*) FROM ingest_task WHERE folded_at IS {state}") or [(0,)]
    return int(str(count)) >= at_least


def truth(url: str) -> dict[str, list[tuple[object, ...]]]:
    return {
        "reports": rows(url, "SELECT case_key, version, digest FROM safety_report ORDER BY 1, 2"),
        "drugs": rows(
            url,
            "SELECT r.case_key, r.version, d.ordinal, d.drug_id FROM report_drug d "
            "JOIN safety_report r ON r.receipt_id = d.receipt_id AND r.sequence = d.sequence ORDER BY 1, 2, 3",
        ),
        "pairs": rows(url, "SELECT case_key, drug_id, reaction_id, event_ms FROM case_pair ORDER BY 1, 2, 3"),
        "windows": rows(
            url, "SELECT drug_id, reaction_id, window_start_ms, cases FROM reaction_window ORDER BY 1, 2, 3"
        ),
        "quarantine": rows(url, "SELECT sequence, body, reasons FROM quarantined_report ORDER BY 1"),
        "totals": rows(url, "SELECT SUM(stored), SUM(quarantined), SUM(duplicates) FROM ingest_task"),
        "unfolded": rows(url, "SELECT COUNT(*) FROM ingest_task WHERE folded_at IS NULL"),
    }


def opened(hub: LocalHub, alerts: str) -> dict[str, tuple[str | None, str | None]]:
    """Spikes on the alerts hub by event id, so that a repeat of the relay counts once."""
    with open_receiver(HubConnection.from_connection_string(hub.connection_string), alerts) as receiver:
        (info,) = receiver.partition_infos(["0"])
        found = receiver.read("0", 0, info.next_sequence) if info.next_sequence else iter(())
        notices = [from_cloudevent(event.body) for events in found for event in events]
    spikes = [n for n in notices if n.kind == "reaction_spike"]  # when the pipeline is looked at is up to the clock
    return {n.event_id: (n.drug, n.reaction) for n in spikes if n.change == "opened"}


@BACKENDS
def test_killed_again_and_again_the_stream_ends_as_if_undisturbed(
    hub: LocalHub, databases: Databases, tmp_path: Path, backend: str
) -> None:
    with databases.fresh(backend) as undisturbed, databases.fresh(backend) as killed:
        run_to_the_end(environment(hub, tmp_path / "undisturbed", undisturbed, "alerts-undisturbed"))

        env = environment(hub, tmp_path / "killed", killed, "alerts")
        kill_when(env, lambda: receipts(killed, 1, folded=False))  # between a task's write and its commit
        if LONG:
            kill_when(env, lambda: receipts(killed, 2, folded=True))  # after a commit, before or in the next batch
        kill_when(env, lambda: rows(killed, "SELECT alert_id FROM alert_outbox") != [])  # an alert is on its way
        run_to_the_end(env)

        assert truth(killed) == truth(undisturbed)
    found = sorted(opened(hub, "alerts").values())
    assert ("TESTDRUG", "RASH") in found
    assert found == sorted(opened(hub, "alerts-undisturbed").values())


@LONG_ONLY
def test_a_stream_frozen_while_another_takes_over_stores_nothing_when_it_wakes_up(
    hub: LocalHub, databases: Databases, tmp_path: Path
) -> None:
    with databases.fresh("postgresql") as undisturbed, databases.fresh("postgresql") as frozen:
        run_to_the_end(environment(hub, tmp_path / "undisturbed", undisturbed, "alerts-undisturbed"))

        env = environment(hub, tmp_path / "frozen", frozen, "alerts")
        first = subprocess.Popen(
            COMMAND, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
        )
        try:
            wait_until(first, lambda: receipts(frozen, 1, folded=False))
            os.killpg(first.pid, signal.SIGSTOP)
            run_to_the_end({**env, "REACTIONWATCH_DATA_DIR": str(tmp_path / "second")}, "--take-over")
            assert truth(frozen) == truth(undisturbed)
            os.killpg(first.pid, signal.SIGCONT)
            _, said = first.communicate(timeout=150)
        finally:
            if first.poll() is None:
                os.killpg(first.pid, signal.SIGKILL)
        assert first.returncode == 1
        assert "Another stream has taken over" in " ".join(said.decode().split())
        assert truth(frozen) == truth(undisturbed)
    assert sorted(opened(hub, "alerts").values()) == sorted(opened(hub, "alerts-undisturbed").values())
