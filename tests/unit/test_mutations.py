"""Broken reports, some thousands of them: what decoder, suite, stage and store promise of any input at all.

`make fuzz` does the same with a million; `mutations` says how they are broken, `fuzz.laws` what must hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest
from builders import T0
from databases import Databases
from effort import pick
from fuzz.laws import LawBrokenError, obey
from hypothesis import given, settings
from hypothesis import strategies as st
from mutations import CANARY, bodies, mutator
from sqlalchemy import Engine, select

from expectations.checks import Checker
from expectations.decode import Rejection, decode
from expectations.reasons import Reason
from expectations.report import Report
from expectations.suite import load_suite
from sql.accounting import account
from sql.connection import open_engine
from sql.positions import Lease, Source, take_over
from sql.schema import drug, quarantined_report, reaction, report_drug, report_reaction, safety_report
from sql.staging import Accepted, Refused, TaskBatch
from sql.task_write import write_task
from streaming.event_time import EventTime
from streaming.stage import Event, Judges, judge

SEEDED = pick(2_000, 200_000)
DRAWN = pick(250, 20_000)
WRITTEN = pick(200, 20_000)
HUB = "test/reports"
SUITE = load_suite()
JUDGES = Judges(Checker(SUITE), None, EventTime.HUB)


def seeded(count: int, seed: int = 0) -> Iterator[bytes]:
    return (mutator().body(Random(f"{seed}:{i}")) for i in range(count))


# --- The mutations themselves -----------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_input() -> None:
    assert mutator().body(Random("1:1")) == mutator().body(Random("1:1"))
    assert len({mutator().body(Random(f"1:{i}")) for i in range(50)}) > 45


def test_mutations_reach_every_reason_for_rejection_and_leave_enough_reports_to_judge() -> None:
    found = [decode(body) for body in seeded(3_000)]
    reasons = {f.reason for f in found if isinstance(f, Rejection)}
    decoded_only = {Reason.BROKEN_JSON, Reason.NOT_UTF8, Reason.TOO_DEEP, Reason.NOT_AN_OBJECT, Reason.WRONG_TYPE}
    identity = {Reason.BAD_NUMBER, Reason.BAD_DATE, Reason.MISSING_ID, Reason.MALFORMED_ID, Reason.MISSING_PATIENT}
    assert decoded_only | identity <= reasons
    assert sum(isinstance(f, Report) for f in found) > 1_000
    assert sum(isinstance(f, Report) and f.unreadable != () for f in found) > 100


@pytest.mark.parametrize(
    "found",
    [
        Rejection(Reason.WRONG_TYPE, f"$.patient.{CANARY}"),
        Rejection(Reason.WRONG_TYPE, "$.patient.drug[x]"),
        Rejection("wrong_type", "$"),
        None,
    ],
)
def test_the_laws_are_broken_by_what_they_forbid(found: object) -> None:
    with pytest.raises(LawBrokenError):
        obey(found)


# --- Decoding ---------------------------------------------------------------------------------------------------


@given(bodies())
@settings(max_examples=DRAWN, deadline=None)
def test_any_mutated_report_is_decoded_by_the_laws_and_twice_the_same(body: bytes) -> None:
    found = decode(body)
    obey(found)
    assert decode(body) == found


def test_thousands_of_mutated_reports_are_decoded_by_the_laws() -> None:
    kinds = set()
    for body in seeded(SEEDED):
        found = decode(body)
        obey(found)
        kinds.add(type(found))
    assert kinds == {Report, Rejection}


@given(st.binary(max_size=300))
@settings(max_examples=DRAWN)
def test_any_bytes_are_decoded_by_the_laws_and_twice_the_same(body: bytes) -> None:
    found = decode(body)
    obey(found)
    assert decode(body) == found


# --- The stage --------------------------------------------------------------------------------------------------


def judged(bodies: list[bytes]) -> list[Accepted | Refused]:
    return judge([Event(i, T0 + i, body) for i, body in enumerate(bodies)], JUDGES)


def assert_one_outcome_each(bodies: list[bytes], outcomes: list[Accepted | Refused]) -> None:
    assert [(o.sequence, o.enqueued_ms) for o in outcomes] == [(i, T0 + i) for i in range(len(bodies))]
    assert [o.body for o in outcomes] == bodies
    for outcome in outcomes:
        found = decode(outcome.body)
        if isinstance(outcome, Accepted):
            assert outcome.report == found
        else:
            assert outcome.reasons
            assert (outcome.path is not None) == isinstance(found, Rejection)


@given(st.lists(bodies(), max_size=8))
@settings(max_examples=pick(30, 2_000), deadline=None)
def test_every_event_has_exactly_one_outcome_in_its_place(bodies: list[bytes]) -> None:
    assert_one_outcome_each(bodies, judged(bodies))


def test_an_outcome_does_not_depend_on_the_events_around_it() -> None:
    all_of_them = list(seeded(pick(500, 5_000), seed=1))
    together = judged(all_of_them)
    assert_one_outcome_each(all_of_them, together)
    alone = [judge([Event(i, T0 + i, body)], JUDGES)[0] for i, body in enumerate(all_of_them)]
    assert alone == together


# --- The store --------------------------------------------------------------------------------------------------


@pytest.fixture
def engine() -> Iterator[Engine]:
    databases = Databases()
    with databases.fresh("sqlite") as url:
        engine = open_engine(url)
        yield engine
        engine.dispose()
    databases.close()


def write(engine: Engine, lease: Lease, bodies: list[bytes], first: int) -> list[Accepted | Refused]:
    outcomes = judge([Event(first + i, T0 + i, body) for i, body in enumerate(bodies)], JUDGES)
    write_task(engine, TaskBatch(Source(HUB, 1, "0"), lease.epoch, outcomes, None, SUITE.version))
    return outcomes


def test_mutated_reports_are_stored_and_read_back_and_all_accounted_for(engine: Engine) -> None:
    lease = take_over(engine, HUB, 1, {"0": 0})
    inputs = list(seeded(WRITTEN, seed=2))
    outcomes = [o for i in range(0, WRITTEN, 200) for o in write(engine, lease, inputs[i : i + 200], i)]
    assert (account(engine).received, account(engine).unaccounted) == (WRITTEN, 0)
    accepted = {o.sequence: o.report for o in outcomes if isinstance(o, Accepted)}
    refused = {o.sequence: (o.body, ",".join(o.reasons), o.path) for o in outcomes if isinstance(o, Refused)}
    kept = quarantined_report.c
    with engine.connect() as connection:
        quarantined = {
            row.sequence: (row.body, row.reasons, row.path)
            for row in connection.execute(select(kept.sequence, kept.body, kept.reasons, kept.path))
        }
        stored = connection.execute(select(safety_report)).all()
        drugs = connection.execute(
            select(report_drug, drug.c.name)
            .select_from(report_drug.outerjoin(drug, drug.c.drug_id == report_drug.c.drug_id))
            .order_by(report_drug.c.sequence, report_drug.c.ordinal)
        ).all()
        reactions = connection.execute(
            select(report_reaction, reaction.c.name)
            .select_from(report_reaction.outerjoin(reaction, reaction.c.reaction_id == report_reaction.c.reaction_id))
            .order_by(report_reaction.c.sequence, report_reaction.c.ordinal)
        ).all()
    conflicts = quarantined.keys() - refused.keys()
    assert {sequence: quarantined[sequence] for sequence in refused} == refused
    assert all(quarantined[s] == (inputs[s], "conflicting_duplicate", None) for s in conflicts)
    assert len(stored) > WRITTEN / 10
    for row in stored:
        report = accepted[row.sequence]
        for name in (
            "safetyreportid",
            "version",
            "digest",
            "receivedate",
            "receiptdate",
            "transmissiondate",
            "serious",
        ):
            assert getattr(row, name) == getattr(report, name)
        for name in ("age_years", "sex", "weight_kg", "qualification", "country", "sender", "company_number"):
            assert getattr(row, name) == getattr(report, name)
    sequences = [row.sequence for row in stored]
    assert [(d.sequence, d.ordinal, d.name, d.product, d.characterization, d.indication) for d in drugs] == [
        (s, i, d.name, d.product, d.characterization, d.indication)
        for s in sorted(sequences)
        for i, d in enumerate(accepted[s].drugs)
    ]
    assert [(r.sequence, r.ordinal, r.name, r.outcome) for r in reactions] == [
        (s, i, r.term, r.outcome) for s in sorted(sequences) for i, r in enumerate(accepted[s].reactions)
    ]


def test_mutated_reports_that_come_again_store_nothing_new(engine: Engine) -> None:
    lease = take_over(engine, HUB, 1, {"0": 0})
    inputs = list(seeded(200, seed=3))
    write(engine, lease, inputs, 0)
    once = account(engine)
    write(engine, lease, inputs, len(inputs))
    twice = account(engine)
    assert (twice.received, twice.stored, twice.unaccounted) == (2 * once.received, once.stored, 0)
    assert twice.quarantined == 2 * once.quarantined
