"""The temporary tables a task's rows are staged in: made once per connection, emptied before every use."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import BigInteger, Boolean, Column, Integer, MetaData, SmallInteger, Table

from sql.schema import drug, quarantined_report, reaction, report_drug, report_reaction, safety_report

__all__ = [
    "Outcome",
    "stage_drug",
    "stage_drug_name",
    "stage_pair",
    "stage_reaction",
    "stage_reaction_name",
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


def _sequence() -> Column[int]:
    return Column("sequence", BigInteger, primary_key=True, autoincrement=False)


def _copied(table: Table, *, without: tuple[str, ...]) -> Iterator[Column[object]]:
    """Columns of the table that the rows are for, but for keys and what is the same for the whole task."""
    for column in table.columns:
        if column.name not in without:
            yield Column(column.name, column.type)


_OF_THE_TASK = ("sequence", "receipt_id", "model_version", "suite_version", "stored_at", "pruned_at")

stage_report = Table(
    "#stage_report",
    staging,
    _sequence(),
    Column("outcome", SmallInteger),
    Column("is_first", Boolean, nullable=False),
    *_copied(safety_report, without=_OF_THE_TASK),
    prefixes=["TEMPORARY"],
    sqlite_with_rowid=False,
)

stage_drug = Table(
    "#stage_drug",
    staging,
    _sequence(),
    Column("ordinal", Integer, primary_key=True, autoincrement=False),
    *_copied(report_drug, without=("receipt_id", "sequence", "ordinal")),
    prefixes=["TEMPORARY"],
    sqlite_with_rowid=False,
)

stage_reaction = Table(
    "#stage_reaction",
    staging,
    _sequence(),
    Column("ordinal", Integer, primary_key=True, autoincrement=False),
    *_copied(report_reaction, without=("receipt_id", "sequence", "ordinal")),
    prefixes=["TEMPORARY"],
    sqlite_with_rowid=False,
)

stage_pair = Table(
    "#stage_pair",
    staging,
    _sequence(),
    Column("drug_id", BigInteger, primary_key=True, autoincrement=False),
    Column("reaction_id", BigInteger, primary_key=True, autoincrement=False),
    prefixes=["TEMPORARY"],
    sqlite_with_rowid=False,
)

stage_refused = Table(
    "#stage_refused",
    staging,
    _sequence(),
    *_copied(
        quarantined_report,
        without=("hub", "generation", "partition_id", "state", "changed_at", "changed_by", *_OF_THE_TASK),
    ),
    prefixes=["TEMPORARY"],
    sqlite_with_rowid=False,
)

stage_drug_name = Table(
    "#stage_drug_name",
    staging,
    Column("drug_id", BigInteger, primary_key=True, autoincrement=False),
    *_copied(drug, without=("drug_id",)),
    prefixes=["TEMPORARY"],
    sqlite_with_rowid=False,
)

stage_reaction_name = Table(
    "#stage_reaction_name",
    staging,
    Column("reaction_id", BigInteger, primary_key=True, autoincrement=False),
    *_copied(reaction, without=("reaction_id",)),
    prefixes=["TEMPORARY"],
    sqlite_with_rowid=False,
)
