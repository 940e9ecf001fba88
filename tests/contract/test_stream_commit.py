"""From stored reports to alerts: the driver's commit on a real database, without Spark."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from builders import T0, accepted, batch, report
from sqlalchemy import Engine, text

from alerts.cloudevent import from_cloudevent
from models.spikes import DetectionRules, RuleBook, SpikeRules
from sql.outbox import SqlOutbox
from sql.positions import Lease, take_over
from sql.staging import Accepted
from sql.task_write import write_task
from sql.timing import batches_to_alert
from streaming.commit import CommitResult, Committer

WIDTH = 30_000
PAIR = ("IBUPROFEN", "NAUSEA")
OTHERS = [("IBUPROFEN", "RASH"), ("ASPIRIN", "NAUSEA"), ("ASPIRIN", "FEVER")]


class Stream:
    """A stream reduced to its store: reports go in by event time, commits run when the test says."""

    def __init__(self, engine: Engine, rules: RuleBook) -> None:
        self.engine = engine
        self.lease: Lease = take_over(engine, "test/reports", 1, {"0": 0}, force=True)
        self.committer = Committer(engine, self.lease, (WIDTH,), rules)
        self.sequence = 0

    def receive(self, at_ms: int, pairs: Sequence[tuple[str, str]]) -> None:
        events: list[Accepted] = []
        for i, pair in enumerate(pairs):
            events.append(accepted(self.sequence, report(f"{self.sequence}", pairs=[pair]), at_ms + i % WIDTH))
            self.sequence += 1
        write_task(self.engine, batch(self.lease, events))

    def quiet_windows(self, first: int, count: int) -> None:
        """Windows with two cases of the pair and of every other one each, committed as they pass."""
        for window in range(first, first + count):
            self.receive(T0 + window * WIDTH, [PAIR, *OTHERS] * 2)
            self.committer.run(T0 + (window + 1) * WIDTH)

    def outbox(self) -> list[tuple[str, int]]:
        return [(from_cloudevent(m.body).change, m.revision) for m in SqlOutbox(self.engine).pending(100)]

    def count(self, statement: str) -> int:
        with self.engine.connect() as connection:
            return int(connection.scalar(text(statement)) or 0)


@pytest.fixture
def stream(engine: Engine) -> Stream:
    return Stream(engine, RuleBook())


def spikes(result: CommitResult) -> int:
    return result.spikes


def test_a_spike_is_alerted_while_its_window_is_open(stream: Stream) -> None:
    stream.quiet_windows(0, 20)
    stream.receive(T0 + 20 * WIDTH, [PAIR] * 30)
    result = stream.committer.run(T0 + 20 * WIDTH + 5_000)
    assert [c.change for c in result.alerts] == ["opened"]
    notice = from_cloudevent(SqlOutbox(stream.engine).pending(1)[0].body)
    assert (notice.drug, notice.reaction, notice.cases) == ("IBUPROFEN", "NAUSEA", 30)
    assert notice.expected == pytest.approx(2.0, abs=0.3)
    assert len(notice.safetyreportids) == 20
    assert stream.count("SELECT COUNT(*) FROM alert_case") == 30


def test_quiet_windows_raise_nothing(stream: Stream) -> None:
    stream.quiet_windows(0, 30)
    assert stream.count("SELECT COUNT(*) FROM spike") == 0
    assert stream.outbox() == []


def test_a_tick_without_reports_closes_windows_and_alerts(stream: Stream) -> None:
    stream.quiet_windows(0, 20)
    stream.receive(T0 + 20 * WIDTH, [PAIR] * 30)
    stream.committer.run(T0 + 20 * WIDTH + 5_000)
    for seconds in range(30, 151, 30):
        stream.committer.run(T0 + 20 * WIDTH + seconds * 1_000)
    assert stream.outbox() == [("opened", 1), ("closed", 2)]


def test_looking_at_the_same_counts_again_alerts_nobody_again(stream: Stream) -> None:
    stream.quiet_windows(0, 20)
    stream.receive(T0 + 20 * WIDTH, [PAIR] * 30)
    for _ in range(3):
        stream.committer.run(T0 + 20 * WIDTH + 5_000)
    assert stream.outbox() == [("opened", 1)]


def test_before_warm_up_nothing_is_judged(stream: Stream) -> None:
    stream.quiet_windows(0, 3)
    stream.receive(T0 + 3 * WIDTH, [PAIR] * 30)
    assert spikes(stream.committer.run(T0 + 3 * WIDTH + 5_000)) == 0


def test_a_drug_never_seen_before_is_a_launch_not_a_spike(stream: Stream) -> None:
    stream.quiet_windows(0, 20)
    stream.receive(T0 + 20 * WIDTH, [("NEWDRUG", "NAUSEA")] * 30)
    assert spikes(stream.committer.run(T0 + 20 * WIDTH + 5_000)) == 0


def test_a_pair_never_seen_of_a_known_drug_can_spike(stream: Stream) -> None:
    stream.quiet_windows(0, 20)
    stream.receive(T0 + 20 * WIDTH, [("IBUPROFEN", "FEVER")] * 20)
    assert spikes(stream.committer.run(T0 + 20 * WIDTH + 5_000)) == 1


def test_a_late_report_makes_a_closed_window_a_spike_but_alerts_nobody_when_it_is_old(stream: Stream) -> None:
    stream.quiet_windows(0, 24)
    stream.receive(T0 + 15 * WIDTH, [PAIR] * 30)
    result = stream.committer.run(T0 + 24 * WIDTH + 5_000)
    assert (result.spikes, result.alerts) == (1, ())
    assert stream.count("SELECT COUNT(*) FROM spike WHERE stage = 'late'") == 1


def test_an_alarmed_window_does_not_train_its_baseline(stream: Stream) -> None:
    stream.quiet_windows(0, 20)
    stream.receive(T0 + 20 * WIDTH, [PAIR] * 60)
    stream.committer.run(T0 + 21 * WIDTH)
    stream.quiet_windows(21, 3)
    stream.receive(T0 + 24 * WIDTH, [PAIR] * 30)
    stream.committer.run(T0 + 24 * WIDTH + 5_000)
    with stream.engine.connect() as connection:
        expected = connection.scalars(text("SELECT expected FROM spike ORDER BY window_start_ms")).all()
    assert expected == pytest.approx([2.0, 2.0], abs=0.3)


def test_after_an_outage_ordinary_reports_are_no_spikes(stream: Stream) -> None:
    stream.quiet_windows(0, 20)
    for window in range(60, 75):
        stream.receive(T0 + window * WIDTH, [PAIR, *OTHERS] * 12)
        stream.committer.run(T0 + window * WIDTH + 20_000)
    assert stream.count("SELECT COUNT(*) FROM spike") == 0


def test_without_a_clock_findings_are_kept_and_alert_nobody(stream: Stream) -> None:
    stream.quiet_windows(0, 20)
    stream.receive(T0 + 20 * WIDTH, [PAIR] * 30)
    result = stream.committer.run(None)
    assert (result.spikes, result.alerts) == (1, ())


def test_what_the_strict_level_finds_does_not_depend_on_when_the_commit_came(stream: Stream) -> None:
    stream.quiet_windows(0, 20)
    crowd = [("ASPIRIN", f"REACTION {n}") for n in range(3_000)]
    stream.receive(T0 + 20 * WIDTH, [*([PAIR] * 16), *crowd])
    result = stream.committer.run(T0 + 21 * WIDTH)
    assert [(c.alert.drug, c.alert.reaction) for c in result.alerts] == [PAIR]


def test_a_finding_keeps_when_and_how_it_was_found(stream: Stream) -> None:
    stream.quiet_windows(0, 20)
    stream.receive(T0 + 20 * WIDTH, [PAIR] * 30)
    stream.committer.run(T0 + 20 * WIDTH + 5_000)
    stream.receive(T0 + 20 * WIDTH, [PAIR] * 3)
    stream.committer.run(T0 + 21 * WIDTH)
    assert stream.count("SELECT COUNT(*) FROM spike WHERE stage = 'open' AND cases = 33") == 1


def test_a_silenced_pair_is_kept_as_a_finding_without_alert(stream: Stream) -> None:
    stream.quiet_windows(0, 20)
    with stream.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO silence (silence_id, until_ms, who, reason, created_at) "
                "VALUES ('s', 9999999999999, 'officer', 'known', '2026-01-01 00:00:00.000000')"
            )
        )
    stream.receive(T0 + 20 * WIDTH, [PAIR] * 30)
    result = stream.committer.run(T0 + 20 * WIDTH + 5_000)
    assert (result.spikes, stream.outbox()) == (1, [])


def test_a_report_beyond_the_models_experience_alerts_once(stream: Stream) -> None:
    strange = Accepted(0, T0, T0, b"{}", report("77"), 0.93, 2, ("age_years",), ())
    write_task(stream.engine, batch(stream.lease, [strange]))
    stream.committer.run(T0 + 1_000)
    stream.committer.run(T0 + 2_000)
    (message,) = SqlOutbox(stream.engine).pending(10)
    notice = from_cloudevent(message.body)
    assert (notice.kind, notice.safetyreportids, notice.score) == ("unusual_report", ("77",), 0.93)


def test_history_builds_a_baseline_and_is_not_judged(stream: Stream) -> None:
    for window in range(20):
        stream.receive(T0 + window * WIDTH, [PAIR, *OTHERS] * 2)
    stream.receive(T0 + 19 * WIDTH, [PAIR] * 50)
    folded = stream.committer.run_backfill()
    assert folded.receipts == 21
    assert stream.count("SELECT COUNT(*) FROM spike") == 0


def test_how_many_batches_late_an_alert_was(stream: Stream) -> None:
    stream.quiet_windows(0, 20)
    stored, changes = [], ()
    while not changes:
        stream.receive(T0 + 20 * WIDTH, [PAIR] * 3)
        changes = stream.committer.run(T0 + 20 * WIDTH + 5_000).alerts
        stored.append(stream.count("SELECT MAX(cases) FROM reaction_window"))
    alert_id = changes[0].alert.alert_id
    assert batches_to_alert(stream.engine, alert_id, RuleBook()) == 0

    # Had so few cases been enough, an earlier batch would have been the first that could alert.
    for least, late in ((stored[-1], 0), (stored[-1] - 2, 0), (stored[-1] - 3, 1), (stored[-1] - 6, 2)):
        lenient = SpikeRules(open_z=0.1, open_p=0.9, min_cases=least)
        rules = RuleBook(DetectionRules(spikes=lenient))
        assert batches_to_alert(stream.engine, alert_id, rules) == late
    never = RuleBook(DetectionRules(spikes=SpikeRules(min_cases=stored[-1] + 1)))
    assert batches_to_alert(stream.engine, alert_id, never) is None
    assert batches_to_alert(stream.engine, "no such alert", RuleBook()) is None
