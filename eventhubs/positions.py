"""Positions: how options write them, and where they lie in what the hub holds. Pure rules, no connection needed."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from eventhubs.errors import ConfigurationError, DataLossError, HubNotFoundError, LostRange
from eventhubs.receiver import PartitionInfo

__all__ = [
    "EnqueuedAt",
    "Position",
    "ends_of",
    "first_positions",
    "last_positions",
    "parse_position",
    "refuse_loss",
    "refuse_what_never_was",
    "room_for_all",
]


@dataclass(frozen=True)
class EnqueuedAt:
    """The first event that the hub took in at `ms` (Unix milliseconds) or later."""

    ms: int


Position = str | EnqueuedAt | Mapping[str, int]
"""`earliest`, `latest`, a time, or sequence numbers by partition."""

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MILLISECOND = dt.timedelta(milliseconds=1)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_OLD_KEYS = {"offset", "seqNo", "enqueuedTime", "isInclusive"}


def parse_position(option: str, text: str) -> Position:
    """Read the value of the option named `option`; raises `ConfigurationError` saying which forms there are.

    A time without a zone is UTC; fractions of a millisecond count up.
    """
    text = text.strip()
    if text.casefold() in {"earliest", "latest"}:
        return text.casefold()
    if _DATE.match(text):
        return _time(option, text)
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if isinstance(found, dict) and found and all(map(_is_sequence, found.values())):
        return found
    raise ConfigurationError(
        f"Option {option!r} must be earliest, latest, an ISO 8601 time such as 2026-03-01T06:00:00Z, or a JSON object "
        'of partition to sequence number (0 or more), such as {"0": 17, "1": 4}.' + _translation(found)
    )


def first_positions(
    wanted: Position,
    infos: Sequence[PartitionInfo],
    sequence_at: Callable[[str, int], int],
    *,
    fail_on_data_loss: bool = True,
) -> dict[str, int]:
    """Where reading begins, per partition; those that `wanted` does not name begin at their earliest event.

    `sequence_at(partition, ms)` is asked for times. Raises `ConfigurationError` for a partition that the hub does not
    have, `DataLossError` for a number outside what can be read (with `fail_on_data_loss` off, only past its end).
    """
    positions = {i.partition_id: i.begin_sequence for i in infos} | _named(
        "startingPosition", wanted, infos, sequence_at
    )
    if isinstance(wanted, Mapping):
        (refuse_loss if fail_on_data_loss else refuse_what_never_was)(positions, infos)
    return positions


def last_positions(
    wanted: Position, infos: Sequence[PartitionInfo], sequence_at: Callable[[str, int], int]
) -> dict[str, int]:
    """Where reading stops, per partition (exclusive); those that `wanted` does not name are read to their end.

    Raises `ConfigurationError` for a partition that the hub does not have and for a number past its end.
    """
    ends = ends_of(infos)
    positions = ends | _named("endingPosition", wanted, infos, sequence_at)
    for partition_id, position in positions.items():
        if position > ends[partition_id]:
            raise ConfigurationError(
                f"Option 'endingPosition' is {position} for partition {partition_id}, which so far ends at "
                f"{ends[partition_id]}: give that number or a smaller one."
            )
    return positions


def ends_of(infos: Sequence[PartitionInfo]) -> dict[str, int]:
    """The number that the next event of each partition will get."""
    return {i.partition_id: i.next_sequence for i in infos}


def refuse_loss(wanted: Mapping[str, int], infos: Sequence[PartitionInfo]) -> None:
    """Raise `DataLossError` when wanted positions are no longer, or not yet, in their partitions.

    Partitions missing in `wanted` are new and wanted from 0; one that the hub has no more is `HubNotFoundError`.
    """
    refuse_what_never_was(wanted, infos)
    lost = [
        LostRange(i.partition_id, wanted.get(i.partition_id, 0), i.begin_sequence)
        for i in infos
        if wanted.get(i.partition_id, 0) < i.begin_sequence
    ]
    if lost:
        raise DataLossError(*lost[0], others=tuple(lost[1:]))


def refuse_what_never_was(wanted: Mapping[str, int], infos: Sequence[PartitionInfo]) -> None:
    """Raise for positions past the end and for partitions that are gone: the hub is not the one they were noted for."""
    missing = sorted(wanted.keys() - {i.partition_id for i in infos})
    if missing:
        raise HubNotFoundError(
            f"The hub has no partition {missing[0]!r} any more: it was created again with fewer partitions. "
            "Start the query again, with new positions."
        )
    for info in infos:
        position = wanted.get(info.partition_id, 0)
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


def _named(
    option: str, wanted: Position, infos: Sequence[PartitionInfo], sequence_at: Callable[[str, int], int]
) -> dict[str, int]:
    """The position of each partition that `wanted` says something about."""
    if wanted == "earliest":
        return {i.partition_id: i.begin_sequence for i in infos}
    if wanted == "latest":
        return ends_of(infos)
    if isinstance(wanted, EnqueuedAt):
        return {i.partition_id: sequence_at(i.partition_id, wanted.ms) for i in infos}
    assert isinstance(wanted, Mapping)
    known = [i.partition_id for i in infos]
    unknown = sorted(wanted.keys() - set(known))
    if unknown:
        raise ConfigurationError(
            f"Option {option!r} names partition {unknown[0]!r}, which the hub does not have. It has {', '.join(known)}."
        )
    return dict(wanted)


def _time(option: str, text: str) -> EnqueuedAt:
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(
            f"Option {option!r} is no ISO 8601 time; write it like 2026-03-01T06:00:00Z or 2026-03-01T07:00:00+01:00."
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return EnqueuedAt(max(-((_EPOCH - moment) // _MILLISECOND), 0))


def _is_sequence(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _translation(found: object) -> str:
    """What to write instead of a position of the old (JVM) connector; nothing for anything else."""
    if not isinstance(found, dict) or not found:
        return ""
    if not found.keys() <= _OLD_KEYS:
        per_partition = all('"partitionId"' in key for key in found)
        return " The old connector's keys with ehName and partitionId are just the partition." if per_partition else ""
    if isinstance(found.get("enqueuedTime"), str):
        return f" For this position of the old connector, write {found['enqueuedTime']}."
    offset = found.get("offset")
    if offset in {"-1", "@latest"}:
        return f" For this position of the old connector, write {'earliest' if offset == '-1' else 'latest'}."
    return " The old connector's seqNo is written per partition here; its byte offsets are not supported."
