"""What is known besides of candidates that stand out: their drug's and reaction's counts, and cases told twice.

Few candidates stand out. So this may read what is read of none of the others: a long past, and the cases themselves.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Table, and_, select
from sqlalchemy.engine import Connection

from models.spikes.background import Background
from sql.candidates import Candidates
from sql.history import Staged, fetch_history, stage, stage_candidate
from sql.schema import case_pair, reaction_window, safety_report, window_total
from sql.windows import window_start

__all__ = ["fetch_background"]

_RETOLD_WITHIN_MS = 7 * 86_400_000
"""How much longer ago than the window before a case may have been told that is told again."""

Ints = NDArray[np.int64]


def fetch_background(connection: Connection, candidates: Candidates, widest_ms: int, windows: int) -> Background:
    """The background of candidates; the long past is `windows` windows of `widest_ms` that ended before.

    Uses the staging table of candidates, whose rows are gone then.
    """
    own = _staged(connection, candidates, candidates.width_ms)
    now = np.zeros(1, dtype=np.int64)
    drug_now = fetch_history(connection, own, now, window_total, ("drug_id",))
    reaction_now = fetch_history(connection, own, now, window_total, ("reaction_id",))
    retold = _retold(connection, own)
    wide = _staged(connection, candidates, widest_ms)
    back = np.arange(windows, 0, -1, dtype=np.int64)

    def before(table: Table, *of: str) -> Ints:
        total: Ints = fetch_history(connection, wide, back, table, of).sum(axis=1)
        return total

    return Background(
        drug_now=drug_now[:, 0],
        reaction_now=reaction_now[:, 0],
        pair_before=before(reaction_window, "drug_id", "reaction_id"),
        drug_before=before(window_total, "drug_id"),
        reaction_before=before(window_total, "reaction_id"),
        all_before=before(window_total),
        retold=retold,
    )


def _staged(connection: Connection, candidates: Candidates, width_ms: int) -> Staged:
    """The candidates staged, and nothing else, by the window of a width that theirs begins in."""
    staged = Staged(
        width_ms,
        ordinal=np.arange(candidates.drug_ids.size, dtype=np.int64),
        window_start_ms=window_start(candidates.window_starts_ms, width_ms),
        drug_id=candidates.drug_ids,
        reaction_id=candidates.reaction_ids,
        cases=candidates.counts.cases,
        touched=candidates.touched.astype(np.int64),
    )
    stage(connection, staged)
    return staged


def _retold(connection: Connection, staged: Staged) -> Ints:
    """(n, 2) cases of the window before and of the window whose duplicate number an earlier case of the pair has."""
    s, p, r = stage_candidate.c, case_pair.c, safety_report.c
    # As a scalar query of each case, for a join might read all reports.
    newest = select(r.duplicate_number).where(r.case_key == p.case_key).order_by(r.version.desc()).limit(1)
    number = newest.correlate(case_pair).scalar_subquery().label("duplicate_number")
    told = and_(
        p.drug_id == s.drug_id,
        p.reaction_id == s.reaction_id,
        p.event_ms >= s.window_start_ms - staged.width_ms - _RETOLD_WITHIN_MS,
        p.event_ms < s.window_start_ms + staged.width_ms,
    )
    query = select(s.ordinal, p.event_ms, p.case_key, number).join_from(stage_candidate, case_pair, told)
    cases = defaultdict(list)
    for ordinal, event_ms, case_key, duplicate_number in connection.execute(query):
        if duplicate_number is not None:
            cases[ordinal].append((event_ms, case_key, duplicate_number))
    retold = np.zeros((staged.ordinal.size, 2), dtype=np.int64)
    for place, (ordinal, start_ms) in enumerate(zip(staged.ordinal, staged.window_start_ms, strict=True)):
        known: set[str] = set()
        for event_ms, _, duplicate_number in sorted(cases[int(ordinal)]):
            if duplicate_number in known and event_ms >= start_ms - staged.width_ms:
                retold[place, int(event_ms >= start_ms)] += 1
            known.add(duplicate_number)
    return retold
