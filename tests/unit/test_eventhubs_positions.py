"""A stream never skips what is lost, and never reads what is not there."""

from __future__ import annotations

import pytest

from eventhubs.errors import ConfigurationError, DataLossError, HubNotFoundError
from eventhubs.positions import first_positions, refuse_loss, room_for_all
from eventhubs.receiver import PartitionInfo

INFOS = [PartitionInfo("0", 10, 20, 1), PartitionInfo("1", 0, 0, None), PartitionInfo("2", 7, 7, 1)]


def test_earliest_and_latest() -> None:
    assert first_positions("earliest", INFOS) == {"0": 10, "1": 0, "2": 7}
    assert first_positions("latest", INFOS) == {"0": 20, "1": 0, "2": 7}


def test_partitions_not_named_begin_at_the_earliest() -> None:
    assert first_positions({"0": 15}, INFOS) == {"0": 15, "1": 0, "2": 7}


@pytest.mark.parametrize("position", [10, 20])
def test_both_ends_of_the_readable_range_are_positions(position: int) -> None:
    assert first_positions({"0": position}, INFOS)["0"] == position


@pytest.mark.parametrize(("position", "earliest"), [(9, 10), (21, 20)])
def test_position_outside_is_data_loss(position: int, earliest: int) -> None:
    for check in (lambda: first_positions({"0": position}, INFOS), lambda: refuse_loss({"0": position}, INFOS)):
        with pytest.raises(DataLossError) as lost:
            check()
        assert (lost.value.partition_id, lost.value.wanted, lost.value.earliest) == ("0", position, earliest)


def test_loss_in_a_partition_that_has_emptied_is_seen() -> None:
    with pytest.raises(DataLossError):
        refuse_loss({"0": 10, "1": 0, "2": 6}, INFOS)


def test_unknown_partition_is_named_with_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match=r"'9'.*It has 0, 1, 2"):
        first_positions({"9": 0}, INFOS)


def test_partition_that_went_away_stops_the_stream() -> None:
    with pytest.raises(HubNotFoundError, match="'3'"):
        refuse_loss({"0": 10, "1": 0, "2": 7, "3": 0}, INFOS)


def test_partition_new_since_the_last_batch_is_wanted_from_its_first_event() -> None:
    refuse_loss({"0": 10, "2": 7}, INFOS)
    with pytest.raises(DataLossError):
        refuse_loss({"1": 0, "2": 7}, INFOS)


def test_smallest_limit_counts_and_must_leave_room_for_each_partition() -> None:
    assert room_for_all([None, None], 4) is None
    assert room_for_all([None, 7], 4) == 7
    assert room_for_all([4, 7], 4) == 4
    with pytest.raises(ConfigurationError, match="4 or more"):
        room_for_all([3], 4)
