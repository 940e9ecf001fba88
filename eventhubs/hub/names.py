"""Names as Event Hubs takes them."""

from __future__ import annotations

import re

from eventhubs.hub.errors import HubNameError

__all__ = ["check_name"]

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,254}[A-Za-z0-9])?")


def check_name(kind: str, name: str) -> None:
    """Raise `HubNameError` for what no hub, consumer group or key could be called."""
    if not _NAME.fullmatch(name):
        raise HubNameError(
            f"{name!r} is not the name of a {kind}: use letters, digits, '.', '-' and '_', up to 256 of them, "
            "starting and ending with a letter or digit"
        )
