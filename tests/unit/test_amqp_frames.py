from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from eventhubs import amqp
from eventhubs.amqp import (
    ACCEPTED,
    EMPTY_FRAME,
    Attach,
    Begin,
    Close,
    Described,
    Detach,
    Disposition,
    End,
    Error,
    Flow,
    FrameReader,
    Open,
    Performative,
    ProtocolError,
    SaslInit,
    SaslMechanisms,
    SaslOutcome,
    Terminus,
    Transfer,
    decode_performative,
    encode_frame,
    encode_performative,
    encode_transfers,
)


def made(kind: Any, *fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.tuples(*fields).map(lambda values: kind(*values))


uint = st.integers(0, 2**32 - 1)
maybe_uint = st.none() | uint
maybe_bool = st.none() | st.booleans()
name = st.text(st.characters(codec="utf-8"), max_size=40)
condition = st.text(st.characters(max_codepoint=127), min_size=1, max_size=30)
error = st.none() | made(Error, condition, st.none() | name)
performatives = st.one_of(
    made(Open, name, st.none() | name, maybe_uint, st.none() | st.integers(0, 65535), maybe_uint),
    made(Begin, st.none() | st.integers(0, 65535), uint, uint, uint, maybe_uint),
    made(Flow, maybe_uint, uint, uint, uint, maybe_uint, maybe_uint, maybe_uint, maybe_uint, maybe_bool, maybe_bool),
    made(Transfer, uint, maybe_uint, st.none() | st.binary(max_size=32), maybe_uint, maybe_bool, maybe_bool),
    made(Disposition, st.booleans(), uint, maybe_uint, maybe_bool, st.just(ACCEPTED), maybe_bool),
    made(Detach, uint, maybe_bool, error),
    made(End, error),
    made(Close, error),
    made(SaslInit, condition, st.none() | st.binary(max_size=300), st.none() | name),
    made(SaslOutcome, st.integers(0, 4)),
)
FIELDS = {Open: 10, Begin: 8, Attach: 14, Flow: 11, Transfer: 11, Disposition: 6, Detach: 3, End: 1, Close: 1}


def read_all(data: bytes, max_frame_size: int = 65536) -> list[amqp.Frame]:
    reader = FrameReader(max_frame_size)
    reader.feed(data)
    frames = []
    while (frame := reader.next()) is not None:
        frames.append(frame)
    return frames


@given(performatives, st.integers(0, 65535), st.binary(max_size=50))
def test_frames_read_back_as_they_were_written(performative: Performative, channel: int, payload: bytes) -> None:
    assert read_all(encode_frame(channel, performative, payload)) == [(channel, performative, payload)]


@given(performatives)
def test_every_field_is_written_so_that_the_official_sdk_can_index_them(performative: Performative) -> None:
    encoded = encode_performative(performative)

    assert encoded[:2] == b"\x00\x53"
    assert encoded[3] in (0xC0, 0xD0)
    count = encoded[5] if encoded[3] == 0xC0 else int.from_bytes(encoded[8:12], "big")
    assert count == FIELDS.get(type(performative), count)


def test_a_performative_may_end_after_its_last_field_that_is_not_null() -> None:
    assert decode_performative(bytes.fromhex("005316c0020143")) == (Detach(0), 7)
    assert decode_performative(bytes.fromhex("00531745")) == (End(), 4)


@pytest.mark.parametrize("encoded", ["005316c0020140", "005316c00100", "005316c0020141", "005316c003024352"])
def test_mandatory_fields_must_be_there_and_of_their_type(encoded: str) -> None:
    with pytest.raises(ProtocolError):
        decode_performative(bytes.fromhex(encoded))


def test_performatives_with_a_wide_or_symbolic_descriptor_are_read_or_refused() -> None:
    assert decode_performative(bytes.fromhex("00800000000000000017c00100")) == (End(), 13)
    with pytest.raises(ProtocolError):
        decode_performative(b"\x00\xa3\x03abc\x45")


def test_attach_gives_termini_and_keeps_their_bytes_for_the_echo() -> None:
    attach = Attach(
        "link",
        3,
        True,
        source=amqp.source("hub/ConsumerGroups/g/Partitions/0", amqp.selector_filter("x > '1'")),
        target=amqp.target("here"),
        properties={"com.microsoft:epoch": 7},
    )
    read, _ = decode_performative(encode_performative(attach))

    assert isinstance(read, Attach)
    assert isinstance(read.source, Terminus)
    assert read.source.address == "hub/ConsumerGroups/g/Partitions/0"
    assert read.source.filters[amqp.SELECTOR_FILTER].value == "x > '1'"
    assert read.target == Terminus("here", {})
    echoed, _ = decode_performative(
        encode_performative(attach._replace(source=read.raw_source, target=read.raw_target))
    )
    assert echoed == read


addresses = st.none() | name
properties = st.none() | st.dictionaries(condition, name, max_size=3)


@given(
    name,
    uint,
    st.booleans(),
    addresses,
    st.none() | name,
    addresses,
    maybe_uint,
    st.none() | st.integers(0, 2**64 - 1),
    properties,
)
def test_attaches_read_back_as_they_were_written(
    link: str,
    handle: int,
    role: bool,
    source: str | None,
    start: str | None,
    target: str | None,
    count: int | None,
    largest: int | None,
    more: dict[str, str] | None,
) -> None:
    filters = None if start is None else amqp.selector_filter(start)
    written = Attach(
        link,
        handle,
        role,
        source=amqp.source(source, filters),
        target=amqp.target(target),
        initial_delivery_count=count,
        max_message_size=largest,
        properties=more,
    )
    [frame] = read_all(encode_frame(7, written), 1 << 20)
    read = frame.performative

    assert isinstance(read, Attach)
    assert (read.name, read.handle, read.role) == (link, handle, role)
    assert (read.source.address, read.target.address) == (source, target)
    assert [found.value for found in read.source.filters.values()] == ([] if start is None else [start])
    assert (read.initial_delivery_count, read.max_message_size, read.properties) == (count, largest, more)


@given(st.lists(condition, min_size=1, max_size=4))
def test_sasl_mechanisms_read_back_as_they_were_written(mechanisms: list[str]) -> None:
    [frame] = read_all(encode_frame(0, SaslMechanisms(amqp.Array(tuple(mechanisms), symbols=True)), sasl=True))
    assert frame.performative == SaslMechanisms(mechanisms)


@given(performatives, st.data())
def test_a_performative_with_changed_bytes_is_one_or_a_protocol_error(
    performative: Performative, data: st.DataObject
) -> None:
    encoded = bytearray(encode_frame(0, performative))
    encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    reader = FrameReader(65536)
    reader.feed(bytes(encoded))
    try:
        while reader.next() is not None:
            pass
    except ProtocolError:
        pass


def test_an_outcome_is_read_with_its_number() -> None:
    state = amqp.rejected(Error("amqp:not-allowed", "no"))
    read, _ = decode_performative(encode_performative(Disposition(True, 1, 1, True, state)))

    assert isinstance(read, Disposition)
    assert read.state == Described(0x25, [Described(0x1D, ["amqp:not-allowed", "no", None])])


@given(st.binary(max_size=100))
@example(b"\x00\x53\x14\xc0\x02\x01\x52")
@example(b"\x00\x53\x10\xc0\x01\x00")
@example(b"\x00\x80")
@example(b"\x00\x53\x16\x45")
def test_rubbish_is_a_performative_or_a_protocol_error(rubbish: bytes) -> None:
    for candidate in (rubbish, b"\x00\x53\x12\xc0" + rubbish, b"\x00\x53\x14\xc0" + rubbish):
        try:
            _, end = decode_performative(candidate)
        except ProtocolError:
            continue
        assert end <= len(candidate)


@given(st.lists(st.tuples(performatives, st.binary(max_size=20)), max_size=8), st.data())
def test_frames_survive_being_cut_anywhere(frames: list[tuple[Any, bytes]], data: st.DataObject) -> None:
    stream = b"".join(encode_frame(1, performative, payload) for performative, payload in frames)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    reader = FrameReader(65536)
    read = []
    for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        reader.feed(stream[start:stop])
        while (frame := reader.next()) is not None:
            read.append((frame.performative, bytes(frame.payload)))

    assert read == frames


def test_heartbeats_have_no_performative() -> None:
    frames = read_all(EMPTY_FRAME + encode_frame(0, Close()))
    assert [frame.performative for frame in frames] == [None, Close()]


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 400",
        b"\x00\x00\x00\x07\x02\x00\x00\x00",  # shorter than its own head
        b"\x00\x01\x00\x01\x02\x00\x00\x00",  # longer than agreed
        b"\x00\x00\x00\x08\x01\x00\x00\x00",  # its body begins inside its head
        b"\x00\x00\x00\x08\x03\x00\x00\x00",  # its body begins after its end
        b"\x00\x00\x00\x08\x02\x07\x00\x00",  # neither AMQP nor SASL
    ],
)
def test_bytes_that_form_no_frame_are_a_framing_error(head: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        read_all(head)
    assert caught.value.condition == "amqp:connection:framing-error"


@given(st.binary(max_size=3000), st.integers(512, 1024), uint, st.booleans())
def test_deliveries_are_cut_to_the_frame_size_and_join_again(
    payload: bytes, max_frame_size: int, delivery_id: int, settled: bool
) -> None:
    out: list[Any] = []
    count = encode_transfers(out, 9, 5, delivery_id, payload, max_frame_size=max_frame_size, settled=settled)
    frames = read_all(b"".join(out), max_frame_size)

    assert len(frames) == count == len(out) // 2
    assert b"".join(frame.payload for frame in frames) == payload
    transfers = [frame.performative for frame in frames]
    assert [transfer.more for transfer in transfers if isinstance(transfer, Transfer)] == [True] * (count - 1) + [False]
    assert {(t.handle, t.delivery_id, t.settled) for t in transfers if isinstance(t, Transfer)} == {
        (5, delivery_id, settled)
    }


def test_protocol_errors_never_quote_what_was_sent() -> None:
    for code in range(256):
        with pytest.raises(ProtocolError) as caught:
            decode_performative(bytes((0, 0x53, code)) + b"patient")
        assert "patient" not in str(caught.value)
