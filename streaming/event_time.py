"""Which moment of a report its windows go by."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["EventTime"]


class EventTime(StrEnum):
    """Which moment of a report its windows go by."""

    HUB = "hub"
    """When the event hub took the report in."""
    PAYLOAD = "payload"
    """The receipt date where it carries a time of day (formats 203 and 204, read as UTC), else as `hub`."""
    REPORTED = "reported"
    """As `payload`, but else as `receivedate`, for replaying history and simulated time; what a backfill goes by."""
    RECEIVEDATE = "receivedate"
    """Midnight UTC of the receive date: for replaying history."""

    @property
    def replays(self) -> bool:
        """Whether windows close by the times that reports tell (the slowest partition's), not by the hub's clock."""
        return self in (EventTime.REPORTED, EventTime.RECEIVEDATE)
