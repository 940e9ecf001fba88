"""A stream never skips what is lost, and never reads what is not there."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from eventhubs.errors import ConfigurationError, DataLossError, HubNotFoundError, LostRange
from eventhubs.positions import (
    EnqueuedAt,
    first_positions,
    last_positions,
    parse_position,
    refuse_loss,
    refuse_what_never_was,
    room_for_all,
)
from eventhubs.receiver import PartitionInfo

INFOS = [PartitionInfo("0", 10, 20, 1), PartitionInfo("1", 0, 0, None), PartitionInfo("2", 7, 7, 1)]


def unasked(partition_id: str, enqueued_ms: int) -> int:
    raise AssertionError("asked for a time without need")


def at(moments: dict[tuple[str, int], int]) -> Callable[[str, int], int]:
    return lambda partition_id, enqueued_ms: moments[partition_id, enqueued_ms]


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("latest", "latest"),
        (" Earliest ", "earliest"),
        ('{"0": 17, "1": 0}', {"0": 17, "1": 0}),
        ("1970-01-01T00:00:01Z", EnqueuedAt(1_000)),
        ("1970-01-01T00:00:01", EnqueuedAt(1_000)),
        ("1970-01-01", EnqueuedAt(0)),
        ("1970-01-01T01:00:00.5+01:00", EnqueuedAt(500)),
        ("1970-01-01 00:00:00.000001", EnqueuedAt(1)),
        ("1969-12-31T23:59:59Z", EnqueuedAt(0)),
        ("2026-03-01T06:00:00Z", EnqueuedAt(1_772_344_800_000)),
    ],
)
def test_positions_are_read_in_all_their_forms(text: str, position: object) -> None:
    assert parse_position("startingPosition", text) == position


@pytest.mark.parametrize(
    "text", ["", "newest", "17", "20260301", "{}", "null", "[]", '{"0": -1}', '{"0": true}', '{"0": 1.5}', '{"0": "1"}']
)
def test_what_is_no_position_is_refused_with_all_forms(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"'endingPosition' must be earliest, latest, an ISO 8601 .* JSON"):
        parse_position("endingPosition", text)


@pytest.mark.parametrize("text", ["2026-13-01", "2026-03-01T25:00", "2026-03-01T06:00:00 CET", "2026-03-01Z"])
def test_what_is_no_time_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"'startingPosition' is no ISO 8601 time; write it like"):
        parse_position("startingPosition", text)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"offset": "-1", "seqNo": -1, "enqueuedTime": None, "isInclusive": True}, "write earliest"),
        ({"offset": "@latest", "seqNo": -1, "enqueuedTime": None, "isInclusive": True}, "write latest"),
        ({"offset": None, "seqNo": -1, "enqueuedTime": "2026-03-01T06:00:00.0Z"}, r"write 2026-03-01T06:00:00\.0Z"),
        ({"offset": None, "seqNo": 5, "enqueuedTime": None, "isInclusive": True}, "seqNo is written per partition"),
        ({'{"ehName": "reports", "partitionId": 0}': {"offset": "@latest"}}, "are just the partition"),
    ],
)
def test_position_of_the_old_connector_is_translated(old: dict[str, object], new: str) -> None:
    with pytest.raises(ConfigurationError, match=new):
        parse_position("startingPosition", json.dumps(old))


def test_earliest_and_latest() -> None:
    assert first_positions("earliest", INFOS, unasked) == {"0": 10, "1": 0, "2": 7}
    assert first_positions("latest", INFOS, unasked) == {"0": 20, "1": 0, "2": 7}
    assert last_positions("earliest", INFOS, unasked) == {"0": 10, "1": 0, "2": 7}
    assert last_positions("latest", INFOS, unasked) == {"0": 20, "1": 0, "2": 7}


def test_partitions_not_named_begin_at_the_earliest_and_end_at_the_latest() -> None:
    assert first_positions({"0": 15}, INFOS, unasked) == {"0": 15, "1": 0, "2": 7}
    assert last_positions({"2": 3}, INFOS, unasked) == {"0": 20, "1": 0, "2": 3}


def test_a_time_is_asked_for_in_every_partition() -> None:
    moments = {("0", 99): 12, ("1", 99): 0, ("2", 99): 7}
    assert first_positions(EnqueuedAt(99), INFOS, at(moments)) == {"0": 12, "1": 0, "2": 7}
    assert last_positions(EnqueuedAt(99), INFOS, at(moments)) == {"0": 12, "1": 0, "2": 7}


@pytest.mark.parametrize("position", [10, 20])
def test_both_ends_of_the_readable_range_are_positions(position: int) -> None:
    assert first_positions({"0": position}, INFOS, unasked)["0"] == position


@pytest.mark.parametrize(("position", "earliest"), [(9, 10), (21, 20)])
def test_position_outside_is_data_loss(position: int, earliest: int) -> None:
    for check in (
        lambda: first_positions({"0": position}, INFOS, unasked),
        lambda: refuse_loss({"0": position}, INFOS),
    ):
        with pytest.raises(DataLossError) as lost:
            check()
        assert (lost.value.partition_id, lost.value.wanted, lost.value.earliest) == ("0", position, earliest)


def test_data_loss_names_every_partition_that_has_lost_events() -> None:
    with pytest.raises(DataLossError) as lost:
        refuse_loss({"0": 3, "1": 0, "2": 6}, INFOS)
    assert (lost.value.partition_id, lost.value.others) == ("0", (LostRange("2", 6, 7),))
    assert "events 3 to 9 (7 events) are gone" in str(lost.value)
    assert "Partition 2: 6 to 6 (1 event) are gone as well" in str(lost.value)


def test_where_loss_is_accepted_a_start_that_is_gone_is_kept_and_one_that_never_was_is_not() -> None:
    assert first_positions({"0": 3}, INFOS, unasked, fail_on_data_loss=False)["0"] == 3
    refuse_what_never_was({"0": 3}, INFOS)
    for position in ({"0": 21}, {"1": 1}):
        with pytest.raises(DataLossError, match="recreated"):
            first_positions(position, INFOS, unasked, fail_on_data_loss=False)


def test_end_that_is_not_there_yet_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'endingPosition' is 21 for partition 0, which so far ends at 20"):
        last_positions({"0": 21}, INFOS, unasked)


def test_loss_in_a_partition_that_has_emptied_is_seen() -> None:
    with pytest.raises(DataLossError):
        refuse_loss({"0": 10, "1": 0, "2": 6}, INFOS)


def test_unknown_partition_is_named_with_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match=r"'9'.*It has 0, 1, 2"):
        first_positions({"9": 0}, INFOS, unasked)
    with pytest.raises(ConfigurationError, match="'endingPosition' names partition '9'"):
        last_positions({"9": 0}, INFOS, unasked)


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
