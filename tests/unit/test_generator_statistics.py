from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from generator.derive import MISSING_AGE, MISSING_SEX
from generator.statistics import (
    KEPT,
    NoReportError,
    Observed,
    generate,
    main,
    measure,
    measure_details,
    measure_lists,
    observe,
)
from generator.statistics_table import BLOCK, Spread, Statistics, Variety, table

DATA = Path(__file__).parent.parent / "data"
FULL = DATA / "openfda_reports_100.jsonl"
THIN = DATA / "faers_2014_reports_1000.jsonl"


def report(drugs: list[tuple[str, str]], reactions: list[str], **fields: Any) -> Observed:
    patient = {
        "drug": [{"medicinalproduct": name, "drugcharacterization": role} for name, role in drugs],
        "reaction": [{"reactionmeddrapt": term} for term in reactions],
        **fields.pop("patient", {"patientonsetage": "50", "patientonsetageunit": "801", "patientsex": "2"}),
    }
    return observe(json.dumps({"safetyreportid": "1", "patient": patient, **fields}).encode())


def real_reports(path: Path) -> list[Observed]:
    return [observe(line) for line in path.read_bytes().splitlines()]


@pytest.fixture(scope="module")
def kept() -> Statistics:
    return msgspec.json.decode(KEPT.read_bytes(), type=Statistics)


@pytest.fixture(scope="module")
def generated() -> Statistics:
    return measure([observe(body) for body in generate(seed=0, count=BLOCK)])


FOUR = [
    report([("A", "1"), ("a ", "1"), ("C", "2")], ["Rash"]),
    report([("A", "1"), ("B 5 MG", "3")], ["Rash", "Pain"]),
    report([("A", "1"), ("B", "2")], ["Rash", "RASH"]),
    report([("D", "1")], ["Cough"]),
]
"""Pairs: A-Rash in three of four, each of A-Pain, B-Rash, B-Pain and D-Cough in one."""


def test_names_are_counted_once_per_report() -> None:
    lists = measure_lists(FOUR, block=4)
    assert lists.suspects == Variety(distinct=3, singletons=0.6667, top_1=0.75, top_10=1, top_100=1)
    assert lists.reactions == Variety(distinct=3, singletons=0.6667, top_1=0.75, top_10=1, top_100=1)
    assert lists.pairs == Variety(distinct=5, singletons=0.8, top_1=0.75, top_10=1, top_100=1)
    assert lists.pairs_thrice == 1


def test_bare_names_fall_together_and_those_of_any_role_count() -> None:
    reports = [report([("B 5 MG", "1")], ["Rash"]), report([("B", "1"), ("C", "2")], ["Rash"])]
    lists = measure_lists(reports, block=2)
    assert lists.suspects.distinct == 2
    assert lists.suspects_bare == Variety(distinct=1, singletons=0, top_1=1, top_10=1, top_100=1)
    assert lists.drugs_bare == Variety(distinct=2, singletons=0.5, top_1=1, top_10=1, top_100=1)


def test_a_top_ten_is_what_ten_names_cover_together() -> None:
    lists = measure_lists([report([(f"DRUG {n}", "1")], ["Rash"]) for n in range(20)], block=20)
    assert (lists.suspects.top_1, lists.suspects.top_10, lists.suspects.top_100) == (0.05, 0.5, 1)


def test_lengths_of_lists_are_spread_over_all_reports() -> None:
    lists = measure_lists(FOUR, block=4)
    assert lists.drug_entries == Spread(mean=2, median=2, percentile_90=2.7, most=3)
    assert lists.suspects_per_report == Spread(mean=1.25, median=1, percentile_90=1.7, most=2)
    assert lists.others_per_report == Spread(mean=0.5, median=0.5, percentile_90=1, most=1)
    assert lists.reactions_per_report == Spread(mean=1.25, median=1, percentile_90=1.7, most=2)
    assert lists.pairs_per_report == Spread(mean=1.75, median=1, percentile_90=3.1, most=4)
    assert (lists.one_suspect, lists.one_reaction) == (0.75, 0.75)


def test_what_grows_with_the_reports_is_averaged_over_blocks() -> None:
    """Two blocks of two, with two drugs and one; the fifth report fills no block."""
    names = ["A", "B", "A", "A", "C"]
    lists = measure_lists([report([(name, "1")], ["Rash"]) for name in names], block=2)
    assert lists.suspects.distinct == 1.5
    assert lists.suspects.singletons == 0.5  # all of two, none of one
    assert lists.suspects.top_1 == 0.75
    assert lists.reports == 5


def test_fewer_reports_than_a_block_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fill a block"):
        measure_lists(FOUR, block=5)


def test_ages_and_sexes_are_those_that_are_given() -> None:
    def aged(age: str | None, unit: str, sex: str | None) -> Observed:
        patient = {"patientonsetage": age, "patientonsetageunit": unit, "patientsex": sex}
        return report([("A", "1")], ["Rash"], patient=patient)

    details = measure_details(
        [aged("20", "801", "2"), aged("4", "800", "2"), aged("60", "801", "1"), aged(None, "801", "0")]
    )
    assert (details.age_missing, details.age_quartiles, details.age_in_other_unit) == (0.25, (30, 40, 50), 0.3333)
    assert (details.sex_missing, details.female) == (0.25, 0.6667)


def test_seriousness_origin_and_narrative_are_shares_of_reports() -> None:
    narrated = {"patientonsetage": "1", "patientonsetageunit": "801", "patientsex": "1"}
    narrated |= {"summary": {"narrativeincludeclinical": "Some text."}}
    details = measure_details(
        [
            report([("A", "1")], [], serious="1", seriousnessdeath="1", occurcountry="US", patient=narrated),
            report([("A", "1")], [], serious="2", occurcountry="us", primarysource={"qualification": "5"}),
            report([("A", "1")], [], serious="1", seriousnessdeath="1", seriousnessother="1", occurcountry="GB"),
            report([("A", "1")], []),
        ]
    )
    assert details.serious == 0.5
    assert {name: share for name, share in details.criteria.items() if share} == {"death": 0.5, "other": 0.25}
    assert details.countries == {"US": 0.5, "": 0.25, "GB": 0.25}
    assert {name: share for name, share in details.qualifications.items() if share} == {"consumer": 0.25, "": 0.75}
    assert details.with_narrative == 0.25


def test_drug_details_are_shares_of_entries_and_sizes_leave_openfda_out() -> None:
    whole: dict[str, Any] = {
        "safetyreportid": "1",
        "patient": {
            "patientonsetage": "50",
            "patientonsetageunit": "801",
            "patientsex": "1",
            "drug": [
                {"medicinalproduct": "A", "drugindication": "PAIN", "drugstartdate": "2014", "openfda": {"unii": "x"}},
                {"medicinalproduct": "B", "activesubstance": {"activesubstancename": "C"}},
            ],
        },
    }
    body = msgspec.json.encode(whole)
    details = measure_details([observe(body)])
    assert (details.with_indication, details.with_start_date, details.with_substance) == (0.5, 0.5, 0.5)
    assert details.size.mean == len(body)
    assert details.size_without_openfda.mean == len(body) - len(b',"openfda":{"unii":"x"}')


def test_a_single_drug_that_is_no_list_is_a_list_of_one() -> None:
    body = b'{"safetyreportid": "1", "patient": {"drug": {"medicinalproduct": "A", "drugstartdate": "2014"}}}'
    assert observe(body).with_start_date == 1


def test_reports_without_any_age_have_no_details() -> None:
    with pytest.raises(ValueError, match="no age"):
        measure_details(real_reports(THIN)[:50])


def test_the_table_has_a_row_per_statistic_that_names_its_real_file(kept: Statistics) -> None:
    lines = table(kept, kept).splitlines()
    assert lines[0].startswith("| statistic | real | generated (5,000) |")
    for line in lines[2:]:
        _, label, real, generated, against, _, _ = line.split("|")
        assert real == generated, label
        assert against.strip() in {"5,000 thin", "100 full"}
    assert any(line.startswith("| pairs in 3 or more of 5,000 reports | 658 | 658 | 5,000 thin |") for line in lines)
    assert len({line.split("|")[1] for line in lines}) == len(lines)


def test_the_kept_details_are_those_of_the_full_reports(kept: Statistics) -> None:
    assert measure_details(real_reports(FULL)) == kept.details


def test_the_kept_lists_are_of_a_block_of_which_the_tests_have_a_fifth(kept: Statistics) -> None:
    """The thousand are the first of the five thousand: what does not grow with the reports is much the same."""
    part = measure_lists(real_reports(THIN), block=1_000)
    assert (kept.lists.reports, part.reports) == (BLOCK, 1_000)
    assert part.suspects.distinct < kept.lists.suspects.distinct < 5 * part.suspects.distinct
    assert part.reactions_per_report.most <= kept.lists.reactions_per_report.most
    assert abs(part.one_suspect - kept.lists.one_suspect) < 0.06
    assert abs(part.one_reaction - kept.lists.one_reaction) < 0.06


def test_measuring_files_rewrites_what_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kept: Statistics
) -> None:
    thin = tmp_path / "thin.jsonl"
    thin.write_bytes(THIN.read_bytes() * 5)
    rewritten = tmp_path / "kept.json"
    assert main(["--real", str(FULL), str(thin)], kept=rewritten) == 0
    read = msgspec.json.decode(rewritten.read_bytes(), type=Statistics)
    assert read.details == kept.details
    assert read.lists == measure_lists(real_reports(thin))
    assert "100 full and 5,000 thin" in capsys.readouterr().out


def test_a_line_that_is_no_report_is_named_by_its_number_and_not_quoted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"safetyreportid": "1", "patient": {}}\n{"secret": 1}\n', encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        main(["--real", str(broken), str(THIN)], kept=tmp_path / "kept.json")
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert "line 2" in error
    assert "secret" not in error
    with pytest.raises(NoReportError):
        observe(b"")


def test_the_command_prints_the_table_of_a_seed(capsys: pytest.CaptureFixture[str], kept: Statistics) -> None:
    assert main(["--seed", "0", "--count", str(BLOCK)]) == 0
    printed = capsys.readouterr()
    assert printed.out.count("\n") == table(kept, kept).count("\n")
    assert "5,000 of 5,000 reports" in printed.err


# Tolerances of the next four hold one block of 5,000 against the real one. They are the known departure (the command's
# table shows it) and about four standard deviations between blocks of the generator, which are named with each.


def test_generated_drugs_are_as_many_and_as_uneven_as_real_ones(generated: Statistics, kept: Statistics) -> None:
    """Standard deviations: 28 of 1,290 drugs, 1.3 points of singletons, 0.7 points of a leading share."""
    ours, real = generated.lists.suspects_bare, kept.lists.suspects_bare
    assert ours.distinct == pytest.approx(real.distinct, rel=0.12)
    assert ours.singletons == pytest.approx(real.singletons, abs=0.06)
    for name in ("top_1", "top_10", "top_100"):
        assert getattr(ours, name) == pytest.approx(getattr(real, name), abs=0.04), name


def test_generated_reactions_lead_as_real_ones_do(generated: Statistics, kept: Statistics) -> None:
    """Standard deviations: 18 of 1,550 reactions, 0.5 to 1 points of a leading share. No reaction is new."""
    ours, real = generated.lists.reactions, kept.lists.reactions
    for name in ("top_1", "top_10", "top_100"):
        assert getattr(ours, name) == pytest.approx(getattr(real, name), abs=0.06), name
    assert 0.68 < ours.distinct / real.distinct <= 1.0


def test_generated_pairs_recur_about_as_often_as_real_ones(generated: Statistics, kept: Statistics) -> None:
    """What spike rules see. Standard deviations: 32 of 810 recurring pairs, 610 of 12,700, 0.6 points of singletons."""
    ours, real = generated.lists, kept.lists
    assert ours.pairs_thrice == pytest.approx(real.pairs_thrice, rel=0.42)
    assert ours.pairs.singletons == pytest.approx(real.pairs.singletons, abs=0.025)
    assert ours.pairs.distinct == pytest.approx(real.pairs.distinct, rel=0.24)


def test_generated_lists_are_about_as_long_as_real_ones(generated: Statistics, kept: Statistics) -> None:
    """Standard deviations per report: 0.014 suspects, 0.04 reactions, 0.027 other drugs, 0.034 entries, 0.14 pairs;
    0.6 points of the share with one suspect, 0.7 of that with one reaction.
    """
    ours, real = generated.lists, kept.lists
    assert ours.suspects_per_report.mean == pytest.approx(real.suspects_per_report.mean, rel=0.05)
    assert ours.reactions_per_report.mean == pytest.approx(real.reactions_per_report.mean, rel=0.07)
    assert ours.others_per_report.mean == pytest.approx(real.others_per_report.mean, rel=0.11)
    assert ours.drug_entries.mean == pytest.approx(real.drug_entries.mean, rel=0.065)
    assert ours.pairs_per_report.mean == pytest.approx(real.pairs_per_report.mean, rel=0.15)
    assert ours.one_suspect == pytest.approx(real.one_suspect, abs=0.035)
    assert ours.one_reaction == pytest.approx(real.one_reaction, abs=0.05)


def test_generated_shares_are_within_what_a_hundred_real_reports_can_tell(
    generated: Statistics, kept: Statistics
) -> None:
    """The tables hold the very shares of the hundred, so only the drawing and what is put on top may differ: three
    points, four times the standard deviation of a share of 5,000.
    """
    ours, real = generated.details, kept.details
    for name in ("serious", "female", "with_indication", "with_start_date", "with_narrative"):
        assert getattr(ours, name) == pytest.approx(getattr(real, name), abs=0.03), name
    assert ours.criteria == pytest.approx(real.criteria, abs=0.03)
    assert ours.qualifications == pytest.approx(real.qualifications, abs=0.03)
    assert ours.countries["US"] == pytest.approx(real.countries["US"], abs=0.03)
    # Quartiles of 89 ages vary by two to three years.
    assert ours.age_quartiles == pytest.approx(real.age_quartiles, abs=6)


def test_generated_patients_lack_age_and_sex_as_often_as_a_whole_quarter(generated: Statistics) -> None:
    assert generated.details.age_missing == pytest.approx(MISSING_AGE, abs=0.03)
    assert generated.details.sex_missing == pytest.approx(MISSING_SEX, abs=0.03)


def test_generated_reports_have_about_the_bytes_of_real_ones(generated: Statistics, kept: Statistics) -> None:
    """Blocks reach from a few hundred bytes to a hundred thousand: the real mean is good for a quarter of it, the 90th
    percentile of a hundred for less.
    """
    ours, real = generated.details.size_without_openfda, kept.details.size_without_openfda
    assert ours.mean == pytest.approx(real.mean, rel=0.1)
    assert ours.median == pytest.approx(real.median, rel=0.1)
    ours, real = generated.details.size, kept.details.size
    assert ours.median == pytest.approx(real.median, rel=0.25)
    assert ours.mean == pytest.approx(real.mean, rel=0.35)
    assert ours.percentile_90 == pytest.approx(real.percentile_90, rel=0.5)
