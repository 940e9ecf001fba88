from __future__ import annotations

from expectations.decode import Rejection, decode
from generator.broken import broken_bodies

REASONS = {
    "empty": "empty_body",
    "blank": "empty_body",
    "truncated_json": "broken_json",
    "not_utf8": "not_utf8",
    "binary": "not_utf8",
    "not_a_number": "broken_json",
    "half_a_character": "broken_json",
    "two_at_once": "broken_json",
    "too_deep": "too_deep",
    "not_an_object": "not_an_object",
    "no_id": "missing_id",
    "malformed_id": "malformed_id",
    "no_patient": "missing_patient",
    "patient_is_text": "wrong_type",
    "version_is_text": "bad_number",
    "no_such_date": "bad_date",
}
"""Two kinds more decode, and are for the expectations to refuse."""


def test_every_kind_is_rejected_for_its_reason() -> None:
    outcomes = {kind: decode(body) for kind, body in broken_bodies(1)}
    assert {kind: o.reason.value for kind, o in outcomes.items() if isinstance(o, Rejection)} == REASONS
    assert outcomes.keys() - REASONS.keys() == {"no_reaction", "no_drug"}


def test_kinds_are_named_once_each() -> None:
    names = [name for name, _ in broken_bodies(1)]
    assert len(set(names)) == len(names)


def test_a_seed_fixes_the_bytes_and_every_cut_is_broken() -> None:
    assert list(broken_bodies(1)) == list(broken_bodies(1))
    assert list(broken_bodies(1)) != list(broken_bodies(2))
    for seed in range(300):
        broken = {kind for kind, body in broken_bodies(seed) if isinstance(decode(body), Rejection)}
        assert broken == REASONS.keys()


def test_no_body_breaks_a_file_of_lines() -> None:
    for seed in range(300):
        assert all(b"\n" not in body for _, body in broken_bodies(seed))
