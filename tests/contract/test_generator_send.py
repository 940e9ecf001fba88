from __future__ import annotations

import datetime as dt
import inspect
import json
import threading
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

import pytest

from eventhubs.hub.server import LocalHub
from eventhubs.receiver import open_receiver
from eventhubs.sender import HubSender, OutgoingEvent
from eventhubs.settings import HubConnection
from expectations.errors import ReportFileError
from generator.population import Population
from generator.reports import ReportFactory
from generator.send import EventSender, SendSummary, send_file, send_stream
from generator.stream import stream
from generator.traps.quality import Broken
from generator.truth import GeneratedReport

START = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
DATA = Path(__file__).parent.parent / "data"


class KeepingSender:
    """Keeps what it is sent; refuses bodies above `limit` as `HubSender.send` does."""

    def __init__(self, limit: int = 1_000_000) -> None:
        self.limit = limit
        self.calls: list[list[OutgoingEvent]] = []

    @property
    def events(self) -> list[OutgoingEvent]:
        return [event for call in self.calls for event in call]

    def send(
        self,
        events: Iterable[OutgoingEvent],
        on_sent: Callable[[int], None] | None = None,
        on_refused: Callable[[int, OutgoingEvent], None] | None = None,
    ) -> int:
        taken: list[OutgoingEvent] = []
        for index, event in enumerate(events):
            if len(event.body) <= self.limit:
                taken.append(event)
            else:
                assert on_refused is not None
                on_refused(index, event)
        self.calls.append(taken)
        return len(taken)


class FailingSender(KeepingSender):
    def send(
        self,
        events: Iterable[OutgoingEvent],
        on_sent: Callable[[int], None] | None = None,
        on_refused: Callable[[int, OutgoingEvent], None] | None = None,
    ) -> int:
        raise ConnectionError("hub gone")


@pytest.fixture(scope="module")
def reports() -> list[GeneratedReport]:
    factory = ReportFactory(Population(), 1)
    return list(stream(factory, rate=50, count=1_200, started_at=START, traps=[Broken(0.05)]))


def test_the_hub_sender_can_be_called_as_the_generator_calls_senders() -> None:
    assert list(inspect.signature(HubSender.send).parameters) == list(inspect.signature(EventSender.send).parameters)


def test_a_stream_and_a_file_arrive_through_the_real_sender(reports: list[GeneratedReport], tmp_path: Path) -> None:
    """Bodies as they were, every case in one partition; what the hub cannot hold is refused and the rest goes on."""
    path = tmp_path / "reports.jsonl"
    path.write_bytes(b'{"safetyreportid":"1","pad":"' + b"x" * 1_100_000 + b'"}\n{"safetyreportid":"2"}\n')
    with LocalHub(tmp_path / "hub", {"reports": 2}) as hub:
        connection = HubConnection.from_connection_string(hub.connection_string)
        with HubSender(connection, "reports") as sender:
            streamed = send_stream(reports, sender)
            filed = send_file(path, sender)
        with open_receiver(connection, "reports", receive_timeout=20.0) as receiver:
            arrived = [
                (event.body, event.partition_key, info.partition_id)
                for info in receiver.partition_infos(["0", "1"])
                for events in receiver.read(info.partition_id, 0, info.next_sequence)
                for event in events
            ]
    assert (streamed.sent, streamed.refused) == (1_200, 0)
    assert (filed.sent, filed.refused) == (1, 1)
    expected = [(report.body, report.case_id) for report in reports] + [(b'{"safetyreportid":"2"}', "2")]
    assert sorted((body, key) for body, key, _ in arrived) == sorted(expected)
    assert len({(key, partition) for _, key, partition in arrived}) == len({key for _, key, _ in arrived})


def test_a_stream_arrives_whole_in_order_and_keyed_by_case(reports: list[GeneratedReport]) -> None:
    sender = KeepingSender()
    summary = send_stream(reports, sender)
    assert [(event.body, event.partition_key) for event in sender.events] == [(r.body, r.case_id) for r in reports]
    assert (summary.sent, summary.refused) == (1_200, 0)


def test_a_report_of_a_slow_stream_is_sent_before_the_next_one_comes(reports: list[GeneratedReport]) -> None:
    arrived = threading.Event()

    class Signalling(KeepingSender):
        def send(
            self,
            events: Iterable[OutgoingEvent],
            on_sent: Callable[[int], None] | None = None,
            on_refused: Callable[[int, OutgoingEvent], None] | None = None,
        ) -> int:
            sent = super().send(events, on_sent, on_refused)
            arrived.set()
            return sent

    def slow() -> Iterator[GeneratedReport]:
        for report in reports[:3]:
            arrived.clear()
            yield report
            assert arrived.wait(timeout=30)

    assert send_stream(slow(), Signalling()).sent == 3


def test_progress_adds_up_to_the_summary(reports: list[GeneratedReport]) -> None:
    heard: list[SendSummary] = []
    summary = send_stream(reports, KeepingSender(limit=2_000), heard.append)
    assert heard[-1] == summary
    assert [h.sent + h.refused for h in heard] == sorted(h.sent + h.refused for h in heard)
    assert summary.refused == sum(len(report.body) > 2_000 for report in reports) > 0
    assert summary.sent + summary.refused == len(reports)


def test_an_empty_stream_sends_nothing() -> None:
    sender = KeepingSender()
    assert send_stream([], sender).sent == 0
    assert not sender.calls


def test_an_error_of_the_sender_is_raised(reports: list[GeneratedReport]) -> None:
    with pytest.raises(ConnectionError, match="hub gone"):
        send_stream(reports, FailingSender())


def test_an_error_of_the_stream_is_raised_after_what_came_before(reports: list[GeneratedReport]) -> None:
    def failing() -> Iterator[GeneratedReport]:
        yield from islice(reports, 5)
        raise RuntimeError("stream broke")

    sender = KeepingSender()
    with pytest.raises(RuntimeError, match="stream broke"):
        send_stream(failing(), sender)
    assert len(sender.events) == 5


def test_files_are_sent_unchanged_and_keyed_by_their_case() -> None:
    sender = KeepingSender()
    files = [DATA / "openfda_reports_100.jsonl", DATA / "faers_2014_reports_1000.jsonl"]
    assert send_file(files, sender).sent == 1_100
    lines = [line for path in files for line in path.read_bytes().splitlines()]
    assert [event.body for event in sender.events] == lines
    assert [event.partition_key for event in sender.events] == [json.loads(line)["safetyreportid"] for line in lines]


@pytest.mark.parametrize(
    ("body", "key"),
    [
        (b'{"safetyreportid":"10003301","patient":{}}', "10003301"),
        (b'{"patient":{},"safetyreportid":10003301}', "10003301"),
        (b'\xef\xbb\xbf{"safetyreportid":"1"}', "1"),
        (b'{"safetyreportid":null}', None),
        (b'{"safetyreportid":""}', None),
        (b'{"patient":{}}', None),
        (b'{"safetyreportid":"10003301","pat', None),
        (b'{"safetyreportid":"\xe9"}', None),
        (b"no JSON", None),
        (b"[" * 100_000, None),
    ],
)
def test_a_body_is_keyed_by_its_case_where_one_can_be_read(tmp_path: Path, body: bytes, key: str | None) -> None:
    path = tmp_path / "reports.jsonl"
    path.write_bytes(b'{"safetyreportid":"0"}\n' + body + b"\n")
    sender = KeepingSender()
    assert send_file(path, sender).sent == 2
    assert sender.events[1] == OutgoingEvent(body, key)


def test_a_body_too_large_for_the_hub_is_counted_and_the_rest_goes_on() -> None:
    sender = KeepingSender(limit=20_000)
    summary = send_file(str(DATA / "openfda_reports_100.jsonl"), sender)
    large = sum(len(line) > 20_000 for line in (DATA / "openfda_reports_100.jsonl").read_bytes().splitlines())
    assert (summary.sent, summary.refused) == (100 - large, large)
    assert large > 0


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ReportFileError):
        send_file(tmp_path / "missing.jsonl", KeepingSender())
