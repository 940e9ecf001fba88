"""What becomes of bad input, case by case: from the bytes, through decoder and suite, to what the tables hold."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from builders import T0
from databases import Databases
from sqlalchemy import Engine, Row, Table, select, text

from expectations.checks import Checker
from expectations.suite import load_suite
from models.spikes import RuleBook
from sql.accounting import account
from sql.connection import open_engine
from sql.positions import Source, take_over
from sql.schema import drug, quarantined_report, reaction, report_drug, report_reaction, safety_report
from sql.staging import TaskBatch
from sql.task_write import TaskResult, write_task
from streaming.commit import Committer
from streaming.event_time import EventTime
from streaming.stage import Event, Judges, judge

PROGRAM = str(Path(sys.executable).parent / "reactionwatch")
HUB = "test/reports"


# --- What can become of an event --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stored:
    """A row of safety_report with these warnings and columns, and with these names."""

    warnings: tuple[str, ...]
    columns: Mapping[str, object]
    drugs: tuple[str | None, ...]
    reactions: tuple[str | None, ...]


@dataclass(frozen=True)
class Quarantined:
    """A row of quarantined_report with these reasons, this path and the very bytes."""

    reasons: tuple[str, ...]
    path: str | None


@dataclass(frozen=True)
class Duplicate:
    """No row of its own, and a receipt that counts it."""


Outcome = Stored | Quarantined | Duplicate


def stored(
    *warnings: str,
    drugs: Sequence[str | None] = ("IBUPROFEN",),
    reactions: Sequence[str | None] = ("NAUSEA",),
    **columns: object,
) -> Stored:
    return Stored(warnings, columns, tuple(drugs), tuple(reactions))


def rejected(reason: str, path: str = "$") -> Quarantined:
    """Quarantined by the decoder, which says where it broke."""
    return Quarantined((reason,), path)


def failed(*codes: str) -> Quarantined:
    """Quarantined by critical expectations, or by the store."""
    return Quarantined(codes, None)


# --- Bodies -----------------------------------------------------------------------------------------------------

_ids = count(1)


def report(**fields: Any) -> dict[str, Any]:
    """A good report with an id of its own; `fields` replace some at its top, `...` takes one away."""
    value = {
        "safetyreportid": f"bad-input-{next(_ids)}",
        "safetyreportversion": "1",
        "receivedate": "20140312",
        "receivedateformat": "102",
        "receiptdate": "20140312",
        "receiptdateformat": "102",
        "serious": "2",
        "patient": {
            "patientonsetage": "65",
            "patientonsetageunit": "801",
            "patientsex": "2",
            "reaction": [{"reactionmeddrapt": "Nausea", "reactionoutcome": "1"}],
            "drug": [{"medicinalproduct": "Ibuprofen", "drugcharacterization": "1"}],
        },
    }
    return _changed(value, fields)


def _changed(value: dict[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    return {key: entry for key, entry in {**value, **fields}.items() if entry is not ...}


def body(**fields: Any) -> bytes:
    return json.dumps(report(**fields)).encode()


def patient(**fields: Any) -> bytes:
    value = report()
    return json.dumps({**value, "patient": _changed(value["patient"], fields)}).encode()


def with_drug(**fields: Any) -> bytes:
    return patient(drug=[_changed({"medicinalproduct": "Ibuprofen", "drugcharacterization": "1"}, fields)])


def with_reaction(**fields: Any) -> bytes:
    return patient(reaction=[_changed({"reactionmeddrapt": "Nausea", "reactionoutcome": "1"}, fields)])


def raw(before: bytes, after: bytes) -> bytes:
    """A good report with some of its text replaced."""
    good = body()
    assert good.count(before) == 1
    return good.replace(before, after)


GOOD = body()
LONG = "x" * 1_000_000
MANY_DRUGS = [{"medicinalproduct": f"Drug {i}", "drugcharacterization": "1"} for i in range(50_000)]


# --- The table: name, bytes, outcome ----------------------------------------------------------------------------

NO_REPORT = {
    "empty": (b"", rejected("empty_body")),
    "white space": (b" \r\n\t ", rejected("empty_body")),
    "truncated JSON": (GOOD[:-40], rejected("broken_json")),
    "truncated inside a character": (b'{"safetyreportid": "\xc3', rejected("not_utf8")),
    "two reports in one body": (body() + body(), rejected("broken_json")),
    "invalid UTF-8": (raw(b"Ibuprofen", b"Ibu\xffprofen"), rejected("not_utf8")),
    "UTF-16": (GOOD.decode().encode("utf-16"), rejected("not_utf8")),
    "BOM": (b"\xef\xbb\xbf" + body(), stored()),
    "BOM and nothing else": (b"\xef\xbb\xbf", rejected("empty_body")),
    "BOM twice": (b"\xef\xbb\xbf\xef\xbb\xbf" + GOOD, rejected("broken_json")),
    "array root": (b"[" + GOOD + b"]", rejected("not_an_object")),
    "string root": (b'"Ibuprofen"', rejected("not_an_object")),
    "number root": (b"4711", rejected("not_an_object")),
    "null root": (b"null", rejected("not_an_object")),
    "empty object": (b"{}", rejected("missing_id", "$.safetyreportid")),
    "10,000 arrays deep": (raw(b'"65"', b"[" * 10_000 + b"]" * 10_000), rejected("too_deep")),
    "10,000 objects deep": (raw(b'"65"', b'{"a":' * 10_000 + b"1" + b"}" * 10_000), rejected("too_deep")),
    "10,000 arrays deep and cut off": (b"[" * 10_000, rejected("too_deep")),
    "NaN": (raw(b'"65"', b"NaN"), rejected("broken_json")),
    "Infinity": (raw(b'"65"', b"-Infinity"), rejected("broken_json")),
    "number beyond floats": (raw(b'"65"', b"1e999"), rejected("bad_number")),
    "integer of 5,000 digits": (raw(b'"65"', b"9" * 5_000), rejected("bad_number")),
    "NUL, raw": (raw(b"Ibuprofen", b"Ibu\0profen"), rejected("broken_json")),
    "line feed in a string, raw": (raw(b"Ibuprofen", b"Ibu\nprofen"), rejected("broken_json")),
    "lone high surrogate, escaped": (raw(b"Ibuprofen", b"Ibu\\ud800profen"), rejected("broken_json")),
    "lone low surrogate, escaped": (raw(b"Ibuprofen", b"Ibu\\udc00profen"), rejected("broken_json")),
    "surrogates in the wrong order": (raw(b"Ibuprofen", b"Ibu\\udc8a\\ud83dprofen"), rejected("broken_json")),
    "lone surrogate, raw": (raw(b"Ibuprofen", b"Ibu\xed\xa0\x80profen"), rejected("not_utf8")),
}

SKELETON = {
    "no id": (body(safetyreportid=...), rejected("missing_id", "$.safetyreportid")),
    "id is null": (body(safetyreportid=None), rejected("missing_id", "$.safetyreportid")),
    "id with spaces": (body(safetyreportid="bad input 1"), rejected("malformed_id", "$.safetyreportid")),
    "id of 300 characters": (body(safetyreportid="9" * 300), rejected("malformed_id", "$.safetyreportid")),
    "id of 64 characters": (body(safetyreportid="A" * 64), stored(safetyreportid="A" * 64)),
    "id with an emoji": (body(safetyreportid="1\N{PILL}"), rejected("malformed_id", "$.safetyreportid")),
    "id beyond 64 bits": (body(safetyreportid=2**70), stored(safetyreportid=str(2**70))),
    "id is a list": (body(safetyreportid=["1"]), rejected("wrong_type", "$.safetyreportid")),
    "version beyond 64 bits": (body(safetyreportversion=2**70), rejected("bad_number", "$.safetyreportversion")),
    "version is a word": (body(safetyreportversion="two"), rejected("bad_number", "$.safetyreportversion")),
    "version is negative": (body(safetyreportversion="-1"), rejected("bad_number", "$.safetyreportversion")),
    "neither version nor receipt date": (body(safetyreportversion=..., receiptdate=...), stored(version=0)),
    "receipt date in place of a version": (body(safetyreportversion=...), stored(version=20140312)),
    "20261301 in place of a version": (
        body(safetyreportversion=..., receiptdate="20261301"),
        rejected("bad_date", "$.receiptdate"),
    ),
    "no patient": (body(patient=...), rejected("missing_patient", "$.patient")),
    "patient is null": (body(patient=None), rejected("missing_patient", "$.patient")),
    "patient is a name": (body(patient="Jane Doe"), rejected("wrong_type", "$.patient")),
    "two patients": (body(patient=[{}, {}]), rejected("wrong_type", "$.patient")),
    "no reaction": (patient(reaction=...), failed("no_named_reaction")),
    "empty list of reactions": (patient(reaction=[]), failed("no_named_reaction")),
    "reaction without a term": (with_reaction(reactionmeddrapt=...), failed("no_named_reaction")),
    "no drug": (patient(drug=...), failed("no_named_drug")),
    "drug without a name": (with_drug(medicinalproduct=" "), failed("no_named_drug")),
    "neither drug nor reaction": (patient(drug=None, reaction=[]), failed("no_named_drug", "no_named_reaction")),
    "drug is a word": (patient(drug="Ibuprofen"), rejected("wrong_type", "$.patient.drug")),
    "one of the drugs is a word": (
        patient(drug=[{"medicinalproduct": "Ibuprofen"}, "Aspirin"]),
        rejected("wrong_type", "$.patient.drug[1]"),
    ),
}

LARGE = {
    "narrative of 1 MB": (patient(summary={"narrativeincludeclinical": LONG}), stored()),
    "20,000 drugs": (patient(drug=MANY_DRUGS[:20_000]), failed("too_many_drugs")),
    "50,000 drugs": (patient(drug=MANY_DRUGS), rejected("too_many_drugs", "$.patient.drug")),
    "narrative of 1 MB and 50,000 drugs": (
        patient(summary={"narrativeincludeclinical": LONG}, drug=MANY_DRUGS),
        rejected("too_many_drugs", "$.patient.drug"),
    ),
    "2,001 reactions": (patient(reaction=[{"reactionmeddrapt": "Nausea"}] * 2_001), failed("too_many_reactions")),
    "8 MB and a byte": (b" " * (8 * 1024 * 1024 + 1), rejected("too_large")),
}

KEYS = {
    "duplicate keys: the last counts": (
        raw(b'"patientsex": "2"', b'"patientsex": "9", "patientsex": "1"'),
        stored(sex=1),
    ),
    "duplicate id: the last counts": (
        raw(b'"serious"', b'"safetyreportid": "the-last-id", "serious"'),
        stored(safetyreportid="the-last-id"),
    ),
    "unknown fields, at every level": (
        json.dumps(
            {
                **report(new=1, newer={"a": {"b": 2}}),
                "patient": {
                    "newest": [],
                    "drug": [{"medicinalproduct": "Ibuprofen", "drugcharacterization": "1", "colour": "red"}],
                    "reaction": [{"reactionmeddrapt": "Nausea", "colour": "red"}],
                },
            }
        ).encode(),
        stored(unknown_fields=5),
    ),
    "no unknown field": (body(), stored(unknown_fields=0)),
    "integer beyond 64 bits in an unknown field": (body(new=2**70), stored(unknown_fields=1)),
}

VALUES = {
    "age -1": (patient(patientonsetage="-1"), stored("age_implausible", age_years=-1.0, age_whole_years=-1)),
    "age 300": (patient(patientonsetage="300"), stored("age_implausible", age_years=300.0)),
    "age abc": (patient(patientonsetage="abc"), stored("age_unreadable", age_years=None, age_whole_years=None)),
    "age NaN, as text": (patient(patientonsetage="NaN"), stored("age_unreadable", age_years=None)),
    "age beyond 64 bits": (patient(patientonsetage=2**70), stored("age_unreadable", age_years=None)),
    "age beyond every range": (patient(patientonsetage="99999"), stored("age_unreadable", age_years=None)),
    "age 45 in months": (
        patient(patientonsetage="45", patientonsetageunit="802"),
        stored(age_years=3.75, age_whole_years=3),
    ),
    "age in a unit that is no unit": (
        patient(patientonsetageunit="806"),
        stored("age_unit_not_in_code_list", "age_unreadable", age_years=None),
    ),
    "age in a unit that is a word": (patient(patientonsetageunit="years"), stored("age_unreadable", age_years=None)),
    "age without a unit": (patient(patientonsetageunit=...), stored("age_unreadable", age_years=None)),
    "unit that is no unit, without an age": (
        patient(patientonsetage=..., patientonsetageunit="806"),
        stored("age_unit_not_in_code_list", age_years=None),
    ),
    "weight 0": (patient(patientweight="0"), stored("weight_implausible", weight_kg=0.0)),
    "weight heavy": (patient(patientweight="heavy"), stored("unreadable_values", weight_kg=None)),
    "date 20261301": (body(receivedate="20261301"), stored("date_unreadable", receivedate=None)),
    "date in another format than said": (
        body(receivedate="20140312", receivedateformat="610"),
        stored("date_unreadable", receivedate=None),
    ),
    "date in year 0001": (body(receivedate="00010101"), stored("date_too_early", receivedate=dt.date(1, 1, 1))),
    "date in year 2099": (
        body(receivedate="20990101", receiptdate="20990102"),
        stored("date_in_future", receivedate=dt.date(2099, 1, 1)),
    ),
    "receipt before receive": (
        body(receiptdate="20140311"),
        stored("receiptdate_before_receivedate", receiptdate=dt.date(2014, 3, 11)),
    ),
    "unknown sex": (patient(patientsex="9"), stored("sex_not_in_code_list", sex=9)),
    "sex is a letter": (patient(patientsex="F"), stored("unreadable_values", sex=None)),
    "sex beyond 64 bits": (patient(patientsex=2**70), stored("unreadable_values", sex=None)),
    "unknown qualification": (
        body(primarysource={"qualification": "9"}),
        stored("qualification_not_in_code_list", qualification=9),
    ),
    "unknown characterization": (
        with_drug(drugcharacterization="7"),
        stored("characterization_not_in_code_list", "no_suspect_drug"),
    ),
    "unknown outcome": (with_reaction(reactionoutcome="9"), stored("outcome_not_in_code_list")),
    "unknown seriousness": (body(serious="3"), stored("seriousness_not_in_code_list", serious=None)),
    "unknown criterion of seriousness": (
        body(serious="2", seriousnessdeath="yes"),
        stored("seriousness_not_in_code_list", serious=False, seriousness=""),
    ),
    "serious without a criterion": (body(serious="1"), stored("serious_contradicts_criteria", serious=True)),
}

INJECTION = "x'); DROP TABLE drug; --"
HTML = '<script>alert("1")</script> & <b>'

NAMES = {
    "SQL in names": (
        patient(
            drug=[{"medicinalproduct": INJECTION, "drugcharacterization": "1"}],
            reaction=[{"reactionmeddrapt": INJECTION}],
        ),
        stored(drugs=[INJECTION.upper()], reactions=[INJECTION.upper()]),
    ),
    "SQL in the sender's name and number": (
        body(sender={"senderorganization": INJECTION}, companynumb=INJECTION),
        stored(sender=INJECTION, company_number=INJECTION),
    ),
    "CR and LF in names": (
        patient(
            drug=[{"medicinalproduct": "Ibu\r\nprofen\n", "drugcharacterization": "1"}],
            reaction=[{"reactionmeddrapt": "\rNau\n\nsea"}],
        ),
        stored(drugs=["IBU PROFEN"], reactions=["NAU SEA"]),
    ),
    "HTML in names": (
        patient(drug=[{"medicinalproduct": HTML, "drugcharacterization": "1"}], reaction=[{"reactionmeddrapt": HTML}]),
        stored(drugs=[HTML.upper()], reactions=[HTML.upper()]),
    ),
    "NUL in a name, escaped": (with_drug(medicinalproduct="Ibu\0profen"), stored("text_altered", drugs=["IBU PROFEN"])),
    "terminal codes in a name": (
        with_drug(medicinalproduct="\x1b[2JIbuprofen"),
        stored("text_altered", drugs=["[2JIBUPROFEN"]),
    ),
    "emoji in a name, escaped": (
        raw(b"Ibuprofen", b"Ibuprofen \\ud83d\\udc8a"),
        stored(drugs=["IBUPROFEN \N{PILL}"]),
    ),
    "emoji in a name, raw": (
        raw(b"Ibuprofen", "Ibuprofen \N{PILL}".encode()),
        stored(drugs=["IBUPROFEN \N{PILL}"]),
    ),
    "name of 501 characters": (with_drug(medicinalproduct="A" * 501), stored("text_altered", drugs=["A" * 500])),
    "name of 500 characters": (with_drug(medicinalproduct="A" * 500), stored(drugs=["A" * 500])),
}

SHAPES = {
    "object where a list of drugs is promised": (
        patient(drug={"medicinalproduct": "Ibuprofen", "drugcharacterization": "1"}),
        stored(drug_count=1),
    ),
    "object where a list of reactions is promised": (
        patient(reaction={"reactionmeddrapt": "Nausea"}),
        stored(reaction_count=1),
    ),
    "list of one where a patient is promised": (body(patient=[report()["patient"]]), stored(sex=2, age_years=65.0)),
    "list of one where a source is promised": (body(primarysource=[{"qualification": "5"}]), stored(qualification=5)),
    "list of one where a sender is promised": (body(sender=[{"senderorganization": "FDA"}]), stored(sender="FDA")),
    "list of one where a substance is promised": (
        with_drug(activesubstance=[{"activesubstancename": "Ibuprofen lysine"}]),
        stored(drugs=["IBUPROFEN LYSINE"]),
    ),
    "list of one where a summary is promised": (
        patient(summary=[{"narrativeincludeclinical": "She felt sick."}]),
        stored(),
    ),
    "list of two where a source is promised": (
        body(primarysource=[{"qualification": "5"}, {"qualification": "1"}]),
        stored("unreadable_values", qualification=None),
    ),
    "number where a sender is promised": (body(sender=5), stored("unreadable_values", sender=None)),
}

CASES: dict[str, tuple[bytes, Outcome]] = {
    **NO_REPORT,
    **SKELETON,
    **LARGE,
    **KEYS,
    **VALUES,
    **NAMES,
    **SHAPES,
}


def as_json(value: Mapping[str, Any], **fields: Any) -> bytes:
    return json.dumps({**value, **fields}).encode()


RESENT, CHANGED, UNKEPT, BACKWARDS = report(), report(), report(), report()

SEVERAL: dict[str, tuple[tuple[bytes, Outcome], ...]] = {
    "same id, same content": (
        (as_json(RESENT), stored()),
        (as_json(RESENT), Duplicate()),
        (json.dumps(dict(reversed(RESENT.items())), indent=4).encode(), Duplicate()),
    ),
    "same id, changed content": (
        (as_json(CHANGED), stored(serious=False)),
        (as_json(CHANGED, serious="1", seriousnessdeath="1"), failed("conflicting_duplicate")),
        (as_json(CHANGED), Duplicate()),
    ),
    "same id, changed in a field that is not kept": (
        (as_json(UNKEPT, new=1), stored()),
        (as_json(UNKEPT, new=2), failed("conflicting_duplicate")),
    ),
    "a version going backwards": (
        (as_json(BACKWARDS, safetyreportversion="2", serious="1", seriousnessother="1"), stored(version=2)),
        (as_json(BACKWARDS, safetyreportversion="1"), stored(version=1)),
        (as_json(BACKWARDS, safetyreportversion="2"), failed("conflicting_duplicate")),
    ),
}
"""The events of one case, one after the other."""


# --- The chain --------------------------------------------------------------------------------------------------


class Chain:
    """Decoder, suite and store in a row, as a task of the stream puts them."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._suite = load_suite()
        self._judges = Judges(Checker(self._suite), None, EventTime.HUB)
        self._lease = take_over(engine, HUB, 1, {"0": 0})
        self.taken = 0
        """Events so far, and so the sequence number of the next one."""

    def take(self, *bodies: bytes) -> TaskResult:
        """Judge and write the bodies as one range of events, the next ones of their partition."""
        events = [Event(self.taken + i, T0 + self.taken + i, body) for i, body in enumerate(bodies)]
        self.taken += len(bodies)
        judged = judge(events, self._judges)
        return write_task(
            self.engine, TaskBatch(Source(HUB, 1, "0"), self._lease.epoch, judged, None, self._suite.version)
        )

    def commit(self) -> None:
        """Fold what was taken, as a stream does after every batch: analysts see it from then on."""
        Committer(self.engine, self._lease, (86_400_000,), RuleBook()).run(None)

    def assert_became(self, sequence: int, body: bytes, expected: Outcome) -> None:
        """Compare what the tables hold of an event with what was expected."""
        refused = self._one(quarantined_report, sequence)
        row = self._one(safety_report, sequence)
        if isinstance(expected, Quarantined):
            assert row is None
            assert refused is not None
            assert (tuple(refused.reasons.split(",")), refused.path) == (expected.reasons, expected.path)
            assert refused.body == body
        elif isinstance(expected, Stored):
            assert refused is None
            assert row is not None
            assert (row.warnings or "") == ",".join(expected.warnings)
            assert {name: row._mapping[name] for name in expected.columns} == expected.columns
            assert self._names(report_drug, drug, row) == expected.drugs
            assert self._names(report_reaction, reaction, row) == expected.reactions
        else:
            assert (row, refused) == (None, None)

    def _one(self, table: Table, sequence: int) -> Row[Any] | None:
        with self.engine.connect() as connection:
            return connection.execute(select(table).where(table.c.sequence == sequence)).one_or_none()

    def _names(self, entries: Table, names: Table, of: Row[Any]) -> tuple[str | None, ...]:
        """Names of the report's drugs or reactions, in its order."""
        (key,) = names.primary_key.columns
        query = (
            select(names.c.name)
            .select_from(entries.outerjoin(names, entries.c[key.name] == key))
            .where(entries.c.receipt_id == of.receipt_id, entries.c.sequence == of.sequence)
            .order_by(entries.c.ordinal)
        )
        with self.engine.connect() as connection:
            return tuple(connection.scalars(query))


@pytest.fixture(scope="module")
def chain(databases: Databases) -> Iterator[Chain]:
    """The chain into a new SQLite file. All tests of this module use it: no case has another one's id."""
    with databases.fresh("sqlite") as url:
        engine = open_engine(url)
        yield Chain(engine)
        engine.dispose()


@pytest.mark.parametrize("name", CASES)
def test_bad_input_has_its_outcome(chain: Chain, name: str) -> None:
    body, expected = CASES[name]
    sequence = chain.taken
    chain.take(body)
    chain.assert_became(sequence, body, expected)
    assert_all_accounted_for(chain)


@pytest.mark.parametrize("name", SEVERAL)
def test_events_of_one_case_have_theirs(chain: Chain, name: str) -> None:
    for body, expected in SEVERAL[name]:
        sequence = chain.taken
        result = chain.take(body)
        chain.assert_became(sequence, body, expected)
        assert result.duplicates == isinstance(expected, Duplicate)
        assert_all_accounted_for(chain)


def assert_all_accounted_for(chain: Chain) -> None:
    found = account(chain.engine)
    assert (found.received, found.unaccounted) == (chain.taken, 0)


def test_all_of_it_in_one_write_has_the_same_outcomes_on_every_database(engine: Engine) -> None:
    steps = [*CASES.values(), *(step for steps in SEVERAL.values() for step in steps)]
    chain = Chain(engine)
    result = chain.take(*(body for body, _ in steps))
    for sequence, (body, expected) in enumerate(steps):
        chain.assert_became(sequence, body, expected)
    counted = Counter(type(expected) for _, expected in steps)
    assert result == TaskResult(len(steps), counted[Stored], counted[Quarantined], counted[Duplicate])
    assert chain.take(*(body for body, _ in steps)).stored == 0
    chain.commit()
    assert_all_accounted_for(chain)


def test_of_a_version_going_backwards_analysts_see_the_latest(chain: Chain) -> None:
    case = report(safetyreportid="seen-backwards")
    chain.take(as_json(case, safetyreportversion="2", patient={**case["patient"], "patientsex": "1"}))
    chain.take(as_json(case, safetyreportversion="1"))
    chain.commit()
    query = "SELECT patientsex FROM PatientAdverseEventReport WHERE safetyreportid = 'seen-backwards'"
    with chain.engine.connect() as connection:
        assert connection.scalars(text(query)).all() == [1]


def test_sql_and_html_are_kept_as_reported_beside_the_normalised_name(chain: Chain) -> None:
    chain.take(NAMES["SQL in names"][0], NAMES["HTML in names"][0])
    with chain.engine.connect() as connection:
        assert {INJECTION, HTML} <= set(connection.scalars(select(report_drug.c.product)))


# --- The command ------------------------------------------------------------------------------------------------


def check(folder: Path, *names: str) -> tuple[int, list[dict[str, Any]]]:
    """Exit code of `expectations check`, and what it says of each file of a folder."""
    run = subprocess.run(
        [PROGRAM, "expectations", "check", "--json", *(str(folder / name) for name in names)],
        env={**os.environ, "REACTIONWATCH_DATA_DIR": str(folder / "data")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode in (0, 1), run.stderr
    return run.returncode, json.loads(run.stdout)["files"]


def write_lines(path: Path, bodies: Sequence[bytes]) -> int:
    """Write a file of JSON lines, leaving out what cannot be one; how many it holds."""
    lines = [body for body in bodies if body.strip() and not set(b"\r\n") & set(body)]
    path.write_bytes(b"\n".join([*lines, b""]))
    return len(lines)


def test_the_command_judges_files_as_the_stream_does(tmp_path: Path) -> None:
    good = [(body, outcome) for body, outcome in CASES.values() if isinstance(outcome, Stored)]
    passed = write_lines(tmp_path / "good.jsonl", [GOOD, *(body for body, _ in good)])
    bad = {body: outcome for body, outcome in CASES.values() if isinstance(outcome, Quarantined)}
    refused = write_lines(tmp_path / "bad.jsonl", [GOOD, *bad])
    large = write_lines(tmp_path / "large.jsonl", [body for body, _ in LARGE.values()])
    (tmp_path / "deep.json").write_bytes(b"[" * 10_000)
    code, files = check(tmp_path, "good.jsonl", "bad.jsonl", "large.jsonl", "deep.json")
    assert code == 1

    assert (files[0]["reports"], files[0]["passed"]) == (passed, passed)
    assert files[0]["warnings"] == Counter(code for _, outcome in good for code in outcome.warnings)

    assert (files[1]["reports"], files[1]["passed"]) == (refused, 1)
    lines = (tmp_path / "bad.jsonl").read_bytes().splitlines()
    reasons = Counter(reason for line in lines[1:] for reason in bad[line].reasons)
    assert Counter(files[1]["rejections"]) + Counter(files[1]["critical"]) == reasons

    assert (files[2]["reports"], files[2]["passed"]) == (large, 1)
    assert files[2]["critical"] == {"too_many_drugs": 1, "too_many_reactions": 1}
    assert files[2]["rejections"]["too_many_drugs"] == 2
    assert files[3]["rejections"] == {"too_deep": 1}
