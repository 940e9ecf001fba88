"""The other end of `harness`: starts streams, waits for them, and says what became of their databases."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from faults.harness import Order

__all__ = ["Ended", "Nursery", "nursery"]

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Ended:
    """How a stream ended: its exit code (negative: the signal), and what it printed."""

    code: int
    said: str


@dataclass
class Nursery:
    """Use through `nursery`."""

    process: subprocess.Popen[str]
    logs: dict[int, Path] = field(default_factory=dict)

    def start(self, order: Order) -> int:
        """The process id of a new stream."""
        Path(order.log).unlink(missing_ok=True)
        pid: int = self._ask({"start": msgspec.to_builtins(order)})["pid"]
        self.logs[pid] = Path(order.log)
        return pid

    def wait(self, pid: int, seconds: float = 60, *, kill_after: float | None = None) -> Ended:
        """Wait until a stream has ended, or kill it after so many seconds."""
        answer = self._ask({"wait": pid, "seconds": seconds, "kill_after": kill_after})
        assert "exit" in answer, f"the stream is still there: {answer}, {self.said(pid)}"
        return Ended(answer["exit"], self.said(pid))

    def wait_for_stop(self, pid: int, seconds: float = 60) -> None:
        """Wait until a stream has stopped itself, as its order says."""
        answer = self._ask({"wait": pid, "seconds": seconds})
        assert answer == {"stopped": True}, f"{answer}, {self.said(pid)}"

    def run(self, order: Order, seconds: float = 60) -> Ended:
        """Start a stream and wait for its end."""
        return self.wait(self.start(order), seconds)

    def said(self, pid: int) -> str:
        """What a stream has printed so far."""
        path = self.logs[pid]
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def _ask(self, what: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps(what), file=self.process.stdin, flush=True)
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer


@contextmanager
def nursery() -> Iterator[Nursery]:
    """A warm nursery; whatever still lives in it ends with it."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    process = subprocess.Popen(
        [sys.executable, "-m", "faults.harness"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        cwd=ROOT,
    )
    with process:
        try:
            yield Nursery(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
