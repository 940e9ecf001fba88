"""`reactionwatch stream`: the job itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from reactionwatch.console import Progress, say, stopping
from reactionwatch.settings import load_settings

if TYPE_CHECKING:
    from alerts.policy import AlertChange
    from streaming.batch import BatchReport
    from streaming.commit import CommitResult

__all__ = ["stream"]


def stream(
    once: Annotated[bool, typer.Option("--once", help="Store what the hub holds now, then stop.")] = False,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Take over from a stream that still runs; that one stops.")
    ] = False,
) -> None:
    """Read reports from the hub, check, score and store them, watch for spikes, and publish alerts.

    Stop it with Ctrl-C at any time and start it again: it goes on where the database says it was.
    """
    from reactionwatch.wiring import stream_settings
    from streaming.run import Observer, run_stream

    shown = _Shown()
    with stopping() as stop:
        say("Reaching the hub and starting Spark ...")
        run_stream(
            stream_settings(load_settings(), once=once, take_over=take_over),
            stop,
            Observer(on_ready=shown.ready, on_batch=shown.batch, on_commit=shown.commit),
        )
    shown.done()


class _Shown:
    """Totals of this run, as a line that keeps changing, and every alert as a line that stays."""

    def __init__(self) -> None:
        self._progress = Progress(2.0)
        self._received = self._stored = self._quarantined = self._duplicates = self._alerts = 0
        self._rate = 0.0

    def ready(self) -> None:
        say("Stream is running. Stop it with Ctrl-C.")

    def batch(self, report: BatchReport) -> None:
        self._received += report.received
        self._stored += report.stored
        self._quarantined += report.quarantined
        self._duplicates += report.duplicates
        self._rate = report.received / report.seconds if report.seconds > 0 else 0.0
        self.commit(report.commit)

    def commit(self, result: CommitResult) -> None:
        for change in result.alerts:
            if change.publish:
                self._alerts += change.change == "opened"
                say(f"ALERT {change.change}: {_subject(change)}")
        if self._received:
            self._progress.update(self._line())

    def done(self) -> None:
        self._progress.finish("Stopped. " + self._line())

    def _line(self) -> str:
        return (
            f"received {self._received:,} = stored {self._stored:,} + quarantined {self._quarantined:,} "
            f"+ duplicates {self._duplicates:,}; alerts {self._alerts:,}; last batch {self._rate:,.0f}/s"
        )


def _subject(change: AlertChange) -> str:
    alert = change.alert
    if alert.expectation is not None:
        return f"pipeline: {alert.expectation}, {alert.observed or 0.0:.3g} over {alert.cases:,} events"
    if alert.drug is None:
        return f"unusual report {alert.safetyreportid} (score {alert.score or 0.0:.2f})"
    return (
        f"{alert.drug} / {alert.reaction}: {alert.cases} cases, {alert.expected:.1f} expected, z={alert.z:.1f} "
        f"in {alert.width_ms // 1000} s"
    )
