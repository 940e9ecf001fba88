"""Switches that make a running hub misbehave, for tests of what clients do then.

    hub.faults.drop_connections()                # hang up on everybody, once
    hub.faults.refuse_connections(seconds=2)     # and let nobody in for a while
    hub.faults.close_links()                     # detach every open sender and receiver, once
    hub.faults.expire_tokens()                   # the same, because all tokens end now
    hub.faults.throttle(operations=3)            # server-busy for link openings, sends and questions
    hub.faults.delay_answers(0.5, seconds=10)    # everything from the hub comes late
    hub.faults.clear()                           # be well again

Any thread may use them at any time, whether the hub serves or not; a switch has taken effect when its call returns.
What was stored and not yet acknowledged stays stored, so that a client which tries again has sent its events twice.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Protocol

from eventhubs.amqp import Error
from eventhubs.hub.refusals import busy

__all__ = ["Client", "EachClient", "Faults"]


class Client(Protocol):
    """One client's connection, as far as faults concern it."""

    def hang_up(self) -> int:
        """Close the connection without a word; give 1."""

    def close_links(self, error: Error, hub: str | None) -> int:
        """Detach the links to one hub, or to all; give their number."""

    def expire_tokens(self) -> int:
        """Forget all tokens and detach the links that needed them; give their number."""

    def write_held(self) -> None:
        """Write what a delay has held back."""


EachClient = Callable[[Callable[[Client], int | None]], int]
"""Does something to every client, in the thread that serves them, and sums what it gives."""


class Faults:
    """The switches of one hub. They cost nothing while they are not used."""

    def __init__(self, each_client: EachClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._each_client = each_client
        self._clock = clock
        self._lock = threading.Lock()
        self._throttled = False
        self._throttled_hub: str | None = None
        self._throttled_operations: int | None = None
        self._throttled_until = math.inf
        self._delay = 0.0
        self._delayed_until = math.inf
        self._refusing = False
        self._refusing_until = math.inf

    def drop_connections(self) -> int:
        """Hang up on every client that is connected now; give their number."""
        return self._each_client(lambda client: client.hang_up())

    def refuse_connections(self, seconds: float | None = None) -> None:
        """Hang up on whoever connects, for so long or until `clear`. Those connected stay."""
        with self._lock:
            self._refusing, self._refusing_until = True, self._until(seconds)
        # Whoever was being let in when the switch was thrown is in now.
        self._each_client(lambda client: None)

    def close_links(
        self,
        condition: str = "amqp:link:detach-forced",
        description: str = "The link is force detached.",
        *,
        hub: str | None = None,
    ) -> int:
        """Detach all senders and receivers that are open now, or those of one hub; give their number."""
        error = Error(condition, description)
        return self._each_client(lambda client: client.close_links(error, hub))

    def expire_tokens(self) -> int:
        """End every token that was put until now, and so the links that need one; give the number of links."""
        return self._each_client(lambda client: client.expire_tokens())

    def throttle(self, *, operations: int | None = None, seconds: float | None = None, hub: str | None = None) -> None:
        """Answer server-busy to the next `operations`, or for so long, or until `clear`, whichever comes first.

        An operation is the opening of a sender or receiver, a message that is sent, or a question to `$management`;
        on any hub, or on the one that is named.
        """
        with self._lock:
            self._throttled = operations is None or operations > 0
            self._throttled_hub = None if hub is None else hub.lower()
            self._throttled_operations, self._throttled_until = operations, self._until(seconds)

    def delay_answers(self, delay: float, *, seconds: float | None = None) -> None:
        """Hold back whatever is written to clients by `delay` seconds, for so long or until `clear`."""
        with self._lock:
            self._delay, self._delayed_until = delay, self._until(seconds)

    def clear(self) -> None:
        """Switch everything off that lasts, and write what was held back."""
        with self._lock:
            self._refusing = self._throttled = False
            self._delay = 0.0
        self._each_client(lambda client: client.write_held())

    # What the hub asks.

    def check_throttle(self, hub: str) -> None:
        """Count one operation on a hub. Raises `RefusedError` while it is throttled."""
        if not self._throttled:
            return
        with self._lock:
            if self._throttled_hub not in (None, hub.lower()):
                return
            if self._throttled_operations is not None:
                if self._throttled_operations <= 0:
                    self._throttled = False
                self._throttled_operations -= 1
            if self._clock() >= self._throttled_until:
                self._throttled = False
            throttled = self._throttled
        if throttled:
            raise busy()

    def answer_delay(self) -> float:
        """Give the seconds by which to hold back what is written now."""
        if not self._delay:
            return 0.0
        with self._lock:
            if self._clock() >= self._delayed_until:
                self._delay = 0.0
            return self._delay

    def refuses_connections(self) -> bool:
        """Tell whether to hang up on a new client."""
        if not self._refusing:
            return False
        with self._lock:
            if self._clock() >= self._refusing_until:
                self._refusing = False
            return self._refusing

    def _until(self, seconds: float | None) -> float:
        return math.inf if seconds is None else self._clock() + seconds
