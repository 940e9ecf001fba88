"""Quarantined reports can be replayed and discarded, the pipeline can alert, unknown fields are counted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mssql

revision = "0003"
down_revision = "0002"


def _string(length: int) -> sa.Unicode:
    return sa.Unicode(length).with_variant(sa.NVARCHAR(length, collation="Latin1_General_100_BIN2"), "mssql")


def _timestamp() -> sa.DateTime:
    return sa.DateTime().with_variant(mssql.DATETIME2, "mssql")


_ADDED: tuple[tuple[str, sa.Column[object]], ...] = (
    (
        "safety_report",
        sa.Column("unknown_fields", sa.Integer(), comment="fields it has that openFDA has not; NULL: not counted yet"),
    ),
    (
        "alert",
        sa.Column("expectation", _string(50), comment="code of the failed expectation, where it is about the pipeline"),
    ),
    (
        "alert",
        sa.Column("observed", sa.Float(), comment="what the expectation found, where it is about the pipeline"),
    ),
    (
        "quarantined_report",
        sa.Column("changed_at", _timestamp(), comment="when its state or reasons last changed (UTC); NULL: never"),
    ),
    ("quarantined_report", sa.Column("changed_by", _string(200), comment="who asked for that; NULL: nobody")),
)


_EXPLAINED = (
    ("alert", "kind", "what it is about: a spike of a pair, one unusual report or the pipeline"),
    ("quarantined_report", "body", "the original bytes; empty in every state but kept and replay"),
    ("quarantined_report", "state", "kept, replay (asked for), replayed, discarded or pruned"),
)


def upgrade() -> None:
    """Add the columns and an index, and say what other columns mean now."""
    for table, column in _ADDED:
        op.add_column(table, column)
    op.create_index(op.f("ix_quarantined_report_hub_state"), "quarantined_report", ["hub", "state"])
    for table, name, comment in _EXPLAINED:
        _explain(table, name, comment)


def _explain(table: str, column: str, comment: str) -> None:
    """Replace a comment; SQLite keeps none, and on T-SQL Alembic would add it a second time."""
    dialect = op.get_context().dialect.name
    if dialect == "postgresql":
        op.alter_column(table, column, comment=comment)
    elif dialect == "mssql":
        op.execute(
            f"execute sp_updateextendedproperty 'MS_Description', N'{comment}', "
            f"'schema', dbo, 'table', {table}, 'column', {column}"
        )
