"""Every reason for which a report is quarantined, each declared once with its sentence.

A suite of one's own may bring further codes for its critical expectations; those of the packaged suite are here.
"""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Reason"]


class Reason(StrEnum):
    """Why a report is quarantined: the value is the stored code, `sentence` is for people."""

    sentence: str

    def __new__(cls, code: str, sentence: str) -> Reason:
        """Keep the sentence beside the code."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.sentence = sentence
        return member

    # Found while decoding: the bytes are no report.
    EMPTY_BODY = "empty_body", "The body holds nothing but white space."
    TOO_LARGE = "too_large", "The body is larger than any report can be."
    NOT_UTF8 = "not_utf8", "The body is not UTF-8 text."
    BROKEN_JSON = "broken_json", "The body is not JSON: cut off, malformed, NaN, Infinity or half a surrogate pair."
    TOO_DEEP = "too_deep", "The JSON is nested deeper than any report can be."
    NOT_AN_OBJECT = "not_an_object", "The JSON is a list or a single value, not an object."
    WRONG_TYPE = "wrong_type", "A part of the report's skeleton (id, patient, drug, reaction) has another type."
    BAD_NUMBER = "bad_number", "A number that the report cannot do without is none, or is beyond every range."
    BAD_DATE = "bad_date", "The receipt date has to tell the version and cannot be read."
    MISSING_ID = "missing_id", "The report has no safetyreportid."
    MALFORMED_ID = "malformed_id", "safetyreportid is not 1 to 64 printable ASCII characters without white space."
    MISSING_PATIENT = "missing_patient", "The report has no patient."

    # Found by the critical expectations of the packaged suite. Of the others malformed_id, too, should a suite ask for
    # more; and of these the decoder finds lists that are twice as long as the suite allows, to save the work.
    VERSION_OUT_OF_RANGE = "version_out_of_range", "The version of the case is not 0 to 999,999,999."
    NO_NAMED_REACTION = "no_named_reaction", "No reaction of the report names a term."
    NO_NAMED_DRUG = "no_named_drug", "No drug of the report has a name."
    TOO_MANY_DRUGS = "too_many_drugs", "The report lists more drugs than any real one."
    TOO_MANY_REACTIONS = "too_many_reactions", "The report lists more reactions than any real one."
    TOO_MANY_DUPLICATE_NUMBERS = "too_many_duplicate_numbers", "The report lists more duplicates than any real one."
    TOO_MANY_PAIRS = "too_many_pairs", "Suspect drugs times reactions is more than any real report makes."

    # Found by the store.
    CONFLICTING_DUPLICATE = "conflicting_duplicate", "This version of the case is stored already, with other content."
