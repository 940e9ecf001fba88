"""Pruning: what reports say is forgotten, what was counted and decided stays."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import msgspec
import pytest
from builders import T0, accepted, batch, refused, report
from sqlalchemy import Engine, event, func, insert, select, text, update

from models.spikes import RuleBook
from sql.accounting import account
from sql.clock import utc_now
from sql.outbox import SqlOutbox
from sql.positions import Lease, take_over
from sql.prune import Pruned, prunable, prune
from sql.quarantine import list_quarantined
from sql.schema import (
    alert_outbox,
    case_pair,
    ingest_task,
    quarantined_report,
    reaction_window,
    report_drug,
    report_reaction,
    safety_report,
    window_total,
)
from sql.task_write import TaskResult, write_task
from sql.views import VIEWS
from streaming.commit import Committer

DAY = dt.timedelta(days=1)
OLD = [
    accepted(
        i,
        msgspec.structs.replace(
            report(str(i), pairs=[("IBUPROFEN", "NAUSEA"), ("ASPIRIN", f"RASH {i}")]),
            company_number=f"US-{i}",
            duplicate_numbers=(f"EU-{i}",),
        ),
    )
    for i in range(7)
]
BROKEN = [refused(7), refused(8)]


@pytest.fixture
def lease(engine: Engine) -> Lease:
    return take_over(engine, "test/reports", 1, {"0": 0})


@pytest.fixture
def store(engine: Engine, lease: Lease) -> Engine:
    """Nine events of a year ago, counted, and one of today."""
    write_task(engine, batch(lease, OLD + BROKEN))
    with engine.begin() as connection:
        for table in (safety_report, quarantined_report):
            connection.execute(update(table).values(stored_at=utc_now() - 365 * DAY))
    write_task(engine, batch(lease, [accepted(9, report("9"))]))
    fold(engine, lease)
    return engine


def fold(engine: Engine, lease: Lease) -> None:
    Committer(engine, lease, (60_000, 3_600_000), RuleBook()).run(None)


def prune_all(engine: Engine, **options: int) -> Pruned:
    return [Pruned(), *prune(engine, utc_now() - 180 * DAY, **options)][-1]


def counts(engine: Engine) -> list[list[tuple[object, ...]]]:
    with engine.connect() as connection:
        tables = (case_pair, reaction_window, window_total)
        return [[tuple(row) for row in connection.execute(select(t).order_by(*t.primary_key.columns))] for t in tables]


def size(engine: Engine, table: str) -> int:
    with engine.connect() as connection:
        return connection.scalar(text(f"SELECT COUNT(*) FROM {table}")) or 0


def test_what_old_reports_say_is_forgotten_and_nothing_of_new_ones(store: Engine) -> None:
    assert prune_all(store) == Pruned(reports=7, quarantined=2)
    with store.connect() as connection:
        for items in (report_drug, report_reaction):
            r, i = safety_report.c, items.c
            left = connection.execute(
                select(r.safetyreportid).where(i.receipt_id == r.receipt_id, i.sequence == r.sequence)
            )
            assert {row.safetyreportid for row in left} == {"9"}
        rows = {row.safetyreportid: row for row in connection.execute(select(safety_report))}
    old, new = rows["3"], rows["9"]
    assert (new.pruned_at, new.age_years, new.seriousness, new.sender) == (None, 40.0, "other", "FDA")
    assert old.pruned_at is not None
    assert {
        name: value
        for name, value in old._mapping.items()
        if value not in (None, "") and name not in ("stored_at", "pruned_at", "receipt_id")
    } == {
        "case_key": old.case_key,
        "version": 1,
        "safetyreportid": "3",
        "digest": OLD[3].report.digest,
        "sequence": 3,
        "enqueued_ms": T0,
        "event_ms": T0,
        "drug_count": 2,
        "reaction_count": 2,
        "suite_version": "suite-1",
        "unknown_fields": 0,
    }


def test_of_old_quarantined_reports_place_and_reasons_remain(store: Engine) -> None:
    prune_all(store)
    assert [(row.sequence, row.size, row.reasons, row.state) for row in list_quarantined(store, 10)] == [
        (8, 0, "broken_json", "pruned"),
        (7, 0, "broken_json", "pruned"),
    ]


def test_counts_stay_and_everything_adds_up(store: Engine) -> None:
    before, added = counts(store), account(store)
    prune_all(store)
    assert counts(store) == before
    assert account(store) == added
    assert added.unaccounted == 0


def test_pruned_reports_are_known_when_they_come_again(store: Engine, lease: Lease) -> None:
    before = counts(store)
    prune_all(store)
    again = [accepted(10 + i, e.report, e.event_ms) for i, e in enumerate(OLD)]
    assert write_task(store, batch(lease, again)) == TaskResult(received=7, stored=0, quarantined=0, duplicates=7)
    fold(store, lease)
    assert counts(store) == before
    assert size(store, "report_drug") == 1
    assert account(store).unaccounted == 0


def test_other_content_under_a_pruned_version_still_conflicts(store: Engine, lease: Lease) -> None:
    prune_all(store)
    changed = accepted(10, report("3", content="changed"), body=b"the changed report")
    assert write_task(store, batch(lease, [changed])) == TaskResult(received=1, stored=0, quarantined=1, duplicates=0)


def test_a_new_version_of_a_pruned_case_counts_as_the_same_case(store: Engine, lease: Lease) -> None:
    before = counts(store)
    prune_all(store)
    write_task(store, batch(lease, [accepted(10, report("3", version=2), T0 + 120_000)]))
    fold(store, lease)
    assert counts(store) == before


def test_views_can_be_read_and_show_no_pruned_report(store: Engine) -> None:
    before = {name: size(store, name) for name in VIEWS}
    prune_all(store)
    after = {name: size(store, name) for name in VIEWS}
    assert before["PatientAdverseEventReport"] > after["PatientAdverseEventReport"] == 1
    assert before["CommonReactionByDrug"] == after["CommonReactionByDrug"] > 1
    assert after["LatestReport"] == before["LatestReport"] == 8


def test_reports_that_are_not_counted_yet_wait(engine: Engine, lease: Lease) -> None:
    write_task(engine, batch(lease, OLD + BROKEN))
    after_all = utc_now() + DAY
    assert prunable(engine, after_all) == Pruned()
    assert list(prune(engine, after_all)) == []
    fold(engine, lease)
    assert prunable(engine, after_all) == Pruned(reports=7, quarantined=2)


def test_only_messages_sent_long_ago_go(store: Engine) -> None:
    sent = {"long ago": utc_now() - 365 * DAY, "today": utc_now(), "never": None}
    with store.begin() as connection:
        connection.execute(
            insert(alert_outbox),
            [
                {"outbox_id": name, "alert_id": "a", "revision": 1, "body": b"{}", "created_ms": 0, "sent_at": at}
                for name, at in sent.items()
            ],
        )
    assert prune_all(store).messages == 1
    with store.connect() as connection:
        assert set(connection.scalars(select(alert_outbox.c.outbox_id))) == {"today", "never"}
    assert [row.outbox_id for row in SqlOutbox(store).pending(10)] == ["never"]


def test_counting_beforehand_says_what_will_be_done_and_changes_nothing(store: Engine) -> None:
    before = utc_now() - 180 * DAY
    foreseen = prunable(store, before)
    assert prunable(store, before) == foreseen == prune_all(store)
    assert prunable(store, before) == Pruned()


def test_small_transactions_come_to_the_same(store: Engine) -> None:
    totals = list(prune(store, utc_now() - 180 * DAY, chunk=3))
    assert [t.reports for t in totals] == [3, 6, 7, 7]
    assert totals[-1] == Pruned(reports=7, quarantined=2)


def test_stopped_between_two_transactions_it_goes_on_another_time(store: Engine) -> None:
    first = next(prune(store, utc_now() - 180 * DAY, chunk=3))
    assert first == Pruned(reports=3)
    assert account(store).unaccounted == 0
    assert prune_all(store, chunk=3) == Pruned(reports=4, quarantined=2)


class _CrashError(Exception):
    """The process ends here."""


def crashes(engine: Engine) -> Iterator[int]:
    """Prune, ended before the 1st, 2nd, 3rd … statement, until it comes through; the number of each."""
    n = 0

    def count_down(*_: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise _CrashError

    event.listen(engine, "before_cursor_execute", count_down)
    try:
        while True:
            n += 1
            left = n
            try:
                prune_all(engine, chunk=2)
            except _CrashError:
                yield n
            else:
                return
    finally:
        event.remove(engine, "before_cursor_execute", count_down)


def test_ended_at_any_statement_a_report_is_pruned_whole_or_not_at_all(store: Engine) -> None:
    before, ended = counts(store), 0
    for n in crashes(store):
        ended = n
        with store.connect() as connection:
            kept = select(func.count()).select_from(safety_report).where(safety_report.c.pruned_at.is_(None))
            items = select(func.count()).select_from(report_drug)
            # Every report of a year ago has two drug entries, that of today one.
            assert connection.scalar(items) == 2 * ((connection.scalar(kept) or 0) - 1) + 1
    assert ended > 5
    assert prunable(store, utc_now() - 180 * DAY) == Pruned()
    assert counts(store) == before


def test_receipts_stay(store: Engine) -> None:
    receipts = size(store, ingest_task.name)
    prune_all(store)
    assert size(store, ingest_task.name) == receipts
