"""Batches of a stream that never make an item wait long, however slowly the stream goes."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Generator, Iterable
from typing import TypeVar, cast

__all__ = ["batches"]

T = TypeVar("T")
_END = object()


def batches(items: Iterable[T], size: int, linger_s: float) -> Generator[list[T], None, None]:
    """Yield lists of 1 to `size` items, in order, each at most `linger_s` seconds after its first item came.

    A thread takes the items, since the caller cannot act while a slow iterator sleeps; it runs at most `size`
    items ahead. An error of the iterator is raised here, after the items before it. When the caller stops
    early, the thread ends with the item it is waiting for.
    """
    ahead: queue.Queue[object] = queue.Queue(maxsize=size)
    stopped = threading.Event()
    failure: list[BaseException] = []

    def take() -> None:
        try:
            for item in items:
                if not _put(ahead, item, stopped):
                    return
        except BaseException as error:  # noqa: BLE001 - handed to the caller's thread, where it is raised
            failure.append(error)
        _put(ahead, _END, stopped)

    threading.Thread(target=take, name="reactionwatch-batching", daemon=True).start()
    try:
        ended = False
        while not ended:
            batch: list[T]
            batch, ended = _next_batch(ahead, size, linger_s)
            if batch:
                yield batch
        if failure:
            raise failure[0]
    finally:
        stopped.set()


def _put(ahead: queue.Queue[object], item: object, stopped: threading.Event) -> bool:
    while not stopped.is_set():
        try:
            ahead.put(item, timeout=0.1)
        except queue.Full:
            continue
        return True
    return False


def _next_batch(ahead: queue.Queue[object], size: int, linger_s: float) -> tuple[list[T], bool]:
    """The next items, at least one unless the stream ended, and whether it ended."""
    batch: list[T] = []
    due = float("inf")
    while len(batch) < size:
        try:
            item = ahead.get(timeout=max(0.0, due - time.monotonic()) if batch else None)
        except queue.Empty:
            break
        if item is _END:
            return batch, True
        if not batch:
            due = time.monotonic() + linger_s
        batch.append(cast(T, item))  # the queue holds the caller's items and _END
    return batch, False
