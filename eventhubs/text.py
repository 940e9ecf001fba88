"""One way to write AMQP values as text, so that both transports give identical properties."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["as_text", "text_map"]


def as_text(value: object) -> str:
    """Text of one AMQP value: strings as they are, bytes as UTF-8, booleans and collections as JSON, others by str.

    Bytes that are not UTF-8 are written with backslash escapes, so nothing is lost and nothing fails.
    """
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("utf-8", "backslashreplace")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return json.dumps({as_text(k): _plain(v) for k, v in value.items()}, ensure_ascii=False)
    if isinstance(value, list | tuple):
        return json.dumps([_plain(v) for v in value], ensure_ascii=False)
    return str(value)


def text_map(pairs: Iterable[tuple[object, object]]) -> dict[str, str]:
    """The pairs as text, sorted by name; pairs without a value are left out."""
    return dict(sorted((as_text(k), as_text(v)) for k, v in pairs if v is not None))


def _plain(value: object) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {as_text(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return as_text(value)
