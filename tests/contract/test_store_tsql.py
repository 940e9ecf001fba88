"""The store in T-SQL: what it sends, word for word, and what only SQL Server does.

Everything else is in the other tests of this folder, which run on T-SQL as well.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from builders import T0, accepted, batch, openfda, refused, report
from databases import BACKENDS, Databases
from sqlalchemy import Connection, Engine, event, select, text
from sqlalchemy.exc import DBAPIError
from sqlglot import exp
from tsql.driver import SENT
from tsql.translation import parsed

from expectations.decode import decode
from expectations.report import Report
from models.spikes import RuleBook
from sql.accounting import account
from sql.clock import utc_now
from sql.connection import READ
from sql.dialect import create_staging, load
from sql.errors import StoreUnavailableError
from sql.keys import name_key
from sql.outbox import SqlOutbox
from sql.positions import Lease, beat, positions, release, take_over
from sql.prune import prunable, prune
from sql.quarantine import (
    Place,
    Position,
    Selection,
    State,
    body_of,
    count_quarantined,
    discard,
    find,
    list_quarantined,
    mark,
    row_at,
    sources,
)
from sql.replay import Replay, ReplayResult, count_marked, read_marked, uncounted_files, write_replay
from sql.replay_outcomes import Became, outcomes_of
from sql.retry import Failure, failure_of
from sql.schema import drug, ingest_task
from sql.staging import Accepted, Refused
from sql.staging_tables import stage_pair, staging
from sql.task_write import write_task
from streaming.commit import Committer

GOLDEN = Path(__file__).parent.parent / "data" / "tsql_statements.sql"
RENEW = "REACTIONWATCH_RENEW_TSQL"
HEAD = f"""\
-- Every T-SQL statement of the store's work, but for its tables (sql/azure/schema.sql). Written by a test:
-- {RENEW}=1 pytest tests/contract/test_store_tsql.py -k word_for_word
"""
HUB = "test/reports"
WIDTH = 30_000
PAIR = ("IBUPROFEN", "NAUSEA")
OTHERS = [("IBUPROFEN", "RASH"), ("ASPIRIN", "NAUSEA"), ("ASPIRIN", "FEVER")]


@pytest.fixture(
    params=[backend for backend in BACKENDS if "sql" in backend and backend not in ("sqlite", "postgresql")]
)
def database_url(request: pytest.FixtureRequest, databases: Databases) -> Iterator[str]:
    with databases.fresh(request.param) as url:
        yield url


@pytest.fixture
def lease(engine: Engine) -> Lease:
    return take_over(engine, HUB, 1, {"0": 0, "1": 0})


def work_through_everything(engine: Engine) -> None:
    """Every function of the store with everything that can become of a report, a window and an alert."""
    take_over(engine, HUB, 1, {"0": 0})
    lease = take_over(engine, HUB, 1, {"0": 0, "1": 0}, force=True)
    committer = Committer(engine, lease, (WIDTH, 4 * WIDTH), RuleBook())
    sequence = 0
    for window in range(24):
        cases = [PAIR] * 30 if window == 20 else []
        events: list[Accepted] = []
        for pair in (*cases, *[PAIR, *OTHERS] * 2):
            events.append(
                accepted(sequence, report(f"{sequence}", pairs=[pair]), T0 + window * WIDTH + sequence % WIDTH)
            )
            sequence += 1
        write_task(engine, batch(lease, events))
        committer.run(T0 + (window + 1) * WIDTH)
    now = T0 + 24 * WIDTH
    strange = Accepted(0, now, now, b"{}", report("strange"), 0.93, 2, ("age_years",), ("late",))
    mixed = [strange, refused(1), accepted(2, report("1", content="other")), accepted(3, report("2", version=2), T0)]
    write_task(engine, batch(lease, mixed, partition="1"))
    write_task(engine, batch(lease, [*mixed[2:], refused(4)], partition="1"))
    for minutes in range(20):
        committer.run(T0 + 24 * WIDTH + minutes * 60_000)
    write_task(engine, batch(lease, [accepted(5, report("last"))], partition="1"))
    committer.run_backfill()
    outbox = SqlOutbox(engine)
    outbox.mark_sent([message.outbox_id for message in outbox.pending(3)])
    assert outbox.sent_count() == 3  # opened, closed, and an unusual report
    account(engine)
    assert account(engine, HUB).unaccounted == 0
    later = utc_now() + dt.timedelta(days=1)
    assert prunable(engine, later).quarantined == 3
    *_, pruned = prune(engine, later)
    assert pruned.messages == 3
    assert len(list_quarantined(engine, 10)) == 3
    assert positions(engine, HUB, 1)["1"] == 6
    work_through_the_quarantine(engine, lease)
    committer.run(None)
    with engine.begin() as connection:
        beat(connection, lease)
    release(engine, lease)


def work_through_the_quarantine(engine: Engine, lease: Lease) -> None:
    """Marked, told of and replayed with every outcome there is; discarded; found in every way."""
    write_task(engine, batch(lease, [refused(n) for n in range(6, 12)], partition="1"))
    places = [Place(HUB, 1, "1", n) for n in range(6, 12)]
    assert (mark(engine, places[:5], "officer"), discard(engine, places[4:], "officer")) == (5, 1)
    last, changed = report("last"), report("last", content="changed")
    verdicts: list[Accepted | Refused] = [refused(0), *(accepted(0, of) for of in (changed, last, report("new")))]
    verdicts.append(accepted(0, report("newer"), T0 + 40 * WIDTH))
    marked = read_marked(engine, HUB)
    assert marked is not None
    replay = Replay(marked, verdicts, None, "suite-2")
    assert write_replay(engine, lease, replay) == ReplayResult(stored=2, duplicates=1, kept=2)
    assert write_replay(engine, lease, replay) is None
    assert (read_marked(engine, HUB), count_marked(engine, HUB), uncounted_files(engine)) == (None, 0, [])
    assert [outcome.became for outcome in outcomes_of(engine, places)] == [
        *(Became.KEPT, Became.KEPT, Became.DUPLICATE, Became.STORED, Became.STORED, Became.DISCARDED),
    ]
    assert account(engine).unaccounted == 0
    assert sources(engine) == {HUB: (1,)}
    now, at = utc_now(), (Position("1", 6), Position("1", 7, 1))
    chosen = Selection((State.KEPT,), (HUB,), at, ("broken_json",), now - dt.timedelta(days=1), now)
    assert [row.place for row in list_quarantined(engine, 5, chosen)] == places[:1]
    assert (find(engine, chosen), count_quarantined(engine, chosen)) == ({places[0]: State.KEPT}, 1)
    assert count_quarantined(engine, Selection(reasons=("no_such_reason",))) == 0
    assert (row_at(engine, places[0]).size, body_of(engine, places[0])) == (6, b"broken")


def test_every_statement_is_known_word_for_word(engine: Engine) -> None:
    if engine.url.username != "postgres":
        pytest.skip("only the stand-in tells what it was sent")
    with engine.begin():
        pass  # what SQLAlchemy asks a server when it first meets it is no statement of ours
    SENT.clear()
    work_through_everything(engine)
    statements = sorted({re.sub(r"\(\?(, \?)+\)", "(?, …)", " ".join(sent.split())) for sent in SENT})
    found = HEAD + "".join(f"\n{statement}\nGO\n" for statement in statements)
    if os.environ.get(RENEW):
        GOLDEN.write_text(found, encoding="utf-8")
    assert found == GOLDEN.read_text(encoding="utf-8")


def test_every_statement_is_understood_by_a_parser_of_t_sql() -> None:
    statements = GOLDEN.read_text(encoding="utf-8").removeprefix(HEAD).replace("…", "?").split("\nGO\n")
    assert len(statements) > 50
    for statement in filter(str.strip, statements):
        assert isinstance(parsed(statement.strip()), (exp.Query, exp.DML, exp.Create, exp.Set)), statement


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def waited_for(engine: Engine, session: int) -> bool:
    with engine.connect() as connection:
        blocked = text("SELECT COUNT(*) FROM sys.sysprocesses WHERE blocked = :session")
        return bool(connection.scalar(blocked, {"session": session}))


def test_a_row_that_another_transaction_inserted_meanwhile_is_found_when_the_task_is_run_again(
    engine: Engine, lease: Lease
) -> None:
    failures: list[Failure] = []
    event.listen(engine, "handle_error", lambda context: failures.append(failure_of(context.sqlalchemy_exception)))
    task = threading.Thread(target=write_task, args=(engine, batch(lease, [accepted(0, report("1"))])))
    with engine.connect() as other:
        other.execute(drug.insert().values(drug_id=name_key("IBUPROFEN"), name="IBUPROFEN"))
        session = other.scalar(text("SELECT @@SPID"))
        task.start()
        until(lambda: waited_for(engine, session))
        other.commit()
    task.join(60)
    assert failures == [Failure.COLLISION]
    assert account(engine).stored == 1


def test_a_session_frozen_in_a_transaction_is_ended_at_a_takeover(engine: Engine, lease: Lease) -> None:
    with engine.connect() as frozen:
        beat(frozen, lease)
        assert take_over(engine, HUB, 1, {"0": 0}, force=True).epoch > lease.epoch
        frozen.invalidate()


def test_a_transaction_that_the_server_has_ended_is_not_taken_for_stored(engine: Engine, lease: Lease) -> None:
    def end_it(connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        if statement == "SELECT @@TRANCOUNT":
            connection.connection.rollback()

    event.listen(engine, "before_cursor_execute", end_it)
    with pytest.raises(StoreUnavailableError, match="nothing of it was stored"):
        write_task(engine, batch(lease, [accepted(0, report("1"))]))
    event.remove(engine, "before_cursor_execute", end_it)
    with engine.connect() as connection:
        assert connection.scalars(select(ingest_task.c.receipt_id)).all() == []


def test_the_longest_name_beyond_the_basic_plane_fits_its_column(engine: Engine, lease: Lease) -> None:
    of = decode(openfda("1", drug="\N{PILL}" * 500))
    assert isinstance(of, Report)
    write_task(engine, batch(lease, [accepted(0, of)]))
    with engine.connect() as connection:
        assert connection.scalars(select(drug.c.name)).all() == ["\N{PILL}" * 250]


def test_a_long_body_comes_back_as_it_was(engine: Engine, lease: Lease) -> None:
    body = bytes(range(256)) * 100
    write_task(engine, batch(lease, [refused(0, body=body)]))
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT body FROM quarantined_report")) == body
    assert [row.size for row in list_quarantined(engine, 1)] == [len(body)]


def test_names_that_differ_in_case_only_are_two_names(engine: Engine, lease: Lease) -> None:
    with engine.begin() as connection:
        connection.execute(drug.insert().values(drug_id=1, name="Aspirin"))
        assert connection.scalar(select(drug.c.drug_id).where(drug.c.name == "ASPIRIN")) is None


def test_loading_which_ends_the_transaction_is_refused_in_one_that_writes(engine: Engine) -> None:
    with engine.connect() as connection:
        create_staging(connection, staging)
        with connection.begin(), pytest.raises(AssertionError):
            load(connection, stage_pair, [(1, 2, 3)])


def test_an_error_while_loading_is_told_apart_like_any_other(engine: Engine) -> None:
    with engine.connect() as connection:
        create_staging(connection.execution_options(**READ), staging)
        with pytest.raises(DBAPIError) as caught, connection.begin():
            load(connection, stage_pair, [(1, 2, 3), (1, 2, 3)])
    assert failure_of(caught.value) is Failure.COLLISION
