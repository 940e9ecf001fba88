"""`reactionwatch expectations`: what its commands say, to whom, and with which exit code."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from expectations.errors import SuiteError
from expectations.reasons import Reason
from expectations.row_expectations import ROW_EXPECTATIONS, Columns, Mask
from reactionwatch.cli import app

CANARY = "CANARY"
FINE = {
    "safetyreportid": f"{CANARY}-1",
    "patient": {
        "patientsex": "2",
        "drug": [{"medicinalproduct": f"{CANARY} DRUG", "drugcharacterization": "1"}],
        "reaction": [{"reactionmeddrapt": f"{CANARY} TERM"}],
    },
}


@pytest.fixture(autouse=True)
def _data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REACTIONWATCH_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("REACTIONWATCH_SUITES", raising=False)


def run(*words: object, columns: int = 80) -> Result:
    return CliRunner(env={"COLUMNS": str(columns)}).invoke(app, ["expectations", *map(str, words)])


def write(file: Path, *bodies: object) -> Path:
    lines = [body if isinstance(body, str) else json.dumps(body) for body in bodies]
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


def with_patient(**changes: object) -> dict[str, object]:
    return {**FINE, "patient": {**FINE["patient"], **changes}}  # type: ignore[dict-item] # the one above


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Two that pass, one of them with a warning; two rejected; one that fails a critical expectation."""
    return write(
        tmp_path / "mixed.jsonl",
        FINE,
        with_patient(patientsex="9"),
        f'{{"safetyreportid": "{CANARY}"',
        {**FINE, "safetyreportid": f"{CANARY} {CANARY}"},
        with_patient(reaction=[]),
    )


def test_a_file_of_good_reports_passes(tmp_path: Path) -> None:
    result = run("check", write(tmp_path / "good.jsonl", FINE))
    assert result.exit_code == 0
    assert "of 1 reports" in result.stdout
    assert "quarantined" not in result.stdout


def test_a_file_with_reports_that_would_be_quarantined_fails(mixed: Path) -> None:
    result = run("check", mixed)
    assert result.exit_code == 1
    rows = [line.split() for line in result.stdout.splitlines()]
    assert ["passed", "2", "of", "5", "reports"] in rows
    for code in ("broken_json", "malformed_id", "no_named_reaction"):
        assert ["quarantined", "1", code] in rows
    assert ["warning", "1", "sex_not_in_code_list"] in rows
    assert "checked 5 reports, 3 would be quarantined" in result.stderr


def test_warnings_alone_fail_nothing(tmp_path: Path) -> None:
    assert run("check", write(tmp_path / "odd.jsonl", with_patient(patientsex="9"))).exit_code == 0


def test_every_code_comes_with_its_reason(mixed: Path) -> None:
    said = " ".join(run("check", mixed, columns=200).stdout.split())
    assert Reason.BROKEN_JSON.sentence in said
    assert Reason.MALFORMED_ID.sentence in said
    assert "A report without a reaction says nothing about safety" in said
    assert "patientsex is 0 unknown, 1 male or 2 female." in said


@pytest.mark.parametrize("columns", [80, 120])
def test_nothing_is_wider_than_the_terminal_or_cut(mixed: Path, columns: int) -> None:
    lines = run("check", mixed, columns=columns).stdout.splitlines()
    assert max(map(len, lines)) <= columns
    assert not any("…" in line for line in lines)


def test_a_short_file_is_not_judged_as_a_whole(mixed: Path) -> None:
    assert "not judged: fewer than 200 reports" in run("check", mixed).stdout


def test_breaches_of_the_pipeline_show_what_was_observed_and_expected_and_fail_nothing(tmp_path: Path) -> None:
    reports = [{**FINE, "safetyreportid": str(n)} for n in range(200)]
    result = run("check", write(tmp_path / "same.jsonl", *reports), columns=200)
    assert result.exit_code == 0
    assert "ages_missing: mean of age_missing is 1, expected at most 0.75" in result.stdout
    assert "one_drug_everywhere: mean of commonest_drug is 1, expected at most 0.5" in result.stdout
    assert "share_of_serious, volume, feed_silent: the file does not tell" in result.stdout


def test_json_has_all_that_a_program_needs(tmp_path: Path, mixed: Path) -> None:
    reports = [{**FINE, "safetyreportid": str(n)} for n in range(200)]
    result = run("check", mixed, write(tmp_path / "same.jsonl", *reports), "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert found["ok"] is False
    assert {"suite_version", "pipeline_version"} <= found.keys()
    assert found["pipeline_at_least"] == 200
    first, second = found["files"]
    assert first == {
        "path": str(mixed),
        "reports": 5,
        "passed": 2,
        "quarantined": 3,
        "critical": {"no_named_reaction": 1},
        "warnings": {"sex_not_in_code_list": 1},
        "rejections": {"broken_json": 1, "malformed_id": 1},
        "pipeline": [],
        "pipeline_not_judged": first["pipeline_not_judged"],
    }
    assert "ages_missing" in first["pipeline_not_judged"]
    (ages,) = [finding for finding in second["pipeline"] if finding["code"] == "ages_missing"]
    assert {name: ages[name] for name in ages if name != "why"} == {
        "code": "ages_missing",
        "ok": False,
        "statistic": "mean",
        "column": "age_missing",
        "observed": 1.0,
        "min_value": None,
        "max_value": 0.75,
        "strict_min": False,
        "strict_max": False,
        "events": 200,
    }
    assert second["pipeline_not_judged"] == ["share_of_serious", "volume", "feed_silent"]


def test_no_text_of_a_report_is_said(mixed: Path) -> None:
    for result in (run("check", mixed), run("check", mixed, "--json")):
        assert CANARY not in result.output


def suites(folder: Path, **changes: Any) -> Path:
    """A folder with the packaged suites, the one of reports with one expectation that is changed."""
    folder.mkdir()
    packaged = resources.files("expectations") / "suites"
    (folder / "pipeline.json").write_text((packaged / "pipeline.json").read_text())
    suite = json.loads((packaged / "report.json").read_text())
    suite["expectations"][1] |= changes
    (folder / "report.json").write_text(json.dumps(suite))
    return folder


def test_suites_of_ones_own_judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kwargs = {"column": "version", "min_value": 1}
    folder = suites(tmp_path / "mine", kwargs=kwargs)
    monkeypatch.setenv("REACTIONWATCH_SUITES", str(folder))
    result = run("check", write(tmp_path / "good.jsonl", FINE))
    assert result.exit_code == 1
    assert "version_out_of_range" in result.stdout
    assert f"Suites of {folder}: report " in result.stdout


def test_a_suite_that_does_not_load_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kwargs = {"column": "version", "min_value": 0, "unheard_of": 1}
    monkeypatch.setenv("REACTIONWATCH_SUITES", str(suites(tmp_path / "mine", kwargs=kwargs)))
    result = run("check", write(tmp_path / "good.jsonl", FINE))
    assert result.exit_code == 1
    assert "version_out_of_range" in str(result.exception)


def test_a_suite_that_the_stream_would_read_otherwise_than_great_expectations_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(_self: object, columns: Columns) -> Mask:
        return np.zeros(len(columns["sex"]), dtype=bool)

    monkeypatch.setattr(ROW_EXPECTATIONS["expect_column_values_to_be_in_set"], "unexpected", nothing)
    result = run("check", write(tmp_path / "good.jsonl", FINE))
    assert result.exit_code == 1
    assert isinstance(result.exception, SuiteError)
    assert "otherwise than the stream would, by age_unit_not_in_code_list" in str(result.exception)


def test_a_folder_that_cannot_be_written_to_costs_only_the_docs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REACTIONWATCH_DATA_DIR", str(write(tmp_path / "file", "")))
    result = run("check", write(tmp_path / "good.jsonl", FINE))
    assert result.exit_code == 0
    assert "Not kept for `reactionwatch expectations docs`" in result.stderr


def test_docs_without_a_check_say_what_to_do_first() -> None:
    result = run("docs")
    assert result.exit_code == 1
    assert "run reactionwatch expectations check FILE first" in str(result.exception)


def test_docs_print_the_path_of_their_index_and_nothing_else(tmp_path: Path, mixed: Path) -> None:
    run("check", mixed)
    for words, folder in (
        ((), tmp_path / "data" / "expectations" / "docs"),
        (("--out", tmp_path / "out"), tmp_path / "out"),
    ):
        result = run("docs", *words)
        assert result.exit_code == 0
        assert result.stdout == f"{folder / 'index.html'}\n"
        assert (folder / "index.html").is_file()


def test_docs_that_cannot_be_written_say_so(tmp_path: Path, mixed: Path) -> None:
    run("check", mixed)
    result = run("docs", "--out", write(tmp_path / "file", "") / "docs")
    assert result.exit_code == 1
    assert "cannot write to" in result.stderr
