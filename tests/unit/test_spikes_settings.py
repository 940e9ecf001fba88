"""The spike rules' settings: refused when they cannot work, and told apart by their version."""

import dataclasses

import pytest

from models.spikes import DetectionRules, RuleBook, Season, SpikeRules


def test_equal_settings_have_equal_versions():
    assert SpikeRules().version == SpikeRules(min_cases=5).version


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(SpikeRules)])
def test_every_setting_changes_the_version(field):
    changed = dataclasses.replace(SpikeRules(), **{field: getattr(SpikeRules(), field) * 1.5})
    assert changed.version != SpikeRules().version


@pytest.mark.parametrize(
    "wrong",
    [
        {"min_cases": 0},
        {"warmup_windows": 0},
        {"baseline_windows": 1, "warmup_windows": 1},
        {"baseline_windows": 6, "warmup_windows": 7},
        {"guard_windows": -1},
        {"guard_windows": 7},
        {"open_z": 0.0},
        {"open_z": float("nan")},
        {"open_p": 0.0},
        {"open_p": 1.0},
        {"close_fdr": 0.0},
        {"close_fdr": 1.5},
        {"prior_windows": 0.0},
        {"prior_windows": float("inf")},
        {"dispersion_prior": 0.9},
        {"dispersion_windows": -1.0},
        {"expected_floor": 0.0},
    ],
)
def test_settings_that_cannot_work_are_refused(wrong):
    with pytest.raises(ValueError, match="must"):
        SpikeRules(**wrong)


OTHERS = {"rule": "zscore", "share_drift": 0.1, "seasons": (Season(7),), "spikes": SpikeRules(min_cases=6)}


def test_equal_detection_settings_have_equal_versions():
    assert DetectionRules().version == DetectionRules(spikes=SpikeRules()).version


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(DetectionRules)])
def test_every_detection_setting_changes_the_version(field):
    value = OTHERS[field] if field in OTHERS else getattr(DetectionRules(), field) / 2
    assert dataclasses.replace(DetectionRules(), **{field: value}).version != DetectionRules().version


@pytest.mark.parametrize(
    "wrong",
    [
        {"trend_deviation": -0.1},
        {"trend_deviation": float("nan")},
        {"outbreak_residual": 0.0},
        {"own_weight": 0.0},
        {"own_weight": 1.0},
        {"own_p": 0.0},
        {"own_p": 1.1},
        {"launch_rate": 0.0},
        {"season_rate": 1.5},
        {"share_drift": -0.1},
        {"extra_drift": float("nan")},
        {"share_prior": 0.0},
        {"rise_prior": float("inf")},
        {"recent_cases": -1},
        {"recent_windows": 0},
        {"spikes": SpikeRules(guard_windows=0)},
        {"seasons": (Season(52, 8),)},
        {"rule": "ears_c3", "spikes": SpikeRules(baseline_windows=10)},
    ],
)
def test_detection_settings_that_cannot_work_are_refused(wrong):
    with pytest.raises(ValueError, match=r"must|more than"):
        DetectionRules(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [{"period": 1.0}, {"period": float("inf")}, {"harmonics": 0}, {"period": 7.0, "harmonics": 4}, {"deviation": 0.0}],
)
def test_seasons_that_cannot_be_seen_are_refused(wrong):
    with pytest.raises(ValueError, match=r"must|at least"):
        Season(**({"period": 52.0} | wrong))


def test_a_width_goes_by_its_own_rules_and_any_other_by_the_usual_ones():
    own = DetectionRules(spikes=SpikeRules(min_cases=9))
    book = RuleBook(of_width={60_000: own})
    assert (book.of(60_000), book.of(60_001)) == (own, DetectionRules())
