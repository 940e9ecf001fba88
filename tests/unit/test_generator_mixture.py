from __future__ import annotations

import random

import numpy as np
import pytest

from generator.mixture import Mixture, draws_for_sizes, expected_distinct

WHOLE = {"Rash": 1.0, "Pain": 1.0}


def test_a_drug_leans_on_the_whole_as_far_as_it_brings_new_values() -> None:
    """Three mentions of one value: own weight 3 / (3 + 1)."""
    mixture = Mixture(WHOLE, {"A": {"Rash": 3.0}})
    drugs = {"A": 1}
    assert mixture.probabilities("Rash", drugs, mixture.weights(drugs, 2)) == pytest.approx([0.5, 0.75 + 0.25 * 0.5])
    assert mixture.distribution("A") == pytest.approx([0.875, 0.125])
    assert mixture.distribution("B") == pytest.approx([0.5, 0.5])


def test_values_are_drawn_with_their_probabilities() -> None:
    mixture, source = Mixture(WHOLE, {"A": {"Rash": 3.0}}), random.Random(1)
    drawn = [mixture.draw(source, "A") for _ in range(10_000)]
    assert drawn.count("Rash") / 10_000 == pytest.approx(0.875, abs=5 * 0.0033)


def test_expected_distinct_values_are_those_worked_out_by_hand() -> None:
    """Two even values: two draws bring 1.5 of them, three 1.75. With one value of its own, A has less variety."""
    mixture = Mixture(WHOLE, {"A": {"Rash": 3.0}})
    assert expected_distinct(mixture, {"B": 1.0, "C": 2.0}, 3) == pytest.approx([0, 1, 1.5, 1.75])
    two_of_a = 2 - 0.125**2 - 0.875**2
    assert expected_distinct(mixture, {"A": 1.0, "B": 3.0}, 2) == pytest.approx([0, 1, (two_of_a + 3 * 1.5) / 4])


def test_the_lead_itself_can_be_left_out() -> None:
    drugs = Mixture({"A": 1.0, "B": 3.0}, {})
    assert expected_distinct(drugs, {"A": 1.0}, 2, not_lead=True) == pytest.approx([0, 0.75, 1 - 0.25**2])


def test_numbers_of_draws_bring_lists_of_the_sizes_on_average() -> None:
    distinct = np.array([0.0, 1.0, 1.5, 2.5])
    draws = draws_for_sizes([0, 1, 2], distinct)
    assert draws == {0: {0: 1.0}, 1: {1: 1.0}, 2: {2: 0.5, 3: 0.5}}
    assert draws_for_sizes([9], distinct) == {9: {3: 1.0}}
