"""Files of reports, one body at a time, each exactly as in the file.

Three shapes are told apart by how the file begins, each also gzipped (a name that ends in `.gz`):

- JSON lines: one report a line, read as a stream;
- a JSON array of reports;
- openFDA's download: an object with the reports under `results`.

Nothing is judged here: a broken line is given as it is, and so is a document that is broken as a whole.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import msgspec

from expectations.errors import ReportFileError

__all__ = ["read_bodies"]

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class _Document(msgspec.Struct):
    results: list[msgspec.Raw] | msgspec.UnsetType = msgspec.UNSET
    safetyreportid: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


def read_bodies(path: Path) -> Iterator[bytes]:
    """Give the body of every report in the file; blank lines are none.

    JSON lines are never held in memory as a whole, the other shapes are. Raises ReportFileError when the file
    cannot be opened or breaks off inside its compression.
    """
    try:
        with _open(path) as stream:
            yield from _bodies(stream)
    except (OSError, EOFError, zlib.error) as error:
        # The messages of broken compression quote bytes of the file, so only the system's own are passed on.
        why = getattr(error, "strerror", None) or "it is no gzip file, or one that is damaged or cut off"
        raise ReportFileError(f"cannot read {path.name} to its end: {why}") from error


def _open(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


def _bodies(stream: BinaryIO) -> Iterator[bytes]:
    first = next((line for line in stream if line.removeprefix(_BYTE_ORDER_MARK).strip()), b"")
    if _may_begin_document(first):
        document = first + stream.read()
        reports = _reports(document)
        if reports is not None:
            yield from map(bytes, reports)
        elif _is_json(first):
            yield from _lines(document.split(b"\n"))
        else:
            yield document
    else:
        yield from _lines([first])
        yield from _lines(stream)


def _may_begin_document(first: bytes) -> bool:
    start = first.removeprefix(_BYTE_ORDER_MARK).strip()
    return start.startswith(b"[") or start == b"{" or b'"results"' in start


def _reports(document: bytes) -> list[msgspec.Raw] | None:
    """Reports of a whole document; None when it is no single JSON document."""
    text = document.removeprefix(_BYTE_ORDER_MARK).strip()
    try:
        if text.startswith(b"["):
            return msgspec.json.decode(text, type=list[msgspec.Raw])
        found = msgspec.json.decode(text, type=_Document)
    except (ValueError, RecursionError):
        return None
    if isinstance(found.results, list) and found.safetyreportid is msgspec.UNSET:
        return found.results
    return [msgspec.Raw(text)]  # One report, over several lines.


def _is_json(line: bytes) -> bool:
    try:
        msgspec.json.decode(line.removeprefix(_BYTE_ORDER_MARK), type=msgspec.Raw)
    except (ValueError, RecursionError):
        return False
    return True


def _lines(lines: BinaryIO | list[bytes]) -> Iterator[bytes]:
    for line in lines:
        body = line.rstrip(b"\r\n")
        if body.strip():
            yield body
