"""Expected, spread, z and p: what the baseline is made of, and that the numbers mean what they say."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from models.spikes import CandidateCounts, SpikeRules, open_verdict, zscore

RULES = SpikeRules()
WINDOWS = RULES.baseline_windows
LEARNT = WINDOWS - RULES.guard_windows
SMALL = SpikeRules(baseline_windows=6, warmup_windows=3)


def candidate(history, cases=8, **changes):
    """One candidate in a steady system; `history` may be shorter than the baseline: then the system is young."""
    history = np.asarray(history, dtype=np.int64)[None, :]
    missing = WINDOWS - history.shape[1]
    usable = np.ones_like(history, dtype=bool)
    old = ((0, 0), (missing, 0))
    values = {
        "cases": np.array([cases], dtype=np.int64),
        "history": np.pad(history, old),
        "usable": np.pad(usable, old),
        "drug_history": np.pad(np.full_like(history, 20), old),
        "reaction_history": np.pad(np.full_like(history, 50), old),
        "total_history": np.pad(np.full_like(history, 1000), old),
        "drug_age_windows": np.array([history.shape[1]], dtype=np.int64),
    }
    return CandidateCounts(**(values | changes))


def at(counts, window, value, field="history"):
    changed = getattr(counts, field).copy()
    changed[:, window] = value
    return dataclasses.replace(counts, **{field: changed})


@st.composite
def any_counts(draw):
    """Up to four candidates, any mixture of young, alarmed and busy."""
    n, windows = draw(st.integers(1, 4)), SMALL.baseline_windows
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    level = draw(st.sampled_from([0, 1, 30, 100_000]))

    def matrix():
        return rng.poisson(level * rng.random((n, 1)), (n, windows)).astype(np.int64)

    history, others = matrix(), matrix()
    return CandidateCounts(
        cases=rng.integers(0, 3 * level + 10, n),
        history=history,
        usable=rng.random((n, windows)) < rng.random(),
        drug_history=history + others,
        reaction_history=history + matrix(),
        total_history=history + others + matrix(),
        drug_age_windows=rng.integers(0, 2 * windows, n),
    )


def rows(counts, index):
    return CandidateCounts(**{field.name: getattr(counts, field.name)[index] for field in dataclasses.fields(counts)})


def numbers(evaluation):
    return np.stack([evaluation.expected, evaluation.spread, evaluation.z, evaluation.p, evaluation.warm])


def test_expected_count_of_a_steady_pair_lies_between_its_mean_and_chance():
    evaluation = zscore(candidate([3] * WINDOWS), RULES)
    by_chance = 20 * 50 / 1000
    expected = (3 * LEARNT + RULES.prior_windows * by_chance) / (LEARNT + RULES.prior_windows)
    assert evaluation.expected == pytest.approx(expected)


def test_pair_never_seen_is_judged_against_drug_rate_times_reaction_share():
    evaluation = zscore(candidate([0] * WINDOWS, cases=12), RULES)
    weight = RULES.prior_windows / (LEARNT + RULES.prior_windows)
    assert evaluation.expected == pytest.approx(weight * 20 * 50 / 1000)
    assert evaluation.warm.all()
    assert open_verdict(evaluation, np.array([12]), RULES).all()


def test_empty_window_lowers_the_expectation():
    steady = candidate([3] * WINDOWS)
    assert zscore(at(steady, 5, 0), RULES).expected < zscore(steady, RULES).expected


@pytest.mark.parametrize("field", ["history", "drug_history", "reaction_history", "total_history"])
def test_alarmed_window_teaches_nothing(field):
    alarmed = at(candidate([3] * WINDOWS), 5, False, "usable")
    np.testing.assert_array_equal(numbers(zscore(at(alarmed, 5, 900, field), RULES)), numbers(zscore(alarmed, RULES)))


def test_windows_before_the_drugs_first_report_teach_nothing():
    launched = candidate([0] * (WINDOWS - 10) + [4] * 10, drug_age_windows=np.array([10]))
    assert zscore(launched, RULES).expected == pytest.approx((9 * 4 + 2 * 1) / (9 + 2))


@pytest.mark.parametrize("field", ["history", "drug_history", "reaction_history", "total_history"])
def test_the_window_just_before_teaches_nothing(field):
    steady = candidate([3] * WINDOWS)
    np.testing.assert_array_equal(numbers(zscore(at(steady, -1, 900, field), RULES)), numbers(zscore(steady, RULES)))
    assert zscore(at(steady, -2, 900, field), RULES).spread != zscore(steady, RULES).spread


def test_a_spike_that_began_in_the_window_before_does_not_hide_itself():
    begun = candidate([*[2, 4] * ((WINDOWS - 2) // 2), 7, 14], cases=20)
    unguarded = dataclasses.replace(RULES, guard_windows=0)
    assert open_verdict(zscore(begun, RULES), begun.cases, RULES).all()
    assert not open_verdict(zscore(begun, unguarded), begun.cases, unguarded).any()


def test_system_warms_up():
    assert not zscore(candidate([3] * (RULES.warmup_windows - 1)), RULES).warm.any()
    assert zscore(candidate([3] * RULES.warmup_windows), RULES).warm.all()


def test_drug_warms_up():
    young = candidate([3] * WINDOWS, drug_age_windows=np.array([RULES.warmup_windows - 1]))
    assert not zscore(young, RULES).warm.any()


def test_long_spike_does_not_end_warm_up():
    usable = np.zeros((1, WINDOWS), dtype=bool)
    usable[:, :2] = True
    assert zscore(candidate([3] * WINDOWS, usable=usable), RULES).warm.all()


def test_pair_alarmed_in_its_whole_baseline_is_not_judged():
    usable = np.zeros((1, WINDOWS), dtype=bool)
    assert not zscore(candidate([3] * WINDOWS, usable=usable), RULES).warm.any()


def test_p_of_a_poisson_pair_is_the_posterior_predictive_tail():
    poisson = dataclasses.replace(RULES, dispersion_prior=1.0)
    evaluation = zscore(candidate([2] * WINDOWS, cases=9), poisson)
    rate = LEARNT + RULES.prior_windows
    shape = 2 * LEARNT + RULES.prior_windows * 1.0
    assert evaluation.p == pytest.approx(stats.nbinom.sf(8, shape, rate / (rate + 1)), rel=1e-9)


def test_clustered_baseline_makes_the_same_count_less_unusual():
    uneven = [3, *[0, 6] * ((WINDOWS - 2) // 2), 3]
    even, clustered = zscore(candidate([3] * WINDOWS), RULES), zscore(candidate(uneven), RULES)
    assert clustered.expected == pytest.approx(even.expected)
    assert clustered.spread > even.spread
    assert clustered.z < even.z
    assert clustered.p > even.p


def test_totals_that_rise_and_fall_make_the_same_count_less_unusual():
    steady = candidate([30] * WINDOWS, cases=70)
    uneven = np.tile([500, 1500], WINDOWS // 2)[None, :]
    shaken = dataclasses.replace(steady, total_history=uneven)
    assert zscore(shaken, RULES).z < zscore(steady, RULES).z / 2


def test_count_as_expected_is_zero_spreads_away_and_one_more_spread_is_about_one():
    steady = candidate([100] * WINDOWS, cases=100, drug_history=np.full((1, WINDOWS), 2000))
    at_expectation = zscore(steady, RULES)
    assert at_expectation.z == pytest.approx(0, abs=1e-9)
    above = dataclasses.replace(steady, cases=np.array([100 + round(at_expectation.spread.item())]))
    assert zscore(above, RULES).z == pytest.approx(1.0, abs=0.1)


@given(any_counts())
def test_every_number_is_finite_and_in_its_range(counts):
    evaluation = zscore(counts, SMALL)
    assert np.isfinite(numbers(evaluation)).all()
    assert (evaluation.expected >= 0).all()
    assert ((evaluation.p >= 0) & (evaluation.p <= 1)).all()


@given(any_counts())
def test_spread_is_never_below_poisson(counts):
    evaluation = zscore(counts, SMALL)
    assert (evaluation.spread**2 > np.maximum(evaluation.expected, SMALL.expected_floor)).all()


@given(any_counts(), st.integers(1, 50))
def test_more_cases_are_more_unusual(counts, more):
    fewer, many = zscore(counts, SMALL), zscore(dataclasses.replace(counts, cases=counts.cases + more), SMALL)
    assert (many.z > fewer.z).all()
    assert (many.p <= fewer.p).all()


@given(any_counts())
def test_a_candidate_is_judged_by_its_own_numbers_alone(counts):
    together = numbers(zscore(counts, SMALL))
    for i in range(len(counts.cases)):
        np.testing.assert_allclose(numbers(zscore(rows(counts, [i]), SMALL))[:, 0], together[:, i], rtol=1e-12)


def test_no_candidates_give_no_numbers():
    nobody = rows(candidate([3] * WINDOWS), [])
    assert numbers(zscore(nobody, RULES)).shape == (5, 0)


def test_shapes_that_differ_are_refused():
    counts = candidate([3] * WINDOWS)
    with pytest.raises(ValueError, match="usable"):
        dataclasses.replace(counts, usable=counts.usable[:, 1:])
    with pytest.raises(ValueError, match="drug_age_windows"):
        dataclasses.replace(counts, drug_age_windows=np.array([1, 2]))
    with pytest.raises(ValueError, match="negative"):
        at(counts, 3, -1)


def least_alarming_counts(mu, phi, windows, rng, n=150):
    """The least count that opens an alert, for each of n random baselines with mean mu and variance phi mu."""
    size = (n, windows)
    drawn = rng.poisson(mu, size) if phi == 1 else rng.negative_binomial(mu / (phi - 1), 1 / phi, size)
    old = ((0, 0), (WINDOWS - windows, 0))
    tries = np.arange(RULES.min_cases, 100)

    def each_try(history):
        return np.repeat(np.pad(history, old), len(tries), axis=0)

    counts = CandidateCounts(
        cases=np.tile(tries, n),
        history=each_try(drawn),
        usable=each_try(np.ones(size, dtype=bool)),
        drug_history=each_try(rng.poisson(10 * mu, size)),
        reaction_history=each_try(rng.poisson(200, size)),
        total_history=each_try(rng.poisson(2000, size)),
        drug_age_windows=np.full(n * len(tries), windows),
    )
    opened = open_verdict(zscore(counts, RULES), counts.cases, RULES).reshape(n, len(tries))
    assert opened.any(axis=1).all()
    return tries[opened.argmax(axis=1)]


@pytest.mark.parametrize("windows", [RULES.warmup_windows, WINDOWS])
@pytest.mark.parametrize("mu", [0.1, 0.3, 1, 2, 5, 10])
def test_quiet_windows_open_an_alert_once_in_a_million(mu, windows):
    least = least_alarming_counts(mu, 1, windows, np.random.default_rng(1))
    assert stats.poisson.sf(least - 1, mu).mean() < 2e-6


@pytest.mark.parametrize("mu", [0.1, 0.3, 1, 2, 5, 10])
def test_quiet_windows_of_clustered_reports_open_an_alert_rarely(mu):
    least = least_alarming_counts(mu, 2, WINDOWS, np.random.default_rng(2))
    assert stats.nbinom.sf(least - 1, mu, 0.5).mean() < 1e-3


def test_ten_cases_of_a_rare_pair_are_found():
    least = least_alarming_counts(0.3, 1, WINDOWS, np.random.default_rng(3))
    assert (least <= 10).mean() > 0.85


def test_sixfold_spike_of_a_pair_with_five_cases_a_window_is_found():
    least = least_alarming_counts(5, 1, WINDOWS, np.random.default_rng(4))
    assert stats.poisson.sf(least - 1, 30).mean() > 0.85
