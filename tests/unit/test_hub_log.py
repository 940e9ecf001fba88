from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventhubs.hub.errors import LogDamagedError
from eventhubs.hub.log import Encoder, PartitionLog
from eventhubs.hub.segment import INDEX_INTERVAL


def fixed(*messages: bytes) -> list[Encoder]:
    return [lambda sequence, offset, enqueued_ms, message=message: message for message in messages]


@contextmanager
def opened(path: Path, *, fsync: bool = False) -> Iterator[PartitionLog]:
    log = PartitionLog(path, fsync=fsync)
    try:
        yield log
    finally:
        log.close()


def messages_of(log: PartitionLog) -> list[bytes]:
    found: list[bytes] = []
    position = log.position_of(0)
    while events := log.read(position, 10):
        found += [bytes(event.message) for event in events]
        position = events[-1].next_position
    return found


def filled(path: Path, batches: int, size: int = 1000) -> None:
    """Write batches of two events each; batch n is enqueued at 1000 + n // 3 milliseconds."""
    with opened(path) as log:
        for number in range(batches):
            log.append(fixed(bytes([number % 256]) * size, b"second"), 1000 + number // 3)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "0.log"


def test_a_new_log_is_empty(path: Path) -> None:
    with opened(path) as log:
        assert (log.next_sequence, log.last_position, log.last_enqueued_ms) == (0, -1, 0)
        assert log.read(log.end, 10) == []


def test_sequence_numbers_start_at_0_without_gaps_across_batches_and_restarts(path: Path) -> None:
    with opened(path) as log:
        assert log.append(fixed(b"a", b"b"), 5) == 0
        assert log.append(fixed(b"c"), 5) == 2
    with opened(path, fsync=True) as log:
        assert log.append(fixed(b"d"), 5) == 3
        events = log.read(log.position_of(0), 10)

    assert [event.sequence for event in events] == [0, 1, 2, 3]
    assert [bytes(event.message) for event in events] == [b"a", b"b", b"c", b"d"]


def test_encoders_are_told_the_number_offset_and_time_they_are_stored_under(path: Path) -> None:
    told: list[tuple[int, int, int]] = []

    def encode(sequence: int, offset: int, enqueued_ms: int) -> bytes:
        told.append((sequence, offset, enqueued_ms))
        return b"x" * 10

    with opened(path) as log:
        log.append([encode, encode], 77)
        log.append([encode], 78)
        stored = [(e.sequence, e.position, e.enqueued_ms) for e in log.read(log.position_of(0), 10)]

    assert told == stored


def test_time_never_runs_backwards_even_after_a_restart(path: Path) -> None:
    with opened(path) as log:
        log.append(fixed(b"a"), 100)
        log.append(fixed(b"b"), 40)
    with opened(path) as log:
        log.append(fixed(b"c"), 60)
        assert [event.enqueued_ms for event in log.read(log.position_of(0), 9)] == [100, 100, 100]


def test_reading_stops_at_the_number_of_events_asked_for(path: Path) -> None:
    with opened(path) as log:
        log.append(fixed(*[b"x"] * 20), 1)
        assert len(log.read(log.position_of(5), 7)) == 7


def test_reading_gives_one_event_at_least_however_large(path: Path) -> None:
    with opened(path) as log:
        log.append(fixed(b"a" * 700_000, b"b" * 700_000, b"c"), 1)
        first = log.read(log.position_of(0), 10, max_bytes=100)
        assert [len(event.message) for event in first] == [700_000]
        assert [len(message) for message in messages_of(log)] == [700_000, 700_000, 1]


def test_every_event_is_found_by_number_offset_and_time(path: Path) -> None:
    filled(path, 400)
    with opened(path) as log:
        everything = [event for start in range(0, 800, 100) for event in log.read(log.position_of(start), 100)]
        assert [event.sequence for event in everything] == list(range(800))
        for event in everything[::13]:
            assert log.position_of(event.sequence) == event.position
            assert log.position_after(event.position - 1) == event.position
            assert log.position_after(event.position) == event.next_position
        for enqueued_ms in (0, 1000, 1001, 1050, 1133, 1134):
            expected = next((e.position for e in everything if e.enqueued_ms >= enqueued_ms), log.end)
            assert log.position_at_time(enqueued_ms) == expected
        assert log.position_of(800) == log.end
        assert log.position_after(log.last_position) == log.end


def test_the_first_of_many_events_of_one_millisecond_is_found(path: Path) -> None:
    with opened(path) as log:
        log.append(fixed(b"before"), 999)
        for _ in range(20):
            log.append(fixed(b"x" * INDEX_INTERVAL), 1000)
        assert log.position_at_time(1000) == log.position_of(1)


def test_finding_an_event_reads_a_stretch_not_the_whole_log(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(path, 2000, size=4000)
    with opened(path) as log:
        read = 0
        pread = os.pread

        def counted(descriptor: int, size: int, offset: int) -> bytes:
            nonlocal read
            data = pread(descriptor, size, offset)
            read += len(data)
            return data

        monkeypatch.setattr(os, "pread", counted)
        log.position_of(1777)
        assert read < 8 * INDEX_INTERVAL
        assert path.stat().st_size > 8_000_000


def test_opening_a_long_log_reads_only_its_end(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(path, 1000, size=4000)
    read = 0
    pread = os.pread

    def counted(descriptor: int, size: int, offset: int) -> bytes:
        nonlocal read
        data = pread(descriptor, size, offset)
        read += len(data)
        return data

    monkeypatch.setattr(os, "pread", counted)
    with opened(path) as log:
        assert log.next_sequence == 2000
    assert read < 4 * INDEX_INTERVAL


def test_a_log_cut_anywhere_keeps_exactly_its_whole_batches(tmp_path: Path) -> None:
    whole = tmp_path / "whole.log"
    boundaries = [8]
    with opened(whole) as log:
        for batch in ([b"one"], [b"two", b"three"], [b""], [b"four", b"five", b"six"]):
            log.append(fixed(*batch), 9)
            boundaries.append(log.end)
    data = whole.read_bytes()
    everything = [b"one", b"two", b"three", b"", b"four", b"five", b"six"]
    stored = dict(zip(boundaries, (0, 1, 3, 4, 7), strict=True))

    for cut in range(len(data) + 1):
        path = tmp_path / f"{cut}.log"
        path.write_bytes(data[:cut])
        with opened(path) as log:
            count = max(stored[boundary] for boundary in boundaries if boundary <= max(cut, 8))
            assert messages_of(log) == everything[:count]
            assert log.append(fixed(b"after"), 9) == count
        with opened(path) as log:
            assert messages_of(log) == [*everything[:count], b"after"]


@settings(max_examples=25, deadline=None)
@given(batches=st.integers(60, 200), data=st.data())
def test_a_long_log_cut_anywhere_with_any_index_keeps_its_whole_batches(
    tmp_path_factory: pytest.TempPathFactory, batches: int, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("log") / "0.log"
    filled(path, batches)
    index = path.with_suffix(".index")
    cut = data.draw(st.integers(0, path.stat().st_size))
    os.truncate(path, cut)
    os.truncate(index, data.draw(st.integers(0, index.stat().st_size)))
    batch_size = (28 + 1000) + (28 + 6)

    with opened(path) as log:
        kept = max(0, cut - 8) // batch_size
        assert log.next_sequence == 2 * kept
        assert len(messages_of(log)) == 2 * kept
        assert log.last_enqueued_ms == (1000 + (kept - 1) // 3 if kept else 0)
        assert log.last_position == (log.end - (28 + 6) if kept else -1)
        assert log.append(fixed(b"after"), 0) == 2 * kept
        assert log.position_of(2 * kept) == log.last_position


def test_a_torn_batch_that_the_index_points_to_is_dropped_and_its_predecessor_is_known(path: Path) -> None:
    with opened(path) as log:
        log.append(fixed(b"x" * INDEX_INTERVAL), 50)
        kept = log.last_position
        log.append(fixed(b"indexed", b"torn"), 60)
    os.truncate(path, path.stat().st_size - 1)

    with opened(path) as log:
        assert (log.next_sequence, log.last_position, log.last_enqueued_ms) == (1, kept, 50)


@pytest.mark.parametrize("rubbish", [b"", b"\x00" * 100, b"\xff" * 1000])
def test_an_index_that_is_lost_or_rubbish_is_built_anew(path: Path, rubbish: bytes) -> None:
    filled(path, 300)
    index = path.with_suffix(".index")
    sound = index.read_bytes()
    index.write_bytes(rubbish)

    with opened(path) as log:
        assert log.next_sequence == 600
    assert index.read_bytes() == sound


def test_zeros_at_the_end_are_what_a_crash_leaves_and_are_dropped(path: Path) -> None:
    filled(path, 3)
    size = path.stat().st_size
    with path.open("ab") as file:
        file.write(b"\x00" * 5000)

    with opened(path) as log:
        assert log.next_sequence == 6
    assert path.stat().st_size == size


def test_a_last_record_that_does_not_check_is_dropped_with_its_batch(path: Path) -> None:
    filled(path, 3)
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"?")

    with opened(path) as log:
        assert log.next_sequence == 4


def test_damage_before_the_end_is_told_when_opening_and_nothing_is_cut(path: Path) -> None:
    filled(path, 3)
    before = bytearray(path.read_bytes())
    before[200] ^= 1
    path.write_bytes(before)

    with pytest.raises(LogDamagedError, match="restore"):
        PartitionLog(path)
    assert path.read_bytes() == before


def test_damage_before_the_last_index_entry_is_told_when_reading(path: Path) -> None:
    filled(path, 300)
    with path.open("r+b") as file:
        file.seek(5000)
        file.write(b"?")

    with opened(path) as log, pytest.raises(LogDamagedError):
        messages_of(log)


def test_a_file_of_another_kind_is_left_alone(path: Path) -> None:
    path.write_bytes(b"PK\x03\x04 not a log at all")

    with pytest.raises(LogDamagedError):
        PartitionLog(path)
    assert path.read_bytes().startswith(b"PK")


def test_a_batch_the_disk_refuses_leaves_the_log_as_it_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(path) as log:
        log.append(fixed(b"kept"), 1)
        end = log.end
        pwrite = os.pwrite

        def full(descriptor: int, data: bytes, offset: int) -> int:
            if offset > end:
                raise OSError(28, "No space left on device")
            return pwrite(descriptor, data[:10], offset)

        with monkeypatch.context() as patch:
            patch.setattr(os, "pwrite", full)
            with pytest.raises(OSError, match="No space"):
                log.append(fixed(b"lost"), 2)
        assert path.stat().st_size == end
        assert log.append(fixed(b"next"), 3) == 1
        assert messages_of(log) == [b"kept", b"next"]
