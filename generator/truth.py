"""What was really planted: the answer that alerts are judged by.

`Truth` is told every report the stream yields, so its counts are what was handed out, not what was meant.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Literal

import msgspec

from expectations.report import normalise_name
from generator.population import Population
from generator.spike import Spike

__all__ = ["GeneratedReport", "Kind", "PlantedSpike", "Truth", "TruthCounts", "planted_rate"]

Kind = Literal["ordinary", "planted", "broken", "resent"]


@dataclass(frozen=True)
class GeneratedReport:
    """One body on its way to the hub."""

    body: bytes
    case_id: str
    """The report's case number; of a broken body, a number to partition by that occurs in no report."""
    received_at: dt.datetime
    """When it reaches the hub, UTC; in the body too, except where the body is a resend of an earlier one."""
    planted: Spike | None
    """The spike this report belongs to; None for everything that is not kind `planted`."""
    kind: Kind = "ordinary"


@dataclass(frozen=True)
class PlantedSpike:
    """One spike as it happened. Names as the decoder normalises them."""

    drug: str
    reaction: str
    start: dt.datetime
    end: dt.datetime
    factor: float
    expected_per_s: float
    """Usual cases per second of this pair; the spike adds `factor` - 1 times as many."""
    planted_reports: int
    """Extra reports that were handed out so far."""

    @property
    def pair(self) -> tuple[str, str]:
        """(drug, reaction), as in `Report.pairs()`."""
        return (self.drug, self.reaction)


@dataclass(frozen=True)
class TruthCounts:
    """How many bodies of each kind were handed out."""

    ordinary: int
    planted: int
    broken: int
    resent: int

    @property
    def total(self) -> int:
        """All bodies: what the pipeline should have received."""
        return self.ordinary + self.planted + self.broken + self.resent


class _Line(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    planted_spike: PlantedSpike | None = None
    counts: TruthCounts | None = None


def planted_rate(population: Population, rate: float, spike: Spike) -> float:
    """Extra reports per second that `spike` adds to a stream of `rate` reports per second.

    Times the spike's length it is the number of cases to expect; much below 1, nothing will be seen.
    Raises `UnknownNameError` for a name the population does not have.
    """
    return rate * population.expected_rate(spike.drug, spike.reaction) * (spike.factor - 1.0)


class Truth:
    """Collects the planted spikes and the counts of one stream."""

    def __init__(self) -> None:
        self._plans: list[PlantedSpike] = []
        self._planted: list[int] = []
        self._index: dict[Spike, int] = {}
        self._kinds: Counter[str] = Counter()

    def plan(self, spikes: Iterable[Spike], population: Population, rate: float, start: dt.datetime) -> None:
        """Take note of spikes about to be planted in a stream of `rate` reports/s that starts at `start`."""
        for spike in spikes:
            begins = start + dt.timedelta(seconds=spike.start_s)
            self._index[spike] = len(self._plans)
            self._planted.append(0)
            self._plans.append(
                PlantedSpike(
                    drug=normalise_name(population.find_drug(spike.drug)),
                    reaction=normalise_name(population.find_reaction(spike.reaction)),
                    start=begins,
                    end=begins + dt.timedelta(seconds=spike.length_s),
                    factor=float(spike.factor),
                    expected_per_s=rate * population.expected_rate(spike.drug, spike.reaction),
                    planted_reports=0,
                )
            )

    def record(self, report: GeneratedReport) -> None:
        """Count one report that was handed out."""
        self._kinds[report.kind] += 1
        if report.planted is not None:
            self._planted[self._index[report.planted]] += 1

    @property
    def spikes(self) -> tuple[PlantedSpike, ...]:
        """The planted spikes in the order they were given, with the reports handed out so far."""
        planted = zip(self._plans, self._planted, strict=True)
        return tuple(replace(plan, planted_reports=count) for plan, count in planted)

    @property
    def counts(self) -> TruthCounts:
        """Bodies handed out so far."""
        kinds = self._kinds
        return TruthCounts(kinds["ordinary"], kinds["planted"], kinds["broken"], kinds["resent"])

    def to_json_lines(self) -> str:
        """One line per spike, then one with the counts."""
        lines = [*(_Line(planted_spike=spike) for spike in self.spikes), _Line(counts=self.counts)]
        return "".join(msgspec.json.encode(line).decode() + "\n" for line in lines)

    @classmethod
    def from_json_lines(cls, text: str) -> Truth:
        """Read what `to_json_lines` wrote; raises `msgspec.ValidationError` for anything else."""
        truth = cls()
        for line in filter(str.strip, text.splitlines()):
            read = msgspec.json.decode(line, type=_Line)
            if read.planted_spike is not None:
                truth._plans.append(read.planted_spike)
                truth._planted.append(read.planted_spike.planted_reports)
            if read.counts is not None:
                truth._kinds.update(asdict(read.counts))
        return truth
