"""The data folder of the local hub: one sub-folder per hub, `hub.json` and one log per partition in it.

Promises that one process at a time has the folder, and that a hub keeps its creation time and partition count.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from eventhubs.hub.errors import FolderInUseError, HubError, HubNameError, PartitionCountError
from eventhubs.hub.log import PartitionLog

__all__ = ["MAX_PARTITIONS", "FolderLock", "HubLog", "open_hubs"]

MAX_PARTITIONS = 1024
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,254}[A-Za-z0-9])?")


class FolderLock:
    """Exclusive use of a data folder, from construction to `release` (or the end of the process)."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = os.open(folder / "hub.lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            raise FolderInUseError(
                f"another local hub serves the data folder {folder}; stop it, or choose another folder"
            ) from None

    def release(self) -> None:
        """Let others have the folder."""
        os.close(self._file)


class HubLog:
    """The stored side of one hub."""

    def __init__(self, name: str, created_at_ms: int, partitions: tuple[PartitionLog, ...]) -> None:
        self.name = name
        self.created_at_ms = created_at_ms
        self.partitions = partitions

    def close(self) -> None:
        """Close all partitions."""
        for partition in self.partitions:
            partition.close()


def open_hubs(folder: Path, hubs: Mapping[str, int], *, fsync: bool, now_ms: Callable[[], int]) -> dict[str, HubLog]:
    """Open or create the hubs (name → partition count) in a folder that is locked already.

    Names that differ only in case are one name, as in Event Hubs; the keys given are lower case.
    Raises `HubNameError`, `PartitionCountError`, `LogDamagedError`.
    """
    _check(hubs)
    opened: dict[str, HubLog] = {}
    try:
        for name, count in hubs.items():
            opened[name.lower()] = _open_hub(folder / name.lower(), name, count, fsync, now_ms)
    except BaseException:
        for hub in opened.values():
            hub.close()
        raise
    return opened


def _check(hubs: Mapping[str, int]) -> None:
    """Refuse names and counts no hub can have, before anything is created."""
    seen: set[str] = set()
    for name, count in hubs.items():
        if not _NAME.fullmatch(name):
            raise HubNameError(
                f"{name!r} is not a hub name: use letters, digits, '.', '-' and '_', up to 256 of them, "
                "starting and ending with a letter or digit"
            )
        if name.lower() in seen:
            raise HubNameError(f"the hub {name!r} is named twice")
        seen.add(name.lower())
        if not 1 <= count <= MAX_PARTITIONS:
            raise PartitionCountError(f"the hub {name!r} needs 1 to {MAX_PARTITIONS} partitions, not {count}")


def _open_hub(folder: Path, name: str, count: int, fsync: bool, now_ms: Callable[[], int]) -> HubLog:
    folder.mkdir(exist_ok=True)
    meta = folder / "hub.json"
    if not meta.exists():
        _write_atomically(meta, json.dumps({"created_at_ms": now_ms(), "partitions": count}))
    try:
        stored = json.loads(meta.read_text())
        created_at_ms, stored_count = int(stored["created_at_ms"]), int(stored["partitions"])
    except (ValueError, KeyError, TypeError):
        raise HubError(f"{meta} cannot be read; restore it, or remove the hub's folder to start it anew") from None
    if stored_count != count:
        raise PartitionCountError(
            f"the hub {name!r} was created with {stored_count} partitions and cannot be opened with {count}; "
            f"ask for {stored_count}, choose another name, or remove its folder to start it anew"
        )
    partitions: list[PartitionLog] = []
    try:
        for number in range(count):
            partitions.append(PartitionLog(folder / f"{number}.log", fsync=fsync))
    except BaseException:
        for partition in partitions:
            partition.close()
        raise
    return HubLog(name, created_at_ms, tuple(partitions))


def _write_atomically(path: Path, text: str) -> None:
    draft = path.with_suffix(".new")
    with draft.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
