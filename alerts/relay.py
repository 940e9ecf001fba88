"""Carries alerts from the outbox to the alerts hub: at least once, in the order of creation per alert.

One pass: 1. read the oldest messages, 2. publish them, 3. mark them as sent. A failure or crash at any step leaves
them in the outbox and they are published again: repeats are possible, a consumer drops them by event id; none
is missed. Never gives up on a message, so one that can never be sent holds up those behind it, in plain sight.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, replace

from alerts.ports import Outbox, Publisher

__all__ = ["Relay", "RelayState"]

_BATCH = 100
_FIRST_WAIT = 0.5
_LONGEST_WAIT = 30.0
_SENTENCE_LENGTH = 200

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RelayState:
    """What the relay has done so far."""

    sent: int = 0
    """Messages published and marked."""
    failures: int = 0
    """Passes that failed since the last one that worked; 0 when all is well."""
    last_error: str | None = None
    """What the latest failure said, in one line; kept after recovery."""


class Relay:
    """Moves messages until `stop` is set. `run` belongs to one thread; `state` may be read from any."""

    def __init__(
        self, outbox: Outbox, publisher: Publisher, *, poll_seconds: float = 0.5, stop: threading.Event
    ) -> None:
        if poll_seconds <= 0:
            raise ValueError("poll_seconds must be positive")
        self._outbox = outbox
        self._publisher = publisher
        self._poll_seconds = poll_seconds
        self._stop = stop
        self._state = RelayState()

    @property
    def state(self) -> RelayState:
        """The latest state; replaced whole, so it is always consistent."""
        return self._state

    def run(self) -> None:
        """Relay until `stop` is set. No error ends it: it waits, longer each time up to 30 s, and tries again."""
        while not self._stop.is_set():
            try:
                wait = 0.0 if self._pass() else self._poll_seconds
            except Exception as error:  # noqa: BLE001 - whatever failed, alerts must go out once it works again
                wait = self._failed(error)
            self._stop.wait(wait)

    def drain(self) -> int:
        """Relay until the outbox is empty and return how many messages were sent; raises what a pass raises.

        Works after `stop` too, for the last alerts of a run.
        """
        sent = 0
        while moved := self._pass():
            sent += moved
        return sent

    def _pass(self) -> int:
        messages = self._outbox.pending(_BATCH)
        if messages:
            self._publisher.publish(messages)
            self._outbox.mark_sent([message.outbox_id for message in messages])
        self._state = replace(self._state, sent=self._state.sent + len(messages), failures=0)
        return len(messages)

    def _failed(self, error: Exception) -> float:
        failures = self._state.failures + 1
        sentence = _one_line(error)
        self._state = replace(self._state, failures=failures, last_error=sentence)
        if failures == 1:
            _log.warning("Alerts wait in the outbox: %s", sentence)
        return min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** min(failures - 1, 16))


def _one_line(error: Exception) -> str:
    """Kind and first line: what follows in a database's error can repeat the message's body."""
    first = next(iter(str(error).splitlines()), "").strip()
    sentence = f"{type(error).__name__}: {first}" if first else type(error).__name__
    return sentence if len(sentence) <= _SENTENCE_LENGTH else sentence[: _SENTENCE_LENGTH - 1] + "…"
