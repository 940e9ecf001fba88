"""Frames: the byte stream of a connection cut into performatives, and back.

Reading is incremental and free of I/O: `FrameReader.feed` takes whatever the socket gave, `FrameReader.next`
gives frames until it needs more. Payloads are views into the bytes that were fed, never copies.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from eventhubs.amqp.errors import FRAMING_ERROR, ProtocolError
from eventhubs.amqp.performative_codec import decode_performative, encode_performative
from eventhubs.amqp.performatives import Performative
from eventhubs.amqp.types import Buffer

__all__ = [
    "AMQP_HEADER",
    "EMPTY_FRAME",
    "SASL_HEADER",
    "Frame",
    "FrameReader",
    "encode_frame",
    "encode_transfers",
]

AMQP_HEADER = b"AMQP\x00\x01\x00\x00"
SASL_HEADER = b"AMQP\x03\x01\x00\x00"
EMPTY_FRAME = b"\x00\x00\x00\x08\x02\x00\x00\x00"
"""A heartbeat."""
HEADER_SIZE = 8
AMQP_FRAME, SASL_FRAME = 0, 1

_HEAD = struct.Struct(">IBBH")
# A transfer with every field present, in one go. After the frame's head:
# 00 53 14 c0 size count | uint handle | uint delivery-id | vbin8 tag of 4 | uint format | settled | more | 5 nulls
_TRANSFER = struct.Struct(">IBBH 6s BI BI BBI BI BB 5s")
_TRANSFER_FIELDS = _TRANSFER.size - HEADER_SIZE - 5
_TRANSFER_START = bytes((0x00, 0x53, 0x14, 0xC0, _TRANSFER_FIELDS, 11))
_FIVE_NULLS = b"\x40" * 5


class Frame(NamedTuple):
    """One frame: a heartbeat has no performative, a transfer has the payload that follows it."""

    channel: int
    performative: Performative | None
    payload: memoryview


class FrameReader:
    """Cuts a stream of bytes into frames.

    `max_frame_size` is what this side announced in its Open; a larger frame is a `ProtocolError`.
    Protocol headers (`AMQP_HEADER`, `SASL_HEADER`) are asked for by `next_header` where one is due.
    """

    def __init__(self, max_frame_size: int) -> None:
        self.max_frame_size = max_frame_size
        self._parts: list[Buffer] = []
        self._held = 0
        self._wanted = HEADER_SIZE
        self._view = memoryview(b"")
        self._pos = 0

    def feed(self, data: Buffer) -> None:
        """Take more bytes; they must not change afterwards (`bytes` cannot)."""
        self._parts.append(data)
        self._held += len(data)

    def next_header(self) -> bytes | None:
        """Give the 8 bytes of a protocol header, or None if they are not all here yet."""
        if not self._have(HEADER_SIZE):
            return None
        start = self._pos
        self._pos = start + HEADER_SIZE
        return bytes(self._view[start : self._pos])

    def next(self) -> Frame | None:
        """Give the next whole frame, or None if more bytes are needed. Raises `ProtocolError`."""
        if not self._have(HEADER_SIZE):
            return None
        size, offset, kind, channel = _HEAD.unpack_from(self._view, self._pos)
        if size < HEADER_SIZE or size > self.max_frame_size:
            raise ProtocolError(f"a frame of {size} bytes is outside the agreed limits", FRAMING_ERROR)
        if offset < 2 or 4 * offset > size or kind not in (AMQP_FRAME, SASL_FRAME):
            raise ProtocolError("a frame's header is not well-formed", FRAMING_ERROR)
        if not self._have(size):
            return None
        start, stop = self._pos + 4 * offset, self._pos + size
        self._pos = stop
        body = self._view[start:stop]
        if not body:
            return Frame(channel, None, body)
        performative, payload = decode_performative(body)
        return Frame(channel, performative, body[payload:])

    def _have(self, size: int) -> bool:
        """Make `size` bytes readable at `_pos`; joins what was fed only once there is enough of it."""
        rest = len(self._view) - self._pos
        if rest >= size:
            return True
        if rest + self._held < size:
            return False
        if rest == 0 and len(self._parts) == 1:
            self._view = memoryview(self._parts[0])
        else:
            self._view = memoryview(b"".join((self._view[self._pos :], *self._parts)))
        self._parts = []
        self._held = 0
        self._pos = 0
        return True


def encode_frame(channel: int, performative: Performative, payload: Buffer = b"", *, sasl: bool = False) -> bytes:
    """Encode one whole frame. The caller keeps it within the peer's maximum frame size."""
    body = encode_performative(performative)
    size = HEADER_SIZE + len(body) + len(payload)
    return b"".join((_HEAD.pack(size, 2, SASL_FRAME if sasl else AMQP_FRAME, channel), body, payload))


def encode_transfers(
    out: list[Buffer],
    channel: int,
    handle: int,
    delivery_id: int,
    payload: Buffer,
    *,
    max_frame_size: int,
    message_format: int = 0,
    settled: bool = False,
) -> int:
    """Append the frames of one delivery to `out` (heads and views of the payload); give their number.

    The delivery tag is the delivery id in four bytes. Join the parts, or hand them to `sendmsg`.
    """
    room = max_frame_size - _TRANSFER.size
    size = len(payload)
    settled_code = 0x41 if settled else 0x42
    frames = 0
    start = 0
    if size > room:
        payload = memoryview(payload)
    while True:
        stop = min(start + room, size)
        more = stop < size
        out.append(
            _TRANSFER.pack(
                _TRANSFER.size + stop - start,
                2,
                AMQP_FRAME,
                channel,
                _TRANSFER_START,
                0x70,
                handle,
                0x70,
                delivery_id,
                0xA0,
                4,
                delivery_id,
                0x70,
                message_format,
                settled_code,
                0x41 if more else 0x42,
                _FIVE_NULLS,
            )
        )
        out.append(payload if start == 0 and not more else payload[start:stop])
        frames += 1
        if not more:
            return frames
        start = stop
