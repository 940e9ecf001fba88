"""What analysts read: views over folded receipts, so that events, counts and alerts always agree.

Databases take down the columns that `*` means when a view is made; `sql.migrate` makes all of them anew whenever
tables change.

Ages above 89 are shown as 90, as is usual where single patients must not be told apart.
"""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["VIEWS", "create_views", "drop_views"]

VIEWS: dict[str, str] = {
    "FoldedReport": """
        SELECT r.*
        FROM safety_report r
        JOIN ingest_task t ON t.receipt_id = r.receipt_id
        WHERE t.folded_at IS NOT NULL""",
    "LatestReport": """
        SELECT f.*
        FROM FoldedReport f
        JOIN (SELECT case_key, MAX(version) AS version FROM FoldedReport GROUP BY case_key) newest
          ON newest.case_key = f.case_key AND newest.version = f.version""",
    "PatientAdverseEventReport": """
        SELECT r.safetyreportid,
               r.transmissiondate AS transmissiondate_converted,
               CAST(CASE WHEN r.age_whole_years > 89 THEN 90 ELSE r.age_whole_years END AS INTEGER) AS patientonsetage,
               CAST(r.sex AS INTEGER) AS patientsex,
               reaction.name AS reactionmeddrapt,
               drug.name AS drug_name,
               CAST(rd.characterization AS INTEGER) AS drug_characterization,
               rd.indication AS drug_indication,
               CAST(COALESCE(reaction.is_overdose, 0) AS {bit}) AS is_overdose
        FROM LatestReport r
        JOIN report_drug rd ON rd.receipt_id = r.receipt_id AND rd.sequence = r.sequence
        JOIN report_reaction rr ON rr.receipt_id = r.receipt_id AND rr.sequence = r.sequence
        LEFT JOIN drug ON drug.drug_id = rd.drug_id
        LEFT JOIN reaction ON reaction.reaction_id = rr.reaction_id""",
    "CommonReactionByDrug": """
        SELECT drug.name AS drug_name,
               reaction.name AS reactionmeddrapt,
               SUM(w.cases) AS cases
        FROM reaction_window w
        JOIN drug ON drug.drug_id = w.drug_id
        JOIN reaction ON reaction.reaction_id = w.reaction_id
        WHERE w.width_ms = (SELECT MAX(width_ms) FROM window_clock)
        GROUP BY drug.name, reaction.name
        HAVING SUM(w.cases) > 0""",
    "AgeGroupByReaction": """
        SELECT reactionmeddrapt, age_group, COUNT(DISTINCT case_key) AS cases
        FROM (
            SELECT reaction.name AS reactionmeddrapt,
                   r.case_key,
                   CASE WHEN r.age_years IS NULL THEN 'unknown'
                        WHEN r.age_years < 0 OR r.age_years > 120 THEN 'implausible'
                        WHEN r.age_years < 2 THEN '00-01'
                        WHEN r.age_years < 12 THEN '02-11'
                        WHEN r.age_years < 18 THEN '12-17'
                        WHEN r.age_years < 45 THEN '18-44'
                        WHEN r.age_years < 65 THEN '45-64'
                        WHEN r.age_years < 75 THEN '65-74'
                        ELSE '75+' END AS age_group
            FROM LatestReport r
            JOIN report_reaction rr ON rr.receipt_id = r.receipt_id AND rr.sequence = r.sequence
            JOIN reaction ON reaction.reaction_id = rr.reaction_id
        ) grouped
        GROUP BY reactionmeddrapt, age_group""",
    "OverdoseTrend": """
        SELECT r.receivedate,
               COUNT(DISTINCT r.case_key) AS cases,
               COUNT(DISTINCT CASE WHEN reaction.is_overdose = 1 THEN r.case_key END) AS overdose_cases
        FROM LatestReport r
        JOIN report_reaction rr ON rr.receipt_id = r.receipt_id AND rr.sequence = r.sequence
        LEFT JOIN reaction ON reaction.reaction_id = rr.reaction_id
        GROUP BY r.receivedate""",
    "FlaggedEvent": """
        SELECT f.safetyreportid, f.version, f.receivedate, f.anomaly_score, f.anomaly_level, f.anomaly_reasons,
               f.warnings, f.model_version, f.suite_version, f.stored_at
        FROM FoldedReport f
        WHERE f.anomaly_level > 0 OR f.warnings IS NOT NULL""",
    "ReactionSpike": """
        SELECT drug.name AS drug_name, reaction.name AS reactionmeddrapt, s.width_ms, s.window_start_ms,
               s.cases, s.windows, s.observed, s.expected, s.spread, s.z, s.p,
               s.pair_cases, s.pair_expected, s.prr, s.chi_squared, s.ror, s.ror_lower, s.ror_upper,
               s.ic, s.ic025, s.ic975, s.largest_sender_share, s.same_duplicate_number, s.serious_share,
               s.stage, s.rules, s.rules_version, s.found_at
        FROM spike s
        JOIN drug ON drug.drug_id = s.drug_id
        JOIN reaction ON reaction.reaction_id = s.reaction_id""",
}
"""View names and their SELECT, in the order in which they build on each other. Constants, no user text.

`{bit}` stands for the type of a yes or no.
"""


def drop_views() -> Iterator[str]:
    """Statements that take every view away, each to be sent alone."""
    for name in reversed(VIEWS):
        yield f"DROP VIEW IF EXISTS {name}"


def create_views(dialect: str) -> Iterator[str]:
    """Statements that make every view in the SQL of `dialect`, each to be sent alone."""
    bit = "BIT" if dialect == "mssql" else "SMALLINT"
    for name, query in VIEWS.items():
        yield f"CREATE VIEW {name} AS {query.replace('{bit}', bit)}"
