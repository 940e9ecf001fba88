"""`reactionwatch quarantine`: what each command says, what it does, and what it never shows."""

from __future__ import annotations

import datetime as dt
import getpass
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from builders import T0, accepted, batch, openfda, refused, report
from sqlalchemy import Engine, event, update
from typer.testing import CliRunner, Result

from reactionwatch.cli import app
from reactionwatch.commands.quarantine_tables import escaped
from sql.accounting import account
from sql.clock import utc_now
from sql.connection import open_engine
from sql.migrate import upgrade
from sql.positions import Lease, release, take_over
from sql.prune import prune
from sql.quarantine import Place, State, find
from sql.quarantine import Selection as Every
from sql.replay import count_marked
from sql.schema import quarantined_report
from sql.task_write import write_task
from streaming.commit import Committer

HUB, FILE = "localhost/reports", "file:" + "0a1b" * 16
SECRET = "Mrs. Unusual-Name"
GOOD = openfda("100", companynumb=SECRET)
"""Bytes that today's decoder and suite take, and that say something."""


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    monkeypatch.setenv("REACTIONWATCH_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("REACTIONWATCH_WINDOWS", "30s")
    for name in ("DATABASE_URL", "MLFLOW_TRACKING_URI", "SUITES", "EVENT_TIME"):
        monkeypatch.delenv(f"REACTIONWATCH_{name}", raising=False)
    engine = open_engine(f"sqlite:///{tmp_path / 'reactionwatch.db'}", pooled=False)
    upgrade(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def store(engine: Engine) -> Engine:
    """Four broken reports of two partitions, of which one would pass today, and a good one; no stream runs."""
    lease = take_over(engine, HUB, 1, {"0": 0, "1": 0})
    write_task(engine, batch(lease, [refused(0, b"{" + SECRET.encode()), refused(1, GOOD, "no_named_drug")]))
    second = [accepted(0, report("1")), refused(1, b"[]", "not_an_object"), refused(2, b"\x1b[31m\xff", "not_utf8")]
    write_task(engine, batch(lease, second, "1"))
    Committer(engine, lease, (30_000,), _rules()).run(None)
    release(engine, lease)
    return engine


def run(*words: str, exit_code: int = 0, answer: str | None = None) -> Result:
    result = CliRunner().invoke(app, ["quarantine", *words], input=answer)
    assert result.exit_code == exit_code, result.output
    assert SECRET not in result.output or "--body" in words
    return result


def listed(*words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run("list", "--json", *words).stdout)
    return found


def positions(*words: str) -> set[str]:
    return {row["position"] for row in listed(*words)}


def states(engine: Engine) -> dict[str, State]:
    return {f"{p.partition_id}:{p.sequence}": state for p, state in find(engine, Every()).items()}


def replay_as_json(*words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("replay", "--json", *words).stdout)
    return found


def another_hub(engine: Engine, hub: str, generation: int, *sequences: int) -> None:
    lease = take_over(engine, hub, generation, {"0": 0}, force=True)
    events = [refused(n, openfda(f"{hub[:9]}-{n}")) for n in sequences]
    write_task(engine, batch(lease, events, generation=generation))
    release(engine, lease)


# list


def test_list_shows_where_and_why_newest_first_and_never_what(store: Engine) -> None:
    with store.begin() as connection:
        old = quarantined_report.c.sequence == 0
        connection.execute(update(quarantined_report).where(old).values(stored_at=dt.datetime(2020, 1, 2, 3, 4, 5)))  # noqa: DTZ001
    lines = run("list").stdout.splitlines()
    assert lines[0].split() == ["From", HUB]
    assert [line.split()[0] for line in lines[2:]] == ["1:2", "1:1", "0:1", "0:0"]
    assert lines[-1].split() == ["0:0", "kept", "2020-01-02", "03:04", "broken_json", "$", "18", "suite-1"]


def test_list_as_json_has_every_column_but_the_body(store: Engine) -> None:
    (row,) = listed("0:1")
    assert row.pop("stored_at") <= f"{utc_now()}"
    assert row == {
        "position": "0:1",
        "hub": HUB,
        "generation": 1,
        "partition_id": "0",
        "sequence": 1,
        "size": len(GOOD),
        "reasons": "no_named_drug",
        "path": "$",
        "suite_version": "suite-1",
        "state": "kept",
        "changed_at": None,
        "changed_by": None,
    }


def test_list_says_how_many_more_there_are(store: Engine) -> None:
    result = run("list", "--limit", "3")
    assert "1 report more: --limit 4 shows all." in result.stderr
    assert "more" not in run("list", "--limit", "4").stderr


def test_list_shows_what_can_be_replayed_unless_asked_for_other_states(store: Engine) -> None:
    run("discard", "0:0", "--yes")
    run("replay", "1:1", "--no-wait")
    assert {row["position"]: row["state"] for row in listed()} == {"0:1": "kept", "1:1": "replay", "1:2": "kept"}
    (gone,) = listed("--state", "discarded")
    assert (gone["position"], gone["size"], gone["changed_by"]) == ("0:0", 0, getpass.getuser())
    assert positions("--state", "discarded", "--state", "replay") == {"0:0", "1:1"}


def test_list_finds_by_reason_age_and_place(store: Engine) -> None:
    with store.begin() as connection:
        old = quarantined_report.c.partition_id == "1"
        ago = utc_now() - dt.timedelta(hours=30)
        connection.execute(update(quarantined_report).where(old).values(stored_at=ago))
    assert positions("--reason", "not_utf8", "--reason", "broken_json") == {"1:2", "0:0"}
    assert positions("--older-than", "1d") == {"1:1", "1:2"}
    assert positions("--since", "29h") == {"0:0", "0:1"}
    assert positions("--since", "31h", "--older-than", "1d", "--reason", "not_utf8") == {"1:2"}
    assert positions("0:0", "1:2") == {"0:0", "1:2"}
    assert positions("--hub", "local") == {"0:0", "0:1", "1:1", "1:2"}


@pytest.mark.parametrize("reason", ["no_such_reason", "named_drug", "no_named", "%", "no-named-drug"])
def test_a_reason_is_a_whole_code(store: Engine, reason: str) -> None:
    assert positions("--reason", reason) == set()
    assert "No report in quarantine matches." in run("list", "--reason", reason).stderr


def test_one_of_several_reasons_is_enough(engine: Engine) -> None:
    lease = take_over(engine, HUB, 1, {"0": 0})
    write_task(engine, batch(lease, [refused(0, reason="no_named_drug,too_many_pairs"), refused(1)]))
    assert positions("--reason", "too_many_pairs") == {"0:0"}


def test_hubs_are_told_apart_and_named_by_their_beginning(store: Engine) -> None:
    another_hub(store, FILE, 0, 0)
    assert {row["hub"] for row in listed()} == {HUB, FILE}
    assert [row["hub"] for row in listed("--hub", "file:0a")] == [FILE]
    assert FILE in run("list").stdout.splitlines()[1] + run("list").stdout  # a column of its own
    assert "begins with 'nowhere'" in run("list", "--hub", "nowhere", exit_code=2).stderr
    another_hub(store, FILE + "0", 0, 0)
    assert "Several hubs begin with 'file:'" in run("list", "--hub", "file:", exit_code=2).stderr
    assert [row["hub"] for row in listed("--hub", FILE)] == [FILE]


def test_an_empty_quarantine_is_said_to_be_empty(engine: Engine) -> None:
    assert "The quarantine is empty." in run("list").stderr
    assert listed() == []


# show


def test_show_gives_every_reason_its_sentence(store: Engine) -> None:
    shown = run("show", "0:1").stdout
    assert "No drug of the report has a name." in shown
    assert json.loads(run("show", "0:1", "--json").stdout)["reasons"] == [
        {"code": "no_named_drug", "meaning": "No drug of the report has a name."}
    ]


def test_show_takes_sentences_of_other_codes_from_the_suite_in_use(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = take_over(engine, HUB, 1, {"0": 0})
    write_task(engine, batch(lease, [refused(0, reason="of_our_own,long_gone")]))
    expectation = {
        "type": "expect_column_values_to_be_between",
        "kwargs": {"column": "serious", "max_value": 0},
        "meta": {"code": "of_our_own", "severity": "critical", "why": "Our house rule."},
    }
    (tmp_path / "report.json").write_text(json.dumps({"name": "report", "expectations": [expectation]}))
    monkeypatch.setenv("REACTIONWATCH_SUITES", str(tmp_path))
    meanings = {r["code"]: r["meaning"] for r in json.loads(run("show", "0:0", "--json").stdout)["reasons"]}
    assert meanings == {
        "of_our_own": "Our house rule.",
        "long_gone": "An expectation that the suite in use does not have.",
    }


def test_body_writes_the_exact_bytes_and_nothing_else(store: Engine, tmp_path: Path) -> None:
    assert run("show", "1:2", "--body").stdout_bytes == b"\x1b[31m\xff"
    assert run("show", "0:1", "--body").stdout_bytes == GOOD
    out = tmp_path / "report.json"
    assert f"{len(GOOD)} bytes written to {out}." in run("show", "0:1", "--out", str(out)).stderr
    assert out.read_bytes() == GOOD


def test_a_file_that_cannot_be_written_is_said(store: Engine, tmp_path: Path) -> None:
    failed = run("show", "0:1", "--out", str(tmp_path / "no" / "file"), exit_code=1)
    assert "Name another file." in failed.stderr


def test_on_a_terminal_a_body_does_nothing_to_it(store: Engine) -> None:
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [Path(sys.executable).parent / "reactionwatch", "quarantine", "show", "1:2", "--body"],
        stdout=theirs,
        stderr=subprocess.PIPE,
        timeout=120,
        check=False,
    )
    os.close(theirs)
    assert done.returncode == 0, done.stderr
    assert os.read(ours, 1_000) == b"\\x1b[31m\\xff\r\n"
    os.close(ours)


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b'{"a": "b\\n"}\n\t', '{"a": "b\\n"}\n\t'),
        (b"\x00\x07\x08\r\x1b]0;title\x07\x7f", "\\x00\\x07\\x08\\r\\x1b]0;title\\x07\\x7f"),
        ("\N{PILL} ä \u202e\u2028\x9b1m".encode(), "\N{PILL} ä \\u202e\\u2028\\x9b1m"),
        (b"\xff\xfe", "\\xff\\xfe"),
    ],
)
def test_only_what_is_printed_reaches_a_terminal_as_it_is(body: bytes, shown: str) -> None:
    assert escaped(body) == shown


def test_bytes_that_are_gone_are_said_to_be_gone(store: Engine) -> None:
    run("discard", "0:1", "--yes")
    assert "The bytes of 0:1 are gone" in run("show", "0:1", "--body", exit_code=1).stderr
    assert "discarded" in run("show", "0:1").stdout


# Which report is meant


@pytest.mark.parametrize("command", [("show",), ("replay",), ("discard", "--yes")])
def test_a_position_where_nothing_is_quarantined_is_no_success(store: Engine, command: tuple[str, ...]) -> None:
    assert "No such report at 7:99" in run(*command, "7:99", exit_code=1).stderr
    assert set(states(store).values()) == {State.KEPT}


@pytest.mark.parametrize("command", ["show", "replay", "discard"])
@pytest.mark.parametrize("position", ["1", "0:", ":1", "0:x", "0:-1", "0:1@", "0 :1", "0:1@x", "0:9999999999999999999"])
def test_what_is_no_position_is_wrong_usage(store: Engine, command: str, position: str) -> None:
    assert "is no position" in run(command, position, exit_code=2).stderr


@pytest.mark.parametrize("command", ["replay", "discard"])
def test_without_a_selection_nothing_is_done(store: Engine, command: str) -> None:
    assert "say which reports" in run(command, exit_code=2).stderr
    assert "is no age" in run(command, "--older-than", "soon", exit_code=2).stderr
    assert set(states(store).values()) == {State.KEPT}


def test_a_position_that_two_hubs_have_needs_the_hub(store: Engine) -> None:
    another_hub(store, FILE, 0, 0)
    for command in ("show", "replay", "discard"):
        said = run(command, "0:0", exit_code=2).stderr
        assert f"--hub {FILE} or --hub {HUB}" in " ".join(said.split())
    run("discard", "0:0", "--hub", "file", "--yes")
    assert find(store, Every(hubs=(FILE,))) == {Place(FILE, 0, "0", 0): State.DISCARDED}
    assert find(store, Every(hubs=(HUB,)))[Place(HUB, 1, "0", 0)] is State.KEPT


def test_a_position_that_a_hub_made_anew_has_again_is_shown_with_its_generation(store: Engine) -> None:
    another_hub(store, HUB, 2, 0)
    assert {"0:0@1", "0:0@2"} <= positions()
    assert "write 0:0@1 or 0:0@2" in run("show", "0:0", exit_code=2).stderr
    assert json.loads(run("show", "0:0@2", "--json").stdout)["generation"] == 2
    run("discard", "0:0@2", "--yes")
    assert {p.generation for p, state in find(store, Every()).items() if state is State.DISCARDED} == {2}


# replay


def test_replay_without_a_stream_stores_counts_and_tells(store: Engine) -> None:
    result = run("replay", "--all")
    assert "4 reports to replay." in result.stderr
    rows = [line.split()[:3] for line in result.stdout.splitlines()]
    assert ["0:1", "stored"] in [row[:2] for row in rows]
    assert ["0:0", "kept", "again"] in rows
    assert ["kept", "again", "3"] in rows
    assert ["not_utf8", "1"] in rows
    total = account(store)
    assert (total.stored, total.quarantined, total.unaccounted, total.unfolded_receipts) == (2, 3, 0, 0)


def test_replay_as_json(store: Engine) -> None:
    told = replay_as_json("0:1", "1:1")
    assert {name: told[name] for name in ("stored", "duplicate", "kept", "waiting", "kept_by_reason")} == {
        "stored": 1,
        "duplicate": 0,
        "kept": 1,
        "waiting": 0,
        "kept_by_reason": {"not_an_object": 1},
    }
    assert told["reports"][1] == {
        "position": "1:1",
        "hub": HUB,
        "generation": 1,
        "partition_id": "1",
        "sequence": 1,
        "outcome": "kept",
        "reasons": ["not_an_object"],
        "path": "$",
    }
    assert states(store) == {"0:0": "kept", "0:1": "replayed", "1:1": "kept", "1:2": "kept"}


def test_a_report_that_came_in_meanwhile_is_told_to_be_a_duplicate(store: Engine) -> None:
    lease = take_over(store, HUB, 1, {"0": 0})
    write_task(store, batch(lease, [refused(2, GOOD)]))
    release(store, lease)
    told = replay_as_json("--all")
    assert (told["stored"], told["duplicate"], told["kept"]) == (1, 1, 3)
    assert account(store).unaccounted == 0


def test_reports_of_a_backfill_count_at_their_own_time(store: Engine) -> None:
    another_hub(store, FILE, 0, 0)
    assert replay_as_json("--hub", "file")["stored"] == 1
    with store.connect() as connection:
        ms = connection.exec_driver_sql("SELECT event_ms FROM safety_report WHERE suite_version <> 'suite-1'").scalar()
    assert ms == dt.datetime(2026, 1, 5, tzinfo=dt.UTC).timestamp() * 1_000 < T0


def test_only_asked_for_it_waits_and_the_next_replay_does_it(store: Engine) -> None:
    told = run("replay", "0:1", "--no-wait")
    assert "1 report marked: a running stream, or" in told.stderr
    assert states(store)["0:1"] is State.REPLAY
    with store.connect() as connection:
        by = connection.exec_driver_sql("SELECT changed_by FROM quarantined_report WHERE state = 'replay'").scalar()
    assert by == getpass.getuser()
    status = CliRunner().invoke(app, ["status"])
    assert status.exit_code == 0
    assert "of these waiting for a replay 1" in " ".join(status.stdout.split())
    assert replay_as_json("--reason", "no_named_drug")["stored"] == 1
    assert "waiting" not in CliRunner().invoke(app, ["status"]).stdout


def test_replay_goes_on_with_what_was_asked_for_before(store: Engine) -> None:
    """Of the same hub, whatever is asked for now: there is one line for all."""
    run("replay", "0:1", "--no-wait")
    assert replay_as_json("1:1")["kept"] == 1
    assert states(store)["0:1"] is State.REPLAYED


def test_what_cannot_be_replayed_is_said(store: Engine) -> None:
    run("discard", "0:0", "--yes")
    assert "1 discarded already" in run("replay", "0:0", exit_code=1).stderr
    lease = take_over(store, HUB, 1, {"0": 0})
    Committer(store, lease, (30_000,), _rules()).run(None)
    release(store, lease)
    run("replay", "0:1", "--no-wait")
    list(prune(store, utc_now() + dt.timedelta(days=1)))
    assert states(store) == {"0:0": "discarded", "0:1": "replay", "1:1": "pruned", "1:2": "pruned"}
    result = run("replay", "0:0", "0:1", "1:1", "--json")
    assert "Left alone: 1 discarded already, 1 pruned, so that nothing is left of it." in result.stderr
    assert json.loads(result.stdout)["stored"] == 1


def _rules() -> Any:
    from models.spikes import RuleBook

    return RuleBook()


def test_nothing_to_replay_is_no_failure(store: Engine) -> None:
    assert "No report in quarantine matches." in run("replay", "--reason", "too_deep").stderr


def test_ctrl_c_leaves_marked_what_is_not_done_and_says_so(store: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sql.replay._MOST_ROWS", 1)

    def press_ctrl_c(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("INSERT INTO ingest_task"):
            os.kill(os.getpid(), signal.SIGINT)

    event.listen(Engine, "after_cursor_execute", press_ctrl_c)
    try:
        result = run("replay", "--all")
    finally:
        event.remove(Engine, "after_cursor_execute", press_ctrl_c)
    # 0:0 fails and leaves no receipt; 0:1 is stored, and there it is stopped.
    assert states(store) == {"0:0": "kept", "0:1": "replayed", "1:1": "replay", "1:2": "replay"}
    assert "2 reports marked: a running stream, or reactionwatch quarantine replay --all, goes on" in result.stderr
    assert account(store).unfolded_receipts == 0
    assert replay_as_json("--all")["kept"] == 3


def test_a_stream_that_is_too_old_to_replay_is_said(store: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    lease = take_over(store, HUB, 1, {"0": 0})
    monkeypatch.setattr("reactionwatch.commands.quarantine._PATIENCE_SECONDS", 0.0)
    failed = run("replay", "0:1", exit_code=1)
    assert "1 report not done: whatever holds the hub did none of them for 0 seconds." in failed.stderr
    assert count_marked(store, HUB) == 1
    release(store, Lease(HUB, lease.epoch, lease.holder))


# discard


@pytest.mark.parametrize("answer", ["n\n", "\n", None])
def test_discard_asks_and_takes_only_a_yes(store: Engine, answer: str | None) -> None:
    result = run("discard", "0:0", exit_code=1, answer=answer)
    assert "Delete the bytes of 1 report for good?" in result.stderr
    assert "Nothing was discarded: answer y, or add --yes." in result.stderr
    assert set(states(store).values()) == {State.KEPT}


def test_what_is_discarded_stays_counted(store: Engine) -> None:
    assert "Discarded: 1 report." in run("discard", "0:0", answer="y\n").stderr
    assert json.loads(run("discard", "--reason", "not_utf8", "--yes", "--json").stdout) == {"discarded": 1}
    assert states(store) == {"0:0": "discarded", "0:1": "kept", "1:1": "kept", "1:2": "discarded"}
    assert (account(store).quarantined, account(store).unaccounted) == (4, 0)
    assert "1 discarded already" in run("discard", "0:0", "--yes", exit_code=1).stderr


def test_discard_leaves_alone_what_is_marked_and_says_so(store: Engine) -> None:
    run("replay", "0:1", "--no-wait")
    assert "marked for replay, which comes first" in run("discard", "0:1", "--yes", exit_code=1).stderr
    result = run("discard", "--all", "--yes")
    assert "Discarded: 3 reports." in result.stderr
    assert "1 report left alone: marked for replay, which comes first." in result.stderr
    assert states(store)["0:1"] is State.REPLAY
