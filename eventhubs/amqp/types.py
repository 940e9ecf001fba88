"""The Python types that stand for AMQP 1.0 values where a built-in type would not say which one is meant.

What encoding takes: a plain `int` is a long, a plain `str` a string, and so on as in `decoding`. The markers here
choose another AMQP type; `Raw` is written as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

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
]

Buffer = bytes | bytearray | memoryview


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
