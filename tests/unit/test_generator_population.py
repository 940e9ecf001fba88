from __future__ import annotations

import datetime as dt
import random
from collections import Counter
from pathlib import Path

import pytest

from generator.population import Population, UnknownNameError
from generator.reports import ReportFactory

REPORTS = 20_000
NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def population() -> Population:
    return Population()


@pytest.fixture(scope="module")
def counts(population: Population) -> tuple[Counter[tuple[str, str]], Counter[str]]:
    """Cases per pair and per suspect drug, counted in generated reports."""
    factory = ReportFactory(population, seed=11)
    pairs: Counter[tuple[str, str]] = Counter()
    drugs: Counter[str] = Counter()
    for _ in range(REPORTS):
        patient = factory.report(NOON)["patient"]
        # The decoder's naming; that it agrees with the decoder is tested with the reports.
        suspects = {
            drug.get("activesubstance", {}).get("activesubstancename", drug["medicinalproduct"])
            for drug in patient["drug"]
            if drug["drugcharacterization"] == "1"
        }
        reactions = {reaction["reactionmeddrapt"] for reaction in patient["reaction"]}
        drugs.update(suspects)
        pairs.update((drug, reaction) for drug in suspects for reaction in reactions)
    return pairs, drugs


def test_counted_pairs_agree_with_their_expected_rates(
    population: Population, counts: tuple[Counter[tuple[str, str]], Counter[str]]
) -> None:
    """Chosen by name, not by count, so that there is no selection; a chi-square over well filled cells."""
    pairs, _ = counts
    chosen = [(d, r) for d in population.drugs[:60] for r in population.reactions[:30]]
    expected = {pair: REPORTS * population.expected_rate(*pair) for pair in chosen}
    filled = [pair for pair in chosen if expected[pair] >= 5]
    variance = {pair: expected[pair] * (1 - expected[pair] / REPORTS) for pair in filled}
    statistic = sum((pairs[pair] - expected[pair]) ** 2 / variance[pair] for pair in filled)
    assert len(filled) > 100
    # Each term has mean 1 and variance about 2; cases of one report make terms depend on each other a little.
    assert abs(statistic - len(filled)) < 5 * (2 * len(filled)) ** 0.5


def test_rare_pairs_together_agree_with_their_expected_rates(
    population: Population, counts: tuple[Counter[tuple[str, str]], Counter[str]]
) -> None:
    pairs, _ = counts
    chosen = [(d, r) for d in population.drugs[200:300:5] for r in population.reactions[:100]]
    expected = REPORTS * sum(population.expected_rate(*pair) for pair in chosen)
    # A report of many reactions fills several cells, so the sum varies more than a Poisson count.
    assert abs(sum(pairs[pair] for pair in chosen) - expected) < 5 * (3 * expected) ** 0.5


def test_counted_suspects_agree_with_their_rates(
    population: Population, counts: tuple[Counter[tuple[str, str]], Counter[str]]
) -> None:
    _, drugs = counts
    for drug in population.drugs[:100]:
        expected = REPORTS * population.drug_rate(drug)
        assert abs(drugs[drug] - expected) < 5 * max(expected, 1.0) ** 0.5, drug


def test_no_known_pair_has_rate_zero(population: Population) -> None:
    rarest = next(drug for drug in reversed(population.drugs) if population.drug_rate(drug) > 0)
    assert 0 < population.expected_rate(rarest, population.reactions[-1]) < 1e-5


def test_a_pair_is_never_more_frequent_than_its_drug(population: Population) -> None:
    for drug in population.drugs[:20]:
        reaction = (population.profile(drug) or population.reactions)[0]
        assert population.expected_rate(drug, reaction) <= population.drug_rate(drug)


def test_names_are_found_in_any_case_and_by_trade_name(population: Population) -> None:
    assert population.find_drug(" letairis ") == "AMBRISENTAN"
    assert population.find_reaction("GASTRIC  ULCER") == "Gastric ulcer"
    assert population.expected_rate("Letairis", "DYSPNOEA") == population.expected_rate("AMBRISENTAN", "Dyspnoea")


@pytest.mark.parametrize(("drug", "reaction"), [("IBUPROFN", "Headache"), ("IBUPROFEN", "Headach")])
def test_an_unknown_name_is_refused_with_the_nearest_known(population: Population, drug: str, reaction: str) -> None:
    with pytest.raises(UnknownNameError, match=r"Did you mean (IBUPROFEN|HEADACHE)"):
        population.expected_rate(drug, reaction)


def test_concomitant_drugs_are_distinct_and_never_suspects(population: Population) -> None:
    source = random.Random(5)
    for _ in range(500):
        suspects = population.draw_suspects(source)
        concomitants = population.draw_concomitants(source, suspects)
        assert len(set(concomitants)) == len(concomitants)
        assert not set(concomitants) & set(suspects)


@pytest.fixture
def small(tmp_path: Path) -> Population:
    """Of three drugs A has reactions of its own; C is the only further suspect, in reports of two reaction draws."""
    tables = {
        "drugs.csv": "drug,substance,lead,further,concomitant\nA,1,2,0,0\nB,1,1,0,0\nC,1,1,1,1\n",
        "products.csv": "drug,product,entries\nA,Alpha,1\n",
        "reactions.csv": "reaction,reports\nRash,1\nPain,1\n",
        "profiles.csv": "drug,reaction,reports\nA,Rash,1\n",
        "company.csv": "drug,companion,role,reports\n",
        "indications.csv": "drug,indication,entries\n",
        "draws.csv": "further,reactions,reports\n0,1,3\n1,2,1\n",
        "shares.json": '{"concomitant_draws": [["0", 1.0]], "entries_per_suspect": [["2", 1.0]], '
        '"entries_per_concomitant": [["1", 1.0]]}',
    }
    for name, text in tables.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return Population(tmp_path)


# A's one mention of one value weighs as much as the whole: a draw gives Rash with 3/4 for A, with 1/2 for others.
ONE_DRAW = {"A": 0.75, "other": 0.5}
TWO_DRAWS = {"A": 1 - 0.25**2, "other": 1 - 0.5**2}


def test_a_pair_of_a_lead_has_the_rate_worked_out_by_hand(small: Population) -> None:
    assert small.expected_rate("A", "Rash") == pytest.approx(0.5 * (0.75 * ONE_DRAW["A"] + 0.25 * TWO_DRAWS["A"]))
    assert small.expected_rate("B", "Rash") == pytest.approx(
        0.25 * (0.75 * ONE_DRAW["other"] + 0.25 * TWO_DRAWS["other"])
    )


def test_a_pair_of_a_further_suspect_has_the_rate_of_the_longer_lists(small: Population) -> None:
    """C leads a quarter of the reports. Beside A and B it is suspected only where two reactions are drawn."""
    lead = 0.25 * (0.75 * ONE_DRAW["other"] + 0.25 * TWO_DRAWS["other"])
    further = 0.25 * (0.5 * TWO_DRAWS["A"] + 0.25 * TWO_DRAWS["other"])
    assert small.expected_rate("C", "Rash") == pytest.approx(lead + further)


def test_rates_of_drugs_and_reactions_are_those_of_either_list_alone(small: Population) -> None:
    assert small.drug_rate("B") == pytest.approx(0.25)
    assert small.drug_rate("C") == pytest.approx(0.25 + 0.75 * 0.25)
    one = 0.5 * ONE_DRAW["A"] + 0.5 * ONE_DRAW["other"]
    two = 0.5 * TWO_DRAWS["A"] + 0.5 * TWO_DRAWS["other"]
    assert small.reaction_rate("Rash") == pytest.approx(0.75 * one + 0.25 * two)


def test_rates_of_several_reactions_are_those_of_each(population: Population) -> None:
    reactions = population.reactions[:5]
    each = [population.expected_rate("AMBRISENTAN", reaction) for reaction in reactions]
    assert population.expected_rates("AMBRISENTAN", reactions) == pytest.approx(each)


def test_all_suspects_of_all_reports_are_some_drug(population: Population) -> None:
    """The rates of all drugs add up to the mean number of suspects, those of all reactions to that of reactions."""
    source = random.Random(7)
    lists = [population.draw_lists(source) for _ in range(REPORTS)]
    # Five standard deviations of a mean: 1.1 suspects and 2.9 reactions in one report.
    suspects = sum(len(suspects) for suspects, _ in lists) / REPORTS
    assert sum(map(population.drug_rate, population.drugs)) == pytest.approx(suspects, abs=5 * 1.1 / REPORTS**0.5)
    reactions = sum(len(reactions) for _, reactions in lists) / REPORTS
    rates = sum(map(population.reaction_rate, population.reactions))
    assert rates == pytest.approx(reactions, abs=5 * 2.9 / REPORTS**0.5)


def test_either_list_drawn_alone_is_as_long_as_drawn_together(population: Population) -> None:
    source = random.Random(8)
    suspects = sum(len(population.draw_suspects(source)) for _ in range(REPORTS)) / REPORTS
    assert suspects == pytest.approx(sum(map(population.drug_rate, population.drugs)), abs=5 * 1.1 / REPORTS**0.5)
    lead = population.drugs[0]
    alone = Counter(len(population.draw_reactions(source, lead)) == 1 for _ in range(REPORTS))
    together = Counter(
        len(reactions) == 1
        for suspects, reactions in (population.draw_lists(source) for _ in range(5 * REPORTS))
        if suspects[0] == lead
    )
    assert alone[True] / alone.total() == pytest.approx(together[True] / together.total(), abs=0.03)


def test_reports_with_many_suspects_have_many_reactions(population: Population) -> None:
    source = random.Random(9)
    lists = [population.draw_lists(source) for _ in range(REPORTS)]
    many = [len(reactions) for suspects, reactions in lists if len(suspects) >= 4]
    one = [len(reactions) for suspects, reactions in lists if len(suspects) == 1]
    assert sum(many) / len(many) > 1.3 * sum(one) / len(one)


def test_a_drug_has_as_many_entries_as_the_tables_say(small: Population) -> None:
    source = random.Random(1)
    assert (small.draw_entries(source, suspect=True), small.draw_entries(source, suspect=False)) == (2, 1)
