"""Who reports what: drugs, reactions and how often each pair is reported, from tables of real reports.

The promise: `expected_rate` is exact for what `draw_lists` draws, so a count of generated reports can be held against
it. It rests on four draws per report:

1. the lead suspect drug, by how often each drug comes first among a report's suspects;
2. how many further suspects and reactions are drawn, both together and independent of the drug: reports with many
   suspects have many reactions too;
3. each further suspect, from the lead drug's known company, mixed with all further suspects;
4. each reaction, from the lead drug's own profile, mixed with all reactions.

Draws are with replacement and repeats count once; `generator.mixture` says how this keeps the rates exact and what
makes up for it. No known pair has rate zero.

Not modelled: time (no trend, no season), age and sex by drug, drugs reported together beyond the lead.
"""

from __future__ import annotations

import csv
import difflib
import json
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable

import numpy as np
import numpy.typing as npt

from expectations.report import normalise_name
from generator.choice import Choice
from generator.mixture import Mixture

__all__ = ["Population", "UnknownNameError"]

_Floats = npt.NDArray[np.float64]


class UnknownNameError(LookupError):
    """A drug or reaction that the population does not have; says which known names come close."""

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        close = difflib.get_close_matches(normalise_name(name), list(known), n=3)
        hint = f" Did you mean {', '.join(close)}?" if close else ""
        super().__init__(f"The population has no {what} {name!r}.{hint}")


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
        self._lead_share = self._lead.shares()

        self._profiles = Mixture(reported, _nested(_rows(tables / "profiles.csv"), "reaction", "reports"))
        self._further = _mixed_column(drugs, "further", company, "suspect")
        self._concomitant = _mixed_column(drugs, "concomitant", company, "concomitant")

        # Leads with nothing of their own draw alike: one class, index 0, holds them all.
        own = dict.fromkeys([*self._profiles.own_weight, *self._further.own_weight])
        self._class_of = {drug: index for index, drug in enumerate(own, start=1)}
        self._class_rate = np.zeros(len(own) + 1)
        for drug, share in self._lead_share.items():
            self._class_rate[self._class_of.get(drug, 0)] += share
        self._profile_weight = self._profiles.weights(self._class_of, len(own) + 1)
        self._further_weight = self._further.weights(self._class_of, len(own) + 1)

        draws = [(int(r["further"]), int(r["reactions"]), float(r["reports"])) for r in _rows(tables / "draws.csv")]
        self._draws = Choice(((further, reactions), reports) for further, reactions, reports in draws)
        self._further_draws = Choice((further, reports) for further, _, reports in draws)
        self._reaction_draws = Choice((reactions, reports) for _, reactions, reports in draws)
        self._concomitant_draws = _numbers(self.shares["concomitant_draws"])
        self._entries = {
            True: _numbers(self.shares["entries_per_suspect"]),
            False: _numbers(self.shares["entries_per_concomitant"]),
        }
        self._further_numbers = np.array(sorted(self._further_draws.shares()))
        self._reaction_numbers = np.array(sorted(self._reaction_draws.shares()))
        self._draw_rate = np.zeros((len(self._further_numbers), len(self._reaction_numbers)))
        for (further, reactions), share in self._draws.shares().items():
            row = np.searchsorted(self._further_numbers, further)
            column = np.searchsorted(self._reaction_numbers, reactions)
            self._draw_rate[row, column] = share

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
        return self.expected_rates(drug, (reaction,))[0]

    def expected_rates(self, drug: str, reactions: Iterable[str]) -> list[float]:
        """`expected_rate` of one drug with each of several reactions, faster than one by one."""
        # P(these reaction draws, this class of lead, drug suspected), summed over the numbers of further draws.
        suspected = self._draw_rate.T @ self._suspected(self.find_drug(drug))
        return [float(np.sum(suspected * self._reacted(self.find_reaction(reaction)))) for reaction in reactions]

    def drug_rate(self, drug: str) -> float:
        """Expected share of reports that suspect this drug, whatever the reaction."""
        return float(np.sum(self._draw_rate.sum(axis=1) @ self._suspected(self.find_drug(drug))))

    def reaction_rate(self, reaction: str) -> float:
        """Expected share of reports with this reaction, whatever the drug."""
        reacted = self._reacted(self.find_reaction(reaction))
        return float(self._draw_rate.sum(axis=0) @ reacted @ self._class_rate)

    def lead_rates(self) -> Iterator[tuple[str, float]]:
        """(drug, share of reports that name it first among their suspects)."""
        yield from self._lead_share.items()

    def profile(self, drug: str) -> tuple[str, ...]:
        """The reactions this drug has of its own, most frequent first; empty for drugs too rare to have any."""
        return self._profiles.own_values(self.find_drug(drug))

    def _suspected(self, drug: str) -> _Floats:
        """P(lead of this class, and the drug is among the suspects); a row per number of further draws."""
        draw = self._further.probabilities(drug, self._class_of, self._further_weight)
        missed = (1.0 - draw) ** self._further_numbers[:, np.newaxis]
        suspected: _Floats = self._class_rate * (1.0 - missed)
        index = self._class_of.get(drug, 0)
        suspected[:, index] += self._lead_share.get(drug, 0.0) * missed[:, index]  # where it is the lead itself
        return suspected

    def _reacted(self, reaction: str) -> _Floats:
        """P(the reaction is drawn | class of lead); a row per number of reaction draws."""
        draw = self._profiles.probabilities(reaction, self._class_of, self._profile_weight)
        reacted: _Floats = 1.0 - (1.0 - draw) ** self._reaction_numbers[:, np.newaxis]
        return reacted

    def draw_lists(self, source: random.Random) -> tuple[list[str], list[str]]:
        """The suspects, the lead first, and the reactions of one report, each once."""
        further, reactions = self._draws.draw(source)
        suspects = self._suspects(source, further)
        return suspects, self._reactions(source, suspects[0], reactions)

    def draw_suspects(self, source: random.Random) -> list[str]:
        """The suspect drugs of one report whose reactions do not matter, the lead first, each once."""
        return self._suspects(source, self._further_draws.draw(source))

    def draw_reactions(self, source: random.Random, lead: str) -> list[str]:
        """The reactions of one report with this lead drug whose further suspects do not matter, each once."""
        return self._reactions(source, lead, self._reaction_draws.draw(source))

    def _suspects(self, source: random.Random, further: int) -> list[str]:
        lead = self._lead.draw(source)
        suspects = {lead: None}
        for _ in range(further):
            suspects[self._further.draw(source, lead)] = None
        return list(suspects)

    def _reactions(self, source: random.Random, lead: str, draws: int) -> list[str]:
        return list(dict.fromkeys(self._profiles.draw(source, lead) for _ in range(draws)))

    def draw_concomitants(self, source: random.Random, suspects: Iterable[str]) -> list[str]:
        """Concomitant drugs of a report with these suspects, each once, never one of the suspects."""
        known = list(suspects)
        drawn = {self._concomitant.draw(source, known[0]): None for _ in range(self._concomitant_draws.draw(source))}
        return [drug for drug in drawn if drug not in known]

    def draw_entries(self, source: random.Random, *, suspect: bool) -> int:
        """How many entries a report has for one of its drugs, at least one."""
        return self._entries[suspect].draw(source)

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


def _numbers(share: Choice[str | None]) -> Choice[int]:
    return Choice((int(number or 0), weight) for number, weight in share.shares().items())


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
) -> Mixture:
    whole = {row["drug"]: float(row[column]) for row in drugs}
    return Mixture(whole, _nested((row for row in company if row["role"] == role), "companion", "reports"))
