"""The spike rules' settings: refused when they cannot work, and told apart by their version."""

import dataclasses

import pytest

from models.spikes import SpikeRules


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
