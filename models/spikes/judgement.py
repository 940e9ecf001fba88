"""The default combination: one window or two together, where neither drug nor reaction nor retold cases explain it.

Chosen by `benchmarks/spike_quality.py`; docs/detection.md shows against what.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from models.spikes.background import Background
from models.spikes.counts import CandidateCounts
from models.spikes.ears import ears
from models.spikes.exceedance import exceedance, expect, scan
from models.spikes.rise import rise
from models.spikes.rules import Evaluation, zscore
from models.spikes.settings import DetectionRules
from models.spikes.share import launched, share

__all__ = ["Combined", "Judgement", "confirm", "evaluate", "judge"]


@dataclass(frozen=True)
class Judgement:
    """n candidates judged. `evaluation` is what the verdicts take; the rest says how it came about."""

    evaluation: Evaluation
    """Expected, spread and z of the rule that says most, with the p of all; p is 1 where a condition fails."""
    windows: npt.NDArray[np.int64]
    """(n,) 1 where the window alone says most, 2 where it does together with the one before."""
    observed: npt.NDArray[np.int64]
    """(n,) cases in these windows, which `evaluation.expected` is held against."""
    rule: npt.NDArray[np.str_]
    """(n,) name of the rule that says most."""
    told_once: npt.NDArray[np.int64]
    """(n,) cases of the window itself, without those known to be told again."""


@dataclass(frozen=True)
class Combined(Judgement):
    """What the default combination found, with its parts."""

    exceedance: Evaluation
    scan: Evaluation


def evaluate(counts: CandidateCounts, rules: DetectionRules) -> Judgement:
    """Judge candidates by the rule that the settings name, each by its own past."""
    if rules.rule == "default":
        return judge(counts, rules)
    evaluation = zscore(counts, rules.spikes) if rules.rule == "zscore" else ears(counts, rules)
    alone = np.ones(len(counts.cases), dtype=np.int64)
    return Judgement(evaluation, alone, counts.cases, np.full(len(counts.cases), rules.rule), counts.cases)


def judge(counts: CandidateCounts, rules: DetectionRules) -> Combined:
    """Judge candidates, each with at least one window before it, by their own past.

        p = min(p of exceedance / w, p of scan / (1 - w))          w = own_weight

    which is a p again, for the level is divided (weighted Bonferroni; Rosenthal and Rubin, 1983). The scan takes part
    only where the window itself has p <= own_p: else the window before alone was the spike. Where too few cases were
    seen of late, p is 1.
    """
    expectation = expect(counts, rules)
    alone, together = exceedance(counts, expectation, rules), scan(counts, expectation, rules)
    p_alone = np.minimum(alone.p / rules.own_weight, 1.0)
    p_together = np.where(alone.p <= rules.own_p, together.p / (1.0 - rules.own_weight), 1.0)
    pair = p_together < p_alone
    p = np.minimum(p_alone, p_together)
    recent = counts.cases + counts.history[:, max(counts.history.shape[1] - rules.recent_windows + 1, 0) :].sum(axis=1)
    p[recent < rules.recent_cases] = 1.0
    return Combined(
        evaluation=Evaluation(
            expected=np.where(pair, together.expected, alone.expected),
            spread=np.where(pair, together.spread, alone.spread),
            z=np.where(pair, together.z, alone.z),
            p=p,
            warm=alone.warm,
        ),
        windows=np.where(pair, 2, 1),
        observed=np.where(pair, counts.cases + counts.history[:, -1], counts.cases),
        rule=np.where(pair, "scan", "exceedance"),
        told_once=counts.cases,
        exceedance=alone,
        scan=together,
    )


def confirm(counts: CandidateCounts, background: Background, rules: DetectionRules) -> Judgement:
    """Judge candidates that stand out of their own past again, with what is known besides.

    Cases that carry the duplicate number of an earlier one are left out, and then

        p = max(p, l x p of share, season_rate x p of rise)        l: how much speaks for a rise of the whole drug

    A quiet window has a p of at most a with chance a. So does, times its chance, one in which the drug was launched or
    the reaction is in season: together at most 3 a, however much these lift.
    p is no smaller than that of `judge`: what that does not find need not be asked.
    """
    judged = judge(_told_once(counts, background.retold), rules)
    of = judged.evaluation
    in_proportion = launched(counts, background, judged.windows, rules) * share(
        counts, background, judged.windows, rules
    )
    in_season = rules.season_rate * rise(counts, background, of, judged.windows, rules)
    return replace(
        judged,
        evaluation=replace(of, p=np.maximum(of.p, np.maximum(in_proportion, in_season))),
        observed=counts.cases + (judged.windows == 2) * counts.history[:, -1],
    )


def _told_once(counts: CandidateCounts, retold: npt.NDArray[np.int64]) -> CandidateCounts:
    history = counts.history.copy()
    history[:, -1] = np.maximum(history[:, -1] - retold[:, 0], 0)
    return replace(counts, cases=np.maximum(counts.cases - retold[:, 1], 0), history=history)
