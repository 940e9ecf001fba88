"""Alerts on the wire: what is written can be read, follows the published schema, and foreign bytes are refused."""

import dataclasses
import datetime as dt
import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import alerts
from alerts.alert import SpikeFinding, UnusualReport
from alerts.cloudevent import (
    DATA_SCHEMA,
    EVIDENCE_LIMIT,
    AlertEvidence,
    AlertFormatError,
    from_cloudevent,
    to_cloudevent,
)
from alerts.policy import decide

START = 1_800_000_000_000
NOW = dt.datetime(2027, 1, 15, 8, 0, 5, tzinfo=dt.UTC)
ALERT_ID = "3e0c5b7e-9a4f-4f64-8f3a-0d8a2d3c4b5a"
FINDING = SpikeFinding(10_000, START, 1, "DRUG", 2, "REACTION", 14, 2.25, 1.5, 5.6, 2e-8, "open", alertable=True)
EVIDENCE = AlertEvidence(40, 12.5, 3.25, 30.0, 3.5, 2.5, 4.75, 1.5, 1.0, 1.75, 0.5, 2, 0.75)
REPORT = UnusualReport(7, "10012345", 3, 0.8125, ("rare pair", "no age"), "11", START)


def changes(alerts=(), findings=(), unusual=(), clock=START):
    return decide(
        alerts,
        findings,
        unusual,
        clock_ms=clock,
        now_ms=clock,
        new_id=lambda: ALERT_ID,
        silenced=lambda finding: False,
    )


def spike(finding=FINDING):
    return changes(findings=[finding])[0]


def closing():
    return changes([spike().alert], clock=START + 10**7)[0]


def unusual():
    return changes(unusual=[REPORT])[0]


def written(change, cases=("1", "2"), evidence=None):
    return to_cloudevent(change, source="reactionwatch/reports", cases=cases, now=NOW, evidence=evidence)


def altered(**attributes):
    event = json.loads(written(spike())) | attributes
    return json.dumps(event).encode()


def altered_data(**data):
    event = json.loads(written(spike()))
    return json.dumps(event | {"data": event["data"] | data}).encode()


def test_envelope_says_what_who_when_and_which_repeat():
    event = json.loads(written(spike()))
    data = event.pop("data")
    assert event == {
        "specversion": "1.0",
        "id": f"{ALERT_ID}/1",
        "source": "reactionwatch/reports",
        "type": "org.reactionwatch.alert.opened",
        "subject": "DRUG / REACTION",
        "time": "2027-01-15T08:00:05Z",
        "datacontenttype": "application/json",
        "dataschema": DATA_SCHEMA,
        "partitionkey": ALERT_ID,
    }
    assert data["since"] == "2027-01-15T08:00:00Z"
    assert data["window"] == {"start": "2027-01-15T08:00:00Z", "seconds": 10.0, "windows": 1}


@pytest.mark.parametrize("change", [spike(), closing(), unusual()], ids=["opened", "closed", "unusual"])
@pytest.mark.parametrize("evidence", [None, EVIDENCE, msgspec.structs.replace(EVIDENCE, serious_share=None)])
def test_data_follow_the_published_schema(change, evidence):
    jsonschema = pytest.importorskip("jsonschema", reason="comes with the model tools, not with alerts")
    schema = json.loads((Path(alerts.__file__).parent / "schema" / "alert.v1.json").read_text())
    data = json.loads(written(change, evidence=evidence))["data"]
    jsonschema.Draft202012Validator(schema).validate(data)
    assert data.keys() == schema["properties"].keys()
    assert schema["$id"] == DATA_SCHEMA


names = st.text(min_size=1, max_size=40)
amounts = st.floats(min_value=0, max_value=1e9, allow_nan=False)


@given(names, names, st.integers(1, 10**6), amounts, amounts, st.floats(0, 1), st.lists(names, max_size=30))
def test_spike_that_was_written_is_read(drug, reaction, cases, expected, z, p, ids):
    finding = SpikeFinding(60_000, START + 1, 1, drug, 2, reaction, cases, expected, 1.5, z, p, "open", alertable=True)
    notice = from_cloudevent(written(spike(finding), ids))
    assert (notice.drug, notice.reaction, notice.cases) == (drug, reaction, cases)
    assert (notice.expected, notice.z, notice.p) == (expected, z, p)
    assert notice.safetyreportids == tuple(ids[:EVIDENCE_LIMIT])
    assert notice.since == notice.window.start == dt.datetime(2027, 1, 15, 8, 0, 0, 1000, tzinfo=dt.UTC)
    assert (notice.window.seconds, notice.widths) == (60.0, (60.0,))
    assert (notice.event_id, notice.time) == (f"{ALERT_ID}/1", NOW)


def test_evidence_that_was_written_is_read():
    assert from_cloudevent(written(spike(), evidence=EVIDENCE)).evidence == EVIDENCE
    assert from_cloudevent(written(spike())).evidence is None


def test_two_windows_together_are_told_as_the_time_they_are():
    window = from_cloudevent(written(spike(dataclasses.replace(FINDING, windows=2)))).window
    assert (window.seconds, window.windows) == (20.0, 2)
    assert window.start == dt.datetime(2027, 1, 15, 7, 59, 50, tzinfo=dt.UTC)


def test_unusual_report_that_was_written_is_read():
    notice = from_cloudevent(written(unusual(), []))
    assert (notice.safetyreportids, notice.version, notice.score) == (("10012345",), 3, 0.8125)
    assert (notice.reasons, notice.model_version) == (("rare pair", "no age"), "11")
    assert notice.window is None


def test_change_that_is_not_to_be_told_becomes_no_event():
    noted = changes([spike().alert], [SpikeFinding(10_000, START, 1, "D", 2, "R", 15, 2, 1, 6, 0, "open", True)])[0]
    with pytest.raises(ValueError, match="published"):
        written(noted)


def test_fields_of_a_later_version_are_ignored():
    assert from_cloudevent(altered_data(severity="high")).cases == 14


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"42",
        b"null",
        b'{"specversion": "1.0"}',
        b"[" * 100_000,
        altered(specversion="0.3"),
        altered(id=""),
        altered(time="yesterday"),
        altered(time=5),
        altered(type="com.example.other"),
        altered(type=5),
        altered(dataschema="urn:reactionwatch:schema:alert:v2"),
        altered(data="text"),
        altered(data=None),
        altered_data(cases="14"),
        altered_data(since="2027-01-15T08:00:00"),
        altered_data(alert_id=None),
        altered_data(kind="secret"),
    ],
)
def test_anything_else_is_refused(body):
    with pytest.raises(AlertFormatError):
        from_cloudevent(body)


def test_refusal_names_the_place_and_never_the_text():
    with pytest.raises(AlertFormatError, match=r"\$\.kind") as refusal:
        from_cloudevent(altered_data(kind="secret name"))
    assert "secret" not in str(refusal.value)
    assert refusal.value.__suppress_context__
