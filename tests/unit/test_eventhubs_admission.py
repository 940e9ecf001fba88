"""Laws of fair admission."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from eventhubs.admission import admit

BACKLOGS = st.dictionaries(
    st.integers(0, 40).map(str), st.tuples(st.integers(0, 10_000), st.integers(0, 5_000)), min_size=1, max_size=12
)
LIMITS = st.integers(1, 20_000)


def _offsets(backlogs: dict[str, tuple[int, int]]) -> tuple[dict[str, int], dict[str, int]]:
    return {p: s for p, (s, _) in backlogs.items()}, {p: s + b for p, (s, b) in backlogs.items()}


@given(BACKLOGS, LIMITS)
def test_batch_holds_exactly_the_limit_or_everything(backlogs: dict[str, tuple[int, int]], limit: int) -> None:
    start, latest = _offsets(backlogs)
    end = admit(start, latest, limit)
    assert sum(end[p] - start[p] for p in end) == min(limit, sum(latest[p] - start[p] for p in latest))


@given(BACKLOGS, LIMITS)
def test_ends_lie_between_start_and_latest(backlogs: dict[str, tuple[int, int]], limit: int) -> None:
    start, latest = _offsets(backlogs)
    end = admit(start, latest, limit)
    assert end.keys() == latest.keys()
    assert all(start[p] <= end[p] <= latest[p] for p in end)


@given(BACKLOGS, LIMITS)
def test_no_partition_starves(backlogs: dict[str, tuple[int, int]], limit: int) -> None:
    start, latest = _offsets(backlogs)
    end = admit(start, latest, limit)
    busy = [p for p in latest if latest[p] > start[p]]
    for p in busy:
        share = end[p] - start[p]
        assert share >= min(latest[p] - start[p], limit // 2 // len(busy))
        if limit >= 2 * len(busy):
            assert share >= 1


@given(BACKLOGS, LIMITS)
def test_more_backlog_never_gets_less(backlogs: dict[str, tuple[int, int]], limit: int) -> None:
    start, latest = _offsets(backlogs)
    end = admit(start, latest, limit)
    shares = sorted((latest[p] - start[p], end[p] - start[p]) for p in end)
    got = [share for _, share in shares]
    assert all(a <= b + 1 for a, b in itertools.pairwise(got))


@given(BACKLOGS, LIMITS, st.randoms())
def test_order_of_partitions_does_not_matter(backlogs: dict[str, tuple[int, int]], limit: int, random: object) -> None:
    start, latest = _offsets(backlogs)
    shuffled = list(latest.items())
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # Hypothesis gives a Random
    again = admit(start, dict(shuffled), limit)
    assert list(again.items()) == list(admit(start, latest, limit).items())


@given(BACKLOGS, LIMITS)
def test_repeated_batches_read_everything_once(backlogs: dict[str, tuple[int, int]], limit: int) -> None:
    start, latest = _offsets(backlogs)
    limit = max(limit, sum(latest[p] - start[p] for p in latest) // 20)
    position = dict(start)
    for _ in range(25):
        following = admit(position, latest, limit)
        if following == position:
            break
        position = following
    assert position == latest


@given(BACKLOGS)
def test_without_limit_everything_is_admitted(backlogs: dict[str, tuple[int, int]]) -> None:
    start, latest = _offsets(backlogs)
    assert admit(start, latest, None) == latest


def test_lagging_partition_gets_most_of_the_room() -> None:
    end = admit({"0": 0, "1": 0}, {"0": 100_000, "1": 1_000}, 1_000)
    assert end["0"] >= 740
    assert end["1"] >= 250


def test_partition_ahead_of_latest_stays_where_it_is() -> None:
    assert admit({"0": 10, "1": 0}, {"0": 4, "1": 9}, 5) == {"0": 10, "1": 5}


def test_new_partition_begins_at_zero() -> None:
    assert admit({"0": 5}, {"0": 5, "1": 3}, None) == {"0": 5, "1": 3}


def test_partitions_come_in_numeric_order() -> None:
    assert list(admit({}, {"10": 1, "9": 1, "0": 1}, None)) == ["0", "9", "10"]
