"""What is measured of reports, and the table that puts generated ones beside real ones: one statistic a row.

A row's remark says where a departure comes from; none says how far is too far.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from generator.derive import MISSING_AGE, MISSING_SEX, MOST_CONCOMITANTS, MOST_ENTRIES

__all__ = ["BLOCK", "CRITERIA", "QUALIFICATIONS", "Details", "Lists", "Spread", "Statistics", "Variety", "table"]

BLOCK = 5_000
"""Reports of a block: as many as the larger real file has."""
SHOWN_COUNTRIES = 4
CRITERIA = ("death", "lifethreatening", "hospitalization", "disabling", "congenitalanomali", "other")
QUALIFICATIONS = {1: "physician", 2: "pharmacist", 3: "other health professional", 4: "lawyer", 5: "consumer"}


class Spread(msgspec.Struct, frozen=True):
    """How a number per report is distributed; the percentile is interpolated."""

    mean: float
    median: float
    percentile_90: float
    most: float


class Variety(msgspec.Struct, frozen=True):
    """How many different names a block has and how unevenly they are used; means over blocks."""

    distinct: float
    singletons: float
    """Share of the distinct ones that only one report of the block has."""
    top_1: float
    """Share of reports that have the most frequent one; of `top_10`, any of the ten most frequent."""
    top_10: float
    top_100: float


class Lists(msgspec.Struct, frozen=True):
    """Which drugs and reactions reports name, and how many."""

    reports: int
    suspects: Variety
    suspects_bare: Variety
    """Of names as `tidy_product` cuts them: spelling variants, doses and dictionary codes fall together."""
    drugs_bare: Variety
    """The same of drugs of any role."""
    reactions: Variety
    pairs: Variety
    pairs_thrice: float
    """Pairs that at least three reports of a block have, mean over blocks."""
    drug_entries: Spread
    suspects_per_report: Spread
    one_suspect: float
    others_per_report: Spread
    """Distinct bare names that are no suspect's."""
    reactions_per_report: Spread
    one_reaction: float
    pairs_per_report: Spread


class Details(msgspec.Struct, frozen=True):
    """Patient, seriousness, origin, drug details and size. Shares of reports where nothing else is said."""

    reports: int
    age_missing: float
    age_quartiles: tuple[float, float, float]
    """Years, of reports with an age."""
    age_in_other_unit: float
    """Share of reports with an age that give it in another unit than years."""
    sex_missing: float
    """Absent or 0, "unknown"."""
    female: float
    """Share of reports with a sex."""
    serious: float
    criteria: dict[str, float]
    countries: dict[str, float]
    """Of the most frequent ones; the key "" stands for none given."""
    qualifications: dict[str, float]
    """Of `QUALIFICATIONS`; the key "" stands for none given."""
    with_indication: float
    """Share of drug entries, as are the next two."""
    with_start_date: float
    with_substance: float
    with_narrative: float
    size: Spread
    size_without_openfda: Spread


class Statistics(msgspec.Struct, frozen=True):
    """Both halves; of the real files each half comes from the file that has it."""

    lists: Lists
    details: Details


@dataclass(frozen=True, slots=True)
class _Row:
    label: str
    values: Callable[[Statistics], Sequence[float]]
    shown: Callable[[float], str]
    remark: str = ""
    full: bool = False
    """Whether the row is held against the full reports."""


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.2f}"


def _share(value: float) -> str:
    return f"{value:.1%}"


def _variety_rows(name: str, of: Callable[[Lists], Variety], remark: str = "") -> list[_Row]:
    def tops(statistics: Statistics) -> Sequence[float]:
        variety = of(statistics.lists)
        return variety.top_1, variety.top_10, variety.top_100

    return [
        _Row(f"distinct {name}, per {BLOCK:,} reports", lambda s: [of(s.lists).distinct], _number, remark),
        _Row(f"{name} in one report only, of the distinct", lambda s: [of(s.lists).singletons], _share),
        _Row(f"reports with any of the top 1 / 10 / 100 {name}", tops, _share),
    ]


def _spread_row(name: str, of: Callable[[Statistics], Spread], remark: str = "", *, full: bool = False) -> _Row:
    def values(statistics: Statistics) -> Sequence[float]:
        spread = of(statistics)
        return spread.mean, spread.median, spread.percentile_90, spread.most

    return _Row(f"{name}: mean / median / 90th percentile / most", values, _number, remark, full)


def _detail_row(
    label: str, of: Callable[[Details], float], remark: str = "", shown: Callable[[float], str] = _share
) -> _Row:
    return _Row(label, lambda s: [of(s.details)], shown, remark, full=True)


_SPELLINGS = "real names hold spelling variants, strengths and codes; generated ones are bare"
_POOL = "drawn from the names of these real reports; other reports would have others"
_CUT_ENTRIES = f"entries of one drug beyond {MOST_ENTRIES} are cut"
_CUT_OTHERS = f"drawn from lists cut at {MOST_CONCOMITANTS}"
_REPEATS = "a drug's own profile shows only pairs that these real reports have"
_QUARTER = "follows a whole FAERS quarter: {:.0%}"


def _list_rows() -> list[_Row]:
    return [
        *_variety_rows("suspect drugs", lambda lists: lists.suspects, _SPELLINGS),
        *_variety_rows("suspect drugs by bare name", lambda lists: lists.suspects_bare),
        *_variety_rows("drugs of any role by bare name", lambda lists: lists.drugs_bare, _POOL),
        *_variety_rows("reactions", lambda lists: lists.reactions, _POOL),
        *_variety_rows("pairs", lambda lists: lists.pairs),
        _Row(f"pairs in 3 or more of {BLOCK:,} reports", lambda s: [s.lists.pairs_thrice], _number, _REPEATS),
        _spread_row("drug entries per report", lambda s: s.lists.drug_entries, _CUT_ENTRIES),
        _spread_row("suspects per report", lambda s: s.lists.suspects_per_report),
        _Row("reports with one suspect", lambda s: [s.lists.one_suspect], _share),
        _spread_row("other drugs per report", lambda s: s.lists.others_per_report, _CUT_OTHERS),
        _spread_row("reactions per report", lambda s: s.lists.reactions_per_report),
        _Row("reports with one reaction", lambda s: [s.lists.one_reaction], _share),
        _spread_row("pairs per report", lambda s: s.lists.pairs_per_report),
    ]


def _detail_rows(real: Details) -> list[_Row]:
    fatal = "a report with a fatal reaction gets it too"
    return [
        _detail_row("age missing", lambda d: d.age_missing, _QUARTER.format(MISSING_AGE)),
        _Row("age quartiles, years", lambda s: s.details.age_quartiles, _number, full=True),
        _detail_row(
            "age in another unit than years, of those given",
            lambda d: d.age_in_other_unit,
            "chosen, so that they occur",
        ),
        _detail_row("sex missing or unknown", lambda d: d.sex_missing, _QUARTER.format(MISSING_SEX)),
        _detail_row("female, of those given", lambda d: d.female),
        _detail_row("serious", lambda d: d.serious),
        *(_criterion_row(criterion, fatal if criterion == "death" else "") for criterion in CRITERIA),
        *(_country_row(country) for country in list(real.countries)[:SHOWN_COUNTRIES]),
        *(_qualification_row(name) for name in (*QUALIFICATIONS.values(), "")),
        _detail_row("drug entries with indication", lambda d: d.with_indication),
        _detail_row("drug entries with start date", lambda d: d.with_start_date),
        _detail_row(
            "drug entries with active substance", lambda d: d.with_substance, "known only for drugs of the full reports"
        ),
        _detail_row("reports with narrative", lambda d: d.with_narrative),
        _spread_row("bytes per report", lambda s: s.details.size, full=True),
        _spread_row("bytes without `openfda` blocks", lambda s: s.details.size_without_openfda, full=True),
    ]


def _criterion_row(criterion: str, remark: str) -> _Row:
    return _detail_row(f"serious: {criterion}", lambda d: d.criteria[criterion], remark)


def _country_row(country: str) -> _Row:
    return _detail_row(f"country {country or 'not given'}", lambda d: d.countries.get(country, 0.0))


def _qualification_row(name: str) -> _Row:
    return _detail_row(f"reported by {name or 'no stated qualification'}", lambda d: d.qualifications[name])


def table(real: Statistics, generated: Statistics) -> str:
    """A Markdown table, one statistic a row; a row with several numbers has them in the order its label says."""
    files = {False: f"{real.lists.reports:,} thin", True: f"{real.details.reports:,} full"}
    lines = [
        f"| statistic | real | generated ({generated.lists.reports:,}) | held against | remark |",
        "|---|---|---|---|---|",
    ]
    for row in (*_list_rows(), *_detail_rows(real.details)):
        ours, theirs = (" / ".join(map(row.shown, row.values(side))) for side in (generated, real))
        lines.append(f"| {row.label} | {theirs} | {ours} | {files[row.full]} | {row.remark} |")
    return "\n".join(lines) + "\n"
