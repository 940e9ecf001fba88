"""One file of a partition's log: records that are only ever appended, with a sparse index beside them.

Promises: a batch is stored wholly or not at all; what `append` returned for survives `kill -9` (and, with `fsync`,
loss of power). A record that was only partly written is dropped by `recover`; anything else that does not check is
`LogDamagedError`, never skipped.

File: a head, then records of 28 bytes and the message. These bytes hold the message's length, the CRC-32 of everything
after these two numbers, sequence number, time in ms, and how many records of the same batch follow. Positions count
through all of a partition's segments, so that an event's offset stays what it is when earlier segments are deleted. The
first segment's head is 8 bytes of magic; a later one's also says where it begins and what was the last event before it.

Index: one entry per 64 KiB or more, always at the start of a batch; it can be deleted and is then rebuilt.
"""

from __future__ import annotations

import os
import struct
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from eventhubs.hub.errors import LogDamagedError

__all__ = ["FIRST", "INDEX_INTERVAL", "READ_SIZE", "RECORD", "Origin", "Record", "Segment", "StoredEvent"]

INDEX_INTERVAL = 64 * 1024
READ_SIZE = 128 * 1024
MAX_MESSAGE = 2 * 1024 * 1024
"""No record is longer: a larger length is damage, not a message."""
_FIRST_MAGIC = b"RWHUB\x00\x00\x01"
_LATER_MAGIC = b"RWHUB\x00\x00\x02"
_ORIGIN = struct.Struct(">QQQq")
_CRC = struct.Struct(">I")
_LATER_HEAD = len(_LATER_MAGIC) + _ORIGIN.size + _CRC.size
_INDEX_ENTRY = struct.Struct(">QQQI")
_INDEX_CHECKED = struct.Struct(">QQQ")


class Record:
    """The 28 bytes before a message."""

    head = struct.Struct(">IIQQI")
    checked = struct.Struct(">QQI")
    checked_at = head.size - checked.size

    @classmethod
    def encode(cls, message: bytes, sequence: int, enqueued_ms: int, remaining: int) -> bytes:
        """Give the bytes that go before `message`; `remaining` records of its batch follow."""
        crc = zlib.crc32(message, zlib.crc32(cls.checked.pack(sequence, enqueued_ms, remaining)))
        return cls.head.pack(len(message), crc, sequence, enqueued_ms, remaining)


RECORD = Record.head.size


class StoredEvent(NamedTuple):
    """One event as stored."""

    sequence: int
    enqueued_ms: int
    position: int
    """Where its record begins: the event's offset."""
    next_position: int
    message: memoryview


class Origin(NamedTuple):
    """What a segment knows of the log before it."""

    first_sequence: int
    """Number of the first event in it, or the first to come."""
    start: int
    """Position of that event's record."""
    last_ms: int
    """Time of the last event before; 0 if there was none."""
    last_position: int
    """Offset of the last event before; -1 if there was none."""


FIRST = Origin(0, len(_FIRST_MAGIC), 0, -1)


class _Tail(NamedTuple):
    """A record met while recovering: the event without its message, and its place in the batch."""

    sequence: int
    enqueued_ms: int
    position: int
    next_position: int
    remaining: int


class Segment:
    """The segment at `path`. After construction call `recover`, to append to it, or `seal`, to read it only."""

    def __init__(self, path: Path, origin: Origin, *, fsync: bool = False) -> None:
        self.path = path
        self.origin = origin
        self.end = origin.start
        """Position after the last record."""
        self.next_sequence = origin.first_sequence
        self.last_ms = origin.last_ms
        """Time of the last event up to here."""
        self.last_position = origin.last_position
        """Offset of the last event up to here."""
        self._fsync = fsync
        self._head_size = len(_FIRST_MAGIC) if origin == FIRST else _LATER_HEAD
        self._shift = origin.start - self._head_size
        self._index_path = path.with_suffix(".index")
        self._log: int | None = None
        self._index: int | None = None
        self._sequences = array("Q")
        self._positions = array("Q")
        self._times = array("Q")
        self._index_is_loaded = False

    @classmethod
    def create(cls, path: Path, origin: Origin, *, fsync: bool) -> Segment:
        """Make a new, empty segment that appears under its name only when it is whole."""
        draft = path.with_suffix(".new")
        with draft.open("wb") as file:
            file.write(_head(origin))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        if fsync:
            _sync_folder(path.parent)
        return cls(path, origin, fsync=fsync)

    @classmethod
    def find(cls, path: Path, *, fsync: bool) -> Segment:
        """Find a later segment by what its head says. Raises `LogDamagedError`."""
        with path.open("rb") as file:
            head = file.read(_LATER_HEAD)
        if len(head) == _LATER_HEAD and head.startswith(_LATER_MAGIC):
            origin = Origin(*_ORIGIN.unpack_from(head, len(_LATER_MAGIC)))
            if head == _head(origin):
                return cls(path, origin, fsync=fsync)
        raise damaged(path, 0)

    @property
    def first_ms(self) -> int | None:
        """Time of the first event in it; None while it is empty."""
        return self._times[0] if self._times else None

    @property
    def is_empty(self) -> bool:
        """Whether it holds no events."""
        return self.end == self.origin.start

    def close(self) -> None:
        """Close the files."""
        for descriptor in (self._log, self._index):
            if descriptor is not None:
                os.close(descriptor)
        self._log = self._index = None

    def remove(self) -> None:
        """Delete the files; what comes after them is not touched."""
        self.close()
        self._index_path.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)

    def seal(self, following: Origin) -> None:
        """Take it as finished where the next one begins; the index is read when it is needed.

        Raises `LogDamagedError` unless the file ends there.
        """
        self.close()
        self.next_sequence, self.end, self.last_ms, self.last_position = following
        if self.path.stat().st_size != self.end - self._shift:
            raise damaged(self.path, self.path.stat().st_size)

    def sync(self) -> None:
        """Bring everything appended to the disk."""
        assert self._log is not None
        os.fdatasync(self._log)

    def append(self, data: bytes, sequence: int, enqueued_ms: int, count: int, last_position: int) -> None:
        """Store the records of one batch. Raises `OSError` with the segment unchanged where the disk refuses."""
        start = self.end
        self._write(data, start)
        self.end = start + len(data)
        self.next_sequence = sequence + count
        self.last_ms = enqueued_ms
        self.last_position = last_position
        self._index_batch(sequence, start, enqueued_ms)

    def events(self, position: int, chunk: int = READ_SIZE) -> Iterator[StoredEvent]:
        """Yield the events from `position` to the end, reading about `chunk` bytes at a time.

        Messages are views of what was read. Raises `LogDamagedError`.
        """
        unpack_from, head_size, checked_at, crc32 = Record.head.unpack_from, RECORD, Record.checked_at, zlib.crc32
        while position < self.end:
            view = memoryview(self._pread(min(max(chunk, head_size), self.end - position), position))
            size = len(view)
            at = length = 0
            while size - at >= head_size:
                length, crc, sequence, enqueued_ms, _ = unpack_from(view, at)
                stop = at + head_size + length
                if stop > size:
                    break
                if crc32(view[at + checked_at : stop]) != crc:
                    raise damaged(self.path, position + at - self._shift)
                yield StoredEvent(sequence, enqueued_ms, position + at, position + stop, view[at + head_size : stop])
                at = stop
            if at == 0:
                # Longer than the chunk, unless its head lies.
                chunk = head_size + length
                if size < head_size or length > MAX_MESSAGE or position + chunk > self.end:
                    raise damaged(self.path, position - self._shift)
            position += at

    def position_of(self, sequence: int) -> int:
        """Give the position of event `sequence`, or the end for the next one to come."""
        self._load_index()
        return self._find(self._sequences, sequence, lambda event: event.sequence >= sequence)

    def position_after(self, offset: int) -> int:
        """Give the position of the first event whose offset is greater than `offset`, or the end."""
        self._load_index()
        return self._find(self._positions, offset, lambda event: event.position > offset)

    def position_at_time(self, enqueued_ms: int) -> int:
        """Give the position of the first event enqueued at `enqueued_ms` or later, or the end."""
        self._load_index()
        # Events of one millisecond may lie on both sides of an index entry: look from an earlier millisecond on.
        return self._find(self._times, enqueued_ms - 1, lambda event: event.enqueued_ms >= enqueued_ms)

    def recover(self) -> None:
        """Open it to append: find the end of the last whole batch and cut what follows. Raises `LogDamagedError`."""
        self._log = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        self._index = os.open(self._index_path, os.O_RDWR | os.O_CREAT, 0o644)
        size = os.fstat(self._log).st_size
        expected = _head(self.origin)
        head = os.pread(self._log, self._head_size, 0)
        if head != expected[: len(head)]:
            raise damaged(self.path, 0)
        if len(head) < self._head_size:
            self._write(expected, self._shift)
            size = self._head_size
        size += self._shift
        self._load_index()
        self._check_last_index_entry(size)
        # The batch an index entry points to may itself be the torn one: then start from the entry before.
        while not self._scan(size) and self._positions:
            self._drop_last_index_entry()
        if self.end < size:
            os.ftruncate(self._log, self.end - self._shift)
        os.ftruncate(self._index, len(self._positions) * _INDEX_ENTRY.size)

    def _find(self, keys: array[int], key: int, found: Callable[[StoredEvent], bool]) -> int:
        entry = bisect_right(keys, key) - 1
        start = self._positions[entry] if entry >= 0 else self.origin.start
        for event in self.events(start):
            if found(event):
                return event.position
        return self.end

    def _pread(self, size: int, position: int) -> bytes:
        if self._log is not None:
            return os.pread(self._log, size, position - self._shift)
        # Sealed ones are many and seldom read: an open file each would run into the limit of the process.
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            return os.pread(descriptor, size, position - self._shift)
        finally:
            os.close(descriptor)

    def _write(self, data: bytes, start: int) -> None:
        assert self._log is not None
        view = memoryview(data)
        written = 0
        try:
            while written < len(view):
                written += os.pwrite(self._log, view[written:], start - self._shift + written)
            if self._fsync:
                os.fsync(self._log)
        except OSError:
            os.ftruncate(self._log, start - self._shift)
            raise

    def _index_batch(self, sequence: int, position: int, enqueued_ms: int) -> None:
        """Note where a batch begins, if the last note is far enough back."""
        if self._positions and position - self._positions[-1] < INDEX_INTERVAL:
            return
        assert self._index is not None
        checked = _INDEX_CHECKED.pack(sequence, position, enqueued_ms)
        entry = _INDEX_ENTRY.pack(sequence, position, enqueued_ms, zlib.crc32(checked))
        os.pwrite(self._index, entry, len(self._positions) * _INDEX_ENTRY.size)
        self._sequences.append(sequence)
        self._positions.append(position)
        self._times.append(enqueued_ms)

    def _scan(self, size: int) -> bool:
        """Read from the last index entry on; tell whether a whole batch was found there."""
        origin = self.origin
        start = self.end = self._positions[-1] if self._positions else origin.start
        self.next_sequence = self._sequences[-1] if self._sequences else origin.first_sequence
        batch: list[_Tail] = []
        for record in self._tail(start, size):
            if record.sequence != self.next_sequence + len(batch):
                raise damaged(self.path, record.position - self._shift)
            batch.append(record)
            if record.remaining == 0:
                self.end = record.next_position
                self.next_sequence = record.sequence + 1
                self.last_ms = record.enqueued_ms
                self.last_position = record.position
                self._index_batch(batch[0].sequence, batch[0].position, batch[0].enqueued_ms)
                batch = []
        return self.end > start

    def _tail(self, position: int, size: int) -> Iterator[_Tail]:
        """Yield the sound records from `position` on, up to one that a crash cut short."""
        while size - position >= RECORD:
            length, crc, sequence, enqueued_ms, remaining = Record.head.unpack(self._pread(RECORD, position))
            stop = position + RECORD + length
            if length <= MAX_MESSAGE and stop > size:
                return
            checked = self._pread(stop - position - Record.checked_at, position + Record.checked_at)
            if length > MAX_MESSAGE or zlib.crc32(checked) != crc:
                # The last record may have kept its length and lost its bytes; so may a block of zeros at the end.
                if stop == size or self._only_zeros(position, size):
                    return
                raise damaged(self.path, position - self._shift)
            yield _Tail(sequence, enqueued_ms, position, stop, remaining)
            position = stop

    def _only_zeros(self, position: int, size: int) -> bool:
        while position < size:
            data = self._pread(READ_SIZE, position)
            if data.strip(b"\x00"):
                return False
            position += len(data)
        return True

    def _load_index(self) -> None:
        """Take the index's entries up to the first that does not check; fewer make finding slower, never wrong."""
        if self._index_is_loaded:
            return
        self._index_is_loaded = True
        data = self._index_path.read_bytes() if self._index_path.exists() else b""
        whole = len(data) - len(data) % _INDEX_ENTRY.size
        last = self.origin.start - 1
        for sequence, position, enqueued_ms, crc in _INDEX_ENTRY.iter_unpack(data[:whole]):
            sound = crc == zlib.crc32(_INDEX_CHECKED.pack(sequence, position, enqueued_ms))
            if not sound or position <= last:
                break
            self._sequences.append(sequence)
            self._positions.append(position)
            self._times.append(enqueued_ms)
            last = position

    def _check_last_index_entry(self, size: int) -> None:
        """Drop entries that point past the log, or at a record that is not theirs."""
        while self._positions:
            if self._positions[-1] + RECORD <= size:
                head = self._pread(RECORD, self._positions[-1])
                if Record.head.unpack(head)[2] == self._sequences[-1]:
                    return
            self._drop_last_index_entry()

    def _drop_last_index_entry(self) -> None:
        for column in (self._sequences, self._positions, self._times):
            column.pop()


def damaged(path: Path, at: int) -> LogDamagedError:
    """Give the error for a file that does not check at byte `at`."""
    return LogDamagedError(
        f"the log {path.name} of hub {path.parent.name} is damaged at byte {at}; restore the file, or remove the hub's "
        "folder to start it anew"
    )


def _head(origin: Origin) -> bytes:
    if origin == FIRST:
        return _FIRST_MAGIC
    described = _LATER_MAGIC + _ORIGIN.pack(*origin)
    return described + _CRC.pack(zlib.crc32(described))


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
