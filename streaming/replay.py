"""Replay of quarantined reports: marked ones are judged by today's decoder, suite and model, and stored if they pass.

Under the lease of the hub the reports came from. A stream does it between two batches, and counts what is stored at
its next commit; where no stream runs, `replay_hub` takes the lease for as long as it takes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlalchemy import Engine

from expectations.checks import Checker
from expectations.suite import LoadedSuite
from models.scorer import ModelBundle, Scorer
from sql.errors import LeaseHeldError, StoreUnavailableError
from sql.positions import Lease, release, take_over
from sql.replay import (
    MarkedRows,
    Replay,
    ReplayResult,
    count_marked,
    read_marked,
    waits_for_stream,
    write_replay,
)
from streaming.commit import Committer
from streaming.event_time import EventTime
from streaming.heartbeat import heartbeat
from streaming.stage import Event, Judges, judge

__all__ = ["CurrentJudges", "ReplaySettings", "Replayer", "replay_hub"]

_MOST_TRIES = 10
"""How often marks may change between reading and writing them; only what is broken changes them so often."""


@dataclass(frozen=True)
class CurrentJudges:
    """What judges reports now: the suite, and the champion model if there is one."""

    suite: LoadedSuite
    model: ModelBundle | None


class Replayer:
    """Does the marked reports of one lease's hub. One at a time: the caller holds the driver lock."""

    def __init__(
        self, engine: Engine, lease: Lease, judges: Callable[[], CurrentJudges], event_time: EventTime
    ) -> None:
        self._engine = engine
        self._lease = lease
        self._current = judges
        self._event_time = EventTime.REPORTED if _is_backfill(lease.hub) else event_time
        self._suite: tuple[LoadedSuite, Checker] | None = None
        self._model: tuple[ModelBundle, Scorer] | None = None

    def run(self) -> ReplayResult:
        """Do all that are marked; one cheap look when none is. Counting them is left to the next commit.

        Each is done once, however often this is called and whatever ends it. Raises `FencedError` when the lease is
        lost (nothing is stored then), and what `sql.replay.write_replay` and the judges raise.
        """
        return sum(self.chunks(), ReplayResult())

    def chunks(self) -> Iterator[ReplayResult]:
        """The same, one transaction of some hundred reports at a time; the caller may stop in between."""
        tries = 0
        while (marked := read_marked(self._engine, self._lease.hub)) is not None:
            result = write_replay(self._engine, self._lease, self._judged(marked))
            if result is not None:
                tries = 0
                yield result
            elif (tries := tries + 1) == _MOST_TRIES:
                raise StoreUnavailableError(
                    f"The marks of quarantined reports from {self._lease.hub} change as fast as they are read: "
                    "see what else writes to the database, then start again. Nothing is lost."
                )

    def _judged(self, marked: MarkedRows) -> Replay:
        current = self._current()
        events = [Event(place, row.enqueued_ms, row.body) for place, row in enumerate(marked.rows)]
        judges = Judges(self._checker(current.suite), self._scorer(current.model), self._event_time)
        return Replay(
            marked=marked,
            outcomes=judge(events, judges),
            model_version=current.model.version if current.model is not None else None,
            suite_version=current.suite.version,
        )

    def _checker(self, suite: LoadedSuite) -> Checker:
        if self._suite is None or self._suite[0] != suite:
            self._suite = suite, Checker(suite)
        return self._suite[1]

    def _scorer(self, model: ModelBundle | None) -> Scorer | None:
        if model is None:
            return None
        if self._model is None or self._model[0] != model:
            self._model = model, Scorer(model)
        return self._model[1]


@dataclass(frozen=True)
class ReplaySettings:
    """What a replay shares with the stream: how reports are judged and counted."""

    judges: Callable[[], CurrentJudges]
    event_time: EventTime
    committer: Callable[[Lease], Committer]


class _Enough(Exception):  # noqa: N818 - a signal to stop waiting, not an error
    pass


def replay_hub(
    engine: Engine,
    hub: str,
    settings: ReplaySettings,
    stop: threading.Event,
    *,
    on_progress: Callable[[int, bool], None] = lambda _left, _waiting: None,
    patience_seconds: float = 60.0,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """See to it that the marked reports of a hub are done and counted: by the stream that runs, or else here.

    Comes back when none is marked any more, when `stop` is set, or when a stream has done none for so long; what is
    marked stays marked. `on_progress` is told how many are left, and whether they are left to another holder of the
    lease: a stream that runs, or one that may have ended without a word.
    """
    left = count_marked(engine, hub)
    deadline = clock() + patience_seconds

    def look(seconds: float) -> None:
        """Instead of sleeping while a sign of life of another holder is looked for."""
        nonlocal left, deadline
        if stop.wait(seconds):
            raise _Enough
        now = count_marked(engine, hub)
        if now < left:
            deadline = clock() + patience_seconds
        if now == 0 or clock() > deadline:
            raise _Enough
        left = now
        on_progress(left, True)

    while not stop.is_set():
        try:
            lease = take_over(engine, hub, 0, {}, sleeper=look)
        except LeaseHeldError:
            continue  # each try takes until the holder's next sign of life
        except _Enough:
            return
        else:
            _replay_under(engine, lease, settings, stop, lambda done: on_progress(max(left - done, 0), False))
            return


def _replay_under(
    engine: Engine, lease: Lease, settings: ReplaySettings, stop: threading.Event, on_chunk: Callable[[int], None]
) -> None:
    """Replay and count, one transaction after the other, until none is marked or `stop` is set."""
    try:
        with heartbeat(engine, lease, lambda _lost: None):  # whatever is written next says that it is lost
            committer = settings.committer(lease)
            if _is_backfill(lease.hub):
                committer.run_backfill()  # what an earlier replay stored and could not count
            total = ReplayResult()
            for result in Replayer(engine, lease, settings.judges, settings.event_time).chunks():
                total += result
                if result.stored or result.duplicates:
                    _count(engine, committer)
                on_chunk(total.rows)
                if stop.is_set():
                    return
    finally:
        release(engine, lease)


def _count(engine: Engine, committer: Committer) -> None:
    """As history where it is; else without a clock, so that no window closes and no spike is alerted.

    So what a stream that crashed has not counted is left, and the replay with it, to the next one.
    """
    hub = committer.lease.hub
    if _is_backfill(hub):
        committer.run_backfill()
    elif not waits_for_stream(engine, hub):
        committer.run(None)


def _is_backfill(hub: str) -> bool:
    """Whether reports of this hub came from a file: they build a baseline and nothing more."""
    return hub.startswith("file:")
