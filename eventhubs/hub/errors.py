"""Errors of the local hub.

HubError
 ├── FolderInUseError        another hub has the data folder
 ├── PortTakenError          the port cannot be listened on
 ├── PartitionCountError     no count that a hub can have, or fewer than it has
 ├── HubNameError            a name of a hub, consumer group or key that Event Hubs would not accept
 └── LogDamagedError         a log holds bytes that were not written by a hub
"""

from __future__ import annotations

__all__ = [
    "FolderInUseError",
    "HubError",
    "HubNameError",
    "LogDamagedError",
    "PartitionCountError",
    "PortTakenError",
]


class HubError(Exception):
    """The local hub cannot do what was asked; the message says what to do about it."""


class FolderInUseError(HubError):
    """Another process serves this data folder: stop it, or choose another folder."""


class PortTakenError(HubError):
    """Something else listens on the port: stop it, or choose another port (0 takes any free one)."""


class PartitionCountError(HubError):
    """A hub has 1 to 32 partitions and never loses one: ask for as many as it has or more, or choose another name."""


class HubNameError(HubError):
    """Not a name: letters, digits, `.`, `-` and `_`, starting and ending with a letter or digit."""


class LogDamagedError(HubError):
    """A log is damaged before its end: restore the file, or remove the hub's folder to start it anew."""
