"""The tables: SQLAlchemy Core metadata is the one source of the schema.

Times named `*_ms` are UTC milliseconds since 1970, integers so that window arithmetic is the same on every
database. Columns of type `timestamp` are UTC and meant for people and refresh filters.

A change here needs a migration in `sql/migrations/versions`; a test holds the two against each other.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    text,
)

from sql.column_types import Finite, binary, date, long_string, string, timestamp

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


def _hub_column(*, primary_key: bool = False) -> Column[str]:
    return Column(
        "hub",
        string(300),
        primary_key=primary_key,
        nullable=False,
        comment="namespace host/hub, or file:digest for a backfill",
    )


def _generation_column(*, primary_key: bool = False) -> Column[int]:
    return Column(
        "generation",
        BigInteger,
        primary_key=primary_key,
        autoincrement=False,
        nullable=False,
        comment="created-at of the hub (UTC ms): tells a recreated one",
    )


def _partition_column(*, primary_key: bool = False) -> Column[str]:
    return Column(
        "partition_id", string(20), primary_key=primary_key, nullable=False, comment="partition of the hub, from 0"
    )


def _key(name: str, comment: str) -> Column[int]:
    return Column(name, BigInteger, primary_key=True, autoincrement=False, comment=comment)


def _case_key() -> Column[int]:
    return _key("case_key", "64-bit hash of safetyreportid")


def _version_key() -> Column[int]:
    return _key("version", "version of the case: safetyreportversion, else receipt date as yyyymmdd, else 0")


def _report_key() -> list[Column[int]]:
    """Of the report a row belongs to: where it came in, so that what is stored together lies together."""
    return [
        _key("receipt_id", "receipt of the report, as in safety_report"),
        _key("sequence", "hub sequence number of the report, as in safety_report"),
    ]


def _drug_key(comment: str = "the drug, as in table drug") -> Column[int]:
    return _key("drug_id", comment)


def _reaction_key(comment: str = "the reaction, as in table reaction") -> Column[int]:
    return _key("reaction_id", comment)


def _suite_column() -> Column[str]:
    return Column("suite_version", string(64), nullable=False, comment="expectation suite that judged it")


hub_position = Table(
    "hub_position",
    metadata,
    _hub_column(primary_key=True),
    _generation_column(primary_key=True),
    _partition_column(primary_key=True),
    Column("next_sequence", BigInteger, nullable=False, comment="first sequence number not stored yet"),
    Column("epoch", BigInteger, nullable=False, comment="the run that may move this position"),
    Column("enqueued_ms", BigInteger, comment="enqueued time of the last stored event (UTC ms)"),
    Column("event_ms", BigInteger, comment="largest event time stored (UTC ms)"),
    comment="How far each hub partition has been stored: the checkpoint.",
)

stream_lease = Table(
    "stream_lease",
    metadata,
    _hub_column(primary_key=True),
    Column("epoch", BigInteger, nullable=False, comment="number of the run that holds it; every takeover raises it"),
    Column("holder", string(300), nullable=False, comment="host:pid:start of the process that holds it"),
    Column("beat_ms", BigInteger, nullable=False, comment="last sign of life (UTC ms); 0 when released"),
    comment="Who may write: one stream per hub.",
)

ingest_task = Table(
    "ingest_task",
    metadata,
    _key("receipt_id", "id of the attempt that stored the range, rising with time"),
    _hub_column(),
    _generation_column(),
    _partition_column(),
    Column("first_sequence", BigInteger, nullable=False, comment="first sequence number of the range"),
    Column("last_sequence", BigInteger, nullable=False, comment="last sequence number of the range"),
    Column("stored", Integer, nullable=False, comment="reports that became rows of safety_report"),
    Column("quarantined", Integer, nullable=False, comment="reports that became rows of quarantined_report"),
    Column("duplicates", Integer, nullable=False, comment="reports that were stored before, identical"),
    Column("epoch", BigInteger, nullable=False, comment="the run that stored the range"),
    Column("model_version", string(200), comment="model that scored it; NULL: no champion model was there"),
    _suite_column(),
    Column("written_at", timestamp(), nullable=False, comment="when the range was stored (UTC)"),
    Column("folded_at", timestamp(), comment="when its window counts were committed (UTC); NULL: not yet"),
    CheckConstraint("last_sequence - first_sequence + 1 = stored + quarantined + duplicates", name="adds_up"),
    Index(None, "hub", "folded_at"),
    comment="Receipts: one row per stored range of one partition.",
)

drug = Table(
    "drug",
    metadata,
    _drug_key("64-bit hash of the name"),
    Column("name", string(NAME_LENGTH), nullable=False, comment="normalised: upper case, single spaces"),
    comment="Drugs by normalised name (active substance where the report gives one).",
)

reaction = Table(
    "reaction",
    metadata,
    _reaction_key("64-bit hash of the name"),
    Column("name", string(NAME_LENGTH), nullable=False, comment="MedDRA preferred term, upper case"),
    Column("is_overdose", SmallInteger, nullable=False, comment="1: the term ends in OVERDOSE"),
    comment="Reactions by normalised MedDRA preferred term.",
)

safety_report = Table(
    "safety_report",
    metadata,
    _case_key(),
    _version_key(),
    Column("safetyreportid", string(64), nullable=False, comment="the case, as the sender names it"),
    Column("digest", binary(32), nullable=False, comment="SHA-256 over the canonical JSON of the body"),
    Column("receipt_id", BigInteger, nullable=False, comment="receipt of the range that stored it"),
    Column("sequence", BigInteger, nullable=False, comment="hub sequence number within its receipt's partition"),
    Column("enqueued_ms", BigInteger, nullable=False, comment="when the hub took it in (UTC ms)"),
    Column("event_ms", BigInteger, nullable=False, comment="event time the windows count it by (UTC ms)"),
    Column("receivedate", date(), comment="first received by the sender"),
    Column("receiptdate", date(), comment="most recent information received by the sender"),
    Column("transmissiondate", date(), comment="transmitted by the sender"),
    Column("serious", Boolean, comment="whether the sender calls it serious; NULL: not said"),
    Column("seriousness", string(120), nullable=False, comment="criteria met, comma separated"),
    Column("age_years", Finite(), comment="age at onset as reported, in years"),
    Column("age_whole_years", SmallInteger, comment="age at onset in completed years"),
    Column("sex", SmallInteger, comment="0 unknown, 1 male, 2 female"),
    Column("weight_kg", Finite(), comment="weight in kg"),
    Column("qualification", SmallInteger, comment="who reported: 1 physician to 5 consumer, as openFDA codes it"),
    Column("country", string(100), comment="where the reaction occurred"),
    Column("sender", string(NAME_LENGTH), comment="organisation that sent it"),
    Column("company_number", string(NAME_LENGTH), comment="the sender's own number of the case"),
    Column("drug_count", Integer, nullable=False, comment="drug entries of the report"),
    Column("reaction_count", Integer, nullable=False, comment="reaction entries of the report"),
    Column("anomaly_score", Finite(), comment="isolation forest, 0 to 1, higher is stranger; NULL: unscored"),
    Column("anomaly_level", SmallInteger, comment="0 usual, 1 unusual, 2 extreme; NULL: unscored"),
    Column("anomaly_reasons", string(400), comment="features that made it strange, comma separated"),
    Column("warnings", string(1000), comment="codes of failed warning expectations, comma separated"),
    Column("model_version", string(200), comment="model that scored it; NULL: unscored"),
    _suite_column(),
    Column("stored_at", timestamp(), nullable=False, comment="when it was stored (UTC)"),
    Column("pruned_at", timestamp(), comment="when what it says was forgotten (UTC); NULL: it is all here"),
    Column("unknown_fields", Integer, comment="fields it has that openFDA has not; NULL: not counted yet"),
    Column(
        "duplicate_number",
        string(NAME_LENGTH),
        comment="first reportduplicate.duplicatenumb: the number other senders gave the case",
    ),
    Index(None, "receipt_id", "sequence"),
    Index(None, "stored_at"),
    comment="One row per version of a case.",
)

report_drug = Table(
    "report_drug",
    metadata,
    *_report_key(),
    Column("ordinal", Integer, primary_key=True, autoincrement=False, comment="place in patient.drug, from 0"),
    Column("drug_id", BigInteger, comment="the drug, as in table drug; NULL: the entry names none"),
    Column("product", string(NAME_LENGTH), comment="medicinalproduct as reported"),
    Column("characterization", SmallInteger, comment="1 suspect, 2 concomitant, 3 interacting"),
    Column("indication", string(NAME_LENGTH), comment="what it was given for, upper case"),
    comment="Drug entries of a stored report.",
    sqlite_with_rowid=False,
)

report_reaction = Table(
    "report_reaction",
    metadata,
    *_report_key(),
    Column("ordinal", Integer, primary_key=True, autoincrement=False, comment="place in patient.reaction, from 0"),
    Column("reaction_id", BigInteger, comment="the reaction, as in table reaction; NULL: the entry names no term"),
    Column("outcome", SmallInteger, comment="1 recovered to 5 fatal, 6 unknown, as openFDA codes it"),
    comment="Reactions of a stored report.",
    sqlite_with_rowid=False,
)

case_pair = Table(
    "case_pair",
    metadata,
    _case_key(),
    _drug_key(),
    _reaction_key(),
    Column(
        "event_ms",
        BigInteger,
        nullable=False,
        comment="smallest event time of the pair (UTC ms): where the case counts",
    ),
    Column("prev_ms", BigInteger, comment="event time before the last move (UTC ms)"),
    Column("moved_by", BigInteger, nullable=False, comment="receipt that inserted or last moved it"),
    Index(None, "drug_id", "event_ms", "reaction_id"),
    comment="A case counts once per (suspect drug, reaction), in the window of its smallest event time.",
    sqlite_with_rowid=False,
)

window_delta = Table(
    "window_delta",
    metadata,
    _key("receipt_id", "receipt of the task that caused the change"),
    _drug_key(),
    _reaction_key(),
    _key("event_ms", "event time whose windows change (UTC ms)"),
    Column("delta", Integer, nullable=False, comment="cases more (or, below 0, fewer)"),
    comment="Changes of counts a task caused; gone once its receipt is folded.",
    sqlite_with_rowid=False,
)


def _window_key(*, or_all: bool = False) -> list[Column[int]]:
    """By time before anything else: what a commit touches lies together, however much there is from before."""
    zero = "; 0: all" if or_all else ""
    return [
        _key("width_ms", "width of the window (ms)"),
        _key("window_start_ms", "start of the window (UTC ms)"),
        _drug_key(f"the drug, as in table drug{zero}"),
        _reaction_key(f"the reaction, as in table reaction{zero}"),
    ]


reaction_window = Table(
    "reaction_window",
    metadata,
    *_window_key(),
    Column("cases", Integer, nullable=False, comment="distinct cases of the pair"),
    comment="Distinct cases per (drug, reaction) and window. A window without a row counts zero.",
    sqlite_with_rowid=False,
)

window_total = Table(
    "window_total",
    metadata,
    *_window_key(or_all=True),
    Column("cases", Integer, nullable=False, comment="sum of cases over the pairs meant"),
    comment="Sums of reaction_window: per drug (reaction_id 0), per reaction (drug_id 0) and over all (both 0).",
    sqlite_with_rowid=False,
)

window_clock = Table(
    "window_clock",
    metadata,
    _key("width_ms", "width of the windows (ms)"),
    Column(
        "closed_until_ms",
        BigInteger,
        nullable=False,
        comment="every window ending at or before this (UTC ms) is closed",
    ),
    comment="How far the windows of each width have been closed and judged.",
)


def _windows_column(comment: str) -> Column[int]:
    return Column("windows", SmallInteger, nullable=False, server_default=text("1"), comment=comment)


spike = Table(
    "spike",
    metadata,
    *_window_key(),
    Column("cases", Integer, nullable=False, comment="distinct cases when last judged"),
    Column("expected", Finite(), nullable=False, comment="cases expected in all of these windows"),
    Column("spread", Finite(), nullable=False, comment="standard deviation of a quiet count"),
    Column("z", Finite(), nullable=False, comment="distance from the expectation in spreads (Anscombe residual)"),
    Column("p", Finite(), nullable=False, comment="probability of so many cases or more by chance"),
    Column("stage", string(10), nullable=False, comment="open, closed or late: when it was found"),
    Column("rules", string(120), nullable=False, comment="rules that found it, comma separated"),
    Column("rules_version", string(64), nullable=False, comment="settings of the rules"),
    Column("found_at", timestamp(), nullable=False, comment="when it was found (UTC)"),
    _windows_column("windows that expected, spread, z and p are about: 1, or 2 with the one before"),
    Column("observed", Integer, comment="cases in these windows"),
    Column("pair_cases", Integer, comment="cases of the pair since counting began"),
    Column("pair_expected", Finite(), comment="of these, how many chance alone would give"),
    Column("prr", Finite(), comment="proportional reporting ratio since counting began"),
    Column("chi_squared", Finite(), comment="chi-squared of the same four-fold table, with Yates' correction"),
    Column("ror", Finite(), comment="reporting odds ratio since counting began"),
    Column("ror_lower", Finite(), comment="lower end of its 95% interval"),
    Column("ror_upper", Finite(), comment="upper end of its 95% interval"),
    Column(
        "ic", Finite(), comment="information component since counting began: log2 of observed over expected, shrunk"
    ),
    Column("ic025", Finite(), comment="lower end of its 95% credibility interval"),
    Column("ic975", Finite(), comment="upper end of its 95% credibility interval"),
    Column(
        "largest_sender_share",
        Finite(),
        comment="share of the spike's cases from the sender with most of them; NULL: none names one",
    ),
    Column(
        "same_duplicate_number",
        Integer,
        comment="how many of the spike's cases carry a duplicate number that another of them carries too",
    ),
    Column("serious_share", Finite(), comment="share of serious cases among the spike's that say; NULL: none says"),
    comment="Findings: windows in which a pair was reported unusually often. A finding is never withdrawn.",
)


def _alert_key(comment: str = "the alert, as in table alert") -> Column[str]:
    return Column("alert_id", string(36), primary_key=True, comment=comment)


alert = Table(
    "alert",
    metadata,
    _alert_key("random UUID"),
    Column(
        "kind",
        string(30),
        nullable=False,
        comment="what it is about: a spike of a pair, one unusual report or the pipeline",
    ),
    Column("status", string(10), nullable=False, comment="open or closed"),
    Column("drug_id", BigInteger, comment="the drug, as in table drug; NULL: it is about one report"),
    Column("reaction_id", BigInteger, comment="the reaction, as in table reaction; NULL: it is about one report"),
    Column("case_key", BigInteger, comment="the case, where it is about one report"),
    Column("version", BigInteger, comment="version of the case, where it is about one report"),
    Column("score", Finite(), comment="anomaly score, where it is about one report"),
    Column("reasons", string(400), comment="features that made the report strange, comma separated"),
    Column("opened_at_ms", BigInteger, nullable=False, comment="when it was opened (UTC ms)"),
    Column("since_ms", BigInteger, nullable=False, comment="start of the first alarmed window (UTC ms)"),
    Column("last_alarm_end_ms", BigInteger, nullable=False, comment="end of the last alarmed window (UTC ms)"),
    Column("width_ms", BigInteger, nullable=False, comment="width of the window of the strongest evidence (ms)"),
    Column("window_start_ms", BigInteger, nullable=False, comment="start of that window (UTC ms)"),
    Column("cases", Integer, nullable=False, comment="distinct cases in these windows"),
    Column("expected", Finite(), nullable=False, comment="cases expected in these windows"),
    Column("spread", Finite(), nullable=False, comment="standard deviation of a quiet count"),
    Column("z", Finite(), nullable=False, comment="distance from the expectation in spreads (Anscombe residual)"),
    Column("p", Finite(), nullable=False, comment="probability of so many cases or more by chance"),
    Column("widths", string(200), nullable=False, comment="all alarmed widths (ms), comma separated"),
    Column("published_cases", Integer, nullable=False, comment="cases told in the last message"),
    Column("revision", Integer, nullable=False, comment="number of the last message, from 1"),
    Column("closed_at_ms", BigInteger, comment="when it was closed (UTC ms); NULL: still open"),
    Column("expectation", string(50), comment="code of the failed expectation, where it is about the pipeline"),
    Column("observed", Finite(), comment="what the expectation found, where it is about the pipeline"),
    _windows_column("windows of that width that the evidence is from, ending with the last"),
    Index(None, "status", "kind"),
    Index(None, "case_key"),
    comment="One row per episode: one (drug, reaction) from its first alarmed window to quiet, or one report.",
)

alert_case = Table(
    "alert_case",
    metadata,
    _alert_key(),
    _case_key(),
    comment="Evidence: the cases an alert speaks of.",
)

alert_history = Table(
    "alert_history",
    metadata,
    _alert_key(),
    Column("entry", Integer, primary_key=True, autoincrement=False, comment="its number within the alert, from 1"),
    Column("at", timestamp(), nullable=False, comment="when (UTC)"),
    Column("who", string(200), nullable=False, comment="by whom"),
    Column("change", string(30), nullable=False, comment="what happened to it"),
    Column("old", long_string(), comment="state before; NULL: there was none"),
    Column("new", long_string(), nullable=False, comment="state after"),
    comment="Append-only: what became of an alert, when and by whom.",
)

alert_outbox = Table(
    "alert_outbox",
    metadata,
    Column("outbox_id", string(36), primary_key=True, comment="random UUID"),
    Column("alert_id", string(36), nullable=False, comment="the alert, as in table alert"),
    Column("revision", Integer, nullable=False, comment="number of the message within its alert, from 1"),
    Column("body", binary(), nullable=False, comment="CloudEvents 1.0 JSON"),
    Column("created_ms", BigInteger, nullable=False, comment="when it was written (UTC ms)"),
    Column("sent_at", timestamp(), comment="when it reached the alerts hub (UTC); NULL: not yet"),
    Index(None, "sent_at", "created_ms"),
    comment="Messages for the alerts hub, written with what they tell of; sent at least once.",
)

silence = Table(
    "silence",
    metadata,
    Column("silence_id", string(36), primary_key=True, comment="random UUID"),
    Column("drug_id", BigInteger, comment="the drug, as in table drug; NULL: every drug"),
    Column("reaction_id", BigInteger, comment="the reaction, as in table reaction; NULL: every reaction"),
    Column("until_ms", BigInteger, nullable=False, comment="when it ends (UTC ms)"),
    Column("who", string(200), nullable=False, comment="by whom"),
    Column("reason", string(NAME_LENGTH), nullable=False, comment="why, in the words of whoever set it"),
    Column("created_at", timestamp(), nullable=False, comment="when it was set (UTC)"),
    comment="Pairs for which findings are kept but no alert is opened for a while.",
)

quarantined_report = Table(
    "quarantined_report",
    metadata,
    _hub_column(primary_key=True),
    _generation_column(primary_key=True),
    _partition_column(primary_key=True),
    _key("sequence", "hub sequence number within its partition"),
    Column("receipt_id", BigInteger, nullable=False, comment="receipt of the range it came in"),
    Column("enqueued_ms", BigInteger, nullable=False, comment="when the hub took it in (UTC ms)"),
    Column("body", binary(), nullable=False, comment="the original bytes; empty in every state but kept and replay"),
    Column("reasons", string(1000), nullable=False, comment="reason codes, comma separated"),
    Column("path", string(400), comment="JSON path of what broke, never the text"),
    _suite_column(),
    Column("state", string(20), nullable=False, comment="kept, replay (asked for), replayed, discarded or pruned"),
    Column("stored_at", timestamp(), nullable=False, comment="when it was stored (UTC)"),
    Column("changed_at", timestamp(), comment="when its state or reasons last changed (UTC); NULL: never"),
    Column("changed_by", string(200), comment="who asked for that; NULL: nobody"),
    Index(None, "stored_at"),
    Index(None, "hub", "state"),
    comment="Reports that could not be used, whole, with why and where they came from.",
)
