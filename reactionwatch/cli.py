"""The command line: `reactionwatch`. Exit code 0 done, 1 failed (with one sentence that says what to do), 2 misused."""

from __future__ import annotations

import logging
import sys
import time

import stamina
import typer
from rich.console import Console
from sqlalchemy.exc import DBAPIError
from stamina.instrumentation import RetryDetails

from eventhubs.errors import EventHubsError, HubUnreachableError, ServerBusyError
from eventhubs.hub.errors import HubError
from expectations.errors import ExpectationsError
from models.errors import ModelError
from reactionwatch.commands import (
    alerts,
    data,
    db,
    demo,
    expectations,
    generate,
    hub,
    models,
    quarantine,
    rules,
    status,
    stream,
)
from reactionwatch.console import say
from reactionwatch.errors import DemoFailedError
from reactionwatch.settings import SettingsError, load_settings
from sql.errors import StoreError
from sql.retry import Failure, cause_of, failure_of, store_error
from streaming.errors import SparkSetupError, StreamFailedError

__all__ = ["app", "main"]

_EXPECTED = (
    DemoFailedError,
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
app.command("generate")(generate.generate)
app.command("send")(data.send)
app.command("backfill")(data.backfill)
app.command("stream")(stream.stream)
app.command("status")(status.status)
app.command("train")(models.train)
app.command("promote")(models.promote)
app.add_typer(alerts.app, name="alerts")
app.add_typer(db.app, name="db")
app.add_typer(expectations.app, name="expectations")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(rules.app, name="rules")


def _say_retry(details: RetryDetails) -> None:
    error = details.caused_by
    if isinstance(error, DBAPIError) and failure_of(error) is Failure.COLLISION:
        return  # run again at once
    what = f"Database: {cause_of(error)}" if isinstance(error, DBAPIError) else type(error).__name__
    logging.getLogger("reactionwatch").warning(
        "%s; trying again in %.0f s (try %d).", what, details.wait_for, details.retry_num + 1
    )


def main() -> None:
    """Entry point of the console script."""
    logging.Formatter.converter = time.gmtime
    logging.basicConfig(level=logging.WARNING, format="%(asctime)sZ %(levelname)s %(message)s")
    for ours in ("streaming", "alerts", "eventhubs", "models"):
        logging.getLogger(ours).setLevel(logging.INFO)
    for noisy in ("azure", "mlflow", "great_expectations", "alembic"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    logging.getLogger("py4j").setLevel(logging.CRITICAL)  # logs whatever it then raises
    stamina.instrumentation.set_on_retry_hooks([_say_retry])
    try:
        app()
    except _EXPECTED as error:
        console = Console(stderr=True, highlight=False)
        console.print(f"Error: {error}", style="red", markup=False, soft_wrap=True)
        if isinstance(error, HubUnreachableError | ServerBusyError) and load_settings().uses_local_hub:
            console.print("No connection is set, so the local hub was tried. Start it with: reactionwatch hub")
        sys.exit(1)
    except DBAPIError as error:
        say(f"Error: {store_error(error)}")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(1)
