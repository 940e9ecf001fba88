"""EARS C1, C2 and C3 are those of R's `surveillance`: its own alarms on two years of counts are met, week by week."""

import csv
from pathlib import Path

import numpy as np
import pytest

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
