"""Why a stream cannot start or go on; every message says what to do. Nothing stored is lost by starting again."""

from __future__ import annotations

__all__ = ["SparkSetupError", "StreamFailedError"]


class SparkSetupError(Exception):
    """Spark cannot run here, or not safely; the message says what to change."""


class StreamFailedError(Exception):
    """The stream had to stop."""
