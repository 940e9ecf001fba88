"""Every check in plain words, and the tables of docs/expectations.md.

`python -m expectations.catalogue` writes the tables anew. What a check asks is told from its type and kwargs, so the
page says what the suites say.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from expectations.columns import COLUMNS
from expectations.pipeline import PIPELINE_COLUMNS, Limits, load_pipeline_suite
from expectations.reasons import Reason
from expectations.row_expectations import ROW_EXPECTATIONS, RowExpectation
from expectations.suite import load_suite

__all__ = ["COMMAND", "PAGE", "asks", "limits_in_words", "main", "page_with_tables"]

COMMAND = "python -m expectations.catalogue"
"""What renews the page."""

PAGE = Path(__file__).parents[1] / "docs" / "expectations.md"

_BEGIN = f"<!-- begin: written by `{COMMAND}`, do not edit -->"
_END = "<!-- end -->"


def limits_in_words(limits: Any) -> str:
    """As in "at least 0 and at most 120", of anything with `min_value` and `max_value`, strict or not."""
    words = []
    if limits.min_value is not None:
        words.append(f"{'above' if getattr(limits, 'strict_min', False) else 'at least'} {limits.min_value:.15g}")
    if limits.max_value is not None:
        words.append(f"{'below' if getattr(limits, 'strict_max', False) else 'at most'} {limits.max_value:.15g}")
    return " and ".join(words)


def asks(expectation: RowExpectation) -> str:
    """What an expectation asks of a report, as Markdown."""
    kind = next(name for name, struct in ROW_EXPECTATIONS.items() if type(expectation) is struct)
    of: Any = expectation
    match kind:
        case "expect_column_values_to_be_between":
            return f"`{of.column}` is {limits_in_words(of)}"
        case "expect_column_value_lengths_to_be_between":
            return f"`{of.column}` has {limits_in_words(of)} characters"
        case "expect_column_values_to_be_in_set":
            return f"`{of.column}` is one of {_listed(of.value_set)}"
        case "expect_column_values_to_not_be_in_set":
            return f"`{of.column}` is none of {_listed(of.value_set)}"
        case "expect_column_values_to_be_null":
            return f"`{of.column}` is null"
        case "expect_column_values_to_not_be_null":
            return f"`{of.column}` is not null"
        case "expect_column_values_to_match_regex":
            return f"`{of.column}` matches {_regex(of.regex)}"
        case "expect_column_values_to_not_match_regex":
            return f"`{of.column}` does not match {_regex(of.regex)}"
        case "expect_column_pair_values_a_to_be_greater_than_b":
            return f"`{of.a}` is {'at least' if of.or_equal else 'above'} `{of.b}`{_WHERE[of.ignore_row_if]}"
        case "expect_column_pair_values_to_be_equal":
            return f"`{of.a}` equals `{of.b}`{_WHERE[of.ignore_row_if]}"
    raise NotImplementedError(kind)


def page_with_tables(page: str) -> str:
    """The page with the tables between its two markers written anew."""
    before, rest = page.split(_BEGIN)
    _, after = rest.split(_END)
    return "\n".join([f"{before}{_BEGIN}\n", *_tables(), f"{_END}{after}"])


def main() -> None:
    """Write the tables of the page anew."""
    PAGE.write_text(page_with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"wrote the tables of {PAGE}\n")


_WHERE = {
    "both_values_are_missing": ", where either is given",
    "either_value_is_missing": ", where both are given",
    "neither": "",
}


_OF_BOTH = {Reason.MALFORMED_ID, Reason.TOO_MANY_DRUGS, Reason.TOO_MANY_REACTIONS}
"""What the decoder finds, where it is far beyond the suite's limit."""


def _tables() -> Iterator[str]:
    suite, pipeline = load_suite(), load_pipeline_suite()
    of_suite = {check.code for check in suite.checks if check.severity == "critical"} - _OF_BOTH
    yield from _table(
        "Reasons that are found outside the suite",
        ("code", "found by", "meaning"),
        (
            (f"`{reason}`", "store" if reason is Reason.CONFLICTING_DUPLICATE else "decoder", reason.sentence)
            for reason in Reason
            if reason not in of_suite
        ),
    )
    yield from _table(
        f"Checks of a report ({len(suite.checks)})",
        ("code", "severity", "asks that", "why"),
        ((f"`{check.code}`", check.severity, asks(check.expectation), check.why) for check in suite.checks),
    )
    expectations = msgspec.json.decode(pipeline.text)["expectations"]
    yield from _table(
        f"Checks of the pipeline ({len(expectations)})",
        ("code", "asks that", "why"),
        ((f"`{e['meta']['code']}`", _asks_together(e), e["meta"]["why"]) for e in expectations),
    )
    yield from _table("Columns of a report", ("column", "holds"), _meanings(COLUMNS))
    yield from _table("Columns of the pipeline", ("column", "holds"), _meanings(PIPELINE_COLUMNS))


def _asks_together(expectation: dict[str, Any]) -> str:
    limits = msgspec.convert(expectation["kwargs"], Limits)
    statistic = expectation["type"].removeprefix("expect_column_").removesuffix("_to_be_between")
    return f"{statistic} of `{limits.column}` is {limits_in_words(limits)}"


def _meanings(columns: dict[str, str]) -> Iterator[Sequence[str]]:
    return ((f"`{name}`", meaning) for name, meaning in columns.items())


def _table(title: str, heading: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"### {title}\n"
    for row in (heading, ["---"] * len(heading), *rows):
        yield "| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |"
    yield ""


def _regex(regex: str) -> str:
    """Code in a table, where backticks would leave `|` and what looks like a link to chance."""
    return f"<code>{re.sub(r'[^a-zA-Z0-9 ^$,:?{}!-]', lambda found: f'&#{ord(found[0])};', regex)}</code>"


def _listed(values: Iterable[float]) -> str:
    return ", ".join(f"{value:.15g}" for value in values)


if __name__ == "__main__":
    main()
