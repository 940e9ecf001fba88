"""A stream without Spark, as a process that can be killed, stopped or cut off at an exact point of its work.

It takes over, then goes through its log batch by batch: a task per range, the commit, the relay. Started again on the
same database it finishes the batch it was in. Its log is `stream_log`, told by a seed; alerts go to a file.

A nursery is a warm process that forks one of these per order, so that hundreds of them are cheap; it opens no
database itself. It reads one JSON object a line: {"start": order} is answered with {"pid": n}, and {"wait": pid,
"seconds": s, "kill_after": s or null} with {"exit": code} (negative: the signal that ended it), {"stopped": true}
or {"late": true}.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import stamina
from builders import batch as task_batch
from interruptions import at_every_point
from sqlalchemy import Engine, event
from stream_log import HUB, PARTITIONS, WIDTHS, StreamBatch, stream_log

import sql.connection
import sql.positions
import streaming.heartbeat
from alerts.ports import OutboxMessage
from alerts.relay import Relay
from models.spikes import RuleBook
from sql.connection import open_engine
from sql.errors import StoreError
from sql.outbox import SqlOutbox
from sql.positions import Lease, positions, take_over
from sql.retry import persistently
from sql.task_write import write_task
from streaming.commit import Committer
from streaming.heartbeat import heartbeat

__all__ = ["Fault", "Order", "run"]

_log = logging.getLogger("harness")


class Fault(msgspec.Struct, frozen=True):
    """What happens at one point: before or after the `which`-th time that a statement is executed.

    `action`: "kill" and "stop" send the process that signal; "cut" ends its session on the server.
    `prefix` is for those whose end does not matter; with both empty every statement and COMMIT counts.
    """

    action: str
    statement: str = ""
    prefix: str = ""
    after: bool = False
    which: int = 1


class Order(msgspec.Struct, frozen=True):
    """How to run: `log` takes what is printed, `relayed` the alerts (JSON lines)."""

    url: str
    seed: int
    days: int
    log: str
    relayed: str
    fault: Fault | None = None
    cuts: int = 0
    """End the session at every statement of every transaction in turn, until so many cuts were made."""
    force: bool = False
    """Take over from a stream that is alive."""
    attempts: int = 0
    """Give up after so many tries, none of them waiting; 0: wait as long as the product does."""
    lock_seconds: float = 0
    """How long to wait for locks; 0: as long as the product does."""
    lease_seconds: float = 0
    """How long a silent holder of the lease counts as alive; 0: as long as in the product."""
    pragma: str = ""
    """For SQLite connections."""
    trace: str = ""
    """A file that takes every statement, in order."""
    linger: str = ""
    """When all is done, stay alive until this file exists."""


def run(order: Order) -> int:
    """Run an order to its end; the exit code."""
    _shorten(order)
    engine = open_engine(order.url)
    if order.pragma:
        event.listen(engine, "connect", lambda connection, _: connection.execute(f"PRAGMA {order.pragma}"))
    try:
        with ExitStack() as stack:
            if order.attempts:
                stack.enter_context(stamina.set_testing(True, attempts=order.attempts))
            faults = _Faults(order)
            stack.enter_context(at_every_point(engine, faults.reached))
            _Stream(engine, order, faults.new_unit).run()
    except StoreError as error:
        _log.error("%s: %s", type(error).__name__, error)
        return 1
    finally:
        engine.dispose()
    return 0


@dataclass
class _Stream:
    engine: Engine
    order: Order
    new_unit: Callable[[], None]
    lost: list[Exception] = field(default_factory=list)

    def run(self) -> None:
        lease = take_over(self.engine, HUB, 1, dict.fromkeys(PARTITIONS, 0), force=self.order.force)
        with heartbeat(self.engine, lease, self.lost.append):
            ends = dict.fromkeys(PARTITIONS, 0)
            at = positions(self.engine, HUB, 1)
            for batch in stream_log(self.order.seed, self.order.days):
                ends |= {partition: events[-1].sequence + 1 for partition, events in batch.tasks}
                if all(at[p] >= end for p, end in ends.items()) and at != ends:
                    continue  # tasks of a later batch are stored, so that this one has been committed
                self._batch(lease, batch, at)
                at |= ends
            while self.order.linger and not Path(self.order.linger).exists():
                self._check_lease()
                time.sleep(0.02)

    def _batch(self, lease: Lease, batch: StreamBatch, at: dict[str, int]) -> None:
        for partition, events in batch.tasks:
            if events[-1].sequence >= at[partition]:
                self.new_unit()
                write_task(self.engine, task_batch(lease, events, partition))
            self._check_lease()
        self.new_unit()
        Committer(self.engine, lease, WIDTHS, RuleBook()).run(batch.clock_ms)
        self.new_unit()
        relay = Relay(SqlOutbox(self.engine), _File(Path(self.order.relayed)), stop=threading.Event())
        persistently(relay.drain)

    def _check_lease(self) -> None:
        if self.lost:
            raise self.lost[0]


@dataclass(frozen=True)
class _File:
    """The alerts hub: a file that is only ever added to."""

    path: Path

    def publish(self, messages: Sequence[OutboxMessage]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            for message in messages:
                file.write(json.dumps({"id": message.outbox_id, "body": message.body.decode()}) + "\n")


class _Faults:
    """Does what an order says at the point it says."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._seen = self._cuts = 0
        self._next_cut = 0
        self._in_unit = 0

    def new_unit(self) -> None:
        """Another transaction begins, or several that are run again together."""
        self._next_cut = self._in_unit = 0

    def reached(self, point: int, statement: str, connection: Any) -> None:
        statement, after = " ".join(statement.split()), bool(point % 2)
        if self._order.trace:
            with Path(self._order.trace).open("a", encoding="utf-8") as trace:
                trace.write(f"{'after' if after else 'before'}\t{statement}\n")
        if self._cuts < self._order.cuts:
            self._cut_in_turn(connection)
        fault = self._order.fault
        if fault is None or after != fault.after:
            return
        if fault.statement not in ("", statement) or not statement.startswith(fault.prefix):
            return
        self._seen += 1
        if self._seen == fault.which:
            self._act(fault.action, connection)

    def _cut_in_turn(self, connection: Any) -> None:
        """The n-th try of a transaction is cut at its n-th point, until there is none."""
        if self._in_unit == self._next_cut:
            self._next_cut += 1
            self._in_unit = 0
            self._cuts += 1
            self._act("cut", connection)
        else:
            self._in_unit += 1

    def _act(self, action: str, connection: Any) -> None:
        if action == "cut":
            with psycopg.connect(self._order.url, autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(%s, 10000)", [connection.info.backend_pid])
        else:
            os.kill(os.getpid(), signal.SIGKILL if action == "kill" else signal.SIGSTOP)


def _shorten(order: Order) -> None:
    if order.lock_seconds:
        sql.connection._LOCK_SECONDS = order.lock_seconds
        sql.positions._TAKE_OVER_SECONDS = order.lock_seconds
    if order.lease_seconds:
        sql.positions.LEASE_SECONDS = streaming.heartbeat.LEASE_SECONDS = order.lease_seconds


def _child(order: Order) -> int:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    log = os.open(order.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    logging.basicConfig(stream=sys.stderr, format="%(name)s: %(message)s", force=True)
    try:
        return run(order)
    except BaseException:  # noqa: BLE001 - the fork must never return into the nursery
        _log.exception("not an error of the store")
        return 70


def _start(order: Order, children: set[int]) -> int:
    pid = os.fork()
    if pid == 0:
        code = _child(order)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    children.add(pid)
    return pid


def _wait(pid: int, seconds: float, kill_after: float | None, children: set[int]) -> dict[str, object]:
    started = time.monotonic()
    while (waited := time.monotonic() - started) < seconds:
        if kill_after is not None and waited > kill_after:
            os.kill(pid, signal.SIGKILL)  # not reaped yet, so this is still the process that was meant
        found, status = os.waitpid(pid, os.WNOHANG | os.WUNTRACED)
        if found and os.WIFSTOPPED(status):
            return {"stopped": True}
        if found:
            children.remove(pid)
            return {"exit": os.waitstatus_to_exitcode(status)}
        time.sleep(0.001)
    return {"late": True}


def main() -> None:
    """The nursery: until its input ends, which ends its children, too."""
    children: set[int] = set()
    for line in sys.stdin:
        asked = json.loads(line)
        if "start" in asked:
            answer: dict[str, object] = {"pid": _start(msgspec.convert(asked["start"], Order), children)}
        else:
            answer = _wait(asked["wait"], asked["seconds"], asked.get("kill_after"), children)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    for pid in children:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
