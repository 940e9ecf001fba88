"""AMQP 1.0 values to bytes; `types` says how Python types are written. Source: OASIS AMQP 1.0, part 1."""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from eventhubs.amqp.types import (
    Array,
    Described,
    Int,
    Opaque,
    Raw,
    Symbol,
    Timestamp,
    UByte,
    UInt,
    ULong,
    UShort,
)

__all__ = ["encode_value", "write_value"]

_U32 = struct.Struct(">I")
_U32X2 = struct.Struct(">II")


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
