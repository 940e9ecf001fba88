"""EARS C1, C2 and C3 are those of R's `surveillance`: its own alarms on two years of counts are met, week by week."""

import csv
from pathlib import Path

import numpy as np
import pytest

from models.spikes import CandidateCounts, DetectionRules, evaluate
from models.spikes.ears import ears_c1, ears_c2, ears_c3

DATA = Path(__file__).parents[1] / "data" / "ears"
RULES = {"C1": ears_c1, "C2": ears_c2, "C3": ears_c3}
EVERY_RULE = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)


def column(file, name):
    with (DATA / file).open(encoding="utf-8", newline="") as lines:
        return np.array([int(row[name]) for row in csv.DictReader(lines)])


@pytest.mark.parametrize("name", RULES)
def test_alarms_are_those_of_r_in_every_week(name):
    before, tested = column("salmonella_train.csv", "n_cases"), column("salmonella_test.csv", "n_cases")
    cases = np.concatenate([before, tested])
    alarms = (cases > RULES[name](cases))[-len(tested) :]
    expected = column(f"Ears{name}_pred.csv", "alarm")
    assert len(expected) == 105
    assert expected.any()
    np.testing.assert_array_equal(alarms.astype(int), expected)


@EVERY_RULE
def test_series_are_judged_by_themselves(rule):
    cases = np.random.default_rng(1).poisson(3, (4, 60))
    together = rule(cases)
    for row, one in zip(together, cases, strict=True):
        np.testing.assert_array_equal(row, rule(one))


@EVERY_RULE
def test_without_a_whole_baseline_nothing_alarms(rule):
    assert not (np.full((1, 7), 100) > rule(np.full((1, 7), 100))).any()
    assert not (np.array([100]) > rule(np.array([100]))).any()


@EVERY_RULE
def test_a_lower_alpha_alarms_no_more(rule):
    cases = np.random.default_rng(2).poisson(3, (50, 60))
    assert not ((cases > rule(cases, 0.001)) & ~(cases > rule(cases, 0.01))).any()


@pytest.mark.parametrize("name", RULES)
def test_as_a_rule_of_the_stream_it_has_the_threshold_of_the_oracle(name):
    """Where the baseline varies more than a Poisson count's would, the floor is no part of it."""
    rng = np.random.default_rng(3)
    series = rng.negative_binomial(2, 0.05, (200, 29))
    history = series[:, :-1]
    counts = CandidateCounts(
        cases=series[:, -1],
        history=history,
        usable=np.ones(history.shape, dtype=bool),
        drug_history=history,
        reaction_history=history,
        total_history=history + 1,
        drug_age_windows=np.full(200, 28),
    )
    judged = evaluate(counts, DetectionRules(rule=f"ears_{name.lower()}"))
    np.testing.assert_array_equal(judged.evaluation.p < 0.01, series[:, -1] > RULES[name](series, 0.01)[:, -1])
    assert set(judged.rule) == {f"ears_{name.lower()}"}
    assert (judged.observed == counts.cases).all()


def test_as_a_rule_of_the_stream_a_steady_baseline_does_not_alarm_at_one_case_more():
    history = np.full((1, 28), 3)
    counts = CandidateCounts(
        np.array([4]), history, history > 0, history, history, history, drug_age_windows=np.array([28])
    )
    assert (evaluate(counts, DetectionRules(rule="ears_c1")).evaluation.p > 0.1).all()
