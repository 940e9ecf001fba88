"""Going on behind events that retention has passed, where that was allowed, and never without a record.

A batch keeps the offsets it was planned with: read again later it gives the same rows, less what retention has
passed meanwhile, which is then recorded again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence

from eventhubs.errors import DataLossError, LostRange
from eventhubs.receiver import PartitionInfo, ReceivedEvent

__all__ = ["behind_losses", "losses", "read_what_is_left", "record"]

_log = logging.getLogger(__name__)


def behind_losses(start: Mapping[str, int], ends: Mapping[str, int], infos: Sequence[PartitionInfo]) -> dict[str, int]:
    """Where reading from `start` (0 for a new partition) to `ends` can begin: there, or behind what is gone."""
    begins = {i.partition_id: i.begin_sequence for i in infos}
    first = {p: start.get(p, 0) for p in ends}
    return {p: max(first[p], min(begins.get(p, 0), end)) for p, end in ends.items()}


def losses(start: Mapping[str, int], resumed: Mapping[str, int]) -> list[LostRange]:
    """What lies between where reading was to begin and where it can."""
    return [LostRange(p, start.get(p, 0), at) for p, at in resumed.items() if at > start.get(p, 0)]


def record(lost: LostRange, where: str) -> None:
    """Warn of a loss in the log; `where` names the hub."""
    _log.warning(
        "Partition %s of %s: events %s are gone, retention has passed them; reading goes on at %d, for failOnDataLoss "
        "is false.",
        lost.partition_id,
        where,
        lost,
        lost.earliest,
    )


def read_what_is_left(
    read: Callable[[str, int, int], Iterator[list[ReceivedEvent]]],
    partition_id: str,
    first: int,
    end: int,
    on_loss: Callable[[LostRange], None],
) -> Iterator[list[ReceivedEvent]]:
    """The events from `first` to before `end` that can still be read, in order; `on_loss` hears of every gap.

    `read(partition, first, count)` is a receiver's. Only retention may make gaps: a hub that was recreated is an error.
    """
    while first < end:
        try:
            for events in read(partition_id, first, end - first):
                first = events[-1].sequence + 1
                yield events
        except DataLossError as gone:
            if gone.earliest <= first:
                raise
            lost = LostRange(partition_id, first, min(gone.earliest, end))
            on_loss(lost)
            first = lost.earliest
