"""Which partition a partition key belongs to: the service's own hashing.

Jenkins' lookup3 `hashlittle2` (Bob Jenkins, 2006, public domain) over the key's characters, both results combined
by exclusive or into a signed 16-bit number, modulo the partition count.
"""

from __future__ import annotations

__all__ = ["partition_of"]

_MASK = 0xFFFFFFFF


def partition_of(key: str, partition_count: int) -> int:
    """Give the partition (0 to `partition_count` - 1) that events with this key go to.

    The empty key belongs to partition 0. Characters are hashed by code point, one byte each up to U+00FF.
    """
    if not key:
        return 0
    first, second = _hashlittle2([ord(character) for character in key])
    code = (first ^ second) & 0xFFFF
    return (code - 0x10000 if code & 0x8000 else code) % partition_count


def _rot(value: int, bits: int) -> int:
    return ((value << bits) | (value >> (32 - bits))) & _MASK


def _word(units: list[int], start: int) -> int:
    """Four units, little-endian. A unit above 255 spills into its neighbour."""
    one, two, three, four = units[start : start + 4]
    return one + (two << 8) + (three << 16) + (four << 24)


def _hashlittle2(units: list[int]) -> tuple[int, int]:
    length = len(units)
    a = b = c = (0xDEADBEEF + length) & _MASK
    units = units + [0] * 12  # missing ones are 0
    start = 0
    while length - start > 12:
        a = (a + _word(units, start)) & _MASK
        b = (b + _word(units, start + 4)) & _MASK
        c = (c + _word(units, start + 8)) & _MASK
        a, b, c = _mix(a, b, c)
        start += 12
    a = (a + _word(units, start)) & _MASK
    b = (b + _word(units, start + 4)) & _MASK
    c = (c + _word(units, start + 8)) & _MASK
    return _final(a, b, c)


def _mix(a: int, b: int, c: int) -> tuple[int, int, int]:
    a = ((a - c) & _MASK) ^ _rot(c, 4)
    c = (c + b) & _MASK
    b = ((b - a) & _MASK) ^ _rot(a, 6)
    a = (a + c) & _MASK
    c = ((c - b) & _MASK) ^ _rot(b, 8)
    b = (b + a) & _MASK
    a = ((a - c) & _MASK) ^ _rot(c, 16)
    c = (c + b) & _MASK
    b = ((b - a) & _MASK) ^ _rot(a, 19)
    a = (a + c) & _MASK
    c = ((c - b) & _MASK) ^ _rot(b, 4)
    b = (b + a) & _MASK
    return a, b, c


def _final(a: int, b: int, c: int) -> tuple[int, int]:
    c = ((c ^ b) - _rot(b, 14)) & _MASK
    a = ((a ^ c) - _rot(c, 11)) & _MASK
    b = ((b ^ a) - _rot(a, 25)) & _MASK
    c = ((c ^ b) - _rot(b, 16)) & _MASK
    a = ((a ^ c) - _rot(c, 4)) & _MASK
    b = ((b ^ a) - _rot(a, 14)) & _MASK
    c = ((c ^ b) - _rot(b, 24)) & _MASK
    return c, b
