"""What `streaming.commit` would find in a year of counted cases and alert, without SQL and Spark.

Faithful to it in what decides: candidates and their histories are those of `sql.history`, judged by
`models.spikes`, and `alerts.policy` makes the alerts. An open window is judged at every case of its pair, as a stream
that commits without delay would. Events come by the hub's clock, so no window is ever late.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from alerts.alert import Alert, AlertStatus, SpikeFinding, Stage
from alerts.policy import decide, quiet_ms
from models.spikes import (
    Background,
    CandidateCounts,
    DetectionRules,
    Evaluation,
    close_verdict,
    confirm,
    evaluate,
    open_verdict,
)
from sql.windows import window_start

__all__ = ["Cases", "Episode", "Found", "episodes", "find"]

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Scalar = TypeVar("Scalar", bound=np.generic)
Said = NDArray[np.void]
"""(n,) what the rules say of candidates, as `_SAID`."""

_SAID = np.dtype(
    [
        ("expected", "f8"),
        ("spread", "f8"),
        ("z", "f8"),
        ("p", "f8"),
        ("warm", "?"),
        ("windows", "i8"),
        ("observed", "i8"),
        ("told_once", "i8"),
    ]
)
_TIME_BITS = 36
"""Of a key: two years in milliseconds."""
_RETOLD_WITHIN_MS = 7 * 86_400_000
_BLOCK = 1 << 21
"""Counts of history read at a time."""


class Cases:
    """Counted cases by pair, drug and reaction, for looking up how many there were between two moments."""

    def __init__(
        self,
        event_ms: Ints,
        drug: NDArray[np.int32],
        reaction: NDArray[np.int32],
        told_as: NDArray[np.int32],
        end_ms: int,
    ) -> None:
        """event_ms (n,) ascending, n at least 1; told_as (n,) the same for a case that is told again; `end_ms`: up to
        when the year is told, windows that end later stay open."""
        self.start_ms, self.end_ms = int(event_ms[0]), end_ms
        pairs, pair = np.unique(drug.astype(np.int64) << 32 | reaction, return_inverse=True)
        self.pair_drug, self.pair_reaction = pairs >> 32, pairs & 0xFFFFFFFF
        since = event_ms - self.start_ms
        again = _retold(pair, told_as, event_ms)
        self.by_pair, self.by_drug, self.by_reaction, self.retold, self.all = (
            np.sort(of.astype(np.int64) << _TIME_BITS | at)
            for of, at in (
                (pair, since),
                (drug, since),
                (reaction, since),
                (pair[again], since[again]),
                (0 * pair, since),
            )
        )

    def first_of_drug(self) -> Ints:
        """(drugs,) moment of each drug's first case."""
        drugs = np.arange(int(self.pair_drug.max()) + 1)
        place = np.minimum(np.searchsorted(self.by_drug, drugs << _TIME_BITS), self.by_drug.size - 1)
        return self._moments(self.by_drug[place])

    def moments_of_pair(self, pair: int, start_ms: int, end_ms: int) -> Ints:
        """Moments of the pair's cases in [start, end), ascending."""
        first, last = np.searchsorted(self.by_pair, self._key(np.array([pair]), np.array([start_ms, end_ms])))
        return self._moments(self.by_pair[first:last])

    def between(self, keys: Ints, whose: Ints, start_ms: Ints, end_ms: Ints) -> Ints:
        """(n,) cases of each drug, pair or reaction, as `keys` are by, in [start, end)."""
        return np.searchsorted(keys, self._key(whose, end_ms)) - np.searchsorted(keys, self._key(whose, start_ms))

    def windows_of(self, keys: Ints, width_ms: int) -> tuple[Ints, Ints, Ints]:
        """(whose, which window since the first, cases) of every window with a case, by whose and window."""
        whose = keys >> _TIME_BITS
        window = self.window_of(self._moments(keys), width_ms)
        new = np.ones(keys.size, dtype=np.bool_)
        new[1:] = (whose[1:] != whose[:-1]) | (window[1:] != window[:-1])
        places = np.flatnonzero(new)
        return whose[places], window[places], np.diff(np.append(places, keys.size))

    def window_of(self, at_ms: Ints, width_ms: int) -> Ints:
        """Which window holds each moment, counted from the first."""
        return (at_ms - window_start(self.start_ms, width_ms)) // width_ms

    def _moments(self, keys: Ints) -> Ints:
        return (keys & ((1 << _TIME_BITS) - 1)) + self.start_ms

    def _key(self, of: Ints, at_ms: Ints) -> Ints:
        return (of << _TIME_BITS) + np.maximum(at_ms - self.start_ms, 0)


def _retold(pair: Ints, told_as: NDArray[np.int32], event_ms: Ints) -> Bools:
    """(n,) True for cases of a pair with the duplicate number of one shortly before, as `sql.background` finds."""
    order = np.lexsort((event_ms, told_as, pair))
    same = (np.diff(pair[order]) == 0) & (np.diff(told_as[order]) == 0)
    again = np.zeros(pair.size, dtype=np.bool_)
    again[order[1:]] = same & (np.diff(event_ms[order]) <= _RETOLD_WITHIN_MS)
    return again


@dataclass(frozen=True)
class Found:
    """One finding, and the moment at which it became known."""

    at_ms: int
    finding: SpikeFinding


class _Width:
    """Candidates of one width, with all that they are judged by."""

    def __init__(self, cases: Cases, width_ms: int, rules: DetectionRules, long: tuple[int, int]) -> None:
        self._cases, self._width_ms, self._rules, self._levels = cases, width_ms, rules, rules.spikes
        self._long = long
        pair, window, count = cases.windows_of(cases.by_pair, width_ms)
        self.tested = np.bincount(window)
        chosen = np.flatnonzero((count >= self._levels.min_cases) & (window >= self._levels.warmup_windows))
        chosen = chosen[np.argsort(window[chosen], kind="stable")]
        self.pair, self.window, self.count = pair[chosen], window[chosen], count[chosen]
        self.start_ms = window_start(cases.start_ms, width_ms) + self.window * width_ms
        self.drug, self.reaction = cases.pair_drug[self.pair], cases.pair_reaction[self.pair]
        self.age = self.window - cases.window_of(cases.first_of_drug()[self.drug], width_ms)
        self._pairs, self.pair_row = self._past(pair, window, count, self.pair)
        self._drugs, self._drug_row = self._past(*cases.windows_of(cases.by_drug, width_ms), self.drug)
        self._reactions, self._reaction_row = self._past(*cases.windows_of(cases.by_reaction, width_ms), self.reaction)
        self._total = np.bincount(window + self._levels.baseline_windows, count).astype(np.int64)
        self.alarmed = np.zeros(self._pairs.shape, dtype=np.bool_)

    def _past(self, whose: Ints, window: Ints, count: Ints, wanted: Ints) -> tuple[NDArray[np.int32], Ints]:
        """Counts per window of those wanted, after as many empty windows as a baseline has; each one's row."""
        known, row = np.unique(wanted, return_inverse=True)
        past = np.zeros((known.size, self.tested.size + self._levels.baseline_windows), dtype=np.int32)
        place = np.searchsorted(known, whose)
        kept = np.flatnonzero(known[np.minimum(place, known.size - 1)] == whose) if known.size else place[:0]
        past[place[kept], window[kept] + self._levels.baseline_windows] = count[kept]
        return past, row

    def counts(self, chosen: Ints, cases: Ints) -> CandidateCounts:
        """Some candidates (repeated at will), with so many cases so far."""
        windows, at = self._levels.baseline_windows, self.window[chosen]

        def before(past: NDArray[Scalar], row: Ints) -> NDArray[Scalar]:
            return sliding_window_view(past, windows, axis=1)[row[chosen], at]

        total = sliding_window_view(self._total, windows)[at]
        after_first = at[:, None] - np.arange(windows, 0, -1) > 0
        return CandidateCounts(
            cases=cases,
            history=before(self._pairs, self.pair_row).astype(np.int64),
            usable=after_first & (total > 0) & ~before(self.alarmed, self.pair_row),
            drug_history=before(self._drugs, self._drug_row).astype(np.int64),
            reaction_history=before(self._reactions, self._reaction_row).astype(np.int64),
            total_history=total,
            drug_age_windows=self.age[chosen],
        )

    def background(self, chosen: Ints, until_ms: Ints) -> Background:
        """What is known besides of candidates, up to and with a moment each."""
        known, start_ms, after_ms = self._cases, self.start_ms[chosen], until_ms + 1
        pair, drug, reaction = self.pair[chosen], self.drug[chosen], self.reaction[chosen]
        widest_ms, windows = self._long
        until = window_start(start_ms, widest_ms)
        since = until - windows * widest_ms
        return Background(
            drug_now=known.between(known.by_drug, drug, start_ms, after_ms),
            reaction_now=known.between(known.by_reaction, reaction, start_ms, after_ms),
            pair_before=known.between(known.by_pair, pair, since, until),
            drug_before=known.between(known.by_drug, drug, since, until),
            reaction_before=known.between(known.by_reaction, reaction, since, until),
            all_before=known.between(known.all, 0 * pair, since, until),
            retold=np.stack(
                [
                    known.between(known.retold, pair, start_ms - self._width_ms, start_ms),
                    known.between(known.retold, pair, start_ms, after_ms),
                ],
                axis=1,
            ),
        )

    def evaluate(self, chosen: Ints, cases: Ints, until_ms: Ints | None) -> Said:
        """With what is known besides until each moment; without, by their own past alone."""
        rows = max(_BLOCK // self._levels.baseline_windows, 1)
        said = np.zeros(chosen.size, dtype=_SAID)
        for first in range(0, chosen.size, rows):
            part = slice(first, first + rows)
            these = chosen[part]
            counts = self.counts(these, cases[part])
            judgement = (
                evaluate(counts, self._rules)
                if until_ms is None or self._rules.rule != "default"
                else confirm(counts, self.background(these, until_ms[part]), self._rules)
            )
            for name in _SAID.names or ():
                whose = judgement.evaluation if hasattr(judgement.evaluation, name) else judgement
                said[name][part] = getattr(whose, name)
        return said

    def moments(self, chosen: Ints) -> tuple[Ints, Ints, Ints]:
        """(candidate, moment, cases so far) of each moment at which an open window is judged."""
        rows: list[tuple[Ints, Ints, Ints]] = [(chosen[:0], chosen[:0], chosen[:0])]
        for candidate in chosen:
            start = int(self.start_ms[candidate])
            at = self._cases.moments_of_pair(int(self.pair[candidate]), start, start + self._width_ms)
            so_far = np.flatnonzero(np.append(at[1:] != at[:-1], True)) + 1  # cases of one moment come in one commit
            so_far = so_far[so_far >= self._levels.min_cases]
            rows.append((np.full(so_far.size, candidate), at[so_far - 1], so_far))
        return tuple(map(np.concatenate, zip(*rows, strict=True)))  # type: ignore[return-value]  # three of each


def _evaluation(said: Said) -> Evaluation:
    return Evaluation(**{name: said[name] for name in ("expected", "spread", "z", "p", "warm")})


class _Verdicts:
    """What became of n candidates: by the open level, and by the false discovery rate at the end."""

    def __init__(self, n: int) -> None:
        self.open_ms = np.full(n, -1, dtype=np.int64)
        """(n,) first moment at which the open level was met; -1 where never."""
        self.opened, self.final = np.zeros(n, dtype=_SAID), np.zeros(n, dtype=_SAID)
        self.closed = np.zeros(n, dtype=np.bool_)

    @property
    def found(self) -> Bools:
        """(n,) by either."""
        return (self.open_ms >= 0) | self.closed


def find(
    cases: Cases,
    width_ms: int,
    rules: DetectionRules,
    long: tuple[int, int],
    names: tuple[Sequence[str], Sequence[str]],
) -> list[Found]:
    """All findings of one width. `long`: width (ms) and number of the widest windows; `names`: of drugs and reactions.

    An alarmed window does not teach the pair's later windows. So all are judged as if there were none, then those again
    that follow an alarm, until nothing changes. What is found depends on what was found earlier and on nothing later:
    the end of it is what judging one window after the other finds.
    """
    width = _Width(cases, width_ms, rules, long)
    verdicts = _Verdicts(width.pair.size)
    column = width.window + rules.spikes.baseline_windows
    anew = np.arange(width.pair.size)
    while anew.size:
        _judge(width, verdicts, anew, cases.end_ms, width_ms, rules)
        changed = np.flatnonzero(width.alarmed[width.pair_row, column] != verdicts.found)
        width.alarmed[width.pair_row, column] = verdicts.found
        anew = _after(width, changed, rules.spikes.baseline_windows)
    return list(_findings(width, verdicts, width_ms, names))


def _after(width: _Width, changed: Ints, windows: int) -> Ints:
    """Candidates with one of these in their baseline."""
    by_pair: defaultdict[int, list[int]] = defaultdict(list)
    for candidate in changed:
        by_pair[int(width.pair[candidate])].append(int(width.window[candidate]))
    again = np.zeros(width.pair.size, dtype=np.bool_)
    for candidate in np.flatnonzero(np.isin(width.pair, list(by_pair))):
        at = int(width.window[candidate])
        again[candidate] = any(at - windows <= window < at for window in by_pair[int(width.pair[candidate])])
    return np.flatnonzero(again)


def _judge(width: _Width, verdicts: _Verdicts, anew: Ints, end_ms: int, width_ms: int, rules: DetectionRules) -> None:
    """Judge these candidates anew, and their windows' other ones as far as the false discovery rate ties them."""
    level = rules.spikes
    # With fewer cases, or with what is known besides, p is no smaller: none but what stands out here can be found.
    at_best = width.evaluate(anew, width.count[anew], None)
    candidate, at_ms, so_far = width.moments(anew[at_best["warm"] & (at_best["p"] <= level.open_p)])
    said = width.evaluate(candidate, so_far, at_ms)
    passing = np.flatnonzero(open_verdict(_evaluation(said), said["told_once"], level))
    passing = passing[np.unique(candidate[passing], return_index=True)[1]]
    verdicts.open_ms[anew] = -1
    verdicts.open_ms[candidate[passing]], verdicts.opened[candidate[passing]] = at_ms[passing], said[passing]

    ends = width.start_ms + width_ms
    promising = anew[at_best["warm"] & (at_best["p"] <= level.close_fdr) & (ends[anew] <= end_ms)]
    verdicts.final[anew], verdicts.closed[anew] = np.zeros(1, dtype=_SAID), False
    verdicts.final[promising] = width.evaluate(promising, width.count[promising], ends[promising] - 1)
    # The others' p is above the rate itself, so that they neither pass nor let others pass.
    tied = np.flatnonzero(verdicts.final["warm"] & np.isin(width.window, width.window[anew]))
    for window, group in groupby(tied, key=lambda candidate: int(width.window[candidate])):
        these = np.fromiter(group, dtype=np.int64)
        verdicts.closed[these] = close_verdict(
            _evaluation(verdicts.final[these]), verdicts.final["told_once"][these], int(width.tested[window]), level
        )


def _findings(
    width: _Width, verdicts: _Verdicts, width_ms: int, names: tuple[Sequence[str], Sequence[str]]
) -> Iterator[Found]:
    def finding(i: int, said: np.void, stage: Stage) -> SpikeFinding:
        drug, reaction = int(width.drug[i]), int(width.reaction[i])
        return SpikeFinding(
            width_ms=width_ms,
            window_start=int(width.start_ms[i]),
            drug_id=drug,
            drug=names[0][drug],
            reaction_id=reaction,
            reaction=names[1][reaction],
            cases=int(said["observed"]),
            expected=float(said["expected"]),
            spread=float(said["spread"]),
            z=float(said["z"]),
            p=float(said["p"]),
            stage=stage,
            alertable=True,
            windows=int(said["windows"]),
        )

    for i in map(int, np.flatnonzero(verdicts.found)):
        if verdicts.open_ms[i] >= 0:
            yield Found(int(verdicts.open_ms[i]), finding(i, verdicts.opened[i], "open"))
        if verdicts.closed[i]:
            yield Found(int(width.start_ms[i]) + width_ms, finding(i, verdicts.final[i], "closed"))


@dataclass(frozen=True)
class Episode:
    """One alert as it ended, and what opened it."""

    alert: Alert
    first: SpikeFinding
    """Of those that opened it the one of the narrowest window."""

    @property
    def opened_ms(self) -> int:
        """When the officer hears of it."""
        return self.alert.opened_at


def episodes(found: Mapping[int, Sequence[Found]]) -> list[Episode]:
    """The alerts that the findings of all widths make, by their opening.

    The policy decides pair by pair, so pairs are gone through one after the other. Its clock ticks at every finding and
    when an alert has been quiet for long enough; that is at the close of a window.
    """
    of_pair: defaultdict[tuple[int, int], list[Found]] = defaultdict(list)
    for findings in found.values():
        for one in findings:
            of_pair[one.finding.drug_id, one.finding.reaction_id].append(one)
    made = [episode for pair in sorted(of_pair) for episode in _episodes_of_pair(of_pair[pair])]
    return sorted(made, key=lambda episode: episode.opened_ms)


def _episodes_of_pair(found: list[Found]) -> Iterator[Episode]:
    alert, first = None, None
    for at_ms, group in groupby(sorted(found, key=lambda one: one.at_ms), key=lambda one: one.at_ms):
        evidence = [one.finding for one in group]
        if alert is not None and first is not None and at_ms > (over_ms := alert.last_alarm_end + quiet_ms(alert)):
            yield Episode(_decided(alert, [], over_ms), first)
            alert = None
        if alert is None:
            first = min(evidence, key=lambda finding: finding.width_ms)
        alert = _decided(alert, evidence, at_ms)
        if alert.status is AlertStatus.CLOSED and first is not None:
            yield Episode(alert, first)
            alert = None
    if alert is not None and first is not None:
        yield Episode(alert, first)


def _decided(alert: Alert | None, evidence: Sequence[SpikeFinding], at_ms: int) -> Alert:
    """The alert after a tick of the clock."""
    changes = decide(
        [alert] if alert is not None else [],
        evidence,
        [],
        clock_ms=at_ms,
        now_ms=at_ms,
        new_id=lambda: f"{at_ms}",
        silenced=lambda _: False,
    )
    if changes:
        return changes[0].alert
    if alert is None:
        raise ValueError("a finding that opens nothing: it was known two widths after the end of its window")
    return alert
