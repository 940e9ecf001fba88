"""Events become rows of exactly the declared columns."""

from __future__ import annotations

import datetime as dt
import uuid

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql.pandas.types import to_arrow_schema

from eventhubs.receiver import ReceivedEvent
from eventhubs.rows import ARROW_SCHEMA, record_batches
from eventhubs.spark import SCHEMA
from eventhubs.text import as_text, text_map

EVENTS = st.lists(
    st.builds(
        ReceivedEvent,
        body=st.binary(max_size=50),
        sequence=st.integers(0, 2**62),
        offset=st.text(max_size=5),
        enqueued_ms=st.integers(0, 4_102_444_800_000),
        partition_key=st.none() | st.text(max_size=5),
        properties=st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=3),
        publisher=st.none() | st.text(max_size=3),
        system_properties=st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=3),
    ),
    max_size=6,
)


def test_schema_is_what_spark_expects() -> None:
    assert to_arrow_schema(SCHEMA, timezone="UTC").equals(ARROW_SCHEMA, check_metadata=True)


@given(st.lists(EVENTS, max_size=4))
@settings(deadline=None)  # the first conversion imports much of Arrow
def test_every_event_is_one_row_in_order(lists: list[list[ReceivedEvent]]) -> None:
    batches = list(record_batches("3", lists))
    rows = pa.Table.from_batches(batches, ARROW_SCHEMA).to_pylist(maps_as_pydicts="strict")
    events = [e for events in lists for e in events]
    assert [r["body"] for r in rows] == [e.body for e in events]
    assert [r["sequenceNumber"] for r in rows] == [e.sequence for e in events]
    assert [r["properties"] for r in rows] == [e.properties for e in events]
    assert [r["partitionKey"] for r in rows] == [e.partition_key for e in events]
    assert {r["partition"] for r in rows} <= {"3"}
    epoch = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)  # noqa: UP017 - the type that Arrow gives back
    assert [(r["enqueuedTime"] - epoch) / dt.timedelta(milliseconds=1) for r in rows] == [e.enqueued_ms for e in events]


def test_batches_do_not_depend_on_how_events_arrived() -> None:
    events = [ReceivedEvent(b"x" * 10, n, str(n), n, None, {}, None, {}) for n in range(2_500)]
    one = list(record_batches("0", [events]))
    many = list(record_batches("0", [events[i : i + 7] for i in range(0, len(events), 7)]))
    assert [b.num_rows for b in one] == [1_000, 1_000, 500]
    assert all(a.equals(b) for a, b in zip(one, many, strict=True))


def test_large_bodies_make_small_batches() -> None:
    body = b"x" * 3 * 1024 * 1024
    events = [ReceivedEvent(body, n, str(n), n, None, {}, None, {}) for n in range(7)]
    assert [b.num_rows for b in record_batches("0", [events])] == [3, 3, 1]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "a"),
        (b"a", "a"),
        (b"\xff", "\\xff"),
        (True, "true"),
        (7, "7"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ([b"a", 1, None, True], '["a", 1, null, true]'),
        ({b"k": {"n": b"v"}}, '{"k": {"n": "v"}}'),
    ],
)
def test_amqp_values_as_text(value: object, text: str) -> None:
    assert as_text(value) == text


def test_text_map_is_sorted_and_without_absent_values() -> None:
    assert list(text_map([(b"b", 1), ("a", "x"), ("c", None)]).items()) == [("a", "x"), ("b", "1")]
