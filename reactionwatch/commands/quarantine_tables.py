"""What the commands of `quarantine` print. Reasons and places, never what a report says."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from expectations.reasons import Reason
from expectations.suite import LoadedSuite
from reactionwatch.console import say
from sql.quarantine import Place, QuarantinedRow
from sql.replay_outcomes import Became, RowOutcome

__all__ = ["escaped", "meanings", "outcomes_as_json", "print_outcomes", "print_row", "print_rows"]

Shown = Callable[[Place], str]
"""How a place is shown."""

_MOST_OUTCOMES = 50
_WIDTH_OF_A_PIPE = 160
"""Nobody's window is too narrow for it there, and one line a report can be searched."""
_TOLD = {Became.KEPT: "kept again", Became.WAITING: "waits"}
_ORDER = list(reversed(Became))
"""What somebody has to look at comes first."""


def print_rows(rows: Sequence[QuarantinedRow], shown: Shown) -> None:
    """One line each; the hub above, or in a column where there are several."""
    hubs = sorted({row.hub for row in rows})
    table = Table(box=None, title=f"From {hubs[0]}" if len(hubs) == 1 else None, title_justify="left")
    for name in ("position", "state", "first seen (UTC)", "reasons", "path", "bytes", "suite"):
        whole = name not in ("reasons", "path")
        table.add_column(name, overflow="fold", no_wrap=whole, justify="right" if name == "bytes" else "left")
    if len(hubs) > 1:
        table.add_column("hub", overflow="fold")
    for row in rows:
        cells = [shown(row.place), row.state, row.stored_at[:-3], row.reasons.replace(",", ", "), row.path or ""]
        cells += [f"{row.size:,}", row.suite_version]
        table.add_row(*cells, *([row.hub] if len(hubs) > 1 else []))
    _print(table)


def print_row(row: QuarantinedRow, shown: Shown, reasons: Sequence[tuple[str, str]]) -> None:
    """Everything about one report but what it says."""
    table = Table(show_header=False, box=None)
    table.add_column()
    table.add_column(overflow="fold")
    for name, value in (
        ("position", shown(row.place)),
        ("hub", row.hub),
        ("state", row.state),
        ("first seen (UTC)", row.stored_at),
        ("changed (UTC)", row.changed_at),
        ("asked for by", row.changed_by),
        ("bytes", f"{row.size:,}"),
        ("suite", row.suite_version),
        ("path", row.path),
    ):
        if value is not None:
            table.add_row(name, value)
    for code, meaning in reasons:
        table.add_row(code, meaning)
    _print(table)


def meanings(codes: str, suite: Callable[[], LoadedSuite]) -> list[tuple[str, str]]:
    """Each of the codes (comma separated) with its sentence; that of the suite in use where it is no code of ours."""
    ours = {str(reason): reason.sentence for reason in Reason}
    named = codes.split(",")
    if not ours.keys() >= set(named):
        ours = {check.code: check.why for check in suite().checks} | ours
    return [(code, ours.get(code, "An expectation that the suite in use does not have.")) for code in named]


def print_outcomes(outcomes: Sequence[RowOutcome], shown: Shown) -> None:
    """What became of each report, at most fifty of them, and the sums."""
    if not outcomes:
        return
    table = Table("position", "outcome", "reasons", "path", box=None)
    ordered = sorted(outcomes, key=lambda outcome: (_ORDER.index(outcome.became), outcome.place))
    for outcome in ordered[:_MOST_OUTCOMES]:
        there = outcome.became in (Became.KEPT, Became.WAITING)
        reasons = (", ".join(outcome.reasons), outcome.path or "") if there else ("", "")
        table.add_row(shown(outcome.place), _TOLD.get(outcome.became, str(outcome.became)), *reasons)
    _print(table)
    if len(outcomes) > _MOST_OUTCOMES:
        say(f"{len(outcomes) - _MOST_OUTCOMES:,} more: --json shows all of them.")
    sums = Table(show_header=False, box=None)
    sums.add_column()
    sums.add_column(justify="right")
    found = Counter(outcome.became for outcome in outcomes)
    for became in Became:
        if found[became]:
            sums.add_row(_TOLD.get(became, str(became)), f"{found[became]:,}")
        if became is Became.KEPT:
            for reason, count in _kept_by_reason(outcomes).items():
                sums.add_row(f"  {reason}", f"{count:,}")
    _print(sums)


def outcomes_as_json(outcomes: Sequence[RowOutcome], shown: Shown) -> dict[str, Any]:
    """The sums, and what became of each report."""
    found = Counter(outcome.became for outcome in outcomes)
    return {
        **{str(became): found[became] for became in Became},
        "kept_by_reason": _kept_by_reason(outcomes),
        "reports": [
            {
                "position": shown(outcome.place),
                **vars(outcome.place),
                "outcome": str(outcome.became),
                "reasons": list(outcome.reasons),
                "path": outcome.path,
            }
            for outcome in outcomes
        ],
    }


def escaped(body: bytes) -> str:
    """Bytes as text that does nothing to a terminal: lines and tabs stay, all else that is not printed is escaped."""
    text = body.decode("utf-8", "backslashreplace")
    return re.sub(r"[^\n\t]", lambda c: c[0] if c[0].isprintable() else c[0].encode("unicode_escape").decode(), text)


def _kept_by_reason(outcomes: Sequence[RowOutcome]) -> dict[str, int]:
    codes = Counter(code for o in outcomes if o.became is Became.KEPT for code in o.reasons)
    return dict(sorted(codes.items()))


def _print(table: Table) -> None:
    console = Console(markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = max(console.width, _WIDTH_OF_A_PIPE)
    console.print(table)
