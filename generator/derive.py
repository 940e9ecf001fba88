"""Derives the population's tables from real reports: `python -m generator.derive FILE... [--out FOLDER]`.

Reads JSON-lines files of openFDA drug/event reports and writes into FOLDER (default: this package's `data/`) the files
that `generator.tables` names.

A safetyreportid counts once: of several files the first one that has it wins, so name the richest file first.
Counts only: no report, narrative, id or number of a report is copied.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

import msgspec

from expectations.report import SUSPECT_ROLES, normalise_name
from generator.tables import Tables, Weighted, write_tables

__all__ = ["derive", "main", "tidy_product"]

LONGEST_NAME = 40
"""Longer product names are descriptions ("... INJECTION, USP (0101-25) 1MG/ML"), not names."""
MOST_REACTIONS, MOST_SUSPECTS, MOST_CONCOMITANTS = 60, 25, 30
"""Longer lists are cut: a report of hundreds of drugs would need a model of its own."""
MOST_ENTRIES = 8
"""A drug's further entries are cut: each repeats its `openfda` block, and a report has to fit an event of 1 MB."""
MISSING_AGE, MISSING_SEX = 0.31, 0.14
"""Shares of reports without age and sex in one whole FAERS quarter; the sample of full reports is too small."""
AGE_BAND = 10
"""Ages are kept in bands of ten years, each with one pseudo-report, so that no age is impossible."""
NEVER_SEEN = 0.5
"""Reports that a seriousness criterion or qualification counts for which no full report has, as with the ages."""
TOP_VALUES = 40
"""Values kept of an open list such as dosage texts."""

_REMARK = re.compile(r"[(\[]|//")
_CODE = re.compile(r"(/\s?\d+/|/\s?\d{6,}|/UNKNOWN|,? NOS|,? UNSPECIFIED)+$")
_STRENGTH = re.compile(r"[ ,-]+\d[\d.,]*\s?(MG|MCG|G|ML|IU)\b[/\w]*(,? [A-Z]+){0,2}$")
_SERIOUSNESS = (
    "seriousnessdeath",
    "seriousnesslifethreatening",
    "seriousnesshospitalization",
    "seriousnessdisabling",
    "seriousnesscongenitalanomali",
    "seriousnessother",
)
_UNKNOWN_INDICATION = "PRODUCT USED FOR UNKNOWN INDICATION"

_Json = Mapping[str, Any]


def tidy_product(name: str) -> str:
    """The product's bare name: normalised, without trailing remarks, dictionary codes, strengths and dots.

    `"PICATO (INGENOL MEBUTATE) (0.015 %, GEL)"` → `"PICATO"`; `"LASIX - 25 MG COMPRESSE"` → `"LASIX"`. Misspelt names
    stay as they are.
    """
    bare = normalise_name(name)
    before_remark = _REMARK.split(bare, maxsplit=1)[0].strip()
    bare = _CODE.sub("", before_remark or bare)
    return _STRENGTH.sub("", bare).strip(" ./,-")


def derive(reports: Iterable[_Json]) -> Tables:
    """Count `reports` (openFDA objects, scalars as strings), each safetyreportid once."""
    once: dict[str, _Json] = {}
    for report in reports:
        once.setdefault(str(report["safetyreportid"]), report)
    kept = list(once.values())
    substances = _substances(kept)
    spelling = _spelling(kept)
    tables = Tables(substances=set(substances.values()))
    entries: dict[str, Counter[int]] = defaultdict(Counter)
    for report in kept:
        _count_report(report, substances, spelling, tables, entries)
    full = [report for report in kept if report.get("sender")]
    tables.shares = _shares(full, entries)
    return tables


def _drug_entries(report: _Json) -> list[_Json]:
    return list((report.get("patient") or {}).get("drug") or [])


def _reactions(report: _Json) -> list[_Json]:
    return list((report.get("patient") or {}).get("reaction") or [])


def _substances(reports: Iterable[_Json]) -> dict[str, str]:
    """Tidied product → substance, where the reports state one: `activesubstance`, else the only openfda one."""
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    for report in reports:
        for entry in _drug_entries(report):
            stated = (entry.get("activesubstance") or {}).get("activesubstancename")
            labelled = (entry.get("openfda") or {}).get("substance_name") or []
            name = stated or (labelled[0] if len(labelled) == 1 else None)
            if name and entry.get("medicinalproduct"):
                seen[tidy_product(entry["medicinalproduct"])][tidy_product(name)] += 1
    return {product: names.most_common(1)[0][0] for product, names in seen.items()}


def _spelling(reports: Iterable[_Json]) -> dict[str, str]:
    """Normalised term → its most frequent spelling, MedDRA's own ("Renal impairment") before capitals."""
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    for report in reports:
        for reaction in _reactions(report):
            term = " ".join((reaction.get("reactionmeddrapt") or "").split())
            if term:
                seen[term.upper()][term] += 1
    return {key: max(spellings, key=lambda s: (not s.isupper(), spellings[s])) for key, spellings in seen.items()}


def _count_report(
    report: _Json,
    substances: Mapping[str, str],
    spelling: Mapping[str, str],
    tables: Tables,
    entries: dict[str, Counter[int]],
) -> None:
    suspects: Counter[str] = Counter()  # entries by drug, in the report's order
    concomitants: Counter[str] = Counter()
    for entry in _drug_entries(report):
        product = tidy_product(entry.get("medicinalproduct") or "")
        drug = substances.get(product, product)
        if not drug or len(drug) > LONGEST_NAME or len(product) > LONGEST_NAME:
            continue
        if product != drug:
            tables.products[drug, product] += 1
        indication = entry.get("drugindication")
        if indication and indication != _UNKNOWN_INDICATION:
            tables.indications[drug, indication] += 1
        suspect = int(entry.get("drugcharacterization") or 0) in SUSPECT_ROLES
        (suspects if suspect else concomitants)[drug] += 1
    terms = {
        spelling[normalise_name(r["reactionmeddrapt"])]
        for r in _reactions(report)
        if normalise_name(r.get("reactionmeddrapt") or "")
    }
    if not suspects or not terms:
        return
    lead, *further = suspects
    others = [drug for drug in concomitants if drug not in suspects]
    tables.lead[lead] += 1
    tables.further.update(further)
    tables.concomitant.update(others)
    tables.reactions.update(terms)
    tables.profiles.update((lead, term) for term in terms)
    tables.company.update((lead, drug, "suspect") for drug in further)
    tables.company.update((lead, drug, "concomitant") for drug in others)
    tables.lists[min(len(suspects), MOST_SUSPECTS), min(len(terms), MOST_REACTIONS)] += 1
    tables.others[min(len(others), MOST_CONCOMITANTS)] += 1
    entries["entries_per_suspect"].update(min(n, MOST_ENTRIES) for n in suspects.values())
    entries["entries_per_concomitant"].update(min(concomitants[drug], MOST_ENTRIES) for drug in others)


def _shares(full: Sequence[_Json], entries_per_drug: Mapping[str, Counter[int]]) -> dict[str, Weighted]:
    """Distributions of the plain fields, from the reports that have them all."""
    entries = [entry for report in full for entry in _drug_entries(report)]

    def of(items: Iterable[_Json], value: Callable[[_Json], str | None], most: int | None = None) -> Weighted:
        return _weighted(Counter(value(item) for item in items), most)

    shares: dict[str, Weighted] = {name: _by_number(counts) for name, counts in entries_per_drug.items()}
    shares["age_band"] = _age_bands(full)
    shares["age_missing"] = [("yes", MISSING_AGE), ("no", 1 - MISSING_AGE)]
    sexes = Counter(report["patient"].get("patientsex") for report in full)
    known = sum(n for sex, n in sexes.items() if sex)
    shares["sex"] = [(None, MISSING_SEX)] + [
        (sex, round(n / known * (1 - MISSING_SEX), 4)) for sex, n in sexes.most_common() if sex
    ]
    shares["weight_given"] = of(full, lambda r: "yes" if r["patient"].get("patientweight") else "no")
    shares["age_group_given"] = of(
        (r for r in full if r["patient"].get("patientonsetage")),
        lambda r: "yes" if r["patient"].get("patientagegroup") else "no",
    )
    criteria = [[f.removeprefix("seriousness") for f in _SERIOUSNESS if report.get(f) == "1"] for report in full]
    shares["seriousness"] = _weighted(Counter("+".join(each) for each in criteria)) + _never_seen(
        (field.removeprefix("seriousness") for field in _SERIOUSNESS), {name for each in criteria for name in each}
    )
    shares["country"] = of(full, lambda r: r.get("occurcountry") or r.get("primarysourcecountry"))
    shares["qualification"] = of(full, lambda r: (r.get("primarysource") or {}).get("qualification"))
    shares["qualification"] += _never_seen("12345", {value for value, _ in shares["qualification"]})
    shares["reporttype"] = of(full, lambda r: r.get("reporttype"))
    shares["expedite"] = of(full, lambda r: r.get("fulfillexpeditecriteria"))
    shares["sender"] = of(full, lambda r: (r.get("sender") or {}).get("senderorganization"))
    shares["narrative_given"] = of(full, lambda r: "yes" if r["patient"].get("summary") else "no")
    reactions = [reaction for report in full for reaction in _reactions(report)]
    shares["outcome"] = of(reactions, lambda r: r.get("reactionoutcome"))
    shares["meddra_version"] = of(reactions, lambda r: r.get("reactionmeddraversionpt"))
    shares["substance_given"] = of(entries, lambda e: "yes" if e.get("activesubstance") else "no")
    shares["indication_given"] = of(entries, lambda e: "yes" if e.get("drugindication") else "no")
    shares["start_date_given"] = of(entries, lambda e: "yes" if e.get("drugstartdate") else "no")
    shares["authorization_given"] = of(entries, lambda e: "yes" if e.get("drugauthorizationnumb") else "no")
    for name, key in {
        "route": "drugadministrationroute",
        "dosage_form": "drugdosageform",
        "dosage_text": "drugdosagetext",
        "action": "actiondrug",
        "recurrence": "drugrecurreadministration",
    }.items():
        shares[name] = of(entries, _field(key), TOP_VALUES)
    return shares


def _field(key: str) -> Callable[[_Json], str | None]:
    return lambda entry: entry.get(key)


def _never_seen(values: Iterable[str], seen: Set[str | None]) -> Weighted:
    return [(value, NEVER_SEEN) for value in values if value not in seen]


def _age_bands(full: Iterable[_Json]) -> Weighted:
    bands = Counter(dict.fromkeys(range(0, 100, AGE_BAND), 1))
    for report in full:
        patient = report["patient"]
        if patient.get("patientonsetageunit") == "801":
            bands[int(float(patient["patientonsetage"])) // AGE_BAND * AGE_BAND] += 1
    return [(str(band), float(n)) for band, n in sorted(bands.items())]


def _by_number(counts: Mapping[int, float]) -> Weighted:
    return [(str(number), round(float(n), 4)) for number, n in sorted(counts.items())]


def _weighted(counts: Counter[str | None], most: int | None = None) -> Weighted:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0] or ""))
    return [(value, float(n)) for value, n in ordered[:most]]


def _read(paths: Iterable[Path]) -> Iterator[_Json]:
    for path in paths:
        with path.open("rb") as file:
            for line in file:
                if line.strip():
                    yield msgspec.json.decode(line)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns 0."""
    parser = argparse.ArgumentParser(prog="python -m generator.derive", description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="JSON-lines file, richest first")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "data", metavar="FOLDER")
    options = parser.parse_args(arguments)
    tables = derive(_read(options.files))
    write_tables(tables, options.out)
    sys.stdout.write(
        f"{sum(tables.lead.values())} reports, {len(tables.reactions)} reactions, "
        f"{len(tables.lead + tables.further)} suspect drugs → {options.out}\n"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
