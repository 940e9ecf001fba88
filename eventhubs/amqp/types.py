"""AMQP 1.0 values to and from bytes, strict about every length.

What decoding gives:

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

What encoding takes: the same, where a plain `int` is a long, a plain `str` a string. The markers `Symbol`,
`Timestamp`, `UByte`, `UShort`, `UInt`, `ULong`, `Int` and `Array` choose another AMQP type; `Raw` is written as it is.

Any buffer of bytes can be decoded; nothing is copied but the values themselves. Source: OASIS AMQP 1.0, part 1.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from eventhubs.amqp.errors import ProtocolError

__all__ = [
    "Array",
    "Buffer",
    "Described",
    "Int",
    "Opaque",
    "Raw",
    "Symbol",
    "Timestamp",
    "UByte",
    "UInt",
    "ULong",
    "UShort",
    "decode_value",
    "encode_value",
    "skip_value",
    "write_value",
]

Buffer = bytes | bytearray | memoryview

MAX_DEPTH = 32
"""Values nested deeper than this are refused (real messages nest two or three levels)."""
MAX_EMPTY_ELEMENTS = 65_536
"""Longest array accepted whose elements take no bytes, for its count is the only thing that bounds it."""


class Symbol(str):
    """A string to be written as AMQP symbol (ASCII)."""

    __slots__ = ()


class Timestamp(int):
    """Milliseconds since 1970 UTC, to be written as AMQP timestamp."""

    __slots__ = ()


class UByte(int):
    """An integer to be written as ubyte."""

    __slots__ = ()


class UShort(int):
    """An integer to be written as ushort."""

    __slots__ = ()


class UInt(int):
    """An integer to be written as uint."""

    __slots__ = ()


class ULong(int):
    """An integer to be written as ulong."""

    __slots__ = ()


class Int(int):
    """An integer to be written as int (32 bits)."""

    __slots__ = ()


class Raw(bytes):
    """One value that is encoded already: written unchanged."""

    __slots__ = ()


class Described(NamedTuple):
    """A described value: descriptor (ulong or symbol) and what it describes."""

    descriptor: Any
    value: Any


@dataclass(frozen=True, slots=True)
class Opaque:
    """A value of a type that is carried but not interpreted: its constructor byte and its bytes."""

    code: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Array:
    """An array of strings, or of symbols where `symbols` is set."""

    values: tuple[str, ...]
    symbols: bool = False


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
_U32X2 = struct.Struct(">II")


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
    try:
        code = buffer[pos]
        if code == 0x00:
            return skip_value(buffer, skip_value(buffer, pos + 1, end), end)
        pos += 1
        width = _WIDTHS.get(code)
        if width is not None:
            pos += width
        elif code in _ONE_BYTE_SIZE:
            pos += 1 + buffer[pos]
        elif code in _FOUR_BYTE_SIZE:
            pos += 4 + int(_U32.unpack_from(buffer, pos)[0])
        else:
            raise ProtocolError(f"unknown constructor 0x{code:02x}")
    except (struct.error, IndexError):
        raise ProtocolError("a value ends before its length") from None
    except RecursionError:
        raise ProtocolError("descriptors are nested too deeply") from None
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


def encode_value(value: Any) -> bytes:
    """Encode one value; see the module for how Python types map. Raises `TypeError` for others."""
    out = bytearray()
    write_value(out, value)
    return bytes(out)


def write_value(out: bytearray, value: Any) -> None:
    """Append the encoding of one value to `out`."""
    writer = _WRITERS.get(type(value))
    if writer is None:
        raise TypeError(f"no AMQP encoding for {type(value).__name__}")
    writer(out, value)


def _variable(small: int, large: int) -> Callable[[bytearray, bytes], None]:
    def write(out: bytearray, data: bytes) -> None:
        if len(data) < 256:
            out += bytes((small, len(data)))
        else:
            out.append(large)
            out += _U32.pack(len(data))
        out += data

    return write


_write_binary = _variable(0xA0, 0xB0)
_write_utf8 = _variable(0xA1, 0xB1)
_write_ascii = _variable(0xA3, 0xB3)


def _number(code: int, format_: str) -> Callable[[bytearray, Any], None]:
    packed = struct.Struct(">B" + format_)

    def write(out: bytearray, value: Any) -> None:
        out += packed.pack(code, value)

    return write


_write_long = _number(0x81, "q")


def _write_int(out: bytearray, value: int) -> None:
    if -128 <= value <= 127:
        out += bytes((0x55, value & 0xFF))
    else:
        _write_long(out, value)


_write_wide_ulong = _number(0x80, "Q")


def _write_ulong(out: bytearray, value: ULong) -> None:
    if value < 256:
        out += bytes((0x53, value))
    else:
        _write_wide_ulong(out, value)


def _write_compound(out: bytearray, code: int, count: int, body: bytes | bytearray) -> None:
    if len(body) < 255 and count < 256:
        out += bytes((code, len(body) + 1, count))
    else:
        out.append(code | 0x10)
        out += _U32X2.pack(len(body) + 4, count)
    out += body


def _write_list(out: bytearray, values: Sequence[Any]) -> None:
    body = bytearray()
    for value in values:
        write_value(body, value)
    _write_compound(out, 0xC0, len(values), body)


def _write_map(out: bytearray, values: Mapping[Any, Any]) -> None:
    body = bytearray()
    for key, value in values.items():
        write_value(body, key)
        write_value(body, value)
    _write_compound(out, 0xC1, 2 * len(values), body)


def _write_array(out: bytearray, array: Array) -> None:
    body = bytearray((0xB3 if array.symbols else 0xB1,))
    for value in array.values:
        data = value.encode("ascii" if array.symbols else "utf-8")
        body += _U32.pack(len(data))
        body += data
    out.append(0xF0)
    out += _U32X2.pack(len(body) + 4, len(array.values))
    out += body


def _write_described(out: bytearray, described: Described) -> None:
    out.append(0x00)
    write_value(out, described.descriptor)
    write_value(out, described.value)


def _write_opaque(out: bytearray, opaque: Opaque) -> None:
    out.append(opaque.code)
    out += opaque.data


_WRITERS: dict[type, Callable[[bytearray, Any], None]] = {
    type(None): lambda out, _: out.append(0x40),
    bool: lambda out, value: out.append(0x41 if value else 0x42),
    int: _write_int,
    float: _number(0x82, "d"),
    str: lambda out, value: _write_utf8(out, value.encode()),
    bytes: _write_binary,
    bytearray: _write_binary,
    memoryview: _write_binary,
    uuid.UUID: lambda out, value: out.extend(b"\x98" + value.bytes),
    list: _write_list,
    tuple: _write_list,
    dict: _write_map,
    Symbol: lambda out, value: _write_ascii(out, value.encode("ascii")),
    Timestamp: _number(0x83, "q"),
    UByte: _number(0x50, "B"),
    UShort: _number(0x60, "H"),
    UInt: _number(0x70, "I"),
    ULong: _write_ulong,
    Int: _number(0x71, "i"),
    Array: _write_array,
    Described: _write_described,
    Opaque: _write_opaque,
    Raw: lambda out, value: out.extend(value),
}
