"""`reactionwatch quarantine`: what could not be used and why, and what is to become of it."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from sqlalchemy import Engine

from reactionwatch.commands.quarantine_tables import (
    escaped,
    meanings,
    outcomes_as_json,
    print_outcomes,
    print_row,
    print_rows,
)
from reactionwatch.commands.selecting import (
    All,
    Chooser,
    Filter,
    Hub,
    OlderThan,
    OnePosition,
    Positions,
    Reason,
    Since,
    fail,
    reports,
)
from reactionwatch.console import Progress, print_json, say, stopping
from reactionwatch.settings import Settings, load_settings
from sql.quarantine import Place, State, body_of, count_quarantined, discard, list_quarantined, mark, row_at
from sql.replay import uncounted_files
from sql.replay_outcomes import Became, outcomes_of

if TYPE_CHECKING:
    from expectations.suite import LoadedSuite

__all__ = ["app"]

_MARKABLE = (State.KEPT, State.REPLAY)
_PATIENCE_SECONDS = 60.0
"""How long a running stream may do none of what is marked; a batch of its own comes first."""

app = typer.Typer(help="Reports that could not be used: look at them, replay or discard them.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print as JSON on standard output.")]


@app.callback()
def _group() -> None:
    """Reports that could not be used: look at them, replay or discard them."""


@app.command("list")
def list_command(
    positions: Positions = None,
    state: Annotated[
        list[State] | None, typer.Option(help="In this state; may be repeated. Not given: kept and replay.")
    ] = None,
    reason: Reason = None,
    hub: Hub = None,
    since: Since = None,
    older_than: OlderThan = None,
    limit: Annotated[int, typer.Option(min=1, help="Show at most so many, newest first.")] = 50,
    json_output: Json = False,
) -> None:
    """List quarantined reports: where each came from and why it is there, never what it says.

    States: kept, replay (asked for), replayed, discarded, pruned.

    \b
    What can be replayed, newest first:
      reactionwatch quarantine list
    What came in broken within a day:
      reactionwatch quarantine list --reason broken_json --since 24h
    What is out of it:
      reactionwatch quarantine list --state replayed --state discarded
    """
    engine = _database(load_settings())
    chooser = Chooser(engine)
    selection = chooser.selection(Filter(positions, hub, reason, since, older_than), state or _MARKABLE)
    rows = list_quarantined(engine, limit, selection)
    if json_output:
        print_json([{"position": chooser.shown(row.place), **vars(row)} for row in rows])
    elif rows:
        print_rows(rows, chooser.shown)
    else:
        say("The quarantine is empty." if chooser.is_empty else "No report in quarantine matches.")
    if len(rows) == limit and (total := count_quarantined(engine, selection)) > limit:
        say(f"{reports(total - limit)} more: --limit {total} shows all.")


@app.command()
def show(
    position: OnePosition,
    hub: Hub = None,
    body: Annotated[
        bool, typer.Option("--body", help="Write its original bytes, and nothing else, to standard output.")
    ] = False,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write its original bytes to a file.")] = None,
    json_output: Json = False,
) -> None:
    """Show why a report is in quarantine; what it says only if asked for.

    \b
    Why it is there:
      reactionwatch quarantine show 0:17
    Its bytes as they came:
      reactionwatch quarantine show 0:17 --out report.json

    Into a pipe or file --body writes the exact bytes; on a terminal, control characters are shown escaped.
    """
    if json_output and (body or out is not None):
        raise typer.BadParameter("--json is without the bytes: leave out --body and --out.")
    settings = load_settings()
    engine = _database(settings)
    chooser = Chooser(engine)
    place = chooser.one(position, hub)
    if body or out is not None:
        _write_body(engine, place, chooser.shown(place), out)
        return
    row = row_at(engine, place)
    reasons = meanings(row.reasons, lambda: _suite(settings))
    if json_output:
        told = [{"code": code, "meaning": meaning} for code, meaning in reasons]
        print_json({"position": chooser.shown(place), **vars(row), "reasons": told})
    else:
        print_row(row, chooser.shown, reasons)


@app.command("replay")
def replay_command(
    positions: Positions = None,
    reason: Reason = None,
    hub: Hub = None,
    since: Since = None,
    older_than: OlderThan = None,
    every: All = False,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Only ask for it: a running stream, or the next replay, does it.")
    ] = False,
    json_output: Json = False,
) -> None:
    """Judge reports anew, by today's decoder, expectations and model, and store those that pass.

    What passes is stored once and counts where it would have counted; what fails stays, with its new reasons. A
    running stream does it at its next tick and this command waits for that; without a stream, it does it itself.
    Stopped by Ctrl-C, what is not done stays asked for.

    \b
    Two reports:
      reactionwatch quarantine replay 0:17 1:4
    After an expectation has been corrected:
      reactionwatch quarantine replay --reason too_many_drugs
    Everything that is kept, and what was asked for before:
      reactionwatch quarantine replay --all
    """
    by = Filter(positions, hub, reason, since, older_than)
    _refuse_nothing(by, every)
    settings = load_settings()
    engine = _database(settings)
    chooser = Chooser(engine)
    places = chooser.several(by, _MARKABLE)
    mark(engine, places, _user())
    say(f"{reports(len(places))} to replay." if places else "No report in quarantine matches.")
    stopped = False if no_wait else _replay(engine, settings, {place.hub for place in places})
    outcomes = outcomes_of(engine, places)
    if json_output:
        print_json(outcomes_as_json(outcomes, chooser.shown))
    else:
        print_outcomes(outcomes, chooser.shown)
    waiting = sum(outcome.became is Became.WAITING for outcome in outcomes)
    if waiting and (no_wait or stopped):
        say(f"{reports(waiting)} marked: a running stream, or reactionwatch quarantine replay --all, goes on with it.")
    elif waiting:
        fail(
            f"{reports(waiting)} not done: whatever holds the hub did none of them for {_PATIENCE_SECONDS:.0f} "
            "seconds. They stay marked: see that the stream runs and is of this version, or end what is in its place."
        )


@app.command("discard")
def discard_command(
    positions: Positions = None,
    reason: Reason = None,
    hub: Hub = None,
    since: Since = None,
    older_than: OlderThan = None,
    every: All = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether it is meant.")] = False,
    json_output: Json = False,
) -> None:
    """Delete the bytes of reports for good; that they came, and why they could not be used, stays.

    They stay counted as quarantined. This cannot be undone. Reports marked for replay are left alone.

    \b
    One report:
      reactionwatch quarantine discard 0:17
    What has been empty for a month or more:
      reactionwatch quarantine discard --reason empty_body --older-than 30d
    """
    by = Filter(positions, hub, reason, since, older_than)
    _refuse_nothing(by, every)
    engine = _database(load_settings())
    chooser = Chooser(engine)
    places = chooser.several(by, (State.KEPT,))
    if places and not yes:
        _ask(f"Delete the bytes of {reports(len(places))} for good?")
    discarded = discard(engine, places, _user())
    if json_output:
        print_json({"discarded": discarded})
    else:
        say(f"Discarded: {reports(discarded)}." if places else "No report in quarantine matches.")
    if not by.positions and (marked := count_quarantined(engine, chooser.selection(by, (State.REPLAY,)))):
        say(f"{reports(marked)} left alone: marked for replay, which comes first.")


def _database(settings: Settings) -> Engine:
    from reactionwatch.database import open_database

    return open_database(settings)


def _refuse_nothing(by: Filter, every: bool) -> None:
    if by.is_empty and not every:
        raise typer.BadParameter("say which reports: positions, --reason, --hub, --since, --older-than or --all.")


def _replay(engine: Engine, settings: Settings, hubs: set[str]) -> bool:
    """Hub after hub; whether somebody stopped it."""
    hubs |= set(uncounted_files(engine))
    if not hubs:
        return False
    say("Loading the expectations and the model ...")
    from reactionwatch.wiring import replay_settings
    from streaming.replay import replay_hub

    shared = replay_settings(settings, engine)
    progress = Progress()
    with stopping() as stop:
        for hub in sorted(hubs):

            def show_progress(left: int, waiting: bool, hub: str = hub) -> None:
                held = f": the stream that holds {hub} does them, or its lease runs out" if waiting else ""
                progress.update(f"{reports(left)} to go{held}")

            replay_hub(engine, hub, shared, stop, on_progress=show_progress, patience_seconds=_PATIENCE_SECONDS)
        progress.finish("Stopped." if stop.is_set() else "Done.")
        return stop.is_set()


def _suite(settings: Settings) -> LoadedSuite:
    from expectations.suite import load_suite

    return load_suite(settings.suites)


def _write_body(engine: Engine, place: Place, shown: str, out: Path | None) -> None:
    body = body_of(engine, place)
    if body is None:
        fail(f"The bytes of {shown} are gone: it was replayed, discarded or pruned; show it without --body.")
    if out is not None:
        try:
            out.write_bytes(body)
        except OSError as error:
            fail(f"Cannot write {out}: {error.strerror}. Name another file.")
        say(f"{len(body):,} bytes written to {out}.")
    elif sys.stdout.isatty():
        sys.stdout.write(escaped(body) + "\n")
    else:
        sys.stdout.buffer.write(body)
        sys.stdout.buffer.flush()


def _ask(question: str) -> None:
    try:
        typer.confirm(question, abort=True, err=True)
    except typer.Abort:
        fail("Nothing was discarded: answer y, or add --yes.")


def _user() -> str:
    """Who is asking, as the system knows them."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container may have no name for its user
        name = f"uid {os.getuid()}"
    return "".join(c for c in name if c.isprintable())[:200]
