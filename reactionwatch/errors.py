"""Errors of the front door's own work."""

from __future__ import annotations

__all__ = ["DemoFailedError"]


class DemoFailedError(Exception):
    """The demo could not come to a judgement; the message says which part stopped and why."""
