"""Who reports what: drugs, reactions and how often each pair is reported, from tables of real reports.

The promise: `expected_rate` is exact for what `draw_suspects` and `draw_reactions` draw, so a count of
generated reports can be held against it. It rests on four draws per report:

1. the lead suspect drug, by how often each drug comes first among a report's suspects;
2. how many suspects and reactions the report has, independent of the drug;
3. each further suspect, from the lead drug's known company, mixed with all further suspects;
4. each reaction, from the lead drug's own profile, mixed with all reactions.

Draws are with replacement and repeats count once, which is what makes the rates exact: a report of k draws
holds a reaction of probability q with probability 1 - (1 - q)^k. The mixing weight of a drug with n mentions
is n ÷ (n + SHRINKAGE), so rare drugs lean on the whole and no known pair has rate zero.

Not modelled: time (no trend, no season), age and sex by drug, drugs reported together beyond the lead.
"""

from __future__ import annotations

import csv
import difflib
import json
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable

import numpy as np
import numpy.typing as npt

from expectations.report import normalise_name
from generator.choice import Choice

__all__ = ["SHRINKAGE", "Population", "UnknownNameError"]

SHRINKAGE = 10.0
"""Mentions of a drug at which its own profile and the whole weigh the same."""

_Floats = npt.NDArray[np.float64]


class UnknownNameError(LookupError):
    """A drug or reaction that the population does not have; says which known names come close."""

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        close = difflib.get_close_matches(normalise_name(name), list(known), n=3)
        hint = f" Did you mean {', '.join(close)}?" if close else ""
        super().__init__(f"The population has no {what} {name!r}.{hint}")


class _Mixed:
    """Per drug: its own counts mixed with the whole, as a choice to draw from and as probabilities."""

    def __init__(self, whole: Mapping[str, float], own: Mapping[str, Mapping[str, float]]) -> None:
        self._whole = Choice(whole.items())
        self._own = {drug: Choice(counts.items()) for drug, counts in own.items()}
        self.share_of_whole = self._whole.shares()
        mentions = {drug: sum(counts.values()) for drug, counts in own.items()}
        self.own_weight = {drug: n / (n + SHRINKAGE) for drug, n in mentions.items()}
        self._own_shares: dict[str, dict[str, float]] = defaultdict(dict)  # value → drug → probability
        for drug, choice in self._own.items():
            for value, share in choice.shares().items():
                self._own_shares[value][drug] = share

    def draw(self, source: random.Random, drug: str) -> str:
        if source.random() < self.own_weight.get(drug, 0.0):
            return self._own[drug].draw(source)
        return self._whole.draw(source)

    def probabilities(self, value: str, drugs: Mapping[str, int], weight: _Floats) -> _Floats:
        """P(one draw gives `value`) for each of `drugs` (name → index), whose own weights are `weight`."""
        probabilities = (1.0 - weight) * self.share_of_whole.get(value, 0.0)
        for drug, share in self._own_shares.get(value, {}).items():
            index = drugs[drug]
            probabilities[index] += weight[index] * share
        return probabilities

    def own_values(self, drug: str) -> tuple[str, ...]:
        own = self._own.get(drug)
        return own.values if own else ()

    def weights(self, drugs: Iterable[str]) -> _Floats:
        return np.array([self.own_weight.get(drug, 0.0) for drug in drugs])


class Population:
    """Drugs, reactions and the distributions of reports; immutable, shared freely between factories.

    `drugs` and `reactions` are ordered by frequency. Drug names are normalised as the decoder does it
    (substance where known, else product); reaction names are spelled as reported.
    """

    def __init__(self, folder: Traversable | None = None) -> None:
        """Load the tables that `generator.derive` wrote into `folder`; default: those of this package."""
        tables = folder if folder is not None else files("generator") / "data"
        drugs = list(_rows(tables / "drugs.csv"))
        self.drugs = tuple(row["drug"] for row in drugs)
        reported = {row["reaction"]: float(row["reports"]) for row in _rows(tables / "reactions.csv")}
        self.reactions = tuple(reported)
        self.shares = _shares(tables / "shares.json")
        company = list(_rows(tables / "company.csv"))

        lead = {row["drug"]: float(row["lead"]) for row in drugs if row["lead"] != "0"}
        self._lead = Choice(lead.items())
        self._lead_index = {drug: index for index, drug in enumerate(self._lead.values)}
        self._lead_rate = np.array(list(self._lead.shares().values()))

        self._profiles = _Mixed(reported, _nested(_rows(tables / "profiles.csv"), "reaction", "reports"))
        self._further = _mixed_column(drugs, "further", company, "suspect")
        self._concomitant = _mixed_column(drugs, "concomitant", company, "concomitant")
        self._profile_weight = self._profiles.weights(self._lead.values)
        self._further_weight = self._further.weights(self._lead.values)

        self._suspect_counts = _sizes(self.shares["suspects_per_report"])
        self._concomitant_counts = _sizes(self.shares["concomitants_per_report"])
        self._reaction_counts = _sizes(self.shares["reactions_per_report"])
        self._further_draws = _by_count(self._suspect_counts, less=1)
        self._reaction_draws = _by_count(self._reaction_counts)

        products = list(_rows(tables / "products.csv"))
        self._substances = frozenset(row["drug"] for row in drugs if row["substance"] == "1")
        self._products = _choices(_nested(products, "product", "entries"))
        self._indications = _choices(_nested(_rows(tables / "indications.csv"), "indication", "entries"))
        self._drug_of = {row["product"]: row["drug"] for row in reversed(products)}
        self._drug_of.update((drug, drug) for drug in self.drugs)
        self._reaction_of = {normalise_name(reaction): reaction for reaction in self.reactions}

    def find_drug(self, name: str) -> str:
        """The population's name of a drug, given in any case or as a trade name; else `UnknownNameError`."""
        drug = self._drug_of.get(normalise_name(name))
        if drug is None:
            raise UnknownNameError("drug", name, self._drug_of)
        return drug

    def find_reaction(self, name: str) -> str:
        """The reaction as the population spells it, given in any case; else `UnknownNameError`."""
        reaction = self._reaction_of.get(normalise_name(name))
        if reaction is None:
            raise UnknownNameError("reaction", name, self._reaction_of)
        return reaction

    def expected_rate(self, drug: str, reaction: str) -> float:
        """Expected share of reports that count for this (suspect drug, reaction) pair, between 0 and 1.

        Raises `UnknownNameError` for a name the population does not have.
        """
        suspected = self._suspected_per_lead(self.find_drug(drug))
        draw = self._profiles.probabilities(self.find_reaction(reaction), self._lead_index, self._profile_weight)
        return float(np.sum(self._lead_rate * suspected * _at_least_once(draw, self._reaction_draws)))

    def drug_rate(self, drug: str) -> float:
        """Expected share of reports that suspect this drug, whatever the reaction."""
        return float(np.sum(self._lead_rate * self._suspected_per_lead(self.find_drug(drug))))

    def profile(self, drug: str) -> tuple[str, ...]:
        """The reactions this drug has of its own, most frequent first; empty for drugs too rare to have any."""
        return self._profiles.own_values(self.find_drug(drug))

    def _suspected_per_lead(self, drug: str) -> _Floats:
        """P(drug is among the suspects | lead) for each lead."""
        draw = self._further.probabilities(drug, self._lead_index, self._further_weight)
        suspected = _at_least_once(draw, self._further_draws)
        if drug in self._lead_index:
            suspected[self._lead_index[drug]] = 1.0
        return suspected

    def draw_suspects(self, source: random.Random) -> list[str]:
        """The suspect drugs of one report, the lead first, each once."""
        lead = self._lead.draw(source)
        suspects = {lead: None}
        for _ in range(self._suspect_counts.draw(source) - 1):
            suspects[self._further.draw(source, lead)] = None
        return list(suspects)

    def draw_concomitants(self, source: random.Random, suspects: Iterable[str]) -> list[str]:
        """Concomitant drugs of a report with these suspects, each once, never one of the suspects."""
        known = list(suspects)
        drawn = {self._concomitant.draw(source, known[0]): None for _ in range(self._concomitant_counts.draw(source))}
        return [drug for drug in drawn if drug not in known]

    def draw_reactions(self, source: random.Random, lead: str) -> list[str]:
        """The reactions of one report with this lead drug, at least one, each once."""
        count = self._reaction_counts.draw(source)
        return list(dict.fromkeys(self._profiles.draw(source, lead) for _ in range(count)))

    def draw_product(self, source: random.Random, drug: str) -> str:
        """A name under which the drug is sold; the drug's own name where no other is known."""
        products = self._products.get(drug)
        return products.draw(source) if products else drug

    def is_substance(self, drug: str) -> bool:
        """Whether the drug's name is known to be a substance; else it is a product's."""
        return drug in self._substances

    def draw_indication(self, source: random.Random, drug: str) -> str | None:
        """What the drug was given for; None where the tables know nothing."""
        indications = self._indications.get(drug)
        return indications.draw(source) if indications else None


def _rows(table: Traversable) -> Iterable[dict[str, str]]:
    with table.open("r", encoding="utf-8") as file:
        yield from csv.DictReader(file)


def _shares(table: Traversable) -> dict[str, Choice[str | None]]:
    shares: dict[str, list[tuple[str | None, float]]] = json.loads(table.read_text(encoding="utf-8"))
    return {name: Choice(weighted) for name, weighted in shares.items()}


def _sizes(share: Choice[str | None]) -> Choice[int]:
    return Choice((int(size or 0), weight) for size, weight in share.shares().items())


def _nested(rows: Iterable[Mapping[str, str]], key: str, count: str) -> dict[str, dict[str, float]]:
    """drug → value of `key` → count."""
    nested: dict[str, dict[str, float]] = defaultdict(dict)
    for row in rows:
        nested[row["drug"]][row[key]] = float(row[count])
    return nested


def _choices(nested: Mapping[str, Mapping[str, float]]) -> dict[str, Choice[str]]:
    return {drug: Choice(counts.items()) for drug, counts in nested.items()}


def _mixed_column(
    drugs: Iterable[Mapping[str, str]], column: str, company: Iterable[Mapping[str, str]], role: str
) -> _Mixed:
    whole = {row["drug"]: float(row[column]) for row in drugs}
    return _Mixed(whole, _nested((row for row in company if row["role"] == role), "companion", "reports"))


def _by_count(sizes: Choice[int], *, less: int = 0) -> list[float]:
    """Element k is the probability of size k + less."""
    shares = sizes.shares()
    return [shares.get(count + less, 0.0) for count in range(max(shares) - less + 1)]


def _at_least_once(probability: _Floats, draws: Sequence[float]) -> _Floats:
    """P(a value of this probability per draw is drawn at least once); element k of `draws` is P(k draws)."""
    missed = np.zeros_like(probability)
    missed_by_all_so_far = np.ones_like(probability)
    for share in draws:
        missed += share * missed_by_all_so_far
        missed_by_all_so_far *= 1.0 - probability
    return 1.0 - missed
