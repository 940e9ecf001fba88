"""How often each drug, reaction and pair has been reported: what makes "a name never seen before" a number.

Counts are of cases: the versions of one case count once. Drugs are suspect or interacting ones only, as for signals.
Names are kept as 64-bit keys (see `terms`), so a shipped model carries no text of any report.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from expectations.report import Report
from models.errors import ModelError
from models.terms import Keys, Rows, terms_of

__all__ = ["Counts", "Frequencies", "rarity"]

# What zipfile, zlib and NumPy raise on bytes that are no archive of plain arrays.
_UNREADABLE = (
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    OSError,
    EOFError,
    RuntimeError,
    BadZipFile,
    zlib.error,
    struct.error,
)


def rarity(cases: NDArray[np.int64], of: int) -> NDArray[np.float64]:
    """How surprising a name is that `cases` of `of` cases hold: ln((of + 1) / (cases + 1/2)), in nats."""
    return np.asarray(np.log((of + 1) / (cases + 0.5)), np.float64)


@dataclass(frozen=True, eq=False)
class Counts:
    """Cases per key: `keys` ascend, `cases` are at least 1 and belong to them by position."""

    keys: Keys
    cases: NDArray[np.int64]
    typical_rarity: float
    """Mean rarity that a mention of a learned name has for the other cases, in nats: stands in where there is none."""

    def __post_init__(self) -> None:
        if self.keys.shape != self.cases.shape or self.keys.ndim != 1:
            raise ModelError("Frequencies are damaged: keys and counts differ in length. Train the model again.")
        if not np.isfinite(self.typical_rarity):
            raise ModelError("Frequencies are damaged: a rarity is not finite. Train the model again.")
        if np.any(self.keys[1:] <= self.keys[:-1]) or np.any(self.cases < 1):
            raise ModelError("Frequencies are damaged: keys out of order or counts below 1. Train the model again.")
        self.keys.setflags(write=False)
        self.cases.setflags(write=False)

    def of(self, keys: Keys) -> NDArray[np.int64]:
        """Cases of each key, 0 for one never seen; same shape as `keys`."""
        if not len(self.keys):
            return np.zeros(keys.shape, np.int64)
        at = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[at] == keys, self.cases[at], 0)


@dataclass(frozen=True, eq=False)
class Frequencies:
    """Counts of cases per drug, reaction and pair among `cases` cases; immutable and picklable."""

    cases: int
    drugs: Counts
    reactions: Counts
    pairs: Counts

    @classmethod
    def learn(cls, reports: Iterable[Report]) -> Frequencies:
        """Count the cases of `reports`; their order does not matter, nor how often a version is repeated."""
        learned = list(reports)
        numbers: dict[str, int] = {}
        case = np.array([numbers.setdefault(r.safetyreportid, len(numbers)) for r in learned], np.int64)
        terms = terms_of(learned)
        return cls(
            cases=len(numbers),
            drugs=_count(case[terms.drug_row], terms.drug_key, len(numbers)),
            reactions=_count(case[terms.reaction_row], terms.reaction_key, len(numbers)),
            pairs=_count(case[terms.pair_row], terms.pair_key, len(numbers)),
        )

    def without_self(self) -> Frequencies:
        """The counts as any one of the learned cases sees them when it leaves itself out.

        Needed to train: a learned report has seen its own names at least once, a new report has not. Judged by
        the full counts, a name reported for the first time would be rarer than any the forest was trained on.
        """
        return Frequencies(
            cases=max(self.cases - 1, 0),
            drugs=_less_one(self.drugs),
            reactions=_less_one(self.reactions),
            pairs=_less_one(self.pairs),
        )

    def to_bytes(self) -> bytes:
        """NumPy's `.npz`, compressed; the same counts give the same bytes."""
        file = io.BytesIO()
        np.savez_compressed(
            file,
            cases=np.array([self.cases], np.int64),
            drug_keys=self.drugs.keys,
            drug_cases=self.drugs.cases,
            reaction_keys=self.reactions.keys,
            reaction_cases=self.reactions.cases,
            pair_keys=self.pairs.keys,
            pair_cases=self.pairs.cases,
            typical=np.array([c.typical_rarity for c in (self.drugs, self.reactions, self.pairs)]),
        )
        return file.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Frequencies:
        """Read what `to_bytes` wrote, never unpickling; raises ModelError on anything else."""
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as file:
                drug, reaction, pair = file["typical"].tolist()
                return cls(
                    cases=int(file["cases"].astype(np.int64, casting="safe").item()),
                    drugs=_counts(file["drug_keys"], file["drug_cases"], drug),
                    reactions=_counts(file["reaction_keys"], file["reaction_cases"], reaction),
                    pairs=_counts(file["pair_keys"], file["pair_cases"], pair),
                )
        except _UNREADABLE as error:
            raise ModelError("Frequencies cannot be read. Train the model again.") from error


def _count(case: Rows, key: Keys, of: int) -> Counts:
    order = np.lexsort((case, key))
    case, key = case[order], key[order]
    first = np.ones(len(key), bool)
    first[1:] = (key[1:] != key[:-1]) | (case[1:] != case[:-1])
    keys, cases = np.unique(key[first], return_counts=True)
    mentions = int(cases.sum())
    typical = float(rarity(cases - 1, of - 1) @ cases) / mentions if mentions else 0.0
    return _counts(keys, cases, typical)


def _counts(keys: NDArray[np.uint64], cases: NDArray[np.int64], typical_rarity: float) -> Counts:
    return Counts(keys.astype(np.uint64, casting="safe"), cases.astype(np.int64, casting="safe"), float(typical_rarity))


def _less_one(counts: Counts) -> Counts:
    others = counts.cases > 1
    return Counts(counts.keys[others], counts.cases[others] - 1, counts.typical_rarity)
