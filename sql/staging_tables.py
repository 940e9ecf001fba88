"""The temporary tables a task's rows are staged in: made once per connection, emptied before every use."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
)

from sql.schema import NAME_LENGTH

__all__ = [
    "Outcome",
    "stage_drug",
    "stage_pair",
    "stage_reaction",
    "stage_refused",
    "stage_report",
    "staging",
]

staging = MetaData()


class Outcome:
    """What became of a staged report, as kept in `stage_report.outcome`."""

    STORED = 1
    DUPLICATE = 2
    CONFLICT = 3


stage_report = Table(
    "stage_report",
    staging,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("outcome", SmallInteger),
    Column("is_first", Boolean, nullable=False),
    Column("case_key", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("safetyreportid", String(64), nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("enqueued_ms", BigInteger, nullable=False),
    Column("event_ms", BigInteger, nullable=False),
    Column("receivedate", Date),
    Column("receiptdate", Date),
    Column("transmissiondate", Date),
    Column("serious", Boolean),
    Column("seriousness", String(120), nullable=False),
    Column("age_years", Float),
    Column("age_whole_years", SmallInteger),
    Column("sex", SmallInteger),
    Column("weight_kg", Float),
    Column("qualification", SmallInteger),
    Column("country", String(100)),
    Column("sender", String(NAME_LENGTH)),
    Column("company_number", String(NAME_LENGTH)),
    Column("drug_count", Integer, nullable=False),
    Column("reaction_count", Integer, nullable=False),
    Column("anomaly_score", Float),
    Column("anomaly_level", SmallInteger),
    Column("anomaly_reasons", String(400)),
    Column("warnings", String(1000)),
    prefixes=["TEMPORARY"],
)
stage_drug = Table(
    "stage_drug",
    staging,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("ordinal", Integer, primary_key=True, autoincrement=False),
    Column("drug_id", BigInteger),
    Column("product", String(NAME_LENGTH)),
    Column("characterization", SmallInteger),
    Column("indication", String(NAME_LENGTH)),
    prefixes=["TEMPORARY"],
)
stage_reaction = Table(
    "stage_reaction",
    staging,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("ordinal", Integer, primary_key=True, autoincrement=False),
    Column("reaction_id", BigInteger),
    Column("outcome", SmallInteger),
    prefixes=["TEMPORARY"],
)
stage_pair = Table(
    "stage_pair",
    staging,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("drug_id", BigInteger, primary_key=True, autoincrement=False),
    Column("reaction_id", BigInteger, primary_key=True, autoincrement=False),
    prefixes=["TEMPORARY"],
)
stage_refused = Table(
    "stage_refused",
    staging,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("enqueued_ms", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("reasons", String(1000), nullable=False),
    Column("path", String(400)),
    prefixes=["TEMPORARY"],
)
