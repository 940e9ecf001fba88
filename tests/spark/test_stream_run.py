"""The stream itself: a real hub, a real query, a real database."""

from __future__ import annotations

import json
import logging
import shutil
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from builders import openfda
from pyspark.sql import SparkSession
from sqlalchemy import text

import expectations
from alerts.cloudevent import AlertNotice, from_cloudevent
from eventhubs.errors import HubUnreachableError
from eventhubs.hub.server import LocalHub
from eventhubs.receiver import open_receiver
from eventhubs.sender import HubSender, OutgoingEvent
from eventhubs.settings import HubConnection
from expectations.decode import decode
from expectations.report import Report
from expectations.report_file import read_bodies
from expectations.suite import load_suite
from models import registry
from models.forest import train
from models.registry import RegistrySettings
from reactionwatch.training import generated_reports
from sql.accounting import Accounting, account
from sql.connection import open_engine
from streaming.batch import BatchReport
from streaming.errors import StreamFailedError
from streaming.event_time import EventTime
from streaming.run import Observer, run_stream
from streaming.settings import StreamSettings

pytestmark = pytest.mark.spark

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[LocalHub]:
    with LocalHub(tmp_path / "hub", {"reports": 2, "alerts": 1}) as hub:
        yield hub


@pytest.fixture
def settings(hub: LocalHub, tmp_path: Path, spark: SparkSession) -> StreamSettings:
    return StreamSettings(
        connection=HubConnection.from_connection_string(hub.connection_string),
        reports_hub="reports",
        alerts_hub="alerts",
        database_url=f"sqlite:///{tmp_path / 'reactionwatch.db'}",
        registry=RegistrySettings(f"sqlite:///{tmp_path / 'mlflow.db'}", None, "reactionwatch"),
        data_dir=tmp_path,
        widths_ms=(86_400_000,),
        once=True,
    )


def send(settings: StreamSettings, bodies: Sequence[bytes]) -> None:
    with HubSender(settings.connection, settings.reports_hub) as sender:
        sender.send(OutgoingEvent(body, str(i)) for i, body in enumerate(bodies))


def drain(settings: StreamSettings) -> Accounting:
    run_stream(settings, threading.Event(), Observer())
    engine = open_engine(settings.database_url)
    try:
        return account(engine)
    finally:
        engine.dispose()


def rows(settings: StreamSettings, statement: str) -> list[tuple[object, ...]]:
    engine = open_engine(settings.database_url)
    try:
        with engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(statement))]
    finally:
        engine.dispose()


def published(settings: StreamSettings) -> list[AlertNotice]:
    with open_receiver(settings.connection, settings.alerts_hub) as receiver:
        notices = []
        for info in receiver.partition_infos(receiver.hub_info().partition_ids):
            count = info.next_sequence - info.begin_sequence
            if count:
                for events in receiver.read(info.partition_id, info.begin_sequence, count):
                    notices.extend(from_cloudevent(event.body) for event in events)
        return notices


BAD = {
    b"": "empty_body",
    b'{"safetyreportid": "1", "patient"': "broken_json",
    b"[1, 2]": "not_an_object",
    json.dumps({"patient": {"reaction": [], "drug": []}}).encode(): "missing_id",
    json.dumps({"safetyreportid": "77"}).encode(): "missing_patient",
    b"\xff\xfe{}": "not_utf8",
}


def test_real_reports_are_stored_and_broken_ones_kept_whole(settings: StreamSettings) -> None:
    real = list(read_bodies(DATA / "openfda_reports_100.jsonl"))
    assert max(len(body) for body in real) > 260_000
    send(settings, [*real, *BAD])
    found = drain(settings)
    assert (found.received, found.stored, found.quarantined, found.duplicates) == (106, 100, 6, 0)
    assert found.unaccounted == 0
    kept = rows(settings, "SELECT body, reasons FROM quarantined_report")
    assert dict(kept) == BAD
    reports = [r for body in real if isinstance(r := decode(body), Report)]
    expected = sum(len(r.drugs) * len(r.reactions) for r in reports)
    assert rows(settings, "SELECT COUNT(*) FROM PatientAdverseEventReport") == [(expected,)]


def test_a_second_run_reads_on_where_the_database_is(settings: StreamSettings) -> None:
    send(settings, [openfda("1"), openfda("2")])
    assert drain(settings).received == 2
    assert drain(settings).received == 2
    send(settings, [openfda("3"), openfda("1")])
    found = drain(settings)
    assert (found.received, found.stored, found.duplicates) == (4, 3, 1)


def test_without_champion_reports_are_unscored_and_a_promotion_scores_the_next_batch(
    settings: StreamSettings, caplog: pytest.LogCaptureFixture
) -> None:
    send(settings, [openfda("1")])
    with caplog.at_level(logging.WARNING):
        assert drain(settings).unscored == 1
    assert [r for r in caplog.messages if "reactionwatch train" in r] != []
    reports = generated_reports(400, 1)
    champion = registry.register(train(reports), reports[:5], settings.registry, training_source="test")
    send(settings, [openfda("2")])
    assert drain(settings).unscored == 1
    assert rows(settings, "SELECT model_version, anomaly_score > 0 FROM safety_report WHERE safetyreportid = '2'") == [
        (champion.version, 1)
    ]


def test_a_spike_reaches_the_alerts_hub_once(settings: StreamSettings) -> None:
    def day(number: int, cases: int) -> list[bytes]:
        date = f"202601{number:02d}"
        ordinary = [openfda(f"{date}0{i}", receivedate=date) for i in range(cases)]
        return [*ordinary, *(openfda(f"{date}9{i}", "ASPIRIN", "Rash", receivedate=date) for i in range(4))]

    replay = replace(settings, event_time=EventTime.RECEIVEDATE)
    send(settings, [body for number in range(1, 25) for body in day(number, 2)])
    drain(replay)
    send(settings, day(25, 30))
    drain(replay)
    drain(replay)
    (notice,) = published(settings)
    assert (notice.change, notice.drug, notice.reaction, notice.cases) == ("opened", "IBUPROFEN", "NAUSEA", 30)


def test_asked_to_stop_the_stream_ends_with_everything_stored_so_far_committed(settings: StreamSettings) -> None:
    send(settings, [openfda(str(i)) for i in range(50)])
    stop = threading.Event()
    received = 0

    def count(report: BatchReport) -> None:
        nonlocal received
        received += report.received
        if received >= 50:
            stop.set()

    run_stream(replace(settings, once=False), stop, Observer(on_batch=count))
    engine = open_engine(settings.database_url)
    found = account(engine)
    engine.dispose()
    assert (found.received, found.unfolded_receipts, found.unaccounted) == (50, 0, 0)
    assert rows(settings, "SELECT beat_ms FROM stream_lease") == [(0,)]


def test_a_hub_that_goes_away_and_comes_back_is_read_on(settings: StreamSettings, hub: LocalHub) -> None:
    send(settings, [openfda("1"), openfda("2")])
    stop = threading.Event()
    received = 0

    def on_batch(report: BatchReport) -> None:
        nonlocal received
        received += report.received
        if received == 2:
            hub.stop()
            hub.start()
            send(settings, [openfda("3"), openfda("4")])
        elif received == 4:
            stop.set()

    run_stream(replace(settings, once=False), stop, Observer(on_batch=on_batch))
    assert rows(settings, "SELECT COUNT(*) FROM safety_report") == [(4,)]


def test_a_hub_that_is_not_there_is_an_error_that_names_it(
    settings: StreamSettings, hub: LocalHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streaming.run._HUB_ATTEMPTS", 2)
    hub.stop()
    with pytest.raises(HubUnreachableError, match="hub reports"):
        run_stream(settings, threading.Event(), Observer())
    hub.start()


def test_a_hub_made_anew_is_read_from_its_beginning(settings: StreamSettings, hub: LocalHub, tmp_path: Path) -> None:
    send(settings, [openfda(str(i)) for i in range(5)])
    assert drain(settings).received == 5
    with LocalHub(tmp_path / "another-hub", {"reports": 2, "alerts": 1}) as anew:
        moved = replace(settings, connection=HubConnection.from_connection_string(anew.connection_string))
        send(moved, [openfda("5"), openfda("1")])
        found = drain(moved)
    assert (found.received, found.stored, found.duplicates) == (7, 6, 1)


def suites_in(folder: Path) -> Path:
    """The packaged suites, in a folder where they can be edited."""
    folder.mkdir()
    for name in ("report.json", "pipeline.json"):
        shutil.copy(Path(expectations.__file__).parent / "suites" / name, folder / name)
    return folder


def test_an_edited_suite_judges_the_next_batch_and_rows_say_which_version_judged_them(
    settings: StreamSettings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    suites = suites_in(tmp_path / "suites")
    before = load_suite(suites).version
    report_json = suites / "report.json"
    strict = report_json.read_text().replace('"max_value": 120.0', '"max_value": 40.0')
    stop = threading.Event()
    received = 0

    def on_batch(report: BatchReport) -> None:
        nonlocal received
        received += report.received
        if received == 1:
            report_json.write_text(strict)
            send(settings, [openfda("2")])
        elif received == 2:
            report_json.write_text(strict[:500])
            send(settings, [openfda("3")])
        elif received == 3:
            stop.set()

    send(settings, [openfda("1")])
    run_stream(replace(settings, suites=suites, once=False), stop, Observer(on_batch=on_batch))
    report_json.write_text(strict)
    after = load_suite(suites).version
    assert rows(settings, "SELECT safetyreportid, suite_version, warnings FROM safety_report ORDER BY 1") == [
        ("1", before, None),
        ("2", after, "age_implausible"),
        ("3", after, "age_implausible"),
    ]
    assert [m for m in caplog.messages if "report.json was not taken" in m] != []


def test_a_flood_of_bad_reports_is_alerted_and_the_stream_goes_on(settings: StreamSettings) -> None:
    send(settings, [*(openfda(str(i)) for i in range(150)), *[b"broken"] * 150])
    assert drain(settings).received == 300
    floods = [n for n in published(settings) if n.expectation == "quarantine_flood"]
    assert [(n.change, n.observed, n.events) for n in floods] == [("opened", 0.5, 300)]
    send(settings, [openfda("after")])
    assert drain(settings).stored == 151


def test_a_flood_stops_the_stream_where_that_is_asked_for_and_the_next_start_goes_on(settings: StreamSettings) -> None:
    careful = replace(settings, stop_on_flood=True)
    send(settings, [b"broken"] * 300)
    with pytest.raises(StreamFailedError, match="REACTIONWATCH_STOP_ON_FLOOD"):
        drain(careful)
    send(settings, [openfda("after")])
    found = drain(careful)
    assert (found.received, found.stored, found.quarantined, found.unaccounted) == (301, 1, 300, 0)
