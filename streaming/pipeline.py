"""The pipeline's watch: every few seconds the newest events are held, as a whole, against the suite for them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import Engine

from alerts.alert import PipelineFinding
from expectations.errors import SuiteError
from expectations.pipeline import PipelineChecker
from sql.clock import now_ms
from sql.sample import newest_received
from streaming.alert_rows import pipeline_finding

__all__ = ["PipelineWatch"]

log = logging.getLogger(__name__)

_SECONDS = 10.0
"""Between two looks: one takes about a tenth of a second."""


@dataclass
class PipelineWatch:
    """Looks when it is time to. One thread at a time may ask: the caller holds the driver lock."""

    engine: Engine
    hub: str
    checker: Callable[[], PipelineChecker]
    """The checker in force."""
    seconds: float = _SECONDS
    _next: float = field(default=0.0, init=False)

    def hurry(self) -> None:
        """Look the next time, whenever that is: what came last would not be looked at otherwise."""
        self._next = 0.0

    def look(self) -> tuple[PipelineFinding, ...]:
        """What is found; nothing when it is not time yet, or when there are too few events."""
        if time.monotonic() < self._next:
            return ()
        self._next = time.monotonic() + self.seconds
        checker = self.checker()
        received = newest_received(self.engine, self.hub, checker.suite.newest)
        try:
            found = checker.check(received, now_ms=now_ms())
        except SuiteError as error:
            log.warning("The pipeline was not judged: %s", error)
            return ()
        return tuple(pipeline_finding(one) for one in found or ())
