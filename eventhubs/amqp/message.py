"""Messages: the sections of an encoded AMQP 1.0 message, found without copying and read on demand.

An encoded message is a row of described sections. `split_sections` only finds where they lie; `read_message`
decodes what a receiver wants; `encode_message` writes one. Source: OASIS AMQP 1.0, part 3.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from eventhubs.amqp.decoding import decode_value, skip_value
from eventhubs.amqp.encoding import encode_value
from eventhubs.amqp.errors import ProtocolError
from eventhubs.amqp.types import Buffer, Symbol

__all__ = [
    "AMQP_SEQUENCE",
    "AMQP_VALUE",
    "APPLICATION_PROPERTIES",
    "BATCH_FORMAT",
    "DATA",
    "DELIVERY_ANNOTATIONS",
    "FOOTER",
    "HEADER",
    "MESSAGE_ANNOTATIONS",
    "PROPERTIES",
    "Message",
    "Section",
    "data_of",
    "encode_message",
    "encode_section",
    "map_entries",
    "read_message",
    "split_sections",
]

HEADER, DELIVERY_ANNOTATIONS, MESSAGE_ANNOTATIONS, PROPERTIES = 0x70, 0x71, 0x72, 0x73
APPLICATION_PROPERTIES, DATA, AMQP_SEQUENCE, AMQP_VALUE, FOOTER = 0x74, 0x75, 0x76, 0x77, 0x78
BATCH_FORMAT = 0x80013700
"""Message format of a batch: each data section holds one encoded message."""

_SECTION_NAMES = {
    "amqp:header:list": HEADER,
    "amqp:delivery-annotations:map": DELIVERY_ANNOTATIONS,
    "amqp:message-annotations:map": MESSAGE_ANNOTATIONS,
    "amqp:properties:list": PROPERTIES,
    "amqp:application-properties:map": APPLICATION_PROPERTIES,
    "amqp:data:binary": DATA,
    "amqp:amqp-sequence:list": AMQP_SEQUENCE,
    "amqp:amqp-value:*": AMQP_VALUE,
    "amqp:footer:map": FOOTER,
}
_MAP_CODES = (0xC1, 0xD1)
_LIST_CODES = (0x45, 0xC0, 0xD0)
_BINARY_CODES = (0xA0, 0xB0)
_VALUE_CODES: dict[int, tuple[int, ...]] = {
    HEADER: _LIST_CODES,
    DELIVERY_ANNOTATIONS: _MAP_CODES,
    MESSAGE_ANNOTATIONS: _MAP_CODES,
    PROPERTIES: _LIST_CODES,
    APPLICATION_PROPERTIES: _MAP_CODES,
    DATA: _BINARY_CODES,
    AMQP_SEQUENCE: _LIST_CODES,
    FOOTER: _MAP_CODES,
}
_REPEATABLE = (DATA, AMQP_SEQUENCE)
MAX_SECTIONS = 262_144
"""Sections of one message; a batch of 1 MiB cannot hold more."""


class Section(NamedTuple):
    """Where one section lies in its message."""

    code: int
    """One of the constants of this module, such as `DATA`."""
    start: int
    """Where the section begins, descriptor included."""
    value: int
    """Where its value begins."""
    end: int


class Message(NamedTuple):
    """A message as a receiver wants it. Maps and lists are empty where the section is absent."""

    annotations: dict[Any, Any]
    properties: list[Any]
    """Up to 13 fields in the standard's order: message-id, user-id, to, subject, reply-to, correlation-id, ..."""
    application_properties: dict[Any, Any]
    data: tuple[memoryview, ...]
    """The body where it is binary: views of the data sections, in order."""
    value: Any
    """The body where it is one AMQP value; None otherwise."""
    sequences: tuple[list[Any], ...]
    """The body where it is AMQP sequences."""


def split_sections(message: Buffer) -> list[Section]:
    """Find the sections of a message, in order.

    Raises `ProtocolError` unless the message is a row of known sections in the standard's order, each at most
    once (data and sequence sections may repeat), each with a value of the right kind, up to the last byte.
    """
    return [Section(*found) for found in _sections(message)]


def _sections(message: Buffer) -> Iterator[tuple[int, int, int, int]]:
    """What `split_sections` gives, as plain tuples: a receiver has no time for more."""
    pos = count = last = 0
    end = len(message)
    while pos < end:
        start = pos
        if end - pos < 4 or message[pos] != 0x00:
            raise ProtocolError("a message does not consist of sections")
        if message[pos + 1] == 0x53:
            code = message[pos + 2]
            pos += 3
        else:
            descriptor, pos = decode_value(message, pos + 1, end)
            code = descriptor if isinstance(descriptor, int) else _SECTION_NAMES.get(str(descriptor), -1)
            if pos == end:
                raise ProtocolError("a message does not consist of sections")
        if code <= last and (code < last or code not in _REPEATABLE):
            raise ProtocolError("a message has a misplaced section")
        value = pos
        allowed = _VALUE_CODES.get(code)
        if allowed is None:
            if code != AMQP_VALUE:
                raise ProtocolError("a message has an unknown section")
        elif message[value] not in allowed:
            raise ProtocolError("a message has a section of the wrong type")
        pos = skip_value(message, value, end)
        count += 1
        if count > MAX_SECTIONS:
            raise ProtocolError("a message has too many sections")
        yield code, start, value, pos
        last = code


def data_of(message: memoryview, section: Section) -> memoryview:
    """Give the bytes of a data section as a view of the message."""
    return _data(message, section.value, section.end)


def _data(message: memoryview, start: int, end: int) -> memoryview:
    return message[start + (2 if message[start] == 0xA0 else 5) : end]


def map_entries(message: Buffer, section: Section) -> list[tuple[Any, Buffer]]:
    """Give the entries of a map section as (decoded key, bytes of key and value), to be written again unchanged."""
    small = message[section.value] == 0xC1
    pos = section.value + (3 if small else 9)
    if pos > section.end:
        raise ProtocolError("a compound value has no room for its count")
    count = message[pos - 1] if small else int.from_bytes(message[pos - 4 : pos], "big")
    if count % 2 or count > section.end - pos:
        raise ProtocolError("a map's count is odd or larger than its bytes")
    entries = []
    for _ in range(count // 2):
        start = pos
        key, pos = decode_value(message, pos, section.end)
        pos = skip_value(message, pos, section.end)
        entries.append((key, message[start:pos]))
    if pos != section.end:
        raise ProtocolError("a map has bytes left over")
    return entries


def read_message(message: Buffer) -> Message:
    """Decode a message for a receiver. Raises `ProtocolError`."""
    view = memoryview(message)
    annotations: dict[Any, Any] = {}
    properties: list[Any] = []
    application_properties: dict[Any, Any] = {}
    data = []
    value = None
    sequences = []
    for code, _, start, end in _sections(message):
        if code == DATA:
            data.append(_data(view, start, end))
        elif code == MESSAGE_ANNOTATIONS:
            annotations = decode_value(message, start, end)[0]
        elif code == PROPERTIES:
            properties = decode_value(message, start, end)[0]
        elif code == APPLICATION_PROPERTIES:
            application_properties = decode_value(message, start, end)[0]
        elif code == AMQP_VALUE:
            value = decode_value(message, start, end)[0]
        elif code == AMQP_SEQUENCE:
            sequences.append(decode_value(message, start, end)[0])
    return Message(annotations, properties, application_properties, tuple(data), value, tuple(sequences))


def encode_section(code: int, value: Any) -> bytes:
    """Encode one section; `value` as `encode_value` takes it."""
    return bytes((0x00, 0x53, code)) + encode_value(value)


def encode_message(
    *,
    annotations: Mapping[str, Any] | None = None,
    properties: Sequence[Any] = (),
    application_properties: Mapping[str, Any] | None = None,
    data: Sequence[Buffer] = (),
    value: Any = None,
) -> bytes:
    """Encode a message: binary data sections, or one AMQP value where there are none.

    Keys of `annotations` are written as symbols; all other values as `encode_value` takes them.
    """
    parts = []
    if annotations:
        marked = {Symbol(key): item for key, item in annotations.items()}
        parts.append(encode_section(MESSAGE_ANNOTATIONS, marked))
    if properties:
        parts.append(encode_section(PROPERTIES, list(properties)))
    if application_properties:
        parts.append(encode_section(APPLICATION_PROPERTIES, dict(application_properties)))
    if data:
        parts.extend(encode_section(DATA, bytes(item)) for item in data)
    else:
        parts.append(encode_section(AMQP_VALUE, value))
    return b"".join(parts)
