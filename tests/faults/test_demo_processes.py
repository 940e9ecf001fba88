"""`kill -9` of the demo leaves no process behind: the JVM and its Python workers notice and end."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from effort import LONG

pytestmark = [pytest.mark.spark, pytest.mark.slow, pytest.mark.timeout(300)]

COMMAND = [str(Path(sys.executable).parent / "reactionwatch"), "demo"]
LONG_ONLY = pytest.mark.skipif(not LONG, reason="another minute: make faults")


def processes_of(folder: Path) -> list[psutil.Process]:
    """The demo and all that came of it, whoever is their parent by now: they have inherited its environment."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("REACTIONWATCH_DATA_DIR") == str(folder):
                found.append(process)
    return found


@contextmanager
def demo(folder: Path) -> Iterator[subprocess.Popen[str]]:
    env = {**os.environ, "REACTIONWATCH_DATA_DIR": str(folder)}
    with subprocess.Popen(COMMAND, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        watchdog = threading.Timer(200, process.kill)
        watchdog.start()
        try:
            yield process
        finally:
            watchdog.cancel()
            for left in processes_of(folder):
                with suppress(psutil.Error):
                    left.kill()


def wait_for(process: subprocess.Popen[str], step: str) -> None:
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if f"] {step}: " in line:
            return
    raise AssertionError("the demo ended before that step: " + "".join(said))


@pytest.mark.parametrize("step", ["Baseline", pytest.param("Stream", marks=LONG_ONLY)])
def test_a_killed_demo_leaves_no_process_behind(tmp_path: Path, step: str) -> None:
    with demo(tmp_path) as process:
        wait_for(process, step)
        names = {left.name() for left in processes_of(tmp_path)}
        assert "java" in names
        process.kill()
        deadline = time.monotonic() + 60
        while left := processes_of(tmp_path):
            assert time.monotonic() < deadline, left
            time.sleep(0.1)
