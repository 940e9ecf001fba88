"""One partition's log: events in a file that is only ever appended to, found again by number, offset or time.

Promises: sequence numbers start at 0 and have no gaps; a batch is stored wholly or not at all; what `append`
returned for survives `kill -9` (and, with `fsync`, loss of power). A record that was only partly written is
dropped at the next opening; anything else that does not check is `LogDamagedError`, never skipped.
Does not promise: safety against two writers (the folder's lock does) or against a second thread.

File: 8 bytes of magic, then records of a 28-byte head and the message. The head holds the message's length, the
CRC-32 of everything after these two numbers, sequence number, time in ms, and how many records of the same batch
follow. An event's offset is the position of its record. Beside the log lies a sparse index, one entry per 64 KiB
or more, always at the start of a batch; it can be deleted and is then rebuilt.
"""

from __future__ import annotations

import os
import struct
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from eventhubs.hub.errors import LogDamagedError

__all__ = ["Encoder", "PartitionLog", "StoredEvent"]

MAGIC = b"RWHUB\x00\x00\x01"
INDEX_INTERVAL = 64 * 1024
READ_SIZE = 256 * 1024
MAX_MESSAGE = 2 * 1024 * 1024
"""No record is longer: a larger length is damage, not a message."""

_HEAD = struct.Struct(">IIQQI")
_CHECKED = struct.Struct(">QQI")
_CHECKED_AT = _HEAD.size - _CHECKED.size
_INDEX_ENTRY = struct.Struct(">QQQI")
_INDEX_CHECKED = struct.Struct(">QQQ")

Encoder = Callable[[int, int, int], bytes]
"""Gives the bytes to store for (sequence number, offset, enqueued time in ms)."""


class StoredEvent(NamedTuple):
    """One event as stored."""

    sequence: int
    enqueued_ms: int
    position: int
    """Where its record begins: the event's offset."""
    next_position: int
    message: memoryview


class _Record(NamedTuple):
    """A record met while opening: the event without its message, and its place in the batch."""

    sequence: int
    enqueued_ms: int
    position: int
    next_position: int
    remaining: int


class PartitionLog:
    """The log at `path` (`0.log`) with its index beside it (`0.index`), created if missing."""

    def __init__(self, path: Path, *, fsync: bool = False) -> None:
        self._path = path
        self._fsync = fsync
        self._sequences = array("Q")
        self._positions = array("Q")
        self._times = array("Q")
        self._log = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            self._index = os.open(path.with_suffix(".index"), os.O_RDWR | os.O_CREAT, 0o644)
        except OSError:
            os.close(self._log)
            raise
        self.end = len(MAGIC)
        """Position after the last record."""
        self.next_sequence = 0
        self.last_enqueued_ms = 0
        """Time of the last event; 0 while the log is empty."""
        self.last_position = -1
        """Offset of the last event; -1 while the log is empty."""
        try:
            self._recover()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the files; the log cannot be used afterwards."""
        os.close(self._log)
        os.close(self._index)

    def append(self, encoders: Sequence[Encoder], now_ms: int) -> int:
        """Store one batch wholly; give the sequence number of its first event.

        Times never run backwards: an event is stored with the later of `now_ms` and its predecessor's time.
        Raises `OSError` with the log unchanged where the disk refuses.
        """
        enqueued_ms = max(now_ms, self.last_enqueued_ms)
        first = self.next_sequence
        start = position = last_position = self.end
        parts: list[bytes] = []
        for index, encode in enumerate(encoders):
            last_position = position
            message = encode(first + index, position, enqueued_ms)
            checked = _CHECKED.pack(first + index, enqueued_ms, len(encoders) - 1 - index)
            crc = zlib.crc32(message, zlib.crc32(checked))
            parts += (_HEAD.pack(len(message), crc, first + index, enqueued_ms, len(encoders) - 1 - index), message)
            position += _HEAD.size + len(message)
        self._write(b"".join(parts), start)
        self.end = position
        self.next_sequence = first + len(encoders)
        self.last_enqueued_ms = enqueued_ms
        self.last_position = last_position
        self._index_batch(first, start, enqueued_ms)
        return first

    def read(self, position: int, max_events: int, max_bytes: int = READ_SIZE) -> list[StoredEvent]:
        """Read up to `max_events` events from the record at `position` on, about `max_bytes` at most, one at least.

        Empty only at the log's end. Messages are views of the buffers read for this call.
        Raises `LogDamagedError`.
        """
        events: list[StoredEvent] = []
        for event in self._events(position, max_bytes):
            events.append(event)
            if len(events) >= max_events or event.next_position - position >= max_bytes:
                break
        return events

    def position_of(self, sequence: int) -> int:
        """Give the position of event `sequence`, or the log's end for the next one to come."""
        return self._find(self._sequences, sequence, lambda event: event.sequence >= sequence)

    def position_after(self, offset: int) -> int:
        """Give the position of the first event whose offset is greater than `offset`."""
        return self._find(self._positions, offset, lambda event: event.position > offset)

    def position_at_time(self, enqueued_ms: int) -> int:
        """Give the position of the first event enqueued at `enqueued_ms` or later."""
        # Events of one millisecond may lie on both sides of an index entry: look from an earlier millisecond on.
        return self._find(self._times, enqueued_ms - 1, lambda event: event.enqueued_ms >= enqueued_ms)

    def _find(self, keys: array[int], key: int, found: Callable[[StoredEvent], bool]) -> int:
        entry = bisect_right(keys, key) - 1
        start = self._positions[entry] if entry >= 0 else len(MAGIC)
        for event in self._events(start, READ_SIZE):
            if found(event):
                return event.position
        return self.end

    def _events(self, position: int, chunk: int) -> Iterator[StoredEvent]:
        """Yield the events from `position` to the end, reading about `chunk` bytes at a time."""
        while position < self.end:
            view = memoryview(os.pread(self._log, min(max(chunk, _HEAD.size), self.end - position), position))
            size = len(view)
            at = length = 0
            while size - at >= _HEAD.size:
                length, crc, sequence, enqueued_ms, _ = _HEAD.unpack_from(view, at)
                stop = at + _HEAD.size + length
                if stop > size:
                    break
                if zlib.crc32(view[at + _CHECKED_AT : stop]) != crc:
                    raise self._damaged(position + at)
                yield StoredEvent(sequence, enqueued_ms, position + at, position + stop, view[at + _HEAD.size : stop])
                at = stop
            if at == 0:
                # Longer than the chunk, unless its head lies.
                chunk = _HEAD.size + length
                if size < _HEAD.size or length > MAX_MESSAGE or position + chunk > self.end:
                    raise self._damaged(position)
            position += at

    def _damaged(self, position: int) -> LogDamagedError:
        return LogDamagedError(
            f"the log of partition {self._path.stem} of hub {self._path.parent.name} is damaged at byte {position}; "
            "restore the file, or remove the hub's folder to start it anew"
        )

    def _write(self, data: bytes, start: int) -> None:
        view = memoryview(data)
        written = 0
        try:
            while written < len(view):
                written += os.pwrite(self._log, view[written:], start + written)
            if self._fsync:
                os.fsync(self._log)
        except OSError:
            os.ftruncate(self._log, start)
            raise

    def _index_batch(self, sequence: int, position: int, enqueued_ms: int) -> None:
        """Note where a batch begins, if the last note is far enough back."""
        last = self._positions[-1] if self._positions else -INDEX_INTERVAL
        if position - last < INDEX_INTERVAL:
            return
        checked = _INDEX_CHECKED.pack(sequence, position, enqueued_ms)
        entry = _INDEX_ENTRY.pack(sequence, position, enqueued_ms, zlib.crc32(checked))
        os.pwrite(self._index, entry, len(self._positions) * _INDEX_ENTRY.size)
        self._sequences.append(sequence)
        self._positions.append(position)
        self._times.append(enqueued_ms)

    def _recover(self) -> None:
        """Find the end of the last whole batch, from the last sound index entry on, and cut what follows."""
        size = os.fstat(self._log).st_size
        magic = os.pread(self._log, len(MAGIC), 0)
        if magic != MAGIC[: len(magic)]:
            raise self._damaged(0)
        if len(magic) < len(MAGIC):
            self._write(MAGIC, 0)
            size = len(MAGIC)
        self._load_index(size)
        # The batch an index entry points to may itself be the torn one: then start from the entry before.
        while not self._scan(size) and self._positions:
            self._drop_last_index_entry()
        if self.end < size:
            os.ftruncate(self._log, self.end)
        os.ftruncate(self._index, len(self._positions) * _INDEX_ENTRY.size)

    def _scan(self, size: int) -> bool:
        """Read from the last index entry on; tell whether a whole batch was found there."""
        start = self.end = self._positions[-1] if self._positions else len(MAGIC)
        self.next_sequence = self._sequences[-1] if self._sequences else 0
        batch: list[_Record] = []
        for record in self._tail(start, size):
            if record.sequence != self.next_sequence + len(batch):
                raise self._damaged(record.position)
            batch.append(record)
            if record.remaining == 0:
                self.end = record.next_position
                self.next_sequence = record.sequence + 1
                self.last_enqueued_ms = record.enqueued_ms
                self.last_position = record.position
                self._index_batch(batch[0].sequence, batch[0].position, batch[0].enqueued_ms)
                batch = []
        return self.end > start

    def _tail(self, position: int, size: int) -> Iterator[_Record]:
        """Yield the sound records from `position` on, up to one that a crash cut short."""
        while size - position >= _HEAD.size:
            head = os.pread(self._log, _HEAD.size, position)
            length, crc, sequence, enqueued_ms, remaining = _HEAD.unpack(head)
            stop = position + _HEAD.size + length
            if length <= MAX_MESSAGE and stop > size:
                return
            checked = os.pread(self._log, stop - position - _CHECKED_AT, position + _CHECKED_AT)
            if length > MAX_MESSAGE or zlib.crc32(checked) != crc:
                # The last record may have kept its length and lost its bytes; so may a block of zeros at the end.
                if stop == size or self._only_zeros(position, size):
                    return
                raise self._damaged(position)
            yield _Record(sequence, enqueued_ms, position, stop, remaining)
            position = stop

    def _only_zeros(self, position: int, size: int) -> bool:
        while position < size:
            data = os.pread(self._log, READ_SIZE, position)
            if data.strip(b"\x00"):
                return False
            position += len(data)
        return True

    def _load_index(self, size: int) -> None:
        """Take the index's entries up to the first that does not check or points past the log."""
        data = os.pread(self._index, os.fstat(self._index).st_size, 0)
        whole = len(data) - len(data) % _INDEX_ENTRY.size
        last = -1
        for sequence, position, enqueued_ms, crc in _INDEX_ENTRY.iter_unpack(data[:whole]):
            sound = crc == zlib.crc32(_INDEX_CHECKED.pack(sequence, position, enqueued_ms))
            if not sound or position <= last or position + _HEAD.size > size:
                break
            self._sequences.append(sequence)
            self._positions.append(position)
            self._times.append(enqueued_ms)
            last = position
        while self._positions:
            head = os.pread(self._log, _HEAD.size, self._positions[-1])
            if _HEAD.unpack(head)[2] == self._sequences[-1]:
                break
            self._drop_last_index_entry()

    def _drop_last_index_entry(self) -> None:
        for column in (self._sequences, self._positions, self._times):
            column.pop()
