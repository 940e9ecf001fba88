from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from generator.derive import derive, main, tidy_product, write_tables
from generator.population import Population

DATA = Path(__file__).parent.parent / "data"
FILES = [str(DATA / "openfda_reports_100.jsonl"), str(DATA / "faers_2014_reports_1000.jsonl")]


def report(case_id: str, drugs: list[tuple[str, str]], reactions: list[str]) -> dict[str, Any]:
    return {
        "safetyreportid": case_id,
        "patient": {
            "drug": [{"medicinalproduct": name, "drugcharacterization": role} for name, role in drugs],
            "reaction": [{"reactionmeddrapt": term} for term in reactions],
        },
    }


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("reported", "bare"),
    [
        ("losartan.", "LOSARTAN"),
        ("PICATO (INGENOL MEBUTATE) (0.015 %, GEL)", "PICATO"),
        ("CELEXA                             /00582602/", "CELEXA"),
        ("BACLOFEN/UNKNOWN/UNKNOWN", "BACLOFEN"),
        ("CARBIDOPA/LEVODOPA", "CARBIDOPA/LEVODOPA"),
        ("(UNKNOWN)", "(UNKNOWN)"),
        ("", ""),
    ],
)
def test_a_product_is_cut_to_its_bare_name(reported: str, bare: str) -> None:
    assert tidy_product(reported) == bare


def test_the_first_suspect_leads_and_each_drug_counts_once() -> None:
    tables = derive([report("1", [("C", "2"), ("A", "1"), ("a.", "1"), ("B", "3"), ("A", "2")], ["Rash", "RASH"])])
    assert (tables.lead, tables.further, tables.concomitant) == ({"A": 1}, {"B": 1}, {"C": 1})
    assert tables.profiles == {("A", "Rash"): 1}
    assert tables.company == {("A", "B", "suspect"): 1, ("A", "C", "concomitant"): 1}


def test_a_case_counts_once_as_in_the_first_file_that_has_it() -> None:
    tables = derive([report("1", [("A", "1")], ["Rash"]), report("1", [("B", "1")], ["Pain"])])
    assert tables.lead == {"A": 1}
    assert tables.reactions == {"Rash": 1}


def test_a_report_without_suspect_or_reaction_counts_for_nothing() -> None:
    tables = derive([report("1", [("A", "2")], ["Rash"]), report("2", [("A", "1")], [])])
    assert not tables.lead
    assert not tables.reactions


def test_a_trade_name_counts_for_the_substance_that_some_report_states() -> None:
    stated = report("1", [("LETAIRIS", "1")], ["Rash"])
    stated["patient"]["drug"][0]["activesubstance"] = {"activesubstancename": "AMBRISENTAN"}
    tables = derive([stated, report("2", [("Letairis", "1")], ["Pain"])])
    assert tables.lead == {"AMBRISENTAN": 2}
    assert tables.products == {("AMBRISENTAN", "LETAIRIS"): 2}


def test_profiles_of_drugs_seen_once_or_twice_are_not_written(tmp_path: Path) -> None:
    often = [report(str(n), [("OFTEN", "1"), ("WITH", "2")], ["Rash"]) for n in range(3)]
    write_tables(derive([*often, report("9", [("ONCE", "1"), ("WITH", "2")], ["Pain"])]), tmp_path)
    assert {row["drug"] for row in rows(tmp_path / "profiles.csv")} == {"OFTEN"}
    assert {row["drug"] for row in rows(tmp_path / "company.csv")} == {"OFTEN"}
    assert {row["drug"] for row in rows(tmp_path / "drugs.csv")} == {"OFTEN", "ONCE", "WITH"}


def test_the_command_derives_tables_that_a_population_loads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*FILES, "--out", str(tmp_path)]) == 0
    population = Population(tmp_path)
    assert population.expected_rate("LETAIRIS", "Dyspnoea") > 0.01
    assert "reports" in capsys.readouterr().out


def test_deriving_twice_gives_the_same_files(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        main([*FILES, "--out", str(tmp_path / folder)])
    for table in (tmp_path / "one").iterdir():
        assert table.read_bytes() == (tmp_path / "two" / table.name).read_bytes()


def test_no_narrative_number_or_company_is_in_the_tables(tmp_path: Path) -> None:
    main([*FILES, "--out", str(tmp_path)])
    text = "".join(path.read_text(encoding="utf-8") for path in tmp_path.iterdir())
    for line in (DATA / "openfda_reports_100.jsonl").read_text(encoding="utf-8").splitlines():
        full = json.loads(line)
        assert full["safetyreportid"] not in text
        assert full["companynumb"] not in text
        narrative = (full["patient"].get("summary") or {}).get("narrativeincludeclinical")
        assert narrative is None or narrative not in text
