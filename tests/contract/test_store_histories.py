"""The store against a few dictionaries: random histories of tasks, late tasks, crashes, takeovers and commits.

The law: whatever order, batching, repetition or interruption a history has, its reports, drugs, reactions, pairs and
window counts are those of its events. Only which of two conflicting duplicates is kept depends on the order.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from builders import T0, accepted, refused, report
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import Engine, event, text

from sql.accounting import account
from sql.commit import commit
from sql.connection import open_engine
from sql.migrate import upgrade
from sql.errors import FencedError, PositionError
from sql.keys import name_key
from sql.positions import Lease, Source, take_over
from sql.staging import Accepted, Refused, TaskBatch
from sql.task_write import TaskResult, write_task
from sql.windows import window_start

STREAM, FILE = "test/reports", "file:0a1b"
PARTITIONS = {STREAM: ("0", "1"), FILE: ("0",)}
WIDTHS = (5_000, 30_000, 604_800_000)

Event = Accepted | Refused
Pair = tuple[int, int, int]


class _CrashError(Exception):
    """The process ends here."""


@dataclass
class Model:
    """What the store should hold, kept the obvious way."""

    epochs: dict[str, int] = field(default_factory=dict)
    positions: dict[tuple[str, str], int] = field(default_factory=dict)
    reports: dict[tuple[int, int], Accepted] = field(default_factory=dict)
    pairs: dict[Pair, int] = field(default_factory=dict)
    quarantined: set[tuple[str, str, int]] = field(default_factory=set)
    duplicates: int = 0

    def store(self, hub: str, partition: str, event: Event) -> str:
        self.positions[hub, partition] = event.sequence + 1
        if isinstance(event, Refused):
            self.quarantined.add((hub, partition, event.sequence))
            return "quarantined"
        key = (name_key(event.report.safetyreportid), event.report.version)
        first = self.reports.setdefault(key, event)
        if first.report.digest != event.report.digest:
            self.quarantined.add((hub, partition, event.sequence))
            return "quarantined"
        for drug, term in event.report.pairs():
            pair = (key[0], name_key(drug), name_key(term))
            self.pairs[pair] = min(self.pairs.get(pair, event.event_ms), event.event_ms)
        if first is event:
            return "stored"
        self.duplicates += 1
        return "duplicates"

    def windows(self, width_ms: int) -> Counter[tuple[int, ...]]:
        return Counter((d, r, window_start(at, width_ms)) for (_, d, r), at in self.pairs.items())


def _event(sequence: int, choice: tuple[int, int, int, int, bool]) -> Event:
    case, version, at, pairs, conflicting = choice
    if case == 0:
        return refused(sequence)
    chosen = [("IBUPROFEN", "NAUSEA"), ("ASPIRIN", "RASH"), ("IBUPROFEN", "RASH")][pairs - 1 : pairs + version - 1]
    of = report(str(case), version, chosen, content="other" if conflicting else "")
    return accepted(sequence, of, T0 + at * 1_700)


choices = st.tuples(
    st.integers(0, 4), st.integers(1, 2), st.integers(0, 40), st.integers(1, 2), st.sampled_from([False] * 9 + [True])
)


@cache
def _empty_database() -> Path:
    path = Path(tempfile.mkdtemp()) / "empty.db"
    engine = open_engine(f"sqlite:///{path}", pooled=False)
    upgrade(engine)
    engine.dispose()
    return path


class StoreHistory(RuleBasedStateMachine):
    """One database, two hubs (a stream and a backfill), any number of runs."""

    @initialize(logs=st.tuples(*(st.lists(choices, min_size=4, max_size=14) for _ in range(3))))
    def begin(self, logs: tuple[list[tuple[int, int, int, int, bool]], ...]) -> None:
        self.folder = Path(tempfile.mkdtemp())
        shutil.copy(_empty_database(), self.folder / "store.db")
        self.engine: Engine = open_engine(f"sqlite:///{self.folder / 'store.db'}")
        self.model = Model()
        self.widths: tuple[int, ...] = WIDTHS[:1]
        self.leases: dict[str, list[Lease]] = {STREAM: [], FILE: []}
        places = [(hub, p) for hub, partitions in PARTITIONS.items() for p in partitions]
        self.logs = {
            place: [_event(i, choice) for i, choice in enumerate(log)] for place, log in zip(places, logs, strict=True)
        }
        for hub in PARTITIONS:
            self.take_over(hub)

    @rule(hub=st.sampled_from([STREAM, FILE]))
    def take_over(self, hub: str) -> None:
        lease = take_over(self.engine, hub, 1, dict.fromkeys(PARTITIONS[hub], 0), force=True)
        assert lease.epoch > self.model.epochs.get(hub, 0)
        self.model.epochs[hub] = lease.epoch
        self.leases[hub].append(lease)
        for partition in PARTITIONS[hub]:
            self.model.positions.setdefault((hub, partition), 0)

    @rule(
        place=st.integers(0, 2), back=st.integers(-1, 4), count=st.integers(1, 6), run=st.sampled_from([-1, -1, -1, -2])
    )
    def write(self, place: int, back: int, count: int, run: int) -> None:
        """A task from `back` events before the position, of this run or the one before."""
        task = self._task(place, back, count, run)
        if task is not None:
            self._expect(task)

    @rule(place=st.integers(0, 2), back=st.integers(0, 2), count=st.integers(1, 6), first=st.integers(1, 9))
    def crash_in_task(self, place: int, back: int, count: int, first: int) -> None:
        """Crash at every ninth statement in turn; no try leaves anything behind, then one goes through."""
        task = self._task(place, back, count, -1)
        if task is not None:
            before = self._stored()
            for statement in range(first, 46, 9):
                with self._before_statement(statement, _crash), suppress(_CrashError):
                    self._expect(task)
                    return
                assert self._stored() == before

    @rule(
        place=st.integers(0, 2),
        count=st.integers(1, 6),
        begin=st.integers(1, 3),
        other=st.sampled_from(["same task", "shorter task", "take over", "commit"]),
    )
    def task_beside_another(self, place: int, count: int, begin: int, other: str) -> None:
        """Something else goes through between two transactions of a task (or before its only one)."""
        task = self._task(place, 0, count, -1)
        if task is None:
            return
        shorter = TaskBatch(task.source, task.epoch, task.events[: (count + 1) // 2], None, "suite-1")
        interruption: Callable[[], None] = {
            "same task": lambda: self._expect(task),
            "shorter task": lambda: self._expect(shorter),
            "take over": lambda: self.take_over(task.source.hub),
            "commit": lambda: self.commit(task.source.hub),
        }[other]
        with self._before_statement(begin, interruption, "BEGIN IMMEDIATE"):
            self._expect(task)

    @rule(hub=st.sampled_from([STREAM, FILE]))
    def commit(self, hub: str) -> None:
        with commit(self.engine, self.leases[hub][-1]) as tx:
            tx.fold(self.widths)
        assert self._rows(f"SELECT 1 FROM ingest_task WHERE hub = '{hub}' AND folded_at IS NULL") == []

    @rule(hub=st.sampled_from([STREAM, FILE]), first=st.integers(1, 6))
    def crash_in_commit(self, hub: str, first: int) -> None:
        for statement in range(first, 37, 6):
            with self._before_statement(statement, _crash), suppress(_CrashError):
                self.commit(hub)
                return
            self.counts_and_waiting_deltas_are_the_pairs()

    @precondition(lambda self: len(self.leases[STREAM]) > 1)
    @rule()
    def late_commit(self) -> None:
        with pytest.raises(FencedError), commit(self.engine, self.leases[STREAM][-2]) as tx:
            tx.fold(self.widths)

    @precondition(lambda self: len(self.widths) < len(WIDTHS))
    @rule()
    def add_width(self) -> None:
        self.widths = WIDTHS[: len(self.widths) + 1]

    @invariant()
    def counts_and_waiting_deltas_are_the_pairs(self) -> None:
        for (width,) in self._rows("SELECT width_ms FROM window_clock"):
            found: Counter[tuple[int, ...]] = Counter()
            for *key, cases in self._rows(
                f"SELECT drug_id, reaction_id, window_start_ms, cases FROM reaction_window WHERE width_ms = {width}"
            ):
                found[tuple(key)] += cases
            for drug, reaction, at, delta in self._rows(
                "SELECT drug_id, reaction_id, event_ms, delta FROM window_delta"
            ):
                found[drug, reaction, window_start(at, width)] += delta
            assert {key: n for key, n in found.items() if n} == self.model.windows(width)

    def teardown(self) -> None:
        """Whatever happened: read on to the end of every log, commit, and the store holds what the events say."""
        if not hasattr(self, "engine"):
            return
        try:
            for (hub, partition), log in self.logs.items():
                rest = log[self.model.positions[hub, partition] :]
                if rest:
                    self._expect(self._batch(hub, partition, rest, -1))
            for hub in PARTITIONS:
                self.commit(hub)
            self.counts_and_waiting_deltas_are_the_pairs()
            assert self._rows("SELECT 1 FROM window_delta") == []
            self._check_tables()
        finally:
            self.engine.dispose()
            shutil.rmtree(self.folder)

    def _check_tables(self) -> None:
        model = self.model
        assert set(self._rows("SELECT case_key, version, digest FROM safety_report")) == {
            (*key, e.report.digest) for key, e in model.reports.items()
        }
        for table, column in (("report_drug", "drug_id"), ("report_reaction", "reaction_id")):
            wanted = {
                (*key, i, name_key(name))
                for key, e in model.reports.items()
                for i, name in enumerate(
                    [d.name or "" for d in e.report.drugs]
                    if column == "drug_id"
                    else [r.term or "" for r in e.report.reactions]
                )
            }
            assert sorted(self._rows(f"SELECT case_key, version, ordinal, {column} FROM {table}")) == sorted(wanted)
        pairs = self._rows("SELECT case_key, drug_id, reaction_id, event_ms FROM case_pair")
        assert sorted(pairs) == sorted((*key, at) for key, at in model.pairs.items())
        refused = self._rows("SELECT hub, partition_id, sequence FROM quarantined_report")
        assert sorted(refused) == sorted(model.quarantined)
        for width in self.widths:
            totals = self._rows(
                f"SELECT SUM(cases) FROM window_total WHERE width_ms = {width} GROUP BY drug_id = 0, reaction_id = 0"
            )
            assert [n for (n,) in totals] == ([len(model.pairs)] * 3 if model.pairs else [])
        found = account(self.engine)
        assert (found.unaccounted, found.received) == (0, sum(map(len, self.logs.values())))
        assert (found.stored, found.duplicates) == (len(model.reports), model.duplicates)

    def _task(self, place: int, back: int, count: int, run: int) -> TaskBatch | None:
        (hub, partition), log = list(self.logs.items())[place]
        first = max(self.model.positions[hub, partition] - back, 0)
        events = log[first : first + count]
        return self._batch(hub, partition, events, run) if events else None

    def _batch(self, hub: str, partition: str, events: list[Event], run: int) -> TaskBatch:
        lease = self.leases[hub][max(run, -len(self.leases[hub]))]
        return TaskBatch(Source(hub, 1, partition), lease.epoch, events, None, "suite-1")

    def _expect(self, task: TaskBatch) -> None:
        """Write, and hold what came back against the model as it is when the task's own transaction runs."""
        try:
            result = write_task(self.engine, task)
        except FencedError:
            assert task.epoch != self.model.epochs[task.source.hub]
            return
        except PositionError:
            assert task.first > self.model.positions[task.source.hub, task.source.partition_id]
            return
        assert task.epoch == self.model.epochs[task.source.hub]
        assert result == self._expect_result(task)

    def _expect_result(self, task: TaskBatch) -> TaskResult:
        source = task.source
        position = self.model.positions[source.hub, source.partition_id]
        assert task.first <= position
        fresh = [e for e in task.events if e.sequence >= position]
        outcomes = Counter(self.model.store(source.hub, source.partition_id, e) for e in fresh)
        return TaskResult(len(fresh), outcomes["stored"], outcomes["quarantined"], outcomes["duplicates"])

    def _stored(self) -> list[object]:
        tables = ("hub_position", "ingest_task", "safety_report", "case_pair", "window_delta", "quarantined_report")
        return [sorted(map(repr, self._rows(f"SELECT * FROM {table}"))) for table in tables]

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        with self.engine.connect().execution_options(begin_mode="DEFERRED") as connection:
            return [tuple(row) for row in connection.execute(text(query))]

    @contextmanager
    def _before_statement(self, number: int, action: Callable[[], None], only: str = "") -> Iterator[None]:
        """Run `action` once, before the `number`-th statement (beginning with `only`)."""
        left = number

        def count(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            nonlocal left
            left -= statement.startswith(only)
            if left == 0:
                left = -1
                action()

        event.listen(self.engine, "before_cursor_execute", count)
        try:
            yield
        finally:
            event.remove(self.engine, "before_cursor_execute", count)


def _crash() -> None:
    raise _CrashError


StoreHistory.TestCase.settings = settings(
    max_examples=25,
    stateful_step_count=15,
    deadline=None,
    phases=(
        Phase.explicit,
        Phase.reuse,
        Phase.generate,
    ),  # shrinking would outlast the test's time; 15 steps can be read
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestStoreHistory = StoreHistory.TestCase
