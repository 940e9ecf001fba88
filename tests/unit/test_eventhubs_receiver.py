"""Ranges are cut exactly, broken connections are mended, and nothing waits for ever."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventhubs.errors import (
    ConfigurationError,
    DataLossError,
    EventHubsError,
    HubUnreachableError,
    ServerBusyError,
    UnauthorizedError,
)
from eventhubs.kept_receiver import KeptReceiver
from eventhubs.receiver import HubInfo, PartitionInfo, ReceivedEvent, exactly, open_receiver
from eventhubs.settings import HubConnection


def event(sequence: int) -> ReceivedEvent:
    return ReceivedEvent(b"", sequence, str(sequence), 0, None, {}, None, {})


def lists(sequences: Sequence[int], *cuts: int) -> Iterator[list[ReceivedEvent]]:
    bounds = sorted({0, *(min(c, len(sequences)) for c in cuts), len(sequences)})
    for start, stop in zip(bounds, bounds[1:], strict=False):  # noqa: RUF007 - pairwise of the bounds, spelt out
        yield [event(s) for s in sequences[start:stop]]


def numbers(found: Iterator[list[ReceivedEvent]]) -> list[int]:
    return [e.sequence for events in found for e in events]


@given(
    first=st.integers(0, 50),
    count=st.integers(0, 30),
    before=st.integers(0, 5),
    after=st.integers(0, 5),
    cuts=st.lists(st.integers(0, 40), max_size=4),
)
def test_exactly_the_range_comes_out_however_it_arrives(
    first: int, count: int, before: int, after: int, cuts: list[int]
) -> None:
    arriving = lists(range(max(first - before, 0), first + count + after), *cuts)
    assert numbers(exactly("0", first, count, arriving)) == list(range(first, first + count))


def test_events_sent_again_are_dropped() -> None:
    assert numbers(exactly("0", 0, 4, iter([[event(0), event(1)], [event(1), event(2), event(3)]]))) == [0, 1, 2, 3]


@pytest.mark.parametrize(("arriving", "wanted", "earliest"), [([5, 6], 3, 5), ([3, 5], 4, 5)])
def test_gap_is_data_loss(arriving: list[int], wanted: int, earliest: int) -> None:
    with pytest.raises(DataLossError) as lost:
        numbers(exactly("7", 3, 3, lists(arriving, 1)))
    assert (lost.value.partition_id, lost.value.wanted, lost.value.earliest) == ("7", wanted, earliest)


def test_gap_after_the_range_is_nobodys_loss() -> None:
    assert numbers(exactly("0", 0, 2, lists([0, 1, 9]))) == [0, 1]


def test_early_end_is_unreachable_not_silent() -> None:
    with pytest.raises(HubUnreachableError, match="before 9"):
        numbers(exactly("0", 0, 10, lists([0, 1])))


def test_complete_range_is_not_waited_past() -> None:
    def arriving() -> Iterator[list[ReceivedEvent]]:
        yield [event(0)]
        pytest.fail("asked for more than the range")

    assert numbers(exactly("0", 0, 1, arriving())) == [0]


@pytest.mark.parametrize(
    ("begin", "last", "is_empty", "expected"),
    [
        (0, -1, True, (0, 0)),
        (0, 0, False, (0, 1)),
        (5, 9, False, (5, 10)),
        (0, 9, True, (10, 10)),
        (10, 9, True, (10, 10)),
    ],
)
def test_partition_is_empty_exactly_when_begin_is_next(
    begin: int, last: int, is_empty: bool, expected: tuple[int, int]
) -> None:
    info = PartitionInfo.from_service("0", begin, last, is_empty, 1_000)
    assert (info.begin_sequence, info.next_sequence) == expected
    assert (info.begin_sequence == info.next_sequence) is is_empty


def test_partition_never_used_has_no_last_time() -> None:
    assert PartitionInfo.from_service("0", 0, -1, True, -62_135_596_800_000).last_enqueued_ms is None
    assert PartitionInfo.from_service("0", 0, 4, False, 1_700).last_enqueued_ms == 1_700


@pytest.mark.parametrize("timeout", [0.0, -1.0])
def test_receive_timeout_must_be_positive(timeout: float) -> None:
    with pytest.raises(ConfigurationError, match="receive_timeout"):
        open_receiver(HubConnection.from_namespace("a.b"), "reports", receive_timeout=timeout)


class ScriptedHub:
    """A hub of 100 events that fails as scripted: one entry per call; None means it works."""

    def __init__(self, *failures: EventHubsError | None, breaks_after: int = 100) -> None:
        self.failures = list(failures)
        self.breaks_after = breaks_after
        self.opened = self.closed = 0

    def open(self) -> Self:
        self.opened += 1
        return self

    def _fail(self) -> EventHubsError | None:
        return self.failures.pop(0) if self.failures else None

    def hub_info(self) -> HubInfo:
        if error := self._fail():
            raise error
        return HubInfo("reports", 1, ("0",))

    def partition_infos(self, partition_ids: Sequence[str]) -> list[PartitionInfo]:
        if error := self._fail():
            raise error
        return [PartitionInfo(p, 0, 100, 1) for p in partition_ids]

    def read(self, partition_id: str, first_sequence: int, count: int) -> Iterator[list[ReceivedEvent]]:
        error = self._fail()
        reach = min(count, self.breaks_after) if error else count
        for sequence in range(first_sequence, first_sequence + reach):
            yield [event(sequence)]
        if error:
            raise error

    def close(self) -> None:
        self.closed += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Time:
    """A clock that only moves when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def kept(hub: ScriptedHub, time: Time, patience: float = 60.0) -> KeptReceiver:
    return KeptReceiver(hub.open, patience, time.clock, time.sleep)


UNREACHABLE = HubUnreachableError("Try again.")


def test_receiver_is_kept_between_calls() -> None:
    hub = ScriptedHub()
    receiver = kept(hub, Time())
    receiver.hub_info()
    receiver.partition_infos(["0"])
    numbers(receiver.read("0", 0, 3))
    assert (hub.opened, hub.closed) == (1, 0)


@pytest.mark.parametrize("call", [KeptReceiver.hub_info, lambda r: r.partition_infos(["0"])])
def test_transient_error_opens_anew(call: Callable[[KeptReceiver], object]) -> None:
    hub = ScriptedHub(UNREACHABLE, UNREACHABLE)
    call(kept(hub, Time()))
    assert (hub.opened, hub.closed) == (3, 2)


def test_read_goes_on_where_it_broke() -> None:
    hub = ScriptedHub(UNREACHABLE, UNREACHABLE, UNREACHABLE, breaks_after=2)
    assert numbers(kept(hub, Time()).read("0", 10, 9)) == list(range(10, 19))
    assert hub.opened == 4


def test_error_that_will_not_pass_is_raised_at_once_and_the_receiver_dropped() -> None:
    hub, time = ScriptedHub(UnauthorizedError("Check the key.")), Time()
    with pytest.raises(UnauthorizedError):
        kept(hub, time).hub_info()
    assert (hub.opened, hub.closed, time.now) == (1, 1, 0.0)


REFUSED = UnauthorizedError("Check the key.")


@pytest.mark.parametrize("call", [KeptReceiver.hub_info, lambda r: numbers(r.read("0", 0, 3))])
def test_whoever_was_let_in_before_is_refused_for_an_expired_token_and_tries_again(
    call: Callable[[KeptReceiver], object],
) -> None:
    hub, time = ScriptedHub(None, REFUSED, breaks_after=0), Time()
    receiver = kept(hub, time)
    call(receiver)
    call(receiver)
    assert (hub.opened, hub.closed) == (2, 1)


def test_a_right_that_was_taken_away_ends_it_within_the_patience() -> None:
    hub, time = ScriptedHub(None, *[REFUSED] * 1_000), Time()
    receiver = kept(hub, time, patience=20.0)
    receiver.hub_info()
    with pytest.raises(UnauthorizedError):
        receiver.hub_info()
    assert 10.0 < time.now <= 20.0


def test_hub_that_stays_away_is_given_up_within_the_patience() -> None:
    hub, time = ScriptedHub(*[UNREACHABLE] * 1_000, breaks_after=0), Time()
    with pytest.raises(HubUnreachableError):
        numbers(kept(hub, time, patience=20.0).read("0", 0, 5))
    assert 10.0 < time.now <= 20.0


def test_progress_renews_the_patience() -> None:
    hub, time = ScriptedHub(*[UNREACHABLE] * 80, breaks_after=1), Time()
    assert numbers(kept(hub, time, patience=0.5).read("0", 0, 90)) == list(range(90))


def test_busy_service_is_given_the_time_it_asks_for() -> None:
    hub, time = ScriptedHub(ServerBusyError("Wait.", 7.0)), Time()
    kept(hub, time).hub_info()
    assert time.now == 7.0
