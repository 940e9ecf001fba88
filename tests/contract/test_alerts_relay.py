"""Outbox to officer through a real hub: order, repeats and foreign events."""

from __future__ import annotations

import datetime as dt
import itertools
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from alerts.alert import AlertStatus, SpikeFinding
from alerts.cloudevent import CONTENT_TYPE, AlertNotice, to_cloudevent
from alerts.policy import AlertChange, decide
from alerts.publisher import HubPublisher
from alerts.relay import Relay
from alerts.tail import follow
from eventhubs.errors import EventHubsError
from eventhubs.hub.server import LocalHub
from eventhubs.receiver import HubReceiver, ReceivedEvent, open_receiver
from eventhubs.sender import HubSender, OutgoingEvent
from eventhubs.settings import HubConnection

START = 1_800_000_000_000
NOW = dt.datetime(2027, 1, 15, tzinfo=dt.UTC)
WIDTH = 10_000
PATIENCE = 30.0


@dataclass(frozen=True)
class Message:
    outbox_id: str
    alert_id: str
    revision: int
    body: bytes


@dataclass
class ListOutbox:
    waiting: list[Message] = field(default_factory=list)

    def pending(self, limit: int) -> Sequence[Message]:
        return self.waiting[:limit]

    def mark_sent(self, outbox_ids: Sequence[str]) -> None:
        self.waiting = [message for message in self.waiting if message.outbox_id not in outbox_ids]


class ForgetfulOutbox(ListOutbox):
    """Crashes once, between publishing and marking."""

    crashed = False

    def mark_sent(self, outbox_ids: Sequence[str]) -> None:
        if not self.crashed:
            self.crashed = True
            raise ConnectionError("the database went away")
        super().mark_sent(outbox_ids)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    hubs = {"alerts": 2, "repeated": 2, "mixed": 2, "fresh": 2}
    with LocalHub(tmp_path_factory.mktemp("hub"), hubs) as hub:
        yield hub


@pytest.fixture(scope="module")
def connection(hub: LocalHub) -> HubConnection:
    return HubConnection.from_connection_string(hub.connection_string)


def episode(pair: int) -> list[AlertChange]:
    """An alert that opens, grows twice and closes."""
    changes: list[AlertChange] = []
    for cases, clock in ((12, START), (20, START), (40, START), (0, START + 10 * WIDTH)):
        alerts = [change.alert for change in changes[-1:] if change.alert.status == AlertStatus.OPEN]
        found = SpikeFinding(WIDTH, START, pair, f"DRUG {pair}", 2, "REACTION", cases, 2, 1, 6, 1e-8, "open", True)
        changes += decide(
            alerts,
            [found] if cases else [],
            [],
            clock_ms=clock,
            now_ms=clock,
            new_id=lambda: str(uuid.uuid4()),
            silenced=lambda finding: False,
        )
    return changes


def messages(episodes: int) -> list[Message]:
    """The episodes' changes as an outbox keeps them: the first of each, then the second of each, and so on."""
    by_time = itertools.chain(*zip(*(episode(pair) for pair in range(episodes)), strict=True))
    return [
        Message(
            str(uuid.uuid4()),
            change.alert.alert_id,
            change.alert.revision,
            to_cloudevent(change, source="reactionwatch/reports", cases=["1"], now=NOW),
        )
        for change in by_time
    ]


def relayed(outbox: ListOutbox, connection: HubConnection, hub: str) -> None:
    with HubPublisher(connection, hub) as publisher:
        Relay(outbox, publisher, stop=threading.Event()).drain()


def told(
    receiver: HubReceiver, count: int, *, from_start: bool = True, stop: threading.Event | None = None
) -> list[AlertNotice]:
    stop = stop or threading.Event()
    late = threading.Timer(PATIENCE, stop.set)
    late.start()
    try:
        return list(itertools.islice(follow(receiver, from_start=from_start, stop=stop), count))
    finally:
        late.cancel()


def kept(receiver: HubReceiver) -> list[ReceivedEvent]:
    infos = receiver.partition_infos(receiver.hub_info().partition_ids)
    return [
        event
        for info in infos
        for events in receiver.read(info.partition_id, info.begin_sequence, info.next_sequence - info.begin_sequence)
        for event in events
    ]


def test_every_revision_arrives_once_and_in_order(connection: HubConnection) -> None:
    outbox = ListOutbox(messages(episodes=6))
    sent = {f"{message.alert_id}/{message.revision}" for message in outbox.waiting}
    relayed(outbox, connection, "alerts")
    with open_receiver(connection, "alerts") as receiver:
        notices = told(receiver, len(sent))
        assert {event.properties["content-type"] for event in kept(receiver)} == {CONTENT_TYPE}
    assert outbox.waiting == []
    assert {notice.event_id for notice in notices} == sent
    for alert_id in {notice.alert_id for notice in notices}:
        assert [notice.revision for notice in notices if notice.alert_id == alert_id] == [1, 2, 3, 4]


def test_crash_before_marking_repeats_and_the_officer_sees_each_once(connection: HubConnection) -> None:
    outbox = ForgetfulOutbox(messages(episodes=2))
    sent = [f"{message.alert_id}/{message.revision}" for message in outbox.waiting]
    with pytest.raises(ConnectionError):
        relayed(outbox, connection, "repeated")
    relayed(outbox, connection, "repeated")
    last = messages(episodes=1)[0]
    relayed(ListOutbox([last]), connection, "repeated")
    with open_receiver(connection, "repeated") as receiver:
        assert len(kept(receiver)) == 2 * len(sent) + 1
        notices = told(receiver, len(sent) + 1)
    assert sorted(notice.event_id for notice in notices) == sorted([*sent, f"{last.alert_id}/{last.revision}"])


def test_events_that_are_no_alerts_are_passed_over(connection: HubConnection, caplog: pytest.LogCaptureFixture) -> None:
    alert = messages(episodes=1)[0]
    with HubSender(connection, "mixed") as sender:
        sender.send([OutgoingEvent(b"narrative of a patient", alert.alert_id)])
    relayed(ListOutbox([alert]), connection, "mixed")
    with open_receiver(connection, "mixed") as receiver:
        assert [notice.alert_id for notice in told(receiver, 1)] == [alert.alert_id]
    assert "Skipped event 0" in caplog.text
    assert "narrative" not in caplog.text


class ActsAtFirstWait(threading.Event):
    """A stop signal at whose first wait something happens: the follower knows by then where now is."""

    def __init__(self, action: Callable[[], None]) -> None:
        super().__init__()
        self._actions = [action]

    def wait(self, timeout: float | None = None) -> bool:
        while self._actions:
            self._actions.pop()()
        return super().wait(timeout)


def test_following_from_now_on_leaves_out_what_was_told_before(connection: HubConnection) -> None:
    before, after = messages(episodes=1)[0], messages(episodes=1)[0]
    relayed(ListOutbox([before]), connection, "fresh")
    stop = ActsAtFirstWait(lambda: relayed(ListOutbox([after]), connection, "fresh"))
    with open_receiver(connection, "fresh") as receiver:
        assert [notice.alert_id for notice in told(receiver, 1, from_start=False, stop=stop)] == [after.alert_id]


def test_publisher_names_what_is_wrong_and_the_outbox_keeps_its_messages(connection: HubConnection) -> None:
    outbox = ListOutbox(messages(episodes=1))
    with pytest.raises(EventHubsError):
        relayed(outbox, connection, "no-such-hub")
    assert len(outbox.waiting) == 4
