"""One partition's log: events in files that are only ever appended to, found again by number, offset or time.

Promises: sequence numbers start at 0 and have no gaps; a batch is stored wholly or not at all; what `append`
returned for survives `kill -9` (and, with `fsync`, loss of power); with a retention, an event stays at least that long
and is gone once it is an eighth older, number and offset of all others unchanged. A record that was only partly
written is dropped at the next opening; anything else that does not check is `LogDamagedError`, never skipped.
Does not promise: safety against two writers (the folder's lock does) or against a second thread.

Files: `0.log`, then `0.<position>.log` and so on, one after the other without a gap (`segment` says what is in them). A
new one is begun when the last is large enough or spans an eighth of the retention; the first is deleted when the newest
event in it has become too old. Opening reads the heads of all segments, and the index and the end of the last one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from pathlib import Path

from eventhubs.hub.segment import FIRST, READ_SIZE, RECORD, Origin, Record, Segment, StoredEvent, damaged

__all__ = ["SEGMENT_SIZE", "Encoder", "PartitionLog", "StoredEvent"]

SEGMENT_SIZE = 64 * 1024 * 1024
"""Bytes after which a new segment is begun."""
SPANS = 8
"""Segments that a retention is divided into, where they are not large enough to be ended before."""

Encoder = Callable[[int, int, int], bytes]
"""Gives the bytes to store for (sequence number, offset, enqueued time in ms)."""


class PartitionLog:
    """The log whose first file is `path` (`0.log`), created if missing. `retention_ms` None keeps everything."""

    def __init__(
        self,
        path: Path,
        *,
        fsync: bool = False,
        segment_size: int = SEGMENT_SIZE,
        retention_ms: int | None = None,
    ) -> None:
        self._path = path
        self._fsync = fsync
        self._segment_size = segment_size
        self._retention_ms = retention_ms
        self._segments = self._find_segments()
        try:
            for segment, following in zip(self._segments, self._segments[1:], strict=False):
                segment.seal(following.origin)
            self._segments[-1].recover()
        except BaseException:
            self.close()
            raise

    @property
    def begin(self) -> int:
        """Position of the first event that is kept."""
        return self._segments[0].origin.start

    @property
    def begin_sequence(self) -> int:
        """Number of the first event that is kept; the next one to come while none is."""
        return self._segments[0].origin.first_sequence

    @property
    def end(self) -> int:
        """Position after the last record."""
        return self._segments[-1].end

    @property
    def next_sequence(self) -> int:
        """Number that the next event gets."""
        return self._segments[-1].next_sequence

    @property
    def last_enqueued_ms(self) -> int:
        """Time of the last event, kept or not; 0 if there never was one."""
        return self._segments[-1].last_ms

    @property
    def last_position(self) -> int:
        """Offset of the last event, kept or not; -1 if there never was one."""
        return self._segments[-1].last_position

    def close(self) -> None:
        """Close the files; the log cannot be used afterwards."""
        for segment in self._segments:
            segment.close()

    def append(self, encoders: Sequence[Encoder], now_ms: int) -> int:
        """Store one batch wholly; give the sequence number of its first event.

        Times never run backwards: an event is stored with the later of `now_ms` and its predecessor's time.
        Raises `OSError` with the log unchanged where the disk refuses.
        """
        active = self._segments[-1]
        enqueued_ms = max(now_ms, active.last_ms)
        if self._is_full(active, enqueued_ms):
            active = self._roll()
        first = active.next_sequence
        position = last_position = active.end
        remaining = len(encoders)
        parts: list[bytes] = []
        for sequence, encode in enumerate(encoders, first):
            last_position = position
            remaining -= 1
            message = encode(sequence, position, enqueued_ms)
            parts += (Record.encode(message, sequence, enqueued_ms, remaining), message)
            position += RECORD + len(message)
        active.append(b"".join(parts), first, enqueued_ms, len(encoders), last_position)
        return first

    def read(self, position: int, max_events: int, max_bytes: int = READ_SIZE) -> list[StoredEvent]:
        """Read up to `max_events` events from the record at `position` on, about `max_bytes` at most, one at least.

        Begins with the first event kept where retention has passed `position`; empty only at the log's end.
        Messages are views of the buffers read for this call. Raises `LogDamagedError`.
        """
        position = max(position, self.begin)
        events: list[StoredEvent] = []
        for event in self._segment_at(position).events(position, max_bytes):
            events.append(event)
            if len(events) >= max_events or event.next_position - position >= max_bytes:
                break
        return events

    def position_of(self, sequence: int) -> int:
        """Give the position of event `sequence`, of the first one kept, or the log's end for the next one to come."""
        return self._segment_of(lambda origin: origin.first_sequence, sequence).position_of(sequence)

    def position_after(self, offset: int) -> int:
        """Give the position of the first event kept whose offset is greater than `offset`."""
        return self._segment_of(lambda origin: origin.start, offset).position_after(offset)

    def position_at_time(self, enqueued_ms: int) -> int:
        """Give the position of the first event kept that was enqueued at `enqueued_ms` or later."""
        for segment in self._segments:
            if segment.last_ms >= enqueued_ms:
                return segment.position_at_time(enqueued_ms)
        return self.end

    def expire(self, now_ms: int) -> None:
        """Delete what has become too old. Raises `OSError` where a file cannot be deleted; it is tried again later."""
        if self._retention_ms is None:
            return
        oldest = now_ms - self._retention_ms
        if not self._segments[-1].is_empty and self.last_enqueued_ms < oldest:
            self._roll()
        while len(self._segments) > 1 and self._segments[0].last_ms < oldest:
            self._segments[0].remove()
            del self._segments[0]

    def _is_full(self, active: Segment, now_ms: int) -> bool:
        if active.is_empty:
            return False
        if active.end - active.origin.start >= self._segment_size:
            return True
        first_ms = active.first_ms
        return (
            self._retention_ms is not None and first_ms is not None and now_ms - first_ms >= self._retention_ms // SPANS
        )

    def _roll(self) -> Segment:
        """Begin a new segment."""
        active = self._segments[-1]
        origin = Origin(active.next_sequence, active.end, active.last_ms, active.last_position)
        # Whatever the policy: a loss of power may take the end of the log, but never leave a hole in it.
        active.sync()
        path = self._later(origin.start)
        following = Segment(path, origin)
        try:
            following = Segment.create(path, origin, fsync=self._fsync)
            following.recover()
        except OSError:
            following.remove()
            raise
        active.seal(origin)
        self._segments.append(following)
        return following

    def _segment_at(self, position: int) -> Segment:
        return self._segment_of(lambda origin: origin.start, position)

    def _segment_of(self, key: Callable[[Origin], int], value: int) -> Segment:
        """Give the last segment whose origin is not past `value`, or else the first."""
        found = bisect_right(self._segments, value, key=lambda segment: key(segment.origin)) - 1
        return self._segments[max(found, 0)]

    def _later(self, start: int) -> Path:
        return self._path.with_name(f"{self._path.stem}.{start:020d}.log")

    def _find_segments(self) -> list[Segment]:
        """Find the files of this log, and clear away what a crash left of making or deleting one."""
        stem, folder = self._path.stem, self._path.parent
        for draft in folder.glob(f"{stem}.*new"):
            draft.unlink()
        segments = [Segment.find(path, fsync=self._fsync) for path in sorted(folder.glob(f"{stem}.*.log"))]
        if self._path.exists() or not segments:
            segments.insert(0, Segment(self._path, FIRST, fsync=self._fsync))
        for segment in segments:
            if segment.origin != FIRST and segment.path != self._later(segment.origin.start):
                raise damaged(segment.path, 0)
        known = {segment.path.with_suffix(".index") for segment in segments}
        for index in (self._path.with_suffix(".index"), *folder.glob(f"{stem}.*.index")):
            if index not in known:
                index.unlink(missing_ok=True)
        return segments
