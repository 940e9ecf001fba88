"""The command line: `reactionwatch`. Exit code 0 done, 1 failed (with one sentence that says what to do), 2 misused."""

from __future__ import annotations

import logging
import sys

import typer
from rich.console import Console
from rich.logging import RichHandler

from eventhubs.errors import EventHubsError
from eventhubs.hub.errors import HubError
from expectations.errors import ExpectationsError
from models.errors import ModelError
from reactionwatch.commands import alerts, data, demo, expectations, hub, models, quarantine, status, stream
from reactionwatch.settings import SettingsError
from sql.errors import StoreError
from streaming.errors import SparkSetupError, StreamFailedError

__all__ = ["app", "main"]

_EXPECTED = (
    EventHubsError,
    ExpectationsError,
    HubError,
    ModelError,
    SettingsError,
    SparkSetupError,
    StoreError,
    StreamFailedError,
)

app = typer.Typer(
    name="reactionwatch",
    help="Watches a stream of patient safety reports and alerts on reactions reported unusually often for a drug.",
    epilog="Start with: reactionwatch demo",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("demo")(demo.demo)
app.command("hub")(hub.hub)
app.command("generate")(data.generate)
app.command("send")(data.send)
app.command("backfill")(data.backfill)
app.command("stream")(stream.stream)
app.command("status")(status.status)
app.command("train")(models.train)
app.command("promote")(models.promote)
app.add_typer(alerts.app, name="alerts")
app.add_typer(expectations.app, name="expectations")
app.add_typer(quarantine.app, name="quarantine")


def main() -> None:
    """Entry point of the console script."""
    logging.basicConfig(
        level=logging.WARNING,
        format="%(message)s",
        handlers=[RichHandler(console=Console(stderr=True), show_path=False, show_level=True, markup=False)],
    )
    for ours in ("streaming", "alerts", "eventhubs", "models"):
        logging.getLogger(ours).setLevel(logging.INFO)
    for noisy in ("azure", "mlflow", "py4j", "great_expectations", "alembic"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    try:
        app()
    except _EXPECTED as error:
        Console(stderr=True, highlight=False).print(f"Error: {error}", style="red", markup=False, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(1)
