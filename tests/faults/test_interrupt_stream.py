"""Ctrl-C: the stream ends after the batch under way, says so, and everything received is accounted for."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from builders import openfda

from eventhubs.hub.server import LocalHub
from eventhubs.sender import HubSender, OutgoingEvent
from eventhubs.settings import HubConnection

pytestmark = [
    pytest.mark.spark,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:unclosed <socket.socket:ResourceWarning"),
]

PROGRAM = str(Path(sys.executable).parent / "reactionwatch")


def test_interrupted_the_stream_stops_cleanly_and_nothing_is_half_done(tmp_path: Path) -> None:
    with LocalHub(tmp_path / "hub", {"reports": 2, "alerts": 1}) as hub:
        env = {
            **os.environ,
            "REACTIONWATCH_EVENTHUB_CONNECTION": hub.connection_string,
            "REACTIONWATCH_DATA_DIR": str(tmp_path),
        }
        with HubSender(HubConnection.from_connection_string(hub.connection_string), "reports") as sender:
            sender.send(OutgoingEvent(openfda(str(i)), str(i)) for i in range(300))
        said = []
        with subprocess.Popen([PROGRAM, "stream"], env=env, stderr=subprocess.PIPE, text=True) as process:
            watchdog = threading.Timer(150, process.kill)
            watchdog.start()
            assert process.stderr is not None
            for line in process.stderr:
                said.append(line)
                if line.startswith("received 300"):
                    process.send_signal(signal.SIGINT)
            watchdog.cancel()
        assert process.returncode == 0, "".join(said)
    assert said[-1].startswith("Stopped. received 300 = stored 300"), "".join(said)
    status = subprocess.run([PROGRAM, "status", "--json"], env=env, capture_output=True, text=True, check=True)
    found = json.loads(status.stdout)
    assert (found["received"], found["unaccounted"], found["unfolded_receipts"]) == (300, 0, 0)
