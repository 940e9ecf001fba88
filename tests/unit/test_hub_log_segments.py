"""A partition's log in several files: nobody can tell from outside where one ends, and retention takes whole ones."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventhubs.hub.errors import LogDamagedError
from eventhubs.hub.log import SPANS, Encoder, PartitionLog
from eventhubs.hub.segment import INDEX_INTERVAL, Record, StoredEvent

SIZE = 2000
"""Bytes after which these tests' segments end."""
RETENTION = 800


def numbered(count: int, size: int = 100) -> list[Encoder]:
    """Events that say which they are."""
    return [lambda sequence, offset, enqueued_ms: b"%d|%s" % (sequence, b"." * size)] * count


@contextmanager
def opened(path: Path, **options: Any) -> Iterator[PartitionLog]:
    log = PartitionLog(path, **{"segment_size": SIZE, **options})
    try:
        yield log
    finally:
        log.close()


def everything(log: PartitionLog) -> list[StoredEvent]:
    found: list[StoredEvent] = []
    position = log.begin
    while events := log.read(position, 7):
        found += events
        position = events[-1].next_position
    return found


def check(log: PartitionLog) -> list[int]:
    """What always holds; gives the numbers of the events kept."""
    events = everything(log)
    numbers = [event.sequence for event in events]
    assert numbers == list(range(log.begin_sequence, log.next_sequence))
    assert all(bytes(event.message).startswith(b"%d|" % event.sequence) for event in events)
    assert [event.next_position for event in events[:-1]] == [event.position for event in events[1:]]
    assert log.end == (events[-1].next_position if events else log.begin)
    if events:
        assert (log.last_position, log.last_enqueued_ms) == (events[-1].position, events[-1].enqueued_ms)
    return numbers


def files(path: Path) -> list[str]:
    return sorted((file.name for file in path.parent.glob("*.log")), key=lambda name: (name != path.name, name))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "0.log"


def test_a_log_goes_on_in_new_files_without_a_seam(path: Path) -> None:
    with opened(path, segment_size=10**9) as whole:
        for batch in range(30):
            whole.append(numbered(3), 1000 + batch)
        expected = [event[:4] for event in everything(whole)]
    for file in path.parent.iterdir():
        file.unlink()

    with opened(path) as log:
        for batch in range(30):
            log.append(numbered(3), 1000 + batch)
        assert check(log) == list(range(90))
        assert [event[:4] for event in everything(log)] == expected
    assert len(files(path)) > 4
    with opened(path) as log:
        assert check(log) == list(range(90))
        assert log.append(numbered(1), 2000) == 90


def test_a_log_of_one_file_from_before_is_read_and_goes_on(path: Path) -> None:
    with opened(path, segment_size=10**9) as log:
        log.append(numbered(50), 1000)
    assert files(path) == ["0.log"]

    with opened(path) as log:
        log.append(numbered(1), 1001)
        assert check(log) == list(range(51))
    assert len(files(path)) == 2


def test_every_event_is_found_across_files_by_number_offset_and_time(path: Path) -> None:
    with opened(path) as log:
        for batch in range(40):
            log.append(numbered(2), 1000 + batch // 3)
    with opened(path) as log:
        events = everything(log)
        for event in events:
            assert log.position_of(event.sequence) == event.position
            assert log.position_after(event.position - 1) == event.position
            assert log.position_after(event.position) == event.next_position
        for enqueued_ms in range(998, 1016):
            expected = next((e.position for e in events if e.enqueued_ms >= enqueued_ms), log.end)
            assert log.position_at_time(enqueued_ms) == expected
        assert log.position_of(80) == log.position_after(log.last_position) == log.end


def test_what_retention_has_passed_is_gone_and_the_rest_is_as_it_was(path: Path) -> None:
    with opened(path, retention_ms=RETENTION) as log:
        for now_ms in range(1000, 3000, 10):
            log.append(numbered(1), now_ms)
            log.expire(now_ms)
        before = everything(log)
        first_ms = before[0].enqueued_ms
        assert 2990 - RETENTION * (SPANS + 1) // SPANS - 10 <= first_ms <= 2990 - RETENTION
        assert check(log) == list(range((first_ms - 1000) // 10, 200))
        assert log.position_of(0) == log.position_after(-1) == log.position_at_time(0) == log.begin
        assert log.read(0, 1)[0].sequence == log.begin_sequence
        assert len(files(path)) <= SPANS + 2
    with opened(path, retention_ms=RETENTION) as log:
        assert [event[:4] for event in everything(log)] == [event[:4] for event in before]


def test_nothing_is_dropped_before_its_time(path: Path) -> None:
    with opened(path, retention_ms=RETENTION) as log:
        log.append(numbered(1), 1000)
        log.expire(1000 + RETENTION)
        assert check(log) == [0]
        log.expire(1000 + RETENTION + 1)
        assert check(log) == []


def test_a_log_whose_events_are_all_too_old_is_empty_and_knows_its_numbers(path: Path) -> None:
    with opened(path, retention_ms=RETENTION) as log:
        log.append(numbered(5), 1000)
        last, end = log.last_position, log.end
        log.expire(5000)
    with opened(path, retention_ms=RETENTION) as log:
        log.expire(6000)
        assert (log.begin_sequence, log.next_sequence, log.begin, log.end) == (5, 5, end, end)
        assert (log.last_position, log.last_enqueued_ms) == (last, 1000)
        assert log.read(0, 10) == []
        assert log.append(numbered(1), 6000) == 5
        assert check(log) == [5]
    assert len(files(path)) == 1


def test_without_retention_nothing_is_ever_dropped(path: Path) -> None:
    with opened(path) as log:
        log.append(numbered(30), 1000)
        log.expire(10**12)
        assert check(log) == list(range(30))


def test_a_retention_that_comes_later_applies_to_what_is_there(path: Path) -> None:
    with opened(path) as log:
        for now_ms in range(1000, 2000, 10):
            log.append(numbered(1), now_ms)
    with opened(path, retention_ms=300) as log:
        log.expire(2000)
        assert 0 < check(log)[0] <= 70


@pytest.mark.parametrize("rubbish", [None, b"", b"\xff" * 1000])
def test_a_finished_files_index_may_be_lost(path: Path, rubbish: bytes | None) -> None:
    with opened(path, segment_size=5 * INDEX_INTERVAL) as log:
        for _ in range(12):
            log.append(numbered(1, INDEX_INTERVAL), 1000)
        events = everything(log)
    for index in path.parent.glob("*.index"):
        index.unlink()
        if rubbish is not None:
            index.write_bytes(rubbish)

    with opened(path, segment_size=5 * INDEX_INTERVAL) as log:
        assert [log.position_of(number) for number in range(12)] == [event.position for event in events]


def test_opening_many_files_reads_only_heads_and_the_end_of_the_last(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(path, segment_size=10 * INDEX_INTERVAL) as log:
        for _ in range(100):
            log.append(numbered(1, INDEX_INTERVAL), 1000)
    assert len(files(path)) >= 10
    read = 0
    pread = os.pread

    def counted(descriptor: int, size: int, offset: int) -> bytes:
        nonlocal read
        data = pread(descriptor, size, offset)
        read += len(data)
        return data

    monkeypatch.setattr(os, "pread", counted)
    with opened(path, segment_size=10 * INDEX_INTERVAL) as log:
        assert log.next_sequence == 100
    assert read < 4 * INDEX_INTERVAL


def test_a_torn_end_is_dropped_in_the_last_file_only(path: Path) -> None:
    with opened(path) as log:
        for _ in range(10):
            log.append(numbered(4), 1000)
    *_, before_last, last = files(path)
    with (path.parent / last).open("ab") as file:
        file.write(b"\x00\x00\x01\x00torn")
    with opened(path) as log:
        assert check(log) == list(range(40))

    with (path.parent / before_last).open("ab") as file:
        file.write(b"torn")
    with pytest.raises(LogDamagedError, match=before_last):
        PartitionLog(path)


def test_a_file_that_is_missing_or_cut_in_the_middle_is_told(path: Path) -> None:
    with opened(path) as log:
        for _ in range(10):
            log.append(numbered(4), 1000)
    middle = path.parent / files(path)[1]
    data = middle.read_bytes()
    middle.write_bytes(data[:-1])
    with pytest.raises(LogDamagedError):
        PartitionLog(path)
    middle.unlink()
    with pytest.raises(LogDamagedError):
        PartitionLog(path)
    middle.write_bytes(data)
    with opened(path) as log:
        assert check(log) == list(range(40))


@pytest.mark.parametrize("at", [0, 7, 8, 20, 43])
def test_a_head_that_does_not_check_is_told(path: Path, at: int) -> None:
    with opened(path) as log:
        for _ in range(10):
            log.append(numbered(4), 1000)
    last = path.parent / files(path)[-1]
    data = bytearray(last.read_bytes())
    data[at] ^= 1
    last.write_bytes(data)

    with pytest.raises(LogDamagedError, match=last.name):
        PartitionLog(path)


def test_logs_of_other_partitions_are_left_alone(tmp_path: Path) -> None:
    with opened(tmp_path / "1.log") as one, opened(tmp_path / "11.log") as eleven:
        for log in (one, eleven):
            for _ in range(10):
                log.append(numbered(4), 1000)
    with opened(tmp_path / "1.log", retention_ms=1) as one:
        one.expire(5000)
    with opened(tmp_path / "11.log") as eleven:
        assert check(eleven) == list(range(40))


class Crash(BaseException):
    """The process dies here."""


@contextmanager
def dying(patch: pytest.MonkeyPatch, step: int, death: type[BaseException] = Crash) -> Iterator[None]:
    """Die just before the `step`-th thing that is done to a file."""
    steps = itertools.count()

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def instead(*given: Any, **named: Any) -> Any:
            if next(steps) == step:
                raise death
            return call(*given, **named)

        return instead

    with patch.context() as inner:
        for name in ("pwrite", "fsync", "fdatasync", "ftruncate"):
            inner.setattr(os, name, counted(getattr(os, name)))
        for name in ("open", "replace", "unlink"):
            inner.setattr(Path, name, counted(getattr(Path, name)))
        yield


@pytest.mark.parametrize("fsync", [False, True])
def test_a_crash_at_any_step_of_beginning_and_dropping_files_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fsync: bool
) -> None:
    survived = 0
    for step in itertools.count():
        path = tmp_path / str(step) / "0.log"
        path.parent.mkdir()
        stored = 0
        with opened(path, retention_ms=RETENTION) as log:
            for now_ms in range(1000, 2000, 100):
                log.append(numbered(2, 300), now_ms)
            stored = log.next_sequence
        with opened(path, retention_ms=RETENTION, fsync=fsync) as log:
            try:
                with dying(monkeypatch, step):
                    for now_ms in (2000, 2100, 2200):
                        log.expire(now_ms)
                        log.append(numbered(2, 300), now_ms)
                        stored = log.next_sequence
            except Crash:
                survived += 1
        with opened(path, retention_ms=RETENTION, fsync=fsync) as log:
            kept = check(log)
            assert kept
            assert kept[-1] + 1 - stored in (0, 2), "what append returned for is there, and at most the batch under way"
            assert kept[0] <= 2 * (2200 - RETENTION - 1000) // 100
            assert log.append(numbered(1), 2300) == kept[-1] + 1
        if step >= survived:
            break
    assert survived > 20


def test_a_disk_that_refuses_at_any_step_leaves_a_log_that_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = 0
    for step in itertools.count():
        path = tmp_path / str(step) / "0.log"
        path.parent.mkdir()
        with opened(path, retention_ms=RETENTION, fsync=True) as log:
            for now_ms in range(1000, 1600, 100):
                log.append(numbered(2, 300), now_ms)
            before = log.next_sequence
            try:
                with dying(monkeypatch, step, OSError):
                    log.append(numbered(3, 900), 1700)
                    log.expire(2100)
            except OSError:
                refused += 1
                assert log.next_sequence in (before, before + 3)
            log.append(numbered(1), 2200)
            log.expire(2200)
            kept = check(log)
        with opened(path, retention_ms=RETENTION) as log:
            assert check(log) == kept
        if step >= refused:
            break
    assert refused > 5


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("append"), st.integers(1, 5), st.integers(0, 900)),
            st.tuples(st.just("wait"), st.integers(0, 500)),
            st.tuples(st.just("reopen"), st.integers(0, 200)),
        ),
        max_size=40,
    )
)
def test_any_history_keeps_what_it_must_in_order(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[Any, ...]]
) -> None:
    path = tmp_path_factory.mktemp("log") / "0.log"
    now_ms, times = 1000, []
    log = PartitionLog(path, segment_size=SIZE, retention_ms=RETENTION)
    for kind, amount, *more in steps:
        if kind == "append":
            log.append(numbered(amount, more[0]), now_ms)
            times += [now_ms] * amount
        elif kind == "wait":
            now_ms += amount
            log.expire(now_ms)
        else:
            log.close()
            with path.with_name(files(path)[-1]).open("ab") as file:
                file.write((Record.encode(b"t" * 300, log.next_sequence, now_ms, 0) + b"t" * 300)[:amount])
            log = PartitionLog(path, segment_size=SIZE, retention_ms=RETENTION)
        kept = check(log)
        young = [number for number, time in enumerate(times) if time >= now_ms - RETENTION]
        assert log.next_sequence == len(times)
        assert kept[-len(young) :] == young if young else True
    log.close()
