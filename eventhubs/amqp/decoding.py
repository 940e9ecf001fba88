"""AMQP 1.0 values from bytes, strict about every length. Source: OASIS AMQP 1.0, part 1.

Any buffer of bytes can be decoded; nothing is copied but the values themselves. What decoding gives:

| AMQP                                  | Python                                   |
|---------------------------------------|------------------------------------------|
| null, boolean                         | `None`, `bool`                           |
| all integers, timestamp (ms)          | `int`                                    |
| float, double                         | `float`                                  |
| char, string, symbol                  | `str`                                    |
| binary                                | `bytes`                                  |
| uuid                                  | `uuid.UUID`                              |
| list, array                           | `list`                                   |
| map                                   | `dict`                                   |
| described                             | `Described`                              |
| decimal32, decimal64, decimal128      | `Opaque` (constructor and bytes)         |
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable
from typing import Any

from eventhubs.amqp.errors import ProtocolError
from eventhubs.amqp.types import Buffer, Described, Opaque

__all__ = ["decode_value", "skip_value"]

MAX_DEPTH = 32
"""Values nested deeper than this are refused (real messages nest two or three levels)."""
MAX_EMPTY_ELEMENTS = 16
"""Longest array accepted whose elements take no bytes, for its count is the only thing that bounds it."""
MAX_COMPOUND = 4 * 1_048_576
"""Bytes of the largest list, map or array accepted, for each of them can become an object of 64 bytes."""

_FIXED: dict[int, struct.Struct] = {
    0x50: struct.Struct(">B"),
    0x51: struct.Struct(">b"),
    0x52: struct.Struct(">B"),
    0x53: struct.Struct(">B"),
    0x54: struct.Struct(">b"),
    0x55: struct.Struct(">b"),
    0x60: struct.Struct(">H"),
    0x61: struct.Struct(">h"),
    0x70: struct.Struct(">I"),
    0x71: struct.Struct(">i"),
    0x72: struct.Struct(">f"),
    0x80: struct.Struct(">Q"),
    0x81: struct.Struct(">q"),
    0x82: struct.Struct(">d"),
    0x83: struct.Struct(">q"),
}
_CONSTANTS: dict[int, Any] = {0x40: None, 0x41: True, 0x42: False, 0x43: 0, 0x44: 0}
_OPAQUE_WIDTHS = {0x74: 4, 0x84: 8, 0x94: 16}
_WIDTHS = (
    dict.fromkeys((*_CONSTANTS, 0x45), 0)
    | {code: fixed.size for code, fixed in _FIXED.items()}
    | _OPAQUE_WIDTHS
    | {0x56: 1, 0x73: 4, 0x98: 16}
)
_ONE_BYTE_SIZE = frozenset({0xA0, 0xA1, 0xA3, 0xC0, 0xC1, 0xE0})
_FOUR_BYTE_SIZE = frozenset({0xB0, 0xB1, 0xB3, 0xD0, 0xD1, 0xF0})
_I64 = struct.Struct(">q").unpack_from
_U32 = struct.Struct(">I")


def decode_value(buffer: Buffer, pos: int = 0, end: int | None = None) -> tuple[Any, int]:
    """Decode the value at `pos`, which must lie wholly before `end`; give it and the position after it.

    Raises `ProtocolError` for anything that is not one well-formed value.
    """
    limit = len(buffer) if end is None else end
    try:
        return _value(buffer, pos, limit, 0)
    except (struct.error, IndexError):
        raise ProtocolError("a value ends before its length") from None
    except UnicodeDecodeError:
        raise ProtocolError("a string is not valid in its encoding") from None


def skip_value(buffer: Buffer, pos: int, end: int) -> int:
    """Give the position after the value at `pos` without decoding it; only its outer length is checked."""
    due = 1
    try:
        while due:
            code = buffer[pos]
            pos += 1
            due -= 1
            width = _WIDTHS.get(code)
            if width is not None:
                pos += width
            elif code == 0x00:
                # A descriptor, then what it describes.
                due += 2
            elif code in _ONE_BYTE_SIZE:
                pos += 1 + buffer[pos]
            elif code in _FOUR_BYTE_SIZE:
                pos += 4 + int(_U32.unpack_from(buffer, pos)[0])
            else:
                raise ProtocolError(f"unknown constructor 0x{code:02x}")
    except (struct.error, IndexError):
        raise ProtocolError("a value ends before its length") from None
    if pos > end:
        raise ProtocolError("a value ends before its length")
    return pos


def _value(buffer: Buffer, pos: int, end: int, depth: int) -> tuple[Any, int]:
    if pos >= end:
        raise ProtocolError("a value is missing")
    code = buffer[pos]
    pos += 1
    # The four most frequent types of real messages come first and without a further call.
    if code == 0xA1 or code == 0xA3:
        stop = pos + 1 + buffer[pos]
        if stop > end:
            raise ProtocolError("a value ends before its length")
        return str(buffer[pos + 1 : stop], "utf-8" if code == 0xA1 else "ascii"), stop
    if code == 0x81 or code == 0x83:
        stop = pos + 8
        if stop > end:
            raise ProtocolError("a number ends before its width")
        return _I64(buffer, pos)[0], stop
    if code in _CONSTANTS:
        return _CONSTANTS[code], pos
    if code == 0x00:
        if depth >= MAX_DEPTH:
            raise ProtocolError("values are nested too deeply")
        descriptor, pos = _value(buffer, pos, end, depth + 1)
        value, pos = _value(buffer, pos, end, depth + 1)
        return Described(descriptor, value), pos
    return _body(code, buffer, pos, end, depth)


def _body(code: int, buffer: Buffer, pos: int, end: int, depth: int) -> tuple[Any, int]:
    """Decode what follows a constructor byte."""
    fixed = _FIXED.get(code)
    if fixed is not None:
        stop = pos + fixed.size
        if stop > end:
            raise ProtocolError("a number ends before its width")
        return fixed.unpack_from(buffer, pos)[0], stop
    if code in _ONE_BYTE_SIZE:
        size, pos = buffer[pos], pos + 1
    elif code in _FOUR_BYTE_SIZE:
        size, pos = _U32.unpack_from(buffer, pos)[0], pos + 4
    else:
        return _rare(code, buffer, pos, end)
    stop = pos + size
    if stop > end:
        raise ProtocolError("a value ends before its length")
    kind = code & 0x4F
    if kind == 0x01:  # 0xa1, 0xb1
        return str(buffer[pos:stop], "utf-8"), stop
    if kind == 0x03:  # 0xa3, 0xb3
        return str(buffer[pos:stop], "ascii"), stop
    if kind == 0x00:  # 0xa0, 0xb0
        return bytes(buffer[pos:stop]), stop
    if depth >= MAX_DEPTH:
        raise ProtocolError("values are nested too deeply")
    if size > MAX_COMPOUND:
        raise ProtocolError("a compound value is too large")
    # Compound values carry their count right after the size, in the same width.
    if code & 0x10:
        count, pos = _U32.unpack_from(buffer, pos)[0], pos + 4
    else:
        count, pos = buffer[pos], pos + 1
    if pos > stop:
        raise ProtocolError("a compound value has no room for its count")
    return _COMPOUND[code](buffer, pos, stop, count, depth + 1), stop


def _rare(code: int, buffer: Buffer, pos: int, end: int) -> tuple[Any, int]:
    width = _WIDTHS.get(code)
    if width is None:
        raise ProtocolError(f"unknown constructor 0x{code:02x}")
    stop = pos + width
    if stop > end:
        raise ProtocolError("a value ends before its width")
    data = bytes(buffer[pos:stop])
    if code == 0x45:
        return [], stop
    if code == 0x98:
        return uuid.UUID(bytes=data), stop
    if code == 0x56:
        if data > b"\x01":
            raise ProtocolError("a boolean is neither 0 nor 1")
        return data == b"\x01", stop
    if code == 0x73:
        return data.decode("utf-32-be"), stop
    if code in _OPAQUE_WIDTHS:
        return Opaque(code, data), stop
    # Only reached from arrays, whose elements share a constructor that may be a constant.
    return _CONSTANTS[code], stop


def _list(buffer: Buffer, pos: int, stop: int, count: int, depth: int) -> list[Any]:
    if count > stop - pos:
        raise ProtocolError("a list claims more elements than it has bytes")
    values = []
    for _ in range(count):
        value, pos = _value(buffer, pos, stop, depth)
        values.append(value)
    if pos != stop:
        raise ProtocolError("a list has bytes left over")
    return values


def _map(buffer: Buffer, pos: int, stop: int, count: int, depth: int) -> dict[Any, Any]:
    if count % 2 or count > stop - pos:
        raise ProtocolError("a map's count is odd or larger than its bytes")
    values: dict[Any, Any] = {}
    for _ in range(count // 2):
        key, pos = _value(buffer, pos, stop, depth)
        value, pos = _value(buffer, pos, stop, depth)
        try:
            values[key] = value
        except TypeError:
            raise ProtocolError("a map's key is a compound value") from None
    if pos != stop:
        raise ProtocolError("a map has bytes left over")
    return values


def _array(buffer: Buffer, pos: int, stop: int, count: int, depth: int) -> list[Any]:
    if pos == stop and count == 0:
        return []
    if pos >= stop:
        raise ProtocolError("an array has no element constructor")
    descriptor: Any = None
    described = buffer[pos] == 0x00
    if described:
        descriptor, pos = _value(buffer, pos + 1, stop, depth)
        if pos >= stop:
            raise ProtocolError("an array has no element constructor")
    code = buffer[pos]
    pos += 1
    if count > max(stop - pos, MAX_EMPTY_ELEMENTS if _WIDTHS.get(code) == 0 else 0):
        raise ProtocolError("an array claims more elements than it has bytes")
    values = []
    for _ in range(count):
        value, pos = _body(code, buffer, pos, stop, depth)
        values.append(Described(descriptor, value) if described else value)
    if pos != stop:
        raise ProtocolError("an array has bytes left over")
    return values


_COMPOUND: dict[int, Callable[[Buffer, int, int, int, int], Any]] = {
    0xC0: _list,
    0xD0: _list,
    0xC1: _map,
    0xD1: _map,
    0xE0: _array,
    0xF0: _array,
}
