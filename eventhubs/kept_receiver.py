"""A receiver that is kept open between uses and mends itself when the connection breaks.

Transient errors are tried again until the receive timeout has passed without any progress; a read goes on where it
stopped, so that a caller sees one unbroken range. So is a refusal of whoever was let in before: its token has expired,
and the next one may do. Everything else is raised at once.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Self, TypeVar

from eventhubs.errors import DataLossError, EventHubsError, ServerBusyError, UnauthorizedError
from eventhubs.receiver import HubInfo, HubReceiver, PartitionInfo, ReceivedEvent, Transport, open_receiver
from eventhubs.settings import HubConnection

__all__ = ["KeptReceiver", "receiver_of_this_process"]

_T = TypeVar("_T")
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0


class KeptReceiver:
    """A `HubReceiver` over `opener`, called at first use and again after a broken connection.

    `patience` is in seconds; `clock` and `sleep` are those of `time`.
    """

    def __init__(
        self,
        opener: Callable[[], HubReceiver],
        patience: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._opener = opener
        self._patience = patience
        self._clock = clock
        self._sleep = sleep
        self._receiver: HubReceiver | None = None
        self._let_in = False

    def hub_info(self) -> HubInfo:
        """See `HubReceiver`."""
        return self._ask(lambda receiver: receiver.hub_info())

    def partition_infos(self, partition_ids: Sequence[str]) -> list[PartitionInfo]:
        """See `HubReceiver`."""
        return self._ask(lambda receiver: receiver.partition_infos(partition_ids))

    def describe(self, partition_ids: Sequence[str]) -> tuple[HubInfo, list[PartitionInfo]]:
        """See `HubReceiver`."""
        return self._ask(lambda receiver: receiver.describe(partition_ids))

    def sequence_at(self, partition_id: str, enqueued_ms: int) -> int:
        """See `HubReceiver`."""
        return self._ask(lambda receiver: receiver.sequence_at(partition_id, enqueued_ms))

    def read(self, partition_id: str, first_sequence: int, count: int) -> Iterator[list[ReceivedEvent]]:
        """See `HubReceiver`."""
        wanted, end = first_sequence, first_sequence + count
        retry = self._retry()
        while wanted < end:
            try:
                for events in self._open().read(partition_id, wanted, end - wanted):
                    wanted = events[-1].sequence + 1
                    self._let_in = True
                    retry = self._retry()
                    yield events
            except DataLossError:
                # What is gone stays gone, and the connection is as good as before.
                raise
            except EventHubsError as error:
                self.close()
                if wanted < end:
                    retry.wait_or_raise(error, again=self._may_pass(error))

    def close(self) -> None:
        """See `HubReceiver`; the next use opens it again."""
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self) -> HubReceiver:
        if self._receiver is None:
            self._receiver = self._opener()
        return self._receiver

    def _ask(self, call: Callable[[HubReceiver], _T]) -> _T:
        retry = self._retry()
        while True:
            try:
                answer = call(self._open())
            except EventHubsError as error:
                self.close()
                retry.wait_or_raise(error, again=self._may_pass(error))
            else:
                self._let_in = True
                return answer

    def _may_pass(self, error: EventHubsError) -> bool:
        return error.transient or (self._let_in and isinstance(error, UnauthorizedError))

    def _retry(self) -> _Retry:
        return _Retry(self._clock() + self._patience, self._clock, self._sleep)


class _Retry:
    """Pauses that double, until the deadline."""

    def __init__(self, deadline: float, clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._deadline = deadline
        self._clock = clock
        self._sleep = sleep
        self._pause = _FIRST_PAUSE

    def wait_or_raise(self, error: EventHubsError, *, again: bool) -> None:
        pause = max(self._pause, error.retry_after if isinstance(error, ServerBusyError) else 0.0)
        if not again or self._clock() + pause >= self._deadline:
            raise error
        self._sleep(pause)
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)


@functools.cache
def receiver_of_this_process(
    connection: HubConnection, hub: str, consumer_group: str, transport: Transport, receive_timeout: float
) -> KeptReceiver:
    """The receiver that tasks running in this Python worker one after the other share.

    Spark reuses its worker processes; signing in anew for every task would cost more than reading.
    """
    return KeptReceiver(
        lambda: open_receiver(connection, hub, consumer_group, transport=transport, receive_timeout=receive_timeout),
        receive_timeout,
    )
