"""Where loss is accepted, everything that is left is read, and everything that is not is recorded."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventhubs.admission import admit
from eventhubs.errors import DataLossError, HubUnreachableError, LostRange
from eventhubs.loss import behind_losses, losses, read_what_is_left, record
from eventhubs.progress import progress
from eventhubs.receiver import PartitionInfo, ReceivedEvent, exactly

INFOS = [PartitionInfo("0", 10, 20, 1), PartitionInfo("1", 0, 0, None), PartitionInfo("2", 7, 7, 1)]


def event(sequence: int) -> ReceivedEvent:
    return ReceivedEvent(b"", sequence, str(sequence), 0, None, {}, None, {})


def holding(kept: list[int]) -> Callable[[str, int, int], Iterator[list[ReceivedEvent]]]:
    """The `read` of a receiver whose partition holds these events and, without end, all after 100."""

    def read(partition_id: str, first: int, count: int) -> Iterator[list[ReceivedEvent]]:
        found = [n for n in [*kept, *range(100, 200)] if n >= first]
        return exactly(partition_id, first, count, ([event(n) for n in found[i : i + 3]] for i in range(0, 99, 3)))

    return read


@given(st.sets(st.integers(0, 99)), st.integers(0, 99), st.integers(0, 50))
def test_what_is_left_comes_in_order_and_the_rest_is_told_in_full(kept: set[int], first: int, count: int) -> None:
    end = min(first + count, 100)
    told: list[LostRange] = []
    read = read_what_is_left(holding(sorted(kept)), "0", first, end, told.append)
    found = [e.sequence for events in read for e in events]
    assert found == [n for n in range(first, end) if n in kept]
    lost = [n for gone in told for n in range(gone.wanted, gone.earliest)]
    assert lost == [n for n in range(first, end) if n not in kept]
    assert all(gone.wanted < gone.earliest for gone in told)


def test_events_before_a_gap_in_the_same_list_are_not_lost() -> None:
    told: list[LostRange] = []
    read = read_what_is_left(holding([0, 1, 5]), "3", 0, 6, told.append)
    assert [[e.sequence for e in events] for events in read] == [[0, 1], [5]]
    assert told == [LostRange("3", 2, 5)]


@pytest.mark.parametrize("error", [DataLossError("0", 5, 2), HubUnreachableError("Try again.")])
def test_only_retention_may_make_gaps(error: Exception) -> None:
    def read(partition_id: str, first: int, count: int) -> Iterator[list[ReceivedEvent]]:
        raise error

    with pytest.raises(type(error)):
        list(read_what_is_left(read, "0", 5, 9, lambda lost: pytest.fail("that is no loss")))


def test_reading_begins_behind_what_is_gone_but_never_past_the_end() -> None:
    start = {"0": 3, "2": 5}
    assert behind_losses(start, {"0": 20, "1": 0, "2": 7}, INFOS) == {"0": 10, "1": 0, "2": 7}
    assert behind_losses(start, {"0": 8, "1": 0, "2": 7}, INFOS) == {"0": 8, "1": 0, "2": 7}
    assert behind_losses({"0": 15}, {"0": 20}, INFOS) == {"0": 15}


def test_losses_are_what_lies_in_between() -> None:
    assert losses({"0": 3, "1": 4}, {"0": 10, "1": 4, "2": 7}) == [LostRange("0", 3, 10), LostRange("2", 0, 7)]


def test_lost_events_take_nobodys_room_in_a_batch() -> None:
    resumed = behind_losses({"0": 0, "1": 0}, {"0": 20, "1": 20}, [*INFOS[:1], PartitionInfo("1", 0, 20, 1)])
    assert admit(resumed, {"0": 20, "1": 20}, 10) == {"0": 14, "1": 6}


def test_a_loss_is_a_warning_with_partition_range_and_count(caplog: pytest.LogCaptureFixture) -> None:
    record(LostRange("3", 17, 40), "hub reports at localhost:1")
    [said] = caplog.records
    assert said.levelno == logging.WARNING
    assert "Partition 3 of hub reports at localhost:1: events 17 to 39 (23 events) are gone" in said.getMessage()


def test_progress_tells_end_lag_and_loss_per_partition() -> None:
    assert progress({"0": 100, "1": 5, "2": 3}, {"0": 80, "1": 5}, {"0": 7}) == {
        "0": {"end": 100, "behind": 20, "lost": 7},
        "1": {"end": 5, "behind": 0, "lost": 0},
        "2": {"end": 3, "behind": 3, "lost": 0},
    }
