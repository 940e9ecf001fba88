"""The board: the parts of the demo write on it from their threads, the screen reads it whole."""

from __future__ import annotations

import datetime as dt
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from alerts.cloudevent import AlertNotice
from generator.truth import Truth
from reactionwatch.demonstration.state import Entry, Snapshot, Step
from sql.overview import Overview

__all__ = ["Board"]

_RATE_SECONDS = 6.0
"""Rates are means over this long: more than a batch, less than a change that should be seen."""


@dataclass(frozen=True)
class _Sample:
    at_s: float
    sent: int
    stored: int


class Board:
    """Collects what is to be shown. `clock` counts seconds from anywhere; safe to use from several threads."""

    def __init__(
        self,
        steps: Sequence[Step],
        *,
        started: dt.datetime,
        sending_s: float,
        truth: Truth,
        stop: threading.Event,
        clock: Callable[[], float],
    ) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self._began = clock()
        self._started = started
        self._sending_s = sending_s
        self._truth = truth
        self._stop = stop
        self._steps = {step.title: step for step in steps}
        self._log: list[Entry] = []
        self._sent = 0
        self._history_written = 0
        self._history_complete = False
        self._store: Overview | None = None
        self._samples: deque[_Sample] = deque()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the board was made."""
        return self._clock() - self._began

    def say(self, text: str) -> None:
        """Tell a line."""
        with self._lock:
            self._log.append(Entry(self.elapsed_s, text))

    def begin(self, title: str) -> None:
        """A step starts; nothing new where it has started before."""
        with self._lock:
            step = self._steps[title]
            if step.began_s is None:
                self._steps[title] = replace(step, began_s=self.elapsed_s)
                self._log.append(Entry(self.elapsed_s, f"{title}: {step.explained}."))

    def end(self, title: str, result: str) -> None:
        """A step is done, with what came of it."""
        with self._lock:
            self._steps[title] = replace(self._steps[title], ended_s=self.elapsed_s, result=result)
            self._log.append(Entry(self.elapsed_s, f"{title} done: {result}."))

    def alert(self, notice: AlertNotice) -> None:
        """An alert's message has reached the officer."""
        with self._lock:
            self._log.append(Entry(self.elapsed_s, notice))

    def sent(self, reports: int) -> None:
        """So many reports have been acknowledged by the hub so far."""
        with self._lock:
            self._sent = reports

    def history(self, written: int, *, complete: bool) -> None:
        """So many earlier reports have been written to the file so far."""
        with self._lock:
            self._history_written, self._history_complete = written, complete

    def look(self, store: Overview | None) -> None:
        """The store as it is now."""
        with self._lock:
            self._store = store
            self._samples.append(_Sample(self.elapsed_s, self._sent, store.hub.stored if store is not None else 0))
            while self._samples[-1].at_s - self._samples[0].at_s > _RATE_SECONDS:
                self._samples.popleft()

    def snapshot(self) -> Snapshot:
        """Everything as it is now."""
        with self._lock:
            sent_per_s, stored_per_s = self._rates()
            return Snapshot(
                elapsed_s=self.elapsed_s,
                sending_s=self._sending_s,
                started=self._started,
                stopping=self._stop.is_set(),
                steps=tuple(self._steps.values()),
                planted=self._truth.spikes,
                history_written=self._history_written,
                history_complete=self._history_complete,
                sent=self._sent,
                sent_per_s=sent_per_s,
                stored_per_s=stored_per_s,
                store=self._store,
                log=tuple(self._log),
            )

    def _rates(self) -> tuple[float, float]:
        """Reports per second (sent, stored) over the samples kept."""
        if len(self._samples) < 2:
            return 0.0, 0.0
        first, last = self._samples[0], self._samples[-1]
        seconds = last.at_s - first.at_s
        return (last.sent - first.sent) / seconds, (last.stored - first.stored) / seconds
