"""Second law: the same batches give the same findings and alerts, whatever crashes and repetitions come in between.

The first law, about what is stored, is in test_store_histories.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from random import Random

import pytest
from builders import batch
from databases import Databases
from effort import pick
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from interruptions import Crash, crashing
from sqlalchemy import Engine
from store_findings import findings_of
from store_model import Event
from stream_log import HUB, PARTITIONS, WIDTHS, StreamBatch, stream_log

from models.spikes import RuleBook
from sql.connection import open_engine
from sql.positions import Lease, take_over
from sql.task_write import write_task
from streaming.commit import Committer

DAYS = 12
EXAMPLES = {"sqlite": pick(3, 60), "postgresql": pick(1, 30)}


class Stream:
    """Batches run one after the other, each step through `disturbed`."""

    def __init__(self, engine: Engine, disturbed: Callable[[Stream, Callable[[], object]], None]) -> None:
        self.engine = engine
        self.disturbed = disturbed
        self.lease = self.take_over()

    def take_over(self) -> Lease:
        self.lease = take_over(self.engine, HUB, 1, dict.fromkeys(PARTITIONS, 0), force=True)
        return self.lease

    def run(self, batches: Sequence[StreamBatch]) -> None:
        for one in batches:
            for partition, events in one.tasks:
                self.disturbed(self, partial(self.write, events, partition))
            self.disturbed(self, partial(self.commit, one.clock_ms))

    def write(self, events: Sequence[Event], partition: str) -> None:
        write_task(self.engine, batch(self.lease, events, partition))

    def commit(self, clock_ms: int) -> None:
        Committer(self.engine, self.lease, WIDTHS, RuleBook()).run(clock_ms)


def undisturbed(_stream: Stream, step: Callable[[], object]) -> None:
    step()


@pytest.mark.timeout(pick(240, 7_200))
@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
def test_the_same_batches_find_the_same_whatever_happens_in_between(databases: Databases, backend: str) -> None:
    @settings(
        max_examples=EXAMPLES[backend], deadline=None, phases=(Phase.generate,), suppress_health_check=list(HealthCheck)
    )
    @given(seed=st.integers(0, 2**32))
    def check(seed: int) -> None:
        batches = stream_log(seed, DAYS)
        random = Random(seed)

        def disturbed(stream: Stream, step: Callable[[], object]) -> None:
            for point in random.sample(range(130), random.choice((0, 1, 1, 3))):
                with suppress(Crash), crashing(stream.engine, point):
                    step()
                if random.random() < 0.5:
                    stream.take_over()
            step()
            if random.random() < 0.2:
                step()

        found = []
        for how in (undisturbed, disturbed):
            with databases.fresh(backend) as url:
                engine = open_engine(url)
                Stream(engine, how).run(batches)
                found.append(findings_of(engine))
                engine.dispose()
        assert found[0] == found[1]
        told.append(len(found[0]["alerts"]))

    told: list[int] = []
    check()
    assert sum(told) > 0
