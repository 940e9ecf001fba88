"""A hub is watched closely, and asked no more than it allows."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from eventhubs.errors import HubNotFoundError
from eventhubs.receiver import HubInfo, PartitionInfo
from eventhubs.watch import HubWatch


class Hub:
    """A hub that can grow, and its clock."""

    def __init__(self, partitions: int) -> None:
        self.created_at = 1
        self.partitions = partitions
        self.now = 100.0
        self.questions = 0

    def describe(self, partition_ids: Sequence[str]) -> tuple[HubInfo, list[PartitionInfo]]:
        self.questions += 1 + len(partition_ids)
        info = HubInfo("reports", self.created_at, tuple(map(str, range(self.partitions))))
        return info, [PartitionInfo(p, 0, int(self.now * 1_000), 1) for p in partition_ids]

    def watch(self) -> HubWatch:
        return HubWatch(self.describe, lambda: self.now)


@pytest.mark.parametrize("partitions", [1, 4, 32])
def test_an_idle_stream_asks_forty_questions_a_second_however_often_it_looks(partitions: int) -> None:
    hub = Hub(partitions)
    watch = hub.watch()
    watch.recent_infos()
    hub.questions = 0
    for _ in range(1_000):
        hub.now += 0.01
        watch.recent_infos()
    assert hub.questions <= 400
    assert hub.questions >= 400 - 2 * (partitions + 1) - 400 * 0.25


def test_what_is_recent_was_true_a_short_while_ago_and_what_is_asked_for_is_true_now() -> None:
    hub = Hub(3)
    watch = hub.watch()
    before = watch.recent_infos()
    hub.now += 0.05
    assert watch.recent_infos() == before
    assert watch.infos() != before
    hub.now += 0.1
    assert watch.recent_infos()[0].next_sequence == int(hub.now * 1_000)


def test_partitions_that_are_added_are_there_at_the_next_question() -> None:
    hub = Hub(2)
    watch = hub.watch()
    assert [i.partition_id for i in watch.infos()] == ["0", "1"]
    hub.partitions = 5
    assert [i.partition_id for i in watch.infos()] == ["0", "1", "2", "3", "4"]


def test_hub_that_was_created_again_is_refused() -> None:
    hub = Hub(2)
    watch = hub.watch()
    watch.infos()
    hub.created_at = 2
    for _ in range(2):
        with pytest.raises(HubNotFoundError, match="Hub reports was deleted and created again"):
            watch.infos()
