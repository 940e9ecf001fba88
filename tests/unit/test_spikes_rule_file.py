"""The file of rules: the packaged one says what the code does, and a wrong one is refused with where and why."""

import dataclasses
import re
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.spikes import DetectionRules, Season, SpikeRules
from models.spikes.rule_file import RuleFileError, load_rules, rule_text
from models.spikes.widths import parse_width, width_text

DAY_MS = 86_400_000


@pytest.fixture
def rules(tmp_path):
    """Loads a file that holds the text."""

    def load(text):
        path = tmp_path / "rules.toml"
        path.write_text(text, encoding="utf-8")
        return load_rules(path)

    return load


def test_the_packaged_file_holds_the_defaults_of_the_code():
    assert load_rules(None).usual == DetectionRules()


def test_the_packaged_file_names_every_setting_with_a_comment():
    document = tomllib.loads(rule_text(None))
    assert document.keys() - {"widths"} == {field.name for field in dataclasses.fields(DetectionRules)}
    assert document["spikes"].keys() == {field.name for field in dataclasses.fields(SpikeRules)}
    for block in re.split(r"\n\s*\n", rule_text(None)):
        lines = [line for line in block.splitlines() if not line.startswith("[")]
        assert not lines or lines[0].startswith("#")


def test_days_know_weekends():
    of_days = load_rules(None).of(DAY_MS)
    assert of_days.seasons == (Season(7, 3, 0.2),)
    assert of_days.spikes.baseline_windows >= 13 * 7


def test_an_empty_file_is_the_defaults_for_every_width(rules):
    assert rules("").of(DAY_MS) == DetectionRules()


def test_a_width_has_of_its_own_what_it_names_and_else_what_is_usual(rules):
    book = rules("own_p = 0.1\n[spikes]\nmin_cases = 4\n[widths.1d]\nspikes.baseline_windows = 60\nlaunch_rate = 0.5\n")
    assert book.usual == DetectionRules(own_p=0.1, spikes=SpikeRules(min_cases=4))
    assert book.of(DAY_MS) == DetectionRules(
        own_p=0.1, launch_rate=0.5, spikes=SpikeRules(min_cases=4, baseline_windows=60)
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("own_weight = ", "Invalid value"),
        ("own_weight = 2", "own_weight must lie between 0 and 1"),
        ("own_wait = 0.3", "there is no setting own_wait"),
        ("[spikes]\nmin_case = 3", "there is no setting spikes.min_case"),
        ("spikes = 3", "spikes"),
        ('[spikes]\nmin_cases = "five"', "$.spikes.min_cases"),
        ('rule = "magic"', "magic"),
        ("seasons = [{ period = 7, wave = 2 }]", "there is no setting seasons.wave"),
        ("[[seasons]]\nperiod = 1", "two windows for each harmonic"),
        ("widths = 3", "widths is a table"),
        ("[widths]\n1d = 3", "a table per width"),
        ("[widths.1d]\nspikes = 3", "spikes is a table"),
        ("[widths.1d]\nspikes.min_cases = 0", "widths.1d: min_cases must be at least 1"),
        ("[widths.fortnight]\n", "window widths look like"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_where_and_why(rules, text, complaint):
    with pytest.raises(RuleFileError, match=re.escape(complaint)):
        rules(text)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(RuleFileError, match="cannot be read"):
        load_rules(tmp_path / "none.toml")


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "rules.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RuleFileError, match="cannot be read"):
        load_rules(tmp_path / "rules.toml")


@given(st.integers(1, 10**6), st.sampled_from("smhd"))
def test_a_width_that_was_written_is_read(number, unit):
    width_ms = parse_width(f"{number}{unit}")
    assert parse_width(width_text(width_ms)) == width_ms
