"""A deterministic stream for tests of the whole store: quiet days, spikes, late and repeated and broken reports."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from builders import T0, accepted, refused, report
from store_model import Event

from sql.positions import Source
from sql.staging import Accepted

__all__ = ["DAY", "HUB", "PARTITIONS", "WIDTHS", "StreamBatch", "events_of", "stream_log"]

DAY = 86_400_000
WIDTHS = (DAY, 7 * DAY)
HUB = "test/reports"
PARTITIONS = ("0", "1", "2")
QUIET_DAYS = 8
_PAIRS = [("IBUPROFEN", "NAUSEA"), ("IBUPROFEN", "RASH"), ("ASPIRIN", "NAUSEA"), ("ASPIRIN", "FEVER")]


@dataclass(frozen=True)
class StreamBatch:
    """One batch: ranges of partitions in the order in which they are written, and the clock of its commit."""

    tasks: tuple[tuple[str, Sequence[Event]], ...]
    clock_ms: int


def stream_log(seed: int, days: int) -> list[StreamBatch]:
    """Batches of about a day each. The first spike is on day 9, so `days` should be more than that."""
    random = Random(seed)
    log: dict[str, list[Event]] = {partition: [] for partition in PARTITIONS}
    batches = []
    for day in range(days):
        stored = {partition: len(events) for partition, events in log.items()}
        for i, pair in enumerate(_pairs_of(day, random)):
            _add(random.choice(list(log.values())), day, i, pair, random, log)
        tasks: list[tuple[str, Sequence[Event]]] = []
        for partition, events in log.items():
            fresh = events[stored[partition] :]
            cut = random.randrange(1, 2 * len(fresh) + 1) if fresh else 0
            tasks += [(partition, part) for part in (fresh[:cut], fresh[cut:]) if part]
        batches.append(StreamBatch(tuple(tasks), T0 + (day + 1) * DAY + random.choice((-DAY // 2, 0, DAY // 8))))
    return [*batches, *(StreamBatch((), T0 + (days + n) * 7 * DAY) for n in range(2))]


def events_of(batches: Sequence[StreamBatch], generation: int = 1) -> Mapping[Source, list[Event]]:
    """The whole log by partition."""
    log: dict[Source, list[Event]] = {Source(HUB, generation, partition): [] for partition in PARTITIONS}
    for batch in batches:
        for partition, events in batch.tasks:
            log[Source(HUB, generation, partition)] += events
    return log


def _pairs_of(day: int, random: Random) -> list[tuple[str, str]]:
    extra = 24 if day == QUIET_DAYS else random.choice((0, 0, 14)) if day > QUIET_DAYS else 0
    return _PAIRS * 2 + [random.choice(_PAIRS)] * extra


def _add(
    events: list[Event],
    day: int,
    number: int,
    pair: tuple[str, str],
    random: Random,
    log: Mapping[str, Sequence[Event]],
) -> None:
    sequence, at = len(events), T0 + day * DAY + random.randrange(DAY)
    known = [event for other in log.values() for event in other if isinstance(event, Accepted)]
    chance = random.random()
    if chance < 0.03:
        events.append(refused(sequence, b"{broken"))
    elif known and chance < 0.15:  # the same again, the same with other content, or a new version, maybe an earlier day
        again = random.choice(known)
        of = again.report
        if chance > 0.06:
            of = report(of.safetyreportid, random.randrange(1, 3), [pair], content=random.choice(("", "other")))
        events.append(dataclasses.replace(accepted(sequence, of, at - random.randrange(3) * DAY), level=None))
    elif chance < 0.16:
        events.append(Accepted(sequence, at, at, b"{}", report(f"{day}/{number}"), 0.93, 2, ("age_years",)))
    else:
        events.append(accepted(sequence, report(f"{day}/{number}", pairs=[pair]), at))
