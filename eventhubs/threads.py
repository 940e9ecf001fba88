"""Calls that know no deadline, given one: each runs on a daemon thread and is given up when its time is over."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["ThreadedCall"]

_T = TypeVar("_T")


class ThreadedCall(Generic[_T]):
    """A call under way since construction; `name` is its thread's."""

    def __init__(self, call: Callable[[], _T], name: str) -> None:
        self._call = call
        self._box: queue.SimpleQueue[tuple[_T] | Exception] = queue.SimpleQueue()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def result(self, deadline: float) -> _T:
        """What the call returns or raises; `TimeoutError` at the deadline (`time.monotonic()`). Ask once."""
        try:
            found = self._box.get(timeout=max(deadline - time.monotonic(), 0.001))
        except queue.Empty:
            raise TimeoutError("a call took too long") from None
        if isinstance(found, Exception):
            raise found
        return found[0]

    def _run(self) -> None:
        try:
            self._box.put((self._call(),))
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets it
            self._box.put(error)
