from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from eventhubs.hub.errors import FolderInUseError, HubError, HubNameError, PartitionCountError
from eventhubs.hub.store import FolderLock, HubLog, Keeping, open_hubs


def open_at(folder: Path, now_ms: int = 1, **hubs: int) -> dict[str, HubLog]:
    return open_hubs(folder, hubs, Keeping(), now_ms=lambda: now_ms)


def close(hubs: dict[str, HubLog]) -> None:
    for hub in hubs.values():
        hub.close()


def test_a_hub_keeps_its_creation_time_and_partition_count(tmp_path: Path) -> None:
    close(open_at(tmp_path, now_ms=111, reports=3))
    hubs = open_at(tmp_path, now_ms=222, reports=3)

    assert hubs["reports"].created_at_ms == 111
    assert len(hubs["reports"].partitions) == 3
    close(hubs)


def test_fewer_partitions_than_the_hub_has_are_refused_with_both_numbers(tmp_path: Path) -> None:
    close(open_at(tmp_path, reports=3))

    with pytest.raises(PartitionCountError, match=r"3 partitions.*2"):
        open_at(tmp_path, reports=2)


def test_more_partitions_than_the_hub_has_are_added_and_stay(tmp_path: Path) -> None:
    hubs = open_at(tmp_path, now_ms=111, reports=1)
    hubs["reports"].partitions[0].append([lambda *_: b"kept"], 5)
    close(hubs)

    hubs = open_at(tmp_path, now_ms=222, reports=3)
    assert [partition.next_sequence for partition in hubs["reports"].partitions] == [1, 0, 0]
    assert hubs["reports"].created_at_ms == 111
    close(hubs)
    with pytest.raises(PartitionCountError):
        open_at(tmp_path, reports=1)


@pytest.mark.parametrize("count", [0, -1, 33])
def test_a_partition_count_out_of_range_is_refused(tmp_path: Path, count: int) -> None:
    with pytest.raises(PartitionCountError):
        open_at(tmp_path, reports=count)


@pytest.mark.parametrize("name", ["", "..", "../up", "a/b", "-a", "a-", "a b", "ä", "x" * 257])
def test_names_event_hubs_would_not_take_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(HubNameError):
        open_at(tmp_path, **{name: 1})


def test_names_that_differ_in_case_are_one_hub(tmp_path: Path) -> None:
    with pytest.raises(HubNameError, match="twice"):
        open_at(tmp_path, Reports=1, reports=1)
    assert not list(tmp_path.iterdir()), "nothing may be created for a refused request"
    close(open_at(tmp_path, Reports=2))
    with pytest.raises(PartitionCountError):
        open_at(tmp_path, REPORTS=1)


def test_an_unreadable_description_is_told_not_replaced(tmp_path: Path) -> None:
    close(open_at(tmp_path, reports=1))
    (tmp_path / "reports" / "hub.json").write_text("{}")

    with pytest.raises(HubError, match="restore"):
        open_at(tmp_path, reports=1)


def test_a_locked_folder_is_refused_to_a_second_process_and_free_after_release(tmp_path: Path) -> None:
    program = "import sys, pathlib; from eventhubs.hub.store import FolderLock; FolderLock(pathlib.Path(sys.argv[1]))"

    def another_process() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, timeout=60
        )

    lock = FolderLock(tmp_path)
    refused = another_process()
    lock.release()
    allowed = another_process()

    assert "FolderInUseError" in refused.stderr
    assert allowed.returncode == 0


def test_a_locked_folder_is_refused_within_the_process_too(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    with pytest.raises(FolderInUseError, match="another local hub"):
        FolderLock(tmp_path)
    lock.release()
