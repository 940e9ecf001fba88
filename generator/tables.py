"""Writes the tables that a `Population` is drawn from; the same counts give the same bytes.

- `drugs.csv`: drug, substance (1 where the name is known to be one, else a product's), lead, further, concomitant:
  how many reports name it first among their suspects, as a further suspect, as a concomitant drug, the first two less
  what `smoothed` moves from the drugs that were seen to those that were not;
- `products.csv`: drug, product, entries: trade names under which a substance was reported;
- `reactions.csv`: reaction, reports;
- `profiles.csv`: drug, reaction, reports: what was reported for a lead drug, for drugs with enough reports;
- `company.csv`: drug, companion, role, reports: drugs reported together with a lead drug;
- `indications.csv`: drug, indication, entries;
- `draws.csv`: further, reactions, reports: how many draws of further suspects and of reactions make reports with lists
  as long as the real ones, both together; not whole numbers of reports, as `draws_for_sizes` says;
- `shares.json`: everything else, as lists of (value, weight); `concomitant_draws` as above.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import TypeVar

from generator.mixture import Mixture, draws_for_sizes, expected_distinct

__all__ = ["Tables", "Weighted", "smoothed", "write_tables"]

MIN_LEAD_REPORTS = 3
"""A drug seen less often gets no profile of its own: it would copy single reports, not a distribution."""
MIN_TOGETHER = 2
"""Companions are kept from this many common reports on, for the same reason."""

MOST_DRAWS_PER_VALUE = 4
"""Where even this many draws per value repeat too much, the list stays shorter."""

_NO_NAME = re.compile(r"\b(UNKNOWN|UNSPECIFIED|NOS|MISC|NONE|NO|BLINDED|INVESTIGATIONAL|MEDICATIONS?|DRUG)\b")

Weighted = list[tuple[str | None, float]]
_Draws = Mapping[int, Mapping[int, float]]
"""Size of a list → number of draws → share."""
_Key = TypeVar("_Key", str, tuple[str, str], tuple[str, str, str])


@dataclass
class Tables:
    """Counts of everything the population is drawn from; see the module's docstring for the files."""

    substances: set[str] = field(default_factory=set)
    lead: Counter[str] = field(default_factory=Counter)
    further: Counter[str] = field(default_factory=Counter)
    concomitant: Counter[str] = field(default_factory=Counter)
    products: Counter[tuple[str, str]] = field(default_factory=Counter)
    reactions: Counter[str] = field(default_factory=Counter)
    profiles: Counter[tuple[str, str]] = field(default_factory=Counter)
    company: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    indications: Counter[tuple[str, str]] = field(default_factory=Counter)
    lists: Counter[tuple[int, int]] = field(default_factory=Counter)
    """Reports by their numbers of suspects and reactions."""
    others: Counter[int] = field(default_factory=Counter)
    """Reports by their number of concomitant drugs."""
    shares: dict[str, Weighted] = field(default_factory=dict)


def smoothed(counts: Mapping[str, int], names: Collection[str]) -> dict[str, float]:
    """Weights for all of `names`: `counts` less a discount, which those never counted share evenly.

    Of the suspect drugs in one half of 5,000 real reports, half are suspected in none of the other half: never seen is
    not impossible. Absolute discounting with n1 ÷ (n1 + 2 n2), n1 and n2 being how many names were counted once and
    twice (Ney, Essen and Kneser, 1994). Unchanged where there is no name to give to, or none was counted once or
    none twice. Two decimals.
    """
    unseen = [name for name in names if not counts.get(name)]
    frequencies = Counter(counts.values())
    once, twice = frequencies[1], frequencies[2]
    if not (unseen and once and twice):
        return {name: float(counts.get(name, 0)) for name in names}
    discount = once / (once + 2 * twice)
    share = discount * sum(1 for name in names if counts.get(name)) / len(unseen)
    return {name: round(counts[name] - discount if counts.get(name) else share, 2) for name in names}


def write_tables(tables: Tables, folder: Path) -> None:
    """Write the files named in the module's docstring, most frequent rows first."""
    folder.mkdir(parents=True, exist_ok=True)
    suspected = tables.lead + tables.further
    drugs = suspected + Counter(
        {d: n for d, n in tables.concomitant.items() if d in suspected or not _NO_NAME.search(d)}
    )
    lead, further = smoothed(tables.lead, drugs), smoothed(tables.further, drugs)
    leads = {drug for drug, n in tables.lead.items() if n >= MIN_LEAD_REPORTS}
    _write_csv(
        folder / "drugs.csv",
        ("drug", "substance", "lead", "further", "concomitant"),
        (
            (d, int(d in tables.substances), f"{lead[d]:g}", f"{further[d]:g}", tables.concomitant[d])
            for d, _ in _ordered(drugs)
        ),
    )
    _write_csv(
        folder / "products.csv",
        ("drug", "product", "entries"),
        ((*k, n) for k, n in _ordered(tables.products) if k[0] in drugs),
    )
    _write_csv(folder / "reactions.csv", ("reaction", "reports"), _ordered(tables.reactions))
    profiles = [(*k, n) for k, n in _ordered(tables.profiles) if k[0] in leads]
    _write_csv(folder / "profiles.csv", ("drug", "reaction", "reports"), profiles)
    company = [(*k, n) for k, n in _ordered(tables.company) if k[0] in leads and k[1] in drugs and n >= MIN_TOGETHER]
    _write_csv(folder / "company.csv", ("drug", "companion", "role", "reports"), company)
    _write_csv(
        folder / "indications.csv",
        ("drug", "indication", "entries"),
        ((*k, n) for k, n in _ordered(tables.indications) if k[0] in drugs),
    )
    leading = {drug: weight for drug, weight in lead.items() if weight > 0}
    own: dict[str, dict[str, dict[str, float]]] = {"suspect": {}, "concomitant": {}, "reaction": {}}
    for drug, companion, role, n in company:
        own[role].setdefault(drug, {})[companion] = n
    for drug, reaction, n in profiles:
        own["reaction"].setdefault(drug, {})[reaction] = n
    draws = _joint_draws(
        tables.lists,
        _draws({suspects - 1 for suspects, _ in tables.lists}, further, own["suspect"], leading, not_lead=True),
        _draws({reactions for _, reactions in tables.lists}, tables.reactions, own["reaction"], leading),
    )
    _write_csv(folder / "draws.csv", ("further", "reactions", "reports"), ((*k, n) for k, n in sorted(draws.items())))
    concomitant = {drug: float(tables.concomitant[drug]) for drug in drugs}
    beside = _draws(set(tables.others), concomitant, own["concomitant"], leading, not_lead=True)
    shares = {**tables.shares, "concomitant_draws": _concomitant_draws(tables.others, beside)}
    lines = (f"  {json.dumps(name)}: {json.dumps(shares[name])}" for name in sorted(shares))
    (folder / "shares.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def _draws(
    sizes: Collection[int],
    whole: Mapping[str, float],
    own: Mapping[str, Mapping[str, float]],
    leads: Mapping[str, float],
    *,
    not_lead: bool = False,
) -> _Draws:
    """How many draws make lists of these sizes; none where there is nothing to draw."""
    if not any(whole.values()):
        return {size: {0: 1.0} for size in sizes}
    most = MOST_DRAWS_PER_VALUE * max(sizes, default=0)
    return draws_for_sizes(sizes, expected_distinct(Mixture(whole, own), leads, most, not_lead=not_lead))


def _joint_draws(
    lists: Mapping[tuple[int, int], int], further: _Draws, reactions: _Draws
) -> dict[tuple[int, int], float]:
    joint: dict[tuple[int, int], float] = defaultdict(float)
    for (suspects, terms), reports in lists.items():
        for (i, share), (j, other) in product(further[suspects - 1].items(), reactions[terms].items()):
            joint[i, j] += reports * share * other
    return {numbers: round(reports, 4) for numbers, reports in joint.items()}


def _concomitant_draws(sizes: Mapping[int, int], draws: _Draws) -> Weighted:
    weights: dict[int, float] = defaultdict(float)
    for size, reports in sizes.items():
        for number, share in draws[size].items():
            weights[number] += reports * share
    return [(str(number), round(reports, 4)) for number, reports in sorted(weights.items())]


def _ordered(counts: Counter[_Key]) -> list[tuple[_Key, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
