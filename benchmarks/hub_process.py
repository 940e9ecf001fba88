"""A local hub in a process of its own, so that its time is not its clients'."""

from __future__ import annotations

import multiprocessing
import os
import resource
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Self

from eventhubs.hub.server import LocalHub

__all__ = ["HubProcess"]


class HubProcess:
    """The hubs (name to partition count) served from `folder` elsewhere, with that process's memory and CPU time."""

    def __init__(self, folder: Path, hubs: Mapping[str, int]) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(str(folder), dict(hubs), theirs))
        self._process.start()
        self.connection = self._pipe.recv()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pipe.send(False)
        self._process.join()

    def cpu_s(self) -> float:
        """Seconds of CPU the hub has used."""
        self._pipe.send(True)
        return float(self._pipe.recv())

    def resident_mib(self) -> float:
        """Memory the hub has now."""
        statm = Path(f"/proc/{self._process.pid}/statm").read_text()
        return int(statm.split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def _serve(folder: str, hubs: Mapping[str, int], pipe: Connection) -> None:
    """The hub's process: tells its address, then, when asked, the CPU seconds it has used."""
    with LocalHub(Path(folder), hubs) as hub:
        pipe.send(hub.connection_string)
        while pipe.recv():
            used = resource.getrusage(resource.RUSAGE_SELF)
            pipe.send(used.ru_utime + used.ru_stime)
