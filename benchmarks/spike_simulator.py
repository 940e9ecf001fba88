"""Weekly counts with outbreaks whose every case is known, as Noufaily et al. (2013) simulate them, and their scoring.

    mu(t) = exp(theta + beta t + gamma1 cos(2 pi t / 52) + gamma2 sin(2 pi t / 52))

28 scenarios (7 sets of parameters, with and without trend, with and without season), 624 weeks. Counts are Poisson or
negative binomial with variance phi mu. Weeks 313 to 575 hold four outbreaks, one each of k = 2, 3, 5 and 10; the test
weeks 576 to 624 hold one of k between 1 and 10. An outbreak has Poisson(k sd) cases, sd that of the week it starts in,
each delayed by a whole number of weeks, floor(LogNormal(0, 1/2)). Half of its cases come in its first week, four tenths
in the second.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc
from scipy.stats import poisson

__all__ = [
    "FIRST_TEST",
    "SCENARIOS",
    "TESTED",
    "WEEKS",
    "YEAR",
    "Peers",
    "Score",
    "Simulated",
    "found",
    "oracle",
    "run_peers",
    "score",
    "simulate",
]

WEEKS, FIRST_TEST, FIRST_OUTBREAK = 624, 575, 312
TESTED = WEEKS - FIRST_TEST
YEAR = 52
PAST_OUTBREAKS = (2, 3, 5, 10)

_PARAMETERS = (
    (0.1, 0.0025, 0.6, 0.6, 1.5),
    (-2.0, 0.005, 0.1, 0.3, 2.0),
    (1.5, 0.003, 0.2, -0.4, 1.0),
    (0.5, 0.002, 0.5, 0.5, 5.0),
    (2.5, 0.001, 1.0, 0.1, 3.0),
    (3.75, 0.001, 0.1, -0.1, 1.1),
    (5.0, 0.0001, 0.05, 0.01, 1.2),
)

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Scenario:
    """theta, beta, gamma1, gamma2 and phi; beta is 0 without trend, gammas are without season."""

    theta: float
    beta: float
    gamma1: float
    gamma2: float
    phi: float

    def mean(self) -> Floats:
        """(WEEKS,) cases expected without outbreaks."""
        t = np.arange(1, WEEKS + 1)
        angle = 2.0 * np.pi * t / YEAR
        return np.exp(self.theta + self.beta * t + self.gamma1 * np.cos(angle) + self.gamma2 * np.sin(angle))


SCENARIOS = tuple(
    Scenario(theta, beta * trend, gamma1 * season, gamma2 * season, phi)
    for (theta, beta, gamma1, gamma2, phi), trend, season in itertools.product(_PARAMETERS, (0, 1), (0, 1))
)


@dataclass(frozen=True)
class Simulated:
    """n series, those of a scenario side by side."""

    cases: NDArray[np.int64]
    """(n, WEEKS) counts with the outbreaks in them."""
    outbreak: NDArray[np.int64]
    """(n, WEEKS) how many of these belong to an outbreak."""
    mean: Floats
    """(n, WEEKS) the true expectation without outbreaks."""
    phi: Floats
    """(n,) the true variance over mean."""
    k: NDArray[np.int64]
    """(n,) size of the outbreak in the test weeks, in standard deviations."""

    def first(self, per_scenario: int) -> Simulated:
        """The same, with the first few series of every scenario only."""
        return self.where((np.arange(len(self.k)) % (len(self.k) // len(SCENARIOS))) < per_scenario)

    def where(self, kept: Bools) -> Simulated:
        """The same, with some of the series only."""
        return Simulated(self.cases[kept], self.outbreak[kept], self.mean[kept], self.phi[kept], self.k[kept])

    @property
    def steady(self) -> Bools:
        """(n,) neither trend nor season."""
        return np.ptp(self.mean, axis=1) < 1e-9 * self.mean[:, 0]


def simulate(per_scenario: int, seed: int) -> Simulated:
    """Series of all scenarios; more of them begin with the same ones."""
    parts = [_scenario(number, per_scenario, seed) for number in range(len(SCENARIOS))]
    return Simulated(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _scenario(number: int, n: int, seed: int) -> tuple[NDArray[np.int64], ...]:
    scenario, mean = SCENARIOS[number], SCENARIOS[number].mean()
    counts, outbreaks = np.random.default_rng([seed, number, 0]), np.random.default_rng([seed, number, 1])
    if scenario.phi == 1.0:
        quiet = counts.poisson(mean, (n, WEEKS))
    else:
        quiet = counts.negative_binomial(mean / (scenario.phi - 1.0), 1.0 / scenario.phi, (n, WEEKS))
    deviation = np.sqrt(scenario.phi * mean)
    extra, sizes = np.zeros((n, WEEKS), dtype=np.int64), np.zeros(n, dtype=np.int64)
    for row in range(n):
        for k in PAST_OUTBREAKS:
            _add_outbreak(
                extra[row, :FIRST_TEST], outbreaks, outbreaks.integers(FIRST_OUTBREAK, FIRST_TEST), k, deviation
            )
        sizes[row] = outbreaks.integers(1, 11)
        _add_outbreak(extra[row], outbreaks, outbreaks.integers(FIRST_TEST, WEEKS), sizes[row], deviation)
    return quiet + extra, extra, np.tile(mean, (n, 1)), np.full(n, scenario.phi), sizes


def _add_outbreak(weeks: NDArray[np.int64], rng: np.random.Generator, start: int, k: int, deviation: Floats) -> None:
    """Cases after the last week are lost, as time goes no further."""
    size = rng.poisson(k * deviation[start])
    weeks_hit = start + np.floor(rng.lognormal(0.0, 0.5, size)).astype(np.int64)
    np.add.at(weeks, weeks_hit[weeks_hit < len(weeks)], 1)


def oracle(simulated: Simulated, together: int) -> Floats:
    """(n, TESTED) p of the last `together` weeks' sum for one who knows mean and dispersion: no rule can know more."""
    spans = [slice(FIRST_TEST - back, WEEKS - back) for back in range(together)]
    cases = sum(simulated.cases[:, span] for span in spans)
    mean = sum(simulated.mean[:, span] for span in spans)
    phi = np.broadcast_to(simulated.phi[:, None], mean.shape)
    tail = betainc(np.maximum(cases, 1), mean / np.maximum(phi - 1.0, 1e-9), 1.0 - 1.0 / phi)
    return np.where(phi == 1.0, poisson.sf(cases - 1, mean), np.where(cases > 0, tail, 1.0))


@dataclass(frozen=True)
class Score:
    """How alarms meet the outbreaks."""

    false_positive_rate: float
    """Share of the test weeks without an outbreak case that alarm."""
    detected: float
    """Share of the outbreaks with an alarm from their first case to their last (POD)."""
    by_k: dict[int, float]
    """The same for each size."""
    delay: float
    """Weeks from first case to alarm, over those detected."""
    at_once: float
    """Share of the outbreaks with an alarm in the week of their first case."""


def found(alarms: Bools, simulated: Simulated) -> Floats:
    """(n,) 1 where a series' outbreak has an alarm between its first case and its last, 0 without, NaN without case."""
    real, _, during = _during(alarms, simulated)
    return np.where(real, during.any(axis=1), np.nan)


def score(alarms: Bools, simulated: Simulated) -> Score:
    """alarms (n, TESTED). An outbreak without a single case is none."""
    real, first, during = _during(alarms, simulated)
    hit = during.any(axis=1)
    delays = (np.argmax(during, axis=1) - first)[real & hit]
    sizes = [k for k in range(1, 11) if (real & (simulated.k == k)).any()]
    return Score(
        false_positive_rate=float(alarms[simulated.outbreak[:, FIRST_TEST:] == 0].mean()),
        detected=float(hit[real].mean()),
        by_k={k: float(hit[real & (simulated.k == k)].mean()) for k in sizes},
        delay=float(delays.mean()) if delays.size else float("nan"),
        at_once=float(during[np.arange(len(first)), first][real].mean()),
    )


def _during(alarms: Bools, simulated: Simulated) -> tuple[Bools, NDArray[np.intp], Bools]:
    """Series with an outbreak, its first week, and the alarms between its first and last."""
    outbreak = simulated.outbreak[:, FIRST_TEST:] > 0
    weeks = np.arange(TESTED)
    first = np.argmax(outbreak, axis=1)
    last = TESTED - 1 - np.argmax(outbreak[:, ::-1], axis=1)
    real = outbreak.any(axis=1)
    return real, first, alarms & real[:, None] & (weeks >= first[:, None]) & (weeks <= last[:, None])


# R's `surveillance` on the same series

_PART = 70
"""Series that R is given at once: minutes."""

_R = """
suppressPackageStartupMessages(library(surveillance))
files <- commandArgs(trailingOnly = TRUE)
counts <- as.matrix(read.csv(files[1], header = FALSE))
range <- FIRST:LAST
one <- function(column) {
  series <- sts(observed = counts[, column], start = c(2001, 1), frequency = 52)
  ears <- sapply(c("C1", "C2", "C3"), function(method) alarms(earsC(series, control = list(
    method = method, range = range, alpha = 0.001, baseline = 7))) * 1)
  before <- proc.time()[["user.self"]]
  flexible <- farringtonFlexible(series, control = list(
    range = range, b = 5, w = 3, noPeriods = 10, pastWeeksNotIncluded = 26, trend = TRUE, pThresholdTrend = 1,
    reweight = TRUE, weightsThreshold = 2.58, limit54 = c(5, 4), alpha = 0.005, thresholdMethod = "nbPlugin",
    populationOffset = FALSE, fitFun = "algo.farrington.fitGLM.flexible", glmWarnings = FALSE, verbose = FALSE))
  seconds <- proc.time()[["user.self"]] - before
  cbind(ears, as.vector(alarms(flexible)) * 1, as.vector(flexible@control$pvalue), seconds / length(range))
}
write.table(do.call(rbind, lapply(seq_len(ncol(counts)), one)), files[2], sep = ",", row.names = FALSE,
  col.names = FALSE, na = "nan")
cat(R.version.string, "with surveillance", as.character(packageVersion("surveillance")))
"""


@dataclass(frozen=True)
class Peers:
    """What R's `surveillance` makes of n series."""

    ears: dict[str, Floats]
    """C1, C2, C3: (n, TESTED) 1 for an alarm at alpha 0.001, baseline 7; NaN where R judges none (even baselines)."""
    flexible: Bools
    """(n, TESTED) alarms of farringtonFlexible at alpha 0.005, negative-binomial quantile."""
    flexible_p: Floats
    """(n, TESTED) its p."""
    points_per_second: float
    """Series-points that farringtonFlexible judges in a CPU second."""
    version: str


def run_peers(simulated: Simulated, kept: Path) -> Peers | None:
    """R on the same series, through files; None where R or `surveillance` is not installed.

    It takes about a second per series. So it goes in parts, each with series of all scenarios, whose results stay in
    the folder `kept` under a digest of their counts: what was interrupted goes on where it was. The first part has the
    machine for itself and tells R's speed; of the others one goes on each core. Says on stderr how far.
    """
    n = -(-len(simulated.k) // _PART)
    if shutil.which("Rscript") is None or not _part(simulated.cases[::n], kept):
        return None
    whole = np.empty((len(simulated.k), TESTED, 6))
    versions = set()
    with ThreadPoolExecutor(os.cpu_count()) as cores:
        try:
            for part, results in enumerate(cores.map(lambda part: _part(simulated.cases[part::n], kept), range(n))):
                print(f"\rR: part {part + 1} of {n}", end="", file=sys.stderr, flush=True)
                if results is None:
                    return None
                version, _, rows = results.partition("\n")
                versions.add(version)
                whole[part::n] = np.loadtxt(rows.splitlines(), delimiter=",").reshape(-1, TESTED, 6)
        finally:
            cores.shutdown(cancel_futures=True)
    print(file=sys.stderr)
    return Peers(
        ears={name: whole[:, :, place] for place, name in enumerate(("C1", "C2", "C3"))},
        flexible=whole[:, :, 3] > 0,
        flexible_p=np.nan_to_num(whole[:, :, 4], nan=1.0),
        points_per_second=float(1.0 / whole[::n, :, 5].mean()),
        version=", ".join(sorted(versions)),
    )


def _part(cases: NDArray[np.int64], kept: Path) -> str | None:
    """R's version and, a line for each series and week, its results; None where there is no such R."""
    results = kept / f"r-{hashlib.sha256(cases.tobytes()).hexdigest()[:16]}.csv"
    if results.exists():
        return results.read_text(encoding="ascii")
    kept.mkdir(parents=True, exist_ok=True)
    script = _R.replace("FIRST", str(FIRST_TEST + 1)).replace("LAST", str(WEEKS))
    with tempfile.TemporaryDirectory() as folder:
        program, counts, made = (Path(folder) / name for name in ("peers.R", "counts.csv", "results.csv"))
        program.write_text(script, encoding="ascii")
        np.savetxt(counts, cases.T, fmt="%d", delimiter=",")
        done = subprocess.run(
            ["Rscript", str(program), str(counts), str(made)], check=False, capture_output=True, text=True
        )
        if done.returncode != 0:
            if "no package called" in done.stderr:
                return None
            raise RuntimeError(f"R failed: {done.stderr[-2000:]}")
        text = f"{done.stdout.strip()}\n{made.read_text(encoding='ascii')}"
    whole = results.with_suffix(".part")
    whole.write_text(text, encoding="ascii")
    whole.replace(results)
    return text
