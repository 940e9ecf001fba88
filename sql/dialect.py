"""What differs between databases, in one place: insert what is absent, add to counts, lower event times.

SQLite is the only database so far. Its `ON CONFLICT` also keeps the planner driving from the staging table, where
`UPDATE … FROM` and `WHERE EXISTS` would scan the whole target.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Select, Table
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.sql.dml import Insert

__all__ = ["add_counts", "insert_absent", "insert_absent_values", "lower_pairs", "replace_row"]


def insert_absent(table: Table, rows: Select[tuple[object, ...]]) -> Insert:
    """INSERT … SELECT that leaves rows alone whose primary key is there already."""
    statement = insert(table).from_select(list(rows.selected_columns.keys()), rows)
    return statement.on_conflict_do_nothing(index_elements=list(table.primary_key.columns))


def insert_absent_values(table: Table) -> Insert:
    """INSERT … VALUES that leaves rows alone whose primary key is there already."""
    return insert(table).on_conflict_do_nothing(index_elements=list(table.primary_key.columns))


def add_counts(table: Table, rows: Select[tuple[object, ...]]) -> Insert:
    """INSERT … SELECT that adds `cases` to rows whose primary key is there already."""
    statement = insert(table).from_select(list(rows.selected_columns.keys()), rows)
    return statement.on_conflict_do_update(
        index_elements=list(table.primary_key.columns),
        set_={"cases": table.c.cases + statement.excluded.cases},
    )


def lower_pairs(case_pair: Table, rows: Select[tuple[object, ...]]) -> Insert:
    """Insert pairs, or move those with a later event time to the earlier one, keeping the old value in the row."""
    statement = insert(case_pair).from_select(list(rows.selected_columns.keys()), rows)
    return statement.on_conflict_do_update(
        index_elements=list(case_pair.primary_key.columns),
        set_={
            "prev_ms": case_pair.c.event_ms,
            "event_ms": statement.excluded.event_ms,
            "moved_by": statement.excluded.moved_by,
        },
        where=statement.excluded.event_ms < case_pair.c.event_ms,
    )


def replace_row(table: Table, *, keep: Collection[str] = ()) -> Insert:
    """INSERT … VALUES of whole rows that overwrites those with the same primary key, but for the columns of `keep`."""
    statement = insert(table)
    left_alone = {column.name for column in table.primary_key.columns} | set(keep)
    return statement.on_conflict_do_update(
        index_elements=list(table.primary_key.columns),
        set_={c.name: statement.excluded[c.name] for c in table.columns if c.name not in left_alone},
    )
