"""The data folder of the local hub: one sub-folder per hub, `hub.json` and one log per partition in it.

Promises that one process at a time has the folder, and that a hub keeps its creation time and never loses a partition.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from eventhubs.hub.errors import FolderInUseError, HubError, HubNameError, PartitionCountError
from eventhubs.hub.log import SEGMENT_SIZE, PartitionLog
from eventhubs.hub.names import check_name

__all__ = ["MAX_PARTITIONS", "FolderLock", "HubLog", "Keeping", "open_hubs", "stored_partitions"]

MAX_PARTITIONS = 32
"""The service's own limit below its dedicated tiers."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """How events are kept."""

    fsync: bool = False
    """Whether every write is brought to the disk before it is acknowledged."""
    retention_ms: int | None = None
    """How long events are kept; None: for ever."""
    segment_size: int = SEGMENT_SIZE


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

    def expire(self, now_ms: int) -> None:
        """Delete what retention has passed. Raises `OSError` where a file cannot be deleted."""
        for partition in self.partitions:
            partition.expire(now_ms)

    def close(self) -> None:
        """Close all partitions."""
        for partition in self.partitions:
            partition.close()


def open_hubs(
    folder: Path, hubs: Mapping[str, int], keeping: Keeping, *, now_ms: Callable[[], int]
) -> dict[str, HubLog]:
    """Open or create the hubs (name → partition count) in a folder that is locked already.

    A hub that has fewer partitions gets new, empty ones; one that has more is refused. Names that differ only in case
    are one name, as in Event Hubs; the keys given are lower case.
    Raises `HubNameError`, `PartitionCountError`, `LogDamagedError`.
    """
    _check(hubs)
    opened: dict[str, HubLog] = {}
    try:
        for name, count in hubs.items():
            opened[name.lower()] = _open_hub(folder / name.lower(), name, count, keeping, now_ms)
    except BaseException:
        for hub in opened.values():
            hub.close()
        raise
    return opened


def stored_partitions(folder: Path, name: str) -> int | None:
    """Give the partition count of a hub kept in the folder; None if there is none. Raises `HubError`."""
    stored = _stored(folder / name.lower() / "hub.json")
    return None if stored is None else stored[1]


def _check(hubs: Mapping[str, int]) -> None:
    """Refuse names and counts no hub can have, before anything is created."""
    seen: set[str] = set()
    for name, count in hubs.items():
        check_name("hub", name)
        if name.lower() in seen:
            raise HubNameError(f"the hub {name!r} is named twice")
        seen.add(name.lower())
        if not 1 <= count <= MAX_PARTITIONS:
            raise PartitionCountError(f"the hub {name!r} needs 1 to {MAX_PARTITIONS} partitions, not {count}")


def _open_hub(folder: Path, name: str, count: int, keeping: Keeping, now_ms: Callable[[], int]) -> HubLog:
    folder.mkdir(exist_ok=True)
    created_at_ms = _describe(folder / "hub.json", name, count, now_ms)
    partitions: list[PartitionLog] = []
    try:
        for number in range(count):
            partitions.append(
                PartitionLog(
                    folder / f"{number}.log",
                    fsync=keeping.fsync,
                    segment_size=keeping.segment_size,
                    retention_ms=keeping.retention_ms,
                )
            )
            partitions[-1].expire(now_ms())
    except BaseException:
        for partition in partitions:
            partition.close()
        raise
    return HubLog(name, created_at_ms, tuple(partitions))


def _describe(meta: Path, name: str, count: int, now_ms: Callable[[], int]) -> int:
    """Read or write the description of a hub, with the new count where that is larger; give the time of creation."""
    created_at_ms, stored_count = _stored(meta) or (now_ms(), 0)
    if stored_count > count:
        raise PartitionCountError(
            f"the hub {name!r} has {stored_count} partitions and cannot be opened with {count}, for partitions can be "
            f"added but not taken away; ask for {stored_count} or more, choose another name, or remove its folder to "
            "start it anew"
        )
    if stored_count < count:
        _write_atomically(meta, json.dumps({"created_at_ms": created_at_ms, "partitions": count}))
    return created_at_ms


def _stored(meta: Path) -> tuple[int, int] | None:
    """Read when a hub was created and how many partitions it has."""
    if not meta.exists():
        return None
    try:
        stored = json.loads(meta.read_text())
        return int(stored["created_at_ms"]), int(stored["partitions"])
    except (ValueError, KeyError, TypeError):
        raise HubError(f"{meta} cannot be read; restore it, or remove the hub's folder to start it anew") from None


def _write_atomically(path: Path, text: str) -> None:
    draft = path.with_suffix(".new")
    with draft.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
