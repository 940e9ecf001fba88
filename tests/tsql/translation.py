"""T-SQL as PostgreSQL: what SQL Server would refuse is refused, the rest is put into words a real server runs.

Covers the T-SQL this project sends, no more. PostgreSQL then checks what a translation cannot: types, names, lengths
of strings, ranges of integers, columns missing from GROUP BY.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import count

import sqlglot
from sqlalchemy.dialects.mssql.base import RESERVED_WORDS
from sqlglot import exp

__all__ = ["RefusedError", "parsed", "translated"]


class RefusedError(Exception):
    """SQL Server would not run this; `code` is its error number."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code


_FOREIGN = {"LIMIT", "RETURNING", "CONFLICT", "ILIKE", "TRUE", "FALSE", "USING", "LATERAL", "||", "::", "MERGE"}
"""Words and signs of other databases, and MERGE, which a T-SQL endpoint may lack and which races anyway."""

_FUNCTIONS = (
    *(exp.Count, exp.Sum, exp.Min, exp.Max, exp.Coalesce, exp.RowNumber, exp.Cast, exp.Trim),
    *(exp.Case, exp.If, exp.And, exp.Or, exp.Exists),
)
_NAMED_FUNCTIONS = {"DATALENGTH", "PG_BACKEND_PID"}
_TYPES = {
    exp.DType.BIT: "SMALLINT",
    exp.DType.NVARCHAR: "VARCHAR",
    exp.DType.VARBINARY: "BYTEA",
    exp.DType.DATETIME: "TIMESTAMP(3)",
    exp.DType.DATETIME2: "TIMESTAMP(6)",
    exp.DType.FLOAT: "DOUBLE PRECISION",
}
_PARAMETERS, _IDENTIFIER, _TEMPORARY_IDENTIFIER = 2_100, 128, 116


@cache
def parsed(statement: str) -> exp.Expr:
    """The one statement in `statement`; `RefusedError` where sqlglot does not understand it as T-SQL."""
    try:
        trees = sqlglot.parse(_numbered(statement), dialect="tsql", error_level=sqlglot.ErrorLevel.RAISE)
    except sqlglot.ParseError as error:
        raise RefusedError(102, f"Incorrect syntax: {error}") from None
    if len(trees) != 1 or trees[0] is None or isinstance(trees[0], exp.Command):
        raise RefusedError(102, f"Not one statement of plain T-SQL: {statement}")
    return trees[0]


@cache
def translated(statement: str, types: tuple[str, ...] = ()) -> str:
    """`statement` for PostgreSQL, its `?` replaced by `$1`, `$2`, … of the given PostgreSQL types ("": any)."""
    tree = parsed(statement).copy()
    for session in [node for node in tree.find_all(exp.Parameter) if isinstance(node.this, exp.Parameter)]:
        if session.sql(dialect="tsql").upper() != "@@SPID":
            raise RefusedError(137, f"Unknown variable {session.sql(dialect='tsql')}")
        session.replace(exp.Anonymous(this="pg_backend_pid"))
    _check_words(statement)
    for check in (_check_functions, _check_conditions, _check_selects, _check_groups, _check_names):
        check(tree)
    if len(types) > _PARAMETERS:
        raise RefusedError(8003, "The incoming request has too many parameters.")
    marks = len(list(tree.find_all(exp.Parameter)))
    if marks != len(types):
        raise RefusedError(102, f"{marks} parameter markers, but {len(types)} parameters")
    sql = _rewritten(tree).sql(dialect="postgres")
    return re.sub(r"\$p(\d+)", lambda mark: _typed(int(mark[1]), types), sql)


def _numbered(statement: str) -> str:
    """`?` outside of strings as `@p1`, `@p2`, …, which keep their number wherever a translation puts them."""
    numbers = count(1)
    return re.sub(r"'(?:[^']|'')*'|\?", lambda found: f"@p{next(numbers)}" if found[0] == "?" else found[0], statement)


def _typed(number: int, types: tuple[str, ...]) -> str:
    kind = types[number - 1]
    return f"CAST(${number} AS {kind})" if kind else f"${number}"


def _check_words(statement: str) -> None:
    for token in sqlglot.tokenize(statement, dialect="tsql"):
        if token.token_type not in _TEXT and token.text.upper() in _FOREIGN:
            raise RefusedError(102, f"Incorrect syntax near '{token.text}'.")


_TEXT = (sqlglot.TokenType.STRING, sqlglot.TokenType.NATIONAL_STRING, sqlglot.TokenType.IDENTIFIER)


def _check_functions(tree: exp.Expr) -> None:
    for node in tree.find_all(exp.Func):
        known = (
            node.name.upper() in _NAMED_FUNCTIONS if isinstance(node, exp.Anonymous) else isinstance(node, _FUNCTIONS)
        )
        if not known:
            raise RefusedError(195, f"'{node.sql()}' is not a recognized built-in function name.")


def _check_conditions(tree: exp.Expr) -> None:
    """T-SQL has no boolean values: a condition stands where one is asked for, and nowhere else."""
    for node in tree.find_all(exp.Predicate, exp.And, exp.Or, exp.Not, exp.Boolean):
        place, key = node.parent, node.arg_key
        while isinstance(place, exp.Paren):
            place, key = place.parent, place.arg_key
        in_place = isinstance(place, (exp.Where, exp.Having, exp.And, exp.Or, exp.Not, exp.CheckColumnConstraint))
        in_place |= isinstance(place, exp.If) and key == "this"
        in_place |= isinstance(place, exp.Join) and key == "on"
        assigns = isinstance(node, exp.EQ) and isinstance(place, (exp.Update, exp.SetItem))
        if isinstance(node, exp.SubqueryPredicate) and not isinstance(node, exp.Exists):
            continue
        if not (in_place or assigns):
            raise RefusedError(102, f"A condition is no value: {node.sql()}")
        if isinstance(node, exp.Is) and not isinstance(node.expression, exp.Null):
            raise RefusedError(102, f"Incorrect syntax near 'IS': {node.sql()}")


def _check_selects(tree: exp.Expr) -> None:
    for query in tree.find_all(exp.Subquery, exp.Exists, exp.In):
        inner = query.args.get("query") if isinstance(query, exp.In) else query.this
        for part in inner.find_all(exp.Select) if isinstance(inner, exp.Expr) else ():
            if part.parent_select is inner.parent_select and part.args.get("order") and not part.args.get("limit"):
                raise RefusedError(1033, "The ORDER BY clause is invalid in derived tables and subqueries without TOP.")
    for table in tree.find_all(exp.Subquery):
        if not isinstance(table.parent, (exp.From, exp.Join)):
            continue
        columns = [column.alias_or_name for column in table.selects]
        if not table.alias or not all(columns) or len(set(columns)) < len(columns):
            raise RefusedError(8155, f"A derived table needs a name and one for every column: {columns}")


def _check_groups(tree: exp.Expr) -> None:
    for group in tree.find_all(exp.Group):
        select = group.parent
        assert isinstance(select, exp.Select)
        keys = {key.sql() for key in group.expressions}
        for key in group.expressions:
            if not key.find(exp.Column) or key.find(exp.Parameter, exp.Subquery):
                raise RefusedError(164, "Each GROUP BY expression must contain a column, and no parameter.")
        for shown in select.expressions:
            for column in shown.find_all(exp.Column):
                if column.sql() not in keys and not column.find_ancestor(exp.AggFunc, exp.Window):
                    raise RefusedError(8120, f"{column.sql()} is neither aggregated nor in the GROUP BY clause.")


def _check_names(tree: exp.Expr) -> None:
    for name in tree.find_all(exp.Identifier):
        whole = ("#" if name.args.get("temporary") else "") + name.name
        if len(whole) > (_TEMPORARY_IDENTIFIER if whole.startswith("#") else _IDENTIFIER):
            raise RefusedError(103, f"The identifier that starts with '{name.name[:20]}' is too long.")
        if not name.args.get("quoted") and name.name.lower() in RESERVED_WORDS:
            raise RefusedError(156, f"Incorrect syntax near the keyword '{name.name}'.")


def _rewritten(tree: exp.Expr) -> exp.Expr:
    if isinstance(tree, exp.Update) and (source := tree.args.get("from_")):
        _drop_target(tree, source)
    for output in tree.find_all(exp.Returning):
        if isinstance(output.parent.expression, exp.Select):
            raise RefusedError(102, "A T-SQL endpoint may not take OUTPUT with a SELECT.")
        for column in output.find_all(exp.Column):
            column.set("table", None)  # it says INSERTED
    for name in list(tree.find_all(exp.Identifier)):
        sign = "#" if name.args.get("temporary") else ""
        name.replace(exp.to_identifier(sign + name.name.lower(), quoted=True))
    for node in list(tree.find_all(exp.DataType)):
        if (kind := _TYPES.get(node.this)) is not None:
            sized = kind == "VARCHAR" and node.expressions and node.expressions[0].name.upper() != "MAX"
            node.replace(
                exp.DataType.build(f"VARCHAR({node.expressions[0].name})" if sized else kind, dialect="postgres")
            )
    for node in list(tree.find_all(exp.CollateColumnConstraint)):
        node.this.replace(exp.column(exp.to_identifier("C", quoted=True)))
    for node in list(tree.find_all(exp.PrimaryKey, exp.Index)):
        for column in list(node.find_all(exp.Ordered)):
            column.replace(column.this)
    for node in list(tree.find_all(exp.National)):
        node.replace(exp.Literal.string(node.name))
    return tree


def _drop_target(update: exp.Update, source: exp.From) -> None:
    """`UPDATE t … FROM t, s` joins t once; PostgreSQL would join it a second time."""
    first = source.this
    if isinstance(first, exp.Table) and first.name == update.this.name:
        joins = first.args.get("joins") or source.parent.args.get("joins")
        if not joins:
            raise RefusedError(102, "UPDATE … FROM only itself")
        source.set("this", joins[0].this)
        for join in joins[1:]:
            source.this.append("joins", join)
