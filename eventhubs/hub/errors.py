"""Errors of the local hub.

HubError
 ├── FolderInUseError        another hub has the data folder
 ├── PortTakenError          the port cannot be listened on
 ├── PartitionCountError     the hub exists with another number of partitions
 ├── HubNameError            a name that Event Hubs would not accept
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
    """A hub keeps the number of partitions it was created with: ask for that one, or choose another name."""


class HubNameError(HubError):
    """Not a hub name: letters, digits, `.`, `-` and `_`, starting and ending with a letter or digit."""


class LogDamagedError(HubError):
    """A log is damaged before its end: restore the file, or remove the hub's folder to start it anew."""
