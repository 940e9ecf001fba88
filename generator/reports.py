"""Builds safety reports in the openFDA drug/event shape: every scalar a string, explicit formats beside dates.

A report is a function of the population, the factory's seed and series, how many reports the factory made
before it, and its time: the same call sequence gives the same bytes. Its case number holds the second of its
time, so runs at different times never share a case. Nothing in a report tells whether it was planted.

With `openfda=True` drugs carry the block of identifiers that openFDA adds, nine tenths of a real report's bytes.

Not included: follow-up versions and other later bodies of a case; `generator.traps` makes those.
"""

from __future__ import annotations

import datetime as dt
import random
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec
from faker import Faker

from expectations.report import normalise_name
from generator.labels import label_of
from generator.population import Population

__all__ = ["Json", "ReportFactory", "encode"]

Json = dict[str, Any]
encode = msgspec.json.Encoder().encode
"""A report as UTF-8 JSON."""

DIRECT_SHARE = 0.3
"""Share of reports sent under the company's own name. openFDA shows every sender as the FDA."""
FARAWAY_SHARE = 0.02
"""Share of reports from any country at all; the sample of real reports has only nine."""
FATAL_TERMS = frozenset({"DEATH", "SUDDEN DEATH", "SUDDEN CARDIAC DEATH", "COMPLETED SUICIDE", "FOETAL DEATH"})

_COMPANIES, _COUNTRIES, _SENTENCES = 150, 60, 300
_SUSPECT, _CONCOMITANT = "1", "2"
_UNKNOWN_INDICATION = "PRODUCT USED FOR UNKNOWN INDICATION"
_DRUG_FIELDS = (
    ("drugdosagetext", "dosage_text"),
    ("drugdosageform", "dosage_form"),
    ("drugadministrationroute", "route"),
    ("actiondrug", "action"),
    ("drugrecurreadministration", "recurrence"),
)
"""Fields of a drug entry and the shares they are drawn from."""


class ReportFactory:
    """Makes reports; see the module's docstring for what they depend on. Not for use by several threads.

    `series` sets apart factories that share a seed: their reports differ as much as those of two seeds.
    """

    def __init__(self, population: Population, seed: int, *, series: str = "live", openfda: bool = False) -> None:
        self.population = population
        self.seed = seed
        self.series = series
        self._openfda = openfda
        self._made = 0
        self._key = f"{seed}/{series}"
        self._salt = zlib.crc32(self._key.encode()) % 1000
        self._pools = _pools(seed)
        self._draw = {name: share.draw for name, share in population.shares.items()}

    def source(self, purpose: str) -> random.Random:
        """A source of random numbers of its own for `purpose`, fixed by seed and series."""
        return random.Random(f"{self._key}/{purpose}")  # noqa: S311 - synthetic data, not secrets

    def fork(self, series: str) -> ReportFactory:
        """A factory of the same population and seed for another series.

        Factories of different series may run side by side, in any order or process: none depends on another. No case
        number of this one and the new one is the same.
        """
        other = ReportFactory(self.population, self.seed, series=series, openfda=self._openfda)
        if other._salt == self._salt:
            other._salt = (other._salt + 1) % 1000
        return other

    def report(self, received_at: dt.datetime) -> Json:
        """The next report, received at that moment (aware, after 1970), of the population's usual kind."""
        source, case_id = self._next(received_at)
        suspects, reactions = self.population.draw_lists(source)
        return self._compose(source, case_id, received_at, suspects, reactions)

    def body(self, received_at: dt.datetime) -> bytes:
        """`report` as UTF-8 JSON."""
        return encode(self.report(received_at))

    def report_of(self, received_at: dt.datetime, drug: str, reaction: str | None = None) -> Json:
        """The next report, with this drug as the only suspect, and this reaction as the only one.

        Without `reaction`, reactions are as usual for the drug. Concomitant drugs are as usual. The drug may be one
        that the population does not have.
        """
        source, case_id = self._next(received_at)
        reactions = [reaction] if reaction is not None else self.population.draw_reactions(source, drug)
        return self._compose(source, case_id, received_at, [drug], reactions)

    def report_with(self, received_at: dt.datetime, reaction: str) -> Json:
        """The next report, with this reaction as the only one, and suspects as reports with it have them.

        So every pair of the reaction gains in proportion to its usual rate. Raises `UnknownNameError`. The rarer the
        reaction, the longer it takes.
        """
        reaction = self.population.find_reaction(reaction)
        source, case_id = self._next(received_at)
        suspects, reactions = self.population.draw_lists(source)
        while reaction not in reactions:
            suspects, reactions = self.population.draw_lists(source)
        return self._compose(source, case_id, received_at, suspects, [reaction])

    def case_id(self, received_at: dt.datetime) -> str:
        """The number of a new case of that moment, which no other report of this factory has."""
        return self._next(received_at)[1]

    def company_of(self, drug: str) -> str:
        """The company that reports on a drug: each has one, as most products have."""
        return self._pools.companies[zlib.crc32(drug.encode()) % _COMPANIES]

    @property
    def companies(self) -> tuple[str, ...]:
        """All companies of this seed."""
        return self._pools.companies

    def _next(self, received_at: dt.datetime) -> tuple[random.Random, str]:
        if received_at.tzinfo is None:
            raise ValueError("received_at needs a time zone")
        number = self._made
        self._made += 1
        # 18 digits at most, below 2**63: second, salt of seed and series, number within the factory.
        case_id = f"{int(received_at.timestamp())}{self._salt:03d}{number % 100_000:05d}"
        return self.source(str(number)), case_id

    def _compose(
        self,
        source: random.Random,
        case_id: str,
        received_at: dt.datetime,
        suspects: list[str],
        reactions: list[str],
    ) -> Json:
        draw = self._draw
        utc = received_at.astimezone(dt.UTC)
        day = _yyyymmdd(utc)
        company = self.company_of(suspects[0])
        if source.random() < FARAWAY_SHARE:
            country: str | None = source.choice(self._pools.countries)
        else:
            country = draw["country"](source)
        company_number = f"{country or 'XX'}-{company}-{case_id}"
        criteria = (draw["seriousness"](source) or "").split("+")
        if not criteria[0]:
            criteria = []
        if "death" not in criteria and any(map(_is_fatal, reactions)):
            criteria = ["death", *criteria]
        sender = company if source.random() < DIRECT_SHARE else draw["sender"](source)
        report: Json = {
            "safetyreportid": case_id,
            "safetyreportversion": "1",
            "primarysourcecountry": country,
            "occurcountry": country,
            "transmissiondateformat": "102",
            "transmissiondate": day,
            "reporttype": draw["reporttype"](source),
            "serious": "1" if criteria else "2",
        }
        for criterion in criteria:
            report[f"seriousness{criterion}"] = "1"
        report["receivedateformat"] = "102"
        report["receivedate"] = day
        report["receiptdateformat"] = "204"
        report["receiptdate"] = f"{day}{utc.hour:02d}{utc.minute:02d}{utc.second:02d}"
        report["fulfillexpeditecriteria"] = draw["expedite"](source) if criteria else "2"
        report["companynumb"] = company_number
        report["duplicate"] = "1"
        report["reportduplicate"] = {"duplicatesource": company, "duplicatenumb": company_number}
        report["primarysource"] = _given({"reportercountry": country, "qualification": draw["qualification"](source)})
        report["sender"] = _given({"sendertype": "2", "senderorganization": sender})
        report["receiver"] = {"receivertype": "6", "receiverorganization": "FDA"}
        report["patient"] = self._patient(source, utc, suspects, reactions, died="death" in criteria)
        return _given(report)

    def _patient(
        self, source: random.Random, utc: dt.datetime, suspects: list[str], reactions: list[str], *, died: bool
    ) -> Json:
        draw = self._draw
        patient: Json = {}
        if draw["age_missing"](source) == "no":
            patient.update(self._age(source))
        sex = draw["sex"](source)
        if sex is not None:
            patient["patientsex"] = sex
        if draw["weight_given"](source) == "yes":
            patient["patientweight"] = f"{max(2.5, source.gauss(76.0, 18.0)):.1f}"
        patient["reaction"] = [self._reaction(source, reaction, died) for reaction in reactions]
        concomitants = self.population.draw_concomitants(source, suspects)
        patient["drug"] = [
            entry
            for drugs, role in ((suspects, _SUSPECT), (concomitants, _CONCOMITANT))
            for drug in drugs
            for entry in self._entries(source, drug, role, utc)
        ]
        if draw["narrative_given"](source) == "yes":
            patient["summary"] = {"narrativeincludeclinical": self._narrative(source, utc)}
        return patient

    def _age(self, source: random.Random) -> Json:
        years = int(self._draw["age_band"](source) or 0) + source.random() * 10.0
        age: Json = {"patientonsetage": str(int(years)), "patientonsetageunit": "801"}
        if years < 2.0:
            age = {"patientonsetage": str(int(years * 12)), "patientonsetageunit": "802"}
        elif source.random() < 0.01:  # a few senders count an adult's age in decades
            age = {"patientonsetage": str(max(1, int(years / 10))), "patientonsetageunit": "800"}
        if self._draw["age_group_given"](source) == "yes":
            age["patientagegroup"] = _age_group(years)
        return age

    def _reaction(self, source: random.Random, reaction: str, died: bool) -> Json:
        outcome = self._draw["outcome"](source)
        if _is_fatal(reaction):
            outcome = "5"
        elif outcome == "5" and not died:
            outcome = "6"
        return _given(
            {
                "reactionmeddraversionpt": self._draw["meddra_version"](source),
                "reactionmeddrapt": reaction,
                "reactionoutcome": outcome,
            }
        )

    def _entries(self, source: random.Random, drug: str, role: str, utc: dt.datetime) -> Iterator[Json]:
        """The entries of one drug: one product for one indication, each with its own dosage, route and start."""
        draw = self._draw
        product = self.population.draw_product(source, drug)
        same: Json = {"drugcharacterization": role, "medicinalproduct": product}
        if draw["authorization_given"](source) == "yes":
            same["drugauthorizationnumb"] = f"{zlib.crc32(product.encode()) % 900_000 + 100_000}"
        if draw["indication_given"](source) == "yes":
            same["drugindication"] = self.population.draw_indication(source, drug) or _UNKNOWN_INDICATION
        # A trade name counts for its substance only where the report states the substance.
        is_substance = self.population.is_substance(drug)
        if product != drug or (draw["substance_given"](source) == "yes" and is_substance):
            same["activesubstance"] = {"activesubstancename": drug}
        label = label_of(drug, product, is_substance=is_substance) if self._openfda else None
        if label is not None:
            same["openfda"] = label
        for _ in range(self.population.draw_entries(source, suspect=role == _SUSPECT)):
            entry = dict(same)
            for key, share in _DRUG_FIELDS:
                value = draw[share](source)
                if value is not None:
                    entry[key] = value
            if draw["start_date_given"](source) == "yes":
                entry["drugstartdateformat"] = "102"
                entry["drugstartdate"] = _yyyymmdd(utc - dt.timedelta(days=1 + int(source.expovariate(1 / 300))))
            yield entry

    def _narrative(self, source: random.Random, utc: dt.datetime) -> str:
        event = utc - dt.timedelta(days=int(source.expovariate(1 / 30)))
        sentences = " ".join(source.choices(self._pools.sentences, k=source.randint(1, 8)))
        return f"CASE EVENT DATE: {_yyyymmdd(event)} {sentences}"


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


def _yyyymmdd(moment: dt.datetime) -> str:
    return f"{moment.year:04d}{moment.month:02d}{moment.day:02d}"


@lru_cache(maxsize=10_000)
def _is_fatal(reaction: str) -> bool:
    return normalise_name(reaction) in FATAL_TERMS


def _given(fields: Json) -> Json:
    """Absent fields stay away, as in openFDA."""
    return {key: value for key, value in fields.items() if value is not None}
