"""A first session by hand, as README has it: the installed command, one process each, ended by Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = [pytest.mark.spark, pytest.mark.slow]

PROGRAM = str(Path(sys.executable).parent / "reactionwatch")
REAL = Path(__file__).parents[1] / "data" / "openfda_reports_100.jsonl"


class Session:
    """Commands in one folder, with one environment."""

    def __init__(self, folder: Path) -> None:
        self.env = {**os.environ, "REACTIONWATCH_DATA_DIR": str(folder / "data")}

    def run(self, *arguments: str, exit_code: int = 0) -> str:
        done = subprocess.run(
            [PROGRAM, *arguments], env=self.env, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == exit_code, done.stderr
        return done.stdout

    @contextmanager
    def started(self, *arguments: str) -> Iterator[Running]:
        with subprocess.Popen([PROGRAM, *arguments], env=self.env, stderr=subprocess.PIPE, text=True) as process:
            watchdog = threading.Timer(150, process.kill)
            watchdog.start()
            try:
                yield Running(process)
            finally:
                watchdog.cancel()
                if process.poll() is None:
                    process.kill()


class Running:
    """A command that goes on until it is told to stop."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.said: list[str] = []

    def wait_for(self, wanted: Callable[[str], bool]) -> str:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.said.append(line)
            if wanted(line):
                return line
        raise AssertionError("it ended without saying so: " + "".join(self.said))

    def interrupt(self) -> str:
        """Ctrl-C; what it says last."""
        self._process.send_signal(signal.SIGINT)
        assert self._process.stderr is not None
        self.said.extend(self._process.stderr)
        assert self._process.wait() == 0, "".join(self.said)
        return self.said[-1]


def test_a_first_session(tmp_path: Path) -> None:
    broken = tmp_path / "broken.jsonl"
    broken.write_bytes(b'{"safetyreportid": "1"\n[]\n')
    session = Session(tmp_path)
    with session.started("hub", "--port", "0") as hub:
        line = hub.wait_for(lambda said: said.startswith("Connection string: "))
        session.env["REACTIONWATCH_EVENTHUB_CONNECTION"] = line.removeprefix("Connection string: ").strip()

        session.run("expectations", "check", str(REAL))
        session.run("expectations", "check", str(broken), exit_code=1)
        assert json.loads(session.run("send", str(REAL), str(broken), "--json"))["sent"] == 102

        with session.started("stream") as stream:
            stream.wait_for(lambda said: said.startswith("received 102"))
            last = stream.interrupt()
        assert last.startswith("Stopped. received 102 = stored 100 + quarantined 2 + duplicates 0")

        status = json.loads(session.run("status", "--json"))
        assert (status["received"], status["unaccounted"], status["unfolded_receipts"]) == (102, 0, 0)
        kept = json.loads(session.run("quarantine", "list", "--json"))
        assert {row["reasons"] for row in kept} == {"broken_json", "not_an_object"}
        assert hub.interrupt().startswith("Local hub stopped. It keeps 102 events in reports")


def test_failure_and_misuse_have_their_exit_codes(tmp_path: Path) -> None:
    session = Session(tmp_path)
    session.env["REACTIONWATCH_EVENTHUB_CONNECTION"] = (
        "Endpoint=sb://localhost:9;SharedAccessKeyName=a;SharedAccessKey=b;UseDevelopmentEmulator=true"
    )
    session.run("alerts", "tail", exit_code=1)
    session.run("send", "no-such-file", exit_code=2)
