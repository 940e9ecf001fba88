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
    """As `payload`, but else as `receivedate`: what a backfill goes by, for its reports never came through a hub."""
    RECEIVEDATE = "receivedate"
    """Midnight UTC of the receive date: for replaying history. Windows close by the slowest partition."""
