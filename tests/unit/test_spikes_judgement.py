"""One window or two, drug, reaction and retold cases: each rule by itself, and the default that combines them."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from models.spikes import (
    Background,
    CandidateCounts,
    DetectionRules,
    Season,
    SpikeRules,
    confirm,
    evaluate,
    judge,
    open_verdict,
    zscore,
)
from models.spikes.exceedance import exceedance, expect, scan
from models.spikes.rise import rise
from models.spikes.share import share

RULES = DetectionRules()
WINDOWS = RULES.spikes.baseline_windows
SMALL = DetectionRules(spikes=SpikeRules(baseline_windows=6, warmup_windows=3), seasons=(Season(5),))


def series(history, cases, **changes):
    """Candidates (n, B) in a steady system: the drug has ten times the pair's cases, the reaction a tenth of all."""
    history = np.atleast_2d(np.asarray(history, dtype=np.int64))
    n = len(history)
    steady = np.full_like(history, 100_000)
    values = {
        "cases": np.broadcast_to(np.asarray(cases, dtype=np.int64), (n,)).copy(),
        "history": history,
        "usable": np.ones(history.shape, dtype=bool),
        "drug_history": history * 10,
        "reaction_history": steady // 10,
        "total_history": steady,
        "drug_age_windows": np.full(n, history.shape[1]),
    }
    return CandidateCounts(**(values | changes))


def around_it(counts, **changes):
    """A background in which drug and reaction are what they were, no long past is known, and no case is retold."""
    n = len(counts.cases)
    nothing = np.zeros(n, dtype=np.int64)
    usual = {
        "drug_now": counts.drug_history.mean(axis=1).astype(np.int64) - counts.history.mean(axis=1).astype(np.int64),
        "reaction_now": (counts.reaction_history - counts.history).mean(axis=1).astype(np.int64),
        "pair_before": nothing,
        "drug_before": nothing,
        "reaction_before": nothing,
        "all_before": nothing,
        "retold": np.zeros((n, 2), dtype=np.int64),
    }
    usual["drug_now"] = np.maximum(usual["drug_now"], 0) + counts.cases
    usual["reaction_now"] = np.maximum(usual["reaction_now"], 0) + counts.cases
    return Background(**(usual | {name: np.broadcast_to(value, usual[name].shape) for name, value in changes.items()}))


def rows(record, index):
    return type(record)(**{field.name: getattr(record, field.name)[index] for field in dataclasses.fields(record)})


def ones(counts):
    return np.ones(len(counts.cases), dtype=np.int64)


def p_of_share(counts, rules=RULES, **background):
    return share(counts, around_it(counts, **background), ones(counts), rules)


def numbers(evaluation):
    return np.stack([evaluation.expected, evaluation.spread, evaluation.z, evaluation.p, evaluation.warm])


def alone(counts, rules=RULES):
    return exceedance(counts, expect(counts, rules), rules)


def together(counts, rules=RULES):
    return scan(counts, expect(counts, rules), rules)


@st.composite
def any_counts(draw):
    """Up to four candidates, any mixture of young, alarmed and busy, and any background."""
    n, windows = draw(st.integers(1, 4)), SMALL.spikes.baseline_windows
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    level = draw(st.sampled_from([0, 1, 30, 100_000]))

    def matrix():
        return rng.poisson(level * rng.random((n, 1)), (n, windows)).astype(np.int64)

    history, others = matrix(), matrix()
    cases = rng.integers(0, 3 * level + 10, n)
    counts = CandidateCounts(
        cases=cases,
        history=history,
        usable=rng.random((n, windows)) < rng.random(),
        drug_history=history + others,
        reaction_history=history + matrix(),
        total_history=history + others + matrix(),
        drug_age_windows=rng.integers(0, 2 * windows, n),
    )

    def some(most):
        return rng.integers(0, most + 1, n)

    pair_before = some(10 * level)
    drug_before = pair_before + some(100 * level)
    retold = np.stack([rng.integers(0, history[:, -1] + 1), rng.integers(0, cases + 1)], axis=1)
    background = Background(
        drug_now=cases + some(3 * level + 10),
        reaction_now=cases + some(30 * level + 10),
        pair_before=pair_before,
        drug_before=drug_before,
        reaction_before=pair_before + some(1000 * level),
        all_before=drug_before + some(10_000 * level),
        retold=retold,
    )
    return counts, background


# One window


def test_poisson_pair_with_a_long_history_is_held_against_the_poisson_tail():
    counts = series(np.random.default_rng(1).poisson(4, (1, 2000)), 12)
    rules = dataclasses.replace(RULES, outbreak_residual=1e6)
    assert alone(counts, rules).p.item() == pytest.approx(stats.poisson.sf(11, 4), rel=0.5)


def test_short_history_leaves_more_doubt():
    long, short = series([4] * 200, 12), series([4] * 8, 12)
    assert alone(short).p > alone(long).p
    assert alone(short).spread > alone(long).spread


@pytest.mark.parametrize("mu", [0.5, 2, 10])
@pytest.mark.parametrize("phi", [1, 2])
@pytest.mark.parametrize("windows", [28, 260])
def test_p_is_no_smaller_than_it_says_under_the_null(mu, phi, windows):
    rng, n, level = np.random.default_rng([windows, phi, int(10 * mu)]), 5_000, 0.01
    size = (n, windows + 1)
    drawn = rng.poisson(mu, size) if phi == 1 else rng.negative_binomial(mu / (phi - 1), 1 / phi, size)
    judged = judge(series(drawn[:, :-1], drawn[:, -1]), RULES)
    error = 4 * np.sqrt(level / n)
    assert (judged.evaluation.p <= level).mean() < level + error
    # Of clustered counts in few windows the dispersion cannot be known; the combination makes up for it.
    doubt = 1.8 if phi > 1 and windows < 52 else 1.0
    for p in (judged.exceedance.p, judged.scan.p):
        assert (p <= level).mean() < level * doubt + error


def test_outbreak_in_the_past_does_not_hide_one_now():
    quiet = np.random.default_rng(2).poisson(5, (200, 260))
    struck = quiet.copy()
    struck[:, 200:204] += 40
    now = np.full(200, 18)
    p_quiet, p_struck = (judge(series(history, now), RULES).evaluation.p for history in (quiet, struck))
    unweighted = dataclasses.replace(RULES, outbreak_residual=1e6)
    p_hidden = judge(series(struck, now), unweighted).evaluation.p
    assert (p_quiet < 0.001).mean() > 0.95
    assert (p_struck < 0.01).mean() > 0.95
    assert (p_hidden < 0.05).mean() < 0.05


def test_season_that_comes_back_is_no_spike():
    weekly = np.tile([2, 2, 2, 2, 2, 2, 14], 40)
    weekend = series(weekly[:-1], 14)
    seasonal = dataclasses.replace(RULES, seasons=(Season(7, 3),))
    assert alone(weekend, seasonal).p > 0.05
    assert alone(weekend, dataclasses.replace(RULES, outbreak_residual=1.5)).p < 0.01


def test_totals_that_rise_and_fall_make_the_same_count_less_unusual():
    steady = series([30] * WINDOWS, 70)
    shaken = dataclasses.replace(steady, total_history=np.tile([50_000, 150_000], WINDOWS // 2)[None, :])
    assert alone(shaken).z < alone(steady).z / 2
    assert together(shaken).z < together(steady).z


def test_season_of_all_counts_is_known_of_a_pair_too_rare_to_show_it():
    rng = np.random.default_rng(6)
    week = np.tile([1.3, 1.3, 1.2, 1.2, 1.2, 0.4, 0.4], 5)[:29]  # the judged window is a first day
    total = rng.poisson(100_000 * week, (1, 29))
    rare = series(rng.poisson(2 * week, (300, 29))[:, :28], 9)
    counts = dataclasses.replace(rare, total_history=np.repeat(total[:, :28], 300, axis=0))
    seasonal = dataclasses.replace(RULES, seasons=(Season(7, 3),))
    expectation = expect(counts, seasonal)
    assert expectation.forecast.mean[:, -1].mean() == pytest.approx(2 * 1.3, rel=0.15)
    assert expectation.forecast.mean[:, -2].mean() == pytest.approx(2 * 0.4, rel=0.2)
    assert expectation.shared.max() < expect(counts, RULES).shared.min() / 10


# Two windows


def test_two_half_spikes_are_seen_together_and_not_alone():
    half = series([5] * (WINDOWS - 1) + [13], 13)
    level = 0.001
    assert alone(half).p > level
    assert together(half).p < level
    judged = judge(half, RULES)
    assert judged.rule == ["scan"]
    assert judged.observed == [26]
    assert judged.evaluation.expected == pytest.approx(10, rel=0.1)
    assert judged.evaluation.p < level


def test_spike_that_is_over_is_not_found_again():
    over = series([5] * (WINDOWS - 1) + [40], 5)
    assert together(over).p < 1e-6
    judged = judge(over, RULES)
    assert judged.evaluation.p > 0.5
    assert judged.rule == ["exceedance"]


def test_window_before_in_which_nothing_was_received_is_left_out():
    history = np.array([[5] * (WINDOWS - 1) + [0]])
    total = np.full_like(history, 100_000)
    silent = series(history, 13, total_history=np.where(history > 0, total, 0), usable=history > 0)
    np.testing.assert_allclose(numbers(together(silent)), numbers(alone(silent)))
    quiet = series(history, 13)
    assert together(quiet).expected == pytest.approx(2 * alone(quiet).expected, rel=0.01)


def test_alarmed_window_before_is_part_of_the_two_and_teaches_nothing():
    history = np.array([[5] * (WINDOWS - 1) + [30]])
    usable = np.ones(history.shape, dtype=bool)
    usable[:, -1] = False
    assert together(series(history, 13, usable=usable)).p < alone(series(history, 13, usable=usable)).p


# The drug's own total


def around(usual):
    """A history whose mean is `usual` cases, however much it varies."""
    half = st.lists(st.integers(0, 2 * usual), min_size=WINDOWS // 2, max_size=WINDOWS // 2)
    return half.map(lambda counts: (usual, [*counts, *(2 * usual - count for count in counts)]))


def test_known_share_without_doubt_is_the_binomial_tail():
    certain = dataclasses.replace(
        RULES, extra_drift=0.0, share_prior=1e-6, spikes=SpikeRules(dispersion_prior=1.0, dispersion_windows=1e9)
    )
    counts = series([1000] * WINDOWS, 14)
    assert p_of_share(counts, certain, drug_now=100) == pytest.approx(stats.binom.sf(13, 100, 0.1), rel=0.02)


@given(st.integers(1, 20).flatmap(around), st.integers(20, 300), st.integers(1, 10_000))
def test_scaling_a_drugs_whole_volume_raises_no_share_finding(usual_and_history, others, times):
    """A launch: every reaction of the drug is reported `times` as often as ever."""
    usual, history = usual_and_history
    pair = np.array([history])
    counts = series(pair, usual * times, drug_history=pair + others)
    background = around_it(counts, drug_now=counts.cases + others * times)
    assert share(counts, background, ones(counts), RULES) > 0.05
    judged = confirm(counts, background, RULES)
    assert judged.evaluation.p > RULES.launch_rate * 0.05
    assert not open_verdict(judged.evaluation, counts.cases, RULES.spikes).any()


@pytest.mark.parametrize("times", [1, 3, 10, 100])
def test_launch_with_the_noise_of_reports_raises_hardly_any_finding(times):
    rng, n = np.random.default_rng(times), 5000
    rate, rest = rng.gamma(1.0, 2.0, n), rng.gamma(2.0, 20.0, n)
    history, others = rng.poisson(rate[:, None], (n, WINDOWS)), rng.poisson(rest[:, None], (n, WINDOWS))
    cases, others_now = rng.poisson(rate * times), rng.poisson(rest * times)
    counts = series(history, cases, drug_history=history + others)
    background = around_it(counts, drug_now=cases + others_now)
    p = share(counts, background, ones(counts), RULES)
    assert (p <= 0.01).mean() < 0.01 + 4 * np.sqrt(0.01 / n)
    judged = confirm(counts, background, RULES)
    assert open_verdict(judged.evaluation, cases, RULES.spikes).mean() < 0.001
    if times >= 10:  # what the condition is for
        assert open_verdict(judge(counts, RULES).evaluation, cases, RULES.spikes).mean() > 0.2


def test_spike_of_one_reaction_is_found_whatever_the_drugs_volume():
    for volume in (1, 5):
        counts = series([4] * WINDOWS, 24 * volume)
        judged = confirm(counts, around_it(counts, drug_now=(36 + 24) * volume), RULES)
        assert open_verdict(judged.evaluation, counts.cases, RULES.spikes).all()


def test_small_drift_of_a_share_proves_nothing_however_many_reports():
    assert p_of_share(series([1000] * WINDOWS, 11_000), drug_now=101_000) > 0.1


def test_large_count_proves_much_where_the_drug_has_its_usual_reports():
    usual = series([1000] * WINDOWS, 1_400)
    assert p_of_share(usual, drug_now=10_400) < 1e-6
    assert p_of_share(usual, dataclasses.replace(RULES, share_drift=0.2), drug_now=10_400) > 0.01
    assert p_of_share(series([1000] * WINDOWS, 2_500), drug_now=20_500) > 0.01


def test_upload_at_night_is_held_against_the_share_of_a_long_time():
    """By day nobody reports the drug, so that the hours before say nothing of it."""
    hours = series([0] * WINDOWS, 90, drug_history=np.zeros((1, WINDOWS), dtype=np.int64))
    assert p_of_share(hours, drug_now=100) < 1e-6
    known = {"pair_before": 9_000, "drug_before": 10_000, "reaction_before": 20_000, "all_before": 1_000_000}
    assert p_of_share(hours, drug_now=100, **known) > 0.1
    assert p_of_share(hours, drug_now=100, **(known | {"pair_before": 900})) < 1e-6


def test_two_windows_are_held_against_the_drug_in_both():
    def both(drug_cases):
        counts = series([5] * (WINDOWS - 1) + [13], 13)
        drug = counts.drug_history.copy()
        drug[:, -1] = drug_cases
        counts = dataclasses.replace(counts, drug_history=drug)
        return share(counts, around_it(counts, drug_now=drug_cases), 2 * ones(counts), RULES)

    assert both(58) < 0.02
    assert both(130) > 0.3


# The reaction with other drugs


def p_of_rise(counts, drift=0.0, **background):
    rules = dataclasses.replace(RULES, share_drift=drift, extra_drift=0.2)
    return rise(counts, around_it(counts, **background), judge(counts, rules).evaluation, ones(counts), rules)


def test_reaction_that_rises_with_every_drug_is_no_spike_of_one():
    counts = series([10] * WINDOWS, 40, reaction_history=np.full((1, WINDOWS), 1_010))
    assert p_of_rise(counts, reaction_now=1_040) < 1e-6
    assert p_of_rise(counts, reaction_now=4_040) > 0.3
    assert p_of_rise(counts, reaction_now=2_040) < 0.05


def test_large_count_proves_much_where_the_reaction_does_not_rise_elsewhere():
    elsewhere = np.full((1, WINDOWS), 11_000)
    usual = series([1000] * WINDOWS, 1_400, reaction_history=elsewhere)
    assert p_of_rise(usual, reaction_now=11_400) < 1e-6
    assert p_of_rise(usual, drift=0.2, reaction_now=11_400) > 0.01
    assert p_of_rise(series([1000] * WINDOWS, 2_300, reaction_history=elsewhere), reaction_now=22_300) > 0.01


def test_reaction_hardly_reported_with_other_drugs_excuses_nothing():
    counts = series([10] * WINDOWS, 40, reaction_history=np.full((1, WINDOWS), 10))
    alone_p = judge(counts, RULES).exceedance.p
    assert p_of_rise(counts, reaction_now=41) < 1e-3
    assert alone_p < 1e-6


def test_reaction_reported_less_than_usual_makes_nothing_more_unusual():
    counts = series([10] * WINDOWS, 25, reaction_history=np.full((1, WINDOWS), 1_010))
    assert p_of_rise(counts, reaction_now=25) >= p_of_rise(counts, reaction_now=1_025)


# Cases told again


def test_cases_told_again_count_once():
    counts = series([1] * WINDOWS, 12)
    unlike, alike = (confirm(counts, around_it(counts, retold=[[0, retold]]), RULES) for retold in (0, 8))
    assert open_verdict(unlike.evaluation, unlike.told_once, RULES.spikes).all()
    assert alike.told_once == [4]
    assert not open_verdict(alike.evaluation, alike.told_once, RULES.spikes).any()
    assert alike.observed in ([12], [13])  # what was counted stays what is told


# The combination


def test_p_is_that_of_one_window_or_two_with_the_level_divided():
    counts = series(np.random.default_rng(3).poisson(5, (500, WINDOWS)), np.arange(500) % 30)
    judged = judge(counts, RULES)
    one, two = judged.exceedance.p / RULES.own_weight, judged.scan.p / (1 - RULES.own_weight)
    expected = np.minimum(np.where(judged.exceedance.p <= RULES.own_p, np.minimum(one, two), one), 1)
    many = counts.cases + counts.history[:, -3:].sum(axis=1) >= RULES.recent_cases
    np.testing.assert_allclose(judged.evaluation.p, np.where(many, expected, 1.0))


def test_fewer_than_five_cases_in_four_windows_are_no_spike():
    rare = series([0] * 260, 4)
    assert judge(rare, RULES).evaluation.p == 1
    assert judge(dataclasses.replace(rare, cases=np.array([5])), RULES).evaluation.p < 0.01


@given(any_counts())
def test_conditions_only_raise_p(drawn):
    counts, background = drawn
    with_conditions, without = confirm(counts, background, SMALL), judge(counts, SMALL)
    assert (with_conditions.evaluation.p >= without.evaluation.p * (1 - 1e-9)).all()


@given(any_counts())
def test_every_number_is_finite_and_in_its_range(drawn):
    counts, background = drawn
    judged = confirm(counts, background, SMALL)
    for evaluation in (judged.evaluation, judged.exceedance, judged.scan):
        assert np.isfinite(numbers(evaluation)).all()
        assert (evaluation.expected >= 0).all()
        assert ((evaluation.p >= 0) & (evaluation.p <= 1)).all()
        assert (evaluation.spread > 0).all()


@given(any_counts(), st.integers(1, 50))
def test_more_cases_are_more_unusual(drawn, more):
    counts, background = drawn
    risen = dataclasses.replace(counts, cases=counts.cases + more)
    raised = dataclasses.replace(
        background, drug_now=background.drug_now + more, reaction_now=background.reaction_now + more
    )
    fewer, many = judge(counts, SMALL), judge(risen, SMALL)
    assert (many.evaluation.p <= fewer.evaluation.p).all()
    assert (many.exceedance.z > fewer.exceedance.z).all()
    p_fewer, p_many = share(counts, background, ones(counts), SMALL), share(risen, raised, ones(risen), SMALL)
    assert (p_many <= p_fewer).all()


@given(any_counts(), st.randoms(use_true_random=False))
def test_candidates_in_another_order_have_the_same_verdicts(drawn, random):
    counts, background = drawn
    order = list(range(len(counts.cases)))
    random.shuffle(order)
    judged, shuffled = confirm(counts, background, SMALL), confirm(rows(counts, order), rows(background, order), SMALL)
    np.testing.assert_allclose(numbers(shuffled.evaluation), numbers(judged.evaluation)[:, order], rtol=1e-9)
    np.testing.assert_array_equal(shuffled.windows, judged.windows[order])


@given(any_counts())
def test_a_candidate_is_judged_by_its_own_numbers_alone(drawn):
    counts, background = drawn
    whole = numbers(confirm(counts, background, SMALL).evaluation)
    for i in range(len(counts.cases)):
        own = confirm(rows(counts, [i]), rows(background, [i]), SMALL)
        np.testing.assert_allclose(numbers(own.evaluation)[:, 0], whole[:, i], rtol=1e-9)


def test_no_candidates_give_no_numbers():
    nobody = rows(series([3] * WINDOWS, 5), [])
    nothing = rows(around_it(series([3] * WINDOWS, 5)), [])
    assert numbers(confirm(nobody, nothing, RULES).evaluation).shape == (5, 0)


def test_system_and_drug_warm_up():
    young = series([3] * WINDOWS, 30, drug_age_windows=np.array([RULES.spikes.warmup_windows - 1]))
    assert not judge(young, RULES).evaluation.warm.any()
    assert judge(series([3] * WINDOWS, 30), RULES).evaluation.warm.all()


def test_the_settings_name_the_rule_that_judges():
    counts = series(np.full((3, WINDOWS), 4), [4, 9, 30])
    by_default, by_zscore = (evaluate(counts, dataclasses.replace(RULES, rule=rule)) for rule in ("default", "zscore"))
    np.testing.assert_array_equal(numbers(by_default.evaluation), numbers(judge(counts, RULES).evaluation))
    np.testing.assert_array_equal(numbers(by_zscore.evaluation), numbers(zscore(counts, RULES.spikes)))
    assert set(by_zscore.rule) == {"zscore"}
    assert set(by_default.rule) <= {"exceedance", "scan"}


@pytest.mark.parametrize(
    "wrong", [{"retold": np.zeros((1, 3), dtype=np.int64)}, {"drug_now": np.array([1, 2])}, {"all_before": [-1]}]
)
def test_background_that_cannot_be_is_refused(wrong):
    right = around_it(series([3] * WINDOWS, 5))
    with pytest.raises(ValueError, match=r"must be|negative"):
        dataclasses.replace(right, **{name: np.asarray(value) for name, value in wrong.items()})
