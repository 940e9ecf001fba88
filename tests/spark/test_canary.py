"""What a report says stays in the database: nothing of it in logs, errors, progress, alerts, MLflow or any command.

Every text of the reports sent here holds a canary, by the name of its field. Names that alerts speak of, the suspect
drug's and the reaction's, hold none.
"""

from __future__ import annotations

import gzip
import io
import json
import logging
import re
import subprocess
import sys
import threading
import traceback
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from subprocess import PIPE
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from pyspark.sql import SparkSession
from pyspark.sql.streaming.listener import (
    QueryProgressEvent,
    QueryStartedEvent,
    QueryTerminatedEvent,
    StreamingQueryListener,
)
from sqlalchemy import text

from alerts.alert import AlertKind
from alerts.cloudevent import from_cloudevent
from alerts.tail import describe
from eventhubs.hub.server import LocalHub
from eventhubs.receiver import open_receiver
from eventhubs.sender import OutgoingEvent
from reactionwatch.settings import load_settings
from reactionwatch.wiring import connection_of, report_sender, stream_settings
from sql.accounting import account
from sql.connection import open_engine
from sql.migrate import upgrade
from streaming.errors import StreamFailedError
from streaming.run import Observer, run_stream

pytestmark = pytest.mark.spark

PROGRAM = str(Path(sys.executable).parent / "reactionwatch")
OURS = ("alerts", "eventhubs", "expectations", "models", "reactionwatch", "sql", "streaming")


# --- Canaries ---------------------------------------------------------------------------------------------------


def canary(field: str) -> str:
    return f"zqcanary-{field}"


def canaries_in(content: bytes) -> set[str]:
    """Canaries in bytes of any kind: text in UTF-8, UTF-16 or UTF-32, in any case, in archives within archives."""
    found: set[str] = set()
    for encoding in ("utf-8", "utf-16-le", "utf-32-le"):
        text = "zqcanary-".encode(encoding)
        for at in re.finditer(re.escape(text), content, re.IGNORECASE):
            said = content[at.start() : at.start() + 4 * len(text)].decode(encoding, "ignore")
            found.add(re.match(r"[\w-]*", said)[0].lower())
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            found |= {said for name in archive.namelist() for said in canaries_in(archive.read(name))}
    if content.startswith(b"\x1f\x8b"):
        found |= canaries_in(gzip.decompress(content))
    return found


def leaks(said: Mapping[str, str | bytes]) -> dict[str, set[str]]:
    """Where something was said, and which canaries it holds."""
    found = {
        where: canaries_in(what if isinstance(what, bytes) else what.encode("utf-8", "replace"))
        for where, what in said.items()
    }
    return {where: canaries for where, canaries in found.items() if canaries}


def test_canaries_are_found_wherever_they_hide() -> None:
    arrays = io.BytesIO()
    np.savez_compressed(arrays, names=np.array([canary("sender").upper()]))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("inner.npz", arrays.getvalue())
    assert leaks({"archive": archive.getvalue(), "gzip": gzip.compress(b"a zqCanary-batch b"), "nothing": b"zq"}) == {
        "archive": {"zqcanary-sender"},
        "gzip": {"zqcanary-batch"},
    }


# --- Reports ----------------------------------------------------------------------------------------------------


def report(case: str, date: str, drug: str = "Ibuprofen", reaction: str = "Nausea", **fields: Any) -> dict[str, Any]:
    """A report that passes, with a canary in every text but the substance and the reaction; `...` takes a field out."""
    value = {
        "safetyreportid": case,
        "safetyreportversion": "1",
        "receivedate": date,
        "receivedateformat": "102",
        "receiptdate": date,
        "receiptdateformat": "102",
        "serious": "2",
        "occurcountry": canary("country"),
        "primarysourcecountry": canary("source-country"),
        "companynumb": canary("company-number"),
        "authoritynumb": canary("authority-number"),
        "sender": {"sendertype": canary("sender-type"), "senderorganization": canary("sender")},
        "receiver": {"receiverorganization": canary("receiver")},
        "primarysource": {
            "qualification": "1",
            "reportercountry": canary("reporter-country"),
            "reportergivename": canary("reporter-given-name"),
            "reporterfamilyname": canary("reporter-family-name"),
            "literaturereference": canary("literature-reference"),
        },
        "reportduplicate": [
            {"duplicatesource": canary("duplicate-source"), "duplicatenumb": f"{canary('duplicate-number')} {case}"}
        ],
        canary("unknown-name"): canary("unknown-value"),
        "patient": {
            "patientonsetage": "65",
            "patientonsetageunit": "801",
            "patientsex": "2",
            "patientdeath": {"patientdeathdate": canary("death-date"), canary("death-name"): canary("death-value")},
            "summary": {"narrativeincludeclinical": canary("narrative") * 20},
            canary("patient-unknown-name"): canary("patient-unknown-value"),
            "reaction": [{"reactionmeddrapt": reaction, "reactionmeddraversionpt": canary("meddra-version")}],
            "drug": [
                {
                    "medicinalproduct": canary("product"),
                    "activesubstance": {"activesubstancename": drug},
                    "drugcharacterization": "1",
                    "drugindication": canary("indication"),
                    "drugbatchnumb": canary("batch-number"),
                    "drugdosagetext": canary("dosage-text"),
                    "drugauthorizationnumb": canary("authorization-number"),
                    canary("drug-unknown-name"): canary("drug-unknown-value"),
                },
                {
                    "medicinalproduct": canary("concomitant"),
                    "drugcharacterization": "2",
                    "openfda": {"brand_name": [canary("brand")], "manufacturer_name": [canary("manufacturer")]},
                },
            ],
        },
    }
    return {key: entry for key, entry in {**value, **fields}.items() if entry is not ...}


def body(*arguments: str, **fields: Any) -> bytes:
    return json.dumps(report(*arguments, **fields)).encode()


def of_patient(case: str, date: str, **fields: Any) -> bytes:
    whole = report(case, date)
    return json.dumps({**whole, "patient": {**whole["patient"], **fields}}).encode()


def day(number: int, cases: int) -> list[bytes]:
    """Cases of one pair, and enough of another one to train on."""
    date = f"202601{number:02d}"
    return [
        *(body(f"{date}0{i:02d}", date) for i in range(cases)),
        *(body(f"{date}9{i:02d}", date, "Aspirin", "Rash") for i in range(7)),
    ]


HISTORY = [one for number in range(1, 25) for one in day(number, 2)]
SPIKE = day(25, 30)

SAID = canary("value")
UNTIDY = [
    body("untidy-1", "20260125", receiptdate=SAID, transmissiondate=SAID, serious=SAID, seriousnessdeath=SAID),
    of_patient("untidy-2", "20260125", patientsex=SAID, patientonsetage=SAID, patientonsetageunit=SAID),
    of_patient("untidy-3", "20260125", patientweight=[SAID], summary=[SAID], patientdeath=SAID),
    body("untidy-4", "20260125", sender=SAID, primarysource=[SAID], reportduplicate=SAID),
    body("untidy-5", "20260125", companynumb=SAID * 100, receiptdateformat=SAID),
]
"""These pass, with warnings. Their receive dates can be read: one that counts now would end January at once."""

DATE = "20260125"
REFUSED = {
    of_patient("refused-1", DATE, reaction=[{canary("reaction-name"): SAID}]): "no_named_reaction",
    of_patient("refused-2", DATE, drug=[{"drugindication": SAID}]): "no_named_drug",
    of_patient("refused-3", DATE, reaction=[{"reactionmeddrapt": SAID}] * 2_001): "too_many_reactions",
    body("refused-4", DATE)[:-30]: "broken_json",
    body("refused-5", DATE) + body("refused-5", DATE): "broken_json",
    body("refused-6", DATE).replace(b'"65"', b"NaN"): "broken_json",
    body("refused-7", DATE).replace(b'"65"', b'"\xff"'): "not_utf8",
    body("refused-8", DATE).replace(b'"65"', b"[" * 500 + b"]" * 500): "too_deep",
    b"[" + body("refused-9", DATE) + b"]": "not_an_object",
    body(canary("id with spaces"), DATE): "malformed_id",
    body("refused-10", DATE, safetyreportid=...): "missing_id",
    body("refused-11", DATE, patient=SAID): "wrong_type",
    of_patient("refused-12", DATE, drug=[SAID]): "wrong_type",
    body("refused-13", DATE, safetyreportversion=SAID): "bad_number",
    body("refused-14", SAID, safetyreportversion=...): "bad_date",
    body("20260101000", "20260101", companynumb=canary("changed-number")): "conflicting_duplicate",
}
RESENT = [body("20260101000", "20260101"), body("20260101001", "20260101")]


# --- The whole way ----------------------------------------------------------------------------------------------


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A hub, and the settings of commands and stream that name it, in a folder of their own.

    One partition of reports, so that they come in the order in which they were sent.
    """
    with LocalHub(tmp_path / "hub", {"reports": 1, "alerts": 1}) as hub:
        monkeypatch.setenv("REACTIONWATCH_EVENTHUB_CONNECTION", hub.connection_string)
        monkeypatch.setenv("REACTIONWATCH_DATA_DIR", str(tmp_path / "data"))
        monkeypatch.setenv("REACTIONWATCH_DATABASE_URL", f"sqlite:///{tmp_path / 'reports.db'}")
        monkeypatch.setenv("REACTIONWATCH_EVENT_TIME", "receivedate")
        monkeypatch.setenv("REACTIONWATCH_WINDOWS", "1d")
        yield


class Progress(StreamingQueryListener):
    """What Spark tells of the query."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def onQueryStarted(self, event: QueryStartedEvent) -> None:  # noqa: N802 - Spark's name
        self.told.append(f"{event.name}")

    def onQueryProgress(self, event: QueryProgressEvent) -> None:  # noqa: N802 - Spark's name
        self.told.append(event.progress.json)

    def onQueryTerminated(self, event: QueryTerminatedEvent) -> None:  # noqa: N802 - Spark's name
        self.told.append(f"{event.exception}")


def commands(*given: tuple[int, tuple[str, ...]]) -> dict[str, str]:
    """What commands say that run side by side as a user starts them, each with the exit code that it must have."""
    with ExitStack() as stack:
        started = [
            stack.enter_context(subprocess.Popen([PROGRAM, *arguments], stdout=PIPE, stderr=PIPE, text=True))
            for _, arguments in given
        ]
        said = {}
        for process, (exit_code, arguments) in zip(started, given, strict=True):
            out, err = process.communicate(timeout=120)
            assert process.returncode == exit_code, err
            said[f"{arguments}: stdout"], said[f"{arguments}: stderr"] = out, err
    return said


def stream() -> dict[str, str]:
    """Store what the hub holds; what the run tells whoever watches it."""
    told: list[str] = []
    observer = Observer(
        on_batch=lambda batch: told.append(repr(batch)), on_commit=lambda result: told.append(repr(result))
    )
    run_stream(stream_settings(load_settings(), once=True, take_over=False), threading.Event(), observer)
    return {"what the stream tells": "\n".join(told)}


def published() -> list[bytes]:
    settings = load_settings()
    with open_receiver(connection_of(settings), settings.alerts_hub) as receiver:
        (partition,) = receiver.partition_infos(receiver.hub_info().partition_ids)
        count = partition.next_sequence - partition.begin_sequence
        batches = receiver.read(partition.partition_id, partition.begin_sequence, count)
        return [event.body for events in batches for event in events]


def rows(statement: str) -> list[tuple[Any, ...]]:
    engine = open_engine(load_settings().database)
    try:
        with engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(statement))]
    finally:
        engine.dispose()


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def spark_log(spark: SparkSession) -> bytes:
    warehouse = spark.sparkContext.getConf().get("spark.sql.warehouse.dir")
    assert warehouse is not None
    return (Path(urlsplit(warehouse).path).parent / "spark.log").read_bytes()


def test_what_reports_say_stays_in_the_database(
    spark: SparkSession,
    environment: None,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    everything = [*HISTORY, *SPIKE, *UNTIDY, *REFUSED, *RESENT]
    file = tmp_path / "reports.jsonl"
    file.write_bytes(b"\n".join(everything))
    progress = Progress()
    spark.streams.addListener(progress)
    caplog.set_level(logging.INFO)
    for name in OURS:
        caplog.set_level(logging.DEBUG, name)

    said: dict[str, str | bytes] = {}
    check = ("expectations", "check", str(file))
    said |= commands((0, ("train", str(file), "--json")), (0, ("send", str(file))), (1, check))
    said |= stream()
    ((position,),) = rows("SELECT sequence FROM quarantined_report WHERE reasons = 'malformed_id'")
    said |= commands(
        (0, ("status",)),
        (0, ("quarantine", "list", "--limit", "1000")),
        (0, ("quarantine", "list", "--limit", "1000", "--json")),
        (0, ("quarantine", "show", f"0:{position}")),
        (1, (*check, "--json")),
    )
    said |= commands((0, ("status", "--json")), (0, ("expectations", "docs")))
    spark.streams.removeListener(progress)
    alerts = published()
    said["alerts"] = b"\n".join(alerts)
    said["alerts as officers see them"] = "\n".join(describe(from_cloudevent(alert)).plain for alert in alerts)
    said["progress of the query"] = "\n".join(progress.told)
    said["log"] = caplog.text
    said["terminal"] = "\n".join(capfd.readouterr())
    said["spark.log"] = spark_log(spark)
    said |= files_in(tmp_path / "data")
    assert leaks(said) == {}

    # All of it was really there to be told: it was stored, scored, quarantined, counted, alerted on and logged.
    engine = open_engine(load_settings().database)
    found = account(engine)
    engine.dispose()
    passed = len(HISTORY) + len(SPIKE) + len(UNTIDY)
    assert (found.received, found.stored, found.duplicates) == (len(everything), passed, len(RESENT))
    assert (found.unaccounted, found.unscored) == (0, 0)
    assert dict(rows("SELECT body, reasons FROM quarantined_report")) == REFUSED
    senders = rows("SELECT safetyreportid FROM safety_report WHERE sender LIKE 'zqcanary-%' AND country IS NOT NULL")
    assert len(senders) == passed - 1  # one gives its sender as a bare value
    warned = rows("SELECT safetyreportid FROM safety_report WHERE warnings IS NOT NULL ORDER BY 1")
    assert [case for (case,) in warned] == [f"untidy-{number}" for number in range(1, 6)]
    opened = [notice for alert in alerts if (notice := from_cloudevent(alert)).change == "opened"]
    spikes = [(n.drug, n.reaction, n.cases) for n in opened if n.kind is AlertKind.REACTION_SPIKE]
    assert spikes == [("IBUPROFEN", "NAUSEA", 30 + len(UNTIDY))]
    database = canaries_in(b"".join(path.read_bytes() for path in tmp_path.glob("reports.db*")))
    assert {canary("sender"), canary("product"), canary("narrative")} <= database
    assert progress.told
    assert any(name.startswith("mlartifacts") for name in said)


def test_a_store_that_fails_says_nothing_of_what_it_was_given(
    spark: SparkSession, environment: None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine = open_engine(load_settings().database)
    upgrade(engine)
    with engine.begin() as connection:
        refuse = "CREATE TRIGGER refuse BEFORE INSERT ON report_drug BEGIN SELECT RAISE(ABORT, 'the disk is sick'); END"
        connection.execute(text(refuse))
    engine.dispose()
    with report_sender(load_settings()) as sender:
        sender.send(OutgoingEvent(body) for body in [*SPIKE, *UNTIDY, *REFUSED])
    caplog.set_level(logging.INFO)
    with pytest.raises(StreamFailedError) as failed:
        stream()
    told = "".join(traceback.format_exception(failed.value))
    log = spark_log(spark)
    assert "the disk is sick" in told
    assert b"the disk is sick" in log
    assert leaks({"error": told, "log": caplog.text, "spark.log": log, **files_in(tmp_path / "data")}) == {}
