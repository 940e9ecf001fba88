"""What is known besides of candidates: drug and reaction in the window and long before, and cases told again."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from builders import T0, accepted, batch, report
from sqlalchemy import Engine, event

from models.spikes import Background, SpikeRules
from sql.commit import commit
from sql.keys import name_key
from sql.positions import Lease, take_over
from sql.task_write import write_task

NARROW, WIDE = 5_000, 30_000
EAGER = SpikeRules(min_cases=1, baseline_windows=2, guard_windows=0, warmup_windows=1)
PAIR = ("A", "X")
DAY_MS = 86_400_000
LATER = T0 + 10 * WIDE
"""Start of the judged windows of both widths."""

Told = tuple[int, tuple[str, str], str | None]
"""Event time, pair, and the duplicate number of a case."""


@pytest.fixture
def lease(engine: Engine) -> Lease:
    return take_over(engine, "test/reports", 1, {"0": 0})


def store(engine: Engine, lease: Lease, cases: Sequence[Told]) -> None:
    events = [
        accepted(
            i,
            msgspec.structs.replace(report(str(i), pairs=[pair]), duplicate_numbers=(number,) if number else ()),
            at,
        )
        for i, (at, pair, number) in enumerate(cases)
    ]
    write_task(engine, batch(lease, events))


def background(engine: Engine, lease: Lease, width_ms: int, start_ms: int, windows: int = 4) -> Background:
    """Of the candidate `PAIR` in the window of a width that begins at `start_ms`."""
    with commit(engine, lease) as tx:
        tx.fold((NARROW, WIDE))
        (found,) = [each for each in tx.candidates({NARROW: EAGER, WIDE: EAGER}, {}) if each.width_ms == width_ms]
        pair = (found.drug_ids == name_key(PAIR[0])) & (found.reaction_ids == name_key(PAIR[1]))
        return tx.background(found.only(np.flatnonzero(pair & (found.window_starts_ms == start_ms))), WIDE, windows)


def test_drug_and_reaction_are_counted_in_the_window_itself(engine: Engine, lease: Lease) -> None:
    first = [(T0 - WIDE, ("B", "Y"), None)]
    now = [(LATER, PAIR, None), (LATER + 1, PAIR, None), (LATER + 2, ("A", "Y"), None), (LATER + 3, ("B", "X"), None)]
    after = [(LATER + NARROW, PAIR, None), (LATER + NARROW, ("A", "Z"), None)]
    store(engine, lease, [*first, *now, *after])
    of = background(engine, lease, NARROW, LATER)
    assert (of.drug_now, of.reaction_now) == (3, 3)


def test_of_a_wide_window_all_of_it_counts(engine: Engine, lease: Lease) -> None:
    first = [(T0 - WIDE, ("B", "Y"), None)]
    now = [(LATER + i * NARROW, pair, None) for i, pair in enumerate([PAIR, PAIR, ("A", "Y"), ("B", "X"), ("B", "X")])]
    store(engine, lease, [*first, *now])
    of = background(engine, lease, WIDE, LATER)
    assert (of.drug_now, of.reaction_now) == (3, 4)


@pytest.mark.parametrize(("width_ms", "start_ms"), [(WIDE, LATER), (NARROW, LATER + 2 * NARROW)])
def test_the_long_past_is_of_the_widest_windows_that_ended_before(
    engine: Engine, lease: Lease, width_ms: int, start_ms: int
) -> None:
    too_old = [(LATER - 5 * WIDE, PAIR, None)]
    before = [
        (LATER - back * WIDE, pair, None) for back in (1, 4) for pair in (PAIR, ("A", "Y"), ("B", "X"), ("B", "Y"))
    ]
    now = [(LATER + 2 * NARROW, PAIR, None), (LATER + NARROW, PAIR, None)]
    store(engine, lease, [*too_old, *before, *now])
    of = background(engine, lease, width_ms, start_ms)
    assert (of.pair_before, of.drug_before, of.reaction_before, of.all_before) == (2, 4, 4, 8)


def test_a_case_with_the_number_of_an_earlier_one_is_told_again(engine: Engine, lease: Lease) -> None:
    start = LATER
    cases: list[Told] = [
        (T0, ("B", "Y"), None),
        (start - WIDE, PAIR, "one"),
        (start - WIDE + 1, PAIR, "one"),
        (start, PAIR, "one"),
        (start + 1, PAIR, "two"),
        (start + 2, PAIR, "two"),
        (start + 3, PAIR, "two"),
        (start + 4, PAIR, None),
        (start + 5, PAIR, None),
        (start + 6, ("A", "Y"), "three"),
        (start + 7, PAIR, "three"),
    ]
    store(engine, lease, cases)
    assert background(engine, lease, WIDE, start).retold.tolist() == [[1, 3]]


@pytest.mark.parametrize(("ago_ms", "retold"), [(7 * DAY_MS, 1), (8 * DAY_MS, 0)])
def test_what_was_told_long_ago_is_not_looked_for(engine: Engine, lease: Lease, ago_ms: int, retold: int) -> None:
    cases: list[Told] = [(LATER - 30 * DAY_MS, ("B", "Y"), None), (LATER - ago_ms, PAIR, "one"), (LATER, PAIR, "one")]
    store(engine, lease, cases)
    assert background(engine, lease, WIDE, LATER).retold.tolist() == [[0, retold]]


def test_many_candidates_take_no_more_statements(engine: Engine, lease: Lease) -> None:
    store(engine, lease, [(T0 - WIDE, PAIR, None), *((LATER, ("A", f"R{i}"), f"{i}") for i in range(600))])
    with commit(engine, lease) as tx:
        tx.fold((NARROW, WIDE))
        (wide,) = [each for each in tx.candidates({WIDE: EAGER}, {}) if each.width_ms == WIDE]
        taken = []
        for chosen in (np.arange(2), np.arange(600)):
            statements: list[str] = []

            def note(*call: object, statements: list[str] = statements) -> None:
                statements.append(str(call[2]))

            event.listen(engine, "before_cursor_execute", note)
            known = tx.background(wide.only(chosen), WIDE, 4)
            event.remove(engine, "before_cursor_execute", note)
            taken.append(sum(not statement.startswith("INSERT") for statement in statements))
            assert (known.drug_now == 600).all()
    assert taken[0] == taken[1]
