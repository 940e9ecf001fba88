"""PRR, ROR and IC: by hand, by their laws, and finite whatever the table."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from models.spikes.disproportionality import Evidence, disproportionality


def measures(*table):
    """Of one pair: cases, drug's cases, reaction's cases, all cases."""
    found = disproportionality(*(np.array([value]) for value in table))
    return {name: value.item() for name, value in dataclasses.asdict(found).items()}


@st.composite
def tables(draw):
    a, b, c, d = (draw(st.one_of(st.integers(0, 5), st.integers(0, 10**6))) for _ in range(4))
    return a, a + b, a + c, a + b + c + d


def test_measures_are_those_of_the_textbook():
    found = measures(20, 100, 200, 10_000)  # 20, 80, 180, 9,720
    assert found["expected"] == pytest.approx(2.0)
    assert found["prr"] == pytest.approx((20 / 100) / (180 / 9_900))
    assert found["ror"] == pytest.approx(20 * 9_720 / (80 * 180))
    error = np.sqrt(1 / 20 + 1 / 80 + 1 / 180 + 1 / 9_720)
    assert found["ror_lower"] == pytest.approx(found["ror"] * np.exp(-1.959964 * error))
    assert found["ror_upper"] == pytest.approx(found["ror"] * np.exp(1.959964 * error))
    assert found["ic"] == pytest.approx(np.log2(20.5 / 2.5))


def test_chi_squared_is_that_of_scipy_with_yates_correction():
    table = [[20, 80], [180, 9_720]]
    assert measures(20, 100, 200, 10_000)["chi_squared"] == pytest.approx(stats.chi2_contingency(table).statistic)


def test_interval_of_the_ic_is_the_gamma_posteriors():
    found = measures(20, 100, 200, 10_000)
    posterior = stats.gamma(20.5, scale=1 / 2.5)
    assert found["ic025"] == pytest.approx(np.log2(posterior.ppf(0.025)))
    assert found["ic975"] == pytest.approx(np.log2(posterior.ppf(0.975)))


def test_shrinkage_keeps_one_case_of_a_rare_pair_from_standing_out():
    found = measures(1, 10, 10, 1_000_000)
    assert found["prr"] > 10_000
    assert found["ic"] < 1.6
    assert found["ic025"] < 0


@given(tables())
def test_every_measure_is_finite_and_in_order(table):
    found = measures(*table)
    assert np.isfinite(list(found.values())).all()
    assert found["prr"] > 0
    assert found["chi_squared"] >= 0
    assert 0 < found["ror_lower"] <= found["ror"] <= found["ror_upper"]
    assert found["ic025"] < found["ic975"]


@given(tables())
def test_drug_and_reaction_may_change_places(table):
    cases, drug, reaction, total = table
    one, other = measures(*table), measures(cases, reaction, drug, total)
    for name in ("expected", "chi_squared", "ror", "ror_lower", "ror_upper", "ic", "ic025"):
        assert one[name] == pytest.approx(other[name])


def test_independence_shows_nothing():
    found = measures(10, 100, 1_000, 10_000)
    assert found["prr"] == pytest.approx(1)
    assert found["ror"] == pytest.approx(1)
    assert found["ic"] == pytest.approx(0)


@pytest.mark.parametrize("table", [(5, 4, 9, 100), (5, 9, 4, 100), (5, 60, 60, 100)])
def test_numbers_that_make_no_table_are_refused(table):
    with pytest.raises(ValueError, match="exceed"):
        measures(*table)


@pytest.mark.parametrize(
    ("change", "signal"), [({}, True), ({"cases": 2}, False), ({"prr": 1.9}, False), ({"chi_squared": 3.9}, False)]
)
def test_criterion_of_evans_asks_for_all_three(change, signal):
    numbers = {"cases": 3, "expected": 1.0, "prr": 2.0, "chi_squared": 4.0, "ror": 2.0, "ror_lower": 1.0}
    rest = {"ror_upper": 4.0, "ic": 1.0, "ic025": 0.1, "ic975": 2.0}
    assert Evidence(**(numbers | rest | change)).signal_of_evans is signal
