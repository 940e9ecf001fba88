"""What the windows before let one expect of the next: a log-linear quasi-Poisson regression, for many series at once.

    log mu(t) = level + trend u(t) + sum over seasons and harmonics j of a cos(2 pi j t / period) + b sin(...)

Sources: Farrington, Andrews, Beale and Catchpole, "A statistical algorithm for the early detection of outbreaks of
infectious disease", JRSS A 159 (1996), for the regression, its dispersion and the down-weighting of past outbreaks;
Noufaily, Enki, Farrington, Garthwaite, Andrews and Charlett, "An improved algorithm for outbreak detection in multiple
surveillance systems", Statistics in Medicine 32 (2013), for down-weighting only what stands out and for the season.

Two things are ours. The level is shrunk towards a rate given from outside, as if `prior_windows` windows more had been
seen in which it held; without trend and season that is the mean of a Gamma posterior, exactly that of `zscore`. The
trend is shrunk towards none, the season towards one given from outside or none (normal priors). So a long history
speaks for itself, a short or sparse one says little and what is known otherwise fills the gap, with no switch between.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from threadpoolctl import ThreadpoolController

from models.spikes.settings import DetectionRules

__all__ = ["Forecast", "forecast"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_BLOCK = 1 << 15
"""Counts handled at a time: what is computed of them fits the processor's cache."""

_FIRST_STEPS, _ROUNDS, _STEPS = 4, 3, 2
"""Newton steps from the start, rounds of down-weighting, and steps in each. Fixed, so that no series' result depends
on its neighbours'; the tests hold them against a fit by another method."""

_LEAST_PRIOR = 0.001
"""Cases per window: the level's logarithm must exist where nothing was ever seen."""

_MOST_RISE = 1.5
"""Times the greatest count learnt from, or the prior rate: further no trend or season is followed. Farrington et al.
(1996) drop a trend that leads beyond the greatest count."""

_MOST_STEP, _ETA_RANGE = 1.5, (-14.0, 30.0)


@dataclass(frozen=True)
class Forecast:
    """n series' counts expected in the next `ahead` windows, oldest first, in cases; never NaN or infinite."""

    mean: Floats
    """(n, ahead) expected cases."""
    covariance: Floats
    """(n, ahead, ahead) of the error of `mean`: the regression's own, without the spread of counts around it."""
    dispersion: Floats
    """(n,) variance over mean of a quiet window's count, at least 1."""
    windows: Floats
    """(n,) how many usable windows that rests on."""
    waves: Floats
    """(n, s) cosine and sine coefficients of the seasons, in their order."""


def forecast(
    history: npt.NDArray[np.int64],
    usable: Bools,
    prior: Floats,
    rules: DetectionRules,
    ahead: int,
    waves: Floats | None = None,
) -> Forecast:
    """What to expect of the last `ahead` windows from those before.

    history (n, B): cases per window, oldest first, the next window following the last column; the last `ahead - 1`
    columns, and `guard_windows` at the least, are forecast or guarded and not learnt from. usable (n, B): False where
    there is nothing to learn. prior (n,): cases per window to expect without any history. waves (n, s): the seasons
    to expect without any history, by default none.
    """
    n, windows = history.shape
    learnt = max(windows - max(rules.spikes.guard_windows, ahead - 1), 0)
    back = np.arange(windows, windows - learnt, -1, dtype=np.float64)
    seen, now = _design(back, windows, rules), _design(np.arange(ahead - 1, -1, -1, dtype=np.float64), windows, rules)
    seen = np.vstack([seen, _prior_row(seen, rules)])
    mean, covariance = np.empty((n, ahead)), np.empty((n, ahead, ahead))
    dispersion = np.empty(n)
    first_wave = seen.shape[1] - sum(2 * season.harmonics for season in rules.seasons)
    beta = np.zeros((n, seen.shape[1]))
    if waves is not None:
        beta[:, first_wave:] = waves
    rows = max(_BLOCK // (learnt + 1), 1)
    with _linear_algebra().limit(limits=1, user_api="blas"):
        for first in range(0, n, rows):
            part = slice(first, first + rows)
            counts = np.empty((len(prior[part]), learnt + 1))
            counts[:, :-1] = history[part, :learnt]
            counts[:, -1] = np.maximum(prior[part], _LEAST_PRIOR)
            weights = np.empty_like(counts)
            weights[:, :-1] = usable[part, :learnt]
            weights[:, -1] = rules.spikes.prior_windows
            beta[part], mean[part], covariance[part], dispersion[part] = _fit(
                counts, weights, seen, now, beta[part].T, rules
            )
    seen_windows = usable[:, :learnt].sum(axis=1).astype(np.float64)
    return Forecast(mean, covariance, dispersion, seen_windows, beta[:, first_wave:])


@cache
def _linear_algebra() -> ThreadpoolController:
    """Keeps products of small matrices on one thread: on a busy machine several wait for each other."""
    return ThreadpoolController()


def _design(back: Floats, windows: int, rules: DetectionRules) -> Floats:
    """(T, p) regressors of the windows that lie `back` windows before the judged one: level, trend, seasons."""
    columns = [np.ones_like(back)]
    if rules.trend_deviation > 0:
        columns.append(-back / math.sqrt(max(windows, 1)))
    for season in rules.seasons:
        for harmonic in range(1, season.harmonics + 1):
            angle = 2.0 * np.pi * harmonic * back / season.period
            columns += [np.cos(angle), np.sin(angle)]
    return np.stack(columns, axis=1)


def _prior_row(seen: Floats, rules: DetectionRules) -> Floats:
    """(1, p) the prior's windows as one more observation: free of season, and in the middle of the history.

    There it moves the level only. At the end of the history, where it knows no more than anywhere, it would bend the
    trend towards itself.
    """
    row = np.eye(1, seen.shape[1])
    if rules.trend_deviation > 0 and len(seen):
        row[0, 1] = seen[:, 1].mean()
    return row


def _precisions(rules: DetectionRules) -> Floats:
    """(p,) of the normal priors; none of the level."""
    trend = [rules.trend_deviation**-2] if rules.trend_deviation > 0 else []
    return np.array(
        [0.0, *trend, *(season.deviation**-2 for season in rules.seasons for _ in range(2 * season.harmonics))]
    )


def _fit(
    counts: Floats, usable: Floats, seen: Floats, now: Floats, known: Floats, rules: DetectionRules
) -> tuple[Floats, Floats, Floats, Floats]:
    """Coefficients, mean, its covariance and dispersion of one block of series. known (p, rows): the priors' means."""
    p = seen.shape[1]
    above = np.triu_indices(p)
    # Its first p columns are the regressors themselves, for the first of them is constant 1.
    products = seen[:, above[0]] * seen[:, above[1]]
    ridge = _precisions(rules)[:, None]
    powers = np.cbrt(counts) ** 2
    weights = usable
    level = (weights * counts).sum(axis=1) / weights.sum(axis=1)
    beta = known.copy()
    beta[0] = np.log(level)
    dispersion = _dispersion(counts, weights, np.broadcast_to(level[:, None], counts.shape), 1, rules)
    mu = np.exp(_eta(beta, seen))
    for round_ in range(_ROUNDS + 1):
        if round_:
            root = np.exp(_eta(beta, seen) / 6.0)
            square = root * root
            two_thirds = square * square
            mu = two_thirds * square
            dispersion = _dispersion(counts, weights, mu, p, rules)
            residual = 1.5 * (powers - two_thirds) / (root * np.sqrt(dispersion)[:, None])
            weights = usable * (rules.outbreak_residual / np.maximum(residual, rules.outbreak_residual)) ** 2
            weights[:, -1] = usable[:, -1]
        target = ((weights * counts) @ seen).T
        for step in range(_STEPS if round_ else _FIRST_STEPS):
            if step:
                mu = np.exp(_eta(beta, seen))
            information = ((weights * mu) @ products).T
            gradient = target - information[:p] - dispersion * ridge * (beta - known)
            factor = _factor(information, dispersion * ridge)
            beta = beta + np.clip(_solve(factor, gradient[:, None])[:, 0], -_MOST_STEP, _MOST_STEP)
    mu = np.exp(_eta(beta, seen))
    dispersion = _dispersion(counts, weights, mu, p, rules)
    factor = _factor(((weights * mu) @ products).T, dispersion * ridge)
    most = _MOST_RISE * np.where(usable > 0, counts, 0.0).max(axis=1)
    mean = np.minimum(np.exp(_eta(beta, now)), most[:, None])
    slopes = mean.T[None] * now.T[:, :, None]  # (p, ahead, rows)
    covariance = dispersion[:, None, None] * np.einsum("pas,pbs->sab", slopes, _solve(factor, slopes))
    return beta.T, mean, covariance, dispersion


def _eta(beta: Floats, regressors: Floats) -> Floats:
    """(rows, T) logarithm of the expectation."""
    eta: Floats = np.clip(beta.T @ regressors.T, *_ETA_RANGE)
    return eta


def _dispersion(counts: Floats, weights: Floats, mu: Floats, p: int, rules: DetectionRules) -> Floats:
    """(rows,) Pearson's estimate, shrunk towards `dispersion_prior`, at least 1.

    Its variance for Poisson counts is (2 + 1 / mean) / (windows - p) (McCullagh and Nelder, 1989): few windows and few
    cases estimate it badly and count for little.
    """
    counts, weights, mu = counts[:, :-1], weights[:, :-1], mu[:, :-1]
    total = weights.sum(axis=1)
    freedom = np.maximum(total - p, 0.0)
    residual = counts - mu
    pearson = np.einsum("nt,nt,nt->n", weights, residual, residual / mu) / np.maximum(freedom, 1.0)
    mean = np.einsum("nt,nt->n", weights, mu) / np.maximum(total, 1.0)
    known = freedom * 2.0 * mean / (1.0 + 2.0 * mean)
    prior = rules.spikes.dispersion_windows
    dispersion: Floats = (prior * rules.spikes.dispersion_prior + known * pearson) / (prior + known)
    return np.maximum(dispersion, 1.0)


def _factor(information: Floats, ridge: Floats) -> list[list[Floats]]:
    """Cholesky factors L of every series' matrix, as rows of arrays: p is small, the series are many."""
    p = ridge.shape[0]
    place = _places(p)
    factor: list[list[Floats]] = []
    for i in range(p):
        row: list[Floats] = []
        for j in range(i + 1):
            value = information[place[j, i]].copy()
            for k in range(j):
                value -= row[k] * factor[j][k] if j < i else row[k] ** 2
            if j < i:
                row.append(value / factor[j][j])
            else:
                value += ridge[i]
                row.append(np.sqrt(np.maximum(value, 1e-12)))
        factor.append(row)
    return factor


@cache
def _places(p: int) -> dict[tuple[int, int], int]:
    """Where the entry (i, j), i <= j, of a symmetric matrix stands among those of its upper triangle."""
    return {(int(i), int(j)): place for place, (i, j) in enumerate(zip(*np.triu_indices(p), strict=True))}


def _solve(factor: list[list[Floats]], right: Floats) -> Floats:
    """x of L L' x = right, (p, k, rows)."""
    x = right.copy()
    p = len(factor)
    for i in range(p):
        for j in range(i):
            x[i] -= factor[i][j] * x[j]
        x[i] /= factor[i][i]
    for i in reversed(range(p)):
        for j in range(i + 1, p):
            x[i] -= factor[j][i] * x[j]
        x[i] /= factor[i][i]
    return x
