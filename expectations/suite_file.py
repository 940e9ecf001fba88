"""What every kind of suite has in common: a JSON file of Great Expectations' shape, packaged or one's own.

Read without Great Expectations, which takes seconds to import.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from importlib import resources
from pathlib import Path
from typing import TypeVar

import msgspec

from expectations.errors import SuiteError

__all__ = ["as_shape", "code_problems", "refuse", "suite_bytes", "suite_document", "text_and_version"]

_CODE = re.compile(r"[a-z][a-z0-9_]{0,49}")  # Codes are stored joined by commas.
_VERSION_LENGTH = 12

S = TypeVar("S")


def suite_bytes(name: str, folder: Path | None) -> bytes:
    """The file of the suite `name` in a folder, or of the packaged one. Raises SuiteError."""
    try:
        return (
            (resources.files("expectations") / "suites" if folder is None else folder) / f"{name}.json"
        ).read_bytes()
    except OSError as error:
        raise SuiteError(f"cannot read {name}.json in {folder or 'the package'}: {error.strerror}") from error


def suite_document(name: str, folder: Path | None) -> object:
    """The JSON of the suite `name` in a folder, or of the packaged one. Raises SuiteError."""
    try:
        return msgspec.json.decode(suite_bytes(name, folder))
    except (ValueError, RecursionError) as error:
        raise SuiteError(f"{name}.json is no JSON: {error}") from error


def as_shape(name: str, document: object, shape: type[S]) -> S:
    """The document as `shape`. Raises SuiteError."""
    try:
        return msgspec.convert(document, shape)
    except (ValueError, RecursionError) as error:
        raise SuiteError(f"{name}.json is not Great Expectations' JSON with our meta: {error}") from error


def code_problems(codes_and_whys: Iterable[tuple[str, str]]) -> Iterator[str]:
    """What is wrong with the codes of a suite and their reasons."""
    codes = set()
    for code, why in codes_and_whys:
        if not _CODE.fullmatch(code):
            yield f"code {code!r} is not lower-case letters, digits and underscores, 50 at most"
        if code in codes:
            yield f"code {code!r} is used twice"
        codes.add(code)
        if not why.strip():
            yield f"{code}: no why"
    if not codes:
        yield "it holds no expectation"


def refuse(name: str, problems: Iterable[str]) -> None:
    """Raise SuiteError when there are problems."""
    found = list(problems)
    if found:
        raise SuiteError(f"{name}.json cannot be used: " + "; ".join(found))


def text_and_version(document: object) -> tuple[str, str]:
    """Canonical JSON of a suite, and the first 12 hex digits of its SHA-256."""
    canonical = msgspec.json.encode(document, order="sorted")
    return canonical.decode(), hashlib.sha256(canonical).hexdigest()[:_VERSION_LENGTH]
