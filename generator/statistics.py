"""Puts statistics of generated reports beside those of real ones: `python -m generator.statistics`.

Generates reports and prints a Markdown table of them and of real ones, whose statistics are kept in
`data/real_statistics.json`. With `--real FULL.jsonl THIN.jsonl` it measures files of real reports instead and rewrites
what is kept. The same code measures both, on reports as the pipeline decodes them where the decoded report says it.

What grows with the number of reports (distinct names, singletons, leading shares) is measured in blocks of `BLOCK`
reports and averaged, so that like is held against like. It judges nothing: how far apart is too far, the tests say.
"""

from __future__ import annotations

import argparse
import datetime as dt
import sys
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from expectations.decode import Rejection, decode
from expectations.report import SUSPECT_ROLES
from generator.derive import tidy_product
from generator.population import Population
from generator.reports import ReportFactory
from generator.statistics_table import (
    BLOCK,
    CRITERIA,
    QUALIFICATIONS,
    Details,
    Lists,
    Spread,
    Statistics,
    Variety,
    table,
)

__all__ = [
    "NoReportError",
    "Observed",
    "main",
    "measure",
    "measure_details",
    "measure_lists",
    "observe",
]

KEPT = Path(__file__).parent / "data" / "real_statistics.json"
FIRST_MOMENT = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
"""When the first generated report is received; one a second follows."""
KEPT_COUNTRIES = 10
_YEARS = "801"


class NoReportError(ValueError):
    """A line that is no safety report; says which, and nothing of its text."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What is looked at in one report."""

    suspects: frozenset[str]
    """Names of suspect and interacting drugs, as decoded; so are terms and pairs."""
    drugs_bare: frozenset[str]
    """Names of drugs of any role, as `tidy_product` cuts them."""
    terms: frozenset[str]
    pairs: frozenset[tuple[str, str]]
    drug_entries: int
    with_indication: int
    """Drug entries that have one, as are the next two."""
    with_start_date: int
    with_substance: int
    age_years: float | None
    age_in_other_unit: bool
    sex: int | None
    serious: bool
    seriousness: tuple[str, ...]
    country: str | None
    qualification: int | None
    has_narrative: bool
    size: int
    """Bytes of the body."""
    size_without_openfda: int
    """Bytes of the body as compact JSON, without any drug's `openfda` block."""


def observe(body: bytes) -> Observed:
    """Look at one report; raises `NoReportError` for anything else."""
    report = decode(body)
    if isinstance(report, Rejection):
        raise NoReportError(f"not a safety report: {report.reason.value} at {report.path}")
    raw = msgspec.json.decode(body)
    patient = raw["patient"]
    entries = _entries(patient.get("drug"))
    for entry in entries:
        entry.pop("openfda", None)
    return Observed(
        suspects=frozenset(d.name for d in report.drugs if d.name and d.characterization in SUSPECT_ROLES),
        drugs_bare=frozenset(tidy_product(d.name) for d in report.drugs if d.name),
        terms=frozenset(r.term for r in report.reactions if r.term),
        pairs=report.pairs(),
        drug_entries=len(report.drugs),
        with_indication=sum(d.indication is not None for d in report.drugs),
        with_start_date=sum(bool(entry.get("drugstartdate")) for entry in entries),
        with_substance=sum(bool(entry.get("activesubstance")) for entry in entries),
        age_years=report.age_years,
        age_in_other_unit=bool(patient.get("patientonsetage")) and patient.get("patientonsetageunit") != _YEARS,
        sex=report.sex,
        serious=bool(report.serious),
        seriousness=report.seriousness,
        country=report.country,
        qualification=report.qualification,
        has_narrative=report.narrative_length > 0,
        size=len(body),
        size_without_openfda=len(msgspec.json.encode(raw)),
    )


def _entries(listed: Any) -> list[dict[str, Any]]:
    """The drugs of a decodable report: a list, a single object or nothing, as the decoder takes them."""
    entries = [listed] if isinstance(listed, dict) else listed or []
    return [entry for entry in entries if entry is not None]


def measure(reports: Sequence[Observed], *, block: int = BLOCK) -> Statistics:
    """Both halves of the same reports; see `measure_lists` and `measure_details`."""
    return Statistics(measure_lists(reports, block=block), measure_details(reports))


def measure_lists(reports: Sequence[Observed], *, block: int = BLOCK) -> Lists:
    """Names and list lengths. Reports after the last whole block of `block` count for the lengths only.

    Raises `ValueError` for fewer reports than one block.
    """
    if len(reports) < block:
        raise ValueError(f"{len(reports)} reports do not fill a block of {block}")
    starts = range(0, len(reports) - block + 1, block)
    blocks = [reports[start : start + block] for start in starts]
    bare = [frozenset(map(tidy_product, report.suspects)) for report in reports]
    return Lists(
        reports=len(reports),
        suspects=_variety([[report.suspects for report in one] for one in blocks]),
        suspects_bare=_variety([bare[start : start + block] for start in starts]),
        drugs_bare=_variety([[report.drugs_bare for report in one] for one in blocks]),
        reactions=_variety([[report.terms for report in one] for one in blocks]),
        pairs=_variety([[report.pairs for report in one] for one in blocks]),
        pairs_thrice=_mean(sum(n >= 3 for n in _counted(r.pairs for r in one).values()) for one in blocks),
        drug_entries=_spread(report.drug_entries for report in reports),
        suspects_per_report=_spread(len(report.suspects) for report in reports),
        one_suspect=_mean(len(report.suspects) == 1 for report in reports),
        others_per_report=_spread(len(r.drugs_bare - suspects) for r, suspects in zip(reports, bare, strict=True)),
        reactions_per_report=_spread(len(report.terms) for report in reports),
        one_reaction=_mean(len(report.terms) == 1 for report in reports),
        pairs_per_report=_spread(len(report.pairs) for report in reports),
    )


def measure_details(reports: Sequence[Observed]) -> Details:
    """Everything but names and list lengths; raises `ValueError` where no report has an age, a sex or a drug."""
    ages = [report.age_years for report in reports if report.age_years is not None]
    sexes = [report.sex for report in reports if report.sex]
    entries = sum(report.drug_entries for report in reports)
    if not (ages and sexes and entries):
        raise ValueError("these reports have no age, no sex or no drug to measure")
    first, second, third = (_short(quartile) for quartile in np.percentile(ages, (25, 50, 75)))
    countries = Counter(report.country or "" for report in reports)
    common = sorted(countries.items(), key=lambda item: (-item[1], item[0]))[:KEPT_COUNTRIES]
    qualifications = Counter(QUALIFICATIONS.get(report.qualification or 0, "") for report in reports)
    return Details(
        reports=len(reports),
        age_missing=_mean(report.age_years is None for report in reports),
        age_quartiles=(first, second, third),
        age_in_other_unit=_short(sum(report.age_in_other_unit for report in reports) / len(ages)),
        sex_missing=_mean(not report.sex for report in reports),
        female=_mean(sex == 2 for sex in sexes),
        serious=_mean(report.serious for report in reports),
        criteria={criterion: _mean(criterion in report.seriousness for report in reports) for criterion in CRITERIA},
        countries={country: _short(n / len(reports)) for country, n in common},
        qualifications={name: _short(qualifications[name] / len(reports)) for name in (*QUALIFICATIONS.values(), "")},
        with_indication=_short(sum(report.with_indication for report in reports) / entries),
        with_start_date=_short(sum(report.with_start_date for report in reports) / entries),
        with_substance=_short(sum(report.with_substance for report in reports) / entries),
        with_narrative=_mean(report.has_narrative for report in reports),
        size=_spread(report.size for report in reports),
        size_without_openfda=_spread(report.size_without_openfda for report in reports),
    )


def _short(number: float) -> float:
    """Four decimals: the kept file is read by people too."""
    return round(float(number), 4)


def _mean(numbers: Iterable[float]) -> float:
    values = list(numbers)
    return _short(sum(values) / len(values))


def _spread(numbers: Iterable[int]) -> Spread:
    values = np.fromiter(numbers, dtype=np.int64)
    return Spread(
        mean=_short(values.mean()),
        median=_short(np.median(values)),
        percentile_90=_short(np.percentile(values, 90)),
        most=float(values.max()),
    )


def _counted(reports: Iterable[Iterable[Hashable]]) -> Counter[Hashable]:
    return Counter(name for names in reports for name in names)


def _variety(blocks: Sequence[Sequence[AbstractSet[Hashable]]]) -> Variety:
    counted = [_counted(reports) for reports in blocks]

    def top(most: int) -> float:
        shares = []
        for reports, counts in zip(blocks, counted, strict=True):
            # Of names that are equally frequent, any will do, but always the same.
            leading = {n for n, _ in sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))[:most]}
            shares.append(_mean(not leading.isdisjoint(names) for names in reports))
        return _mean(shares)

    return Variety(
        distinct=_mean(len(counts) for counts in counted),
        singletons=_mean(sum(n == 1 for n in counts.values()) / len(counts) for counts in counted),
        top_1=top(1),
        top_10=top(10),
        top_100=top(100),
    )


def generate(seed: int, count: int) -> Iterator[bytes]:
    """Bodies of `count` ordinary reports, one a second, with `openfda` blocks; without them nothing else differs."""
    factory = ReportFactory(Population(), seed, openfda=True)
    return (factory.body(FIRST_MOMENT + dt.timedelta(seconds=second)) for second in range(count))


def _read(path: Path) -> list[Observed]:
    """Reports of a JSON-lines file; raises `NoReportError` with the line's number."""
    reports = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            reports.append(observe(line))
        except NoReportError as error:
            raise NoReportError(f"{path}, line {number}: {error}") from None
    return reports


def _observe_with_progress(bodies: Iterator[bytes], count: int) -> list[Observed]:
    reports: list[Observed] = []
    while batch := list(islice(bodies, BLOCK)):
        reports += map(observe, batch)
        sys.stderr.write(f"{len(reports):,} of {count:,} reports\n")
    return reports


def main(arguments: Sequence[str] | None = None, *, kept: Path = KEPT) -> int:
    """Run the command; returns 0, and exits with 2 and a message for files or counts that cannot be measured."""
    parser = argparse.ArgumentParser(prog="python -m generator.statistics", description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=50_000, help=f"reports to generate, at least {BLOCK}")
    parser.add_argument(
        "--real", nargs=2, type=Path, metavar=("FULL", "THIN"), help="measure these JSON-lines files and keep that"
    )
    options = parser.parse_args(arguments)
    try:
        if options.real:
            full, thin = map(_read, options.real)
            real = Statistics(measure_lists(thin), measure_details(full))
            kept.write_bytes(msgspec.json.format(msgspec.json.encode(real), indent=1) + b"\n")
            sys.stdout.write(f"{len(full):,} full and {len(thin):,} thin reports → {kept}\n")
        else:
            real = msgspec.json.decode(kept.read_bytes(), type=Statistics)
            reports = _observe_with_progress(generate(options.seed, options.count), options.count)
            sys.stdout.write(table(real, measure(reports)))
    except (OSError, ValueError) as error:
        parser.error(str(error))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
