"""Suites while a stream runs: an edited file judges from the next batch on, a bad one never does."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from expectations.errors import SuiteError
from streaming.suites import CurrentSuites

# Great Expectations imports two modules of the standard library that Python has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:module 'sre_(constants|parse)' is deprecated:DeprecationWarning")

PACKAGED = Path(str(resources.files("expectations"))) / "suites"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("report", "pipeline"):
        (tmp_path / f"{name}.json").write_bytes((PACKAGED / f"{name}.json").read_bytes())
    return tmp_path


def edit(folder: Path, name: str, change: Callable[[dict[str, Any]], None]) -> None:
    path = folder / f"{name}.json"
    suite = json.loads(path.read_bytes())
    change(suite)
    path.write_text(json.dumps(suite), encoding="utf-8")


def limit(code: str, **kwargs: object) -> Callable[[dict[str, Any]], None]:
    def change(suite: dict[str, Any]) -> None:
        (expectation,) = (e for e in suite["expectations"] if e["meta"]["code"] == code)
        expectation["kwargs"] |= kwargs

    return change


def test_the_packaged_suites_are_confirmed_by_great_expectations() -> None:
    suites = CurrentSuites(None)
    suites.wait()
    assert len(suites.report().checks) > 20
    assert suites.pipeline().suite.newest == 2000


def test_an_edited_suite_is_taken_at_the_next_asking(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    suites = CurrentSuites(folder)
    before = suites.report()
    assert suites.report() is before
    with caplog.at_level(logging.INFO, "streaming.suites"):
        edit(folder, "report", limit("age_implausible", max_value=110.0))
        after = suites.report()
        edit(folder, "pipeline", limit("quarantine_flood", max_value=0.1))
        assert suites.pipeline().suite.version != CurrentSuites(None).pipeline().suite.version
    assert after.version != before.version
    assert [m.partition(" ")[0] for m in caplog.messages] == ["report.json", "pipeline.json"]


BROKEN: dict[str, tuple[str, str]] = {
    "half a file": ("report", '{"name": "report", "expectations": ['),
    "not a suite": ("report", "[]"),
    "no expectation": ("report", '{"name": "report", "expectations": []}'),
    "no reason": (
        "report",
        '{"name": "r", "expectations": [{"type": "expect_column_values_to_not_be_null",'
        ' "kwargs": {"column": "sex"}, "meta": {"code": "c", "severity": "warning", "why": " "}}]}',
    ),
    "unknown to Great Expectations": (
        "report",
        '{"name": "r", "expectations": [{"type": "expect_column_values_to_be_in_set", "id": "no uuid", "severity": 7,'
        ' "kwargs": {"column": "sex", "value_set": [1]}, "meta": {"code": "c", "severity": "warning", "why": "x"}}]}',
    ),
    "unknown column": (
        "pipeline",
        '{"name": "p", "meta": {"newest": 9, "at_least": 9}, "expectations": [{"type":'
        ' "expect_column_mean_to_be_between", "kwargs": {"column": "age", "max_value": 1},'
        ' "meta": {"code": "c", "why": "x"}}]}',
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_suite_that_cannot_be_used_is_refused_once_and_the_old_one_stays(
    folder: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    suites = CurrentSuites(folder)
    before = suites.report(), suites.pipeline()
    which, text = BROKEN[name]
    good = (folder / f"{which}.json").read_bytes()
    (folder / f"{which}.json").write_text(text, encoding="utf-8")
    for _ in range(2):
        assert (suites.report(), suites.pipeline()) == before
    (message,) = caplog.messages
    assert f"{which}.json was not taken" in message
    (folder / f"{which}.json").write_bytes(good)
    assert suites.report().version == before[0].version
    assert len(caplog.messages) == 1


def test_a_file_that_is_gone_for_a_while_changes_nothing(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    suites = CurrentSuites(folder)
    before = suites.report()
    moved = (folder / "report.json").rename(folder / "elsewhere.json")
    for _ in range(3):
        assert suites.report() is before
    assert len(caplog.messages) == 1
    moved.rename(folder / "report.json")
    assert suites.report() is before


def test_a_stream_does_not_start_without_suites_it_can_use(folder: Path) -> None:
    (folder / "pipeline.json").unlink()
    with pytest.raises(SuiteError, match=r"cannot read pipeline\.json"):
        CurrentSuites(folder)


def test_a_stream_does_not_start_with_a_suite_that_great_expectations_refuses(folder: Path) -> None:
    (folder / "report.json").write_text(BROKEN["unknown to Great Expectations"][1], encoding="utf-8")
    with pytest.raises(SuiteError, match=r"Great Expectations|severity"):
        CurrentSuites(folder).wait()
