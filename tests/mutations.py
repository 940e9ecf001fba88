"""Real reports, broken: the inputs of `tests/unit/test_mutations.py` and of `make fuzz`.

A `Mutator` takes one of the reports it was given, changes it as JSON, as bytes, or both, and lets a `Random` decide
everything: the same state of the same generator gives the same bytes. `bodies()` hands it Hypothesis' own generator, so
that what a property test finds is made smaller before it is shown.

Values that JSON cannot hold (NaN, half a surrogate pair, a key twice) are put in as raw text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

import msgspec
from hypothesis import strategies as st

__all__ = ["CANARY", "Mutator", "bodies", "mutator"]

CANARY = "Jane Zq7canary"
"""Stands for what a report says: planted as values and as names of fields, and never to be seen in a path."""

DATA = Path(__file__).parent / "data"
_EXAMPLES = ("openfda_reports_100.jsonl", "faers_2014_reports_1000.jsonl")
_LARGE = 8_000
"""Reports with more bytes are chosen rarely: they cost a hundred times as much and say little more."""

Holder: TypeAlias = Any
"""A JSON object or list; what is in it is anything, so its types say nothing."""

NUMBERS = (
    *("0", "-0", "-0.0", "1", "-1", "1.5", "300", "99999", "1e2", "1E400", "-1e-400", "1e308", "0.1e-999"),
    *("9223372036854775808", "18446744073709551616", "-170141183460469231731687303715884105729"),
    *("9" * 400, "9" * 4300, "9" * 4301, "1" + "0" * 6000, "0." + "3" * 400),
    *("NaN", "-Infinity", "Infinity", "+1", "01", ".5", "0x1F", "1_000"),
    *("true", "false", "null", "None"),
)
"""As they stand in the body; some are no JSON."""

TEXTS = (
    *("", " ", "\t\r\n", "0", "1", "2", "9", "-1", "300", "abc", "NaN", "inf", "1e5", "6,5", "٦٥", "²", "1" * 40),
    *("20140312", "20261301", "00010101", "99991231", "20140229", "201403121530", "20140312153059", "2014", "201403"),
    *("800", "801", "802", "803", "804", "805", "806", "6", "102", "203", "204", "602", "610"),
    *("\0", "Nau\0sea", "\x1b[2J", "\x7f\x85\x9f", "a\r\nb", "a\u2028b", "\ufeff", "\u202egnp", "\uffff", "A\u0301"),
    *("'; DROP TABLE drug; --", "<script>alert(1)</script>", "%s%n{0}", "../../etc/passwd", "=1+1", "$.patient"),
    *("ß" * 400, "x" * 500, "x" * 501, "\N{PILL}" * 251, "\N{PILL}", "ŉ" * 500, " " * 3000 + "x", "x" * 70_000),
    *(CANARY, CANARY.upper(), f"{CANARY}\0", CANARY * 60),
)

RAW_TEXTS = (
    *('"\\ud800"', '"\\udc00"', '"a\\ud83d"', '"\\ud83d\\udc8a"', '"\\u0000"', '"\\x41"', '"\\'),
    *('"a\tb"', '"a\nb"', '"\x00"', '"unfinished', "'single'", '"a" "b"', '"a",', "{", "}", "[", "]", ",", ":", ""),
)
"""Strings, and what a careless writer takes for one, as they stand in the body."""

FIELDS = {
    (): (
        *("safetyreportid", "safetyreportversion", "receivedate", "receivedateformat", "receiptdate"),
        *("receiptdateformat", "transmissiondate", "transmissiondateformat", "serious", "seriousnessdeath"),
        *("seriousnessother", "occurcountry", "primarysourcecountry", "companynumb", "primarysource", "sender"),
        *("reportduplicate", "patient"),
    ),
    ("patient",): (
        *("patientonsetage", "patientonsetageunit", "patientsex", "patientweight", "drug", "reaction", "summary"),
    ),
    ("patient", "drug"): (
        *("medicinalproduct", "activesubstance", "openfda", "drugcharacterization", "drugindication"),
    ),
    ("patient", "reaction"): ("reactionmeddrapt", "reactionoutcome"),
    ("patient", "summary"): ("narrativeincludeclinical",),
    ("primarysource",): ("qualification", "reportercountry"),
    ("sender",): ("senderorganization",),
    ("reportduplicate",): ("duplicatenumb", "duplicatesource"),
}
"""What the decoder reads, by the object that it stands in."""

OBJECTS: tuple[object, ...] = (
    {},
    [],
    [{}],
    [[]],
    [None],
    [None, {}],
    {"activesubstancename": "Ibuprofen"},
    [{"activesubstancename": CANARY}],
    {"substance_name": ["ACETAMINOPHEN"]},
    {"substance_name": [["X"]]},
    {"substance_name": [CANARY, CANARY]},
    {"senderorganization": CANARY},
    [{"duplicatenumb": CANARY}, {"duplicatenumb": 7}, 7],
    {"narrativeincludeclinical": CANARY},
    [{"medicinalproduct": CANARY, "drugcharacterization": "1"}],
    {CANARY: CANARY},
)

JUNK = (b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xef\xbb\xbf", b"\0", b"\n", b'"', b"{", b"]", b"\\")


class Mutator:
    """Gives bodies that are reports, nearly reports, or nothing of the kind."""

    def __init__(self, reports: list[bytes]) -> None:
        self._usual = [body for body in reports if len(body) <= _LARGE]
        self._large = [body for body in reports if len(body) > _LARGE]

    def body(self, random: Random) -> bytes:
        """One input. Draws some ten to hundred numbers, whatever the size of the report."""
        body = self._report(random)
        changed = random.random()
        if changed < 0.9:
            root = msgspec.json.decode(body)
            for _ in range(random.randint(1, 4)):
                random.choice(_CHANGES)(root, random)
            body = msgspec.json.encode(root)
        if changed > 0.7:
            for _ in range(random.randint(1, 3)):
                body = random.choice(self._byte_changes)(self, body, random)
        return body

    def _report(self, random: Random) -> bytes:
        return random.choice(self._large if self._large and random.random() < 0.02 else self._usual)

    # --- As bytes -----------------------------------------------------------------------------------------------

    def _truncate(self, body: bytes, random: Random) -> bytes:
        return body[: _at(body, random)]

    def _flip(self, body: bytes, random: Random) -> bytes:
        at = _at(body, random)
        return body[:at] + bytes([body[at] ^ 1 << random.randrange(8)]) + body[at + 1 :] if body[at:] else body

    def _insert(self, body: bytes, random: Random) -> bytes:
        at = _at(body, random)
        return body[:at] + random.choice(JUNK) + body[at:]

    def _cut_out(self, body: bytes, random: Random) -> bytes:
        at = _at(body, random)
        return body[:at] + body[at + random.randint(1, 20) :]

    def _splice(self, body: bytes, random: Random) -> bytes:
        other = self._report(random)
        return body[: _at(body, random)] + other[_at(other, random) :]

    def _follow_with_another(self, body: bytes, random: Random) -> bytes:
        return body + random.choice((b"", b"\n", b" ", b",")) + self._report(random)

    def _mark_byte_order(self, body: bytes, random: Random) -> bytes:
        return b"\xef\xbb\xbf" * random.randint(1, 2) + body

    def _encode_otherwise(self, body: bytes, random: Random) -> bytes:
        return body.decode("utf-8", "replace").encode(random.choice(("utf-16", "utf-16-le", "utf-32", "utf-8-sig")))

    def _surround(self, body: bytes, random: Random) -> bytes:
        before, after = random.choice(((b" \r\n", b"\n"), (b"[", b"]"), (b'"', b'"'), (b'{"a":', b"}"), (b"\0", b"")))
        return before + body + after

    _byte_changes: tuple[Callable[[Mutator, bytes, Random], bytes], ...] = (
        *(_truncate, _flip, _flip, _insert, _insert, _cut_out, _splice),
        *(_follow_with_another, _mark_byte_order, _encode_otherwise, _surround),
    )


def _at(body: bytes, random: Random) -> int:
    return random.randint(0, len(body))


# --- As JSON ----------------------------------------------------------------------------------------------------


def _drop(root: Holder, random: Random) -> None:
    if place := _place(root, random):
        holder, key = place
        del holder[key]


def _repeat_key(root: Holder, random: Random) -> None:
    """The same key twice: the second value stands in the raw text of the first one."""
    if (place := _place(root, random)) and isinstance(place[0], dict):
        holder, key = place
        again = random.choice((holder[key], _value(random)))
        holder[key] = msgspec.Raw(_text(holder[key]) + b"," + _text(key) + b":" + _text(again))


def _rename(root: Holder, random: Random) -> None:
    if (place := _place(root, random)) and isinstance(place[0], dict):
        holder, key = place
        name = random.choice((CANARY, key.upper(), f"{key} ", f"{key}\0", "", random.choice(list(holder))))
        holder[name] = holder.pop(key)


def _add_unknown_field(root: Holder, random: Random) -> None:
    if (place := _place(root, random)) and isinstance(place[0], dict):
        place[0][random.choice((CANARY, f"{CANARY}{random.randrange(100)}", "", "\0", "patient.drug[0]"))] = _value(
            random
        )


def _swap(root: Holder, random: Random) -> None:
    """Exchange two values, wherever they are; a value is not put into itself, for the tree to stay one."""
    first, second = _place(root, random), _place(root, random)
    if first and second:
        (holder, key), (other, other_key) = first, second
        one, two = holder[key], other[other_key]
        holder[key], other[other_key] = msgspec.Raw(_text(two)), msgspec.Raw(_text(one))


def _wrap(root: Holder, random: Random) -> None:
    if place := _place(root, random):
        holder, key = place
        value = holder[key]
        for _ in range(random.choice((1, 1, 1, 2, 5))):
            value = [value]
        holder[key] = value


def _unwrap(root: Holder, random: Random) -> None:
    """A list becomes its first entry, an object its first value."""
    if place := _place(root, random):
        holder, key = place
        value = holder[key]
        if isinstance(value, list | dict) and value:
            holder[key] = value[0] if isinstance(value, list) else next(iter(value.values()))


def _nest(root: Holder, random: Random) -> None:
    if place := _place(root, random):
        levels = random.choice((150, 196, 199, 200, 201, 500, 1_100, 10_000))
        before, after = random.choice(((b"[", b"]"), (b'{"a":', b"}"), (b'[{"a":', b"}]")))
        place[0][place[1]] = msgspec.Raw(before * levels + b"1" + after * levels)


def _replace(root: Holder, random: Random) -> None:
    if place := _place(root, random):
        place[0][place[1]] = _value(random)


def _make_null(root: Holder, random: Random) -> None:
    if place := _place(root, random):
        place[0][place[1]] = None


def _set_field(root: Holder, random: Random) -> None:
    """Give a field that the decoder reads an odd value, whether it was there or not."""
    level = random.choice(list(FIELDS))
    for holder in _objects_at(root, level, random):
        holder[random.choice(FIELDS[level])] = _value(random)


def _repeat_entries(root: Holder, random: Random) -> None:
    """Make a list of drugs, reactions or duplicates long, up to more than any report has."""
    level = random.choice((("patient", "drug"), ("patient", "reaction"), ("reportduplicate",)))
    for holder in _objects_at(root, level[:-1], random):
        entries = holder.get(level[-1])
        if isinstance(entries, dict | list) and entries:
            entry = _text(entries[0] if isinstance(entries, list) else entries)
            many = 10_001 if len(entry) < 100 else 2_001
            times = random.choice((2, 10, 100, many)) if random.random() < 0.3 else random.randint(2, 9)
            holder[level[-1]] = msgspec.Raw(b"[" + b",".join([entry] * times) + b"]")


def _name_many(root: Holder, random: Random) -> None:
    """Give it more distinct drugs and reactions than any report has, and sometimes more pairs than are taken."""
    drugs, reactions = random.choice(((30, 30), (1, 300), (251, 200)))
    for holder in _objects_at(root, ("patient",), random):
        holder["drug"] = [{"medicinalproduct": f"Drug {i}", "drugcharacterization": "1"} for i in range(drugs)]
        holder["reaction"] = [{"reactionmeddrapt": f"Reaction {i}"} for i in range(reactions)]


_CHANGES: tuple[Callable[[Holder, Random], None], ...] = (
    *(_set_field,) * 8,
    *(_replace,) * 3,
    *(_drop, _make_null, _rename, _add_unknown_field, _swap, _wrap, _unwrap, _repeat_key) * 2,
    *(_nest, _repeat_entries, _name_many),
)


def _value(random: Random) -> object:
    """A value that does not belong where it is put."""
    kind = random.random()
    if kind < 0.3:
        return msgspec.Raw(random.choice(NUMBERS).encode())
    if kind < 0.75:
        return random.choice(TEXTS)
    if kind < 0.9:
        return msgspec.Raw(_text(random.choice(OBJECTS)))
    if kind < 0.95:
        return msgspec.Raw(random.choice(RAW_TEXTS).encode())
    return "".join(chr(random.choice((random.randrange(0x80), random.randrange(0xD800)))) for _ in range(6))


def _place(root: Holder, random: Random) -> tuple[Holder, Any] | None:
    """Somewhere in the JSON, as a holder and its key: every level is as likely as the next one."""
    holder, place = root, None
    while isinstance(holder, dict | list) and holder:
        key = random.choice(list(holder)) if isinstance(holder, dict) else random.randrange(len(holder))
        place = holder, key
        if random.random() < 0.3:
            break
        holder = holder[key]
    return place


def _objects_at(root: object, path: tuple[str, ...], random: Random) -> Iterator[dict[str, object]]:
    """The object at a path, or of a list there one; none where something else is in the way."""
    if isinstance(root, list) and root:
        root = random.choice(root)
    if not isinstance(root, dict):
        return
    if not path:
        yield root
    else:
        yield from _objects_at(root.get(path[0]), path[1:], random)


def _text(value: object) -> bytes:
    return msgspec.json.encode(value)


# --- For Hypothesis ---------------------------------------------------------------------------------------------


@cache
def mutator() -> Mutator:
    """The mutator of the real reports in `tests/data`."""
    return Mutator([body for name in _EXAMPLES for body in (DATA / name).read_bytes().splitlines()])


def bodies() -> st.SearchStrategy[bytes]:
    """Mutated real reports."""
    return st.randoms(use_true_random=False).map(mutator().body)
