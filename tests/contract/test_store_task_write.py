"""The task write: a range is stored once, whoever repeats it."""

from __future__ import annotations

import pytest
from builders import T0, accepted, batch, refused, report
from sqlalchemy import Engine, event, select, text

from sql.accounting import account
from sql.errors import AccountingError, FencedError, KeyCollisionError, PositionError
from sql.keys import name_key
from sql.positions import Lease, take_over
from sql.schema import case_pair, quarantined_report, safety_report, window_delta
from sql.task_write import TaskResult, write_task

HUB = "test/reports"


@pytest.fixture
def lease(engine: Engine) -> Lease:
    return take_over(engine, HUB, 1, {"0": 0, "1": 0})


def rows(engine: Engine, statement: str) -> list[tuple[object, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(statement))]


def items(engine: Engine, table: str, column: str) -> list[tuple[object, ...]]:
    return rows(
        engine,
        f"SELECT r.case_key, r.version, i.ordinal, i.{column} FROM {table} i "
        "JOIN safety_report r ON r.receipt_id = i.receipt_id AND r.sequence = i.sequence ORDER BY 1, 2, 3",
    )


def everything(engine: Engine) -> dict[str, list[tuple[object, ...]]]:
    """What must not depend on how often or in how many pieces the events came."""
    return {
        "reports": rows(engine, "SELECT case_key, version, digest FROM safety_report ORDER BY 1, 2"),
        "drugs": items(engine, "report_drug", "drug_id"),
        "reactions": items(engine, "report_reaction", "reaction_id"),
        "pairs": rows(engine, "SELECT case_key, drug_id, reaction_id, event_ms FROM case_pair ORDER BY 1, 2, 3"),
        "deltas": rows(
            engine,
            "SELECT drug_id, reaction_id, event_ms, SUM(delta) FROM window_delta "
            "GROUP BY drug_id, reaction_id, event_ms HAVING SUM(delta) <> 0 ORDER BY 1, 2, 3",
        ),
        "quarantine": rows(
            engine, "SELECT partition_id, sequence, body, reasons FROM quarantined_report ORDER BY 1, 2"
        ),
        "totals": rows(engine, "SELECT SUM(stored), SUM(quarantined), SUM(duplicates) FROM ingest_task"),
    }


def test_every_event_is_stored_quarantined_or_a_duplicate(engine: Engine, lease: Lease) -> None:
    first = report("1")
    result = write_task(engine, batch(lease, [accepted(0, first), refused(1), accepted(2, first)]))
    assert result == TaskResult(received=3, stored=1, quarantined=1, duplicates=1)
    assert account(engine).unaccounted == 0


def test_the_same_range_again_stores_nothing(engine: Engine, lease: Lease) -> None:
    events = [accepted(0, report("1")), refused(1), accepted(2, report("2"))]
    write_task(engine, batch(lease, events))
    before = everything(engine)
    assert write_task(engine, batch(lease, events)) == TaskResult(0, 0, 0, 0)
    assert everything(engine) == before


def test_of_an_overlapping_range_only_the_tail_is_stored(engine: Engine, lease: Lease) -> None:
    events = [accepted(i, report(str(i))) for i in range(5)]
    write_task(engine, batch(lease, events[:3]))
    assert write_task(engine, batch(lease, events[1:])) == TaskResult(received=2, stored=2, quarantined=0, duplicates=0)
    assert account(engine).received == 5


def test_a_gap_stops_the_task_and_names_the_partition(engine: Engine, lease: Lease) -> None:
    with pytest.raises(PositionError, match="partition 0: stored up to -1, but the next events offered begin at 3"):
        write_task(engine, batch(lease, [accepted(3, report("1"))]))
    assert account(engine).received == 0


def test_a_partition_without_position_stops_the_task(engine: Engine, lease: Lease) -> None:
    with pytest.raises(PositionError, match="No position"):
        write_task(engine, batch(lease, [accepted(0, report("1"))], partition="7"))


def test_a_task_of_an_earlier_run_stores_nothing(engine: Engine, lease: Lease) -> None:
    take_over(engine, HUB, 1, {"0": 0}, force=True)
    with pytest.raises(FencedError):
        write_task(engine, batch(lease, [accepted(0, report("1"))]))
    assert account(engine).received == 0


def test_a_hub_made_anew_has_positions_of_its_own(engine: Engine, lease: Lease) -> None:
    write_task(engine, batch(lease, [accepted(0, report("1"))]))
    anew = take_over(engine, HUB, 2, {"0": 0}, force=True)
    assert write_task(engine, batch(anew, [accepted(0, report("2"))], generation=2)).stored == 1


def test_changed_content_under_the_same_version_goes_to_quarantine_whole(engine: Engine, lease: Lease) -> None:
    write_task(engine, batch(lease, [accepted(0, report("1"))]))
    changed = report("1", content="changed", pairs=[("ASPIRIN", "RASH")])
    result = write_task(engine, batch(lease, [accepted(1, changed, body=b"the changed report")]))
    assert result == TaskResult(received=1, stored=0, quarantined=1, duplicates=0)
    with engine.connect() as connection:
        kept = connection.execute(select(quarantined_report)).one()
        assert (kept.body, kept.reasons, kept.sequence) == (b"the changed report", "conflicting_duplicate", 1)
        assert connection.scalars(select(case_pair.c.drug_id)).all() == [name_key("IBUPROFEN")]


def test_conflicts_within_one_task_keep_the_first(engine: Engine, lease: Lease) -> None:
    events = [accepted(0, report("1")), accepted(1, report("1", content="x")), accepted(2, report("1"))]
    assert write_task(engine, batch(lease, events)) == TaskResult(received=3, stored=1, quarantined=1, duplicates=1)


def test_a_case_counts_once_per_pair_at_its_smallest_event_time(engine: Engine, lease: Lease) -> None:
    write_task(engine, batch(lease, [accepted(0, report("1"), T0 + 60_000)]))
    write_task(engine, batch(lease, [accepted(1, report("1", version=2), T0)]))
    write_task(engine, batch(lease, [accepted(2, report("1", version=3), T0 + 120_000)]))
    with engine.connect() as connection:
        assert connection.scalars(select(case_pair.c.event_ms)).all() == [T0]
        deltas = connection.execute(select(window_delta.c.event_ms, window_delta.c.delta).order_by("event_ms", "delta"))
        assert [tuple(row) for row in deltas] == [(T0, 1), (T0 + 60_000, -1), (T0 + 60_000, 1)]


def test_an_identical_resend_with_an_earlier_time_moves_the_count(engine: Engine, lease: Lease) -> None:
    write_task(engine, batch(lease, [accepted(0, report("1"), T0 + 60_000)]))
    write_task(engine, batch(lease, [accepted(1, report("1"), T0)]))
    with engine.connect() as connection:
        assert connection.scalars(select(case_pair.c.event_ms)).all() == [T0]


def test_two_names_with_one_key_are_refused(engine: Engine, lease: Lease) -> None:
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO drug (drug_id, name) VALUES (:key, 'ANOTHER NAME')"), {"key": name_key("IBUPROFEN")}
        )
    with pytest.raises(KeyCollisionError):
        write_task(engine, batch(lease, [accepted(0, report("1"))]))


LOSE_QUARANTINED = {
    "sqlite": "CREATE TRIGGER lose BEFORE INSERT ON quarantined_report BEGIN SELECT RAISE(IGNORE); END",
    "postgresql": "CREATE RULE lose AS ON INSERT TO quarantined_report DO INSTEAD NOTHING",
}


def test_rows_that_do_not_add_up_are_not_committed(engine: Engine, lease: Lease) -> None:
    if engine.dialect.name not in LOSE_QUARANTINED:
        pytest.skip("no way to lose rows behind the store's back is known for this database")
    with engine.begin() as connection:
        connection.execute(text(LOSE_QUARANTINED[engine.dialect.name]))
    with pytest.raises(AccountingError, match="nothing was committed"):
        write_task(engine, batch(lease, [refused(0), accepted(1, report("1"))]))
    assert rows(engine, "SELECT COUNT(*) FROM safety_report") == [(0,)]
    assert rows(engine, "SELECT next_sequence FROM hub_position WHERE partition_id = '0'") == [(0,)]


class _CrashError(Exception):
    """The process ends here."""


class _CrashAt:
    """Raises before the n-th statement of the engine."""

    def __init__(self, n: int) -> None:
        self.again(n)

    def again(self, n: int) -> None:
        self._left = n

    def __call__(self, *_: object) -> None:
        self._left -= 1
        if self._left == 0:
            raise _CrashError


def test_a_crash_before_any_statement_changes_nothing_and_the_next_try_stores_all(engine: Engine, lease: Lease) -> None:
    events = [
        accepted(0, report("1"), T0 + 5),
        refused(1),
        accepted(2, report("1", content="other")),
        accepted(3, report("2", pairs=[("ASPIRIN", "RASH"), ("ASPIRIN", "FEVER")])),
        accepted(4, report("1"), T0),
    ]
    statement = _CrashAt(1)
    event.listen(engine, "before_cursor_execute", statement)
    crashes = 0
    while True:
        try:
            write_task(engine, batch(lease, events))
            break
        except _CrashError:
            crashes += 1
        with engine.connect() as connection:
            assert connection.scalars(select(safety_report.c.case_key)).all() == []
        statement.again(crashes + 1)
    event.remove(engine, "before_cursor_execute", statement)
    assert crashes > 20
    result = account(engine)
    assert (result.received, result.stored, result.quarantined, result.duplicates) == (5, 2, 2, 1)
