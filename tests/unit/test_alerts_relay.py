"""The relay's promise: whatever fails, and wherever, every message goes out at least once and in order."""

import threading
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.relay import Relay


@dataclass(frozen=True)
class Message:
    outbox_id: str
    alert_id: str = "alert"
    revision: int = 1
    body: bytes = b"{}"


class BreakdownError(Exception):
    pass


class Steps:
    """An outbox and a hub in one list each; fails at the steps whose numbers it is given."""

    def __init__(self, count, fail_at=frozenset()):
        self.waiting = [Message(str(n)) for n in range(count)]
        self.arrived = []
        self.fail_at = fail_at
        self.step = 0

    def pending(self, limit):
        self._next_step()
        return self.waiting[:limit]

    def publish(self, messages):
        for message in messages:
            self._next_step()
            self.arrived.append(message.outbox_id)

    def mark_sent(self, outbox_ids):
        self._next_step()
        self.waiting = [message for message in self.waiting if message.outbox_id not in outbox_ids]
        self._next_step()

    def _next_step(self):
        self.step += 1
        if self.step in self.fail_at:
            raise BreakdownError(f"step {self.step}\n[parameters: report text]")


class Waits(threading.Event):
    """A stop signal that comes after so many waits, takes none of them, and remembers how long each would have been."""

    def __init__(self, count):
        super().__init__()
        self.left = count
        self.seconds = []

    def wait(self, timeout=None):
        self.seconds.append(timeout)
        self.left -= 1
        if not self.left:
            self.set()
        return self.is_set()


def relay(steps, stop=None):
    return Relay(steps, steps, poll_seconds=0.2, stop=stop or threading.Event())


def test_drain_sends_everything_in_order_and_says_how_many():
    steps = Steps(250)
    moving = relay(steps)
    assert moving.drain() == 250
    assert steps.arrived == [str(n) for n in range(250)]
    assert (moving.state.sent, moving.drain()) == (250, 0)


@given(st.integers(0, 8), st.sets(st.integers(1, 60), max_size=12))
def test_a_failure_at_any_step_repeats_messages_and_misses_none(count, fail_at):
    steps = Steps(count, fail_at)
    stop = Waits(len(fail_at) + count + 2)
    moving = relay(steps, stop)
    moving.run()
    firsts = list(dict.fromkeys(steps.arrived))
    assert firsts == [str(n) for n in range(count)]
    assert not steps.waiting


def test_crash_between_publishing_and_marking_publishes_again():
    steps = Steps(3, fail_at={5})
    with pytest.raises(BreakdownError):
        relay(steps).drain()
    relay(steps).drain()
    assert steps.arrived == ["0", "1", "2", "0", "1", "2"]


def test_waits_grow_while_it_fails_and_shrink_once_it_works():
    steps, stop = Steps(1, fail_at=set(range(1, 9))), Waits(10)
    moving = relay(steps, stop)
    moving.run()
    assert stop.seconds == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 0.0, 0.2]
    assert (moving.state.sent, moving.state.failures) == (1, 0)


def test_failure_is_reported_in_one_line_without_what_follows():
    moving = relay(Steps(1, fail_at={1}), Waits(1))
    moving.run()
    assert moving.state.failures == 1
    assert moving.state.last_error == "BreakdownError: step 1"


def test_stop_ends_the_run_before_its_next_pass():
    steps, stop = Steps(1), threading.Event()
    stop.set()
    relay(steps, stop).run()
    assert steps.step == 0


def test_drain_works_after_stop():
    stop = threading.Event()
    stop.set()
    assert relay(Steps(2), stop).drain() == 2


def test_waiting_for_nothing_is_refused():
    with pytest.raises(ValueError, match="poll_seconds"):
        Relay(Steps(0), Steps(0), poll_seconds=0, stop=threading.Event())
