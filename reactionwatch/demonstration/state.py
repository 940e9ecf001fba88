"""What the demo shows at one moment: values only, so that drawing it is a function of them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from alerts.cloudevent import AlertNotice
from generator.truth import Planted
from sql.overview import Overview

__all__ = ["Entry", "Snapshot", "Step"]


@dataclass(frozen=True)
class Step:
    """One step of the course: to come, under way or done."""

    title: str
    explained: str
    """What happens in it, in one line."""
    began_s: float | None = None
    ended_s: float | None = None
    result: str = ""
    """What came of it, once it is done."""

    @property
    def under_way(self) -> bool:
        """Begun and not ended."""
        return self.began_s is not None and self.ended_s is None


@dataclass(frozen=True)
class Entry:
    """Something that was told: a line of text or an alert."""

    at_s: float
    told: str | AlertNotice


@dataclass(frozen=True)
class Snapshot:
    """Everything shown. Seconds count from the demo's first report."""

    elapsed_s: float
    sending_s: float
    """How long reports are sent."""
    started: dt.datetime
    stopping: bool
    """The user has asked for an early end."""
    steps: tuple[Step, ...]
    planted: tuple[Planted, ...]
    history_written: int
    """Earlier reports written to the file so far."""
    history_complete: bool
    """All of them are written."""
    sent: int
    """Acknowledged by the hub."""
    sent_per_s: float
    stored_per_s: float
    store: Overview | None
    """The store when it was last looked at."""
    log: tuple[Entry, ...]
    """All that was told, oldest first."""

    @property
    def lag(self) -> int:
        """Reports sent of which the store knows nothing yet."""
        return max(0, self.sent - (self.store.hub.received if self.store is not None else 0))

    @property
    def alerts(self) -> tuple[AlertNotice, ...]:
        """Every message of an alert, oldest first."""
        return tuple(entry.told for entry in self.log if isinstance(entry.told, AlertNotice))

    @property
    def current(self) -> Step | None:
        """Of the steps under way the last."""
        return next((step for step in reversed(self.steps) if step.under_way), None)

    @property
    def streaming(self) -> bool:
        """Whether the stream has begun to store what is sent."""
        return self.store is not None and self.store.hub.received > 0
