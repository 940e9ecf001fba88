from __future__ import annotations

import struct
import uuid
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from eventhubs.amqp import (
    Array,
    Described,
    Int,
    Opaque,
    ProtocolError,
    Raw,
    Symbol,
    Timestamp,
    UByte,
    UInt,
    ULong,
    UShort,
    decode_value,
    encode_value,
    skip_value,
)

text = st.text(max_size=300).filter(lambda s: not any("\ud800" <= c <= "\udfff" for c in s))
ascii_text = st.text(st.characters(max_codepoint=127), max_size=300)
int64 = st.integers(-(2**63), 2**63 - 1)
scalars = (
    st.none()
    | st.booleans()
    | int64
    | int64.map(Timestamp)
    | st.integers(0, 255).map(UByte)
    | st.integers(0, 2**16 - 1).map(UShort)
    | st.integers(0, 2**32 - 1).map(UInt)
    | st.integers(0, 2**64 - 1).map(ULong)
    | st.integers(-(2**31), 2**31 - 1).map(Int)
    | st.floats(allow_nan=False)
    | text
    | ascii_text.map(Symbol)
    | st.binary(max_size=300)
    | st.uuids()
    | st.sampled_from([(0x74, 4), (0x84, 8), (0x94, 16)]).flatmap(
        lambda kind: st.binary(min_size=kind[1], max_size=kind[1]).map(lambda data: Opaque(kind[0], data))
    )
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=6)
        | st.dictionaries(text, inner, max_size=6)
        | st.builds(Described, st.integers(0, 300).map(ULong) | ascii_text.map(Symbol), inner)
    ),
    max_leaves=20,
)


@given(values)
def test_what_was_encoded_decodes_to_the_same_value_and_ends_where_it_ended(value: Any) -> None:
    encoded = encode_value(value)

    assert decode_value(encoded) == (value, len(encoded))
    assert skip_value(encoded, 0, len(encoded)) == len(encoded)


@given(values, st.data())
def test_no_value_decodes_from_fewer_bytes_than_it_has(value: Any, data: st.DataObject) -> None:
    encoded = encode_value(value)
    cut = data.draw(st.integers(0, len(encoded) - 1))

    with pytest.raises(ProtocolError):
        decode_value(encoded[:cut])
    with pytest.raises(ProtocolError):
        decode_value(encoded, 0, cut)


@given(st.binary(max_size=200))
@example(b"\x00" * 2000)
@example(b"\xf0\x00\x00\x00\x05\xff\xff\xff\xff\x40")
@example(b"\xd0\x00\x00\x00\x04\xff\xff\xff\xff")
@example(b"\xa1\x02\xff\xff")
@example(b"\x98\x00")
def test_rubbish_is_a_value_or_a_protocol_error(rubbish: bytes) -> None:
    try:
        _, end = decode_value(rubbish)
    except ProtocolError:
        return
    assert 0 < end <= len(rubbish)


@given(values, st.data())
def test_a_value_with_changed_bytes_is_a_value_or_a_protocol_error(value: Any, data: st.DataObject) -> None:
    encoded = bytearray(encode_value(value))
    for _ in range(data.draw(st.integers(1, 3))):
        encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    try:
        _, end = decode_value(encoded)
    except ProtocolError:
        return
    assert 0 < end <= len(encoded)


@given(st.lists(text.filter(lambda s: len(s) < 100), max_size=5), st.lists(ascii_text, max_size=5))
def test_arrays_decode_to_the_lists_they_were(strings: list[str], symbols: list[str]) -> None:
    assert decode_value(encode_value(Array(tuple(strings))))[0] == strings
    assert decode_value(encode_value(Array(tuple(symbols), symbols=True)))[0] == symbols


def test_descriptors_nested_without_end_are_refused_or_passed_over_without_recursion() -> None:
    with pytest.raises(ProtocolError, match="deep"):
        decode_value(b"\x00" * 100_000)
    with pytest.raises(ProtocolError, match="before its length"):
        skip_value(b"\x00" * 100_000, 0, 100_000)
    described = b"\x00" * 50_000 + b"\x40" * 50_001
    assert skip_value(described, 0, len(described)) == len(described)


def test_a_few_bytes_cannot_unfold_to_very_many_values() -> None:
    """Neither by arrays whose elements take no bytes, each in a list, nor by a list as large as a whole message."""
    array = b"\xf0" + struct.pack(">II", 5, 65_536) + b"\x40"
    bomb = b"\xd0" + struct.pack(">II", 4 + 1_000 * len(array), 1_000) + array * 1_000
    with pytest.raises(ProtocolError, match="more elements than it has bytes"):
        decode_value(bomb)
    count = 4 * 1_048_576
    with pytest.raises(ProtocolError, match="too large"):
        decode_value(b"\xd0" + struct.pack(">II", 4 + count, count) + b"\x45" * count)


def test_lists_nested_too_deeply_are_refused() -> None:
    nested: list[Any] = []
    for _ in range(100):
        nested = [nested]

    with pytest.raises(ProtocolError, match="deep"):
        decode_value(encode_value(nested))


def test_arrays_without_bytes_cannot_claim_any_number_of_elements() -> None:
    with pytest.raises(ProtocolError):
        decode_value(b"\xf0" + struct.pack(">II", 5, 2**31) + b"\x41")


@pytest.mark.parametrize("symbols", [True, False])
def test_arrays_of_strings_decode_to_lists(symbols: bool) -> None:
    assert decode_value(encode_value(Array(("a", "b" * 300), symbols)))[0] == ["a", "b" * 300]


def test_arrays_of_nothing_decode_to_empty_lists() -> None:
    assert decode_value(encode_value(Array(())))[0] == []


@pytest.mark.parametrize(
    ("encoded", "value"),
    [
        (b"\x45", []),
        (b"\x56\x01", True),
        (b"\x56\x00", False),
        (b"\x43", 0),
        (b"\x44", 0),
        (b"\x51\xff", -1),
        (b"\x54\xff", -1),
        (b"\x55\xff", -1),
        (b"\x61\xff\xfe", -2),
        (b"\x52\xff", 255),
        (b"\x72\x3f\x80\x00\x00", 1.0),
        (b"\x73\x00\x01\xf6\x00", "😀"),
        (b"\xe0\x04\x02\x55\x01\xff", [1, -1]),
        (b"\xe0\x02\x03\x41", [True, True, True]),
        (b"\xe0\x06\x01\x00\x53\x05\x55\x07", [Described(5, 7)]),
        (b"\xc1\x05\x02\xa3\x01a\x41", {"a": True}),
    ],
)
def test_short_and_rare_encodings_are_understood(encoded: bytes, value: Any) -> None:
    assert decode_value(encoded) == (value, len(encoded))


@pytest.mark.parametrize(
    "encoded",
    [
        b"",
        b"\x01",
        b"\x56\x02",
        b"\xc0\x02\x02\x40",  # a list of two in room for one
        b"\xc0\x03\x01\x40\x40",  # a list of one with bytes left over
        b"\xc1\x03\x01\x40\x40",  # a map with half an entry
        b"\xc1\x04\x02\x45\x40\x40",  # a map with bytes left over
        b"\xc1\x03\x02\x45\x40",  # a map whose key is a list
        b"\xc0\x00",  # a list without a count
        b"\xa3\x01\xff",  # a symbol that is not ASCII
        b"\x73\x00\x11\x00\x00",  # a char beyond Unicode
    ],
)
def test_malformed_values_are_refused(encoded: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_value(encoded)


def test_raw_bytes_are_written_as_they_are() -> None:
    assert encode_value([Raw(b"\x56\x01")]) == b"\xc0\x03\x01\x56\x01"


def test_a_type_without_an_encoding_is_named() -> None:
    with pytest.raises(TypeError, match="complex"):
        encode_value(1j)


def test_uuids_keep_their_byte_order() -> None:
    value = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")
    assert encode_value(value) == b"\x98" + bytes.fromhex("00112233445566778899aabbccddeeff")
