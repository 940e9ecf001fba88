"""What becomes of a message that is sent to a hub: one or more events, each ready to be stored.

An event keeps the bytes it came with: properties, application properties, body and footer are not touched, and
neither is a header. Its message annotations are merged with the service's own (sequence number, offset, time,
partition key), which win; delivery annotations, meant for this hop only, are dropped.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

from eventhubs.amqp import (
    BATCH_FORMAT,
    ProtocolError,
    Section,
    Symbol,
    Timestamp,
    data_of,
    decode_value,
    encode_section,
    encode_value,
    split_sections,
)
from eventhubs.amqp.message import (
    DATA,
    DELIVERY_ANNOTATIONS,
    HEADER,
    MESSAGE_ANNOTATIONS,
    map_entries,
)
from eventhubs.hub.log import Encoder

__all__ = ["MAX_MESSAGE_SIZE", "PARTITION_KEY", "Ingested", "LastEnqueued", "ingest", "with_last_enqueued"]

MAX_MESSAGE_SIZE = 1024 * 1024
"""Bytes of a whole message, batch or single; the limit of the service's Standard tier."""
MAX_KEY_LENGTH = 128
PARTITION_KEY = "x-opt-partition-key"

_OWN_KEYS = frozenset({"x-opt-sequence-number", "x-opt-offset", "x-opt-enqueued-time"})
_KEY_SYMBOL = encode_value(Symbol(PARTITION_KEY))
_SEQUENCE = encode_value(Symbol("x-opt-sequence-number")) + b"\x81"
_OFFSET = encode_value(Symbol("x-opt-offset"))
_TIME = encode_value(Symbol("x-opt-enqueued-time")) + b"\x83"
_I64 = struct.Struct(">q")
_ANNOTATIONS_START = b"\x00\x53\x72\xd1"
_SIZES = struct.Struct(">II")


class Ingested(NamedTuple):
    """The events of one message, and the partition key they share."""

    encoders: Sequence[Encoder]
    key: str | None


class LastEnqueued(NamedTuple):
    """What a partition's last event is, for receivers that ask to be told with every event."""

    sequence: int
    offset: str
    enqueued_ms: int
    retrieved_ms: int


def with_last_enqueued(event: memoryview, last: LastEnqueued) -> bytes:
    """Give a stored event with the delivery annotations that tell the partition's last one."""
    annotations = encode_section(
        DELIVERY_ANNOTATIONS,
        {
            Symbol("last_enqueued_sequence_number"): last.sequence,
            Symbol("last_enqueued_offset"): last.offset,
            Symbol("last_enqueued_time_utc"): Timestamp(last.enqueued_ms),
            Symbol("runtime_info_retrieval_time_utc"): Timestamp(last.retrieved_ms),
        },
    )
    first = split_sections(event)[0]
    at = first.end if first.code == HEADER else 0
    return b"".join((event[:at], annotations, event[at:]))


def ingest(message: bytes, message_format: int) -> Ingested:
    """Turn a sent message into events. Raises `ProtocolError` for one that is not well-formed."""
    view = memoryview(message)
    sections = split_sections(message)
    key = _key(message, sections)
    if message_format != BATCH_FORMAT:
        return Ingested((_event(view, sections, key),), key)
    events = []
    for section in sections:
        if section.code == DATA:
            inner = data_of(view, section)
            events.append(_event(inner, split_sections(inner), key))
    if not events:
        raise ProtocolError("a batch has no events")
    return Ingested(events, key)


def _key(message: bytes, sections: list[Section]) -> str | None:
    for section in sections:
        if section.code == MESSAGE_ANNOTATIONS:
            key = decode_value(message, section.value, section.end)[0].get(PARTITION_KEY)
            if key is None or (isinstance(key, str) and len(key) <= MAX_KEY_LENGTH):
                return key
            raise ProtocolError(f"a partition key is not a string of up to {MAX_KEY_LENGTH} characters")
    return None


def _event(message: memoryview, sections: list[Section], key: str | None) -> Encoder:
    """Check one event and give the encoder that stores it. `key` is that of the whole batch."""
    header = b""
    kept: list[bytes] = []
    rest = len(message)
    for section in sections:
        if section.code != DATA:
            # What consumers will decode must be decodable; a data section has no inside.
            decode_value(message, section.value, section.end)
        if section.code == HEADER:
            header = bytes(message[section.start : section.end])
        elif section.code == MESSAGE_ANNOTATIONS:
            # Of the keys that belong to the service, a client may set the partition key only.
            entries = [(name, raw) for name, raw in map_entries(message, section) if name not in _OWN_KEYS]
            kept = [bytes(raw) for _, raw in entries]
            if any(name == PARTITION_KEY for name, _ in entries):
                key = None
        elif section.code != DELIVERY_ANNOTATIONS:
            rest = min(rest, section.start)
    if key is not None:
        kept.append(_KEY_SYMBOL + encode_value(key))
    body = bytes(message[rest:])
    client_entries = b"".join(kept)
    count = 2 * (len(kept) + 3)

    def encode(sequence: int, offset: int, enqueued_ms: int) -> bytes:
        annotations = b"".join(
            (
                _SEQUENCE,
                _I64.pack(sequence),
                _OFFSET,
                encode_value(str(offset)),
                _TIME,
                _I64.pack(enqueued_ms),
                client_entries,
            )
        )
        return b"".join((header, _ANNOTATIONS_START, _SIZES.pack(len(annotations) + 4, count), annotations, body))

    return encode
