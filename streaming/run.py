"""The life of a stream: take over, read on from the stored positions, stop cleanly.

1. reach the hub (bounded retries) and learn its generation and partitions
2. take the lease: earlier runs are fenced, positions read
3. start ticker and relay, then the query from those positions, on a checkpoint folder made new
4. until told to stop, or drained with `once`: hub away → the query starts again from the positions, bounded
5. stop the query, last commit, last relay, release the lease
"""

from __future__ import annotations

import json
import logging
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import stamina
from pyspark.errors import StreamingQueryException
from pyspark.sql import SparkSession
from pyspark.sql.streaming.query import StreamingQuery
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from alerts.publisher import HubPublisher
from alerts.relay import Relay
from eventhubs.errors import EventHubsError, HubUnreachableError, ServerBusyError
from eventhubs.receiver import HubInfo, HubReceiver, PartitionInfo, open_receiver
from eventhubs.source_options import connection_options
from eventhubs.spark import EventHubsDataSource
from sql.connection import open_engine
from sql.errors import PositionError, StoreError
from sql.migrate import ensure_schema
from sql.outbox import SqlOutbox
from sql.positions import Lease, positions, release, take_over
from sql.retry import persistently, store_error
from streaming.batch import BatchHandler, BatchReport
from streaming.clock import HubClock
from streaming.commit import CommitResult, Committer
from streaming.errors import StreamFailedError
from streaming.heartbeat import heartbeat
from streaming.pipeline import PipelineWatch
from streaming.replay import CurrentJudges, Replayer
from streaming.session import spark_session
from streaming.settings import StreamSettings
from streaming.suites import CurrentSuites
from streaming.task import TaskPlan
from streaming.ticker import Ticker
from streaming.versions import ChampionModel

__all__ = ["Observer", "run_stream"]

log = logging.getLogger(__name__)

_HUB_ATTEMPTS = 6
_TRANSIENT = (HubUnreachableError.__name__, ServerBusyError.__name__)


@dataclass(frozen=True)
class Observer:
    """Who is told what happens; every call comes from one of the run's threads."""

    on_ready: Callable[[], None] = lambda: None
    on_batch: Callable[[BatchReport], None] = lambda _: None
    on_commit: Callable[[CommitResult], None] = lambda _: None


def run_stream(settings: StreamSettings, stop: threading.Event, observer: Observer) -> None:
    """Run until `stop` is set, or until the hub is drained when `settings.once`.

    Raises `StreamFailedError`, `StoreError`, `SparkSetupError`, `EventHubsError` or `SuiteError`, each with its remedy.
    """
    suites = CurrentSuites(settings.suites)
    engine = open_engine(settings.database_url)
    persistently(lambda: ensure_schema(engine))
    receiver, info, partitions = _reach(settings)
    try:
        lease = take_over(
            engine,
            settings.hub_id,
            info.created_at_ms,
            {p.partition_id: p.begin_sequence for p in partitions},
            force=settings.take_over,
        )
        try:
            _Run(settings, engine, suites, receiver, info, partitions, lease, stop, observer).run()
        finally:
            release(engine, lease)
    finally:
        receiver.close()
        engine.dispose()


def _reach(settings: StreamSettings) -> tuple[HubReceiver, HubInfo, list[PartitionInfo]]:
    """Connect, patiently within bounds; the retry hook of the front door says what is waited for."""
    for attempt in stamina.retry_context(
        on=(HubUnreachableError, ServerBusyError), attempts=_HUB_ATTEMPTS, wait_initial=1.0, wait_max=10.0, timeout=60
    ):
        with attempt:
            receiver = open_receiver(
                settings.connection, settings.reports_hub, settings.consumer_group, transport=settings.transport
            )
            try:
                info = receiver.hub_info()
                return receiver, info, receiver.partition_infos(info.partition_ids)
            except BaseException:
                receiver.close()
                raise
    raise AssertionError("unreachable: the retry loop returns or raises")


class _Run:
    def __init__(
        self,
        settings: StreamSettings,
        engine: Engine,
        suites: CurrentSuites,
        receiver: HubReceiver,
        info: HubInfo,
        partitions: list[PartitionInfo],
        lease: Lease,
        stop: threading.Event,
        observer: Observer,
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._suites = suites
        self._info = info
        self._lease = lease
        self._stop = stop
        self._observer = observer
        self._fatal: Exception | None = None
        self._batches = 0
        # A folder of this run's own: a run that was just taken over may still be using its one.
        self._scratch = settings.data_dir / "scratch" / f"checkpoint-{lease.epoch}"
        self._check_positions(partitions)
        self._lock = threading.Lock()
        self._watch = PipelineWatch(engine, lease.hub, suites.pipeline)
        self._model = ChampionModel(settings.registry)
        replayer = Replayer(
            engine, lease, lambda: CurrentJudges(suites.report(), self._model.resolve()), settings.event_time
        )
        self._committer = Committer(
            engine, lease, settings.widths_ms, settings.rules, self._watch.look, lambda: next(replayer.chunks(), None)
        )
        self._receiver = receiver
        self._clock = HubClock(
            receiver,
            engine,
            settings.hub_id,
            info.created_at_ms,
            info.partition_ids,
            by_event=settings.event_time.replays,
        )

    def run(self) -> None:
        settings = self._settings
        with (
            heartbeat(self._engine, self._lease, self._give_up),
            spark_session(settings.master, settings.data_dir / "logs", settings.database_url) as session,
        ):
            session.dataSource.register(EventHubsDataSource)
            self._suites.wait()
            with self._relaying():
                with self._ticking():
                    self._query_until_stopped(session, self._handler())
                with self._lock:
                    self._watch.hurry()
                    self._committed(self._committer.run(self._clock.read()))
            if self._fatal is not None:
                raise self._fatal
        shutil.rmtree(self._scratch, ignore_errors=True)

    @contextmanager
    def _ticking(self) -> Iterator[None]:
        ticker = Ticker(
            self._committer,
            self._clock,
            self._lock,
            seconds=self._settings.tick_seconds,
            on_commit=self._committed,
            on_fatal=self._give_up,
        )
        ticker.start()
        try:
            yield
        finally:
            ticker.stop()

    @contextmanager
    def _relaying(self) -> Iterator[None]:
        """Relay on a thread of its own, and once more at the end for what the last commit decided."""
        stop = threading.Event()
        publisher = HubPublisher(self._settings.connection, self._settings.alerts_hub)
        relay = Relay(SqlOutbox(self._engine), publisher, stop=stop)
        thread = threading.Thread(target=relay.run, name="relay", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            try:
                relay.drain()
            except EventHubsError as error:
                log.warning("Alerts wait in the outbox and go out at the next start: %s", error)
            except DBAPIError as error:
                log.warning("Alerts wait in the outbox and go out at the next start: %s", store_error(error))
            publisher.close()

    def _query_until_stopped(self, session: SparkSession, handler: BatchHandler) -> None:
        """Run the query; when the hub goes away, again from the stored positions, patiently within bounds."""
        attempt = 0
        while not self._stop.is_set():
            done = self._batches
            try:
                self._run_query(session, handler)
                return
            except (StreamingQueryException, HubUnreachableError, ServerBusyError) as error:
                if self._fatal is not None:
                    raise self._fatal from None
                attempt = attempt + 1 if self._batches == done else 1
                if not _is_transient(error) or attempt >= _HUB_ATTEMPTS:
                    raise StreamFailedError(_cause(error)) from error
                wait = min(2.0**attempt, 30.0)
                log.warning("The reports hub went away; reading on in %.0f s (try %d).", wait, attempt)
                self._stop.wait(wait)

    def _run_query(self, session: SparkSession, handler: BatchHandler) -> None:
        """One query, until it is drained, told to stop, or fails."""
        query = self._start(session, handler)
        self._observer.on_ready()
        try:
            while not self._stop.is_set() and self._fatal is None and not query.awaitTermination(1):
                pass
        finally:
            query.stop()
        if self._fatal is not None:
            raise self._fatal

    def _start(self, session: SparkSession, handler: BatchHandler) -> StreamingQuery:
        settings = self._settings
        with self._lock:  # the ticker asks the same receiver
            hub = self._receiver.hub_info()
        if hub.created_at_ms != self._info.created_at_ms:
            raise StreamFailedError(
                f"Hub {settings.reports_hub} was deleted and made anew while the stream ran. Start the stream again: "
                "it reads the new hub from its beginning."
            )
        shutil.rmtree(self._scratch, ignore_errors=True)  # the database is the checkpoint; this must never disagree
        start = positions(self._engine, settings.hub_id, self._info.created_at_ms)
        events = (
            session.readStream.format("eventhubs")
            .options(**connection_options(settings.connection))
            .option("hub", settings.reports_hub)
            .option("consumerGroup", settings.consumer_group)
            .option("startingPosition", json.dumps(start))
            .option("maxEventsPerTrigger", str(settings.max_events_per_trigger))
            .option("transport", settings.transport)
            .load()
        )
        writer = events.writeStream.foreachBatch(handler).option("checkpointLocation", str(self._scratch))
        return writer.trigger(availableNow=True).start() if settings.once else writer.start()

    def _handler(self) -> BatchHandler:
        settings = self._settings
        plan = TaskPlan(
            database_url=settings.database_url,
            hub=settings.hub_id,
            generation=self._info.created_at_ms,
            epoch=self._lease.epoch,
            suite=self._suites.report(),
            event_time=settings.event_time,
        )
        return BatchHandler(
            plan,
            self._suites,
            self._model,
            self._committer,
            self._clock,
            self._lock,
            self._count_batch,
        )

    def _count_batch(self, report: BatchReport) -> None:
        self._batches += 1
        self._observer.on_batch(report)
        self._stop_on_flood(report.commit)

    def _committed(self, result: CommitResult) -> None:
        self._observer.on_commit(result)
        self._stop_on_flood(result)

    def _stop_on_flood(self, result: CommitResult) -> None:
        if result.flood and self._settings.stop_on_flood:
            self._give_up(
                StreamFailedError(
                    "Too many of the newest events are quarantined, and REACTIONWATCH_STOP_ON_FLOOD is set. See "
                    "reactionwatch quarantine list; nothing is lost, and starting again goes on."
                )
            )

    def _give_up(self, error: Exception) -> None:
        self._fatal = error

    def _check_positions(self, partitions: list[PartitionInfo]) -> None:
        """Make sure that the hub and the database speak of the same events."""
        stored = positions(self._engine, self._settings.hub_id, self._info.created_at_ms)
        for partition in partitions:
            at = stored[partition.partition_id]
            if at > partition.next_sequence:
                raise PositionError(
                    f"Partition {partition.partition_id} is stored up to event {at - 1}, but the hub ends at "
                    f"{partition.next_sequence - 1}: it has lost events or is another hub under the same name. "
                    "Point the stream at the right hub, or at a new database."
                )


def _is_transient(error: Exception) -> bool:
    """Spark gives an error of the data source as text only; the name in it tells the kind."""
    return not isinstance(error, StreamingQueryException) or any(name in str(error) for name in _TRANSIENT)


def _cause(error: Exception) -> str:
    """What to do about it: the last typed error of ours in Spark's text, or the error itself."""
    if not isinstance(error, StreamingQueryException):
        return str(error)
    names = {cls.__name__ for base in (EventHubsError, StoreError) for cls in _all_subclasses(base)}
    for line in reversed(str(error).splitlines()):
        head, _, rest = line.strip().partition(": ")
        if head.rsplit(".", 1)[-1] in names and rest:
            return rest
    return "A batch failed and the stream stopped. The details are in spark.log; starting again resumes."


def _all_subclasses(cls: type[Exception]) -> set[type[Exception]]:
    return {cls}.union(*(_all_subclasses(sub) for sub in cls.__subclasses__()))
