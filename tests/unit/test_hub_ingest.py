from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventhubs.amqp import (
    BATCH_FORMAT,
    ProtocolError,
    Symbol,
    Timestamp,
    UByte,
    encode_message,
    encode_section,
    encode_value,
    read_message,
    split_sections,
)
from eventhubs.amqp.message import (
    AMQP_VALUE,
    APPLICATION_PROPERTIES,
    DATA,
    DELIVERY_ANNOTATIONS,
    FOOTER,
    HEADER,
    MESSAGE_ANNOTATIONS,
    PROPERTIES,
)
from eventhubs.hub.ingest import ingest

HEADER_BYTES = encode_section(HEADER, [True, UByte(7)])
BARE_BYTES = (
    encode_section(PROPERTIES, ["id", b"user"])
    + encode_section(APPLICATION_PROPERTIES, {"n": UByte(3), "s": "x"})
    + encode_section(DATA, b"body")
    + encode_section(FOOTER, {Symbol("f"): 1})
)


def stored(message: bytes, message_format: int = 0) -> list[bytes]:
    return [encode(40 + n, 500, 1_700_000_000_000) for n, encode in enumerate(ingest(message, message_format).encoders)]


def annotations_of(message: bytes) -> dict[Any, Any]:
    return read_message(message).annotations


def test_an_event_gets_number_offset_and_time() -> None:
    (event,) = stored(BARE_BYTES)

    assert annotations_of(event) == {
        "x-opt-sequence-number": 40,
        "x-opt-offset": "500",
        "x-opt-enqueued-time": 1_700_000_000_000,
    }
    assert b"\x83" + (1_700_000_000_000).to_bytes(8, "big") in event, "the time must be an AMQP timestamp"


def test_header_properties_body_and_footer_keep_their_bytes() -> None:
    (event,) = stored(HEADER_BYTES + BARE_BYTES)

    assert event.startswith(HEADER_BYTES)
    assert event.endswith(BARE_BYTES)


def test_a_clients_annotations_keep_their_types_and_delivery_annotations_are_dropped() -> None:
    message = (
        encode_section(DELIVERY_ANNOTATIONS, {Symbol("hop"): 1})
        + encode_section(MESSAGE_ANNOTATIONS, {Symbol("mine"): UByte(9), Symbol("when"): Timestamp(5)})
        + BARE_BYTES
    )
    (event,) = stored(message)

    assert encode_value(Symbol("mine")) + b"\x50\x09" in event
    assert encode_value(Symbol("when")) + b"\x83" + bytes(7) + b"\x05" in event
    assert DELIVERY_ANNOTATIONS not in [section.code for section in split_sections(event)]


def test_a_client_cannot_set_what_is_the_services_to_set() -> None:
    claimed = {"x-opt-sequence-number": 1, "x-opt-offset": "1", "x-opt-enqueued-time": Timestamp(1), "own": True}
    (event,) = stored(encode_message(annotations=claimed, data=[b"x"]))

    assert annotations_of(event)["x-opt-sequence-number"] == 40
    assert annotations_of(event)["x-opt-offset"] == "500"
    assert annotations_of(event)["own"] is True
    assert event.count(b"x-opt-sequence-number") == 1


def test_a_single_events_partition_key_is_found_and_kept() -> None:
    message = encode_message(annotations={"x-opt-partition-key": "k"}, data=[b"x"])

    assert ingest(message, 0).key == "k"
    assert annotations_of(stored(message)[0])["x-opt-partition-key"] == "k"


def test_a_batchs_partition_key_is_given_to_events_that_have_none() -> None:
    inner = [encode_message(data=[b"a"]), encode_message(annotations={"x-opt-partition-key": "k"}, data=[b"b"])]
    batch = encode_message(annotations={"x-opt-partition-key": "k"}, data=inner)

    assert ingest(batch, BATCH_FORMAT).key == "k"
    events = stored(batch, BATCH_FORMAT)
    assert [annotations_of(event)["x-opt-partition-key"] for event in events] == ["k", "k"]
    assert all(event.count(b"x-opt-partition-key") == 1 for event in events)


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=8))
def test_a_batch_is_its_events_in_order(bodies: list[bytes]) -> None:
    events = stored(encode_message(data=[encode_message(data=[body]) for body in bodies]), BATCH_FORMAT)

    assert [bytes(read_message(event).data[0]) for event in events] == bodies
    assert [annotations_of(event)["x-opt-sequence-number"] for event in events] == list(range(40, 40 + len(bodies)))


def test_a_message_of_another_body_type_is_one_event() -> None:
    (event,) = stored(encode_section(AMQP_VALUE, ["list", 1]))
    assert read_message(event).value == ["list", 1]


@pytest.mark.parametrize(
    ("message", "message_format"),
    [
        (b"rubbish", 0),
        (encode_section(AMQP_VALUE, "x"), BATCH_FORMAT),  # no events
        (encode_section(DATA, b"rubbish"), BATCH_FORMAT),
        (encode_message(annotations={"x-opt-partition-key": 5}, data=[b"x"]), 0),
        (encode_message(annotations={"x-opt-partition-key": "k" * 129}, data=[b"x"]), 0),
        (encode_section(DATA, b"\x00\x53\x72\xc1\x03\x02\x45\x40"), BATCH_FORMAT),  # an annotation named by a list
        (b"\x00\x53\x74\xc1\x03\x02\xa1\x05" + BARE_BYTES, 0),
        (b"\x00\x53\x74\xc1\x04\x02\x40\xa1\x09" + encode_section(DATA, b"y"), 0),  # a map that breaks inside
    ],
)
def test_what_consumers_could_not_decode_is_refused(message: bytes, message_format: int) -> None:
    with pytest.raises(ProtocolError):
        ingest(message, message_format)


@given(st.binary(max_size=150))
def test_rubbish_is_refused_or_becomes_events_that_decode(rubbish: bytes) -> None:
    for message in (rubbish, b"\x00\x53\x72\xc1" + rubbish, b"\x00\x53\x75\xa0" + rubbish):
        for message_format in (0, BATCH_FORMAT):
            try:
                events = stored(message, message_format)
            except ProtocolError:
                continue
            for event in events:
                read_message(event)
