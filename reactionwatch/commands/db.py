"""`reactionwatch db`: the database's tables and views, and forgetting what old reports say."""

from __future__ import annotations

import datetime as dt
import re
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from reactionwatch.console import Progress, say, stopping
from reactionwatch.settings import load_settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from sql.prune import Pruned

__all__ = ["app"]

app = typer.Typer(help="The database: its tables and views, and forgetting old reports.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """The database: its tables and views, and forgetting old reports."""


@app.command()
def upgrade() -> None:
    """Bring tables and views to this build's version.

    Needed on a server before the first start and after an update of ReactionWatch; a SQLite file is upgraded by itself.
    """
    from sql.connection import open_engine
    from sql.migrate import current_version
    from sql.migrate import upgrade as upgrade_tables

    settings = load_settings()
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    engine = open_engine(settings.database, pooled=False)
    before = current_version(engine)
    upgrade_tables(engine)
    after = current_version(engine)
    if before is None:
        say(f"Tables and views made, version {after}.")
    elif before == after:
        say(f"Tables were at version {after} already; views made anew.")
    else:
        say(f"Upgraded from version {before} to {after}.")


@app.command()
def ddl() -> None:
    """Print the tables and views for Azure SQL.

    The statements make an empty database what upgrade makes it. Connects to nothing.
    """
    from sql.migrate import azure_sql_ddl

    sys.stdout.write(azure_sql_ddl())


def _days(text: str) -> dt.timedelta:
    match = re.fullmatch(r"([1-9]\d{0,4})d", text)
    if match is None:
        raise typer.BadParameter("an age is a number of days, such as 180d")
    return dt.timedelta(days=int(match[1]))


@app.command()
def prune(
    older_than: Annotated[
        dt.timedelta, typer.Option(parser=_days, metavar="DAYS", help="How long ago it was stored, such as 180d.")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would be forgotten.")] = False,
) -> None:
    """Forget what old reports say.

    Counts, findings and alerts stay, and the same report is still known when it comes again. May be stopped at any
    time, and goes on when it is run again. A stream may run meanwhile.
    """
    from reactionwatch.database import open_database
    from sql.clock import utc_now
    from sql.prune import prunable

    engine = open_database(load_settings())
    before = utc_now() - older_than
    if dry_run:
        say(f"Would forget {_told(prunable(engine, before))}, stored before {before:%Y-%m-%d %H:%M} UTC.")
    else:
        _prune(engine, before)


def _prune(engine: Engine, before: dt.datetime) -> None:
    from sql.prune import Pruned, prune

    progress, done = Progress(), Pruned()
    with stopping() as stop:
        for done in prune(engine, before):
            progress.update(f"forgotten {_told(done)}")
            if stop.is_set():
                progress.finish(f"Stopped after {_told(done)}; run it again to go on.")
                return
    progress.finish(f"Forgotten: {_told(done)}, stored before {before:%Y-%m-%d %H:%M} UTC.")


def _told(pruned: Pruned) -> str:
    return f"{pruned.reports:,} reports, {pruned.quarantined:,} in quarantine, {pruned.messages:,} sent messages"
