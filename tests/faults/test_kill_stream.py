"""`kill -9` of the running stream: after a restart everything is as if nothing had happened."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from builders import openfda

from alerts.cloudevent import from_cloudevent
from eventhubs.hub.server import LocalHub
from eventhubs.receiver import open_receiver
from eventhubs.sender import HubSender, OutgoingEvent
from eventhubs.settings import HubConnection
from expectations.report_file import read_bodies

pytestmark = [
    pytest.mark.spark,
    pytest.mark.slow,
    pytest.mark.timeout(420),
]

DATA = Path(__file__).parents[1] / "data"
COMMAND = [str(Path(sys.executable).parent / "reactionwatch"), "stream", "--once"]


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


def environment(hub: LocalHub, folder: Path, alerts: str) -> dict[str, str]:
    return {
        **os.environ,
        "REACTIONWATCH_EVENTHUB_CONNECTION": hub.connection_string,
        "REACTIONWATCH_ALERTS_HUB": alerts,
        "REACTIONWATCH_DATA_DIR": str(folder),
        "REACTIONWATCH_EVENT_TIME": "receivedate",
        "REACTIONWATCH_WINDOWS": "1d",
        "REACTIONWATCH_MAX_EVENTS": "500",
    }


def run_to_the_end(env: dict[str, str]) -> None:
    done = subprocess.run(COMMAND, env=env, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stderr


def kill_when(env: dict[str, str], moment: Callable[[], bool]) -> None:
    process = subprocess.Popen(COMMAND, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 150
    try:
        while not moment():
            assert process.poll() is None, "the stream ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def rows(database: Path, statement: str) -> list[tuple[object, ...]]:
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            return connection.execute(statement).fetchall()
    except sqlite3.OperationalError:
        return []  # not there yet


def truth(database: Path) -> dict[str, list[tuple[object, ...]]]:
    return {
        "reports": rows(database, "SELECT case_key, version, digest FROM safety_report ORDER BY 1, 2"),
        "drugs": rows(database, "SELECT case_key, version, ordinal, drug_id FROM report_drug ORDER BY 1, 2, 3"),
        "pairs": rows(database, "SELECT case_key, drug_id, reaction_id, event_ms FROM case_pair ORDER BY 1, 2, 3"),
        "windows": rows(
            database, "SELECT drug_id, reaction_id, window_start_ms, cases FROM reaction_window ORDER BY 1, 2, 3"
        ),
        "quarantine": rows(database, "SELECT sequence, body, reasons FROM quarantined_report ORDER BY 1"),
        "totals": rows(database, "SELECT SUM(stored), SUM(quarantined), SUM(duplicates) FROM ingest_task"),
        "unfolded": rows(database, "SELECT COUNT(*) FROM ingest_task WHERE folded_at IS NULL"),
    }


def opened(hub: LocalHub, alerts: str) -> dict[str, tuple[str | None, str | None]]:
    """Alerts on the hub by event id, so that a repeat of the relay counts once."""
    with open_receiver(HubConnection.from_connection_string(hub.connection_string), alerts) as receiver:
        (info,) = receiver.partition_infos(["0"])
        found = receiver.read("0", 0, info.next_sequence) if info.next_sequence else iter(())
        notices = [from_cloudevent(event.body) for events in found for event in events]
    return {n.event_id: (n.drug, n.reaction) for n in notices if n.change == "opened"}


def test_killed_three_times_the_stream_ends_as_if_undisturbed(hub: LocalHub, tmp_path: Path) -> None:
    undisturbed = tmp_path / "undisturbed" / "reactionwatch.db"
    run_to_the_end(environment(hub, undisturbed.parent, "alerts-undisturbed"))

    killed = tmp_path / "killed" / "reactionwatch.db"
    env = environment(hub, killed.parent, "alerts")

    def receipts(at_least: int, state: str) -> bool:
        return rows(killed, f"SELECT COUNT(*) >= {at_least} FROM ingest_task WHERE folded_at IS {state}") == [(1,)]

    kill_when(env, lambda: receipts(1, "NULL"))  # between a task's write and its commit
    kill_when(env, lambda: receipts(2, "NOT NULL"))  # after a commit, before or in the next batch
    kill_when(env, lambda: rows(killed, "SELECT COUNT(*) > 0 FROM alert_outbox") == [(1,)])  # an alert is on its way
    run_to_the_end(env)

    assert truth(killed) == truth(undisturbed)
    found = sorted(opened(hub, "alerts").values())
    assert ("TESTDRUG", "RASH") in found
    assert found == sorted(opened(hub, "alerts-undisturbed").values())
