"""All traps by name, and how they are written: `NAME`, or `NAME@START+LENGTH` for those that have their time."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from generator.durations import DURATION, parse_duration
from generator.traps.base import Trap
from generator.traps.later import DayAndWeek, Duplicates, FollowUps, LateReports, NearDuplicates, NightlyBatch
from generator.traps.more import Launch, MedicalEvents, Publicity, Season
from generator.traps.quality import Broken, Decay, OddReports

__all__ = ["ALL", "TIMED", "UNTIMED", "TrapFormatError", "described", "parse_traps"]

ALL = "all"

UNTIMED: dict[
    str,
    type[
        FollowUps
        | Duplicates
        | NearDuplicates
        | NightlyBatch
        | DayAndWeek
        | LateReports
        | MedicalEvents
        | OddReports
        | Broken
    ],
] = {
    trap.name: trap
    for trap in (
        FollowUps,
        Duplicates,
        NearDuplicates,
        NightlyBatch,
        DayAndWeek,
        LateReports,
        MedicalEvents,
        OddReports,
        Broken,
    )
}
"""Traps that go on all the time."""

TIMED: dict[str, tuple[type[Launch | Season | Publicity | Decay], str]] = {
    Launch.name: (Launch, "2d+5d"),
    Season.name: (Season, "3d+14d"),
    Publicity.name: (Publicity, "10d+2d"),
    Decay.name: (Decay, "8d+3d"),
}
"""Traps with a time of their own, and when they come where nothing is said."""

_TRAP = re.compile(rf"(?P<name>[a-z_]+)(?:@\s*(?P<start>{DURATION})\s*\+\s*(?P<length>{DURATION}))?")


class TrapFormatError(ValueError):
    """A trap that cannot be read; the message names those there are."""


def parse_traps(texts: Sequence[str], *, blank_bodies: bool = True) -> tuple[Trap, ...]:
    """Read traps as written by a user; `all` stands for every one. Raises `TrapFormatError`.

    Without `blank_bodies`, broken ones that are empty or white space are left out.
    """
    traps = [trap for text in texts for trap in _parsed(text)]
    return tuple(replace(trap, blank=blank_bodies) if isinstance(trap, Broken) else trap for trap in traps)


def described() -> str:
    """A line per trap, for people."""
    lines = [(name, trap.about) for name, trap in UNTIMED.items()]
    lines += [(f"{name}@{usual}", trap.about) for name, (trap, usual) in TIMED.items()]
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"{name:{width}}  {about}" for name, about in [*lines, (ALL, "every one of these")])


def _parsed(text: str) -> Iterator[Trap]:
    match = _TRAP.fullmatch(text.strip())
    name = match["name"] if match else text
    if match is None or (name != ALL and name not in UNTIMED and name not in TIMED):
        raise TrapFormatError(f"There is no trap {text!r}. There are: {', '.join((ALL, *UNTIMED, *TIMED))}.")
    if match["start"] and name not in TIMED:
        raise TrapFormatError(f"{name} goes on all the time: write it without @START+LENGTH.")
    if name in UNTIMED or name == ALL:
        yield from (trap() for known, trap in UNTIMED.items() if name in (known, ALL))
    yield from (_timed(known, match) for known in TIMED if name in (known, ALL))


def _timed(name: str, match: re.Match[str]) -> Trap:
    trap, usual = TIMED[name]
    start, length = (match["start"], match["length"]) if match["start"] else usual.split("+")
    return trap(parse_duration(start), parse_duration(length))
