"""What a reader knows of its hub: the partitions there are and what they hold, asked for as often as is seemly."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from eventhubs.errors import HubNotFoundError
from eventhubs.receiver import HubInfo, PartitionInfo

__all__ = ["HubWatch"]

_QUESTIONS_PER_SECOND = 40
"""Most that is asked when a short while ago will do: an idle stream looks for events every few milliseconds, and the
service allows 50 questions a second."""


class HubWatch:
    """Watches one hub through `describe`, a receiver's; `clock` counts seconds.

    Partitions that are added are there from the next answer on. A hub that was deleted and created again is refused.
    """

    def __init__(
        self,
        describe: Callable[[Sequence[str]], tuple[HubInfo, list[PartitionInfo]]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._describe = describe
        self._clock = clock
        self._hub: HubInfo | None = None
        self._infos: list[PartitionInfo] = []
        self._again_at = 0.0

    def infos(self) -> list[PartitionInfo]:
        """The readable range of every partition, now."""
        known = self._hub.partition_ids if self._hub else ()
        hub, infos = self._describe(known)
        if hub.partition_ids != known:
            hub, infos = self._describe(hub.partition_ids)
        if self._hub is not None and self._hub.created_at_ms != hub.created_at_ms:
            raise HubNotFoundError(
                f"Hub {hub.name} was deleted and created again while it was being read. Its positions begin anew: "
                "start the query again, with new positions."
            )
        self._hub, self._infos = hub, infos
        self._again_at = self._clock() + (len(infos) + 1) / _QUESTIONS_PER_SECOND
        return infos

    def recent_infos(self) -> list[PartitionInfo]:
        """The same, now or as they were a short while ago."""
        return self.infos() if self._hub is None or self._clock() >= self._again_at else self._infos
