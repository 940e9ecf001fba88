"""The ticker: time passes although the hub is silent. Windows close, alerts close, silences expire."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from sql.errors import StoreError
from streaming.clock import HubClock
from streaming.commit import CommitResult, Committer

__all__ = ["Ticker"]

log = logging.getLogger(__name__)


class Ticker:
    """Commits every few seconds when no batch is running. Runs on its own thread."""

    def __init__(
        self,
        committer: Committer,
        clock: HubClock,
        driver_lock: threading.Lock,
        *,
        seconds: float,
        on_commit: Callable[[CommitResult], None],
        on_fatal: Callable[[Exception], None],
    ) -> None:
        self._committer = committer
        self._clock = clock
        self._lock = driver_lock
        self._seconds = seconds
        self._on_commit = on_commit
        self._on_fatal = on_fatal
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ticker", daemon=True)

    def start(self) -> None:
        """Begin to tick."""
        self._thread.start()

    def stop(self) -> None:
        """End after the tick under way."""
        self._stop.set()
        self._thread.join()

    def tick(self) -> None:
        """One commit, unless a batch is running."""
        if self._lock.acquire(blocking=False):
            try:
                self._on_commit(self._committer.run(self._clock.read()))
            finally:
                self._lock.release()

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            try:
                self.tick()
            except StoreError as error:
                self._on_fatal(error)
                return
            except Exception as error:
                log.exception("A tick failed.")
                self._on_fatal(error)
                return
