"""The stand-in refuses what SQL Server would, and says the rest in PostgreSQL's words."""

from __future__ import annotations

import pytest
from tsql.translation import RefusedError, translated


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("SELECT a FROM t LIMIT 5", 102),
        ("INSERT INTO t (a) VALUES (1) ON CONFLICT DO NOTHING", 102),
        ("MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN DELETE", 102),
        ("INSERT INTO t (a) OUTPUT inserted.a SELECT a FROM s", 102),
        ("SELECT a FROM t WHERE b IS TRUE", 102),
        ("SELECT a FROM t WHERE b IS 1", 102),
        ("SELECT a > 1 AS more FROM t", 102),
        ("UPDATE t SET a = (b = 1)", 102),
        ("SELECT a || b AS c FROM t", 102),
        ("SELECT a FROM t; SELECT b FROM t", 102),
        ("SELECT length(a) AS n FROM t", 195),
        ("SELECT a FROM (SELECT a FROM t ORDER BY a) AS s", 1033),
        ("SELECT a FROM t WHERE a IN (SELECT a FROM s ORDER BY a)", 1033),
        ("SELECT a FROM (SELECT a, b + 1 FROM t) AS s", 8155),
        ("SELECT a, COUNT(*) AS n FROM t GROUP BY 1", 164),
        ("SELECT a, b, COUNT(*) AS n FROM t GROUP BY a", 8120),
        ("SELECT plan FROM t", 156),
        (f"SELECT {'a' * 129} FROM t", 103),
        (f"SELECT a FROM [#{'a' * 116}]", 103),
    ],
)
def test_what_sql_server_would_not_run_is_refused(statement: str, code: int) -> None:
    with pytest.raises(RefusedError) as refused:
        translated(statement)
    assert refused.value.code == code


def test_more_parameters_than_the_protocol_carries_are_refused() -> None:
    marks = ", ".join("?" * 2_101)
    with pytest.raises(RefusedError, match="too many parameters"):
        translated(f"SELECT a FROM t WHERE a IN ({marks})", ("INTEGER",) * 2_101)


def test_parameters_keep_their_places_and_get_types() -> None:
    found = translated("SELECT a FROM t WHERE b = ? AND c = '?' AND d = ?", ("INTEGER", "VARCHAR"))
    assert found == 'SELECT "a" FROM "t" WHERE "b" = CAST($1 AS INTEGER) AND "c" = \'?\' AND "d" = CAST($2 AS VARCHAR)'


def test_an_update_joins_its_table_once() -> None:
    found = translated("UPDATE t SET a=(t.a + s.a) FROM t, (SELECT b, a FROM [#u]) AS s WHERE t.b = s.b")
    assert found == (
        'UPDATE "t" SET "a" = ("t"."a" + "s"."a") FROM (SELECT "b", "a" FROM "#u") AS "s" WHERE "t"."b" = "s"."b"'
    )


def test_nulls_are_the_smallest_as_in_t_sql() -> None:
    assert translated("SELECT TOP 2 a FROM t ORDER BY a") == 'SELECT "a" FROM "t" ORDER BY "a" NULLS FIRST LIMIT 2'


def test_a_table_whose_name_begins_with_a_hash_is_temporary() -> None:
    assert translated("CREATE TABLE [#t] (a NVARCHAR(9) COLLATE Latin1_General_100_BIN2 NULL, b BIT NOT NULL)") == (
        'CREATE TEMPORARY TABLE "#t" ("a" VARCHAR(9) COLLATE "C" NULL, "b" SMALLINT NOT NULL)'
    )
