"""Which suites judge a batch: read anew before every batch, so that an edited file takes effect at the next one.

A suite is confirmed by Great Expectations on the driver before it judges anything (`expectations.agreement`); one that
does not load or is not confirmed is refused with a warning, and the old one stays.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Generic, TypeVar

from expectations.agreement import confirm
from expectations.errors import SuiteError
from expectations.pipeline import PIPELINE_SUITE, PipelineChecker, load_pipeline_suite
from expectations.suite import REPORT_SUITE, LoadedSuite, load_suite
from expectations.suite_file import suite_bytes

__all__ = ["CurrentSuites"]

log = logging.getLogger(__name__)

S = TypeVar("S")


class CurrentSuites:
    """The suites in force. One thread at a time may ask: the caller holds the driver lock.

    Raises SuiteError when a packaged suite, or one of `folder`, cannot be read. Great Expectations takes seconds to
    import, so that it confirms the first suites on a thread of its own; `wait` raises SuiteError when it does not.
    """

    def __init__(self, folder: Path | None) -> None:
        load_suite(folder)
        load_pipeline_suite(folder)
        self._report = _Current(REPORT_SUITE, folder, lambda: _confirmed(folder))
        self._pipeline = _Current(PIPELINE_SUITE, folder, lambda: PipelineChecker(load_pipeline_suite(folder)))
        self._ready: Future[None] = Future()
        threading.Thread(target=self._prepare, name="expectations", daemon=True).start()

    def wait(self) -> None:
        """Return once the first suites have been confirmed."""
        self._ready.result()

    def report(self) -> LoadedSuite:
        """The suite for the next batch of reports."""
        self.wait()
        return self._report.resolve()

    def pipeline(self) -> PipelineChecker:
        """What judges the newest events as a whole."""
        self.wait()
        return self._pipeline.resolve()

    def _prepare(self) -> None:
        try:
            self._report.load()
            self._pipeline.load()
        except BaseException as error:  # noqa: BLE001 - whoever waits raises it
            self._ready.set_exception(error)
        else:
            self._ready.set_result(None)


class _Current(Generic[S]):
    """One suite, by the bytes of its file."""

    def __init__(self, name: str, folder: Path | None, make: Callable[[], S]) -> None:
        self._name = name
        self._folder = folder
        self._make = make
        self._bytes = b""
        self._suite: S | None = None
        self._said: str | None = None

    def load(self) -> S:
        """Read it for the first time; raises SuiteError."""
        self._bytes = suite_bytes(self._name, self._folder)
        self._suite = self._make()
        return self._suite

    def resolve(self) -> S:
        """Read it again when its file has changed; never raises SuiteError."""
        assert self._suite is not None
        try:
            found = suite_bytes(self._name, self._folder)
            if found != self._bytes:
                self._bytes = found
                self._suite = self._make()
                self._said = None
                log.info("%s.json has changed: from here on the new version judges.", self._name)
        except SuiteError as error:
            if str(error) != self._said:
                log.warning("The new %s.json was not taken, the version before goes on judging: %s", self._name, error)
                self._said = str(error)
        return self._suite


def _confirmed(folder: Path | None) -> LoadedSuite:
    suite = load_suite(folder)
    confirm(suite)
    return suite
