from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.choice import Choice


class LargestNumber(random.Random):
    def random(self) -> float:
        return 1.0 - 2.0**-53


@given(st.lists(st.floats(min_value=1e-3, max_value=1e6), min_size=1, max_size=20))
def test_the_largest_random_number_still_draws_the_last_value(weights: list[float]) -> None:
    assert Choice(enumerate(weights)).draw(LargestNumber()) == len(weights) - 1


def test_a_value_of_weight_zero_is_never_drawn() -> None:
    choice = Choice([("never", 0.0), ("always", 1.0), ("nor this", 0.0)])
    assert {choice.draw(random.Random(seed)) for seed in range(50)} == {"always"}


def test_shares_add_up_the_weights_of_a_value() -> None:
    assert Choice([("a", 1.0), ("b", 2.0), ("a", 1.0)]).shares() == {"a": 0.5, "b": 0.5}


def test_draws_follow_the_weights() -> None:
    source = random.Random(1)
    choice = Choice([("rare", 1.0), ("common", 9.0)])
    rare = sum(choice.draw(source) == "rare" for _ in range(10_000))
    assert abs(rare - 1_000) < 4 * (10_000 * 0.1 * 0.9) ** 0.5


def test_nothing_to_choose_from_is_refused() -> None:
    with pytest.raises(ValueError, match="weight above 0"):
        Choice([("a", 0.0)])
