"""Events as Arrow rows, in the columns that users of the JVM connector know."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa

from eventhubs.receiver import ReceivedEvent

__all__ = ["ARROW_SCHEMA", "record_batches"]

_STRING_MAP = pa.map_(pa.string(), pa.field("value", pa.string()))

ARROW_SCHEMA = pa.schema(
    [
        ("body", pa.binary()),
        ("partition", pa.string()),
        ("offset", pa.string()),
        ("sequenceNumber", pa.int64()),
        ("enqueuedTime", pa.timestamp("us", tz="UTC")),
        ("publisher", pa.string()),
        ("partitionKey", pa.string()),
        ("properties", _STRING_MAP),
        ("systemProperties", _STRING_MAP),
    ]
)
"""What Spark expects of its schema, field by field; a test holds it against Spark's own translation."""

_ROWS = 1_000
_BYTES = 8 * 1024 * 1024


def record_batches(partition_id: str, lists: Iterable[list[ReceivedEvent]]) -> Iterator[pa.RecordBatch]:
    """The events in the same order, in record batches of at most 1,000 rows and about 8 MiB of bodies."""
    rows: list[ReceivedEvent] = []
    size = 0
    for events in lists:
        for event in events:
            rows.append(event)
            size += len(event.body)
            if len(rows) >= _ROWS or size >= _BYTES:
                yield _record_batch(partition_id, rows)
                rows, size = [], 0
    if rows:
        yield _record_batch(partition_id, rows)


def _record_batch(partition_id: str, events: list[ReceivedEvent]) -> pa.RecordBatch:
    columns = [
        [e.body for e in events],
        [partition_id] * len(events),
        [e.offset for e in events],
        [e.sequence for e in events],
        [e.enqueued_ms * 1_000 for e in events],
        [e.publisher for e in events],
        [e.partition_key for e in events],
        [list(e.properties.items()) for e in events],
        [list(e.system_properties.items()) for e in events],
    ]
    arrays = [pa.array(c, type=f.type) for c, f in zip(columns, ARROW_SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=ARROW_SCHEMA)
