"""The quarantine against a simple model: whatever is written, marked, replayed, discarded, pruned and ended in between,
every report is counted once and everything adds up, after every step.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

import pytest
from builders import T0, accepted, batch, report
from databases import Databases
from effort import pick
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from hypothesis.stateful import run_state_machine_as_test as run_machine
from interruptions import Crash, crashing
from sqlalchemy import select

from expectations.report import Report
from models.spikes import RuleBook
from sql.accounting import account
from sql.clock import utc_now
from sql.connection import open_engine
from sql.errors import FencedError
from sql.keys import name_key
from sql.positions import Lease, take_over
from sql.prune import prune
from sql.quarantine import Place, body_of, discard, mark
from sql.replay import MarkedRows, Replay, ReplayResult, read_marked, write_replay
from sql.replay_outcomes import outcomes_of
from sql.schema import case_pair, quarantined_report, reaction_window, safety_report, window_delta
from sql.staging import Accepted, Refused
from sql.task_write import TaskResult, write_task
from sql.windows import window_start
from streaming.commit import Committer

HUB, WIDTH = "test/reports", 30_000
PARTITIONS = ("0", "1")
PAIRS = [("IBUPROFEN", "NAUSEA"), ("ASPIRIN", "RASH"), ("IBUPROFEN", "RASH")]


@dataclass(frozen=True)
class Says:
    """What an event is about; its body says so, too."""

    case: int
    version: int
    content: int
    pair: int
    when: int

    @property
    def event_ms(self) -> int:
        return T0 + self.when * 7_000

    def report(self) -> Report:
        pairs = PAIRS[self.pair : self.pair + 1 + self.version]
        return report(str(self.case), self.version, pairs, content=str(self.content))

    def body(self) -> bytes:
        return json.dumps(vars(self)).encode()


@dataclass
class Row:
    state: str
    reasons: str
    says: Says
    became: str = "kept"


@dataclass
class Model:
    """What should be there."""

    received: int = 0
    duplicates: int = 0
    reports: dict[tuple[str, int], bytes] = field(default_factory=dict)
    pairs: dict[tuple[str, str, str], int] = field(default_factory=dict)
    rows: dict[Place, Row] = field(default_factory=dict)

    def take(self, says: Says) -> str:
        """Take in a report that passed: stored, a duplicate, or in conflict."""
        of = says.report()
        key = of.safetyreportid, of.version
        known = key in self.reports
        if self.reports.setdefault(key, of.digest) != of.digest:
            return "conflict"
        self.duplicates += known
        for drug, term in of.pairs():
            pair = (of.safetyreportid, drug, term)
            self.pairs[pair] = min(self.pairs.get(pair, says.event_ms), says.event_ms)
        return "duplicate" if known else "stored"

    def replay(self, failing: frozenset[int]) -> ReplayResult:
        """All that are marked, in order of their places; those whose case is in `failing` fail."""
        found: Counter[str] = Counter()
        for place in sorted(self.rows):
            row = self.rows[place]
            if row.state != "replay":
                continue
            became = "fails" if row.says.case in failing else self.take(row.says)
            if became in ("stored", "duplicate"):
                row.state, row.became = "replayed", became
                found[became] += 1
            else:
                row.state, row.became = "kept", "kept"
                row.reasons = "wrong_type" if became == "fails" else "conflicting_duplicate"
                found["kept"] += 1
        return ReplayResult(found["stored"], found["duplicate"], found["kept"])


saying = st.builds(Says, st.integers(0, 3), st.integers(1, 2), st.integers(0, 1), st.integers(0, 1), st.integers(-9, 9))
events = st.lists(st.tuples(saying, st.booleans()), min_size=1, max_size=5)
some = st.frozensets(st.integers(0, 12), max_size=8)
cases = st.frozensets(st.integers(0, 3), max_size=2)


class QuarantineHistory(RuleBasedStateMachine):
    """One hub of two partitions and its quarantine."""

    def __init__(self, databases: Databases, backend: str) -> None:
        super().__init__()
        self.resources = ExitStack()
        self.engine = open_engine(self.resources.enter_context(databases.fresh(backend)))
        self.model = Model()
        self.next = dict.fromkeys(PARTITIONS, 0)
        self.lease = self.taken()
        self.last: Replay | None = None

    def taken(self) -> Lease:
        return take_over(self.engine, HUB, 1, dict.fromkeys(PARTITIONS, 0), force=True)

    @rule(partition=st.sampled_from(PARTITIONS), chosen=events)
    def write(self, partition: str, chosen: Sequence[tuple[Says, bool]]) -> None:
        found: Counter[str] = Counter()
        task: list[Accepted | Refused] = []
        for says, broken in chosen:
            sequence = self.next[partition]
            self.next[partition] += 1
            if broken:
                task.append(Refused(sequence, says.event_ms, says.body(), ("broken_json",), "$"))
            else:
                task.append(accepted(sequence, says.report(), says.event_ms, says.body()))
            became = "broken" if broken else self.model.take(says)
            found[became] += 1
            if became in ("broken", "conflict"):
                reasons = "broken_json" if broken else "conflicting_duplicate"
                self.model.rows[Place(HUB, 1, partition, sequence)] = Row("kept", reasons, says)
        self.model.received += len(task)
        result = write_task(self.engine, batch(self.lease, task, partition))
        assert result == TaskResult(len(task), found["stored"], found["broken"] + found["conflict"], found["duplicate"])

    @rule(chosen=some)
    def mark(self, chosen: frozenset[int]) -> None:
        places = self.chosen(chosen)
        kept = [place for place in places if self.model.rows[place].state == "kept"]
        assert mark(self.engine, places, "officer") == len(kept)
        for place in kept:
            self.model.rows[place].state = "replay"

    @rule(chosen=some)
    def discard(self, chosen: frozenset[int]) -> None:
        places = self.chosen(chosen)
        kept = [place for place in places if self.model.rows[place].state == "kept"]
        assert discard(self.engine, places, "officer") == len(kept)
        for place in kept:
            self.model.rows[place].state = "discarded"

    @rule(failing=cases, again=st.booleans())
    def replay(self, failing: frozenset[int], again: bool) -> None:
        """Maybe twice with what was read once, as by a process that does not know of the other."""
        expected = self.model.replay(failing)
        marked = read_marked(self.engine, HUB)
        assert (marked is None) == (expected.rows == 0)
        if marked is not None:
            self.last = self.judged(marked, failing)
            assert write_replay(self.engine, self.lease, self.last) == expected
            assert read_marked(self.engine, HUB) is None
            if again:
                assert write_replay(self.engine, self.lease, self.last) is None

    @rule(failing=cases, first=st.integers(0, 15))
    def crash_in_replay(self, failing: frozenset[int], first: int) -> None:
        """Ended at every sixteenth point in turn: done whole, or not at all; then done."""
        marked = read_marked(self.engine, HUB)
        if marked is None:
            return
        for point in range(first, 400, 16):
            with suppress(Crash), crashing(self.engine, point):
                write_replay(self.engine, self.lease, self.judged(marked, failing))
                break
            if read_marked(self.engine, HUB) is None:
                break
            self.holds()
        assert read_marked(self.engine, HUB) is None
        self.model.replay(failing)

    @rule(failing=cases)
    def late_replay(self, failing: frozenset[int]) -> None:
        """A run that was taken over, and one that read its rows long ago, store nothing."""
        old, self.lease = self.lease, self.taken()
        marked = read_marked(self.engine, HUB)
        if marked is not None:
            with pytest.raises(FencedError):
                write_replay(self.engine, old, self.judged(marked, failing))
        if self.last is not None and any(
            self.model.rows[self.place(self.last.marked, i)].state != "replay"
            for i in range(len(self.last.marked.rows))
        ):
            assert write_replay(self.engine, self.lease, self.last) is None

    @rule()
    def commit(self) -> None:
        Committer(self.engine, self.lease, (WIDTH,), RuleBook()).run(None)

    @rule()
    def commit_and_prune(self) -> None:
        self.commit()
        for _ in prune(self.engine, utc_now() + dt.timedelta(days=1)):
            pass
        for row in self.model.rows.values():
            if row.state == "kept":
                row.state = "pruned"

    @invariant()
    def holds(self) -> None:
        model, totals = self.model, account(self.engine)
        there = [row for row in model.rows.values() if row.state != "replayed"]
        assert totals.unaccounted == 0
        assert (totals.received, totals.stored) == (model.received, len(model.reports))
        assert (totals.quarantined, totals.duplicates) == (len(there), model.duplicates)
        assert totals.awaiting_replay == sum(row.state == "replay" for row in there)
        assert totals.quarantined_by_reason == Counter(row.reasons for row in there)
        p, q, r = case_pair.c, quarantined_report.c, safety_report.c
        with self.engine.connect() as connection:
            rows = connection.execute(select(q.partition_id, q.sequence, q.state, q.reasons, q.body)).all()
            digests = connection.execute(select(r.safetyreportid, r.version, r.digest)).all()
            pairs = connection.execute(select(p.case_key, p.drug_id, p.reaction_id, p.event_ms)).all()
        assert {
            (Place(HUB, 1, row.partition_id, row.sequence), row.state, row.reasons, bytes(row.body)) for row in rows
        } == {
            (place, row.state, row.reasons, row.says.body() if row.state in ("kept", "replay") else b"")
            for place, row in model.rows.items()
        }
        assert {(row.safetyreportid, row.version): bytes(row.digest) for row in digests} == model.reports
        assert {tuple(row) for row in pairs} == {(*map(name_key, pair), ms) for pair, ms in model.pairs.items()}
        self.counts_once()
        self.tells_what_became()

    def counts_once(self) -> None:
        """Cases by window: what is counted and what waits to be."""
        w, d = reaction_window.c, window_delta.c
        found: Counter[int] = Counter()
        with self.engine.connect() as connection:
            for row in connection.execute(select(w.window_start_ms, w.cases)):
                found[row.window_start_ms] += row.cases
            for row in connection.execute(select(d.event_ms, d.delta)):
                found[window_start(row.event_ms, WIDTH)] += row.delta
        wanted = Counter(window_start(event_ms, WIDTH) for event_ms in self.model.pairs.values())
        assert {start: n for start, n in found.items() if n} == wanted

    def tells_what_became(self) -> None:
        of = {"kept": "kept", "replay": "waiting", "discarded": "discarded", "pruned": "pruned"}
        told = {outcome.place: str(outcome.became) for outcome in outcomes_of(self.engine, list(self.model.rows))}
        assert told == {place: of.get(row.state, row.became) for place, row in self.model.rows.items()}

    def teardown(self) -> None:
        """Whatever is left: mark it, replay it and commit; nothing is left over."""
        try:
            self.mark(frozenset(range(len(self.model.rows))))
            self.replay(frozenset(), again=False)
            self.commit()
            self.holds()
        finally:
            self.engine.dispose()
            self.resources.close()

    def chosen(self, places: frozenset[int]) -> list[Place]:
        return [place for n, place in enumerate(sorted(self.model.rows)) if n in places]

    def place(self, marked: MarkedRows, i: int) -> Place:
        return Place(marked.hub, marked.generation, marked.rows[i].partition_id, marked.rows[i].sequence)

    def judged(self, marked: MarkedRows, failing: frozenset[int]) -> Replay:
        outcomes: list[Accepted | Refused] = []
        for i, row in enumerate(marked.rows):
            says = Says(**json.loads(row.body))
            assert body_of(self.engine, self.place(marked, i)) == row.body
            if says.case in failing:
                outcomes.append(Refused(i, row.enqueued_ms, row.body, ("wrong_type",), None))
            else:
                outcomes.append(Accepted(i, row.enqueued_ms, says.event_ms, row.body, says.report()))
        return Replay(marked, outcomes, None, "suite-2")


@pytest.mark.timeout(pick(240, 7_200))
@pytest.mark.parametrize("backend", ["sqlite", *pick((), ("postgresql",))])
def test_whatever_happens_every_report_is_counted_once(databases: Databases, backend: str) -> None:
    run_machine(
        lambda: QuarantineHistory(databases, backend),
        settings=settings(
            max_examples=pick(12, 1_000),
            stateful_step_count=20,
            deadline=None,
            phases=(Phase.explicit, Phase.reuse, Phase.generate),
            suppress_health_check=list(HealthCheck),
        ),
    )
