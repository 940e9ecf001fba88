"""Replay from quarantine: what was marked is stored after all, once, and everything adds up whatever happens."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import stamina
from builders import T0, accepted, batch, refused, report
from databases import Databases
from effort import pick
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from interruptions import Crash, before_transaction, crashing, forgetting_acknowledgement
from sqlalchemy import Engine, select, update

from expectations.report import Report
from models.spikes import RuleBook
from sql.accounting import Accounting, account
from sql.clock import utc_now
from sql.commit import commit
from sql.connection import open_engine
from sql.errors import FencedError
from sql.overview import Totals, read_overview
from sql.positions import Lease, take_over
from sql.prune import Pruned, prunable, prune
from sql.quarantine import (
    Place,
    Position,
    Selection,
    State,
    body_of,
    count_quarantined,
    discard,
    find,
    list_quarantined,
    mark,
    row_at,
    sources,
)
from sql.replay import (
    MarkedRows,
    Replay,
    ReplayResult,
    count_marked,
    read_marked,
    uncounted_files,
    write_replay,
)
from sql.replay_outcomes import Became, outcomes_of
from sql.schema import (
    case_pair,
    hub_position,
    ingest_task,
    quarantined_report,
    reaction_window,
    report_drug,
    safety_report,
    window_total,
)
from sql.staging import Accepted, Refused
from sql.task_write import write_task
from streaming.commit import Committer

HUB = "test/reports"
WIDTHS = (5_000, 30_000)
Judged = Accepted | Refused


@pytest.fixture
def lease(engine: Engine) -> Lease:
    return take_over(engine, HUB, 1, {"0": 0, "1": 0})


def at(sequence: int, partition: str = "0", generation: int = 1, hub: str = HUB) -> Place:
    return Place(hub, generation, partition, sequence)


def passes(of: Report, event_ms: int = T0) -> Accepted:
    return accepted(-1, of, event_ms)


def fails(reason: str = "no_named_drug", path: str | None = None) -> Refused:
    return Refused(-1, T0, b"", (reason,), path)


def judged(marked: MarkedRows, verdicts: Mapping[tuple[str, int], Judged], suite: str = "suite-2") -> Replay:
    outcomes = [verdicts[row.partition_id, row.sequence] for row in marked.rows]
    return Replay(marked, outcomes, "model-2", suite)


def replay(engine: Engine, lease: Lease, *verdicts: Judged, partition: str = "0") -> ReplayResult:
    """Replay all that is marked; the n-th verdict is that on sequence number n of the partition."""
    total = ReplayResult()
    while (marked := read_marked(engine, lease.hub)) is not None:
        result = write_replay(
            engine, lease, judged(marked, {(partition, n): verdict for n, verdict in enumerate(verdicts)})
        )
        assert result is not None
        total += result
    return total


def quarantine(engine: Engine, lease: Lease, count: int, partition: str = "0") -> None:
    """Events that were broken, all of them marked."""
    write_task(engine, batch(lease, [refused(n, body=b"body %d" % n) for n in range(count)], partition))
    assert mark(engine, [at(n, partition) for n in range(count)], "officer") == count


def rows(engine: Engine) -> dict[Place, Any]:
    with engine.connect() as connection:
        found = connection.execute(select(quarantined_report))
        return {Place(row.hub, row.generation, row.partition_id, row.sequence): row for row in found}


def fold(engine: Engine, lease: Lease) -> None:
    Committer(engine, lease, WIDTHS, RuleBook()).run(None)


def sums(engine: Engine) -> tuple[int, int, int, int]:
    """Received, stored, quarantined, duplicates, which add up."""
    total: Accounting = account(engine)
    assert total.unaccounted == 0
    assert total == account(engine, HUB)
    return total.received, total.stored, total.quarantined, total.duplicates


def table(engine: Engine, *columns: Any) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return sorted(tuple(row) for row in connection.execute(select(*columns)))


def counts(engine: Engine) -> list[Any]:
    """What was counted, without how it came about."""
    p, w, t = case_pair.c, reaction_window.c, window_total.c
    return [
        table(engine, p.case_key, p.drug_id, p.reaction_id, p.event_ms),
        *(table(engine, c.width_ms, c.window_start_ms, c.drug_id, c.reaction_id, c.cases) for c in (w, t)),
    ]


# What a replay does


def test_a_report_that_passes_is_stored_and_in_quarantine_no_more(engine: Engine, lease: Lease) -> None:
    quarantine(engine, lease, 1)
    assert sums(engine) == (1, 0, 1, 0)
    assert replay(engine, lease, passes(report("1"))) == ReplayResult(stored=1)
    assert sums(engine) == (1, 1, 0, 0)
    (row,) = rows(engine).values()
    assert (row.state, row.body, row.reasons, row.changed_by) == ("replayed", b"", "broken_json", "officer")
    with engine.connect() as connection:
        stored = connection.execute(select(safety_report)).one()
    assert (stored.safetyreportid, stored.sequence, stored.suite_version, stored.model_version) == (
        *("1", 0, "suite-2", "model-2"),
    )


def test_its_receipt_is_of_an_empty_range(engine: Engine, lease: Lease) -> None:
    quarantine(engine, lease, 3)
    of = report("1")
    replay(engine, lease, passes(of), passes(of), fails())
    t = ingest_task.c
    columns = (t.partition_id, t.first_sequence, t.last_sequence, t.stored, t.quarantined, t.duplicates, t.epoch)
    assert table(engine, *columns) == [
        ("0", 0, 2, 0, 3, 0, lease.epoch),
        ("replay", 0, -1, 1, -2, 1, lease.epoch),
    ]


def test_what_fails_again_is_kept_with_its_new_reasons_and_leaves_no_receipt(engine: Engine, lease: Lease) -> None:
    quarantine(engine, lease, 1)
    (before,) = rows(engine).values()
    assert replay(engine, lease, fails("wrong_type", "$.patient")) == ReplayResult(kept=1)
    (after,) = rows(engine).values()
    assert (after.state, after.reasons, after.path, after.suite_version) == (
        *("kept", "wrong_type", "$.patient", "suite-2"),
    )
    assert (after.body, after.stored_at, after.receipt_id) == (before.body, before.stored_at, before.receipt_id)
    assert after.changed_at > before.changed_at
    assert sums(engine) == (1, 0, 1, 0)
    assert len(table(engine, ingest_task.c.receipt_id)) == 1


def test_it_counts_where_it_would_have_counted(engine: Engine, lease: Lease) -> None:
    quarantine(engine, lease, 1)
    write_task(engine, batch(lease, [accepted(1, report("2"), T0 + 60_000)]))
    fold(engine, lease)
    replay(engine, lease, passes(report("1"), T0))
    assert account(engine).unfolded_receipts == 1
    fold(engine, lease)
    w = reaction_window.c
    assert table(engine, w.width_ms, w.window_start_ms, w.cases) == [
        (width, start, 1) for width in WIDTHS for start in (T0, T0 + 60_000)
    ]
    assert account(engine).unfolded_receipts == 0


def test_a_backfill_that_ends_with_a_replay_skips_judgement_up_to_the_replayed_report(
    engine: Engine, lease: Lease
) -> None:
    """The position tells the largest event time stored, also of what was stored late."""
    quarantine(engine, lease, 2)
    write_task(engine, batch(lease, [accepted(0, report("0"), T0 + 1)], "1"))
    replay(engine, lease, passes(report("1"), T0 + 9), fails())
    p = hub_position.c
    assert table(engine, p.partition_id, p.event_ms) == [("0", T0 + 9), ("1", T0 + 1)]
    quarantined_later = [refused(1)]
    write_task(engine, batch(lease, quarantined_later, "1"))
    mark(engine, [at(1, "1")], "officer")
    replay(engine, lease, fails(), passes(report("2"), T0), partition="1")
    assert table(engine, p.partition_id, p.event_ms) == [("0", T0 + 9), ("1", T0 + 1)]


def test_reports_of_a_hub_made_anew_have_a_receipt_of_their_own(engine: Engine, lease: Lease) -> None:
    quarantine(engine, lease, 1)
    anew = take_over(engine, HUB, 2, {"0": 0}, force=True)
    write_task(engine, batch(anew, [refused(0)], generation=2))
    mark(engine, [at(0, generation=2)], "officer")
    receipts = []
    while (marked := read_marked(engine, HUB)) is not None:
        receipts.append(marked.generation)
        write_replay(engine, anew, judged(marked, {("0", 0): passes(report(str(marked.generation)))}))
    assert receipts == [1, 2]
    t = ingest_task.c
    assert [r for r in table(engine, t.partition_id, t.generation, t.stored) if r[0] == "replay"] == [
        *(("replay", 1, 1), ("replay", 2, 1)),
    ]
    assert [o.became for o in outcomes_of(engine, [at(0), at(0, generation=2)])] == [Became.STORED] * 2
    assert sums(engine) == (2, 2, 0, 0)


def test_rows_of_another_hub_are_left_alone(engine: Engine, lease: Lease) -> None:
    file = take_over(engine, "file:abc", 0, {"0": 0})
    write_task(engine, batch(file, [refused(0)], generation=0))
    mark(engine, [at(0, generation=0, hub="file:abc")], "officer")
    assert read_marked(engine, HUB) is None
    marked = read_marked(engine, "file:abc")
    assert marked is not None
    with pytest.raises(ValueError, match="lease of its rows' hub"):
        write_replay(engine, lease, judged(marked, {("0", 0): passes(report("1"))}))
    assert uncounted_files(engine) == []
    write_replay(engine, file, judged(marked, {("0", 0): passes(report("1"))}))
    assert uncounted_files(engine) == ["file:abc"]
    with commit(engine, file) as tx:
        tx.fold(WIDTHS)
    assert uncounted_files(engine) == []


# Duplicates and conflicts


def test_a_case_that_came_in_meanwhile_is_a_duplicate_that_counts_at_the_earlier_time(
    engine: Engine, lease: Lease
) -> None:
    quarantine(engine, lease, 1)
    write_task(engine, batch(lease, [accepted(1, report("1"), T0 + 60_000)]))
    fold(engine, lease)
    assert replay(engine, lease, passes(report("1"), T0)) == ReplayResult(duplicates=1)
    fold(engine, lease)
    assert sums(engine) == (2, 1, 0, 1)
    w = reaction_window.c
    assert [(start, n) for width, start, n in table(engine, w.width_ms, w.window_start_ms, w.cases) if n] == [
        (T0, 1)
    ] * len(WIDTHS)


def test_another_version_of_a_case_that_came_in_meanwhile_is_stored_and_the_case_counts_once(
    engine: Engine, lease: Lease
) -> None:
    quarantine(engine, lease, 1)
    write_task(engine, batch(lease, [accepted(1, report("1", version=2), T0 + 60_000)]))
    assert replay(engine, lease, passes(report("1"), T0 + 90_000)) == ReplayResult(stored=1)
    fold(engine, lease)
    assert sums(engine) == (2, 2, 0, 0)
    w = reaction_window.c
    assert sum(n for (n,) in table(engine, w.cases)) == len(WIDTHS)


def test_other_content_than_what_is_stored_goes_back_to_quarantine_and_changes_nothing(
    engine: Engine, lease: Lease
) -> None:
    quarantine(engine, lease, 1)
    write_task(engine, batch(lease, [accepted(1, report("1"), T0)]))
    fold(engine, lease)
    before, (old,) = counts(engine), rows(engine).values()
    changed = report("1", content="changed", pairs=[("ASPIRIN", "RASH")])
    assert replay(engine, lease, passes(changed, T0 - 60_000)) == ReplayResult(kept=1)
    fold(engine, lease)
    assert counts(engine) == before
    (row,) = rows(engine).values()
    assert (row.state, row.reasons, row.path, row.suite_version) == ("kept", "conflicting_duplicate", None, "suite-2")
    assert (row.body, row.stored_at) == (old.body, old.stored_at)
    assert sums(engine) == (2, 1, 1, 0)


def test_of_rows_that_conflict_among_themselves_the_first_is_stored(engine: Engine, lease: Lease) -> None:
    quarantine(engine, lease, 4)
    one, other = report("1"), report("1", content="other")
    result = replay(engine, lease, passes(one), passes(other), passes(one), passes(report("2")))
    assert result == ReplayResult(stored=2, duplicates=1, kept=1)
    assert [o.became for o in outcomes_of(engine, [at(n) for n in range(4)])] == [
        *(Became.STORED, Became.KEPT, Became.DUPLICATE, Became.STORED),
    ]
    assert sums(engine) == (4, 2, 1, 1)
    with engine.connect() as connection:
        assert connection.scalars(select(safety_report.c.digest).order_by("sequence")).all() == [
            *(one.digest, report("2").digest),
        ]
    assert len(table(engine, report_drug.c.sequence)) == 2


def test_what_became_of_each_row_is_told_also_after_another_replay(engine: Engine, lease: Lease) -> None:
    write_task(engine, batch(lease, [refused(n) for n in range(6)]))
    write_task(engine, batch(lease, [accepted(6, report("taken"))]))
    mark(engine, [at(n) for n in range(5)], "officer")
    marked = read_marked(engine, HUB)
    assert marked is not None
    verdicts: list[Judged] = [
        passes(report("taken", content="other")),
        *(passes(report("taken")), fails(), passes(report("3")), passes(report("4"))),
    ]
    write_replay(engine, lease, judged(marked, {("0", n): verdict for n, verdict in enumerate(verdicts)}))
    discard(engine, [at(2)], "officer")
    mark(engine, [at(0)], "officer")
    told = {o.place.sequence: (o.became, o.reasons) for o in outcomes_of(engine, [at(n) for n in range(6)])}
    assert told == {
        0: (Became.WAITING, ("conflicting_duplicate",)),
        1: (Became.DUPLICATE, ("broken_json",)),
        2: (Became.DISCARDED, ("no_named_drug",)),
        3: (Became.STORED, ("broken_json",)),
        4: (Became.STORED, ("broken_json",)),
        5: (Became.KEPT, ("broken_json",)),
    }


# Exactly once


def test_the_same_rows_again_store_nothing(engine: Engine, lease: Lease) -> None:
    quarantine(engine, lease, 3)
    marked = read_marked(engine, HUB)
    assert marked is not None
    again = judged(marked, {("0", 0): passes(report("1")), ("0", 1): passes(report("2")), ("0", 2): fails()})
    assert write_replay(engine, lease, again) == ReplayResult(stored=2, kept=1)
    before = rows(engine)
    assert write_replay(engine, lease, again) is None
    assert rows(engine) == before
    assert sums(engine) == (3, 2, 1, 0)
    assert read_marked(engine, HUB) is None


def test_rows_that_failed_again_are_not_done_a_second_time_by_a_late_replay(engine: Engine, lease: Lease) -> None:
    """The guard is over kept rows as well: what is late must not undo what was decided since."""
    quarantine(engine, lease, 1)
    marked = read_marked(engine, HUB)
    assert marked is not None
    assert replay(engine, lease, fails("wrong_type")) == ReplayResult(kept=1)
    assert write_replay(engine, lease, judged(marked, {("0", 0): fails("missing_id")}, "old")) is None
    assert [row.reasons for row in rows(engine).values()] == ["wrong_type"]


def test_when_one_mark_is_gone_none_of_the_rows_is_done(engine: Engine, lease: Lease) -> None:
    quarantine(engine, lease, 3)
    marked = read_marked(engine, HUB)
    assert marked is not None
    with engine.begin() as connection:
        gone = quarantined_report.c.sequence == 2
        connection.execute(update(quarantined_report).where(gone).values(state="kept"))
    verdicts = {("0", n): passes(report(str(n))) for n in range(3)}
    assert write_replay(engine, lease, judged(marked, verdicts)) is None
    assert count_marked(engine, HUB) == 2
    assert sums(engine) == (3, 0, 3, 0)
    assert replay(engine, lease, *verdicts.values()) == ReplayResult(stored=2)
    assert sums(engine) == (3, 2, 1, 0)


def test_a_run_that_was_taken_over_replays_nothing(engine: Engine, lease: Lease) -> None:
    quarantine(engine, lease, 1)
    marked = read_marked(engine, HUB)
    assert marked is not None
    second = take_over(engine, HUB, 1, {"0": 0}, force=True)
    with pytest.raises(FencedError):
        write_replay(engine, lease, judged(marked, {("0", 0): passes(report("1"))}))
    assert count_marked(engine, HUB) == 1
    assert sums(engine) == (1, 0, 1, 0)
    assert replay(engine, second, passes(report("1"))) == ReplayResult(stored=1)


def test_what_is_marked_twice_is_replayed_once(engine: Engine, lease: Lease) -> None:
    write_task(engine, batch(lease, [refused(0), refused(1)]))
    assert mark(engine, [at(0), at(1)], "first") == 2
    assert mark(engine, [at(0), at(1)], "second") == 0
    assert {row.changed_by for row in rows(engine).values()} == {"first"}
    assert replay(engine, lease, passes(report("0")), passes(report("1"))) == ReplayResult(stored=2)
    assert mark(engine, [at(0), at(1)], "third") == 0
    assert read_marked(engine, HUB) is None
    assert sums(engine) == (2, 2, 0, 0)


MIXED: list[Judged] = [
    *(passes(report("1"), T0 + 5), fails("wrong_type"), passes(report("1", content="other"))),
    *(passes(report("2", pairs=[("ASPIRIN", "RASH")])), passes(report("1"), T0), passes(report("kept"), T0 - 7_000)),
]


def test_ended_at_any_point_it_is_done_whole_or_not_at_all(engine: Engine, lease: Lease) -> None:
    """Before and after every statement and commit. Afterwards the next try does what is left, once."""
    write_task(engine, batch(lease, [accepted(0, report("kept"))], "1"))
    quarantine(engine, lease, len(MIXED))
    untouched, point = (len(MIXED) + 1, 1, len(MIXED), 0), 0
    done = (len(MIXED) + 1, 3, 2, 2)
    ended = Counter[bool]()
    while True:
        try:
            with crashing(engine, point):
                replay(engine, lease, *MIXED)
            break
        except Crash:
            point += 1 if engine.dialect.name == "sqlite" else pick(3, 1)
        found = sums(engine)
        assert found in (untouched, done)
        assert count_marked(engine, HUB) == (len(MIXED) if found == untouched else 0)
        ended[found == done] += 1
        if found == done:
            break
    assert ended[False] > pick(20, 50)
    assert replay(engine, lease, *MIXED) == ReplayResult()
    assert sums(engine) == done
    fold(engine, lease)
    w = reaction_window.c
    kept = table(engine, w.width_ms, w.window_start_ms, w.cases)
    assert sum(n for width, _, n in kept if width == 30_000) == 3


def test_a_replay_that_lost_its_acknowledgement_is_not_done_twice(databases: Databases) -> None:
    for which in range(1, 5):
        with databases.fresh("postgresql") as url:
            engine = open_engine(url)
            lease = take_over(engine, HUB, 1, {"0": 0})
            quarantine(engine, lease, 2)
            with stamina.set_testing(True, attempts=10), forgetting_acknowledgement(engine, which):
                replay_whatever(engine, lease, {("0", n): passes(report(str(n))) for n in range(2)})
            assert sums(engine) == (2, 2, 0, 0)
            engine.dispose()


def replay_whatever(engine: Engine, lease: Lease, verdicts: Mapping[tuple[str, int], Judged]) -> ReplayResult:
    """As the stream does it: what changed meanwhile is read again."""
    total = ReplayResult()
    while (marked := read_marked(engine, lease.hub)) is not None:
        total += write_replay(engine, lease, judged(marked, verdicts)) or ReplayResult()
    return total


@pytest.mark.parametrize("backend", ["postgresql", "tsql-stand-in"])
@pytest.mark.parametrize("seed", range(pick(1, 20)))
def test_tasks_replays_commits_and_a_backfill_at_once_add_up(databases: Databases, backend: str, seed: int) -> None:
    """Two replays of the same marks, tasks with the same cases, another hub's too, marks and discards, all at once."""
    cases = [report(str((n * 7 + seed) % 12), pairs=PAIRS[n % 3 : n % 3 + 2]) for n in range(40)]
    later = [accepted(n, of, T0 + n * 1_700) for n, of in enumerate(cases)]
    verdicts: dict[tuple[str, int], Judged] = {
        ("0", n): passes(of, T0 - n * 1_300) if n % 5 else fails() for n, of in enumerate(reversed(cases))
    }
    with databases.fresh(backend) as url:
        engine = open_engine(url)
        lease = take_over(engine, HUB, 1, {"0": 0, "1": 0})
        file = take_over(engine, "file:abc", 0, {"0": 0})
        quarantine(engine, lease, 40)

        def tasks(of: Lease, partition: str, generation: int) -> None:
            for first in range(0, 40, 8):
                write_task(engine, batch(of, later[first : first + 8], partition, generation))

        def marks() -> None:
            for n in range(40):
                mark(engine, [at(n)], "officer")
                discard(engine, [at(n + 1)], "officer")

        def commits() -> None:
            for _ in range(5):
                fold(engine, lease)

        jobs: list[Callable[[], object]] = [
            *([lambda: replay_whatever(engine, lease, verdicts)] * 2),
            *(lambda: tasks(lease, "1", 1), lambda: tasks(file, "0", 0), marks, commits),
        ]
        with ThreadPoolExecutor(len(jobs)) as pool:
            for done in [pool.submit(job) for job in jobs]:
                done.result(120)
        replay_whatever(engine, lease, verdicts)
        fold(engine, lease)
        with commit(engine, file) as tx:
            tx.fold(WIDTHS)
        total = account(engine)
        assert (total.unaccounted, total.received, total.awaiting_replay) == (0, 120, 0)
        assert total.stored == len({of.safetyreportid for of in cases})
        states = Counter(row.state for row in rows(engine).values())
        assert states["kept"] + states["discarded"] == total.quarantined
        # Pairs counted are those stored, each once: the windows of a width hold as many cases as there are pairs.
        pairs = len(table(engine, case_pair.c.case_key, case_pair.c.drug_id, case_pair.c.reaction_id))
        w = reaction_window.c
        held = Counter[int]()
        for width, n in (
            (row[0], row[-1]) for row in table(engine, w.width_ms, *reaction_window.primary_key.columns, w.cases)
        ):
            held[width] += n
        assert held == dict.fromkeys(WIDTHS, pairs)
        engine.dispose()


PAIRS = [("IBUPROFEN", "NAUSEA"), ("ASPIRIN", "RASH"), ("IBUPROFEN", "RASH"), ("ASPIRIN", "FEVER")]


# As if nothing had been wrong

choices = st.tuples(st.integers(0, 5), st.integers(1, 2), st.integers(-20, 40), st.integers(0, 2), st.booleans())


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
def test_after_a_replay_everything_counts_as_if_the_bytes_had_been_good_at_once(
    databases: Databases, backend: str
) -> None:
    @settings(
        max_examples={"sqlite": pick(10, 500), "postgresql": pick(5, 200)}[backend],
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    @given(chosen=st.lists(choices, min_size=1, max_size=14), cut=st.integers(0, 14), fold_between=st.booleans())
    def check(chosen: list[tuple[int, int, int, int, bool]], cut: int, fold_between: bool) -> None:
        good = [
            accepted(n, report(str(case), version, PAIRS[case % 3 : case % 3 + 1 + first]), T0 + when * 1_700)
            for n, (case, version, when, first, _) in enumerate(_without_conflicts(chosen))
        ]
        broken = {n for n, choice in enumerate(chosen) if choice[-1]}

        def run(bad: Iterable[int]) -> tuple[list[Any], int, int]:
            with databases.fresh(backend) as url:
                engine = open_engine(url)
                lease = take_over(engine, HUB, 1, {"0": 0})
                events: list[Judged] = [refused(n) if n in bad else event for n, event in enumerate(good)]
                for part in (events[:cut], events[cut:]):
                    if part:
                        write_task(engine, batch(lease, part))
                    if fold_between:
                        fold(engine, lease)
                mark(engine, [at(n) for n in bad], "officer")
                result = replay(engine, lease, *good)
                assert result.kept == 0
                fold(engine, lease)
                received, stored, quarantined, duplicates = sums(engine)
                assert (received, quarantined) == (len(good), 0)
                found = counts(engine)
                engine.dispose()
                return [[row for row in rows if row[-1]] for rows in found], stored, duplicates

        assert run(broken) == run(())

    check()


def _without_conflicts(
    chosen: Sequence[tuple[int, int, int, int, bool]],
) -> Iterator[tuple[int, int, int, int, bool]]:
    """The same case and version always says the same: which of two contents is kept depends on their order."""
    says: dict[tuple[int, int], int] = {}
    for case, version, when, first, broken in chosen:
        yield case, version, when, says.setdefault((case, version), first), broken


# Marking and discarding


def test_what_is_discarded_is_empty_for_good_and_still_counted(engine: Engine, lease: Lease) -> None:
    write_task(engine, batch(lease, [refused(0), refused(1)]))
    assert discard(engine, [at(0)], "officer") == 1
    assert discard(engine, [at(0)], "another") == 0
    row = rows(engine)[at(0)]
    assert (row.state, row.body, row.changed_by, row.reasons) == ("discarded", b"", "officer", "broken_json")
    assert row.changed_at is not None
    assert body_of(engine, at(0)) is None
    assert mark(engine, [at(0)], "officer") == 0
    assert sums(engine) == (2, 0, 2, 0)


def test_reports_are_found_by_all_that_is_given(engine: Engine, lease: Lease) -> None:
    write_task(engine, batch(lease, [refused(0), refused(1, reason="no_named_drug,too_many_pairs"), refused(2)]))
    write_task(engine, batch(lease, [refused(0, reason="no_named_drug")], "1"))
    anew = take_over(engine, HUB, 2, {"0": 0}, force=True)
    write_task(engine, batch(anew, [refused(0)], generation=2))
    file = take_over(engine, "file:abc", 0, {"0": 0})
    write_task(engine, batch(file, [refused(0)], generation=0))
    mark(engine, [at(2)], "officer")
    now = utc_now()

    def found(**by: Any) -> set[Place]:
        chosen = Selection(**by)
        places = set(find(engine, chosen))
        assert count_quarantined(engine, chosen) == len(places)
        assert {row.place for row in list_quarantined(engine, 100, chosen)} == places
        return places

    everything = {at(0), at(1), at(2), at(0, "1"), at(0, generation=2), at(0, hub="file:abc", generation=0)}
    assert found() == everything
    assert found(states=(State.REPLAY,)) == {at(2)}
    assert found(states=(State.KEPT, State.REPLAY), hubs=("file:abc",)) == {at(0, hub="file:abc", generation=0)}
    assert found(positions=(Position("0", 0, 2), Position("1", 0))) == {at(0, generation=2), at(0, "1")}
    assert found(positions=(Position("0", 0), Position("0", 2)), hubs=(HUB,)) == {at(0), at(2), at(0, generation=2)}
    assert found(reasons=("too_many_pairs",)) == {at(1)}
    assert found(reasons=("no_named_drug", "unknown")) == {at(1), at(0, "1")}
    assert found(reasons=("named_drug",)) == set()
    assert found(since=now) == found(before=now - dt.timedelta(days=1)) == set()
    assert found(since=now - dt.timedelta(days=1), before=now) == everything
    assert sources(engine) == {HUB: (1, 2), "file:abc": (0,)}
    assert row_at(engine, at(1)).reasons == "no_named_drug,too_many_pairs"


def test_what_is_marked_is_not_discarded(engine: Engine, lease: Lease) -> None:
    quarantine(engine, lease, 1)
    assert discard(engine, [at(0)], "officer") == 0
    assert body_of(engine, at(0)) == b"body 0"
    assert replay(engine, lease, passes(report("1"))) == ReplayResult(stored=1)
    assert discard(engine, [at(0)], "officer") == 0
    assert sums(engine) == (1, 1, 0, 0)


def test_how_many_wait_for_a_replay_is_told(engine: Engine, lease: Lease) -> None:
    write_task(engine, batch(lease, [refused(n) for n in range(3)]))
    assert account(engine).awaiting_replay == 0
    mark(engine, [at(0), at(2)], "officer")
    assert (account(engine).quarantined, account(engine).awaiting_replay) == (3, 2)
    assert count_marked(engine, HUB) == 2


def test_pruning_leaves_marked_reports_alone_and_replay_comes_first(engine: Engine, lease: Lease) -> None:
    write_task(engine, batch(lease, [refused(n, body=b"body %d" % n) for n in range(4)]))
    fold(engine, lease)
    mark(engine, [at(1), at(2)], "officer")
    discard(engine, [at(3)], "officer")
    later = utc_now() + dt.timedelta(days=1)
    assert prunable(engine, later) == Pruned(quarantined=1)
    assert [*prune(engine, later)][-1] == Pruned(quarantined=1)
    assert {place.sequence: state for place, state in find(engine, Selection()).items()} == {
        0: State.PRUNED,
        1: State.REPLAY,
        2: State.REPLAY,
        3: State.DISCARDED,
    }
    assert mark(engine, [at(0)], "officer") == 0
    assert replay(engine, lease, fails(), passes(report("1")), fails()) == ReplayResult(stored=1, kept=1)
    fold(engine, lease)
    assert prunable(engine, later) == Pruned(reports=1, quarantined=1)
    list(prune(engine, later))
    assert sums(engine) == (4, 1, 3, 0)
    assert {row.body for row in rows(engine).values()} == {b""}


def test_marked_while_it_is_being_pruned_a_report_is_one_or_the_other(engine: Engine, lease: Lease) -> None:
    """Between any two transactions of pruning: never marked and empty, never pruned although marked."""
    seen = set()
    for n in range(8):
        write_task(engine, batch(lease, [refused(n)]))
        fold(engine, lease)
        marked: list[int] = []
        with before_transaction(engine, n + 1, lambda n=n, marked=marked: marked.append(mark(engine, [at(n)], "x"))):  # type: ignore[misc]
            list(prune(engine, utc_now() + dt.timedelta(days=1)))
        row = rows(engine)[at(n)]
        assert (row.state, row.body) == (("replay", b"broken") if marked == [1] else ("pruned", b""))
        seen.add(row.state)
        replay_whatever(engine, lease, {("0", n): fails() for n in range(8)})
        with engine.begin() as connection:
            connection.execute(update(quarantined_report).values(state="discarded", body=b""))
    assert seen == {"replay", "pruned"}


def test_the_live_view_shows_what_is_in_quarantine_still(engine: Engine, lease: Lease) -> None:
    quarantine(engine, lease, 3)
    replay(engine, lease, passes(report("1")), passes(report("1")), fails())
    shown = read_overview(engine, HUB, widths_ms=WIDTHS, shown_ms=WIDTHS[0], pairs=1, windows=1)
    assert shown is not None
    assert shown.hub == Totals(received=3, stored=1, quarantined=1, duplicates=1)
    assert shown.quarantined_by_reason == {"no_named_drug": 1}
    assert account(engine).quarantined_by_reason == {"no_named_drug": 1}


# Bounds


def test_rows_are_taken_some_hundred_at_a_time(engine: Engine, lease: Lease, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sql.replay._MOST_ROWS", 3)
    quarantine(engine, lease, 4, "1")
    quarantine(engine, lease, 4, "0")
    verdicts: dict[tuple[str, int], Judged] = {(p, n): passes(report(f"{p}{n}")) for p in ("0", "1") for n in range(4)}
    sizes = []
    while (marked := read_marked(engine, HUB)) is not None:
        sizes.append([(row.partition_id, row.sequence) for row in marked.rows])
        write_replay(engine, lease, judged(marked, verdicts))
    assert sizes == [[("0", 0), ("0", 1), ("0", 2)], [("0", 3), ("1", 0), ("1", 1)], [("1", 2), ("1", 3)]]
    assert sums(engine) == (8, 8, 0, 0)
    told = outcomes_of(engine, [at(n, p) for p in ("0", "1") for n in range(4)])
    assert {outcome.became for outcome in told} == {Became.STORED}


def test_large_bodies_are_taken_fewer_at_a_time_but_never_none(
    engine: Engine, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sql.replay._MOST_BYTES", 100)
    write_task(engine, batch(lease, [refused(n, body=b"x" * size) for n, size in enumerate((60, 40, 1, 101, 0, 99))]))
    mark(engine, [at(n) for n in range(6)], "officer")
    taken = []
    while (marked := read_marked(engine, HUB)) is not None:
        taken.append([row.sequence for row in marked.rows])
        write_replay(engine, lease, judged(marked, {("0", n): fails() for n in range(6)}))
    assert taken == [[0, 1], [2], [3], [4, 5]]


def test_a_thousand_and_one_places_are_marked_and_told(engine: Engine, lease: Lease) -> None:
    write_task(engine, batch(lease, [refused(n) for n in range(1_001)]))
    places = [at(n) for n in range(1_001)]
    assert mark(engine, places, "officer") == 1_001
    assert len(outcomes_of(engine, places)) == 1_001


def test_a_body_comes_back_as_it_was(engine: Engine, lease: Lease) -> None:
    body = bytes(range(256)) * 300
    write_task(engine, batch(lease, [refused(0, body=body)]))
    mark(engine, [at(0)], "officer")
    marked = read_marked(engine, HUB)
    assert marked is not None
    assert marked.rows[0].body == body
    assert body_of(engine, at(0)) == body
    assert "body" not in repr(marked)
