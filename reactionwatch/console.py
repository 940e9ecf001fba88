"""What the commands share: stopping on Ctrl-C, plain progress lines, JSON for programs."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

__all__ = ["Progress", "print_json", "say", "stopping"]

_err = Console(stderr=True, highlight=False)


def say(text: str) -> None:
    """One line for people, on standard error, so that standard output stays a program's to read."""
    _err.print(text, markup=False, soft_wrap=True)


def print_json(value: object) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


@contextmanager
def stopping() -> Iterator[threading.Event]:
    """An event that Ctrl-C or SIGTERM sets, so that work ends cleanly; a second Ctrl-C ends it at once."""
    stop = threading.Event()

    def ask(_number: int, _frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        # On a thread of its own: the signal may have come in the middle of a line that is being written.
        threading.Thread(target=say, args=("Stopping (Ctrl-C again to end at once) ...",), daemon=True).start()

    previous = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


class Progress:
    """A line of progress at most every `seconds`, in place on a terminal, one below the other in a pipe."""

    def __init__(self, seconds: float = 1.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds if _err.is_terminal else max(seconds, 5.0)
        self._clock = clock
        self._last = 0.0
        self._shown = ""
        self._open = False

    def update(self, text: str) -> None:
        """Show `text` if it is news and it is time."""
        if text == self._shown or self._clock() - self._last < self._seconds:
            return
        self._last = self._clock()
        self._show(text)

    def finish(self, text: str) -> None:
        """Show the last state, whatever the time."""
        if text != self._shown:
            self._show(text)
        if self._open:
            _err.file.write("\n")
            self._open = False

    def _show(self, text: str) -> None:
        self._shown = text
        if _err.is_terminal:
            _err.file.write(f"\r\x1b[2K{text[: _err.width - 1]}")
            _err.file.flush()
            self._open = True
        else:
            say(text)
