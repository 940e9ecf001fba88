"""The demo's course: hub, history, model, generator, stream, relay and an officer, in one process and its Spark.

0 s    the hub is up and the generator begins to send; the past is written to a file as it would have been
then   a model is trained and registered, history is backfilled, Spark starts
50 s+  planted spikes
end    the generator stops, the stream drains, the officer has read every alert, the summary is judged
"""

from __future__ import annotations

import datetime as dt
import itertools
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from alerts.cloudevent import AlertNotice
from alerts.tail import follow
from eventhubs.hub.server import LocalHub
from generator.population import Population
from generator.reports import ReportFactory
from generator.send import SendSummary, send_stream
from generator.stream import GeneratedReport, demo_spikes, history, stream
from generator.truth import Truth
from models import registry
from models.forest import train
from reactionwatch.database import open_database
from reactionwatch.demonstration.judge import DemoSummary, judge
from reactionwatch.errors import DemoFailedError
from reactionwatch.settings import Settings
from reactionwatch.training import generated_reports
from reactionwatch.wiring import (
    alerts_receiver,
    backfill_settings,
    registry_of,
    report_sender,
    stream_settings,
)
from sql.accounting import account
from sql.outbox import SqlOutbox
from streaming.backfill import backfill
from streaming.batch import BatchReport
from streaming.run import Observer, run_stream
from streaming.session import spark_session

__all__ = ["DemoOptions", "run_demo"]

_WINDOWS = "5s,30s"
_WIDEST = dt.timedelta(seconds=30)
_HISTORY_SECONDS = 480.0
_TRAINING_REPORTS = 3_000
_BROKEN_SHARE, _DUPLICATE_SHARE = 0.01, 0.01
_DRAIN_SECONDS = 120.0


@dataclass(frozen=True)
class DemoOptions:
    """How long, how fast, and which world."""

    seconds: float
    rate: float
    seed: int


def run_demo(
    folder: Path,
    options: DemoOptions,
    stop: threading.Event,
    *,
    say: Callable[[str], None],
    on_alert: Callable[[AlertNotice], None],
) -> DemoSummary:
    """Run the whole chain in `folder` (made new) and judge it. `stop` ends it early, with the summary so far."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with LocalHub(folder / "hub", {"reports": 4, "alerts": 2}) as hub:
        settings = Settings(
            eventhub_connection=SecretStr(hub.connection_string),
            eventhub_namespace=None,
            reports_hub="reports",
            alerts_hub="alerts",
            consumer_group="$Default",
            database_url=None,
            mlflow_tracking_uri=None,
            mlflow_registry_uri=None,
            windows=_WINDOWS,
            tick_seconds=1.0,
            data_dir=folder,
        )
        return _Demo(settings, options, stop, say, on_alert).run()


class _Demo:
    def __init__(
        self,
        settings: Settings,
        options: DemoOptions,
        stop: threading.Event,
        say: Callable[[str], None],
        on_alert: Callable[[AlertNotice], None],
    ) -> None:
        self._settings = settings
        self._options = options
        self._stop = stop
        self._tell = say
        self._began = time.monotonic()
        self._on_alert = on_alert
        self._factory = ReportFactory(Population(), options.seed)
        self._truth = Truth()
        self._sent = 0
        self._stored_live = 0
        self._backfilled = 0
        self._streamed = False
        self._notices: list[AlertNotice] = []
        self._failure: tuple[str, Exception] | None = None
        self._generator_done = threading.Event()
        self._prepared = threading.Event()
        self._stream_stop = threading.Event()
        self._officer_stop = threading.Event()

    def run(self) -> DemoSummary:
        started = dt.datetime.now(dt.UTC)
        spikes = demo_spikes(self._factory.population, rate=self._options.rate)
        for spike in spikes:
            self._say(
                f"Planted: {spike.drug} / {spike.reaction}, {spike.factor:g} times as often from second "
                f"{spike.start_s:g} for {spike.length_s:g} s."
            )
        threads = [self._thread("generator", lambda: self._generate(started)), self._thread("officer", self._officer)]
        streaming = self._thread("stream", self._stream)
        self._prepare(started)
        self._prepared.set()
        self._watch()
        self._generator_done.wait()
        self._drain(streaming)
        self._stream_stop.set()
        streaming.join()
        self._read_last_alerts()
        for thread in threads:
            thread.join()
        if self._failure is not None:
            part, error = self._failure
            raise DemoFailedError(f"The demo's {part} stopped: {error}") from error
        if not self._streamed:
            raise DemoFailedError("Stopped before the stream was running, so there is nothing to judge yet.")
        engine = open_database(self._settings)
        return judge(
            sent=self._sent,
            backfilled=self._backfilled,
            accounting=account(engine),
            planted=self._truth.spikes,
            notices=self._notices,
            widest=_WIDEST,
            seconds=time.monotonic() - self._began,
        )

    def _prepare(self, started: dt.datetime) -> None:
        """Model and history, while the generator is already sending and Spark starts."""
        reports = generated_reports(_TRAINING_REPORTS, self._options.seed)
        self._say(f"Training an isolation forest on {len(reports):,} reports ...")
        version = registry.register(
            train(reports, seed=self._options.seed),
            reports[:100],
            registry_of(self._settings),
            training_source=f"generated {_TRAINING_REPORTS}",
        )
        self._say(f"Model {version.name} version {version.version} is registered as champion.")
        if self._stop.is_set():
            return
        self._say(f"Building a baseline from {_HISTORY_SECONDS / 60:g} minutes of earlier reports ...")
        past = self._settings.data_dir / "history.jsonl"
        with past.open("wb") as target:
            for report in history(self._factory, rate=self._options.rate, until=started, length_s=_HISTORY_SECONDS):
                target.write(report.body + b"\n")
        engine = open_database(self._settings)
        result = backfill(engine, past, backfill_settings(self._settings, engine), self._stop, lambda _: None)
        engine.dispose()
        self._backfilled = result.received
        self._say(f"Baseline: {result.stored:,} reports.")

    def _generate(self, started: dt.datetime) -> None:
        reports = stream(
            self._factory,
            rate=self._options.rate,
            spikes=demo_spikes(self._factory.population, rate=self._options.rate),
            started_at=started,
            broken_share=_BROKEN_SHARE,
            duplicate_share=_DUPLICATE_SHARE,
            truth=self._truth,
        )
        until = started + dt.timedelta(seconds=self._options.seconds)

        def in_time() -> Iterator[GeneratedReport]:
            return itertools.takewhile(lambda r: r.received_at < until and not self._stop.is_set(), reports)

        try:
            with report_sender(self._settings) as sender:
                self._sent = send_stream(in_time(), sender, self._count_sent).sent
        finally:
            self._generator_done.set()

    def _count_sent(self, summary: SendSummary) -> None:
        self._sent = summary.sent

    def _stream(self) -> None:
        """Spark comes up while the baseline is built; the stream begins when that is done."""
        settings = stream_settings(self._settings, once=False, take_over=False)
        with spark_session(settings.master, settings.data_dir / "logs", settings.database_url):
            self._prepared.wait()
            if self._stop.is_set():
                return
            self._streamed = True
            run_stream(
                settings,
                self._stream_stop,
                Observer(on_ready=lambda: self._say("Stream is running."), on_batch=self._count_batch),
            )

    def _count_batch(self, report: BatchReport) -> None:
        self._stored_live += report.received

    def _officer(self) -> None:
        with alerts_receiver(self._settings) as receiver:
            for notice in follow(receiver, from_start=True, stop=self._officer_stop):
                self._notices.append(notice)
                self._on_alert(notice)

    def _watch(self) -> None:
        """A line every few seconds until the generator has ended."""
        while not self._generator_done.wait(5.0) and self._failure is None:
            self._say(f"sent {self._sent:,}, stored {self._stored_live:,}, alerts {len(self._notices):,}")

    def _drain(self, streaming: threading.Thread) -> None:
        """Wait until the stream has stored everything sent, with a deadline."""
        deadline = time.monotonic() + _DRAIN_SECONDS
        while self._stored_live < self._sent and time.monotonic() < deadline and streaming.is_alive():
            time.sleep(0.2)

    def _read_last_alerts(self) -> None:
        """Let the officer read what the relay sent last."""
        told = SqlOutbox(open_database(self._settings)).sent_count()
        deadline = time.monotonic() + 30.0
        while len(self._notices) < told and time.monotonic() < deadline and self._failure is None:
            time.sleep(0.1)
        self._officer_stop.set()

    def _say(self, text: str) -> None:
        self._tell(f"[{time.monotonic() - self._began:3.0f} s] {text}")

    def _thread(self, name: str, target: Callable[[], None]) -> threading.Thread:
        def guarded() -> None:
            try:
                target()
            except Exception as error:  # noqa: BLE001 - whatever a part dies of, the demo must end and say so
                self._failure = self._failure or (name, error)
                self._stop.set()
                self._generator_done.set()

        thread = threading.Thread(target=guarded, name=name, daemon=True)
        thread.start()
        return thread
