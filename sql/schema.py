"""The tables: SQLAlchemy Core metadata is the one source of the schema.

Times named `*_ms` are UTC milliseconds since 1970, integers so that window arithmetic is the same on every
database. Columns of type `DateTime` are UTC and meant for people and refresh filters.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Unicode,
    UnicodeText,
)

__all__ = [
    "NAME_LENGTH",
    "alert",
    "alert_case",
    "alert_history",
    "alert_outbox",
    "case_pair",
    "drug",
    "hub_position",
    "ingest_task",
    "metadata",
    "quarantined_report",
    "reaction",
    "reaction_window",
    "report_drug",
    "report_reaction",
    "safety_report",
    "silence",
    "spike",
    "stream_lease",
    "window_clock",
    "window_delta",
    "window_total",
]

NAME_LENGTH = 500
"""Longest drug or reaction name kept; MedDRA terms end at 100, product names of real reports at about 400."""

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

hub_position = Table(
    "hub_position",
    metadata,
    Column("hub", Unicode(300), primary_key=True, comment="host/hub, or file:<digest> for a backfill"),
    Column(
        "generation",
        BigInteger,
        primary_key=True,
        comment="created-at of the hub (ms): tells a recreated one",
    ),
    Column("partition_id", Unicode(20), primary_key=True),
    Column("next_sequence", BigInteger, nullable=False, comment="first sequence number not stored yet"),
    Column("epoch", BigInteger, nullable=False, comment="the run that may move this position"),
    Column("enqueued_ms", BigInteger, comment="enqueued time of the last stored event"),
    Column("event_ms", BigInteger, comment="largest event time stored"),
    comment="How far each hub partition has been stored: the checkpoint.",
)

stream_lease = Table(
    "stream_lease",
    metadata,
    Column("hub", Unicode(300), primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("holder", Unicode(300), nullable=False, comment="host:pid:start of the process that holds it"),
    Column("beat_ms", BigInteger, nullable=False, comment="last sign of life; 0 when released"),
    comment="Who may write: one stream per hub.",
)

ingest_task = Table(
    "ingest_task",
    metadata,
    Column("receipt_id", BigInteger, primary_key=True, autoincrement=False, comment="random id of the attempt"),
    Column("hub", Unicode(300), nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("partition_id", Unicode(20), nullable=False),
    Column("first_sequence", BigInteger, nullable=False),
    Column("last_sequence", BigInteger, nullable=False),
    Column("stored", Integer, nullable=False),
    Column("quarantined", Integer, nullable=False),
    Column("duplicates", Integer, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("model_version", Unicode(200), comment="NULL: stored unscored, no champion model"),
    Column("suite_version", Unicode(64), nullable=False),
    Column("written_at", DateTime, nullable=False),
    Column("folded_at", DateTime, comment="when its window counts were committed; NULL: not yet"),
    CheckConstraint("last_sequence - first_sequence + 1 = stored + quarantined + duplicates", name="adds_up"),
    Index(None, "hub", "folded_at"),
    comment="Receipts: one row per stored range of one partition.",
)

drug = Table(
    "drug",
    metadata,
    Column("drug_id", BigInteger, primary_key=True, autoincrement=False, comment="64-bit hash of the name"),
    Column("name", Unicode(NAME_LENGTH), nullable=False, comment="normalised: upper case, single spaces"),
    comment="Drugs by normalised name (active substance where the report gives one).",
)

reaction = Table(
    "reaction",
    metadata,
    Column("reaction_id", BigInteger, primary_key=True, autoincrement=False, comment="64-bit hash of the name"),
    Column("name", Unicode(NAME_LENGTH), nullable=False, comment="MedDRA preferred term, upper case"),
    Column("is_overdose", SmallInteger, nullable=False, comment="1: the term ends in OVERDOSE"),
    comment="Reactions by normalised MedDRA preferred term.",
)

safety_report = Table(
    "safety_report",
    metadata,
    Column("case_key", BigInteger, primary_key=True, autoincrement=False, comment="64-bit hash of safetyreportid"),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("safetyreportid", Unicode(64), nullable=False),
    Column("digest", LargeBinary(32), nullable=False, comment="SHA-256 over the canonical JSON of the body"),
    Column("receipt_id", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False, comment="hub sequence number within its receipt's partition"),
    Column("enqueued_ms", BigInteger, nullable=False),
    Column("event_ms", BigInteger, nullable=False, comment="event time the windows count it by"),
    Column("receivedate", Date),
    Column("receiptdate", Date),
    Column("transmissiondate", Date),
    Column("serious", Boolean),
    Column("seriousness", Unicode(120), nullable=False, comment="criteria met, comma separated"),
    Column("age_years", Float),
    Column("age_whole_years", SmallInteger, comment="completed years"),
    Column("sex", SmallInteger, comment="0 unknown, 1 male, 2 female"),
    Column("weight_kg", Float),
    Column("qualification", SmallInteger),
    Column("country", Unicode(100)),
    Column("sender", Unicode(NAME_LENGTH)),
    Column("company_number", Unicode(NAME_LENGTH)),
    Column("drug_count", Integer, nullable=False),
    Column("reaction_count", Integer, nullable=False),
    Column("anomaly_score", Float, comment="isolation forest, 0 to 1, higher is stranger; NULL: unscored"),
    Column("anomaly_level", SmallInteger, comment="0 usual, 1 unusual, 2 extreme; NULL: unscored"),
    Column("anomaly_reasons", Unicode(400), comment="features that made it strange, comma separated"),
    Column("warnings", Unicode(1000), comment="codes of failed warning expectations, comma separated"),
    Column("model_version", Unicode(200)),
    Column("suite_version", Unicode(64), nullable=False),
    Column("stored_at", DateTime, nullable=False),
    Index(None, "receipt_id"),
    Index(None, "stored_at"),
    comment="One row per version of a case.",
)

report_drug = Table(
    "report_drug",
    metadata,
    Column("case_key", BigInteger, primary_key=True, autoincrement=False),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("ordinal", Integer, primary_key=True, autoincrement=False, comment="place in patient.drug, from 0"),
    Column("drug_id", BigInteger, comment="NULL: the entry names no drug"),
    Column("product", Unicode(NAME_LENGTH), comment="medicinalproduct as reported"),
    Column("characterization", SmallInteger, comment="1 suspect, 2 concomitant, 3 interacting"),
    Column("indication", Unicode(NAME_LENGTH)),
    Index(None, "drug_id"),
    comment="Drug entries of a stored report.",
)

report_reaction = Table(
    "report_reaction",
    metadata,
    Column("case_key", BigInteger, primary_key=True, autoincrement=False),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("ordinal", Integer, primary_key=True, autoincrement=False, comment="place in patient.reaction, from 0"),
    Column("reaction_id", BigInteger, comment="NULL: the entry names no term"),
    Column("outcome", SmallInteger),
    Index(None, "reaction_id"),
    comment="Reactions of a stored report.",
)

case_pair = Table(
    "case_pair",
    metadata,
    Column("case_key", BigInteger, primary_key=True, autoincrement=False),
    Column("drug_id", BigInteger, primary_key=True, autoincrement=False),
    Column("reaction_id", BigInteger, primary_key=True, autoincrement=False),
    Column(
        "event_ms",
        BigInteger,
        nullable=False,
        comment="smallest event time of the pair: where the case counts",
    ),
    Column("prev_ms", BigInteger, comment="event time before the last move"),
    Column("moved_by", BigInteger, nullable=False, comment="receipt that inserted or last moved it"),
    Index(None, "drug_id", "reaction_id", "event_ms"),
    comment="A case counts once per (suspect drug, reaction), in the window of its smallest event time.",
)

window_delta = Table(
    "window_delta",
    metadata,
    Column("receipt_id", BigInteger, primary_key=True, autoincrement=False),
    Column("drug_id", BigInteger, primary_key=True, autoincrement=False),
    Column("reaction_id", BigInteger, primary_key=True, autoincrement=False),
    Column("event_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("delta", Integer, nullable=False),
    comment="Changes of counts a task caused; gone once its receipt is folded.",
)


def _window_key() -> list[Column[int]]:
    return [
        Column("width_ms", BigInteger, primary_key=True, autoincrement=False),
        Column("drug_id", BigInteger, primary_key=True, autoincrement=False),
        Column("reaction_id", BigInteger, primary_key=True, autoincrement=False),
        Column("window_start_ms", BigInteger, primary_key=True, autoincrement=False),
    ]


reaction_window = Table(
    "reaction_window",
    metadata,
    *_window_key(),
    Column("cases", Integer, nullable=False),
    Index(None, "width_ms", "window_start_ms", "cases"),
    comment="Distinct cases per (drug, reaction) and window. A window without a row counts zero.",
)

window_total = Table(
    "window_total",
    metadata,
    *_window_key(),
    Column("cases", Integer, nullable=False),
    comment="Sums of reaction_window: per drug (reaction_id 0), per reaction (drug_id 0) and over all (both 0).",
)

window_clock = Table(
    "window_clock",
    metadata,
    Column("width_ms", BigInteger, primary_key=True, autoincrement=False),
    Column(
        "closed_until_ms",
        BigInteger,
        nullable=False,
        comment="every window ending at or before this is closed",
    ),
    comment="How far the windows of each width have been closed and judged.",
)

spike = Table(
    "spike",
    metadata,
    *_window_key(),
    Column("cases", Integer, nullable=False, comment="distinct cases when last judged"),
    Column("expected", Float, nullable=False),
    Column("spread", Float, nullable=False),
    Column("z", Float, nullable=False),
    Column("p", Float, nullable=False),
    Column("stage", Unicode(10), nullable=False, comment="open, closed or late: when it was found"),
    Column("rules", Unicode(120), nullable=False, comment="rules that found it, comma separated"),
    Column("rules_version", Unicode(64), nullable=False),
    Column("found_at", DateTime, nullable=False),
    comment="Findings: windows in which a pair was reported unusually often. A finding is never withdrawn.",
)

alert = Table(
    "alert",
    metadata,
    Column("alert_id", Unicode(36), primary_key=True, comment="random UUID"),
    Column("kind", Unicode(30), nullable=False),
    Column("status", Unicode(10), nullable=False),
    Column("drug_id", BigInteger),
    Column("reaction_id", BigInteger),
    Column("case_key", BigInteger),
    Column("version", BigInteger),
    Column("score", Float),
    Column("reasons", Unicode(400)),
    Column("opened_at_ms", BigInteger, nullable=False),
    Column("since_ms", BigInteger, nullable=False, comment="start of the first alarmed window"),
    Column("last_alarm_end_ms", BigInteger, nullable=False),
    Column("width_ms", BigInteger, nullable=False, comment="window of the strongest evidence"),
    Column("window_start_ms", BigInteger, nullable=False),
    Column("cases", Integer, nullable=False),
    Column("expected", Float, nullable=False),
    Column("spread", Float, nullable=False),
    Column("z", Float, nullable=False),
    Column("p", Float, nullable=False),
    Column("widths", Unicode(200), nullable=False, comment="all alarmed widths (ms), comma separated"),
    Column("published_cases", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("closed_at_ms", BigInteger),
    Index(None, "status", "kind"),
    Index(None, "case_key"),
    comment="One row per episode: one (drug, reaction) from its first alarmed window to quiet, or one report.",
)

alert_case = Table(
    "alert_case",
    metadata,
    Column("alert_id", Unicode(36), primary_key=True),
    Column("case_key", BigInteger, primary_key=True, autoincrement=False),
    comment="Evidence: the cases an alert speaks of.",
)

alert_history = Table(
    "alert_history",
    metadata,
    Column("alert_id", Unicode(36), primary_key=True),
    Column("entry", Integer, primary_key=True, autoincrement=False, comment="1, 2, … per alert"),
    Column("at", DateTime, nullable=False),
    Column("who", Unicode(200), nullable=False),
    Column("change", Unicode(30), nullable=False),
    Column("old", UnicodeText),
    Column("new", UnicodeText, nullable=False),
    comment="Append-only: what became of an alert, when and by whom.",
)

alert_outbox = Table(
    "alert_outbox",
    metadata,
    Column("outbox_id", Unicode(36), primary_key=True, comment="random UUID"),
    Column("alert_id", Unicode(36), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False, comment="CloudEvents 1.0 JSON"),
    Column("created_ms", BigInteger, nullable=False),
    Column("sent_at", DateTime),
    Index(None, "sent_at", "created_ms"),
    comment="Messages for the alerts hub, written with what they tell of; sent at least once.",
)

silence = Table(
    "silence",
    metadata,
    Column("silence_id", Unicode(36), primary_key=True),
    Column("drug_id", BigInteger, comment="NULL: every drug"),
    Column("reaction_id", BigInteger, comment="NULL: every reaction"),
    Column("until_ms", BigInteger, nullable=False),
    Column("who", Unicode(200), nullable=False),
    Column("reason", Unicode(NAME_LENGTH), nullable=False),
    Column("created_at", DateTime, nullable=False),
    comment="Pairs for which findings are kept but no alert is opened for a while.",
)

quarantined_report = Table(
    "quarantined_report",
    metadata,
    Column("hub", Unicode(300), primary_key=True),
    Column("generation", BigInteger, primary_key=True),
    Column("partition_id", Unicode(20), primary_key=True),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("receipt_id", BigInteger, nullable=False),
    Column("enqueued_ms", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False, comment="the original bytes"),
    Column("reasons", Unicode(1000), nullable=False, comment="reason codes, comma separated"),
    Column("path", Unicode(400), comment="JSON path of what broke, never the text"),
    Column("suite_version", Unicode(64), nullable=False),
    Column("state", Unicode(20), nullable=False, comment="kept"),
    Column("stored_at", DateTime, nullable=False),
    Index(None, "stored_at"),
    comment="Reports that could not be used, whole, with why and where they came from.",
)
