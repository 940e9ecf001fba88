"""Performatives to and from bytes.

Every performative is written with ALL its fields, nulls included, in a list8 or list32 under a one-byte
descriptor: the official Event Hubs SDK reads fields by position and understands no shorter form. Reading is
liberal in that respect (trailing fields may be missing, as the standard allows) and strict in types: a field's
constructor must be one its type allows. Source: OASIS AMQP 1.0, parts 2 and 5.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, NamedTuple

from eventhubs.amqp.decoding import decode_value, skip_value
from eventhubs.amqp.encoding import write_value
from eventhubs.amqp.errors import ProtocolError
from eventhubs.amqp.performatives import (
    ERROR_CODE,
    SOURCE_CODE,
    TARGET_CODE,
    Attach,
    Begin,
    Close,
    Detach,
    Disposition,
    End,
    Error,
    Flow,
    Open,
    Performative,
    SaslInit,
    SaslMechanisms,
    SaslOutcome,
    Terminus,
    Transfer,
    described_error,
)
from eventhubs.amqp.types import Buffer, Described, Raw, Symbol, UByte, UInt, ULong, UShort

__all__ = ["decode_performative", "encode_performative"]

_U32 = struct.Struct(">I")


class _Field(NamedTuple):
    """How one field of a performative is written and which constructors it may be read from."""

    codes: frozenset[int]
    mandatory: bool = False
    mark: Callable[[Any], Any] | None = None
    """Turns the field's plain value into one that is written as the right type."""


_UINT_CODES = frozenset({0x43, 0x52, 0x70})
_BOOL_CODES = frozenset({0x41, 0x42, 0x56})
_SYMBOLS_CODES = frozenset({0xA3, 0xB3, 0xE0, 0xF0})
_MAP_CODES = frozenset({0xC1, 0xD1})


def _uint(mandatory: bool = False) -> _Field:
    return _Field(_UINT_CODES, mandatory, UInt)


def _bool(mandatory: bool = False) -> _Field:
    return _Field(_BOOL_CODES, mandatory)


def _string(mandatory: bool = False) -> _Field:
    return _Field(frozenset({0xA1, 0xB1}), mandatory)


_UBYTE = _Field(frozenset({0x50}), False, UByte)
_USHORT = _Field(frozenset({0x60}), False, UShort)
_BINARY = _Field(frozenset({0xA0, 0xB0}))
_SYMBOLS = _Field(_SYMBOLS_CODES)
_MAP = _Field(_MAP_CODES)
_DESCRIBED = _Field(frozenset({0x00}))
_TERMINUS = _Field(frozenset({0x00}))
_ERROR_FIELD = _Field(frozenset({0x00}), False, described_error)


class _Shape(NamedTuple):
    code: int
    make: Callable[..., Any]
    fields: tuple[_Field, ...]


_SHAPES: dict[type, _Shape] = {
    shape.make: shape  # type: ignore[misc]  # every `make` is one of the classes above
    for shape in (
        _Shape(
            0x10,
            Open,
            (_string(True), _string(), _uint(), _USHORT, _uint(), _SYMBOLS, _SYMBOLS, _SYMBOLS, _SYMBOLS, _MAP),
        ),
        _Shape(
            0x11,
            Begin,
            (_USHORT, _uint(True), _uint(True), _uint(True), _uint(), _SYMBOLS, _SYMBOLS, _MAP),
        ),
        _Shape(
            0x12,
            Attach,
            (
                _string(True),
                _uint(True),
                _bool(True),
                _UBYTE,
                _UBYTE,
                _TERMINUS,
                _TERMINUS,
                _MAP,
                _bool(),
                _uint(),
                _Field(frozenset({0x44, 0x53, 0x80}), False, ULong),
                _SYMBOLS,
                _SYMBOLS,
                _MAP,
            ),
        ),
        _Shape(
            0x13,
            Flow,
            (
                _uint(),
                _uint(True),
                _uint(True),
                _uint(True),
                _uint(),
                _uint(),
                _uint(),
                _uint(),
                _bool(),
                _bool(),
                _MAP,
            ),
        ),
        _Shape(
            0x14,
            Transfer,
            (
                _uint(True),
                _uint(),
                _BINARY,
                _uint(),
                _bool(),
                _bool(),
                _UBYTE,
                _DESCRIBED,
                _bool(),
                _bool(),
                _bool(),
            ),
        ),
        _Shape(0x15, Disposition, (_bool(True), _uint(True), _uint(), _bool(), _DESCRIBED, _bool())),
        _Shape(0x16, Detach, (_uint(True), _bool(), _ERROR_FIELD)),
        _Shape(0x17, End, (_ERROR_FIELD,)),
        _Shape(0x18, Close, (_ERROR_FIELD,)),
        _Shape(0x40, SaslMechanisms, (_Field(_SYMBOLS_CODES, True),)),
        _Shape(0x41, SaslInit, (_Field(frozenset({0xA3, 0xB3}), True, Symbol), _BINARY, _string())),
        _Shape(0x44, SaslOutcome, (_Field(frozenset({0x50}), True, UByte), _BINARY)),
    )
}
_BY_CODE = {shape.code: shape for shape in _SHAPES.values()}
_ONE_BYTE_VALUES: dict[int, Any] = {0x40: None, 0x41: True, 0x42: False, 0x43: 0}
_LONGER = object()
"""Stands for a value that takes more than one byte."""


def encode_performative(performative: Performative) -> bytes:
    """Encode with every field present, in the form the official SDK can read."""
    shape = _SHAPES[type(performative)]
    body = bytearray()
    for field, value in zip(shape.fields, performative, strict=False):
        if value is None:
            body.append(0x40)
        else:
            write_value(body, field.mark(value) if field.mark else value)
    count = len(shape.fields)
    if len(body) < 255:
        return bytes((0x00, 0x53, shape.code, 0xC0, len(body) + 1, count)) + body
    return bytes((0x00, 0x53, shape.code, 0xD0)) + _U32.pack(len(body) + 4) + _U32.pack(count) + body


def decode_performative(buffer: Buffer) -> tuple[Performative, int]:
    """Decode the performative that a frame's body starts with; give it and where the payload begins.

    Raises `ProtocolError` for an unknown performative, a missing mandatory field or a field of another type.
    """
    end = len(buffer)
    if end < 4 or buffer[0] != 0x00:
        raise ProtocolError("a frame does not start with a performative")
    if buffer[1] == 0x53:
        code, pos = buffer[2], 3
    else:
        descriptor, pos = decode_value(buffer, 1, end)
        code = descriptor if isinstance(descriptor, int) else -1
    shape = _BY_CODE.get(code)
    if shape is None:
        raise ProtocolError("a frame carries an unknown performative")
    pos, stop, count = _list_bounds(buffer, pos, end)
    if count > len(shape.fields):
        raise ProtocolError("a performative has too many fields")
    # Bytes are indexed faster than a view, and a performative is short.
    values, raw = _fields(shape, bytes(buffer[pos:stop]), count)
    performative: Performative = shape.make(*values, *raw)
    return performative, stop


def _fields(shape: _Shape, body: bytes, count: int) -> tuple[list[Any], list[Raw]]:
    """Decode `count` fields, which must fill `body`; fields left out are null."""
    values: list[Any] = []
    raw: list[Raw] = []
    pos = 0
    try:
        for field in shape.fields[:count]:
            at = body[pos]
            pos += 1
            if at not in field.codes and at != 0x40:
                raise ProtocolError("a performative's field has the wrong type")
            value = _ONE_BYTE_VALUES.get(at, _LONGER)
            # The encodings that transfers are made of come without a further call.
            if value is not _LONGER:
                values.append(value)
            elif at == 0x52:
                values.append(body[pos])
                pos += 1
            elif at == 0x70:
                values.append(_U32.unpack_from(body, pos)[0])
                pos += 4
            elif at == 0xA0:
                start, pos = pos + 1, pos + 1 + body[pos]
                values.append(body[start:pos])
            else:
                value, after = decode_value(body, pos - 1, len(body))
                if field is _TERMINUS:
                    raw.append(Raw(body[pos - 1 : after]))
                values.append(_described(field, value) if at == 0x00 else value)
                pos = after
            if at == 0x40:
                if field.mandatory:
                    raise ProtocolError("a performative lacks a mandatory field")
                if field is _TERMINUS:
                    raw.append(Raw(b"\x40"))
    except (IndexError, struct.error):
        raise ProtocolError("a performative ends before its count") from None
    if pos != len(body):
        raise ProtocolError("a performative's fields do not fill it")
    for field in shape.fields[count:]:
        if field.mandatory:
            raise ProtocolError("a performative lacks a mandatory field")
        values.append(None)
        if field is _TERMINUS:
            raw.append(Raw(b"\x40"))
    return values, raw


def _list_bounds(buffer: Buffer, pos: int, end: int) -> tuple[int, int, int]:
    """Give (first element, end, count) of the list at `pos`."""
    stop = skip_value(buffer, pos, end)
    code = buffer[pos]
    if code == 0x45:
        return stop, stop, 0
    if code == 0xC0 and stop >= pos + 3:
        return pos + 3, stop, buffer[pos + 2]
    if code == 0xD0 and stop >= pos + 9:
        return pos + 9, stop, _U32.unpack_from(buffer, pos + 5)[0]
    raise ProtocolError("a performative is not a list")


def _described(field: _Field, value: Described) -> Any:
    """Turn a described field into what the named tuples promise."""
    code, fields = value
    if field is _ERROR_FIELD:
        if code not in (ERROR_CODE, "amqp:error:list") or not isinstance(fields, list) or not fields:
            raise ProtocolError("an error is not well-formed")
        condition, description, info = (*fields, None, None)[:3]
        if not isinstance(condition, str) or not isinstance(description, str | None):
            raise ProtocolError("an error is not well-formed")
        return Error(condition, description, info if isinstance(info, dict) else None)
    if field is _TERMINUS:
        if code not in (SOURCE_CODE, TARGET_CODE, "amqp:source:list", "amqp:target:list"):
            # A coordinator of transactions, for instance: there is no such node here.
            return Terminus(None, {})
        if not isinstance(fields, list):
            raise ProtocolError("a terminus is not a list")
        address = fields[0] if fields else None
        filters = fields[7] if len(fields) > 7 and code in (SOURCE_CODE, "amqp:source:list") else None
        if not isinstance(address, str | None) or not isinstance(filters, dict | None):
            raise ProtocolError("a terminus has fields of the wrong type")
        return Terminus(address, filters or {})
    return value
