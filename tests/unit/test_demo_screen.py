"""Where the demo is shown: a terminal is given back, a pipe gets plain lines, each once."""

from __future__ import annotations

import datetime as dt
import io
import logging
import sys
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.console import Console

from generator.truth import Truth
from reactionwatch.demonstration.board import Board
from reactionwatch.demonstration.screen import Lines, shown
from reactionwatch.demonstration.state import Step
from sql.overview import Overview, Totals

START = dt.datetime(2026, 1, 5, 12, 0, tzinfo=dt.UTC)
ALT_SCREEN_ON, ALT_SCREEN_OFF = "\x1b[?1049h", "\x1b[?1049l"
CURSOR_OFF, CURSOR_ON = "\x1b[?25l", "\x1b[?25h"


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def board(clock: Callable[[], float]) -> Board:
    return Board(
        [Step("Hub", "a hub comes up"), Step("Stream", "runs")],
        started=START,
        sending_s=120.0,
        truth=Truth(),
        stop=threading.Event(),
        clock=clock,
    )


def store(stored: int) -> Overview:
    return Overview(Totals(stored, stored), Totals(), {}, {}, None, ())


def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=80, height=24, _environ={"TERM": "xterm"})


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_steps_are_told_when_they_begin_and_end() -> None:
    clock, lines = Clock(), list[str]()
    told = board(clock)
    told.begin("Hub")
    told.begin("Hub")
    clock.now += 2.0
    told.end("Hub", "up")
    shown_lines = Lines(lines.append)
    shown_lines.show(told.snapshot())
    shown_lines.show(told.snapshot())
    assert lines == ["[  0 s] Hub: a hub comes up.", "[  2 s] Hub done: up."]


def test_the_state_is_told_every_five_seconds() -> None:
    clock, lines = Clock(), list[str]()
    told, pipe = board(clock), Lines(lines.append)
    for _ in range(24):
        pipe.show(told.snapshot())
        clock.now += 0.5
    assert [line[:7] for line in lines] == ["[  5 s]", "[ 10 s]"]


def test_rates_are_means_over_the_last_seconds() -> None:
    clock = Clock()
    told = board(clock)
    for second in range(20):
        clock.now = 1_000.0 + second
        told.sent(40 * second)
        told.look(store(100 if second < 10 else 30 * second))
    snapshot = told.snapshot()
    assert (snapshot.sent_per_s, snapshot.stored_per_s) == (40.0, 30.0)
    assert snapshot.lag == 40 * 19 - 30 * 19


def test_a_pipe_gets_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    told = board(Clock())
    with shown(told, Console(stderr=True)):
        told.begin("Hub")
    assert capsys.readouterr().err == "[  0 s] Hub: a hub comes up.\n"


def test_a_terminal_is_given_back_and_then_gets_what_was_told(capsys: pytest.CaptureFixture[str]) -> None:
    console, told = terminal(), board(Clock())
    with shown(told, console):
        told.begin("Hub")
    drawn = written(console)
    assert ALT_SCREEN_ON in drawn
    assert "ReactionWatch demo" in drawn
    assert drawn.rindex(ALT_SCREEN_OFF) > drawn.rindex(ALT_SCREEN_ON)
    assert drawn.rindex(CURSOR_ON) > drawn.rindex(CURSOR_OFF)
    assert capsys.readouterr().err == "[  0 s] Hub: a hub comes up.\n"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_terminal_is_given_back_when_the_demo_fails(error: type[BaseException]) -> None:
    console, stderr = terminal(), sys.stderr
    with pytest.raises(error), shown(board(Clock()), console):
        raise error
    drawn = written(console)
    assert drawn.rindex(ALT_SCREEN_OFF) > drawn.rindex(ALT_SCREEN_ON)
    assert drawn.rindex(CURSOR_ON) > drawn.rindex(CURSOR_OFF)
    assert sys.stderr is stderr


def test_what_is_logged_meanwhile_is_told_and_does_not_reach_the_picture(capsys: pytest.CaptureFixture[str]) -> None:
    handlers = logging.getLogger().handlers
    with shown(board(Clock()), terminal()):
        logging.getLogger("streaming").warning("The hub went away.")
    assert capsys.readouterr().err == "[  0 s] WARNING The hub went away.\n"
    assert logging.getLogger().handlers is handlers


def test_a_picture_that_cannot_be_drawn_fails_the_demo() -> None:
    told = board(Clock())
    told.look(replace(store(1), watched=_Exploding()))
    with pytest.raises(ZeroDivisionError), shown(told, terminal()):
        pass


class _Exploding(dict[int, int]):
    def items(self) -> None:  # type: ignore[override]  # it never returns
        raise ZeroDivisionError
