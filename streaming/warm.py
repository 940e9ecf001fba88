"""Heavy imports, done before they are needed."""

from __future__ import annotations

import importlib

__all__ = ["import_heavy_packages"]


def import_heavy_packages() -> None:
    """Import what a task needs, Great Expectations above all."""
    importlib.import_module("great_expectations")
    importlib.import_module("streaming.task")
