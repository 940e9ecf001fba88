"""One block of inputs through decoder and suite: what a process of `make fuzz` does, and what it found.

The first batch of a block is judged by Great Expectations itself as well, which would take too long for all of them.
"""

from __future__ import annotations

import datetime as dt
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from random import Random

from fuzz.laws import LawBrokenError, obey
from mutations import mutator

from expectations.checks import Checker, Verdicts
from expectations.columns import checked_columns
from expectations.decode import Rejection, decode
from expectations.reference import Reference, row_verdicts
from expectations.report import Report
from expectations.suite import LoadedSuite, load_suite

__all__ = ["Failure", "Tally", "body_of", "prepare", "run_block"]

_BATCH = 500
PASSED, WARNED = "passed", "passed with warnings"
_TODAY = dt.date(2026, 1, 5)


@dataclass(frozen=True)
class Failure:
    """An input that broke something."""

    index: int
    exception: bool
    """Whether it raised, and not only broke a law."""
    told: str
    """The traceback, or the law."""


@dataclass
class Tally:
    """What became of the inputs of one or more blocks."""

    inputs: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    warnings: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    slowest: tuple[float, int] = (0.0, 0)
    """Seconds that one input took to decode, and its index."""

    @property
    def without_outcome(self) -> int:
        """Inputs that were neither passed nor refused."""
        return self.inputs - self.outcomes.total()

    def add(self, other: Tally) -> None:
        """Take in what another block found."""
        self.inputs += other.inputs
        self.outcomes += other.outcomes
        self.warnings += other.warnings
        self.failures += other.failures
        self.slowest = max(self.slowest, other.slowest)


def body_of(seed: int, index: int) -> bytes:
    """The input of that index: the same in every process and on every machine."""
    return mutator().body(Random(f"{seed}:{index}"))


def prepare() -> None:
    """Do once per process what takes seconds."""
    _checker()
    _reference()


def run_block(seed: int, first: int, count: int) -> Tally:
    """Decode and check `count` inputs from index `first` on, in batches."""
    tally = Tally()
    for start in range(first, first + count, _BATCH):
        indexes = range(start, min(start + _BATCH, first + count))
        reports = _decode(tally, seed, indexes)
        try:
            _judge(tally, reports, by_reference=start == first)
        except Exception:  # noqa: BLE001 - whatever it is, the run goes on and reports it
            _find_culprits(tally, reports, traceback.format_exc())
    return tally


@dataclass(frozen=True)
class _Decoded:
    index: int
    report: Report


def _decode(tally: Tally, seed: int, indexes: Sequence[int]) -> list[_Decoded]:
    """Those that are reports; the others have had their outcome."""
    reports = []
    for index in indexes:
        tally.inputs += 1
        found = _decode_one(tally, index, body_of(seed, index))
        if isinstance(found, Rejection):
            tally.outcomes[found.reason.value] += 1
        elif found is not None:
            reports.append(_Decoded(index, found))
    return reports


def _decode_one(tally: Tally, index: int, body: bytes) -> Report | Rejection | None:
    """What `decode` says, twice the same and by the laws; None when it is noted as a failure."""
    try:
        started = time.perf_counter()
        found = decode(body)
        tally.slowest = max(tally.slowest, (time.perf_counter() - started, index))
        obey(found)
        if decode(body) != found:
            raise LawBrokenError("the same bytes are decoded to the same")
    except LawBrokenError as broken:
        tally.failures.append(Failure(index, False, f"broken law: {broken}"))
    except Exception:  # noqa: BLE001 - whatever it is, the run goes on and reports it
        tally.failures.append(Failure(index, True, traceback.format_exc()))
    else:
        return found
    return None


def _judge(tally: Tally, decoded: Sequence[_Decoded], *, by_reference: bool) -> None:
    """Note the verdict on each report, and where it is not the one that it should be."""
    reports = [one.report for one in decoded]
    verdicts = _checker().check(reports)
    if len(verdicts.critical) != len(reports) or len(verdicts.warnings) != len(reports):
        raise LawBrokenError("there is one verdict per report")
    if by_reference and reports:
        columns = checked_columns(reports, _TODAY)
        theirs = row_verdicts(_reference().validate(columns), len(reports), _suite())
        _hold_against(tally, decoded, verdicts, theirs, "Great Expectations gives the same verdict")
    if decoded:
        alone = _checker().check(reports[:1])
        _hold_against(tally, decoded[:1], verdicts, alone, "a verdict depends on no other report")
    for critical, warnings in zip(verdicts.critical, verdicts.warnings, strict=True):
        tally.outcomes[" + ".join(critical) or (WARNED if warnings else PASSED)] += 1
        tally.warnings.update(warnings)


def _hold_against(tally: Tally, decoded: Sequence[_Decoded], ours: Verdicts, theirs: Verdicts, law: str) -> None:
    for row, one in enumerate(decoded):
        if (ours.critical[row], ours.warnings[row]) != (theirs.critical[row], theirs.warnings[row]):
            tally.failures.append(Failure(one.index, False, f"broken law: {law}"))


def _find_culprits(tally: Tally, decoded: Sequence[_Decoded], told: str) -> None:
    """One by one, after the batch as a whole could not be judged."""
    before = len(tally.failures)
    for one in decoded:
        try:
            _judge(tally, [one], by_reference=False)
        except Exception:  # noqa: BLE001 - whatever it is, the run goes on and reports it
            tally.failures.append(Failure(one.index, True, traceback.format_exc()))
    if len(tally.failures) == before:
        tally.failures.append(Failure(decoded[0].index, True, "only together with the inputs after it: " + told))


@cache
def _suite() -> LoadedSuite:
    return load_suite()


@cache
def _checker() -> Checker:
    return Checker(_suite(), today=lambda: _TODAY)


@cache
def _reference() -> Reference:
    return Reference(_suite().text)
