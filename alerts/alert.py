"""What an alert is, and the findings that one is made of: frozen values, nothing decided here.

All times are integers in Unix milliseconds, UTC; `*_ms` widths are milliseconds too.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

__all__ = ["Alert", "AlertKind", "AlertStatus", "PipelineFinding", "SpikeFinding", "Stage", "UnusualReport"]

Stage = Literal["open", "closed", "late"]


class AlertKind(StrEnum):
    """What the alert is about."""

    REACTION_SPIKE = "reaction_spike"
    UNUSUAL_REPORT = "unusual_report"
    PIPELINE = "pipeline"
    """Something upstream is wrong: what comes in looks, as a whole, unlike reports."""


class AlertStatus(StrEnum):
    """Whether it is still going on."""

    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True)
class SpikeFinding:
    """One window in which a (drug, reaction) pair was found to spike, alone or together with the one before it."""

    width_ms: int
    window_start: int
    drug_id: int
    drug: str
    reaction_id: int
    reaction: str
    cases: int
    """Cases in the `windows` windows."""
    expected: float
    """Cases expected in all of them; `spread` is the standard deviation of a quiet count, also in cases."""
    spread: float
    z: float
    p: float
    stage: Stage
    """When it was found: while the window was open, as it closed, or by a report that came late."""
    alertable: bool
    """False when the window was too old to alert when it was found: such a finding is kept, and alerts nobody."""
    windows: int = 1
    """How many windows the numbers are of, ending with this one: 2 when it spikes only with the one before."""

    @property
    def start(self) -> int:
        """First moment that the numbers are of."""
        return self.window_start - (self.windows - 1) * self.width_ms

    @property
    def window_end(self) -> int:
        """First moment after the window."""
        return self.window_start + self.width_ms


@dataclass(frozen=True)
class UnusualReport:
    """One report that the model found unlike the others."""

    case_key: int
    safetyreportid: str
    version: int
    score: float
    reasons: tuple[str, ...]
    model_version: str
    event_time: int


@dataclass(frozen=True)
class PipelineFinding:
    """What one expectation about the newest events as a whole found."""

    code: str
    ok: bool
    why: str
    measure: str
    """What was measured, as `mean of quarantined`."""
    observed: float
    minimum: float | None
    maximum: float | None
    events: int
    """How many events were looked at."""
    is_flood: bool
    """Whether it is about the share of events that are quarantined."""


@dataclass(frozen=True)
class Alert:
    """One episode of one pair, one unusual report, or one episode of a failed expectation about the pipeline.

    A spike's evidence (`width_ms` to `p`, and `windows`) is one finding: of the widest width that alarmed, the one with
    most cases. It therefore never shrinks, and a wider window replaces the narrower ones that it contains.

    An unusual report has no episode: it is CLOSED from the start, its times are the report's, and its evidence is
    empty (width 0, one case, nothing expected, z 0, p 1).

    An alert about the pipeline has no window either (width 0): `cases` are the events looked at, `since` and
    `last_alarm_end` the first and last time that the expectation failed (wall clock).
    """

    alert_id: str
    """Random UUID, so that a restored database never gives an old id to a new alert."""
    kind: AlertKind
    status: AlertStatus
    drug_id: int | None
    drug: str | None
    reaction_id: int | None
    reaction: str | None
    case_key: int | None
    safetyreportid: str | None
    version: int | None
    score: float | None
    reasons: tuple[str, ...]
    opened_at: int
    since: int
    """Start of the earliest alarmed window, or of the one before where only the two together are a spike."""
    last_alarm_end: int
    """End of the latest alarmed window."""
    width_ms: int
    window_start: int
    cases: int
    expected: float
    spread: float
    z: float
    p: float
    widths: tuple[int, ...]
    """Every width that alarmed, ascending."""
    published_cases: int
    """`cases` as last published."""
    revision: int
    """How many states of this alert have been published: 1 when opened, then without a gap."""
    closed_at: int | None
    model_version: str | None = None
    """The model that scored an unusual report; None for others."""
    expectation: str | None = None
    """Code of the failed expectation about the pipeline."""
    observed: float | None = None
    """What it found last."""
    windows: int = 1
    """How many windows a spike's evidence is of, ending with that of `window_start`."""

    @property
    def evidence_start(self) -> int:
        """First moment that a spike's evidence is of."""
        return self.window_start - (self.windows - 1) * self.width_ms
