"""Positions of a stream against what the hub holds: pure rules, no connection needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eventhubs.errors import ConfigurationError, DataLossError, HubNotFoundError
from eventhubs.receiver import PartitionInfo

__all__ = ["first_positions", "refuse_loss", "room_for_all"]


def first_positions(wanted: str | Mapping[str, int], infos: Sequence[PartitionInfo]) -> dict[str, int]:
    """Where reading begins, per partition: `earliest`, `latest`, or given numbers and the earliest for the others.

    Raises `ConfigurationError` for a partition that the hub does not have, `DataLossError` for a number outside
    what can be read.
    """
    if wanted == "latest":
        return {i.partition_id: i.next_sequence for i in infos}
    first = {i.partition_id: i.begin_sequence for i in infos}
    if isinstance(wanted, Mapping):
        unknown = sorted(wanted.keys() - first.keys())
        if unknown:
            raise ConfigurationError(
                f"Option 'startingPosition' names partition {unknown[0]!r}, which the hub does not have. It has "
                f"{', '.join(first)}."
            )
        first.update(wanted)
        refuse_loss(first, infos)
    return first


def refuse_loss(wanted: Mapping[str, int], infos: Sequence[PartitionInfo]) -> None:
    """Raise `DataLossError` when a wanted position is no longer, or not yet, in its partition.

    Partitions missing in `wanted` are new and wanted from 0; one that the hub has no more is `HubNotFoundError`.
    """
    missing = sorted(wanted.keys() - {i.partition_id for i in infos})
    if missing:
        raise HubNotFoundError(
            f"The hub has no partition {missing[0]!r} any more: it was created again with fewer partitions. "
            "Start the query again, with new positions."
        )
    for info in infos:
        position = wanted.get(info.partition_id, 0)
        if position < info.begin_sequence:
            raise DataLossError(info.partition_id, position, info.begin_sequence)
        if position > info.next_sequence:
            raise DataLossError(info.partition_id, position, info.next_sequence)


def room_for_all(limits: Sequence[int | None], partitions: int) -> int | None:
    """The smallest of the limits; raises `ConfigurationError` when some partition would get no event at all."""
    limit = min((n for n in limits if n is not None), default=None)
    if limit is not None and limit < partitions:
        raise ConfigurationError(
            f"Option 'maxEventsPerTrigger' is {limit}, but the hub has {partitions} partitions: give each of them "
            f"room for an event, {partitions} or more."
        )
    return limit
