"""Where the demo is shown: a picture on a terminal, plain lines anywhere else.

A terminal is given back as it was, whatever ends the demo, and then gets as lines what was told meanwhile. A pipe gets
no colour and no control character.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live

from alerts.cloudevent import AlertNotice
from reactionwatch.console import say
from reactionwatch.demonstration.board import Board
from reactionwatch.demonstration.state import Entry, Snapshot
from reactionwatch.demonstration.view import DemoView, as_lines, status_line

__all__ = ["Lines", "shown"]

_REDRAW_SECONDS = 0.5
_STATUS_SECONDS = 5.0


@contextmanager
def shown(board: Board, console: Console) -> Iterator[None]:
    """Show the board, twice a second, until the block ends."""
    if console.is_terminal and not console.is_dumb_terminal and console.encoding.startswith("utf"):
        try:
            with (
                Live(console=console, screen=True, auto_refresh=False) as live,
                _log_told(board),
                _repeating(lambda: live.update(DemoView(board.snapshot()), refresh=True)),
            ):
                yield
        finally:
            for entry in _record(board.snapshot()):
                say(as_lines(entry))
    else:
        lines = Lines(say)
        try:
            with _repeating(lambda: lines.show(board.snapshot())):
                yield
        finally:
            lines.show_log(board.snapshot())


class Lines:
    """What is told as it comes, and the state every few seconds."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._told = 0
        self._last_s = 0.0

    def show(self, snapshot: Snapshot) -> None:
        """Write what is new."""
        self.show_log(snapshot)
        if snapshot.elapsed_s - self._last_s >= _STATUS_SECONDS:
            self._last_s = snapshot.elapsed_s
            self._write(status_line(snapshot))

    def show_log(self, snapshot: Snapshot) -> None:
        """Write what was told since the last call."""
        for entry in snapshot.log[self._told :]:
            self._write(as_lines(entry))
        self._told = len(snapshot.log)


def _record(snapshot: Snapshot) -> Iterator[Entry]:
    """What a picture leaves behind: all lines told, and of each alert its last message."""
    last = {entry.told.alert_id: entry for entry in snapshot.log if isinstance(entry.told, AlertNotice)}
    return (e for e in snapshot.log if not isinstance(e.told, AlertNotice) or last[e.told.alert_id] is e)


@contextmanager
def _repeating(draw: Callable[[], None]) -> Iterator[None]:
    """Call `draw` on a thread of its own; an error in it is raised when the block ends."""
    ended = threading.Event()
    failed: list[Exception] = []

    def run() -> None:
        try:
            draw()
            while not ended.wait(_REDRAW_SECONDS):
                draw()
        except Exception as error:  # noqa: BLE001 - it is raised below
            failed.append(error)

    thread = threading.Thread(target=run, name="screen", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    if failed:
        raise failed[0]


class _Telling(logging.Handler):
    def __init__(self, board: Board) -> None:
        super().__init__()
        self._board = board
        self.setFormatter(logging.Formatter("%(levelname)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self._board.say(self.format(record))


@contextmanager
def _log_told(board: Board) -> Iterator[None]:
    """What is logged goes to the board, not into the picture."""
    root = logging.getLogger()
    before = root.handlers
    root.handlers = [_Telling(board)]
    try:
        yield
    finally:
        root.handlers = before
