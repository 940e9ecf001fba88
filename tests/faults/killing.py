"""Killing streams again and again on one database, and comparing what is left with an undisturbed run.

`python -m faults.killing` (with `tests` on the path; `make faults` does it) kills at every statement and COMMIT there
is, just before and just after it, and at random moments, on SQLite and PostgreSQL; it prints a table and ends with
1 on any difference.
"""

from __future__ import annotations

import random
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
from databases import Databases
from faults.harness import Fault, Order
from faults.judging import Balance, check_so_far, outcome_of, relayed_all
from faults.nursery import Ended, Nursery, nursery
from stream_log import StreamBatch, stream_log

__all__ = ["Campaign", "Killed"]

KILLED = -signal.SIGKILL


@dataclass
class Killed:
    """What a campaign has done and found on one kind of database."""

    kills: int = 0
    starts: int = 0
    databases: int = 0
    lost: int = 0
    doubled: int = 0
    unaccounted: int = 0
    differences: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    """Statements at which no stream could be killed."""


class Campaign:
    """Streams on one kind of database, one after the other, each of which may be killed."""

    def __init__(
        self, databases: Databases, backend: str, nursery: Nursery, folder: Path, *, seed: int, days: int
    ) -> None:
        self.found = Killed()
        self.batches: list[StreamBatch] = stream_log(seed, days)
        self._databases, self._backend, self._nursery, self._folder = databases, backend, nursery, folder
        self._seed, self._days = seed, days
        with self._database() as order:
            trace = folder / "trace"
            ended = nursery.run(msgspec.structs.replace(order, trace=str(trace)))
            assert ended.code == 0, ended.said
            self._undisturbed = outcome_of(order.url, self.batches)[1]
        lines = trace.read_text(encoding="utf-8").splitlines()
        trace.unlink()
        self.statements = list(dict.fromkeys(tuple(line.split("\t")) for line in lines))
        """(before or after, statement), each once, in order of their first execution."""
        assert self._undisturbed["findings"]["alerts"], "a log without any alert proves little"

    def at_statements(self, chosen: Iterable[tuple[str, ...]]) -> None:
        """Kill once at each: databases are used on, and made anew when their log has been read to its end."""
        waiting = list(chosen)
        while waiting:
            left = len(waiting)
            with self._database() as order:
                for one in list(waiting):
                    when, statement = one
                    ended = self._run(order, Fault("kill", statement, after=when == "after"))
                    if ended.code == KILLED:
                        waiting.remove(one)
                    elif self._at_end(order):
                        break
                self._finish(order)
            if len(waiting) == left:
                self.found.missed += [" ".join(one)[:100] for one in waiting]
                return

    def at_random(self, kills: int, longest: float) -> None:
        """Kill from outside, each time after up to `longest` seconds."""
        chance = random.Random(self._seed)
        while kills:
            with self._database() as order:
                while kills:
                    ended = self._run(order, kill_after=chance.uniform(0, longest))
                    kills -= ended.code == KILLED
                    if ended.code == 0:
                        break
                self._finish(order)

    def _run(self, order: Order, fault: Fault | None = None, kill_after: float | None = None) -> Ended:
        pid = self._nursery.start(msgspec.structs.replace(order, fault=fault))
        ended = self._nursery.wait(pid, kill_after=kill_after)
        self.found.starts += 1
        self.found.kills += ended.code == KILLED
        if ended.code not in (0, KILLED):
            self.found.differences.append(f"a stream ended with {ended.code}: {ended.said[-2000:]}")
        self._try(lambda: check_so_far(order.url, self.batches))
        return ended

    def _finish(self, order: Order) -> None:
        """Let the last stream read to the end and compare."""
        ended = self._run(order)
        if ended.code != 0:
            return
        balance, tables = outcome_of(order.url, self.batches)
        self._count(balance)
        for name, wanted in self._undisturbed.items():
            if tables[name] != wanted:
                self.found.differences.append(f"{name} differs from the undisturbed run's")
        if not relayed_all(order.url, Path(order.relayed)):
            self.found.differences.append("the messages relayed are not those of the outbox")

    def _at_end(self, order: Order) -> bool:
        return outcome_of(order.url, self.batches)[0].lost == 0

    def _count(self, balance: Balance) -> None:
        self.found.databases += 1
        self.found.lost += balance.lost
        self.found.doubled += balance.doubled
        self.found.unaccounted += abs(balance.unaccounted)

    def _try(self, check: Callable[[], None]) -> None:
        try:
            check()
        except AssertionError as error:
            self.found.differences.append(str(error)[:2000])

    @contextmanager
    def _database(self) -> Iterator[Order]:
        with self._databases.fresh(self._backend) as url:
            relayed = self._folder / "relayed"
            yield Order(url, self._seed, self._days, str(self._folder / "log"), str(relayed))
            relayed.unlink(missing_ok=True)


def main() -> int:
    """Every statement, then random moments, on both databases; a table of what was found."""
    rows: list[tuple[Any, ...]] = []
    failed = False
    with ExitStack() as stack:
        databases = Databases()
        stack.callback(databases.close)
        streams = stack.enter_context(nursery())
        folder = Path(stack.enter_context(TemporaryDirectory()))
        for backend in ("sqlite", "postgresql"):
            campaign = Campaign(databases, backend, streams, folder, seed=1, days=11)
            campaign.at_statements(campaign.statements)
            campaign.at_random(60, 0.8)
            found = campaign.found
            sound = not (found.differences or found.missed or found.lost or found.doubled or found.unaccounted)
            holds = "yes" if sound else "NO"
            rows.append((backend, found.kills, found.starts, found.databases, found.lost, found.doubled, holds))
            failed |= not sound
            for line in [*found.differences, *(f"never executed again: {one}" for one in found.missed)]:
                sys.stderr.write(f"{backend}: {line}\n")
    header = ("database", "kills", "starts", "logs read", "reports lost", "doubled", "same and adds up after each")
    for row in (header, *rows):
        sys.stdout.write("  ".join(str(v).rjust(len(name)) for name, v in zip(header, row, strict=True)) + "\n")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
