from __future__ import annotations

import csv
import json
import random
from pathlib import Path
from typing import Any

import pytest

from generator.derive import (
    MOST_CONCOMITANTS,
    MOST_ENTRIES,
    MOST_REACTIONS,
    MOST_SUSPECTS,
    NEVER_SEEN,
    derive,
    main,
    tidy_product,
)
from generator.population import Population
from generator.tables import smoothed, write_tables

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
        ("PHENERGAN/00033001", "PHENERGAN"),
        ("DEXAFREE//DEXAMETHASONE", "DEXAFREE"),
        ("MEDROL [METHYLPREDNISOLONE]", "MEDROL"),
        ("LASIX - 25 MG COMPRESSE", "LASIX"),
        ("XTANDI 40MG ASTELLAS", "XTANDI"),
        ("SERETIDE 50MCG/100MCG", "SERETIDE"),
        ("VITAMIN D NOS", "VITAMIN D"),
        ("VITAMIN B12", "VITAMIN B12"),
        ("PEGINTERFERON ALFA-2B", "PEGINTERFERON ALFA-2B"),
        ("CALCIUM 600 MG PLUS VITAMIN D", "CALCIUM 600 MG PLUS VITAMIN D"),
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


def test_lists_of_a_report_are_counted_together_and_entries_by_drug() -> None:
    repeated = [("A", "1"), ("a.", "1"), ("B", "3"), ("A", "1"), ("C", "2"), ("C", "2"), ("A", "2")]
    tables = derive([report("1", repeated, ["Rash", "Pain", "RASH"]), report("2", [("A", "1")], ["Rash"])])
    assert tables.lists == {(2, 2): 1, (1, 1): 1}
    assert tables.others == {1: 1, 0: 1}
    assert tables.shares["entries_per_suspect"] == [("1", 2.0), ("3", 1.0)]
    assert tables.shares["entries_per_concomitant"] == [("2", 1.0)]


def test_lists_and_entries_beyond_all_measure_are_cut() -> None:
    drugs = [(f"A{n}", "1") for n in range(100)] + [(f"B{n}", "2") for n in range(100)] + [("A0", "1")] * 50
    tables = derive([report("1", drugs, [f"Term {n}" for n in range(100)])])
    assert tables.lists == {(MOST_SUSPECTS, MOST_REACTIONS): 1}
    assert tables.others == {MOST_CONCOMITANTS: 1}
    assert tables.shares["entries_per_suspect"] == [("1", 99.0), (str(MOST_ENTRIES), 1.0)]


def test_lists_drawn_from_the_tables_are_as_long_as_those_counted(tmp_path: Path) -> None:
    """Draws repeat values, so more are drawn than counted; four standard deviations of a mean of 20,000."""
    tables = derive([json.loads(line) for file in FILES for line in Path(file).read_bytes().splitlines()])
    write_tables(tables, tmp_path)
    population, source = Population(tmp_path), random.Random(1)
    lists = [population.draw_lists(source) for _ in range(20_000)]
    counted = sum(tables.lists.values())
    suspects = sum(len(suspects) for suspects, _ in lists) / 20_000
    reactions = sum(len(reactions) for _, reactions in lists) / 20_000
    assert suspects == pytest.approx(sum(s * n for (s, _), n in tables.lists.items()) / counted, abs=0.04)
    assert reactions == pytest.approx(sum(r * n for (_, r), n in tables.lists.items()) / counted, abs=0.08)
    others = sum(len(population.draw_concomitants(source, suspects)) for suspects, _ in lists) / 20_000
    assert others == pytest.approx(sum(size * n for size, n in tables.others.items()) / counted, rel=0.06)


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


def test_a_drug_that_nobody_suspects_is_written_where_it_has_a_name(tmp_path: Path) -> None:
    drugs = [("A", "1"), ("UNKNOWN", "1"), ("B", "2"), ("UNSPECIFIED MEDICATION", "2"), ("NONE", "2")]
    write_tables(derive([report("1", drugs, ["Rash"])]), tmp_path)
    assert {row["drug"] for row in rows(tmp_path / "drugs.csv")} == {"A", "UNKNOWN", "B"}


def test_drugs_that_were_never_counted_share_what_the_others_give_up() -> None:
    """Two names once and one twice: a discount of 2 / (2 + 2 x 1) from each of three, shared by two."""
    weights = smoothed({"A": 1, "B": 1, "C": 2}, ["A", "B", "C", "D", "E"])
    assert weights == {"A": 0.5, "B": 0.5, "C": 1.5, "D": 0.75, "E": 0.75}


@pytest.mark.parametrize(
    ("counts", "names"),
    [({"A": 1, "B": 2}, ["A", "B"]), ({"A": 2}, ["A", "B"]), ({"A": 1}, ["A", "B"])],
    ids=["no name to give to", "none once", "none twice"],
)
def test_counts_that_cannot_be_smoothed_stay(counts: dict[str, int], names: list[str]) -> None:
    assert smoothed(counts, names) == {name: counts.get(name, 0) for name in names}


def test_no_criterion_and_no_qualification_is_impossible() -> None:
    full = report("1", [("A", "1")], ["Rash"]) | {
        "sender": {"senderorganization": "FDA"},
        "seriousnessdeath": "1",
        "primarysource": {"qualification": "5"},
    }
    full["patient"]["patientsex"] = "1"
    shares = derive([full]).shares
    assert ("death", 1.0) in shares["seriousness"]
    assert ("congenitalanomali", NEVER_SEEN) in shares["seriousness"]
    assert dict(shares["qualification"]) == {"5": 1.0} | dict.fromkeys("1234", NEVER_SEEN)


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
