"""All tables of the first version. 0001 was that of development builds, which is not upgraded."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mssql

revision = "0002"
down_revision = None


def _string(length: int) -> sa.Unicode:
    return sa.Unicode(length).with_variant(sa.NVARCHAR(length, collation="Latin1_General_100_BIN2"), "mssql")


def _long_string() -> sa.UnicodeText:
    return sa.UnicodeText().with_variant(sa.NVARCHAR(None, collation="Latin1_General_100_BIN2"), "mssql")


def _binary(length: int | None = None) -> sa.LargeBinary:
    return sa.LargeBinary(length).with_variant(sa.VARBINARY(length), "mssql")


def _date() -> sa.Date:
    return sa.Date().with_variant(mssql.DATE, "mssql")


def _timestamp() -> sa.DateTime:
    return sa.DateTime().with_variant(mssql.DATETIME2, "mssql")


def upgrade() -> None:
    """Create them, with their indexes."""
    op.create_table(
        "hub_position",
        sa.Column("hub", _string(300), nullable=False, comment="namespace host/hub, or file:digest for a backfill"),
        sa.Column(
            "generation",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="created-at of the hub (UTC ms): tells a recreated one",
        ),
        sa.Column("partition_id", _string(20), nullable=False, comment="partition of the hub, from 0"),
        sa.Column("next_sequence", sa.BigInteger(), nullable=False, comment="first sequence number not stored yet"),
        sa.Column("epoch", sa.BigInteger(), nullable=False, comment="the run that may move this position"),
        sa.Column(
            "enqueued_ms", sa.BigInteger(), nullable=True, comment="enqueued time of the last stored event (UTC ms)"
        ),
        sa.Column("event_ms", sa.BigInteger(), nullable=True, comment="largest event time stored (UTC ms)"),
        sa.PrimaryKeyConstraint("hub", "generation", "partition_id", name=op.f("pk_hub_position")),
        comment="How far each hub partition has been stored: the checkpoint.",
    )

    op.create_table(
        "stream_lease",
        sa.Column("hub", _string(300), nullable=False, comment="namespace host/hub, or file:digest for a backfill"),
        sa.Column(
            "epoch",
            sa.BigInteger(),
            nullable=False,
            comment="number of the run that holds it; every takeover raises it",
        ),
        sa.Column("holder", _string(300), nullable=False, comment="host:pid:start of the process that holds it"),
        sa.Column("beat_ms", sa.BigInteger(), nullable=False, comment="last sign of life (UTC ms); 0 when released"),
        sa.PrimaryKeyConstraint("hub", name=op.f("pk_stream_lease")),
        comment="Who may write: one stream per hub.",
    )

    op.create_table(
        "ingest_task",
        sa.Column(
            "receipt_id",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="id of the attempt that stored the range, rising with time",
        ),
        sa.Column("hub", _string(300), nullable=False, comment="namespace host/hub, or file:digest for a backfill"),
        sa.Column(
            "generation",
            sa.BigInteger(),
            nullable=False,
            comment="created-at of the hub (UTC ms): tells a recreated one",
        ),
        sa.Column("partition_id", _string(20), nullable=False, comment="partition of the hub, from 0"),
        sa.Column("first_sequence", sa.BigInteger(), nullable=False, comment="first sequence number of the range"),
        sa.Column("last_sequence", sa.BigInteger(), nullable=False, comment="last sequence number of the range"),
        sa.Column("stored", sa.Integer(), nullable=False, comment="reports that became rows of safety_report"),
        sa.Column(
            "quarantined", sa.Integer(), nullable=False, comment="reports that became rows of quarantined_report"
        ),
        sa.Column("duplicates", sa.Integer(), nullable=False, comment="reports that were stored before, identical"),
        sa.Column("epoch", sa.BigInteger(), nullable=False, comment="the run that stored the range"),
        sa.Column(
            "model_version",
            _string(200),
            nullable=True,
            comment="model that scored it; NULL: no champion model was there",
        ),
        sa.Column("suite_version", _string(64), nullable=False, comment="expectation suite that judged it"),
        sa.Column("written_at", _timestamp(), nullable=False, comment="when the range was stored (UTC)"),
        sa.Column(
            "folded_at",
            _timestamp(),
            nullable=True,
            comment="when its window counts were committed (UTC); NULL: not yet",
        ),
        sa.PrimaryKeyConstraint("receipt_id", name=op.f("pk_ingest_task")),
        sa.CheckConstraint(
            "last_sequence - first_sequence + 1 = stored + quarantined + duplicates",
            name=op.f("ck_ingest_task_adds_up"),
        ),
        comment="Receipts: one row per stored range of one partition.",
    )
    op.create_index(op.f("ix_ingest_task_hub_folded_at"), "ingest_task", ["hub", "folded_at"])

    op.create_table(
        "drug",
        sa.Column("drug_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="64-bit hash of the name"),
        sa.Column("name", _string(500), nullable=False, comment="normalised: upper case, single spaces"),
        sa.PrimaryKeyConstraint("drug_id", name=op.f("pk_drug")),
        comment="Drugs by normalised name (active substance where the report gives one).",
    )

    op.create_table(
        "reaction",
        sa.Column(
            "reaction_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="64-bit hash of the name"
        ),
        sa.Column("name", _string(500), nullable=False, comment="MedDRA preferred term, upper case"),
        sa.Column("is_overdose", sa.SmallInteger(), nullable=False, comment="1: the term ends in OVERDOSE"),
        sa.PrimaryKeyConstraint("reaction_id", name=op.f("pk_reaction")),
        comment="Reactions by normalised MedDRA preferred term.",
    )

    op.create_table(
        "safety_report",
        sa.Column(
            "case_key", sa.BigInteger(), autoincrement=False, nullable=False, comment="64-bit hash of safetyreportid"
        ),
        sa.Column(
            "version",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="version of the case: safetyreportversion, else receipt date as yyyymmdd, else 0",
        ),
        sa.Column("safetyreportid", _string(64), nullable=False, comment="the case, as the sender names it"),
        sa.Column("digest", _binary(32), nullable=False, comment="SHA-256 over the canonical JSON of the body"),
        sa.Column("receipt_id", sa.BigInteger(), nullable=False, comment="receipt of the range that stored it"),
        sa.Column(
            "sequence", sa.BigInteger(), nullable=False, comment="hub sequence number within its receipt's partition"
        ),
        sa.Column("enqueued_ms", sa.BigInteger(), nullable=False, comment="when the hub took it in (UTC ms)"),
        sa.Column("event_ms", sa.BigInteger(), nullable=False, comment="event time the windows count it by (UTC ms)"),
        sa.Column("receivedate", _date(), nullable=True, comment="first received by the sender"),
        sa.Column("receiptdate", _date(), nullable=True, comment="most recent information received by the sender"),
        sa.Column("transmissiondate", _date(), nullable=True, comment="transmitted by the sender"),
        sa.Column(
            "serious", sa.Boolean(), nullable=True, comment="whether the sender calls it serious; NULL: not said"
        ),
        sa.Column("seriousness", _string(120), nullable=False, comment="criteria met, comma separated"),
        sa.Column("age_years", sa.Float(), nullable=True, comment="age at onset as reported, in years"),
        sa.Column("age_whole_years", sa.SmallInteger(), nullable=True, comment="age at onset in completed years"),
        sa.Column("sex", sa.SmallInteger(), nullable=True, comment="0 unknown, 1 male, 2 female"),
        sa.Column("weight_kg", sa.Float(), nullable=True, comment="weight in kg"),
        sa.Column(
            "qualification",
            sa.SmallInteger(),
            nullable=True,
            comment="who reported: 1 physician to 5 consumer, as openFDA codes it",
        ),
        sa.Column("country", _string(100), nullable=True, comment="where the reaction occurred"),
        sa.Column("sender", _string(500), nullable=True, comment="organisation that sent it"),
        sa.Column("company_number", _string(500), nullable=True, comment="the sender's own number of the case"),
        sa.Column("drug_count", sa.Integer(), nullable=False, comment="drug entries of the report"),
        sa.Column("reaction_count", sa.Integer(), nullable=False, comment="reaction entries of the report"),
        sa.Column(
            "anomaly_score",
            sa.Float(),
            nullable=True,
            comment="isolation forest, 0 to 1, higher is stranger; NULL: unscored",
        ),
        sa.Column(
            "anomaly_level", sa.SmallInteger(), nullable=True, comment="0 usual, 1 unusual, 2 extreme; NULL: unscored"
        ),
        sa.Column(
            "anomaly_reasons", _string(400), nullable=True, comment="features that made it strange, comma separated"
        ),
        sa.Column(
            "warnings", _string(1000), nullable=True, comment="codes of failed warning expectations, comma separated"
        ),
        sa.Column("model_version", _string(200), nullable=True, comment="model that scored it; NULL: unscored"),
        sa.Column("suite_version", _string(64), nullable=False, comment="expectation suite that judged it"),
        sa.Column("stored_at", _timestamp(), nullable=False, comment="when it was stored (UTC)"),
        sa.Column(
            "pruned_at",
            _timestamp(),
            nullable=True,
            comment="when what it says was forgotten (UTC); NULL: it is all here",
        ),
        sa.PrimaryKeyConstraint("case_key", "version", name=op.f("pk_safety_report")),
        comment="One row per version of a case.",
    )
    op.create_index(op.f("ix_safety_report_receipt_id_sequence"), "safety_report", ["receipt_id", "sequence"])
    op.create_index(op.f("ix_safety_report_stored_at"), "safety_report", ["stored_at"])

    op.create_table(
        "report_drug",
        sa.Column(
            "receipt_id",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="receipt of the report, as in safety_report",
        ),
        sa.Column(
            "sequence",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="hub sequence number of the report, as in safety_report",
        ),
        sa.Column(
            "ordinal", sa.Integer(), autoincrement=False, nullable=False, comment="place in patient.drug, from 0"
        ),
        sa.Column(
            "drug_id", sa.BigInteger(), nullable=True, comment="the drug, as in table drug; NULL: the entry names none"
        ),
        sa.Column("product", _string(500), nullable=True, comment="medicinalproduct as reported"),
        sa.Column(
            "characterization", sa.SmallInteger(), nullable=True, comment="1 suspect, 2 concomitant, 3 interacting"
        ),
        sa.Column("indication", _string(500), nullable=True, comment="what it was given for, upper case"),
        sa.PrimaryKeyConstraint("receipt_id", "sequence", "ordinal", name=op.f("pk_report_drug")),
        comment="Drug entries of a stored report.",
        sqlite_with_rowid=False,
    )

    op.create_table(
        "report_reaction",
        sa.Column(
            "receipt_id",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="receipt of the report, as in safety_report",
        ),
        sa.Column(
            "sequence",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="hub sequence number of the report, as in safety_report",
        ),
        sa.Column(
            "ordinal", sa.Integer(), autoincrement=False, nullable=False, comment="place in patient.reaction, from 0"
        ),
        sa.Column(
            "reaction_id",
            sa.BigInteger(),
            nullable=True,
            comment="the reaction, as in table reaction; NULL: the entry names no term",
        ),
        sa.Column(
            "outcome",
            sa.SmallInteger(),
            nullable=True,
            comment="1 recovered to 5 fatal, 6 unknown, as openFDA codes it",
        ),
        sa.PrimaryKeyConstraint("receipt_id", "sequence", "ordinal", name=op.f("pk_report_reaction")),
        comment="Reactions of a stored report.",
        sqlite_with_rowid=False,
    )

    op.create_table(
        "case_pair",
        sa.Column(
            "case_key", sa.BigInteger(), autoincrement=False, nullable=False, comment="64-bit hash of safetyreportid"
        ),
        sa.Column(
            "drug_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="the drug, as in table drug"
        ),
        sa.Column(
            "reaction_id",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="the reaction, as in table reaction",
        ),
        sa.Column(
            "event_ms",
            sa.BigInteger(),
            nullable=False,
            comment="smallest event time of the pair (UTC ms): where the case counts",
        ),
        sa.Column("prev_ms", sa.BigInteger(), nullable=True, comment="event time before the last move (UTC ms)"),
        sa.Column("moved_by", sa.BigInteger(), nullable=False, comment="receipt that inserted or last moved it"),
        sa.PrimaryKeyConstraint("case_key", "drug_id", "reaction_id", name=op.f("pk_case_pair")),
        comment="A case counts once per (suspect drug, reaction), in the window of its smallest event time.",
        sqlite_with_rowid=False,
    )
    op.create_index(
        op.f("ix_case_pair_drug_id_event_ms_reaction_id"), "case_pair", ["drug_id", "event_ms", "reaction_id"]
    )

    op.create_table(
        "window_delta",
        sa.Column(
            "receipt_id",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="receipt of the task that caused the change",
        ),
        sa.Column(
            "drug_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="the drug, as in table drug"
        ),
        sa.Column(
            "reaction_id",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="the reaction, as in table reaction",
        ),
        sa.Column(
            "event_ms",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="event time whose windows change (UTC ms)",
        ),
        sa.Column("delta", sa.Integer(), nullable=False, comment="cases more (or, below 0, fewer)"),
        sa.PrimaryKeyConstraint("receipt_id", "drug_id", "reaction_id", "event_ms", name=op.f("pk_window_delta")),
        comment="Changes of counts a task caused; gone once its receipt is folded.",
        sqlite_with_rowid=False,
    )

    op.create_table(
        "reaction_window",
        sa.Column("width_ms", sa.BigInteger(), autoincrement=False, nullable=False, comment="width of the window (ms)"),
        sa.Column(
            "window_start_ms",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="start of the window (UTC ms)",
        ),
        sa.Column(
            "drug_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="the drug, as in table drug"
        ),
        sa.Column(
            "reaction_id",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="the reaction, as in table reaction",
        ),
        sa.Column("cases", sa.Integer(), nullable=False, comment="distinct cases of the pair"),
        sa.PrimaryKeyConstraint(
            "width_ms", "window_start_ms", "drug_id", "reaction_id", name=op.f("pk_reaction_window")
        ),
        comment="Distinct cases per (drug, reaction) and window. A window without a row counts zero.",
        sqlite_with_rowid=False,
    )

    op.create_table(
        "window_total",
        sa.Column("width_ms", sa.BigInteger(), autoincrement=False, nullable=False, comment="width of the window (ms)"),
        sa.Column(
            "window_start_ms",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="start of the window (UTC ms)",
        ),
        sa.Column(
            "drug_id",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="the drug, as in table drug; 0: all",
        ),
        sa.Column(
            "reaction_id",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="the reaction, as in table reaction; 0: all",
        ),
        sa.Column("cases", sa.Integer(), nullable=False, comment="sum of cases over the pairs meant"),
        sa.PrimaryKeyConstraint("width_ms", "window_start_ms", "drug_id", "reaction_id", name=op.f("pk_window_total")),
        comment="Sums of reaction_window: per drug (reaction_id 0), per reaction (drug_id 0) and over all (both 0).",
        sqlite_with_rowid=False,
    )

    op.create_table(
        "window_clock",
        sa.Column(
            "width_ms", sa.BigInteger(), autoincrement=False, nullable=False, comment="width of the windows (ms)"
        ),
        sa.Column(
            "closed_until_ms",
            sa.BigInteger(),
            nullable=False,
            comment="every window ending at or before this (UTC ms) is closed",
        ),
        sa.PrimaryKeyConstraint("width_ms", name=op.f("pk_window_clock")),
        comment="How far the windows of each width have been closed and judged.",
    )

    op.create_table(
        "spike",
        sa.Column("width_ms", sa.BigInteger(), autoincrement=False, nullable=False, comment="width of the window (ms)"),
        sa.Column(
            "window_start_ms",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="start of the window (UTC ms)",
        ),
        sa.Column(
            "drug_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="the drug, as in table drug"
        ),
        sa.Column(
            "reaction_id",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="the reaction, as in table reaction",
        ),
        sa.Column("cases", sa.Integer(), nullable=False, comment="distinct cases when last judged"),
        sa.Column("expected", sa.Float(), nullable=False, comment="cases expected in the whole window"),
        sa.Column("spread", sa.Float(), nullable=False, comment="standard deviation of a quiet window's count"),
        sa.Column("z", sa.Float(), nullable=False, comment="(cases - expected) / spread"),
        sa.Column("p", sa.Float(), nullable=False, comment="probability of so many cases or more by chance"),
        sa.Column("stage", _string(10), nullable=False, comment="open, closed or late: when it was found"),
        sa.Column("rules", _string(120), nullable=False, comment="rules that found it, comma separated"),
        sa.Column("rules_version", _string(64), nullable=False, comment="settings of the rules"),
        sa.Column("found_at", _timestamp(), nullable=False, comment="when it was found (UTC)"),
        sa.PrimaryKeyConstraint("width_ms", "window_start_ms", "drug_id", "reaction_id", name=op.f("pk_spike")),
        comment="Findings: windows in which a pair was reported unusually often. A finding is never withdrawn.",
    )

    op.create_table(
        "alert",
        sa.Column("alert_id", _string(36), nullable=False, comment="random UUID"),
        sa.Column(
            "kind", _string(30), nullable=False, comment="what it is about: a spike of a pair or one unusual report"
        ),
        sa.Column("status", _string(10), nullable=False, comment="open or closed"),
        sa.Column(
            "drug_id",
            sa.BigInteger(),
            nullable=True,
            comment="the drug, as in table drug; NULL: it is about one report",
        ),
        sa.Column(
            "reaction_id",
            sa.BigInteger(),
            nullable=True,
            comment="the reaction, as in table reaction; NULL: it is about one report",
        ),
        sa.Column("case_key", sa.BigInteger(), nullable=True, comment="the case, where it is about one report"),
        sa.Column(
            "version", sa.BigInteger(), nullable=True, comment="version of the case, where it is about one report"
        ),
        sa.Column("score", sa.Float(), nullable=True, comment="anomaly score, where it is about one report"),
        sa.Column(
            "reasons", _string(400), nullable=True, comment="features that made the report strange, comma separated"
        ),
        sa.Column("opened_at_ms", sa.BigInteger(), nullable=False, comment="when it was opened (UTC ms)"),
        sa.Column("since_ms", sa.BigInteger(), nullable=False, comment="start of the first alarmed window (UTC ms)"),
        sa.Column(
            "last_alarm_end_ms", sa.BigInteger(), nullable=False, comment="end of the last alarmed window (UTC ms)"
        ),
        sa.Column(
            "width_ms", sa.BigInteger(), nullable=False, comment="width of the window of the strongest evidence (ms)"
        ),
        sa.Column("window_start_ms", sa.BigInteger(), nullable=False, comment="start of that window (UTC ms)"),
        sa.Column("cases", sa.Integer(), nullable=False, comment="distinct cases in that window"),
        sa.Column("expected", sa.Float(), nullable=False, comment="cases expected in that window"),
        sa.Column("spread", sa.Float(), nullable=False, comment="standard deviation of a quiet window's count"),
        sa.Column("z", sa.Float(), nullable=False, comment="(cases - expected) / spread"),
        sa.Column("p", sa.Float(), nullable=False, comment="probability of so many cases or more by chance"),
        sa.Column("widths", _string(200), nullable=False, comment="all alarmed widths (ms), comma separated"),
        sa.Column("published_cases", sa.Integer(), nullable=False, comment="cases told in the last message"),
        sa.Column("revision", sa.Integer(), nullable=False, comment="number of the last message, from 1"),
        sa.Column(
            "closed_at_ms", sa.BigInteger(), nullable=True, comment="when it was closed (UTC ms); NULL: still open"
        ),
        sa.PrimaryKeyConstraint("alert_id", name=op.f("pk_alert")),
        comment="One row per episode: one (drug, reaction) from its first alarmed window to quiet, or one report.",
    )
    op.create_index(op.f("ix_alert_case_key"), "alert", ["case_key"])
    op.create_index(op.f("ix_alert_status_kind"), "alert", ["status", "kind"])

    op.create_table(
        "alert_case",
        sa.Column("alert_id", _string(36), nullable=False, comment="the alert, as in table alert"),
        sa.Column(
            "case_key", sa.BigInteger(), autoincrement=False, nullable=False, comment="64-bit hash of safetyreportid"
        ),
        sa.PrimaryKeyConstraint("alert_id", "case_key", name=op.f("pk_alert_case")),
        comment="Evidence: the cases an alert speaks of.",
    )

    op.create_table(
        "alert_history",
        sa.Column("alert_id", _string(36), nullable=False, comment="the alert, as in table alert"),
        sa.Column(
            "entry", sa.Integer(), autoincrement=False, nullable=False, comment="its number within the alert, from 1"
        ),
        sa.Column("at", _timestamp(), nullable=False, comment="when (UTC)"),
        sa.Column("who", _string(200), nullable=False, comment="by whom"),
        sa.Column("change", _string(30), nullable=False, comment="what happened to it"),
        sa.Column("old", _long_string(), nullable=True, comment="state before; NULL: there was none"),
        sa.Column("new", _long_string(), nullable=False, comment="state after"),
        sa.PrimaryKeyConstraint("alert_id", "entry", name=op.f("pk_alert_history")),
        comment="Append-only: what became of an alert, when and by whom.",
    )

    op.create_table(
        "alert_outbox",
        sa.Column("outbox_id", _string(36), nullable=False, comment="random UUID"),
        sa.Column("alert_id", _string(36), nullable=False, comment="the alert, as in table alert"),
        sa.Column("revision", sa.Integer(), nullable=False, comment="number of the message within its alert, from 1"),
        sa.Column("body", _binary(), nullable=False, comment="CloudEvents 1.0 JSON"),
        sa.Column("created_ms", sa.BigInteger(), nullable=False, comment="when it was written (UTC ms)"),
        sa.Column(
            "sent_at", _timestamp(), nullable=True, comment="when it reached the alerts hub (UTC); NULL: not yet"
        ),
        sa.PrimaryKeyConstraint("outbox_id", name=op.f("pk_alert_outbox")),
        comment="Messages for the alerts hub, written with what they tell of; sent at least once.",
    )
    op.create_index(op.f("ix_alert_outbox_sent_at_created_ms"), "alert_outbox", ["sent_at", "created_ms"])

    op.create_table(
        "silence",
        sa.Column("silence_id", _string(36), nullable=False, comment="random UUID"),
        sa.Column("drug_id", sa.BigInteger(), nullable=True, comment="the drug, as in table drug; NULL: every drug"),
        sa.Column(
            "reaction_id",
            sa.BigInteger(),
            nullable=True,
            comment="the reaction, as in table reaction; NULL: every reaction",
        ),
        sa.Column("until_ms", sa.BigInteger(), nullable=False, comment="when it ends (UTC ms)"),
        sa.Column("who", _string(200), nullable=False, comment="by whom"),
        sa.Column("reason", _string(500), nullable=False, comment="why, in the words of whoever set it"),
        sa.Column("created_at", _timestamp(), nullable=False, comment="when it was set (UTC)"),
        sa.PrimaryKeyConstraint("silence_id", name=op.f("pk_silence")),
        comment="Pairs for which findings are kept but no alert is opened for a while.",
    )

    op.create_table(
        "quarantined_report",
        sa.Column("hub", _string(300), nullable=False, comment="namespace host/hub, or file:digest for a backfill"),
        sa.Column(
            "generation",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="created-at of the hub (UTC ms): tells a recreated one",
        ),
        sa.Column("partition_id", _string(20), nullable=False, comment="partition of the hub, from 0"),
        sa.Column(
            "sequence",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="hub sequence number within its partition",
        ),
        sa.Column("receipt_id", sa.BigInteger(), nullable=False, comment="receipt of the range it came in"),
        sa.Column("enqueued_ms", sa.BigInteger(), nullable=False, comment="when the hub took it in (UTC ms)"),
        sa.Column("body", _binary(), nullable=False, comment="the original bytes; empty when pruned"),
        sa.Column("reasons", _string(1000), nullable=False, comment="reason codes, comma separated"),
        sa.Column("path", _string(400), nullable=True, comment="JSON path of what broke, never the text"),
        sa.Column("suite_version", _string(64), nullable=False, comment="expectation suite that judged it"),
        sa.Column("state", _string(20), nullable=False, comment="kept, or pruned: the body is forgotten"),
        sa.Column("stored_at", _timestamp(), nullable=False, comment="when it was stored (UTC)"),
        sa.PrimaryKeyConstraint("hub", "generation", "partition_id", "sequence", name=op.f("pk_quarantined_report")),
        comment="Reports that could not be used, whole, with why and where they came from.",
    )
    op.create_index(op.f("ix_quarantined_report_stored_at"), "quarantined_report", ["stored_at"])
