"""Whatever the official SDK can put into an event comes out as it went in."""

from __future__ import annotations

import copy
import datetime as dt
import uuid
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from azure.eventhub import EventData
from azure.eventhub._pyamqp._decode import decode_payload
from azure.eventhub._pyamqp._encode import encode_payload
from azure.eventhub._pyamqp.types import TYPE, VALUE, AMQPTypes
from azure.eventhub._transport._pyamqp_transport import PyamqpTransport
from azure.eventhub.amqp import AmqpAnnotatedMessage
from hub_sdk import closed, producer, received

from eventhubs.hub.server import LocalHub

WHEN = dt.datetime(2024, 2, 29, 12, 30, 59, 123000, tzinfo=dt.UTC)


def typed(kind: str, value: Any) -> dict[str, Any]:
    return {TYPE: kind, VALUE: value}


SIMPLE: dict[str, Any] = {
    "null": None,
    "true": True,
    "false": False,
    **{f"{kind} {value}".lower(): typed(kind, value) for kind, values in {
        AMQPTypes.ubyte: (0, 255),
        AMQPTypes.byte: (-128, 127),
        AMQPTypes.ushort: (0, 65_535),
        AMQPTypes.short: (-32_768, 32_767),
        AMQPTypes.uint: (0, 255, 256, 2**32 - 1),
        AMQPTypes.int: (-(2**31), -129, -128, 127, 128, 2**31 - 1),
        AMQPTypes.ulong: (0, 255, 256, 2**64 - 1),
        AMQPTypes.long: (-(2**63), -129, -128, 127, 128, 2**63 - 1),
        AMQPTypes.timestamp: (0, WHEN, -62_135_596_800_000, 253_402_300_799_999),
    }.items() for value in values},
    "float": typed(AMQPTypes.float, 0.5),
    "double": 0.1,
    "infinite": float("-inf"),
    "decimal": Decimal(0),  # any other one the SDK writes but cannot read
    "when": WHEN,
    "uuid": uuid.UUID(int=2**127 + 9),
    "binary": b"\x00\xff" * 10,
    "long binary": b"\x01" * 300,
    "empty binary": b"",
    "string": "häß 😀",
    "long string": "ä" * 300,
    "empty string": "",
    "symbol": typed(AMQPTypes.symbol, "a-symbol"),
    "ä key": "of more than ASCII",
}  # fmt: skip
COMPOUND: dict[str, Any] = {
    "list": ["text", 5, None, [True, b"x"]],
    "empty list": [],
    "long list": list(range(300)),
    "map": {"a": 1, "b": {"c": [1.5]}},
    "array": typed(AMQPTypes.array, [typed(AMQPTypes.int, n) for n in (1, 2, -3)]),
    "described": typed(AMQPTypes.described, (typed(AMQPTypes.symbol, "x:y"), "inside")),
}
PROPERTIES: dict[str, Any] = {
    "message_id": uuid.UUID(int=7),
    "user_id": b"\x00user",
    "to": "to",
    "subject": "subject",
    "reply_to": "reply",
    "correlation_id": b"correlation",
    "content_type": "application/json",
    "content_encoding": "gzip",
    "absolute_expiry_time": 253_402_300_799_000,
    "creation_time": 1_700_000_000_000,
    "group_id": "group",
    "group_sequence": 2**32 - 1,
    "reply_to_group_id": "reply group",
}
MESSAGES = {
    "application properties": {"data_body": b"x", "application_properties": SIMPLE},
    "message properties": {"data_body": b"x", "properties": PROPERTIES},
    "text ids": {"data_body": b"x", "properties": {"message_id": "text", "correlation_id": "text"}},
    "number ids": {"data_body": b"x", "properties": {"message_id": 2**64 - 1, "correlation_id": 5}},
    "annotations": {"data_body": b"x", "annotations": {**SIMPLE, **COMPOUND} | {"ä key": None}},
    "header": {"data_body": b"x", "header": {"durable": True, "priority": 9, "time_to_live": 5000}},
    "footer": {"data_body": b"x", "footer": {"mine": b"\x00", "number": 5}},
    "several data": {"data_body": [b"one", b"", b"three"]},
    "no body": {"data_body": b""},
    "every byte": {"data_body": bytes(range(256)) * 1200},
    "text value": {"value_body": "häß"},
    "map value": {"value_body": {"a": [1, 2.5, None], "b": {"c": b"x"}}},
    "null value": {"value_body": None},
    "list value": {"value_body": [1, "two", [3.0]]},
    "sequences": {"sequence_body": [[1, "two", None], [b"3"]]},
    "everything": {
        "data_body": [b"one", b"two"],
        "header": {"durable": True},
        "properties": PROPERTIES,
        "annotations": {"mine": "kept", "x-opt-custom": typed(AMQPTypes.ubyte, 3)},
        "application_properties": SIMPLE,
        "footer": {"mine": 1},
    },
}  # fmt: skip
del MESSAGES["annotations"]["annotations"]["ä key"]  # type: ignore[attr-defined]  # names of annotations are ASCII


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    with LocalHub(tmp_path_factory.mktemp("hub"), {"single": 1, "batch": 1, "keyed": 1}) as hub, closed():
        yield hub


def message(name: str) -> AmqpAnnotatedMessage:
    # The SDK writes the partition key into the annotations it is given, and fails if there are none.
    return AmqpAnnotatedMessage(**{"annotations": {}, **copy.deepcopy(MESSAGES[name])})


def encoded(event: AmqpAnnotatedMessage) -> bytes:
    """What the SDK writes."""
    whole = bytearray()
    encode_payload(whole, PyamqpTransport.to_outgoing_amqp_message(event))
    return bytes(whole)


def plain(event: AmqpAnnotatedMessage) -> Any:
    """What the SDK itself reads back from what it writes, with no hub in between."""
    return decode_payload(memoryview(encoded(event)))


def test_every_event_comes_back_as_the_sdk_would_read_what_it_wrote(hub: LocalHub) -> None:
    with producer(hub, "single") as single, producer(hub, "batch") as batched, producer(hub, "keyed") as keyed:
        for name in MESSAGES:
            single.send_event(message(name), partition_id="0")
        batched.send_batch([message(name) for name in MESSAGES], partition_id="0")
        keyed.send_batch([message(name) for name in MESSAGES], partition_key="a key")

    for way in ("single", "batch", "keyed"):
        events = received(hub, way, len(MESSAGES))
        for name, event in zip(MESSAGES, events, strict=True):
            check(event, plain(message(name)), f"{way}: {name}", key=b"a key" if way == "keyed" else None)


def check(event: EventData, sent: Any, where: str, key: bytes | None) -> None:
    got = event._message
    annotations = dict(got.message_annotations)
    service = {
        name: annotations.pop(name, None)
        for name in (b"x-opt-sequence-number", b"x-opt-offset", b"x-opt-enqueued-time")
    }
    assert None not in service.values(), where
    assert annotations.pop(b"x-opt-partition-key", None) == key, where
    assert annotations == (sent.message_annotations or {}), where
    assert got.application_properties == sent.application_properties, where
    assert types(got.application_properties) == types(sent.application_properties), where
    assert got.properties == sent.properties, where
    assert (got.data, got.sequence, got.value) == (sent.data, sent.sequence, sent.value), where
    assert got.footer == sent.footer, where
    if key is None:  # with a key the SDK writes another header than it was given
        assert got.header == sent.header, where


def types(properties: dict[bytes, Any] | None) -> list[type]:
    return [type(value) for value in (properties or {}).values()]


def test_what_is_stored_has_the_very_bytes_that_were_sent(tmp_path: Path) -> None:
    # Without header and annotations of its own, a message is its sections from the properties on.
    names = ("application properties", "message properties", "several data", "map value", "sequences")
    messages = [message(name) for name in names]
    messages.append(AmqpAnnotatedMessage(data_body=b"x", application_properties={"decimal": Decimal("12.34")}))
    with LocalHub(tmp_path, {"bytes": 1}) as hub, closed(), producer(hub, "bytes") as client:
        client.send_batch(messages, partition_id="0")
    stored = (tmp_path / "bytes" / "0.log").read_bytes()

    assert [encoded(one) in stored for one in messages] == [True] * 6
