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


def test_a_population_loads_from_any_folder_of_tables(tmp_path: Path) -> None:
    """Two drugs, one reaction each: every rate can be worked out by hand."""
    tables = {
        "drugs.csv": "drug,substance,lead,further,concomitant\nA,1,3,0,0\nB,1,1,1,1\n",
        "products.csv": "drug,product,entries\nA,Alpha,1\n",
        "reactions.csv": "reaction,reports\nRash,1\nPain,1\n",
        "profiles.csv": "drug,reaction,reports\nA,Rash,10\n",
        "company.csv": "drug,companion,role,reports\n",
        "indications.csv": "drug,indication,entries\n",
        "shares.json": '{"suspects_per_report": [["1", 0.5], ["2", 0.5]], "concomitants_per_report": [["0", 1.0]], '
        '"reactions_per_report": [["1", 0.5], ["2", 0.5]]}',
    }
    for name, text in tables.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    population = Population(tmp_path)
    # A leads 3 of 4 reports. Its ten mentions weigh as much as the whole: a draw is Rash with 0.75 for A, 0.5 for B.
    rash_with_a = 0.5 * 0.75 + 0.5 * (1 - 0.25**2)
    rash_with_b = 0.5 * 0.5 + 0.5 * (1 - 0.5**2)
    assert population.expected_rate("A", "Rash") == pytest.approx(0.75 * rash_with_a)
    # B leads one of four, and is the only further suspect of half of the others.
    assert population.expected_rate("B", "Rash") == pytest.approx(0.25 * rash_with_b + 0.75 * 0.5 * rash_with_a)
    assert population.drug_rate("B") == pytest.approx(0.25 + 0.75 * 0.5)
