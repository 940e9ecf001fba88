"""What a safety report is, once decoded: plain frozen values, no text that was not asked for.

A `Report` is one version of one case. Names are already normalised (see `normalise_name`), ages are in
years, weights in kilograms, dates are dates. Whether the values are plausible is not decided here but by
the expectation suites.
"""

from __future__ import annotations

import datetime as dt

import msgspec

__all__ = ["SUSPECT_ROLES", "Report", "ReportedDrug", "ReportedReaction", "normalise_name"]

SUSPECT_ROLES = frozenset({1, 3})
"""Values of `drugcharacterization` that make pairs: 1 suspect, 3 interacting (2 is concomitant)."""


def normalise_name(name: str) -> str:
    """Fold case and white space, so that ` Ibuprofen  200` and `IBUPROFEN 200` are one name."""
    return " ".join(name.upper().split())


class ReportedDrug(msgspec.Struct, frozen=True):
    """One entry of `patient.drug`, in the order of the report."""

    name: str | None
    """Normalised: active substance, else the only `openfda.substance_name`, else the product name."""
    product: str | None
    """`medicinalproduct` as reported, white space trimmed."""
    characterization: int | None
    """1 suspect, 2 concomitant, 3 interacting; None when absent."""
    indication: str | None
    """`drugindication`, normalised."""


class ReportedReaction(msgspec.Struct, frozen=True):
    """One entry of `patient.reaction`, in the order of the report."""

    term: str | None
    """MedDRA preferred term, normalised."""
    outcome: int | None
    """`reactionoutcome` 1 to 6; None when absent."""


class Report(msgspec.Struct, frozen=True):
    """One version of one case."""

    safetyreportid: str
    version: int
    """`safetyreportversion` as integer, else `receiptdate` as yyyymmdd, else 0; never None."""
    digest: bytes
    """SHA-256 (32 bytes) over the canonical JSON of the whole body: tells a resend from a changed report."""
    receivedate: dt.date | None
    receiptdate: dt.date | None
    receipt_time: dt.datetime | None
    """UTC moment of `receiptdate`, only where its format carries a time of day (203, 204)."""
    transmissiondate: dt.date | None
    serious: bool | None
    seriousness: tuple[str, ...]
    """Criteria that are "1": death, lifethreatening, hospitalization, disabling, congenitalanomali, other."""
    age_years: float | None
    sex: int | None
    """0 unknown, 1 male, 2 female; None when absent."""
    weight_kg: float | None
    qualification: int | None
    """Qualification of the primary source, 1 to 5."""
    country: str | None
    """`occurcountry`, else `primarysourcecountry`, else the reporter's; upper case."""
    sender: str | None
    company_number: str | None
    duplicate_numbers: tuple[str, ...]
    """`reportduplicate.duplicatenumb`: numbers other senders gave the same case."""
    drugs: tuple[ReportedDrug, ...]
    reactions: tuple[ReportedReaction, ...]
    narrative_length: int
    """Characters of narrative; the text itself is not kept."""
    unknown_fields: int
    """Fields of the report's own levels that the decoder has no name for."""
    unreadable: tuple[str, ...] = ()
    """JSON paths of values that could not be read, and are None here."""
    altered: tuple[str, ...] = ()
    """JSON paths of texts that were cut, or rid of control or invisible characters."""
    age_unit: int | None = None
    """`patientonsetageunit` as reported: 800 decade, 801 year, 802 month, 803 week, 804 day, 805 hour."""

    def pairs(self) -> frozenset[tuple[str, str]]:
        """Distinct (drug, reaction) names that this case counts for: suspect or interacting drugs only."""
        drugs = {d.name for d in self.drugs if d.name and d.characterization in SUSPECT_ROLES}
        terms = {r.term for r in self.reactions if r.term}
        return frozenset((drug, term) for drug in drugs for term in terms)
