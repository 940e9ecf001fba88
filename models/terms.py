"""The drug and reaction names of many reports as flat arrays of 64-bit keys, ready for vectorised look-ups.

A key is the first eight bytes of BLAKE2b over the normalised name: the same in every process and on every machine.
Two names share one by accident about once in 10^11 vocabularies of 10,000 names, and then only a frequency is
slightly wrong; identity of names is not decided here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from expectations.report import SUSPECT_ROLES, Report

__all__ = ["NAMES_PER_REPORT", "Keys", "Rows", "Terms", "name_key", "terms_of"]

Keys = NDArray[np.uint64]
Rows = NDArray[np.int64]

NAMES_PER_REPORT = 128
"""Distinct suspect drugs, and distinct reactions, of one report that are looked at.

Without a bound a single message of 1 MB could ask for 10^8 pairs. Real reports name far fewer; of one that names more,
those with the smallest keys are taken: a fixed sample that depends neither on their order nor on other reports.
"""


@dataclass(frozen=True)
class Terms:
    """Distinct suspect drugs, reactions and their pairs of `reports` reports; `*_row` is ascending.

    Keys ascend within a report, so that sums over them do not depend on the order in which names were reported.
    `pair_drug` and `pair_reaction` are positions in `drug_key` and `reaction_key`.
    """

    reports: int
    drug_row: Rows
    drug_key: Keys
    reaction_row: Rows
    reaction_key: Keys
    pair_row: Rows
    pair_key: Keys
    pair_drug: Rows
    pair_reaction: Rows


@lru_cache(maxsize=65_536)
def name_key(name: str) -> int:
    """64-bit key of a normalised name, 0 to 2^64 - 1."""
    return int.from_bytes(blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def terms_of(reports: Sequence[Report]) -> Terms:
    """Take the distinct names of each report: suspect and interacting drugs, reactions, and all pairs of the two."""
    drugs = [
        _sample(d.name for d in report.drugs if d.name and d.characterization in SUSPECT_ROLES) for report in reports
    ]
    reactions = [_sample(r.term for r in report.reactions if r.term) for report in reports]
    drug_row, drug_key = _flatten(drugs)
    reaction_row, reaction_key = _flatten(reactions)
    pair_row, pair_drug, pair_reaction = _products(_lengths(drugs), _lengths(reactions))
    return Terms(
        reports=len(reports),
        drug_row=drug_row,
        drug_key=drug_key,
        reaction_row=reaction_row,
        reaction_key=reaction_key,
        pair_row=pair_row,
        pair_key=_mix(drug_key[pair_drug], reaction_key[pair_reaction]),
        pair_drug=pair_drug,
        pair_reaction=pair_reaction,
    )


def _sample(names: Iterable[str]) -> list[int]:
    return sorted({name_key(name) for name in names})[:NAMES_PER_REPORT]


def _lengths(lists: list[list[int]]) -> Rows:
    return np.fromiter((len(keys) for keys in lists), np.int64, len(lists))


def _flatten(lists: list[list[int]]) -> tuple[Rows, Keys]:
    lengths = _lengths(lists)
    keys = np.fromiter((key for keys in lists for key in keys), np.uint64, int(lengths.sum()))
    return np.repeat(np.arange(len(lists)), lengths), keys


def _products(drugs: Rows, reactions: Rows) -> tuple[Rows, Rows, Rows]:
    """Row, position of the drug and position of the reaction of every pair, given how many each report has."""
    pairs = drugs * reactions
    row = np.repeat(np.arange(len(pairs)), pairs)
    nth = np.arange(len(row)) - np.repeat(np.cumsum(pairs) - pairs, pairs)
    first_drug = np.cumsum(drugs) - drugs
    first_reaction = np.cumsum(reactions) - reactions
    return row, first_drug[row] + nth // reactions[row], first_reaction[row] + nth % reactions[row]


def _mix(drug: Keys, reaction: Keys) -> Keys:
    """Key of an ordered pair: SplitMix64's finaliser (Steele, Lea and Flood, 2014) over a product and a sum."""
    mixed = drug * np.uint64(0x9E3779B97F4A7C15) + reaction
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)), np.uint64)
