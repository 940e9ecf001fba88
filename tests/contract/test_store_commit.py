"""The commit: receipts become counts once, and views show what was folded."""

from __future__ import annotations

from contextlib import suppress

import pytest
from builders import T0, accepted, batch, report
from sqlalchemy import Engine, event, text

from models.spikes import SpikeRules
from sql.commit import commit
from sql.errors import FencedError
from sql.evidence import FoundSpan
from sql.positions import Lease, take_over
from sql.task_write import write_task
from sql.windows import window_start

WIDTHS = (5_000, 30_000)
EAGER = SpikeRules(min_cases=1, baseline_windows=40, guard_windows=0, warmup_windows=1)
"""Look at everything but the first window, with more history than one statement reads."""


@pytest.fixture
def lease(engine: Engine) -> Lease:
    return take_over(engine, "test/reports", 1, {"0": 0, "1": 0})


def counts(engine: Engine, width: int) -> dict[tuple[int, ...], int]:
    with engine.connect() as connection:
        query = text(
            "SELECT drug_id, reaction_id, window_start_ms, cases FROM reaction_window "
            "WHERE width_ms = :w AND cases <> 0"
        )
        return {(r[0], r[1], r[2]): r[3] for r in connection.execute(query, {"w": width})}


def scalar(engine: Engine, statement: str) -> object:
    with engine.connect() as connection:
        return connection.scalar(text(statement))


def fold(engine: Engine, lease: Lease, widths: tuple[int, ...] = WIDTHS) -> int:
    with commit(engine, lease) as tx:
        return tx.fold(widths).receipts


def test_receipts_are_folded_once(engine: Engine, lease: Lease) -> None:
    write_task(engine, batch(lease, [accepted(0, report("1")), accepted(1, report("2"))]))
    assert fold(engine, lease) == 1
    assert fold(engine, lease) == 0
    assert list(counts(engine, 5_000).values()) == [2]
    assert scalar(engine, "SELECT COUNT(*) FROM window_delta") == 0


def test_windows_of_every_width_hold_the_same_cases(engine: Engine, lease: Lease) -> None:
    events = [accepted(i, report(str(i)), T0 + i * 1_700) for i in range(40)]
    write_task(engine, batch(lease, events))
    fold(engine, lease)
    assert sum(counts(engine, 5_000).values()) == sum(counts(engine, 30_000).values()) == 40
    assert {start for *_, start in counts(engine, 30_000)} == {window_start(e.event_ms, 30_000) for e in events}


def test_totals_are_the_sums_of_the_windows(engine: Engine, lease: Lease) -> None:
    pairs = [("A", "X"), ("A", "Y"), ("B", "X")]
    write_task(engine, batch(lease, [accepted(i, report(str(i), pairs=[pairs[i % 3]]), T0) for i in range(9)]))
    fold(engine, lease)
    totals = "SELECT SUM(cases) FROM window_total WHERE width_ms = 5000 AND "
    assert scalar(engine, totals + "drug_id = 0 AND reaction_id = 0") == 9
    assert scalar(engine, totals + "drug_id <> 0 AND reaction_id = 0") == 9
    assert scalar(engine, totals + "drug_id = 0 AND reaction_id <> 0") == 9


def test_a_case_that_moves_leaves_its_old_window(engine: Engine, lease: Lease) -> None:
    write_task(engine, batch(lease, [accepted(0, report("1"), T0 + 60_000)]))
    fold(engine, lease)
    write_task(engine, batch(lease, [accepted(1, report("1", version=2), T0)]))
    fold(engine, lease)
    assert [(key[2], n) for key, n in counts(engine, 5_000).items()] == [(window_start(T0, 5_000), 1)]


def test_a_width_added_later_counts_what_is_stored_already(engine: Engine, lease: Lease) -> None:
    write_task(engine, batch(lease, [accepted(0, report("1"))]))
    fold(engine, lease, (5_000,))
    write_task(engine, batch(lease, [accepted(1, report("2"))]))
    fold(engine, lease, (5_000, 60_000))
    assert list(counts(engine, 60_000).values()) == [2]


def test_a_width_left_out_for_a_while_is_counted_on(engine: Engine, lease: Lease) -> None:
    for sequence, widths in enumerate([WIDTHS, (5_000,), WIDTHS]):
        write_task(engine, batch(lease, [accepted(sequence, report(str(sequence)))]))
        fold(engine, lease, widths)
    assert list(counts(engine, 30_000).values()) == list(counts(engine, 5_000).values()) == [3]


def test_a_move_folded_before_the_backfill_that_counted_the_case_can_be_judged(engine: Engine, lease: Lease) -> None:
    file_lease = take_over(engine, "file:abc", 0, {"0": 0})
    late = T0 + 120_000
    write_task(engine, batch(file_lease, [accepted(0, report("1"), late)], generation=0))
    write_task(engine, batch(lease, [accepted(0, report("1", version=2), T0)]))
    write_task(engine, batch(lease, [accepted(1, report("2"), late + 60_000)]))
    with commit(engine, lease) as tx:
        tx.fold(WIDTHS)
        found = tx.candidates(dict.fromkeys(WIDTHS, EAGER), {})
    assert all((c.counts.history >= 0).all() for c in found)
    fold(engine, file_lease)
    assert sorted(counts(engine, 5_000).values()) == [1, 1]


def test_a_crash_in_the_commit_leaves_the_receipts_unfolded(engine: Engine, lease: Lease) -> None:
    write_task(engine, batch(lease, [accepted(0, report("1"))]))
    with suppress(ZeroDivisionError), commit(engine, lease) as tx:
        tx.fold(WIDTHS)
        raise ZeroDivisionError
    assert counts(engine, 5_000) == {}
    assert fold(engine, lease) == 1


def test_a_fenced_commit_changes_nothing(engine: Engine, lease: Lease) -> None:
    write_task(engine, batch(lease, [accepted(0, report("1"))]))
    take_over(engine, lease.hub, 1, {}, force=True)
    with pytest.raises(FencedError), commit(engine, lease) as tx:
        tx.fold(WIDTHS)
    assert counts(engine, 5_000) == {}


def test_a_backfill_leaves_the_receipts_of_the_stream_alone(engine: Engine, lease: Lease) -> None:
    write_task(engine, batch(lease, [accepted(0, report("1"))]))
    file_lease = take_over(engine, "file:abc", 0, {"0": 0})
    write_task(engine, batch(file_lease, [accepted(0, report("2"))], generation=0))
    assert fold(engine, file_lease) == 1
    assert fold(engine, lease) == 1


def test_views_show_folded_reports_only(engine: Engine, lease: Lease) -> None:
    write_task(engine, batch(lease, [accepted(0, report("1"))]))
    assert scalar(engine, "SELECT COUNT(*) FROM PatientAdverseEventReport") == 0
    fold(engine, lease)
    assert scalar(engine, "SELECT COUNT(*) FROM PatientAdverseEventReport") == 1


def test_the_report_view_has_one_row_per_drug_and_reaction_of_the_latest_version(engine: Engine, lease: Lease) -> None:
    old = report("1", pairs=[("A", "X")])
    new = report("1", version=2, pairs=[("A", "X"), ("B", "Y OVERDOSE")], age=93.4)
    write_task(engine, batch(lease, [accepted(0, new), accepted(1, old)]))
    fold(engine, lease)
    with engine.connect() as connection:
        found = connection.execute(text("SELECT * FROM PatientAdverseEventReport ORDER BY 6, 5")).mappings().all()
    assert [(r["drug_name"], r["reactionmeddrapt"], r["is_overdose"]) for r in found] == [
        ("A", "X", 0),
        ("A", "Y OVERDOSE", 1),
        ("B", "X", 0),
        ("B", "Y OVERDOSE", 1),
    ]
    assert list(found[0]) == [
        "safetyreportid",
        "transmissiondate_converted",
        "patientonsetage",
        "patientsex",
        "reactionmeddrapt",
        "drug_name",
        "drug_characterization",
        "drug_indication",
        "is_overdose",
    ]
    assert {r["patientonsetage"] for r in found} == {90}


def test_windows_close_once_and_in_order(engine: Engine, lease: Lease) -> None:
    write_task(engine, batch(lease, [accepted(0, report("1"))]))
    with commit(engine, lease) as tx:
        tx.fold(WIDTHS)
        assert tx.close_windows(WIDTHS, T0) == {}
        spans = tx.close_windows(WIDTHS, T0 + 31_000)
    assert {w: (s.after_ms - T0, s.until_ms - T0) for w, s in spans.items()} == {
        5_000: (0, 30_000),
        30_000: (0, 30_000),
    }
    with commit(engine, lease) as tx:
        assert tx.close_windows(WIDTHS, T0 + 31_500) == {}


def test_history_skipped_by_a_backfill_is_not_judged_again(engine: Engine, lease: Lease) -> None:
    write_task(engine, batch(lease, [accepted(0, report("1"))]))
    with commit(engine, lease) as tx:
        tx.fold(WIDTHS)
        tx.skip_judgement(WIDTHS, T0 + 60_000)
        assert tx.close_windows(WIDTHS, T0 + 60_000) == {}


def test_no_statement_scans_what_grows(engine: Engine, lease: Lease) -> None:
    """SQLite must drive every join from the staging tables, never from a table that grows with the reports."""
    if engine.dialect.name != "sqlite":
        pytest.skip("reads SQLite's query plans")
    write_task(engine, batch(lease, [accepted(0, report("0"))]))
    fold(engine, lease)  # a width kept for the first time counts what is stored: that one may scan
    statements: list[tuple[str, object, bool]] = []
    event.listen(
        engine, "before_cursor_execute", lambda _c, _k, sql, values, _x, many: statements.append((sql, values, many))
    )
    write_task(engine, batch(lease, [accepted(i, report(str(i)), T0 + i * 1_000) for i in range(1, 20)]))
    with commit(engine, lease) as tx:
        tx.fold(WIDTHS)
        spans = tx.close_windows(WIDTHS, T0 + 60_000)
        (first, *_) = tx.candidates(dict.fromkeys(WIDTHS, EAGER), spans)
        tx.evidence([FoundSpan(int(first.drug_ids[0]), int(first.reaction_ids[0]), T0, T0 + 60_000)])
        planned = [
            (sql, [row[3] for row in tx._connection.exec_driver_sql("EXPLAIN QUERY PLAN " + sql, values)])
            for sql, values, many in list(statements)
            if not many and sql.lstrip().upper().startswith(("SELECT", "INSERT", "UPDATE", "DELETE"))
        ]
    grows = ("safety_report", "case_pair", "reaction_window", "window_total", "report_drug", "spike", "window_delta")
    scans = [
        (sql, step) for sql, steps in planned for step in steps if step.startswith("SCAN") and step.split()[1] in grows
    ]
    assert len(planned) > 20
    assert scans == []
