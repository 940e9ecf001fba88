"""`generate` into files: what a user asks for is what is written, and what makes no sense is said."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from expectations.decode import decode
from expectations.report import Report
from generator.truth import Truth
from reactionwatch.cli import app

runner = CliRunner()


def generate(*arguments: str) -> str:
    result = runner.invoke(app, ["generate", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*arguments: str) -> str:
    result = runner.invoke(app, ["generate", *arguments])
    assert result.exit_code == 2
    return " ".join(result.output.replace("│", " ").split())


def test_a_file_of_a_week_ends_now_and_has_the_truth_beside_it(tmp_path: Path) -> None:
    file, truth_file = tmp_path / "week.jsonl", tmp_path / "truth.jsonl"
    generate(
        *("--for", "7d", "--rate", "0.01", "--trap", "late", "--trap", "broken", "--trap", "launch@1d+1d"),
        *("--spike", "AMBRISENTAN/Headache@2d+2dx50", "--out", str(file), "--truth", str(truth_file)),
    )
    lines = file.read_bytes().rstrip(b"\n").split(b"\n")
    truth = Truth.from_json_lines(truth_file.read_text(encoding="utf-8"))
    assert truth.counts.total == len(lines)
    assert {thing.kind for thing in truth.planted} >= {"spike", "launch", "late", "broken"}
    times = [r.receipt_time for line in lines if isinstance(r := decode(line), Report) and r.receipt_time]
    now = dt.datetime.now(dt.UTC)
    assert now - dt.timedelta(days=7, minutes=5) < min(times) < max(times) < now
    (spike,) = truth.spikes
    assert spike.end - spike.start == dt.timedelta(days=2)


def test_the_same_seed_and_start_give_the_same_file() -> None:
    arguments = ("--count", "20", "--seed", "7", "--start", "2026-01-01", "--out", "-")
    assert generate(*arguments) == generate(*arguments)
    assert len(generate(*arguments).splitlines()) == 20
    assert generate(*arguments) != generate(*arguments, "--seed", "8")


def test_a_faster_clock_makes_the_same_reports_farther_apart() -> None:
    def spread(*clock: str) -> dt.timedelta:
        lines = generate("--count", "50", "--rate", "0.5", "--start", "2026-01-01", "--out", "-", *clock).splitlines()
        times = [dt.datetime.strptime(json.loads(line)["receiptdate"], "%Y%m%d%H%M%S") for line in lines]  # noqa: DTZ007 - only compared
        return max(times) - min(times)

    assert spread("--clock", "1440x") / spread() == pytest.approx(1440, rel=0.3)


def test_a_mistake_leaves_an_earlier_truth_alone(tmp_path: Path) -> None:
    kept = tmp_path / "truth.jsonl"
    kept.write_text("kept", encoding="utf-8")
    refused("--count", "1", "--spike", "NO SUCH DRUG/Headache@1+1x5", "--truth", str(kept))
    assert kept.read_text(encoding="utf-8") == "kept"


def test_traps_are_listed(tmp_path: Path) -> None:
    assert "launch" in generate("--list-traps")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--trap", "flood"), "There is no trap 'flood'"),
        (("--trap", "late", "--trap", "late"), "twice"),
        (("--clock", "0.5x"), "is no speed"),
        (("--for", "soon"), "is no length of time"),
        (("--start", "yesterday"), "is no moment"),
        (("--spike", "AMBRISENTAN"), "DRUG/REACTION"),
        (("--spike", "AMBRISENTEN/Headache@1+1x5"), "Did you mean AMBRISENTAN"),
        (("--out", "-", "--json"), "standard output"),
        (("--start", "1960-01-01"), "1971 to 2199"),
        (("--for", "9000000d"), "no calendar"),
        (("--truth", "no/such/folder/truth.jsonl"), "cannot write no/such/folder/truth.jsonl"),
        (("--out", "no/such/folder/reports.jsonl"), "cannot write no/such/folder/reports.jsonl"),
    ],
)
def test_what_makes_no_sense_is_said(arguments: tuple[str, ...], said: str) -> None:
    assert said in refused("--count", "1", *arguments)
