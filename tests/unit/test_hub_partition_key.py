from __future__ import annotations

import pytest
from azure.eventhub._buffered_producer._partition_resolver import PartitionResolver
from hypothesis import example, given
from hypothesis import strategies as st

from eventhubs.partition_key import partition_of


@given(st.text(st.characters(codec="utf-8"), max_size=60), st.integers(1, 64))
@example("", 4)
@example("twelve chars", 4)
@example("ä" * 13, 32)
@example("😀" * 30, 32)
def test_keys_go_where_the_official_producer_sends_them(key: str, partition_count: int) -> None:
    theirs = PartitionResolver([str(number) for number in range(partition_count)]).get_partition_id_by_partition_key(
        key
    )

    assert partition_of(key, partition_count) == int(theirs)


def test_keys_spread_over_the_partitions() -> None:
    counts = [0] * 8
    for number in range(4000):
        counts[partition_of(f"case-{number}", 8)] += 1

    assert min(counts) > 400


@pytest.mark.parametrize("partition_count", [1, 3, 1024])
def test_every_partition_number_is_in_range(partition_count: int) -> None:
    assert all(0 <= partition_of(f"k{n}", partition_count) < partition_count for n in range(500))
