from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generator.batching import batches


@settings(max_examples=30)
@given(st.lists(st.integers(), max_size=50), st.integers(min_value=1, max_value=7))
def test_batches_hold_all_items_in_order(items: list[int], size: int) -> None:
    taken = list(batches(items, size, linger_s=5.0))
    assert [item for batch in taken for item in batch] == items
    assert all(1 <= len(batch) <= size for batch in taken)


def test_a_batch_does_not_wait_for_an_item_that_does_not_come() -> None:
    """The iterator goes on only once its first two items were seen: an endless wait would never end."""
    seen = threading.Event()

    def slow() -> Iterator[int]:
        yield 1
        yield 2
        assert seen.wait(timeout=30)
        yield 3

    taken: list[int] = []
    for batch in batches(slow(), 100, linger_s=0.05):
        taken += batch
        if len(taken) == 2:
            seen.set()
    assert taken == [1, 2, 3]


def test_an_error_of_the_iterator_is_raised_after_the_items_before_it() -> None:
    def failing() -> Iterator[int]:
        yield 1
        raise ConnectionError("gone")

    taken: list[list[int]] = []
    with pytest.raises(ConnectionError, match="gone"):
        taken.extend(batches(failing(), 10, linger_s=5.0))
    assert taken == [[1]]


def test_an_endless_iterator_is_let_go_when_the_caller_stops() -> None:
    alive = threading.Event()

    def endless() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            alive.set()

    taken = batches(endless(), 3, linger_s=5.0)
    assert next(taken) == [1, 1, 1]
    taken.close()
    deadline = time.monotonic() + 30
    while any(thread.name == "reactionwatch-batching" for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert alive.is_set()
