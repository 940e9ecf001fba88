"""What the commands of `quarantine` share: which reports a user means."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from sqlalchemy import Engine

from generator.durations import parse_duration
from reactionwatch.console import say
from sql.clock import utc_now
from sql.quarantine import Place, Position, Selection, State, find, sources

__all__ = [
    "All",
    "Chooser",
    "Filter",
    "Hub",
    "OlderThan",
    "OnePosition",
    "Positions",
    "Reason",
    "Since",
    "fail",
    "reports",
]


def _position(text: str) -> Position:
    match = re.fullmatch(r"([^\s:@]{1,20}):(\d{1,18})(?:@(\d{1,18}))?", text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is no position: write PARTITION:SEQUENCE as list shows it, such as 0:17.")
    return Position(match[1], int(match[2]), int(match[3]) if match[3] else None)


def _moment(text: str) -> dt.datetime:
    """So long ago."""
    try:
        return utc_now() - dt.timedelta(seconds=parse_duration(text))
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{text!r} is no age: write a number with s, m, h or d, such as 12h or 30d.") from None


Positions = Annotated[
    list[Position] | None,
    typer.Argument(parser=_position, metavar="PARTITION:SEQUENCE", help="Reports, as list shows them."),
]
OnePosition = Annotated[
    Position, typer.Argument(parser=_position, metavar="PARTITION:SEQUENCE", help="The report, as list shows it.")
]
Hub = Annotated[
    str | None, typer.Option(help="Only from this hub, or file:DIGEST of a backfill; its beginning is enough.")
]
Reason = Annotated[list[str] | None, typer.Option(metavar="CODE", help="Only with this reason; may be repeated.")]
Since = Annotated[
    dt.datetime | None, typer.Option(parser=_moment, metavar="AGE", help="Only first seen within so long (12h, 7d).")
]
OlderThan = Annotated[
    dt.datetime | None, typer.Option(parser=_moment, metavar="AGE", help="Only first seen longer ago (12h, 7d).")
]
All = Annotated[bool, typer.Option("--all", help="All there are.")]


@dataclass(frozen=True)
class Filter:
    """What a command was told about which reports are meant."""

    positions: Sequence[Position] | None = None
    hub: str | None = None
    reasons: Sequence[str] | None = None
    since: dt.datetime | None = None
    before: dt.datetime | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it was told nothing."""
        return not (self.positions or self.hub or self.reasons or self.since or self.before)


class Chooser:
    """Finds the reports that are meant in one database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sources = sources(engine)

    @property
    def is_empty(self) -> bool:
        """Whether no report was ever in quarantine."""
        return not self._sources

    def shown(self, place: Place) -> str:
        """A place as a position; with the generation of its hub where one that was made anew may have it, too."""
        ambiguous = len(self._sources.get(place.hub, ())) > 1
        return f"{place.partition_id}:{place.sequence}" + (f"@{place.generation}" if ambiguous else "")

    def selection(self, by: Filter, states: Sequence[State] = ()) -> Selection:
        """The same for the store."""
        return Selection(
            states=tuple(states),
            hubs=(self._hub(by.hub),) if by.hub is not None else (),
            positions=tuple(by.positions or ()),
            reasons=tuple(by.reasons or ()),
            since=by.since,
            before=by.before,
        )

    def one(self, position: Position, hub: str | None) -> Place:
        """The report at a position; it has to be there, once."""
        (place,) = self._found(Filter([position], hub), (), [position])
        return place

    def several(self, by: Filter, states: Collection[State]) -> list[Place]:
        """Those that are in one of the states; what was named by its position has to be there, once.

        Says how many named ones are in another state, and fails where all are.
        """
        if not by.positions:
            return list(find(self._engine, self.selection(by, tuple(states))))
        found = self._found(by, (), by.positions)
        others = Counter(state for state in found.values() if state not in states)
        told = ", ".join(f"{count:,} {_WHY_NOT[state]}" for state, count in sorted(others.items()))
        if others.total() == len(found):
            fail(f"Nothing is left to be done: {told}.")
        if others:
            say(f"Left alone: {told}.")
        return [place for place, state in found.items() if state in states]

    def _found(self, by: Filter, states: Sequence[State], positions: Sequence[Position]) -> Mapping[Place, State]:
        found = find(self._engine, self.selection(by, states))
        for position in positions:
            places = sorted(
                place
                for place in found
                if (place.partition_id, place.sequence) == (position.partition_id, position.sequence)
                and position.generation in (None, place.generation)
            )
            name = f"{position.partition_id}:{position.sequence}"
            if not places:
                fail(f"No such report at {name}: take a position from reactionwatch quarantine list.")
            if len({place.hub for place in places}) > 1:
                hubs = " or ".join(f"--hub {place.hub}" for place in places)
                raise typer.BadParameter(f"{name} is the position of several reports: add {hubs}.")
            if len(places) > 1:
                raise typer.BadParameter(
                    f"{name} is the position of several reports: write {' or '.join(map(self.shown, places))}."
                )
        return found

    def _hub(self, text: str) -> str:
        matching = [hub for hub in self._sources if hub.startswith(text)]
        if text in matching:
            return text
        if len(matching) != 1:
            which = "Several hubs begin" if matching else "No report in quarantine came from a hub that begins"
            known = ", ".join(matching or self._sources) or "none"
            raise typer.BadParameter(f"{which} with {text!r}; those in quarantine are: {known}.")
        return matching[0]


_WHY_NOT = {
    State.KEPT: "kept",
    State.REPLAY: "marked for replay, which comes first",
    State.REPLAYED: "replayed already",
    State.DISCARDED: "discarded already",
    State.PRUNED: "pruned, so that nothing is left of it",
}


def fail(sentence: str) -> NoReturn:
    """Say what is wrong, and end with exit code 1."""
    Console(stderr=True, highlight=False).print(f"Error: {sentence}", style="red", markup=False, soft_wrap=True)
    raise typer.Exit(1)


def reports(count: int) -> str:
    """A number of reports in words."""
    return "1 report" if count == 1 else f"{count:,} reports"
