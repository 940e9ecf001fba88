"""Evidence beside a spike: is the reaction reported with this drug more than with others, ever since counting began?

A spike says that something changed; disproportionality says whether the pair stands out at all. Neither proves a cause.

What is counted is combinations of case, suspect drug and reaction, each once however many versions the case has: a case
with two drugs and three reactions is in six of them. Counts of drugs, of reactions and of all are sums of these, so
that a case with many reactions weighs more in them than it would in a table of cases.

Sources: PRR with chi-squared, Evans, Waller and Davis, "Use of proportional reporting ratios (PRRs) for signal
generation from spontaneous adverse drug reaction reports", Pharmacoepidemiology and Drug Safety 10 (2001); ROR, van
Puijenbroek et al., the same journal, 11 (2002), its interval by Woolf (1955); IC, Bate et al., European Journal of
Clinical Pharmacology 54 (1998), with shrinkage and interval of Norén, Bate, Orre and Edwards, Statistics in Medicine 25
(2006).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import gammaincinv

__all__ = ["Disproportionality", "Evidence", "disproportionality"]

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

_NORMAL_975 = 1.959963984540054
_SHRINKAGE = 0.5


@dataclass(frozen=True)
class Disproportionality:
    """n pairs' measures; every number is finite, whatever the counts."""

    expected: Floats
    """(n,) cases of the pair if reactions fell on drugs by chance."""
    prr: Floats
    """(n,) proportional reporting ratio."""
    chi_squared: Floats
    """(n,) of the four-fold table, with Yates' correction as in Evans et al."""
    ror: Floats
    """(n,) reporting odds ratio."""
    ror_lower: Floats
    """(n,) lower end of its 95% interval."""
    ror_upper: Floats
    """(n,) upper end."""
    ic: Floats
    """(n,) information component, log2 of observed over expected, shrunk."""
    ic025: Floats
    """(n,) lower end of its 95% credibility interval."""
    ic975: Floats
    """(n,) upper end."""


@dataclass(frozen=True)
class Evidence:
    """What an officer sees beside one finding. Shares are between 0 and 1; None where nothing is known."""

    cases: int
    """Cases of the pair since counting began, each counted once."""
    expected: float
    """Of these, how many chance alone would give, from all combinations of case, drug and reaction."""
    prr: float
    """This and what follows, as in `Disproportionality`."""
    chi_squared: float
    ror: float
    ror_lower: float
    ror_upper: float
    ic: float
    ic025: float
    ic975: float
    largest_sender_share: float | None = None
    """Share of the spike's cases that came from the sender with most of them: near 1, a sender changed, not a drug."""
    same_duplicate_number: int | None = None
    """How many of the spike's cases carry a duplicate number that another of them carries too."""
    serious_share: float | None = None
    """Share of serious cases among those of the spike that say whether they are."""

    @property
    def signal_of_evans(self) -> bool:
        """The criterion of Evans et al. (2001): at least 3 cases, PRR at least 2, chi-squared at least 4."""
        return self.cases >= 3 and self.prr >= 2.0 and self.chi_squared >= 4.0


def disproportionality(cases: Counts, drug_cases: Counts, reaction_cases: Counts, total: Counts) -> Disproportionality:
    """Measures of n pairs from their four-fold tables.

    All count combinations of case, drug and reaction. cases (n,): those of drug and reaction, one per case; drug_cases,
    reaction_cases (n,): those with the one, whatever the other; total (n,): all. Where a cell of the table is empty,
    one half is added to all four for PRR and ROR (Haldane, 1956; Anscombe, 1956). Raises ValueError where the four do
    not make a table.
    """
    with_other = drug_cases - cases
    without_drug = reaction_cases - cases
    neither = total - drug_cases - without_drug
    table = np.stack([cases, with_other, without_drug, neither]).astype(np.float64)
    if (table < 0).any():
        raise ValueError("cases of a pair exceed those of its drug or reaction, or these exceed all cases")
    expected = np.divide(
        drug_cases * reaction_cases.astype(np.float64), total, out=np.zeros(len(cases)), where=np.asarray(total) > 0
    )
    a, b, c, d = np.where((table == 0).any(axis=0), table + 0.5, table)
    error = np.sqrt(1 / a + 1 / b + 1 / c + 1 / d)
    ror = a * d / (b * c)
    observed, by_chance = cases + _SHRINKAGE, expected + _SHRINKAGE
    return Disproportionality(
        expected=expected,
        prr=(a / (a + b)) / (c / (c + d)),
        chi_squared=_yates(*table),
        ror=ror,
        ror_lower=ror * np.exp(-_NORMAL_975 * error),
        ror_upper=ror * np.exp(_NORMAL_975 * error),
        ic=np.log2(observed / by_chance),
        ic025=np.log2(gammaincinv(observed, 0.025) / by_chance),
        ic975=np.log2(gammaincinv(observed, 0.975) / by_chance),
    )


def _yates(a: Floats, b: Floats, c: Floats, d: Floats) -> Floats:
    """Chi-squared with continuity correction; 0 where a margin is empty, and the table says nothing."""
    n = a + b + c + d
    margins = (a + b) * (c + d) * (a + c) * (b + d)
    apart = np.maximum(np.abs(a * d - b * c) - n / 2.0, 0.0)
    chi_squared: Floats = np.divide(n * apart**2, margins, out=np.zeros_like(n), where=margins > 0)
    return chi_squared
