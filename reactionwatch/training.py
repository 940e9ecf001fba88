"""Mock reports to train on."""

from __future__ import annotations

import datetime as dt

from expectations.decode import decode
from expectations.report import Report
from generator.population import Population
from generator.reports import ReportFactory
from generator.stream import stream

__all__ = ["generated_reports"]


def generated_reports(count: int, seed: int) -> list[Report]:
    """Decoded mock reports without spikes; a stream with the same seed does not repeat them."""

    factory = ReportFactory(Population(), seed, series="training")
    made = stream(factory, rate=10.0, count=count, started_at=dt.datetime(2026, 1, 5, tzinfo=dt.UTC))
    return [r for g in made if isinstance(r := decode(g.body), Report)]
