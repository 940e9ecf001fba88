"""Batches of a stream that never make an item wait long, however slowly the stream goes."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterable
from typing import Generic, TypeVar

__all__ = ["batches"]

T = TypeVar("T")


def batches(items: Iterable[T], size: int, linger_s: float) -> Generator[list[T], None, None]:
    """Yield lists of 1 to `size` items, in order, each at most `linger_s` seconds after its first item came.

    A thread takes the items, since the caller cannot act while a slow iterator sleeps; it runs at most `size`
    items ahead. An error of the iterator is raised here, after the items before it. When the caller stops
    early, the thread ends with the item it is waiting for.
    """
    buffer: _Buffer[T] = _Buffer(size, linger_s)
    threading.Thread(target=buffer.fill, args=(items,), name="reactionwatch-batching", daemon=True).start()
    try:
        while batch := buffer.take():
            yield batch
        if buffer.failure is not None:
            raise buffer.failure
    finally:
        buffer.stop()


class _Buffer(Generic[T]):
    """What has come and was not taken yet. The two threads wake each other only when there is something to do."""

    def __init__(self, size: int, linger_s: float) -> None:
        self.failure: BaseException | None = None
        self._size, self._linger_s = size, linger_s
        self._changed = threading.Condition()
        self._items: list[T] = []
        self._since = 0.0
        """When the first of them came."""
        self._ended = self._stopped = False
        self._paused = False
        """While a full batch is sent: two busy threads would only keep each other from the interpreter."""

    def fill(self, items: Iterable[T]) -> None:
        """Take all items, each when there is room for it."""
        try:
            for item in items:
                if not self._put(item):
                    return
        except BaseException as error:  # noqa: BLE001 - handed to the caller's thread, where it is raised
            self.failure = error
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def take(self) -> list[T]:
        """The next items; none when the stream has ended."""
        with self._changed:
            self._paused = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._items or self._ended)
            left = self._since + self._linger_s - time.monotonic()
            self._changed.wait_for(lambda: len(self._items) >= self._size or self._ended, timeout=max(left, 0.0))
            batch, self._items = self._items, []
            self._paused = len(batch) >= self._size
            self._changed.notify_all()
            return batch

    def stop(self) -> None:
        """Nothing more will be taken."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _put(self, item: T) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._has_room() or self._stopped)
            if self._stopped:
                return False
            self._items.append(item)
            if len(self._items) == 1:
                self._since = time.monotonic()
            if len(self._items) in (1, self._size):
                self._changed.notify_all()
            return True

    def _has_room(self) -> bool:
        return len(self._items) < self._size and not self._paused
