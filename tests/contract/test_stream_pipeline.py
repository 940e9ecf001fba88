"""The newest events as a whole: from the tables to an alert about the pipeline."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from builders import T0, accepted, batch, openfda, refused, report
from sqlalchemy import Engine, select, update

from alerts.cloudevent import from_cloudevent
from alerts.pipeline import QUIET_MS
from expectations.pipeline import PipelineChecker, Received, load_pipeline_suite
from expectations.suite import load_suite
from models.spikes import RuleBook
from sql.clock import now_ms
from sql.outbox import SqlOutbox
from sql.positions import Lease, take_over
from sql.quarantine import Place, mark
from sql.sample import newest_received
from sql.schema import alert, alert_history
from sql.staging import Accepted, Refused
from sql.task_write import write_task
from streaming.commit import Committer
from streaming.event_time import EventTime
from streaming.pipeline import PipelineWatch
from streaming.replay import CurrentJudges, Replayer


@pytest.fixture
def lease(engine: Engine) -> Lease:
    return take_over(engine, "test/reports", 1, {"0": 0, "1": 0}, force=True)


@pytest.fixture(scope="module")
def checker(tmp_path_factory: pytest.TempPathFactory) -> PipelineChecker:
    """Of the packaged suite, only what does not depend on the clock; from 20 events on."""
    folder = tmp_path_factory.mktemp("suites")
    suite = json.loads(load_pipeline_suite().text)
    kept = ("quarantined", "duplicate", "commonest_drug")
    suite["expectations"] = [e for e in suite["expectations"] if e["kwargs"]["column"] in kept]
    suite["meta"] |= {"newest": 100, "at_least": 20}
    Path(folder / "pipeline.json").write_text(json.dumps(suite), encoding="utf-8")
    return PipelineChecker(load_pipeline_suite(folder))


def many(first: int, good: int, bad: int = 0) -> list[Accepted | Refused]:
    """Events in a row: usable reports of as many drugs, then broken ones."""
    events: list[Accepted | Refused] = [
        accepted(first + i, report(f"case {first + i}", pairs=[(f"DRUG {i}", "NAUSEA")]), T0 + first + i)
        for i in range(good)
    ]
    return [*events, *(refused(first + good + i) for i in range(bad))]


def outcomes(received: list[Received]) -> Counter[str]:
    return Counter(event.outcome for event in received)


def test_the_sample_is_of_the_newest_events_of_the_hub_whatever_became_of_them(engine: Engine, lease: Lease) -> None:
    other = take_over(engine, "file:1", 1, {"0": 0}, force=True)
    write_task(engine, batch(lease, many(0, good=5, bad=5)))
    write_task(engine, batch(lease, many(10, good=6, bad=2)))
    write_task(engine, batch(other, many(0, good=1, bad=30)))
    write_task(engine, batch(lease, [accepted(0, report("case 10", pairs=[("DRUG 0", "NAUSEA")]))], partition="1"))
    assert outcomes(newest_received(engine, lease.hub, 9)) == {"stored": 6, "quarantined": 2, "duplicate": 1}
    assert outcomes(newest_received(engine, lease.hub, 10)) == {"stored": 11, "quarantined": 7, "duplicate": 1}
    assert newest_received(engine, "nobody/reports", 10) == []


def test_an_event_counts_as_what_it_was_when_it_came_though_it_was_replayed_since(engine: Engine, lease: Lease) -> None:
    write_task(engine, batch(lease, [*many(0, good=3), refused(3, openfda("late")), refused(4)]))
    mark(engine, [Place(lease.hub, 1, "0", 3)], "officer")
    replayed = Replayer(engine, lease, lambda: CurrentJudges(load_suite(), None), EventTime.HUB).run()
    assert replayed.stored == 1
    for events in (1, 10):
        assert outcomes(newest_received(engine, lease.hub, events)) == {"stored": 3, "quarantined": 2}


def test_the_sample_knows_what_stored_reports_say(engine: Engine, lease: Lease) -> None:
    write_task(engine, batch(lease, [accepted(0, report("1", age=None), T0), accepted(1, report("2"), T0 + 5)]))
    first, second = sorted(newest_received(engine, lease.hub, 10), key=lambda event: event.enqueued_ms or 0)
    assert (first.has_age, second.has_age) == (False, True)
    assert (first.enqueued_ms, second.enqueued_ms) == (T0, T0 + 5)
    assert (second.has_sex, second.has_country, second.has_receivedate, second.serious) == (True, True, True, True)
    assert (second.warned, second.unknown_fields) == (False, 0)
    assert first.suspect == second.suspect is not None


def test_a_flood_opens_one_alert_and_stored_reports_go_on(
    engine: Engine, lease: Lease, checker: PipelineChecker
) -> None:
    watch = PipelineWatch(engine, lease.hub, lambda: checker, seconds=0)
    committer = Committer(engine, lease, (60_000,), RuleBook(), watch.look)
    write_task(engine, batch(lease, many(0, good=30)))
    assert committer.run(None).alerts == ()
    write_task(engine, batch(lease, many(30, good=20, bad=20)))
    result = committer.run(None)
    assert result.flood
    assert [(c.change, c.alert.expectation) for c in result.alerts] == [("opened", "quarantine_flood")]
    write_task(engine, batch(lease, many(70, good=1, bad=9)))
    assert not committer.run(None).flood
    (message,) = SqlOutbox(engine).pending(10)
    notice = from_cloudevent(message.body)
    assert (notice.kind, notice.change, notice.expectation) == ("pipeline", "opened", "quarantine_flood")
    assert (notice.observed, notice.maximum, notice.events) == (pytest.approx(20 / 70), 0.2, 70)
    assert notice.safetyreportids == ()


def test_it_closes_when_the_newest_events_have_been_well_for_a_while(
    engine: Engine, lease: Lease, checker: PipelineChecker
) -> None:
    watch = PipelineWatch(engine, lease.hub, lambda: checker, seconds=0)
    committer = Committer(engine, lease, (60_000,), RuleBook(), watch.look)
    write_task(engine, batch(lease, many(0, good=30, bad=30)))
    committer.run(None)
    write_task(engine, batch(lease, many(60, good=120)))
    assert [c.change for c in committer.run(None).alerts] == ["updated"]
    with engine.begin() as connection:
        connection.execute(update(alert).values(last_alarm_end_ms=now_ms() - QUIET_MS))
    assert [c.change for c in committer.run(None).alerts] == ["closed"]
    with engine.connect() as connection:
        history = connection.execute(select(alert_history).order_by(alert_history.c.entry)).all()
    assert [row.change for row in history] == ["opened", "closed"]
    assert committer.run(None).alerts == ()


def test_a_watch_looks_only_when_it_is_time(engine: Engine, lease: Lease, checker: PipelineChecker) -> None:
    watch = PipelineWatch(engine, lease.hub, lambda: checker, seconds=3600)
    write_task(engine, batch(lease, many(0, good=5, bad=30)))
    assert [found.code for found in watch.look() if not found.ok] == ["quarantine_flood"]
    assert watch.look() == ()


def test_too_few_events_say_nothing(engine: Engine, lease: Lease, checker: PipelineChecker) -> None:
    write_task(engine, batch(lease, many(0, good=0, bad=19)))
    assert PipelineWatch(engine, lease.hub, lambda: checker).look() == ()


def test_a_failure_of_great_expectations_is_said_and_the_stream_goes_on(
    engine: Engine,
    lease: Lease,
    checker: PipelineChecker,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(**document: object) -> None:
        raise RuntimeError("out of order")

    monkeypatch.setattr(checker._reference, "_make", broken)
    write_task(engine, batch(lease, many(0, good=30)))
    assert PipelineWatch(engine, lease.hub, lambda: checker).look() == ()
    assert caplog.messages == ["The pipeline was not judged: Great Expectations does not take the suite: out of order"]
