"""Spike or not: the open rule's three conditions, and the closing rule against SciPy's false discovery control."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from models.spikes import Evaluation, SpikeRules, close_verdict, open_verdict

RULES = SpikeRules()


def evaluation(p, z=9.0, warm=True):
    p = np.asarray(p, dtype=np.float64)
    return Evaluation(
        expected=np.ones_like(p),
        spread=np.ones_like(p),
        z=np.broadcast_to(np.asarray(z, dtype=np.float64), p.shape),
        p=p,
        warm=np.broadcast_to(warm, p.shape),
    )


def many(n):
    return np.full(n, 50, dtype=np.int64)


def test_open_window_with_enough_of_everything_is_a_spike():
    assert open_verdict(evaluation([RULES.open_p], z=RULES.open_z), np.array([RULES.min_cases]), RULES).all()


@pytest.mark.parametrize(
    ("z", "p", "cases", "warm"),
    [(4.99, 1e-9, 50, True), (9.0, 1e-5, 50, True), (9.0, 1e-9, 4, True), (9.0, 1e-9, 50, False)],
    ids=["z too small", "p too great", "too few cases", "not warm"],
)
def test_open_window_that_lacks_one_thing_is_no_spike(z, p, cases, warm):
    assert not open_verdict(evaluation([p], z, warm), np.array([cases]), RULES).any()


probabilities = st.lists(st.one_of(st.floats(0, 1), st.floats(1e-9, 1e-3)), max_size=12)


@given(probabilities, st.integers(0, 40))
def test_closing_is_benjamini_and_hochberg_with_unnamed_pairs_at_one(p, unnamed):
    found = close_verdict(evaluation(p), many(len(p)), len(p) + unnamed, RULES)
    family = np.array([*p, *[1.0] * unnamed])
    adjusted = stats.false_discovery_control(family) if family.size else family
    doubtful = np.isclose(adjusted[: len(p)], RULES.close_fdr, rtol=1e-9)
    np.testing.assert_array_equal(found[~doubtful], (adjusted[: len(p)] <= RULES.close_fdr)[~doubtful])


@given(probabilities, st.integers(1, 500))
def test_a_larger_family_finds_no_more(p, more):
    small = close_verdict(evaluation(p), many(len(p)), len(p), RULES)
    large = close_verdict(evaluation(p), many(len(p)), len(p) + more, RULES)
    assert not (large & ~small).any()


def test_pair_with_too_few_cases_is_not_found_and_helps_no_other():
    p = [1e-12, 0.9 * RULES.close_fdr]
    both = close_verdict(evaluation(p), many(2), 2, RULES)
    assert both.tolist() == [True, True]
    alone = close_verdict(evaluation(p), np.array([RULES.min_cases - 1, 50]), 2, RULES)
    assert alone.tolist() == [False, False]


def test_pair_that_is_not_warm_is_not_found():
    assert close_verdict(evaluation([0.0, 0.0], warm=[True, False]), many(2), 2, RULES).tolist() == [True, False]


def test_fewer_tested_pairs_than_candidates_are_refused():
    with pytest.raises(ValueError, match="tested"):
        close_verdict(evaluation([0.5, 0.5]), many(2), 1, RULES)


def test_quiet_window_closes_quietly():
    quiet = np.random.default_rng(5).random((2000, 100))
    loud = sum(close_verdict(evaluation(p), many(100), 100, RULES).any() for p in quiet)
    assert loud <= 10  # expected: 2000 windows at close_fdr 0.001 = 2
