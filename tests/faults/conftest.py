from __future__ import annotations

from collections.abc import Iterator

import pytest
from databases import Databases
from faults.nursery import Nursery
from faults.nursery import nursery as open_nursery


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    made = Databases()
    yield made
    made.close()


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    with open_nursery() as made:
        yield made
