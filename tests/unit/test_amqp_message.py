from __future__ import annotations

from typing import Any

import pytest
from azure.eventhub._pyamqp._decode import decode_payload
from hypothesis import given
from hypothesis import strategies as st

from eventhubs.amqp import (
    ProtocolError,
    Symbol,
    Timestamp,
    data_of,
    encode_message,
    encode_section,
    read_message,
    split_sections,
)
from eventhubs.amqp.message import (
    AMQP_SEQUENCE,
    AMQP_VALUE,
    APPLICATION_PROPERTIES,
    DATA,
    HEADER,
    MESSAGE_ANNOTATIONS,
    PROPERTIES,
    map_entries,
)

keys = st.text(st.characters(max_codepoint=127), max_size=20)
simple = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=20) | keys
maps = st.dictionaries(keys, simple, max_size=5)


@given(maps, maps, st.lists(st.binary(max_size=400), min_size=1, max_size=3))
def test_messages_read_back_as_they_were_written(
    annotations: dict[str, Any], properties: dict[str, Any], data: list[bytes]
) -> None:
    message = read_message(
        encode_message(annotations=annotations, application_properties=properties, data=data, properties=(None, "u"))
    )

    assert message.annotations == annotations
    assert message.application_properties == properties
    assert message.properties == [None, "u"]
    assert [bytes(item) for item in message.data] == data
    assert message.value is None


@given(maps, st.binary(max_size=300))
def test_the_official_decoder_reads_what_is_written_here(annotations: dict[str, Any], data: bytes) -> None:
    annotations = {**annotations, "x-opt-enqueued-time": Timestamp(1_700_000_000_000)}
    message = decode_payload(memoryview(encode_message(annotations=annotations, data=[data])))

    assert message.data == [data]
    assert message.message_annotations[b"x-opt-enqueued-time"] == 1_700_000_000_000
    assert message.message_annotations.keys() == {key.encode() for key in annotations}


@given(st.binary(max_size=120))
def test_rubbish_is_a_message_or_a_protocol_error(rubbish: bytes) -> None:
    for candidate in (
        rubbish,
        b"\x00\x53\x72\xc1" + rubbish,
        b"\x00\x53\x74\xd1" + rubbish,
        b"\x00\x53\x75\xa0" + rubbish,
    ):
        try:
            message = read_message(candidate)
        except ProtocolError:
            continue
        assert sum(len(data) for data in message.data) <= len(candidate)


def test_bodies_may_be_a_value_or_sequences() -> None:
    assert read_message(encode_section(AMQP_VALUE, {"a": [1]})).value == {"a": [1]}
    sequences = encode_section(AMQP_SEQUENCE, [1]) + encode_section(AMQP_SEQUENCE, ["b"])
    assert read_message(sequences).sequences == ([1], ["b"])


def test_data_is_a_view_of_the_message_not_a_copy() -> None:
    message = memoryview(encode_section(DATA, b"x" * 1000))
    (section,) = split_sections(message)

    assert data_of(message, section).obj is message.obj
    assert bytes(data_of(message, section)) == b"x" * 1000


@pytest.mark.parametrize(
    "message",
    [
        encode_section(PROPERTIES, []) + encode_section(HEADER, []),  # out of order
        encode_section(PROPERTIES, []) * 2,  # twice
        encode_section(0x79, {}),  # no section
        encode_section(DATA, "text"),  # not binary
        encode_section(APPLICATION_PROPERTIES, []),  # not a map
        encode_section(DATA, b"abc")[:-1],  # cut
        encode_section(DATA, b"abc") + b"\x00",  # more bytes
        b"\x00\x53\x75",  # no value
        b"\x00\xa3\x11amqp:data:binary",  # a descriptor and nothing else
    ],
)
def test_malformed_messages_are_refused(message: bytes) -> None:
    with pytest.raises(ProtocolError):
        split_sections(message)


def test_a_message_cannot_have_more_sections_than_a_full_batch() -> None:
    section = encode_section(DATA, b"")
    assert len(split_sections(section * (1024 * 1024 // len(section)))) == 1024 * 1024 // len(section)
    with pytest.raises(ProtocolError, match="too many sections"):
        split_sections(section * 300_000)


def test_sections_with_symbolic_descriptors_are_found() -> None:
    (section,) = split_sections(b"\x00\xa3\x10amqp:data:binary\xa0\x01x")
    assert section.code == DATA


@given(maps)
def test_map_entries_join_to_the_same_map(entries: dict[str, Any]) -> None:
    encoded = encode_section(MESSAGE_ANNOTATIONS, {Symbol(key): value for key, value in entries.items()})
    (section,) = split_sections(encoded)
    found = map_entries(encoded, section)

    assert [key for key, _ in found] == list(entries)
    assert encoded.endswith(b"".join(raw for _, raw in found))
