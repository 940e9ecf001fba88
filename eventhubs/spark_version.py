"""The oldest Spark that the data source works with."""

from __future__ import annotations

import re

from eventhubs.errors import ConfigurationError

__all__ = ["check_spark_version"]

_OLDEST = (4, 2)


def check_spark_version(version: str) -> None:
    """Raise `ConfigurationError` for a version (such as `4.1.0` or `4.2.0.dev1`) that is too old."""
    found = re.match(r"(\d+)\.(\d+)", version)
    if found is not None and (int(found[1]), int(found[2])) < _OLDEST:
        raise ConfigurationError(
            f"The eventhubs source needs Spark 4.2 or newer, and this is {version}: older ones let a Python data "
            "source limit no batch and report no lag."
        )
