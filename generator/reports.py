"""Builds safety reports in the openFDA drug/event shape: every scalar a string, explicit formats beside dates.

A report is a function of the population, the factory's seed and series, how many reports the factory made
before it, and its time: the same call sequence gives the same bytes. Its case number holds the second of its
time, so runs at different times never share a case. Nothing in a report tells whether it was planted.

Not included: `openfda` blocks (nine tenths of a real report's bytes), follow-up versions.
"""

from __future__ import annotations

import datetime as dt
import random
import zlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec
from faker import Faker

from expectations.report import normalise_name
from generator.population import Population
from generator.spike import Spike

__all__ = ["ReportFactory"]

Json = dict[str, Any]

DIRECT_SHARE = 0.3
"""Share of reports sent under the company's own name. openFDA shows every sender as the FDA."""
FARAWAY_SHARE = 0.02
"""Share of reports from any country at all; the sample of real reports has only nine."""
FATAL_TERMS = frozenset({"DEATH", "SUDDEN DEATH", "SUDDEN CARDIAC DEATH", "COMPLETED SUICIDE", "FOETAL DEATH"})

_COMPANIES, _COUNTRIES, _SENTENCES = 150, 60, 300
_UNKNOWN_INDICATION = "PRODUCT USED FOR UNKNOWN INDICATION"


class ReportFactory:
    """Makes reports; see the module's docstring for what they depend on. Not for use by several threads.

    `series` sets apart factories that share a seed: their reports differ as much as those of two seeds.
    """

    def __init__(self, population: Population, seed: int, *, series: str = "live") -> None:
        self.population = population
        self.seed = seed
        self.series = series
        self._made = 0
        self._key = f"{seed}/{series}"
        self._salt = zlib.crc32(self._key.encode()) % 1000
        self._pools = _pools(seed)

    def source(self, purpose: str) -> random.Random:
        """A source of random numbers of its own for `purpose`, fixed by seed and series."""
        return random.Random(f"{self._key}/{purpose}")  # noqa: S311 - synthetic data, not secrets

    def fork(self, series: str) -> ReportFactory:
        """A factory of the same population and seed for another series."""
        return ReportFactory(self.population, self.seed, series=series)

    def report(self, received_at: dt.datetime) -> Json:
        """The next report, received at that moment (aware, after 1970), of the population's usual kind."""
        source, case_id = self._next(received_at)
        suspects = self.population.draw_suspects(source)
        reactions = self.population.draw_reactions(source, suspects[0])
        return self._compose(source, case_id, received_at, suspects, reactions)

    def body(self, received_at: dt.datetime) -> bytes:
        """`report` as UTF-8 JSON."""
        return msgspec.json.encode(self.report(received_at))

    def spiked(self, spike: Spike, received_at: dt.datetime) -> Json:
        """A report that adds one case to the spike's pair and to no other.

        The drug is the only suspect, the reaction the only one; concomitant drugs are as usual for the drug.
        Raises `UnknownNameError` for a name the population does not have.
        """
        drug = self.population.find_drug(spike.drug)
        reaction = self.population.find_reaction(spike.reaction)
        source, case_id = self._next(received_at)
        return self._compose(source, case_id, received_at, [drug], [reaction])

    def spiked_body(self, spike: Spike, received_at: dt.datetime) -> bytes:
        """`spiked` as UTF-8 JSON."""
        return msgspec.json.encode(self.spiked(spike, received_at))

    def _next(self, received_at: dt.datetime) -> tuple[random.Random, str]:
        if received_at.tzinfo is None:
            raise ValueError("received_at needs a time zone")
        number = self._made
        self._made += 1
        # 18 digits at most, below 2**63: second, salt of seed and series, number within the factory.
        case_id = f"{int(received_at.timestamp())}{self._salt:03d}{number % 100_000:05d}"
        return self.source(str(number)), case_id

    def _pick(self, source: random.Random, share: str) -> str | None:
        return self.population.shares[share].draw(source)

    def _compose(
        self,
        source: random.Random,
        case_id: str,
        received_at: dt.datetime,
        suspects: list[str],
        reactions: list[str],
    ) -> Json:
        utc = received_at.astimezone(dt.UTC)
        day = utc.strftime("%Y%m%d")
        company = self._company_of(suspects[0])
        country = self._country(source)
        company_number = f"{country or 'XX'}-{company}-{case_id}"
        fatal = any(normalise_name(reaction) in FATAL_TERMS for reaction in reactions)
        criteria = self._criteria(source, fatal)
        sender = company if source.random() < DIRECT_SHARE else self._pick(source, "sender")
        report: Json = {
            "safetyreportid": case_id,
            "safetyreportversion": "1",
            "primarysourcecountry": country,
            "occurcountry": country,
            "transmissiondateformat": "102",
            "transmissiondate": day,
            "reporttype": self._pick(source, "reporttype"),
            "serious": "1" if criteria else "2",
            **{f"seriousness{criterion}": "1" for criterion in criteria},
            "receivedateformat": "102",
            "receivedate": day,
            "receiptdateformat": "204",
            "receiptdate": utc.strftime("%Y%m%d%H%M%S"),
            "fulfillexpeditecriteria": self._pick(source, "expedite") if criteria else "2",
            "companynumb": company_number,
            "duplicate": "1",
            "reportduplicate": {"duplicatesource": company, "duplicatenumb": company_number},
            "primarysource": {
                "reportercountry": country,
                "qualification": self._pick(source, "qualification"),
            },
            "sender": {"sendertype": "2", "senderorganization": sender},
            "receiver": {"receivertype": "6", "receiverorganization": "FDA"},
            "patient": self._patient(source, utc, suspects, reactions, died="death" in criteria),
        }
        return _without_nulls(report)

    def _company_of(self, drug: str) -> str:
        """Each drug has one company, as most products have."""
        return self._pools.companies[zlib.crc32(drug.encode()) % _COMPANIES]

    def _country(self, source: random.Random) -> str | None:
        if source.random() < FARAWAY_SHARE:
            return source.choice(self._pools.countries)
        return self._pick(source, "country")

    def _criteria(self, source: random.Random, fatal: bool) -> list[str]:
        criteria = [criterion for criterion in (self._pick(source, "seriousness") or "").split("+") if criterion]
        return criteria if not fatal or "death" in criteria else ["death", *criteria]

    def _patient(
        self, source: random.Random, utc: dt.datetime, suspects: list[str], reactions: list[str], *, died: bool
    ) -> Json:
        patient: Json = {}
        if self._pick(source, "age_missing") == "no":
            patient.update(self._age(source))
        patient["patientsex"] = self._pick(source, "sex")
        if self._pick(source, "weight_given") == "yes":
            patient["patientweight"] = f"{max(2.5, source.gauss(76.0, 18.0)):.1f}"
        patient["reaction"] = [self._reaction(source, reaction, died) for reaction in reactions]
        concomitants = self.population.draw_concomitants(source, suspects)
        patient["drug"] = [self._drug(source, drug, "1", utc) for drug in suspects]
        patient["drug"] += [self._drug(source, drug, "2", utc) for drug in concomitants]
        if self._pick(source, "narrative_given") == "yes":
            patient["summary"] = {"narrativeincludeclinical": self._narrative(source, utc)}
        return patient

    def _age(self, source: random.Random) -> Json:
        years = int(self._pick(source, "age_band") or 0) + source.random() * 10.0
        age: Json = {"patientonsetage": str(int(years)), "patientonsetageunit": "801"}
        if years < 2.0:
            age = {"patientonsetage": str(int(years * 12)), "patientonsetageunit": "802"}
        elif source.random() < 0.01:  # a few senders count an adult's age in decades
            age = {"patientonsetage": str(max(1, int(years / 10))), "patientonsetageunit": "800"}
        if self._pick(source, "age_group_given") == "yes":
            age["patientagegroup"] = _age_group(years)
        return age

    def _reaction(self, source: random.Random, reaction: str, died: bool) -> Json:
        outcome = self._pick(source, "outcome")
        if normalise_name(reaction) in FATAL_TERMS:
            outcome = "5"
        elif outcome == "5" and not died:
            outcome = "6"
        return {
            "reactionmeddraversionpt": self._pick(source, "meddra_version"),
            "reactionmeddrapt": reaction,
            "reactionoutcome": outcome,
        }

    def _drug(self, source: random.Random, drug: str, role: str, utc: dt.datetime) -> Json:
        product = self.population.draw_product(source, drug)
        entry: Json = {"drugcharacterization": role, "medicinalproduct": product}
        if self._pick(source, "authorization_given") == "yes":
            entry["drugauthorizationnumb"] = f"{zlib.crc32(product.encode()) % 900_000 + 100_000}"
        entry["drugdosagetext"] = self._pick(source, "dosage_text")
        entry["drugdosageform"] = self._pick(source, "dosage_form")
        entry["drugadministrationroute"] = self._pick(source, "route")
        if self._pick(source, "indication_given") == "yes":
            entry["drugindication"] = self.population.draw_indication(source, drug) or _UNKNOWN_INDICATION
        if self._pick(source, "start_date_given") == "yes":
            started = utc - dt.timedelta(days=1 + int(source.expovariate(1 / 300)))
            entry["drugstartdateformat"] = "102"
            entry["drugstartdate"] = started.strftime("%Y%m%d")
        entry["actiondrug"] = self._pick(source, "action")
        entry["drugrecurreadministration"] = self._pick(source, "recurrence")
        # A trade name counts for its substance only where the report states the substance.
        stated = self._pick(source, "substance_given") == "yes" and self.population.is_substance(drug)
        if product != drug or stated:
            entry["activesubstance"] = {"activesubstancename": drug}
        return entry

    def _narrative(self, source: random.Random, utc: dt.datetime) -> str:
        event = utc - dt.timedelta(days=int(source.expovariate(1 / 30)))
        sentences = " ".join(source.choices(self._pools.sentences, k=source.randint(1, 8)))
        return f"CASE EVENT DATE: {event:%Y%m%d} {sentences}"


@dataclass(frozen=True)
class _Pools:
    """What is made up. Faker takes up to a millisecond a call: drawn once, then picked from."""

    companies: tuple[str, ...]
    countries: tuple[str, ...]
    sentences: tuple[str, ...]


@lru_cache(maxsize=16)
def _pools(seed: int) -> _Pools:
    faker = Faker()
    faker.seed_instance(seed)
    return _Pools(
        companies=tuple(_company(faker) for _ in range(_COMPANIES)),
        countries=tuple(faker.country_code() for _ in range(_COUNTRIES)),
        sentences=tuple(faker.sentence() for _ in range(_SENTENCES)),
    )


def _company(faker: Faker) -> str:
    return "".join(c for c in faker.company().upper() if c.isascii() and (c.isalnum() or c == " "))


def _age_group(years: float) -> str:
    """E2B(R2) codes: 2 infant, 3 child, 4 adolescent, 5 adult, 6 elderly."""
    for code, upto in (("2", 2.0), ("3", 12.0), ("4", 18.0), ("5", 65.0)):
        if years < upto:
            return code
    return "6"


def _without_nulls(value: Json) -> Json:
    """Absent fields stay away, as in openFDA."""
    return {
        key: _without_nulls(item)
        if isinstance(item, dict)
        else [_without_nulls(entry) for entry in item]
        if isinstance(item, list)
        else item
        for key, item in value.items()
        if item is not None
    }
