from __future__ import annotations

from expectations.decode import Rejection, decode
from generator.broken import broken_bodies


def test_every_kind_is_rejected_for_a_reason_of_its_own() -> None:
    outcomes = [decode(body) for _, body in broken_bodies(1)]
    reasons = [outcome.reason.value for outcome in outcomes if isinstance(outcome, Rejection)]
    assert reasons == ["empty_body", "broken_json", "not_an_object", "missing_id", "missing_patient", "not_utf8"]


def test_kinds_are_named_once_each() -> None:
    names = [name for name, _ in broken_bodies(1)]
    assert names == ["empty", "truncated_json", "not_an_object", "no_id", "no_patient", "not_utf8"]


def test_a_seed_fixes_the_bytes_and_every_cut_is_broken() -> None:
    assert list(broken_bodies(1)) == list(broken_bodies(1))
    assert list(broken_bodies(1)) != list(broken_bodies(2))
    for seed in range(300):
        assert all(isinstance(decode(body), Rejection) for _, body in broken_bodies(seed))
