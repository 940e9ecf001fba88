"""Random faults while events are sent and read: nothing lost or invented, doubles only where a sender tried again."""

from __future__ import annotations

from pathlib import Path

import pytest
from effort import pick
from faults.hub_chaos import Chaos


@pytest.mark.timeout(pick(240, 1_200))
@pytest.mark.parametrize("seed", range(pick(1, 3)))
def test_nothing_is_lost_or_invented_whatever_the_hub_does(tmp_path: Path, seed: int) -> None:
    outcome = Chaos(tmp_path, pick(6.0, 60.0), seed).run()
    assert outcome.ok, outcome
    assert outcome.faults.total() >= pick(3, 30)
