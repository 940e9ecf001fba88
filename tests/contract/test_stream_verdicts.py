"""Verdicts at the close of windows: the same however the reports came, and not impressed by a drug's volume."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pytest
from builders import T0, accepted, batch, report
from effort import pick
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from models.spikes import DetectionRules, RuleBook, SpikeRules
from sql.connection import open_engine
from sql.migrate import ensure_schema
from sql.positions import take_over
from sql.task_write import write_task
from streaming.commit import Committer

WIDTH = 30_000
DRUGS, REACTIONS = ("A", "B", "C"), ("X", "Y", "Z")
QUIET = 12
RULES = DetectionRules(spikes=SpikeRules(baseline_windows=10, warmup_windows=3))
JUDGED = (QUIET, QUIET + 1)


class Case(NamedTuple):
    """A case with one pair, at its event time."""

    number: str
    at_ms: int
    pair: tuple[str, str]


class Stream:
    """A store and the commits over it."""

    def __init__(self, engine: Engine, rules: DetectionRules = RULES) -> None:
        self.engine = engine
        self._lease = take_over(engine, "test/reports", 1, {"0": 0}, force=True)
        self._committer = Committer(engine, self._lease, (WIDTH,), RuleBook(rules))
        self._sequence = 0

    def receive(self, cases: Sequence[Case], *, again: bool = False) -> None:
        """Store a batch; `again`: a second time, as a task that is tried again does."""
        events = [
            accepted(self._sequence + i, report(case.number, pairs=[case.pair]), case.at_ms)
            for i, case in enumerate(cases)
        ]
        self._sequence += len(cases)
        for _ in range(1 + again):
            write_task(self.engine, batch(self._lease, events))

    def commit(self, windows: float) -> None:
        """As the clock shows so many windows since the beginning."""
        self._committer.run(T0 + int(windows * WIDTH))

    def quiet(self, source: random.Random) -> None:
        """A baseline of every pair."""
        numbers = count()
        self.receive(
            [
                case
                for window in range(QUIET)
                for pair in all_pairs()
                for case in some(source, numbers, "q", pair, window, 2)
            ]
        )
        self._committer.run_backfill()
        self.commit(QUIET)

    def verdicts(self) -> list[tuple[Any, ...]]:
        """What is found as the judged windows close, whatever was found while they were open."""
        with self.engine.begin() as connection:
            connection.execute(text("DELETE FROM spike WHERE window_start_ms >= :t"), {"t": T0 + JUDGED[0] * WIDTH})
        for window in JUDGED:
            self.commit(window + 1)
        with self.engine.connect() as connection:
            found = connection.execute(
                text(
                    "SELECT drug_id, reaction_id, window_start_ms, cases, windows, observed, expected, z, p, rules "
                    "FROM spike ORDER BY window_start_ms, drug_id, reaction_id"
                )
            )
            return [tuple(row) for row in found]


def all_pairs() -> list[tuple[str, str]]:
    return [(drug, reaction) for drug in DRUGS for reaction in REACTIONS]


def some(
    source: random.Random, numbers: Iterator[int], name: str, pair: tuple[str, str], window: int, mean: float
) -> list[Case]:
    """About `mean` cases of a pair in a window."""
    times = [source.randrange(WIDTH) for _ in range(source.randint(int(mean) - 1, int(mean) + 1))]
    return [Case(f"{name}{next(numbers)}", T0 + window * WIDTH + at, pair) for at in times]


def judged_cases(source: random.Random) -> list[Case]:
    """Two windows in which some pairs spike, in one or in both."""
    numbers = count()
    return [
        case
        for pair in all_pairs()
        for window in JUDGED
        for case in some(source, numbers, "j", pair, window, source.choice([2, 2, 2, 9, 25]))
    ]


@contextmanager
def new_stream(rules: DetectionRules = RULES) -> Iterator[Stream]:
    with TemporaryDirectory() as folder:
        engine = open_engine(f"sqlite:///{Path(folder) / 'store.db'}")
        ensure_schema(engine)
        try:
            yield Stream(engine, rules)
        finally:
            engine.dispose()


def at_once(seed: int) -> list[tuple[Any, ...]]:
    with new_stream() as stream:
        stream.quiet(random.Random(seed))
        stream.receive(judged_cases(random.Random(-seed)))
        stream.commit(QUIET + 0.5)
        return stream.verdicts()


def test_there_are_verdicts_to_compare() -> None:
    assert {row[4] for seed in (4, 5) for row in at_once(seed)} == {1, 2}


@settings(max_examples=pick(6, 60), deadline=None)
@given(st.integers(0, 10**6), st.randoms(use_true_random=False), st.integers(1, 6), st.booleans())
def test_order_batches_retries_and_duplicates_change_no_verdict(
    seed: int, order: random.Random, batches: int, again: bool
) -> None:
    with new_stream() as stream:
        stream.quiet(random.Random(seed))
        cases = judged_cases(random.Random(-seed))
        cases += order.sample(cases, len(cases) // 3)  # the same report again
        order.shuffle(cases)
        for part in range(batches):
            stream.receive(cases[part::batches], again=again)
            stream.commit(QUIET + 0.5)
        assert stream.verdicts() == at_once(seed)


@settings(max_examples=pick(6, 60), deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 6))
def test_follow_ups_that_name_known_pairs_change_no_verdict(seed: int, offset: int) -> None:
    with new_stream() as stream:
        stream.quiet(random.Random(seed))
        cases = judged_cases(random.Random(-seed))
        stream.receive(cases)
        stream.receive([case._replace(at_ms=case.at_ms + offset * WIDTH // 7) for case in cases])
        stream.commit(QUIET + 0.5)
        assert stream.verdicts() == at_once(seed)


def launch(engine_rules: DetectionRules, factor: int) -> list[tuple[Any, ...]]:
    """Every reaction of one drug is reported `factor` times as often as before."""
    with new_stream(engine_rules) as stream:
        source, numbers = random.Random(5), count()
        stream.quiet(source)
        for window in JUDGED:
            stream.receive(
                [
                    case
                    for drug, reaction in all_pairs()
                    for case in some(
                        source, numbers, "l", (drug, reaction), window, 2.0 * (factor if drug == "A" else 1)
                    )
                ]
            )
        stream.commit(QUIET + 0.5)
        return stream.verdicts()


@pytest.mark.parametrize("factor", [10, 40])
def test_a_rise_of_all_reactions_of_a_drug_is_no_spike(factor: int) -> None:
    assert launch(RULES, factor) == []
    assert launch(dataclasses.replace(RULES, rule="zscore"), factor)
