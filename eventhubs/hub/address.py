"""Addresses and start positions as Event Hubs clients write them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

__all__ = ["EARLIEST", "Address", "Path", "Position", "PositionKind", "parse_address", "parse_selector", "path_of"]


Path = tuple[str, ...]
"""The names in an address, lower case; empty for a whole namespace."""


class Address(NamedTuple):
    """What a link's address names."""

    node: str
    """`$cbs`, `$management` or a hub's name; lower case."""
    consumer_group: str | None = None
    partition: str | None = None

    @property
    def path(self) -> Path:
        """All names in it, as tokens are put for."""
        group = () if self.consumer_group is None else ("consumergroups", self.consumer_group.lower())
        return (self.node, *group, *(() if self.partition is None else ("partitions", self.partition)))


class PositionKind(Enum):
    """What a start position is counted in."""

    SEQUENCE = "x-opt-sequence-number"
    OFFSET = "x-opt-offset"
    TIME = "x-opt-enqueued-time"
    LATEST = "@latest"


@dataclass(frozen=True, slots=True)
class Position:
    """Where a receiver starts: after `value`, or at it where `inclusive`."""

    kind: PositionKind
    value: int
    inclusive: bool


EARLIEST = Position(PositionKind.OFFSET, -1, inclusive=False)
_SELECTOR = re.compile(
    r"\s*amqp\.annotation\.(x-opt-sequence-number|x-opt-offset|x-opt-enqueued-time)\s*(>=|>)\s*"
    r"'?(@latest|-?\d{1,19})'?\s*"
)


def parse_address(text: str | None) -> Address | None:
    """Read `amqps://host:port/HUB[/ConsumerGroups/GROUP][/Partitions/N]` or the path alone; None if it is neither.

    The words between the names may be in any case, as the service has them.
    """
    if not text:
        return None
    try:
        path = urlsplit(text).path if "://" in text else text
    except ValueError:
        return None
    names = [unquote(name) for name in path.strip("/").split("/")]
    keys = [name.lower() for name in names]
    match keys:
        case [node] if node:
            return Address(node)
        case [node, "partitions", partition] if node:
            return Address(node, None, partition)
        case [node, "consumergroups", _, "partitions", partition] if node:
            return Address(node, names[2], partition)
    return None


def path_of(address: str) -> Path | None:
    """Give the names in `sb://host/HUB/...`, lower case and none for a whole namespace; None if it is no address."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    if not parts.scheme or not parts.netloc:
        return None
    return tuple(unquote(name).lower() for name in parts.path.split("/") if name)


def parse_selector(expression: str) -> Position | None:
    """Read the selector of a receiver's source; None if it says something else."""
    match = _SELECTOR.fullmatch(expression)
    if match is None:
        return None
    kind, operator, value = match.groups()
    if value == "@latest":
        return Position(PositionKind.LATEST, 0, inclusive=False)
    return Position(PositionKind(kind), int(value), inclusive=operator == ">=")
