"""The demo's course: hub, history, model, generator, stream, relay and an officer, in one process and its Spark.

0 s    the hub is up and the generator begins to send
then   a model is trained and registered, history is written and backfilled, Spark starts beside it
50 s+  planted spikes
end    the generator stops, the stream drains, the officer has read every alert, the summary is judged

Every part tells the board what it does, and what the store holds is read once a second; the screen shows the board.
"""

from __future__ import annotations

import datetime as dt
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import SecretStr
from rich.console import Console

from alerts.cloudevent import AlertNotice
from alerts.tail import follow
from eventhubs.hub.server import LocalHub
from generator.clock import StreamClock
from generator.send import SendSummary, send_stream
from generator.truth import GeneratedReport, Truth
from models import registry
from models.forest import train
from models.spikes.rule_file import load_rules
from reactionwatch.database import open_database
from reactionwatch.demonstration.board import Board
from reactionwatch.demonstration.judge import DemoSummary, judge
from reactionwatch.demonstration.reports import HISTORY_SECONDS, WINDOWS, DemoOptions, DemoReports
from reactionwatch.demonstration.screen import shown
from reactionwatch.demonstration.state import Step
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
from sql.overview import read_overview
from sql.retry import persistently
from sql.timing import batches_to_alert
from streaming.backfill import backfill
from streaming.run import Observer, run_stream
from streaming.session import spark_session

__all__ = ["run_demo"]

_TRAINING_REPORTS = 3_000
_DRAIN_SECONDS = 120.0
_LOOK_SECONDS = 1.0
_PAIRS_SHOWN, _WINDOWS_SHOWN = 10, 10


def run_demo(folder: Path, options: DemoOptions, stop: threading.Event, console: Console) -> DemoSummary:
    """Run the whole chain in `folder` (made new), shown on `console`, and judge it.

    `stop` ends it early, with the summary so far.
    """
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
            windows=WINDOWS,
            tick_seconds=1.0,
            data_dir=folder,
        )
        open_database(settings).dispose()  # before the screen looks into it
        demo = _Demo(settings, options, stop)
        with shown(demo.board, console):
            return demo.run()


def _steps(options: DemoOptions) -> tuple[Step, ...]:
    return (
        Step("Hub", f"a local event hub; a generator sends {options.rate:g} reports a second to it"),
        Step("Spark", "starts, with Python workers that decode, check and score reports"),
        Step("Model", f"an isolation forest learns from {_TRAINING_REPORTS:,} reports for MLflow"),
        Step("Baseline", f"{HISTORY_SECONDS / 60:g} minutes of earlier reports, to know what is usual"),
        Step("Stream", "stores each report once and holds counts against the baseline"),
        Step("Drain", "nothing more is sent; the stream stores what is left"),
        Step("Judgement", "the last alerts are read and held against what was planted"),
    )


class _Demo:
    def __init__(self, settings: Settings, options: DemoOptions, stop: threading.Event) -> None:
        self._settings = settings
        self._options = options
        self._stop = stop
        self._truth = Truth()
        self._started = dt.datetime.now(dt.UTC)
        self._reports = DemoReports(options, self._started)
        self.board = Board(
            _steps(options),
            started=self._started,
            sending_s=options.seconds,
            truth=self._truth,
            stop=stop,
            clock=time.monotonic,
        )
        self._sent = 0
        self._received_live = 0
        self._backfilled = 0
        self._streamed = False
        self._notices: list[AlertNotice] = []
        self._failure: tuple[str, Exception] | None = None
        self._generator_done = threading.Event()
        self._prepared = threading.Event()
        self._ready = threading.Event()
        self._stream_stop = threading.Event()
        self._officer_stop = threading.Event()
        self._looking_stop = threading.Event()

    def run(self) -> DemoSummary:
        with self._looking():
            self._perform()
        if self._failure is not None:
            part, error = self._failure
            raise DemoFailedError(f"The demo's {part} stopped: {error}") from error
        if not self._streamed:
            raise DemoFailedError("Stopped before the stream was running, so there is nothing to judge yet.")
        engine = open_database(self._settings)
        rules = load_rules(self._settings.rules)
        return judge(
            sent=self._sent,
            backfilled=self._backfilled,
            accounting=account(engine),
            planted=self._truth.planted,
            notices=self._notices,
            widest=dt.timedelta(milliseconds=max(self._settings.widths_ms)),
            seconds=self.board.elapsed_s,
            stopped_early=self._stop.is_set(),
            batches_to_alert=lambda alert_id: batches_to_alert(engine, alert_id, rules),
        )

    def _perform(self) -> None:
        """From the first report sent to the last alert read."""
        board = self.board
        reports = self._reports.sent(self._truth, clock=StreamClock(sleeper=self._stop.wait), stopped=self._stop.is_set)
        for spike in self._truth.spikes:
            begins, ends = ((at - self._started).total_seconds() for at in (spike.start, spike.end))
            board.say(
                f"Planted: {spike.drug} / {spike.reaction} x{spike.factor:g}, from second {begins:g} to {ends:g}."
            )
        board.begin("Hub")
        threads = [self._thread("generator", lambda: self._generate(reports)), self._thread("officer", self._officer)]
        board.end("Hub", "up, and reports come in")
        streaming = self._thread("stream", self._stream)
        self._prepare()
        self._prepared.set()
        self._generator_done.wait()
        self._drain(streaming)
        self._stream_stop.set()
        streaming.join()
        if self._streamed and self._failure is None:
            self._read_last_alerts()
        self._officer_stop.set()
        for thread in threads:
            thread.join()

    def _prepare(self) -> None:
        """Model and history, while the generator is already sending and Spark starts."""
        board = self.board
        board.begin("Model")
        reports = generated_reports(_TRAINING_REPORTS, self._options.seed)
        version = registry.register(
            train(reports, seed=self._options.seed),
            reports[:100],
            registry_of(self._settings),
            training_source=f"generated {_TRAINING_REPORTS}",
        )
        board.end("Model", f"{version.name} version {version.version} is champion")
        if self._stop.is_set():
            return
        board.begin("Baseline")
        past = self._settings.data_dir / "history.jsonl"
        self._write_history(past)
        if self._stop.is_set():
            return
        engine = open_database(self._settings)
        result = backfill(engine, past, backfill_settings(self._settings, engine), self._stop, lambda _: None)
        engine.dispose()
        self._backfilled = result.received
        board.end("Baseline", f"{result.stored:,} earlier reports stored")

    def _write_history(self, past: Path) -> None:
        """The past as it would have been sent; cut short when the demo is stopped."""
        written = 0
        with past.open("wb") as target:
            for report in self._reports.earlier(self._stop.is_set):
                target.write(report.body + b"\n")
                written += 1
                self.board.history(written, complete=False)
        self.board.history(written, complete=True)

    def _generate(self, reports: Iterator[GeneratedReport]) -> None:
        try:
            with report_sender(self._settings) as sender:
                self._sent = send_stream(reports, sender, self._count_sent).sent
        finally:
            self._generator_done.set()

    def _count_sent(self, summary: SendSummary) -> None:
        self._sent = summary.sent
        self.board.sent(summary.sent)

    def _stream(self) -> None:
        """Spark comes up while the baseline is built; the stream begins when that is done."""
        board = self.board
        settings = stream_settings(self._settings, once=False, take_over=False)
        board.begin("Spark")
        with spark_session(settings.master, settings.data_dir / "logs", settings.database_url):
            board.end("Spark", "up")
            self._prepared.wait()
            if self._stop.is_set():
                return
            self._streamed = True
            run_stream(settings, self._stream_stop, Observer(on_ready=self._running))
            board.end("Stream", "stopped after a last commit")

    def _running(self) -> None:
        self.board.begin("Stream")
        self._ready.set()

    def _officer(self) -> None:
        with alerts_receiver(self._settings) as receiver:
            for notice in follow(receiver, from_start=True, stop=self._officer_stop):
                self._notices.append(notice)
                self.board.alert(notice)

    @contextmanager
    def _looking(self) -> Iterator[None]:
        """Look into the store every second while the demo goes on."""
        looking = self._thread("view", self._look)
        try:
            yield
        finally:
            self._looking_stop.set()
            looking.join()

    def _look(self) -> None:
        engine = open_database(self._settings)
        hub = stream_settings(self._settings, once=False, take_over=False).hub_id
        widths_ms = self._settings.widths_ms
        while not self._looking_stop.wait(_LOOK_SECONDS):
            store = persistently(
                lambda: read_overview(
                    engine, hub, widths_ms=widths_ms, shown_ms=widths_ms[-1], pairs=_PAIRS_SHOWN, windows=_WINDOWS_SHOWN
                )
            )
            self.board.look(store)
            self._received_live = store.hub.received if store is not None else 0
        engine.dispose()

    def _drain(self, streaming: threading.Thread) -> None:
        """Wait until the stream has stored everything sent, with a deadline from when it runs."""
        while not self._ready.wait(0.2):
            if self._failure is not None or not streaming.is_alive() or (self._stop.is_set() and not self._streamed):
                return
        self.board.begin("Drain")
        deadline = time.monotonic() + _DRAIN_SECONDS

        def waiting() -> bool:
            return self._received_live < self._sent and self._failure is None and streaming.is_alive()

        while waiting() and time.monotonic() < deadline:
            time.sleep(0.2)
        self.board.end("Drain", f"{self._received_live:,} of {self._sent:,} reports have arrived in the store")

    def _read_last_alerts(self) -> None:
        """Let the officer read what the relay sent last."""
        self.board.begin("Judgement")
        told = SqlOutbox(open_database(self._settings)).sent_count()
        deadline = time.monotonic() + 30.0
        while len(self._notices) < told and time.monotonic() < deadline and self._failure is None:
            time.sleep(0.1)
        self.board.end("Judgement", f"{len(self._notices):,} of {told:,} messages have reached the officer")

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
