"""The live view's numbers are the store's."""

from __future__ import annotations

from pathlib import Path

import pytest
from builders import T0, accepted, batch, refused, report
from sqlalchemy import Engine

from sql.commit import SpikeRow, commit
from sql.connection import open_engine
from sql.evidence import FoundSpan
from sql.keys import name_key
from sql.overview import Overview, PairTrend, Totals, read_overview
from sql.positions import Lease, take_over
from sql.task_write import write_task

HUB = "test/reports"
WIDTHS = (5_000, 30_000)
WIDE = 30_000
NAUSEA, RASH, FEVER = ("IBUPROFEN", "NAUSEA"), ("IBUPROFEN", "RASH"), ("ASPIRIN", "FEVER")


@pytest.fixture
def lease(engine: Engine) -> Lease:
    return take_over(engine, HUB, 1, {"0": 0})


def overview(engine: Engine, pairs: int = 5, windows: int = 3) -> Overview:
    found = read_overview(engine, HUB, widths_ms=WIDTHS, shown_ms=WIDE, pairs=pairs, windows=windows)
    assert found is not None
    return found


def count(engine: Engine, lease: Lease, *cases: tuple[tuple[str, str], int, int], first: int = 0) -> None:
    """Store and count (pair, moment, number of cases)."""
    events = []
    for pair, at, number in cases:
        for _ in range(number):
            sequence = first + len(events)
            events.append(accepted(sequence, report(f"case {sequence}", pairs=[pair]), at))
    write_task(engine, batch(lease, events))
    with commit(engine, lease) as tx:
        tx.fold(WIDTHS)


def test_before_there_are_tables_there_is_nothing_to_show(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'new.db'}", pooled=False)
    assert read_overview(engine, HUB, widths_ms=WIDTHS, shown_ms=WIDE, pairs=5, windows=3) is None
    engine.dispose()


def test_an_empty_store_shows_zeros(engine: Engine) -> None:
    assert overview(engine) == Overview(Totals(), Totals(), {}, {}, None, ())


def test_totals_tell_the_hub_from_backfilled_files(engine: Engine, lease: Lease) -> None:
    write_task(engine, batch(lease, [accepted(0, report("1")), accepted(1, report("1")), refused(2), refused(3)]))
    past = take_over(engine, "file:abc", 0, {"0": 0})
    write_task(engine, batch(past, [accepted(0, report("2")), refused(1)], generation=0))
    shown = overview(engine)
    assert shown.hub == Totals(received=4, stored=1, quarantined=2, duplicates=1)
    assert shown.others == Totals(received=2, stored=1, quarantined=1, duplicates=0)


def test_a_report_refused_for_two_reasons_counts_in_both(engine: Engine, lease: Lease) -> None:
    write_task(engine, batch(lease, [refused(0), refused(1, reason="no_named_drug,broken_json")]))
    assert overview(engine).quarantined_by_reason == {"broken_json": 2, "no_named_drug": 1}


def test_watched_are_the_pairs_with_cases_in_the_newest_window_of_each_width(engine: Engine, lease: Lease) -> None:
    count(engine, lease, (FEVER, T0 - WIDE, 1), (NAUSEA, T0, 1), (RASH, T0 + 7_000, 2))
    assert overview(engine).watched == {5_000: 1, 30_000: 2}


def test_pairs_come_by_their_cases_in_the_newest_window_with_the_windows_before(engine: Engine, lease: Lease) -> None:
    count(engine, lease, (NAUSEA, T0 - 2 * WIDE, 4), (NAUSEA, T0, 2), (RASH, T0, 3), (FEVER, T0 - WIDE, 9))
    shown = overview(engine)
    assert shown.window_start_ms == T0
    assert shown.top == (PairTrend(*RASH, 3, None, (0, 0, 3)), PairTrend(*NAUSEA, 2, None, (4, 0, 2)))


def test_of_two_pairs_alike_the_one_with_more_cases_before_comes_first(engine: Engine, lease: Lease) -> None:
    cases = [(pair, T0, 1) for pair in (NAUSEA, RASH, FEVER)]
    count(engine, lease, *cases, (RASH, T0 - WIDE, 2), (FEVER, T0 - WIDE, 1))
    assert [(pair.drug, pair.reaction) for pair in overview(engine).top] == [RASH, FEVER, NAUSEA]


def test_only_so_many_pairs_are_shown(engine: Engine, lease: Lease) -> None:
    count(engine, lease, (NAUSEA, T0, 2), (RASH, T0, 3), (FEVER, T0, 1))
    assert [pair.cases for pair in overview(engine, pairs=2).top] == [3, 2]


def test_expected_is_what_the_latest_finding_expected(engine: Engine, lease: Lease) -> None:
    count(engine, lease, (NAUSEA, T0 - WIDE, 9), (NAUSEA, T0, 9), (RASH, T0, 1))
    drug_id, reaction_id = map(name_key, NAUSEA)
    with commit(engine, lease) as tx:
        (known,) = tx.evidence([FoundSpan(drug_id, reaction_id, T0, T0 + WIDE)])
        tx.save_spikes(
            [
                SpikeRow(
                    *(WIDE, drug_id, reaction_id, start, 9, windows, 9 * windows, expected, 1.0, 6.0, 1e-7),
                    *("open", "scan", "1", known),
                )
                for start, windows, expected in ((T0 - WIDE, 1, 2.5), (T0, 2, 5.5))
            ]
        )
    assert [pair.expected for pair in overview(engine).top] == [2.75, None]


def test_looking_waits_for_no_writer(engine: Engine, lease: Lease) -> None:
    count(engine, lease, (NAUSEA, T0, 2))
    with commit(engine, lease) as tx:
        tx.fold(WIDTHS)
        assert overview(engine).hub.stored == 2
