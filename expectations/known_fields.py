"""Names of the fields that openFDA's drug/event reports have, level by level, used by the decoder or not.

Fields outside these lists are counted (`Report.unknown_fields`): a sudden count tells that the source changed.
"""

from __future__ import annotations

__all__ = ["DRUG_FIELDS", "PATIENT_FIELDS", "REACTION_FIELDS", "REPORT_FIELDS"]

REPORT_FIELDS = frozenset(
    [
        "authoritynumb",
        "companynumb",
        "duplicate",
        "fulfillexpeditecriteria",
        "occurcountry",
        "patient",
        "primarysource",
        "primarysourcecountry",
        "receiptdate",
        "receiptdateformat",
        "receivedate",
        "receivedateformat",
        "receiver",
        "reportduplicate",
        "reporttype",
        "safetyreportid",
        "safetyreportversion",
        "sender",
        "serious",
        "seriousnesscongenitalanomali",
        "seriousnessdeath",
        "seriousnessdisabling",
        "seriousnesshospitalization",
        "seriousnesslifethreatening",
        "seriousnessother",
        "transmissiondate",
        "transmissiondateformat",
    ]
)

PATIENT_FIELDS = frozenset(
    [
        "drug",
        "patientagegroup",
        "patientdeath",
        "patientonsetage",
        "patientonsetageunit",
        "patientsex",
        "patientweight",
        "reaction",
        "summary",
    ]
)

DRUG_FIELDS = frozenset(
    [
        "actiondrug",
        "activesubstance",
        "drugadditional",
        "drugadministrationroute",
        "drugauthorizationnumb",
        "drugbatchnumb",
        "drugcharacterization",
        "drugcumulativedosagenumb",
        "drugcumulativedosageunit",
        "drugdosageform",
        "drugdosagetext",
        "drugenddate",
        "drugenddateformat",
        "drugindication",
        "drugintervaldosagedefinition",
        "drugintervaldosageunitnumb",
        "drugrecurreadministration",
        "drugrecurrence",
        "drugseparatedosagenumb",
        "drugstartdate",
        "drugstartdateformat",
        "drugstructuredosagenumb",
        "drugstructuredosageunit",
        "drugtreatmentduration",
        "drugtreatmentdurationunit",
        "medicinalproduct",
        "openfda",
    ]
)

REACTION_FIELDS = frozenset(["reactionmeddrapt", "reactionmeddraversionpt", "reactionoutcome"])
