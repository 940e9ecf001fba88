"""The store against the events alone: random histories of tasks, late tasks, crashes, takeovers, restores and commits.

First law: whatever order, batching, repetition or interruption a history has, its reports, drugs, reactions, pairs and
window counts are those of its events (`store_model`), after every step. The second law is in test_stream_histories.
"""

from __future__ import annotations

import copy
import shutil
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import stamina
from builders import T0, accepted, refused, report
from databases import Databases
from effort import pick
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run_machine
from interruptions import Crash, before_transaction, crashing, forgetting_acknowledgement
from sqlalchemy import select
from sqlalchemy.engine import make_url
from store_model import Event, check_store

from sql.commit import commit
from sql.connection import open_engine
from sql.errors import FencedError, LeaseHeldError, PositionError
from sql.positions import LEASE_SECONDS, Lease, Source, beat, positions, release, take_over
from sql.retry import persistently
from sql.schema import stream_lease, window_delta
from sql.staging import TaskBatch
from sql.task_write import TaskResult, write_task

STREAM, FILE = "test/reports", "file:0a1b"
PARTITIONS = {STREAM: ("0", "1"), FILE: ("0",)}
WIDTHS = (5_000, 30_000, 604_800_000)
HUBS = st.sampled_from([STREAM, FILE])
PLACES = st.integers(0, 2)

EXAMPLES = {"sqlite": pick(8, 400), "postgresql": pick(5, 250)}
STEPS = 15


@dataclass
class State:
    """What the database alone decides; goes back with it when a backup is restored."""

    epochs: dict[str, int] = field(default_factory=dict)
    positions: dict[Source, int] = field(default_factory=dict)


choices = st.tuples(
    st.integers(0, 4), st.integers(1, 2), st.integers(0, 40), st.integers(1, 2), st.sampled_from([False] * 9 + [True])
)
logs_of_hub = st.tuples(*(st.lists(choices, min_size=4, max_size=14) for _ in PARTITIONS[STREAM]))
kinds = st.sampled_from(["task", "task", "task", "half a task", "late task", "commit", "take over", "beat"])
actions = st.lists(st.tuples(kinds, PLACES, st.integers(-1, 3), st.integers(1, 6)), min_size=2, max_size=5)


def event_of(sequence: int, choice: tuple[int, int, int, int, bool]) -> Event:
    case, version, at, pairs, conflicting = choice
    if case == 0:
        return refused(sequence)
    chosen = [("IBUPROFEN", "NAUSEA"), ("ASPIRIN", "RASH"), ("IBUPROFEN", "RASH")][pairs - 1 : pairs + version - 1]
    of = report(str(case), version, chosen, content="other" if conflicting else "")
    return accepted(sequence, of, T0 + at * 1_700)


class StoreHistory(RuleBasedStateMachine):
    """One database, two hubs (a stream and a backfill), any number of runs and backups."""

    def __init__(self, databases: Databases, backend: str) -> None:
        super().__init__()
        self.databases = databases
        self.backend = backend
        self.resources = ExitStack()
        self.url = self.resources.enter_context(databases.fresh(backend))
        self.engine = open_engine(self.url)
        self.state = State()
        self.backup: tuple[str, State] | None = None
        self.generations = {STREAM: 1, FILE: 0}
        self.logs: dict[Source, list[Event]] = {}
        self.leases: defaultdict[str, list[Lease]] = defaultdict(list)
        self.widths = WIDTHS[:1]

    @initialize(stream=logs_of_hub, file=st.lists(choices, min_size=4, max_size=14))
    def begin(self, stream: Sequence[list[tuple[int, int, int, int, bool]]], file: list[tuple[int, ...]]) -> None:
        self.add_logs(STREAM, stream)
        self.add_logs(FILE, [file])
        for hub in PARTITIONS:
            self.take_over(hub)

    # --- runs ---------------------------------------------------------------------------------------------------

    @rule(hub=HUBS)
    def take_over(self, hub: str) -> None:
        self.taken(take_over(self.engine, hub, self.generations[hub], self.beginnings(hub), force=True))

    @rule(hub=HUBS, alive=st.booleans())
    def second_stream(self, hub: str, alive: bool) -> None:
        """One that waits its turn: refused while the first beats, in charge once that one has fallen silent."""
        first = self.lease(hub)
        waited: list[float] = []

        def sleeper(seconds: float) -> None:
            waited.append(seconds)
            if alive:
                with self.engine.begin() as connection:
                    beat(connection, first)

        second = open_engine(self.url)
        try:
            lease = take_over(second, hub, self.generations[hub], self.beginnings(hub), sleeper=sleeper)
        except LeaseHeldError:
            assert alive
        else:
            assert not alive or not waited, "a second stream started while the first was beating"
            assert sum(waited) in (0, LEASE_SECONDS)
            self.taken(lease)
        finally:
            second.dispose()

    @rule(hub=HUBS, clean=st.booleans())
    def restart(self, hub: str, clean: bool) -> None:
        if clean:
            release(self.engine, self.lease(hub))
        self.engine.dispose()
        self.take_over(hub)

    @rule(hub=HUBS, first=st.integers(0, 6))
    def crash_in_takeover(self, hub: str, first: int) -> None:
        for point in range(first, 40, 7):
            with suppress(Crash), crashing(self.engine, point):
                self.take_over(hub)
                return
            self.see_lease(hub)
        self.take_over(hub)

    @precondition(lambda self: self.generations[STREAM] < 3)
    @rule(logs=logs_of_hub)
    def recreate_hub(self, logs: Sequence[list[tuple[int, int, int, int, bool]]]) -> None:
        """Another hub under the same name: what was not read of the old one is gone, events begin at 0 again."""
        self.generations[STREAM] += 1
        self.add_logs(STREAM, logs)
        self.take_over(STREAM)

    # --- tasks --------------------------------------------------------------------------------------------------

    @rule(place=PLACES, back=st.integers(-1, 4), count=st.integers(1, 6), late=st.booleans(), old=st.booleans())
    def write(self, place: int, back: int, count: int, late: bool, old: bool) -> None:
        """A task from `back` events before the position, maybe of an earlier run, or of the hub before this one."""
        task = self.task(place, back, count, late=late and back < 3, old=old and late)
        if task is not None:
            self.expect(task)

    @rule(place=PLACES, back=st.integers(0, 2), count=st.integers(1, 6), first=st.integers(0, 12))
    def crash_in_task(self, place: int, back: int, count: int, first: int) -> None:
        """Crash at every thirteenth point in turn; no try leaves half of anything, then one goes through."""
        task = self.task(place, back, count)
        if task is None:
            return
        for point in range(first, 130, 13):
            with suppress(Crash), crashing(self.engine, point):
                self.expect(task)
                return
            self.see_position(task)
            self.holds_what_was_read()
        self.expect(task)

    @precondition(lambda self: self.backend == "postgresql")  # SQLite is in the same process: nothing gets lost
    @rule(place=PLACES, count=st.integers(1, 6), which=st.integers(1, 4), what=st.sampled_from(["task", "commit"]))
    def lose_acknowledgement(self, place: int, count: int, which: int, what: str) -> None:
        """A COMMIT goes through, but the answer is lost: the same process tries again."""
        task = self.task(place, 0, count)
        if task is None:
            return
        with stamina.set_testing(True, attempts=10), forgetting_acknowledgement(self.engine, which):
            if what == "task":
                self.expect(task, told=False)
            else:
                self.commit(task.source.hub)

    @rule(
        place=PLACES,
        count=st.integers(1, 6),
        begin=st.integers(1, 4),
        other=st.sampled_from(["same task", "shorter task", "take over", "commit"]),
    )
    def task_beside_another(self, place: int, count: int, begin: int, other: str) -> None:
        """Something else goes through between two transactions of a task (or before its only one)."""
        task = self.task(place, 0, count)
        if task is None:
            return
        hub = task.source.hub
        shorter = TaskBatch(task.source, task.epoch, task.events[: (count + 1) // 2], None, "suite-1")
        interruption: Callable[[], None] = {
            "same task": lambda: self.expect(task),
            "shorter task": lambda: self.expect(shorter),
            "take over": lambda: self.take_over(hub),
            "commit": lambda: self.commit(hub),
        }[other]
        with before_transaction(self.engine, begin, interruption):
            self.expect(task)

    @rule(chosen=actions)
    def at_once(self, chosen: list[tuple[str, int, int, int]]) -> None:
        """Tasks, commits, takeovers and heartbeats in threads of their own, started together."""
        before = copy.deepcopy(self.state)
        jobs = [job for choice in chosen if (job := self.job(*choice)) is not None]
        start = threading.Barrier(max(len(jobs), 1))

        def run(job: Job) -> TaskResult | Lease | Exception | None:
            start.wait(60)
            try:
                return job.work()
            except (FencedError, PositionError, LeaseHeldError) as error:
                return error

        with ThreadPoolExecutor(max(len(jobs), 1)) as pool:
            results = list(pool.map(run, jobs))
        for hub in {job.hub for job in jobs if job.kind == "take over"}:
            self.see_lease(hub)
            leases = [r for job, r in zip(jobs, results, strict=True) if isinstance(r, Lease) and job.hub == hub]
            assert self.state.epochs[hub] == max(lease.epoch for lease in leases)
        self.judge_tasks(before, list(zip(jobs, results, strict=True)))

    # --- commits ------------------------------------------------------------------------------------------------

    @rule(hub=HUBS)
    def commit(self, hub: str) -> None:
        lease = self.lease(hub)
        persistently(lambda: self.fold(lease))

    @rule(hub=HUBS, first=st.integers(0, 8))
    def crash_in_commit(self, hub: str, first: int) -> None:
        for point in range(first, 90, 9):
            with suppress(Crash), crashing(self.engine, point):
                self.commit(hub)
                return
            self.holds_what_was_read()

    @rule(hub=HUBS)
    def late_commit(self, hub: str) -> None:
        for lease in self.leases[hub]:
            if lease.epoch != self.state.epochs[hub]:
                with pytest.raises(FencedError):
                    self.fold(lease)

    @precondition(lambda self: len(self.widths) < len(WIDTHS))
    @rule()
    def add_width(self) -> None:
        self.widths = WIDTHS[: len(self.widths) + 1]

    # --- backups ------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.backup is None)
    @rule()
    def back_up(self) -> None:
        self.engine.dispose()
        if self.backend == "sqlite":
            path = Path(str(make_url(self.url).database))
            place = str(path.with_suffix(".backup"))
            self.resources.callback(Path(place).unlink, missing_ok=True)
            with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(place)) as target:
                source.backup(target)
        else:
            name = str(make_url(self.url).database)
            place = self.resources.enter_context(self.databases.postgresql.database(name))
        self.backup = place, copy.deepcopy(self.state)

    @precondition(lambda self: self.backup is not None)
    @rule(started=st.booleans())
    def restore(self, started: bool) -> None:
        """The hub keeps its events, the database forgets; `started` again, runs it has forgotten store nothing."""
        assert self.backup is not None
        place, state = self.backup
        self.engine.dispose()
        if self.backend == "sqlite":
            path = Path(str(make_url(self.url).database))
            for end in ("-wal", "-shm"):
                Path(f"{path}{end}").unlink(missing_ok=True)
            new = shutil.copy(place, f"{path}.restored")
            Path(new).replace(path)  # another file: SQLite knows files by their inode
        else:
            name = make_url(self.url).database
            self.databases.postgresql.admin(f"DROP DATABASE {name} WITH (FORCE)")
            self.databases.postgresql.admin(f"CREATE DATABASE {name} TEMPLATE {place}")
        self.state = copy.deepcopy(state)
        if started:
            for hub in PARTITIONS:
                self.take_over(hub)
            for index in range(3):
                task = self.task(index, 0, 3, late=True)
                if task is not None:
                    self.expect(task)

    # --- the law ------------------------------------------------------------------------------------------------

    @invariant()
    def holds_what_was_read(self) -> None:
        check_store(self.engine, {source: self.logs[source][:at] for source, at in self.state.positions.items()})

    def teardown(self) -> None:
        """Whatever happened: start once more, read every log to its end and commit; nothing is left over."""
        try:
            if self.logs:
                for hub in PARTITIONS:
                    self.take_over(hub)
                for source in self.places():
                    rest = self.logs[source][self.state.positions[source] :]
                    if rest:
                        self.expect(TaskBatch(source, self.lease(source.hub).epoch, rest, None, "suite-1"))
                for hub in PARTITIONS:
                    self.commit(hub)
                self.holds_what_was_read()
                with self.engine.connect() as connection:
                    assert connection.execute(select(window_delta)).all() == []
        finally:
            self.engine.dispose()
            self.resources.close()

    # --- how it is done -----------------------------------------------------------------------------------------

    def add_logs(self, hub: str, logs: Sequence[Sequence[tuple[int, ...]]]) -> None:
        for partition, log in zip(PARTITIONS[hub], logs, strict=True):
            source = Source(hub, self.generations[hub], partition)
            self.logs[source] = [event_of(i, choice) for i, choice in enumerate(log)]

    def places(self) -> list[Source]:
        return [Source(hub, self.generations[hub], p) for hub, partitions in PARTITIONS.items() for p in partitions]

    def beginnings(self, hub: str) -> dict[str, int]:
        return dict.fromkeys(PARTITIONS[hub], 0)

    def lease(self, hub: str) -> Lease:
        """That of the run in charge."""
        (lease,) = (lease for lease in self.leases[hub] if lease.epoch == self.state.epochs[hub])
        return lease

    def taken(self, lease: Lease) -> None:
        assert lease.epoch > max((known.epoch for known in self.leases[lease.hub]), default=0)
        self.leases[lease.hub].append(lease)
        self.state.epochs[lease.hub] = lease.epoch
        for partition in PARTITIONS[lease.hub]:
            self.state.positions.setdefault(Source(lease.hub, self.generations[lease.hub], partition), 0)

    def see_lease(self, hub: str) -> None:
        """Take from the database who is in charge, after something that may or may not have changed it."""
        with self.engine.connect() as connection:
            row = connection.execute(select(stream_lease).where(stream_lease.c.hub == hub)).one()
        if row.epoch != self.state.epochs.get(hub):
            self.taken(Lease(hub, row.epoch, row.holder))

    def see_position(self, task: TaskBatch) -> None:
        """Take over how far a task came that crashed: all the way, or nowhere."""
        source = task.source
        at = positions(self.engine, source.hub, source.generation).get(source.partition_id)
        if at is None:  # of a hub made anew that a restored database has never heard of
            assert source not in self.state.positions
            return
        assert at in (self.state.positions[source], task.last + 1)
        self.state.positions[source] = at

    def task(self, place: int, back: int, count: int, *, late: bool = False, old: bool = False) -> TaskBatch | None:
        source = self.places()[place]
        if old and source.generation > 1:
            source = Source(source.hub, source.generation - 1, source.partition_id)
        first = max(self.state.positions.get(source, 0) - back, 0)
        events = self.logs[source][first : first + count]
        if not events:
            return None
        lease = self.lease(source.hub)
        if late or old:
            lease = next((run for run in reversed(self.leases[source.hub]) if run != lease), lease)
        return TaskBatch(source, lease.epoch, events, None, "suite-1")

    def expect(self, task: TaskBatch, *, told: bool = True) -> None:
        """Write, and hold what came back against the state as it is when the task's own transaction runs."""
        try:
            result = write_task(self.engine, task)
        except FencedError:
            assert task.epoch != self.state.epochs[task.source.hub]
            return
        except PositionError:
            assert task.first > self.state.positions.get(task.source, -1)
            return
        assert task.epoch == self.state.epochs[task.source.hub]
        at = self.state.positions[task.source]
        assert task.first <= at
        fresh = max(task.last + 1 - at, 0)
        assert result.received == fresh or (result.received == 0 and not told)
        assert result.received == result.stored + result.quarantined + result.duplicates
        self.state.positions[task.source] = at + fresh

    def fold(self, lease: Lease) -> None:
        with commit(self.engine, lease) as tx:
            tx.fold(self.widths)

    def job(self, kind: str, place: int, back: int, count: int) -> Job | None:
        hub = self.places()[place].hub
        lease = self.lease(hub)
        generation, beginnings = self.generations[hub], self.beginnings(hub)
        if kind == "commit":
            return Job(kind, hub, lambda: persistently(lambda: self.fold(lease)))
        if kind == "take over":
            return Job(kind, hub, lambda: take_over(self.engine, hub, generation, beginnings, force=True))
        if kind == "beat":
            return Job(kind, hub, lambda: self.beat(lease))
        task = self.task(place, back, (count + 1) // 2 if kind == "half a task" else count, late=kind == "late task")
        return Job(kind, hub, lambda: write_task(self.engine, task), task) if task is not None else None

    def beat(self, lease: Lease) -> None:
        with self.engine.begin() as connection:
            beat(connection, lease)

    def judge_tasks(self, before: State, done: Sequence[tuple[Job, object]]) -> None:
        """Hold what tasks at once said against what they found and left."""
        fenced = {job.hub for job, _ in done if job.kind == "take over"}
        for job, result in done:
            late = job.task is not None and job.task.epoch != before.epochs[job.hub]
            if isinstance(result, FencedError):
                assert late or job.hub in fenced
            elif isinstance(result, PositionError):
                assert job.task is not None
                assert job.task.first > before.positions.get(job.task.source, -1)
            elif isinstance(result, LeaseHeldError):
                assert sum(other.kind == "take over" and other.hub == job.hub for other, _ in done) > 1
            else:
                assert not late
        for source, at in before.positions.items():
            mine = [(job.task, result) for job, result in done if job.task is not None and job.task.source == source]
            stored = [(task, result) for task, result in mine if isinstance(result, TaskResult)]
            now = positions(self.engine, source.hub, source.generation)[source.partition_id]
            assert now == max([at, *(task.last + 1 for task, _ in stored)])
            assert now - at == sum(result.received for _, result in stored)
            self.state.positions[source] = now


@dataclass(frozen=True)
class Job:
    """Something to do on a thread of its own."""

    kind: str
    hub: str
    work: Callable[[], TaskResult | Lease | None]
    task: TaskBatch | None = None


@pytest.mark.timeout(pick(240, 7_200))
@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
def test_whatever_happens_the_store_holds_what_was_read(databases: Databases, backend: str) -> None:
    run_machine(
        lambda: StoreHistory(databases, backend),
        settings=settings(
            max_examples=EXAMPLES[backend],
            stateful_step_count=STEPS,
            deadline=None,
            # Shrinking would outlast the test's time, and threads at once do not repeat; 15 steps can be read.
            phases=(Phase.explicit, Phase.reuse, Phase.generate),
            suppress_health_check=list(HealthCheck),
        ),
    )
