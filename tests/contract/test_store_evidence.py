"""Evidence beside findings: the counts since counting began, and what the cases of a spike have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
import numpy as np
import pytest
from builders import T0, accepted, batch, report
from databases import Databases
from effort import pick
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, event

from expectations.report import Report
from models.spikes.disproportionality import Evidence, disproportionality
from sql.commit import commit
from sql.connection import open_engine
from sql.evidence import FoundSpan, fetch_evidence
from sql.keys import name_key
from sql.positions import Lease, take_over
from sql.schema import reaction_window
from sql.task_write import write_task

WIDTHS = (5_000, 30_000)
PAIR = ("A", "X")


@pytest.fixture
def lease(engine: Engine) -> Lease:
    return take_over(engine, "test/reports", 1, {"0": 0})


def span(pair: tuple[str, str] = PAIR, start: int = T0, until: int = T0 + 30_000) -> FoundSpan:
    return FoundSpan(name_key(pair[0]), name_key(pair[1]), start, until)


def of(case: str, pair: tuple[str, str] = PAIR, version: int = 1, **said: Any) -> Report:
    return msgspec.structs.replace(report(case, version, pairs=[pair]), **said)


def store(engine: Engine, lease: Lease, *reports: Report, at: int = T0) -> None:
    write_task(engine, batch(lease, [accepted(i, each, at) for i, each in enumerate(reports)]))


def evidence(engine: Engine, lease: Lease, *found: FoundSpan, widths: Sequence[int] = WIDTHS) -> list[Evidence]:
    """What a commit finds that folds what is there."""
    with commit(engine, lease) as tx:
        tx.fold(widths)
        return fetch_evidence(tx._connection, found)


def table(of: Evidence, *counts: int) -> bool:
    """Whether the evidence is that of the four counts: pair, drug, reaction, all."""
    wanted = vars(disproportionality(*(np.array([n]) for n in counts)))
    return of.cases == counts[0] and all(getattr(of, name) == wanted[name].item() for name in wanted)


def test_the_table_holds_every_count_since_counting_began(engine: Engine, lease: Lease) -> None:
    pairs = [PAIR] * 3 + [("A", "Y")] + [("B", "X")] * 2 + [("B", "Y")] * 4
    events = [accepted(i, of(str(i), pair), T0 + i * 17_000) for i, pair in enumerate(pairs)]
    write_task(engine, batch(lease, events))
    (found,) = evidence(engine, lease, span())
    assert table(found, 3, 4, 5, 10)
    assert (found.cases, found.expected) == (3, 2.0)
    assert found.prr == pytest.approx((3 / 4) / (2 / 6))
    assert found.ror == pytest.approx(3 * 4 / (1 * 2))


def test_a_case_counts_once_for_each_of_its_pairs(engine: Engine, lease: Lease) -> None:
    both = [("A", "X"), ("A", "Y"), ("B", "X"), ("B", "Y")]
    store(engine, lease, report("1", pairs=both), report("1", 2, pairs=both), of("2", ("C", "Z")))
    (found,) = evidence(engine, lease, span())
    assert table(found, 1, 2, 2, 5)


@pytest.mark.parametrize("windows", [1, 2, 3, 1_000, 2_500_000])
def test_silence_between_windows_hides_nothing(engine: Engine, lease: Lease, windows: int) -> None:
    last = T0 + windows * 30_000
    times = [T0, T0 + 30_000, last - 30_000, last, last]
    write_task(engine, batch(lease, [accepted(i, of(str(i)), at) for i, at in enumerate(times)]))
    (found,) = evidence(engine, lease, span())
    assert found.cases == 5


def test_what_the_commit_has_not_folded_is_not_counted(engine: Engine, lease: Lease) -> None:
    store(engine, lease, of("1"))
    with commit(engine, lease) as tx:
        (before,) = fetch_evidence(tx._connection, [span()])
        tx.fold(WIDTHS)
        (after,) = fetch_evidence(tx._connection, [span()])
    assert table(before, 0, 0, 0, 0)
    assert table(after, 1, 1, 1, 1)


def test_a_case_moved_before_the_backfill_that_brought_it_is_folded_counts_from_then_on(
    engine: Engine, lease: Lease
) -> None:
    store(engine, lease, of("0", ("B", "Y")))
    evidence(engine, lease)
    file_lease = take_over(engine, "file:abc", 0, {"0": 0})
    write_task(engine, batch(file_lease, [accepted(0, of("1"), T0 + 60_000)], generation=0))
    write_task(engine, batch(lease, [accepted(1, of("2", ("A", "Z"))), accepted(2, of("1", version=2))]))
    assert table(evidence(engine, lease, span())[0], 0, 1, 0, 2)
    assert table(evidence(engine, file_lease, span())[0], 1, 2, 1, 3)


@pytest.mark.parametrize("pair", [-1, 9])
def test_counts_that_do_not_add_up_make_a_table_all_the_same(engine: Engine, lease: Lease, pair: int) -> None:
    store(engine, lease, of("1"), of("2", ("B", "Y")))
    evidence(engine, lease)
    with engine.begin() as connection:
        connection.execute(reaction_window.update().values(cases=pair))
    (found,) = evidence(engine, lease, span())
    assert table(found, 0, 1, 1, 2) if pair < 0 else table(found, 9, 9, 9, 9)


@pytest.mark.parametrize(
    ("senders", "share"),
    [(["FDA", "FDA", "OTHER", None], 0.5), (["FDA"], 1.0), ([None, None], None), (["FDA", None, None], 1 / 3)],
)
def test_the_largest_senders_share_is_of_all_cases(
    engine: Engine, lease: Lease, senders: list[str | None], share: float | None
) -> None:
    store(engine, lease, *(of(str(i), sender=sender) for i, sender in enumerate(senders)))
    (found,) = evidence(engine, lease, span())
    assert found.largest_sender_share == share


def test_cases_with_the_same_duplicate_number_are_counted_and_versions_of_one_are_not(
    engine: Engine, lease: Lease
) -> None:
    numbers = {"1": ("US-1", "ignored"), "2": ("US-1",), "3": ("US-3",), "4": (), "5": ("ignored",)}
    reports = [of(case, duplicate_numbers=given) for case, given in numbers.items()]
    store(engine, lease, *reports, of("3", version=2, duplicate_numbers=("US-3",)))
    (found,) = evidence(engine, lease, span())
    assert found.same_duplicate_number == 2


def test_a_case_is_told_by_its_latest_version_whichever_came_first(engine: Engine, lease: Lease) -> None:
    store(
        engine,
        lease,
        *(of("1", version=2, serious=False, sender="NEW"), of("1", serious=True, sender="OLD")),
        *(of("2", serious=True, sender="OLD"), of("2", version=2, serious=True, sender="NEW")),
        of("3", serious=None, sender="NEW"),
    )
    (found,) = evidence(engine, lease, span())
    assert (found.serious_share, found.largest_sender_share) == (0.5, 1.0)


def test_seriousness_that_nobody_tells_is_not_known(engine: Engine, lease: Lease) -> None:
    store(engine, lease, of("1", serious=None))
    assert evidence(engine, lease, span())[0].serious_share is None


def test_a_span_begins_with_its_first_moment_and_ends_before_its_last(engine: Engine, lease: Lease) -> None:
    senders = ["EARLY", "EARLY", "IN", "IN", "IN", "LATE", "LATE"]
    times = [-1, -1, 0, 0, 29_999, 30_000, 30_000]
    events = [
        accepted(i, of(str(i), sender=sender), T0 + at)
        for i, (sender, at) in enumerate(zip(senders, times, strict=True))
    ]
    write_task(engine, batch(lease, events))
    inside, longer = evidence(engine, lease, span(), span(until=T0 + 30_001))
    assert (inside.largest_sender_share, longer.largest_sender_share) == (1.0, 3 / 5)


def test_of_a_span_without_a_case_nothing_is_known_but_the_counts(engine: Engine, lease: Lease) -> None:
    store(engine, lease, of("1"))
    (found,) = evidence(engine, lease, span(start=T0 + 60_000, until=T0 + 90_000))
    assert (found.largest_sender_share, found.same_duplicate_number, found.serious_share) == (None, 0, None)
    assert table(found, 1, 1, 1, 1)


def test_findings_are_answered_in_their_order_and_as_often_as_asked(engine: Engine, lease: Lease) -> None:
    store(engine, lease, of("1"), of("2"), of("3", ("B", "Y"), sender=None), of("4", ("A", "Y")))
    nowhere = span(start=0, until=1)
    found = evidence(engine, lease, span(("B", "Y")), span(), nowhere, span(), span(("C", "Z")))
    assert [each.cases for each in found] == [1, 2, 2, 2, 0]
    assert [each.largest_sender_share for each in found] == [None, 1.0, None, 1.0, None]
    assert found[1] == found[3]
    assert table(found[0], 1, 1, 2, 4)
    assert table(found[4], 0, 0, 0, 4)


@contextmanager
def statements(engine: Engine) -> Iterator[list[tuple[str, Any, bool]]]:
    """What is sent to the database meanwhile: statement, values, and whether these are of many rows."""
    sent: list[tuple[str, Any, bool]] = []

    def note(_connection: object, _cursor: object, sql: str, values: Any, _context: object, many: bool) -> None:
        sent.append((sql, values, many))

    event.listen(engine, "before_cursor_execute", note)
    yield sent
    event.remove(engine, "before_cursor_execute", note)


def test_many_findings_take_as_many_statements_as_one_and_none_takes_none(engine: Engine, lease: Lease) -> None:
    store(engine, lease, *(of(str(i), ("A", f"X{i}")) for i in range(40)))
    evidence(engine, lease)
    taken = []
    with commit(engine, lease) as tx:
        for n in (0, 1, 40):
            with statements(engine) as sent:
                assert len(fetch_evidence(tx._connection, [span(("A", f"X{i}")) for i in range(n)])) == n
            taken.append(len(sent))
    assert taken[0] == 0
    assert taken[1] == taken[2] < 20


def test_no_look_up_reads_what_other_drugs_and_reactions_have(engine: Engine, lease: Lease) -> None:
    """SQLite must look counts up by their whole key, and cases by drug and time; windows by their first row."""
    if engine.dialect.name != "sqlite":
        pytest.skip("reads SQLite's query plans")
    write_task(engine, batch(lease, [accepted(i, of(str(i)), T0 + i * 30_000) for i in range(9)]))
    evidence(engine, lease)
    with commit(engine, lease) as tx:
        with statements(engine) as sent:
            fetch_evidence(tx._connection, [span(), span(("B", "Y"))])
        steps = [
            row[3]
            for sql, values, many in list(sent)
            if not many
            for row in tx._connection.exec_driver_sql("EXPLAIN QUERY PLAN " + sql, values)
        ]
    grows = ("safety_report", "case_pair", "reaction_window", "window_total")
    found = {" ".join(step.split()) for step in steps if step.split()[1] in grows}
    by_key = "USING PRIMARY KEY (width_ms=? AND window_start_ms=? AND drug_id=? AND reaction_id=?)"
    assert found == {
        f"SEARCH reaction_window {by_key}",
        f"SEARCH window_total {by_key}",
        "SEARCH window_total USING PRIMARY KEY (width_ms=?)",  # its first and last row
        "SEARCH window_total USING PRIMARY KEY (width_ms=? AND window_start_ms>? AND window_start_ms<?)",
        "SEARCH case_pair USING COVERING INDEX ix_case_pair_drug_id_event_ms_reaction_id "
        "(drug_id=? AND event_ms>? AND event_ms<?)",
        "SEARCH safety_report USING INDEX sqlite_autoindex_safety_report_1 (case_key=?)",
    }


PAIRS = st.tuples(st.sampled_from("AB"), st.sampled_from("XY"))
MOMENTS = st.integers(-3, 3).map(lambda n: T0 + n * 10_000)
REPORTS = st.builds(
    of,
    st.sampled_from("12345"),
    PAIRS,
    st.integers(1, 3),
    sender=st.sampled_from(["FDA", "OTHER", None]),
    serious=st.sampled_from([True, False, None]),
    duplicate_numbers=st.sampled_from([(), ("7",), ("8", "7")]),
)
RECEIVED = st.lists(
    st.tuples(REPORTS, MOMENTS), min_size=1, max_size=12, unique_by=lambda r: (r[0].safetyreportid, r[0].version)
)


def told(reports: Sequence[Report]) -> tuple[float | None, int, float | None]:
    """Shares and number of a span's reports, in plain words."""
    senders = [r.sender for r in reports if r.sender]
    numbers = [n for r in reports for n in r.duplicate_numbers[:1]]
    serious = [r.serious for r in reports if r.serious is not None]
    return (
        max(map(senders.count, senders)) / len(reports) if senders else None,
        sum(numbers.count(n) > 1 for n in numbers),
        serious.count(True) / len(serious) if serious else None,
    )


@settings(max_examples=pick(25, 500), deadline=None)
@given(received=RECEIVED, asked=st.lists(st.tuples(PAIRS, MOMENTS, MOMENTS), min_size=1, max_size=5))
def test_evidence_is_what_the_reports_say(
    databases: Databases,
    received: list[tuple[Report, int]],
    asked: list[tuple[tuple[str, str], int, int]],
) -> None:
    counted: dict[tuple[str, str, str], int] = {}
    latest: dict[str, Report] = {}
    for each, at in received:
        case = each.safetyreportid
        latest[case] = max(each, latest.get(case, each), key=lambda r: r.version)
        for pair in each.pairs():
            counted[case, *pair] = min(at, counted.get((case, *pair), at))
    pairs = Counter((drug, term) for _, drug, term in counted)
    with databases.fresh("sqlite") as url:
        engine = open_engine(url, pooled=False)
        lease = take_over(engine, "test/reports", 1, {"0": 0})
        write_task(engine, batch(lease, [accepted(i, *each) for i, each in enumerate(received)]))
        found = evidence(engine, lease, *(span(*each) for each in asked))
    for (pair, since, until), answer in zip(asked, found, strict=True):
        drug, term = (sum(n for key, n in pairs.items() if key[i] == pair[i]) for i in (0, 1))
        assert table(answer, pairs[pair], drug, term, pairs.total())
        cases = [case for (case, *of), at in counted.items() if (*of,) == pair and since <= at < until]
        assert (answer.largest_sender_share, answer.same_duplicate_number, answer.serious_share) == told(
            [latest[case] for case in cases]
        )
