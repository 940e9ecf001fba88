"""`kill -9` of the store's part of a stream, at chosen statements and at any moment; `make faults` takes them all."""

from __future__ import annotations

from pathlib import Path

import pytest
from databases import Databases
from faults.killing import Campaign
from faults.nursery import Nursery


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
def test_killed_again_and_again_a_stream_ends_as_if_undisturbed(
    databases: Databases, nursery: Nursery, tmp_path: Path, backend: str
) -> None:
    campaign = Campaign(databases, backend, nursery, tmp_path, seed=2, days=9)
    campaign.at_statements(campaign.statements[7::41])
    campaign.at_random(2, 0.5)
    found = campaign.found
    assert (found.differences, found.missed) == ([], [])
    assert (found.lost, found.doubled, found.unaccounted) == (0, 0, 0)
    assert found.kills >= 6
