"""`reactionwatch rules`: what is in force is shown, and a file that cannot be used is refused."""

import json

import pytest
from typer.testing import CliRunner

from models.spikes import DetectionRules
from models.spikes.rule_file import RuleFileError, load_rules, rule_text
from reactionwatch.cli import app


def run(*words):
    return CliRunner().invoke(app, ["rules", *words])


def test_rules_in_force_are_shown_for_every_width():
    lines = run("show").stdout.splitlines()
    for width, width_ms in (("15m", 900_000), ("1h", 3_600_000), ("1d", 86_400_000), ("7d", 604_800_000)):
        (line,) = [line.split() for line in lines if line.split()[:1] == [width]]
        assert line[-1] == load_rules(None).of(width_ms).version


def test_a_file_of_ones_own_is_in_force_by_the_setting(tmp_path, monkeypatch):
    (tmp_path / "own.toml").write_text("[spikes]\nmin_cases = 9\n")
    monkeypatch.setenv("REACTIONWATCH_RULES", str(tmp_path / "own.toml"))
    shown = json.loads(run("show", "--json").stdout)
    assert {of["spikes"]["min_cases"] for of in shown.values()} == {9}


def test_defaults_are_the_packaged_file():
    assert run("show", "--defaults").stdout == rule_text(None)


def test_a_file_can_be_checked_before_it_is_used(tmp_path):
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    good.write_text(rule_text(None))
    bad.write_text("own_weight = 7\n")
    checked = run("check", str(good), "--json")
    assert checked.exit_code == 0
    assert json.loads(checked.stdout)["1h"]["version"] == DetectionRules().version
    with pytest.raises(RuleFileError, match="own_weight must lie between"):
        CliRunner().invoke(app, ["rules", "check", str(bad)], catch_exceptions=False)


def test_a_file_that_is_not_there_is_wrong_usage():
    assert run("check", "nowhere.toml").exit_code == 2
