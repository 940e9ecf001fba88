"""Findings carry their evidence, and the windows they are about; reports carry the number other senders gave them."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def _string(length: int) -> sa.Unicode:
    return sa.Unicode(length).with_variant(sa.NVARCHAR(length, collation="Latin1_General_100_BIN2"), "mssql")


def _windows(comment: str) -> sa.Column[int]:
    return sa.Column("windows", sa.SmallInteger(), nullable=False, server_default=sa.text("1"), comment=comment)


_ADDED: tuple[tuple[str, sa.Column[Any]], ...] = (
    (
        "safety_report",
        sa.Column(
            "duplicate_number",
            _string(500),
            comment="first reportduplicate.duplicatenumb: the number other senders gave the case",
        ),
    ),
    ("spike", _windows("windows that expected, spread, z and p are about: 1, or 2 with the one before")),
    ("spike", sa.Column("observed", sa.Integer(), comment="cases in these windows")),
    ("spike", sa.Column("pair_cases", sa.Integer(), comment="cases of the pair since counting began")),
    ("spike", sa.Column("pair_expected", sa.Float(), comment="of these, how many chance alone would give")),
    ("spike", sa.Column("prr", sa.Float(), comment="proportional reporting ratio since counting began")),
    (
        "spike",
        sa.Column("chi_squared", sa.Float(), comment="chi-squared of the same four-fold table, with Yates' correction"),
    ),
    ("spike", sa.Column("ror", sa.Float(), comment="reporting odds ratio since counting began")),
    ("spike", sa.Column("ror_lower", sa.Float(), comment="lower end of its 95% interval")),
    ("spike", sa.Column("ror_upper", sa.Float(), comment="upper end of its 95% interval")),
    (
        "spike",
        sa.Column(
            "ic",
            sa.Float(),
            comment="information component since counting began: log2 of observed over expected, shrunk",
        ),
    ),
    ("spike", sa.Column("ic025", sa.Float(), comment="lower end of its 95% credibility interval")),
    ("spike", sa.Column("ic975", sa.Float(), comment="upper end of its 95% credibility interval")),
    (
        "spike",
        sa.Column(
            "largest_sender_share",
            sa.Float(),
            comment="share of the spike's cases from the sender with most of them; NULL: none names one",
        ),
    ),
    (
        "spike",
        sa.Column(
            "same_duplicate_number",
            sa.Integer(),
            comment="how many of the spike's cases carry a duplicate number that another of them carries too",
        ),
    ),
    (
        "spike",
        sa.Column(
            "serious_share",
            sa.Float(),
            comment="share of serious cases among the spike's that say; NULL: none says",
        ),
    ),
    ("alert", _windows("windows of that width that the evidence is from, ending with the last")),
)


_SPREAD, _Z = "standard deviation of a quiet count", "distance from the expectation in spreads (Anscombe residual)"
_EXPLAINED = (
    ("spike", "expected", "cases expected in all of these windows"),
    ("spike", "spread", _SPREAD),
    ("spike", "z", _Z),
    ("alert", "cases", "distinct cases in these windows"),
    ("alert", "expected", "cases expected in these windows"),
    ("alert", "spread", _SPREAD),
    ("alert", "z", _Z),
)


def upgrade() -> None:
    """Add the columns, and say what the numbers are about now."""
    for table, column in _ADDED:
        op.add_column(table, column)
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
