"""Windows judged within a commit: candidates become findings, with evidence, and are kept."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alerts.alert import SpikeFinding
from models.spikes import DetectionRules, Evaluation, Judgement, close_verdict, confirm, evaluate, open_verdict
from models.spikes.disproportionality import Evidence
from sql.candidates import Candidates, ClosingSpan
from sql.commit import CommitTransaction, SpikeRow
from sql.evidence import FoundSpan

__all__ = ["judge_windows"]

_LATE_WIDTHS = 2
"""Windows that ended more than this many widths ago are flagged, never alerted."""

Bools = NDArray[np.bool_]
Stages = NDArray[np.str_]


@dataclass(frozen=True)
class _Found:
    """A finding, and what of it is kept but not alerted with."""

    finding: SpikeFinding
    window_cases: int
    rule: str
    rules_version: str


def judge_windows(
    tx: CommitTransaction,
    rules: Mapping[int, DetectionRules],
    closing: Mapping[int, ClosingSpan],
    clock_ms: int | None,
) -> list[SpikeFinding]:
    """Judge touched and closing windows by the rules of their width (ms), and keep what spikes."""
    widest_ms = max(rules)
    long = (widest_ms, rules[widest_ms].spikes.baseline_windows)
    found = [
        each
        for candidates in tx.candidates({width_ms: of_width.spikes for width_ms, of_width in rules.items()}, closing)
        for each in _found(tx, candidates, rules[candidates.width_ms], long, closing.get(candidates.width_ms), clock_ms)
    ]
    findings = [each.finding for each in found]
    evidence = tx.evidence([FoundSpan(f.drug_id, f.reaction_id, f.start, f.window_end) for f in findings])
    tx.save_spikes([_row(each, known) for each, known in zip(found, evidence, strict=True)])
    return findings


def _found(
    tx: CommitTransaction,
    candidates: Candidates,
    rules: DetectionRules,
    long: tuple[int, int],
    span: ClosingSpan | None,
    clock_ms: int | None,
) -> Iterator[_Found]:
    """long: width (ms) and number of the windows that a candidate's long past is made of."""
    stood_out = _standing_out(candidates, rules)
    if not stood_out.size:
        return
    candidates = candidates.only(stood_out)
    if rules.rule == "default":
        judgement: Judgement = confirm(candidates.counts, tx.background(candidates, *long), rules)
    else:
        judgement = evaluate(candidates.counts, rules)
    stages = _stages(candidates, span, tx.closed_until_ms(candidates.width_ms))
    chosen = np.flatnonzero(_verdict(candidates, judgement, stages, rules))
    drugs, reactions = tx.names(
        [int(i) for i in candidates.drug_ids[chosen]], [int(i) for i in candidates.reaction_ids[chosen]]
    )
    of = judgement.evaluation
    for i in chosen:
        drug_id, reaction_id = int(candidates.drug_ids[i]), int(candidates.reaction_ids[i])
        start = int(candidates.window_starts_ms[i])
        age_ms = clock_ms - (start + candidates.width_ms) if clock_ms is not None else None
        finding = SpikeFinding(
            width_ms=candidates.width_ms,
            window_start=start,
            drug_id=drug_id,
            drug=drugs[drug_id],
            reaction_id=reaction_id,
            reaction=reactions[reaction_id],
            cases=int(judgement.observed[i]),
            expected=float(of.expected[i]),
            spread=float(of.spread[i]),
            z=float(of.z[i]),
            p=float(of.p[i]),
            stage=str(stages[i]),  # type: ignore[arg-type]
            alertable=age_ms is not None and age_ms <= _LATE_WIDTHS * candidates.width_ms,
            windows=int(judgement.windows[i]),
        )
        yield _Found(finding, int(candidates.counts.cases[i]), str(judgement.rule[i]), rules.version)


def _standing_out(candidates: Candidates, rules: DetectionRules) -> NDArray[np.intp]:
    """Those whose own past lets them be found; of the others nothing more need be known."""
    evaluation = evaluate(candidates.counts, rules).evaluation
    return np.flatnonzero(evaluation.warm & (evaluation.p <= max(rules.spikes.open_p, rules.spikes.close_fdr)))


def _stages(candidates: Candidates, span: ClosingSpan | None, closed_until_ms: int | None) -> Stages:
    ends = candidates.window_starts_ms + candidates.width_ms
    closed = ends <= (closed_until_ms if closed_until_ms is not None else -1)
    now_closing = (ends > span.after_ms) & (ends <= span.until_ms) if span is not None else np.zeros_like(closed)
    return np.where(now_closing, "closed", np.where(closed, "late", "open"))


def _verdict(candidates: Candidates, judgement: Judgement, stages: Stages, rules: DetectionRules) -> Bools:
    """(n,) True where a window spikes: by the strict level when it was touched, besides by the close's at its close."""
    cases = judgement.told_once
    # What the strict level finds does not depend on whether a commit came while the window was open.
    found = open_verdict(judgement.evaluation, cases, rules.spikes) & candidates.touched
    for start, tested in candidates.tested.items():
        window = (candidates.window_starts_ms == start) & (stages == "closed")
        found[window] |= close_verdict(_subset(judgement.evaluation, window), cases[window], tested, rules.spikes)
    return found


def _subset(evaluation: Evaluation, mask: Bools) -> Evaluation:
    return Evaluation(**{f.name: getattr(evaluation, f.name)[mask] for f in dataclasses.fields(evaluation)})


def _row(found: _Found, evidence: Evidence) -> SpikeRow:
    finding = found.finding
    return SpikeRow(
        width_ms=finding.width_ms,
        drug_id=finding.drug_id,
        reaction_id=finding.reaction_id,
        window_start_ms=finding.window_start,
        cases=found.window_cases,
        windows=finding.windows,
        observed=finding.cases,
        expected=finding.expected,
        spread=finding.spread,
        z=finding.z,
        p=finding.p,
        stage=finding.stage,
        rules=found.rule,
        rules_version=found.rules_version,
        evidence=evidence,
    )
