"""The regression on past windows: a plain fit agrees with it, outbreaks count less, little history says little."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from models.spikes import DetectionRules, Season, SpikeRules
from models.spikes.baseline import forecast

YEARLY = DetectionRules(seasons=(Season(52, 2),))
PLAIN = DetectionRules(trend_deviation=0.0)


def learn(history, rules, prior=None, usable=None, ahead=2):
    history = np.atleast_2d(np.asarray(history, dtype=np.int64))
    usable = np.ones(history.shape, dtype=bool) if usable is None else usable
    prior = history.mean(axis=1) if prior is None else np.broadcast_to(np.asarray(prior, dtype=float), len(history))
    return forecast(history, usable, prior, rules, ahead)


def seasonal(rng, n, windows=260, level=8.0, amplitude=0.6, trend=0.002):
    t = np.arange(windows)
    return rng.poisson(level * np.exp(trend * t + amplitude * np.cos(2 * np.pi * (t - 7) / 52)), (n, windows))


def reference(history, prior, rules, dispersion):
    """The same penalised quasi-likelihood in plain NumPy, climbed by scipy; mean of the next window and its error."""
    windows = len(history)
    learnt = windows - rules.spikes.guard_windows

    def regressors(back):
        row = [1.0, -back / np.sqrt(windows)]
        for season in rules.seasons:
            for j in range(1, season.harmonics + 1):
                row += [np.cos(2 * np.pi * j * back / season.period), np.sin(2 * np.pi * j * back / season.period)]
        return row

    x = np.array([regressors(windows - t) for t in range(learnt)])
    precision = np.array(
        [0.0, rules.trend_deviation**-2] + [s.deviation**-2 for s in rules.seasons for _ in range(2 * s.harmonics)]
    )

    middle = np.zeros(x.shape[1])
    middle[:2] = x[:, :2].mean(axis=0)

    def loss(beta):
        eta = x @ beta
        likelihood = (history[:learnt] * eta - np.exp(eta)).sum()
        level = beta @ middle
        likelihood += rules.spikes.prior_windows * (prior * level - np.exp(level))
        return -likelihood / dispersion + (precision * beta**2).sum() / 2

    start = np.zeros(x.shape[1])
    start[0] = np.log(history.mean())
    beta = minimize(loss, start, method="BFGS", options={"gtol": 1e-8}).x
    mu = np.exp(x @ beta)
    information = (x.T * mu) @ x + dispersion * np.diag(precision)
    information += rules.spikes.prior_windows * np.exp(beta @ middle) * np.outer(middle, middle)
    now = np.array(regressors(0))
    mean = np.exp(now @ beta)
    return mean, dispersion * mean**2 * now @ np.linalg.solve(information, now)


@pytest.mark.filterwarnings("ignore:Desired error not necessarily achieved")
def test_fit_is_the_maximum_of_the_penalised_likelihood():
    rules = dataclasses.replace(YEARLY, outbreak_residual=1e6)
    history = seasonal(np.random.default_rng(1), 5)
    made = learn(history, rules)
    for i, series in enumerate(history):
        mean, variance = reference(series, series.mean(), rules, made.dispersion[i])
        assert made.mean[i, -1] == pytest.approx(mean, rel=1e-4)
        assert made.covariance[i, -1, -1] == pytest.approx(variance, rel=1e-3)


def test_season_and_trend_are_followed():
    history = seasonal(np.random.default_rng(2), 200, windows=262)
    truth = 8.0 * np.exp(0.002 * 260 + 0.6 * np.cos(2 * np.pi * (260 - 7) / 52))
    made = learn(history[:, :260], YEARLY)
    assert made.mean[:, -1].mean() == pytest.approx(truth, rel=0.05)
    flat = learn(history[:, :260], PLAIN)
    assert abs(flat.mean[:, -1].mean() - truth) > abs(made.mean[:, -1].mean() - truth)


def test_dispersion_of_poisson_counts_is_about_one_and_of_clustered_counts_what_it_is():
    rng = np.random.default_rng(3)
    rules = dataclasses.replace(YEARLY, outbreak_residual=1e6)
    assert learn(rng.poisson(10, (200, 260)), rules).dispersion.mean() == pytest.approx(1.0, abs=0.1)
    clustered = rng.negative_binomial(10 / 2, 1 / 3, (200, 260))
    assert learn(clustered, rules).dispersion.mean() == pytest.approx(3.0, abs=0.2)


def test_error_of_the_forecast_is_as_large_as_it_says():
    history = seasonal(np.random.default_rng(4), 2000, amplitude=0.4)
    truth = 8.0 * np.exp(0.002 * np.array([259, 260]) + 0.4 * np.cos(2 * np.pi * (np.array([259, 260]) - 7) / 52))
    made = learn(history, YEARLY)
    error = made.mean - truth
    both = error.sum(axis=1) / np.sqrt(made.covariance.sum(axis=(1, 2)))
    assert (both**2).mean() == pytest.approx(1.0, abs=0.25)


def test_outbreak_in_the_past_raises_neither_expectation_nor_dispersion_much():
    quiet = np.random.default_rng(5).poisson(5, (50, 260))
    struck = quiet.copy()
    struck[:, 250:253] += 60
    before, after = learn(quiet, YEARLY), learn(struck, YEARLY)
    assert np.median(after.mean[:, -1] / before.mean[:, -1]) < 1.1
    assert np.median(after.dispersion / before.dispersion) < 1.5
    taken_as_it_is = learn(struck, dataclasses.replace(YEARLY, outbreak_residual=1e6))
    assert np.median(taken_as_it_is.mean[:, -1] / before.mean[:, -1]) > 1.3
    assert np.median(taken_as_it_is.dispersion / before.dispersion) > 3


@given(st.lists(st.integers(0, 50), min_size=2, max_size=28), st.floats(0.01, 100))
def test_without_trend_and_season_it_is_the_mean_of_the_gamma_posterior(history, prior):
    rules = dataclasses.replace(PLAIN, outbreak_residual=1e6)
    made = learn(history, rules, prior=prior)
    windows, w = len(history) - 1, rules.spikes.prior_windows
    mean = (sum(history[:-1]) + w * prior) / (windows + w)
    assert made.mean == pytest.approx(mean, rel=1e-6)
    assert made.covariance[0, -1, -1] == pytest.approx(made.dispersion[0] * mean / (windows + w), rel=1e-6)


def test_nothing_learnt_gives_the_prior_rate():
    nothing = np.zeros((1, 28), dtype=bool)
    made = learn([[3] * 28], YEARLY, prior=2.5, usable=nothing)
    assert made.mean == pytest.approx(2.5, rel=1e-3)
    assert made.windows == [0]
    assert made.dispersion == pytest.approx(YEARLY.spikes.dispersion_prior)


def test_season_given_from_outside_holds_where_nothing_was_learnt():
    rules = DetectionRules(seasons=(Season(7),))
    nothing = np.zeros((1, 28), dtype=bool)
    given = np.array([[0.4, 0.0]])
    made = forecast(np.full((1, 28), 3), nothing, np.array([2.0]), rules, 2, given)
    np.testing.assert_allclose(made.waves, given, atol=1e-3)
    assert made.mean[0, -1] == pytest.approx(2 * np.exp(0.4), rel=1e-2)
    assert made.mean[0, -2] == pytest.approx(2 * np.exp(0.4 * np.cos(2 * np.pi / 7)), rel=1e-2)


@pytest.mark.parametrize("windows", [0, 1, 2])
def test_hardly_any_window_is_enough(windows):
    made = learn(np.ones((3, windows)), YEARLY, prior=0.7)
    assert np.isfinite(made.mean).all()
    assert made.mean[:, -1] == pytest.approx(0.7, rel=0.3)


def test_more_history_is_trusted_more():
    history = np.full(260, 9)
    short, long = learn(history[:10], YEARLY, prior=1.0), learn(history, YEARLY, prior=1.0)
    assert short.mean[0, -1] < long.mean[0, -1]
    assert short.covariance[0, -1, -1] > long.covariance[0, -1, -1]


def test_windows_not_learnt_from_change_nothing():
    rng = np.random.default_rng(6)
    history = rng.poisson(4, (3, 60))
    usable = rng.random(history.shape) < 0.7
    other = np.where(usable, history, 10**6)
    other[:, -1] = 10**6
    one, two = learn(history, YEARLY, 4.0, usable), learn(other, YEARLY, 4.0, usable)
    np.testing.assert_array_equal(one.mean, two.mean)
    np.testing.assert_array_equal(one.dispersion, two.dispersion)


def test_series_have_the_same_forecast_in_any_order_and_company():
    history = np.random.default_rng(7).poisson(np.random.default_rng(8).gamma(0.5, 6, (700, 1)), (700, 260))
    order = np.random.default_rng(9).permutation(700)
    whole, shuffled, few = learn(history, YEARLY), learn(history[order], YEARLY), learn(history[order[:3]], YEARLY)
    np.testing.assert_allclose(shuffled.mean, whole.mean[order], rtol=1e-10)
    np.testing.assert_allclose(few.mean, whole.mean[order[:3]], rtol=1e-10)


counts = st.one_of(st.integers(0, 3), st.integers(0, 10**9))
season = st.sampled_from([(), (Season(7, 3),), (Season(52), Season(7, 2))])


@given(st.lists(counts, min_size=1, max_size=40), season, st.floats(0, 1e6), st.integers(0, 2**32))
def test_forecast_is_finite_and_positive_for_any_counts(series, seasons, prior, seed):
    history = np.array([series])
    usable = np.random.default_rng(seed).random(history.shape) < 0.8
    made = learn(history, DetectionRules(seasons=seasons), prior, usable)
    assert np.isfinite(made.mean).all()
    assert (made.mean > 0).all()
    assert np.isfinite(made.covariance).all()
    assert (made.covariance[:, [0, 1], [0, 1]] > 0).all()
    assert (made.dispersion >= 1).all()


@given(st.lists(counts, min_size=3, max_size=40), season)
def test_forecast_stays_near_what_was_seen(series, seasons):
    made = learn([series], DetectionRules(seasons=seasons))
    assert made.mean.max() <= 1.5 * max(*series, 0.001)


def test_steady_growth_is_followed_most_of_the_way():
    grown = np.round(500 * 1.02 ** np.arange(28)).astype(int)
    made = learn(grown, DetectionRules())
    assert 0.9 < made.mean[0, -1] / (500 * 1.02**28) <= 1.0


def test_guard_is_left_out():
    rules = DetectionRules(spikes=SpikeRules(guard_windows=3))
    risen = [4] * 25 + [400] * 3
    assert learn(risen, rules, prior=4.0).mean == pytest.approx(4.0, rel=0.02)
