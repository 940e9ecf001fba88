"""The default combination: one window or two together, on condition that the drug's other reactions did not rise too.

Chosen by `benchmarks/spike_quality.py`; docs/detection.md shows against what.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.spikes.counts import CandidateCounts
from models.spikes.ears import ears
from models.spikes.exceedance import exceedance, expect, scan
from models.spikes.rules import Evaluation, zscore
from models.spikes.settings import DetectionRules
from models.spikes.share import share

__all__ = ["Combined", "Judgement", "evaluate", "judge"]


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


@dataclass(frozen=True)
class Combined(Judgement):
    """What the default combination found, with its parts."""

    exceedance: Evaluation
    scan: Evaluation
    share: Evaluation | None


def evaluate(counts: CandidateCounts, rules: DetectionRules, drug_cases: npt.NDArray[np.int64]) -> Judgement:
    """Judge candidates by the rule that the settings name; `drug_cases` as in `judge`."""
    if rules.rule == "default":
        return judge(counts, rules, drug_cases)
    evaluation = zscore(counts, rules.spikes) if rules.rule == "zscore" else ears(counts, rules)
    alone = np.ones(len(counts.cases), dtype=np.int64)
    return Judgement(evaluation, alone, counts.cases, np.full(len(counts.cases), rules.rule))


def judge(counts: CandidateCounts, rules: DetectionRules, drug_cases: npt.NDArray[np.int64] | None = None) -> Combined:
    """Judge candidates, each with at least one window before it, by the default combination.

        p = min(p of exceedance / w, p of scan / (1 - w))          w = own_weight

    which is a p again, for the level is divided (weighted Bonferroni; Rosenthal and Rubin, 1983). The scan takes part
    only where the window itself has p <= own_p: else the window before alone was the spike. Where too few cases were
    seen of late, p is 1. With `drug_cases` (see `share`) then

        p = max(p, launch_rate x p of share)

    A quiet window has a p of at most a with chance a. So does, times launch_rate, one in which the drug was launched:
    together at most 2 a, however much a launch lifts.
    """
    expectation = expect(counts, rules)
    alone, together = exceedance(counts, expectation, rules), scan(counts, expectation, rules)
    by_share = share(counts, drug_cases, rules) if drug_cases is not None else None
    p_alone = np.minimum(alone.p / rules.own_weight, 1.0)
    p_together = np.where(alone.p <= rules.own_p, together.p / (1.0 - rules.own_weight), 1.0)
    pair = p_together < p_alone
    p = np.minimum(p_alone, p_together)
    recent = counts.cases + counts.history[:, max(counts.history.shape[1] - rules.recent_windows + 1, 0) :].sum(axis=1)
    p[recent < rules.recent_cases] = 1.0
    if by_share is not None:
        p = np.maximum(p, rules.launch_rate * by_share.p)
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
        exceedance=alone,
        scan=together,
        share=by_share,
    )
