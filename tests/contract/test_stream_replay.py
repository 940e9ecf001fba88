"""Replay from marked bytes to counted reports: by today's suite and model, under the lease of whoever holds it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from builders import T0, batch, openfda
from sqlalchemy import Engine, event, select, update

from expectations.checks import Checker
from expectations.decode import decode
from expectations.report import Report
from expectations.suite import LoadedSuite, load_suite
from models.bundle import ModelBundle, bundle_of
from models.forest import train
from models.scorer import Scorer
from models.spikes import RuleBook
from reactionwatch.training import generated_reports
from sql.accounting import account
from sql.connection import open_engine
from sql.errors import FencedError, StoreUnavailableError
from sql.positions import Lease, Source, release, take_over
from sql.quarantine import Place, State, find, mark
from sql.quarantine import Selection as Every
from sql.replay import ReplayResult, count_marked, uncounted_files
from sql.replay_outcomes import Became, outcomes_of
from sql.schema import quarantined_report, reaction_window, safety_report, spike, stream_lease, window_clock
from sql.staging import Accepted, TaskBatch
from sql.task_write import write_task
from streaming.commit import Committer
from streaming.event_time import EventTime
from streaming.heartbeat import heartbeat
from streaming.replay import CurrentJudges, Replayer, ReplaySettings, replay_hub
from streaming.stage import Event, Judges, judge

HUB, FILE = "test/reports", "file:0a1b"
GENERATION = {HUB: 1, FILE: 0}
WIDTHS = (5_000, 30_000)
LENIENT = load_suite()
RECEIVED = 1_767_571_200_000
"""Midnight of the receive date of the reports here, 2026-01-05."""


def _strict() -> LoadedSuite:
    """The suite, but serious reports are refused."""
    suite = json.loads(LENIENT.text)
    of_serious = {"code": "is_serious", "severity": "critical", "why": "A test has to refuse something."}
    suite["expectations"].append(
        {
            "type": "expect_column_values_to_be_between",
            "kwargs": {"column": "serious", "max_value": 0},
            "meta": of_serious,
        }
    )
    with TemporaryDirectory() as folder:
        (Path(folder) / "report.json").write_text(json.dumps(suite), encoding="utf-8")
        return load_suite(Path(folder))


STRICT = _strict()


@pytest.fixture(scope="module")
def model() -> ModelBundle:
    return bundle_of(train(generated_reports(300, 0), seed=0), "7")


def serious(case: str, **fields: Any) -> bytes:
    """A report that only the lenient suite passes."""
    return openfda(case, serious="1", **fields)


def received(engine: Engine, lease: Lease, bodies: Sequence[bytes], first: int = 0) -> list[Place]:
    """What the stream made of events: those in quarantine, all of them marked. One event a second from T0 on."""
    generation = GENERATION[lease.hub]
    events = [Event(first + n, T0 + n * 1_000, body) for n, body in enumerate(bodies)]
    outcomes = judge(events, Judges(Checker(STRICT), None, EventTime.HUB))
    write_task(engine, TaskBatch(Source(lease.hub, generation, "0"), lease.epoch, outcomes, None, STRICT.version))
    refused = [Place(lease.hub, generation, "0", o.sequence) for o in outcomes if not isinstance(o, Accepted)]
    mark(engine, refused, "officer")
    return refused


def taken(engine: Engine, hub: str = HUB) -> Lease:
    return take_over(engine, hub, GENERATION[hub], {"0": 0}, force=True)


def by(suite: LoadedSuite, model: ModelBundle | None = None) -> Callable[[], CurrentJudges]:
    return lambda: CurrentJudges(suite, model)


def settings_for(engine: Engine, suite: LoadedSuite, event_time: EventTime = EventTime.HUB) -> ReplaySettings:
    return ReplaySettings(by(suite), event_time, lambda lease: Committer(engine, lease, WIDTHS, RuleBook()))


def stored(engine: Engine, *columns: str) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        rows = connection.execute(select(*(safety_report.c[name] for name in columns)).order_by("safetyreportid"))
        return [tuple(row) for row in rows]


def windows(engine: Engine) -> list[tuple[int, ...]]:
    """Key and cases of every window that holds any."""
    w = reaction_window.c
    with engine.connect() as connection:
        rows = connection.execute(select(w.width_ms, w.window_start_ms, w.drug_id, w.reaction_id, w.cases))
        return sorted(tuple(row) for row in rows if row.cases)


# What judges


def test_reports_are_judged_by_the_suite_of_now_and_stored_as_they_came(engine: Engine) -> None:
    lease = taken(engine)
    received(engine, lease, [openfda("1"), serious("2"), b"{", serious("3")])
    replayer = Replayer(engine, lease, by(LENIENT), EventTime.HUB)
    assert replayer.run() == ReplayResult(stored=2, kept=1)
    assert stored(engine, "safetyreportid", "enqueued_ms", "event_ms", "suite_version", "model_version") == [
        ("1", T0, T0, STRICT.version, None),
        ("2", T0 + 1_000, T0 + 1_000, LENIENT.version, None),
        ("3", T0 + 3_000, T0 + 3_000, LENIENT.version, None),
    ]
    assert account(engine).unaccounted == 0


def test_suite_and_model_may_change_while_the_stream_runs(engine: Engine, model: ModelBundle) -> None:
    current = CurrentJudges(STRICT, None)
    lease = taken(engine)
    replayer = Replayer(engine, lease, lambda: current, EventTime.HUB)
    places = received(engine, lease, [serious("1"), serious("2")])
    assert replayer.run() == ReplayResult(kept=2)
    current = CurrentJudges(LENIENT, None)
    assert replayer.run() == ReplayResult()  # nobody asked for it again
    mark(engine, places[:1], "officer")
    assert replayer.run() == ReplayResult(stored=1)
    current = CurrentJudges(LENIENT, model)
    mark(engine, places, "officer")
    assert replayer.run() == ReplayResult(stored=1)
    next_model = bundle_of(train(generated_reports(300, 1), seed=1), "8")
    current = CurrentJudges(LENIENT, next_model)
    received(engine, lease, [serious("3")], 2)
    assert replayer.run() == ReplayResult(stored=1)
    assert stored(engine, "safetyreportid", "anomaly_score", "model_version") == [
        ("1", None, None),
        ("2", pytest.approx(_score(model, serious("2"))), "7"),
        ("3", pytest.approx(_score(next_model, serious("3"))), "8"),
    ]
    assert _score(model, serious("3")) != pytest.approx(_score(next_model, serious("3")))


def _score(model: ModelBundle, body: bytes) -> float:
    report = decode(body)
    assert isinstance(report, Report)
    return float(Scorer(model).score([report]).score[0])


def test_nothing_marked_costs_one_look_and_no_judge(engine: Engine) -> None:
    lease = taken(engine)
    received(engine, lease, [openfda("1")])
    asked: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda _c, _k, statement, *_: asked.append(statement))
    assert Replayer(engine, lease, _no_judge, EventTime.HUB).run() == ReplayResult()
    assert [statement.split()[0] for statement in asked if not statement.startswith(("BEGIN", "SET"))] == ["SELECT"]


def _no_judge() -> CurrentJudges:
    raise AssertionError("nobody is needed to judge nothing")


@pytest.mark.parametrize(
    ("hub", "event_time", "counted_at"),
    [
        (HUB, EventTime.HUB, T0),
        (HUB, EventTime.RECEIVEDATE, RECEIVED),
        (FILE, EventTime.HUB, RECEIVED),
    ],
)
def test_reports_count_at_the_stream_s_event_time_and_those_of_a_file_at_their_own(
    engine: Engine, hub: str, event_time: EventTime, counted_at: int
) -> None:
    lease = taken(engine, hub)
    received(engine, lease, [serious("1")])
    Replayer(engine, lease, by(LENIENT), event_time).run()
    assert stored(engine, "safetyreportid", "event_ms") == [("1", counted_at)]


def test_windows_are_those_of_a_run_that_received_good_bytes_at_once(databases: Any, engine: Engine) -> None:
    """The same bytes, judged by the lenient suite as they come in, and by the strict one first."""
    kinds = [("IBUPROFEN", "Nausea"), ("ASPIRIN", "Rash"), ("IBUPROFEN", "Rash"), ("ASPIRIN", "Nausea")]
    bodies = [
        openfda(str(n % 7), *kinds[n % 4], safetyreportversion=f"{n % 12}", serious="12"[n % 3 > 0]) for n in range(40)
    ]
    bodies += bodies[5:20]
    lease = taken(engine)
    received(engine, lease, bodies[:17])
    committer = Committer(engine, lease, WIDTHS, RuleBook())
    committer.run(None)
    received(engine, lease, bodies[17:], 17)
    Replayer(engine, lease, by(LENIENT), EventTime.HUB).run()
    committer.run(None)
    with databases.fresh("sqlite") as url:
        at_once = open_engine(url)
        other = taken(at_once)
        for first, part in ((0, bodies[:17]), (17, bodies[17:])):
            events = [Event(first + n, T0 + n * 1_000, body) for n, body in enumerate(part)]
            judged = judge(events, Judges(Checker(LENIENT), None, EventTime.HUB))
            write_task(at_once, batch(other, judged))
        Committer(at_once, other, WIDTHS, RuleBook()).run(None)
        assert windows(engine) == windows(at_once) != []
        assert account(engine).stored == account(at_once).stored
        assert account(engine).duplicates == account(at_once).duplicates
        at_once.dispose()


# Under whose lease


def test_without_a_stream_it_is_done_counted_and_the_lease_let_go(engine: Engine) -> None:
    lease = taken(engine)
    places = received(engine, lease, [openfda("1"), serious("2"), b"{"])
    Committer(engine, lease, WIDTHS, RuleBook()).run(None)
    release(engine, lease)
    told: list[tuple[int, bool]] = []
    replay_hub(
        engine,
        *(HUB, settings_for(engine, LENIENT), threading.Event()),
        on_progress=lambda left, waiting: told.append((left, waiting)),
    )
    assert told == [(0, False)]
    assert [outcome.became for outcome in outcomes_of(engine, places)] == [Became.STORED, Became.KEPT]
    total = account(engine)
    assert (total.unaccounted, total.unfolded_receipts) == (0, 0)
    with engine.connect() as connection:
        assert connection.scalars(select(stream_lease.c.beat_ms)).all() == [0]
    assert take_over(engine, HUB, 1, {"0": 0}, sleeper=pytest.fail).epoch > lease.epoch


def test_what_a_stream_that_crashed_has_not_counted_is_left_to_the_next_one(engine: Engine) -> None:
    lease = taken(engine)
    received(engine, lease, [openfda("1"), serious("2")])
    release(engine, lease)
    replay_hub(engine, HUB, settings_for(engine, LENIENT), threading.Event())
    total = account(engine)
    assert (total.stored, total.unaccounted, total.unfolded_receipts) == (2, 0, 2)
    lease = taken(engine)
    Committer(engine, lease, WIDTHS, RuleBook()).run(None)
    assert account(engine).unfolded_receipts == 0


def test_history_that_is_replayed_builds_a_baseline_and_is_not_judged(engine: Engine) -> None:
    lease = taken(engine, FILE)
    named = [openfda(f"{n}", receivedate=f"202601{day:02}") for day in range(1, 29) for n in (2 * day, 2 * day + 1)]
    received_as_history(engine, lease, named)
    spiking = [serious(f"late-{n}", receivedate="20260129") for n in range(40)]
    received_as_history(engine, lease, spiking, len(named))
    mark(engine, list(find(engine, Every())), "officer")
    release(engine, lease)
    settings = ReplaySettings(
        by(LENIENT), EventTime.HUB, lambda lease: Committer(engine, lease, (86_400_000,), RuleBook())
    )
    replay_hub(engine, FILE, settings, threading.Event())
    assert account(engine).stored == len(named) + len(spiking)
    with engine.connect() as connection:
        assert connection.execute(select(spike)).all() == []
        # The day of the replayed reports is the last one: what comes later is judged.
        assert connection.scalars(select(window_clock.c.closed_until_ms)).all() == [RECEIVED + 24 * 86_400_000]
    assert uncounted_files(engine) == []


def received_as_history(engine: Engine, lease: Lease, bodies: Sequence[bytes], first: int = 0) -> None:
    now = RECEIVED + 60 * 86_400_000
    events = [Event(first + n, now, body) for n, body in enumerate(bodies)]
    judged = judge(events, Judges(Checker(STRICT), None, EventTime.REPORTED))
    write_task(engine, TaskBatch(Source(FILE, 0, "0"), lease.epoch, judged, None, STRICT.version))
    Committer(engine, lease, (86_400_000,), RuleBook()).run_backfill()


def test_what_a_replay_of_a_file_stored_and_could_not_count_is_counted_by_the_next(engine: Engine) -> None:
    """Nobody else would come to do it: no stream reads a file."""
    lease = taken(engine, FILE)
    received(engine, lease, [serious("1")])
    Replayer(engine, lease, by(LENIENT), EventTime.HUB).run()  # and the process ends here
    release(engine, lease)
    assert uncounted_files(engine) == [FILE]
    replay_hub(engine, FILE, settings_for(engine, LENIENT), threading.Event())
    assert account(engine).unfolded_receipts == 0
    assert [cases for *_, cases in windows(engine)] == [1, 1]


@contextmanager
def running_stream(engine: Engine, suite: LoadedSuite, *, replays: bool = True) -> Iterator[Lease]:
    """A stream reduced to its lease, its signs of life and its ticks, on a thread of its own."""
    lease = taken(engine)
    stop = threading.Event()
    replayer = Replayer(engine, lease, by(suite), EventTime.HUB)
    committer = Committer(engine, lease, WIDTHS, RuleBook())
    failed: list[BaseException] = []

    def tick() -> None:
        try:
            while not stop.wait(0.2):
                if replays:
                    replayer.run()
                committer.run(None)
        except BaseException as error:  # noqa: BLE001 - told below
            failed.append(error)

    thread = threading.Thread(target=tick)
    with heartbeat(engine, lease, failed.append):
        thread.start()
        try:
            yield lease
        finally:
            stop.set()
            thread.join()
    release(engine, lease)
    assert failed == []


def test_a_running_stream_does_it_and_the_command_waits(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streaming.heartbeat.LEASE_SECONDS", 1.0)
    with running_stream(engine, LENIENT) as lease:
        places = received(engine, lease, [openfda("1"), serious("2"), b"{"])
        replay_hub(engine, HUB, settings_for(engine, STRICT), threading.Event())
        # By the stream's suite, not by that of the command: it was the stream.
        assert [outcome.became for outcome in outcomes_of(engine, places)] == [Became.STORED, Became.KEPT]
    assert account(engine).unaccounted == 0


def test_a_stream_that_ends_meanwhile_is_succeeded(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streaming.heartbeat.LEASE_SECONDS", 1.0)
    seen = threading.Event()
    with running_stream(engine, LENIENT, replays=False) as lease:
        received(engine, lease, [serious("1")])
        command = threading.Thread(
            target=replay_hub,
            args=(engine, HUB, settings_for(engine, LENIENT), threading.Event()),
            kwargs={"on_progress": lambda _left, waiting: seen.set() if waiting else None},
        )
        command.start()
        assert seen.wait(60)
        assert count_marked(engine, HUB) == 1
    command.join(60)
    assert account(engine).stored == 1


def test_a_stream_that_does_none_is_not_waited_for_without_end(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streaming.heartbeat.LEASE_SECONDS", 1.0)
    minutes = iter(range(0, 6_000, 15))
    with running_stream(engine, LENIENT, replays=False) as lease:
        received(engine, lease, [serious("1")])
        replay_hub(engine, HUB, settings_for(engine, LENIENT), threading.Event(), clock=lambda: float(next(minutes)))
        assert count_marked(engine, HUB) == 1
    assert account(engine).stored == 0


def test_a_slow_stream_is_waited_for_as_long_as_it_does_some(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """One at a time, half a minute each: together longer than the patience for none at all."""
    monkeypatch.setattr("sql.replay._MOST_ROWS", 1)
    lease = taken(engine)
    received(engine, lease, [serious(str(n)) for n in range(3)])
    stream = Replayer(engine, lease, by(LENIENT), EventTime.HUB)
    half_minutes = iter(range(0, 6_000, 30))
    replay_hub(
        engine,
        *(HUB, settings_for(engine, STRICT), threading.Event()),
        on_progress=lambda _left, _waiting: next(stream.chunks(), None),
        clock=lambda: float(next(half_minutes)),
    )
    assert account(engine).stored == 3


def test_stopped_while_it_waits_it_leaves_everything_marked(engine: Engine) -> None:
    lease = taken(engine)
    received(engine, lease, [serious("1"), serious("2")])
    stop = threading.Event()
    replay_hub(engine, HUB, settings_for(engine, LENIENT), stop, on_progress=lambda _left, _waiting: stop.set())
    assert count_marked(engine, HUB) == 2


def test_stopped_between_two_transactions_it_has_counted_what_is_done(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sql.replay._MOST_ROWS", 2)
    lease = taken(engine)
    received(engine, lease, [serious(str(n)) for n in range(5)])
    Committer(engine, lease, WIDTHS, RuleBook()).run(None)
    release(engine, lease)
    stop, told = threading.Event(), []

    def progress(left: int, _waiting: bool) -> None:
        told.append(left)
        stop.set()

    replay_hub(engine, HUB, settings_for(engine, LENIENT), stop, on_progress=progress)
    assert (told, count_marked(engine, HUB)) == ([3], 3)
    total = account(engine)
    assert (total.stored, total.unaccounted, total.unfolded_receipts) == (2, 0, 0)
    replay_hub(engine, HUB, settings_for(engine, LENIENT), threading.Event())
    assert account(engine).stored == 5


def test_a_stream_that_takes_over_in_the_middle_ends_the_replay_and_goes_on_with_it(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sql.replay._MOST_ROWS", 2)
    lease = taken(engine)
    received(engine, lease, [serious(str(n)) for n in range(5)])
    release(engine, lease)
    new: list[Lease] = []

    def progress(_left: int, _waiting: bool) -> None:
        if not new:
            new.append(taken(engine))

    with pytest.raises(FencedError):
        replay_hub(engine, HUB, settings_for(engine, LENIENT), threading.Event(), on_progress=progress)
    assert count_marked(engine, HUB) == 3
    assert Replayer(engine, new[0], by(LENIENT), EventTime.HUB).run() == ReplayResult(stored=3)
    Committer(engine, new[0], WIDTHS, RuleBook()).run(None)
    total = account(engine)
    assert (total.stored, total.unaccounted, total.unfolded_receipts) == (5, 0, 0)


def test_marks_that_change_as_fast_as_they_are_read_end_it(engine: Engine) -> None:
    """Two marks that take turns, always between reading them and writing."""
    lease = taken(engine)
    received(engine, lease, [b"{", b"{"])
    other = open_engine(engine.url.render_as_string(hide_password=False))
    q = quarantined_report.c

    def take_turns() -> None:
        with other.begin() as connection:
            marked = connection.scalars(select(q.sequence).where(q.state == "replay")).first()
            for sequence, state in ((marked, "kept"), (1 - (marked or 0), "replay")):
                connection.execute(update(quarantined_report).where(q.sequence == sequence).values(state=state))

    def judges() -> CurrentJudges:
        take_turns()
        return CurrentJudges(STRICT, None)

    with other.begin() as connection:
        connection.execute(update(quarantined_report).where(q.sequence == 1).values(state="kept"))
    with pytest.raises(StoreUnavailableError, match="change as fast"):
        Replayer(engine, lease, judges, EventTime.HUB).run()
    other.dispose()
    assert sorted(find(engine, Every()).values()) == [State.KEPT, State.REPLAY]


def test_no_error_or_log_says_what_a_report_says(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    lease = taken(engine)
    secret = "Mrs. Unusual-Name"
    received(engine, lease, [serious("1", companynumb=secret), b'{"safetyreportid": "' + secret.encode()])
    stolen = taken(engine)
    with pytest.raises(FencedError) as caught:
        Replayer(engine, lease, by(LENIENT), EventTime.HUB).run()
    Replayer(engine, stolen, by(LENIENT), EventTime.HUB).run()
    assert secret not in str(caught.value) + caplog.text
    assert isinstance(decode(serious("1", companynumb=secret)), Report)
