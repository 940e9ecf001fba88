"""Making and sending reports: the generator through the hub's sender, against the SDK's raw send of finished bodies.

The hub runs in a process of its own; generator and sender share one, whose CPU seconds say what one core would take.
"""

from __future__ import annotations

import datetime as dt
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from azure.eventhub import EventData, EventHubProducerClient

from eventhubs.hub.server import LocalHub
from eventhubs.sender import HubSender
from eventhubs.settings import HubConnection
from generator.population import Population
from generator.reports import ReportFactory
from generator.send import send_stream
from generator.stream import stream
from generator.traps.catalogue import parse_traps
from generator.truth import GeneratedReport

START = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
COUNT, ROUNDS, SDK_BATCH = 20_000, 3, 500


def made(*, traps: bool = False, openfda: bool = False) -> Iterator[GeneratedReport]:
    """The reports of a round, made as they are taken."""
    factory = ReportFactory(Population(), 1, openfda=openfda)
    return stream(factory, rate=50.0, count=COUNT, started_at=START, traps=parse_traps(["all"] if traps else []))


def raw_send(producer: EventHubProducerClient, bodies: list[bytes]) -> None:
    """What the SDK does and nothing else."""
    for first in range(0, len(bodies), SDK_BATCH):
        batch = producer.create_batch()
        for body in bodies[first : first + SDK_BATCH]:
            try:
                batch.add(EventData(body))
            except ValueError:  # full
                producer.send_batch(batch)
                batch = producer.create_batch()
                batch.add(EventData(body))
        producer.send_batch(batch)


def measured(work: Callable[[], object]) -> tuple[float, float]:
    """Reports per second of the clock and per CPU second, the best of the rounds."""
    taken = []
    for _ in range(ROUNDS):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        taken.append((time.perf_counter() - wall, time.process_time() - cpu))
    walls, cpus = zip(*taken, strict=True)
    return COUNT / min(walls), COUNT / min(cpus)


def _serve(told: Connection) -> None:
    with tempfile.TemporaryDirectory() as folder, LocalHub(Path(folder), {"reports": 4}) as hub:
        told.send(hub.connection_string)
        told.recv()


@contextmanager
def hub_elsewhere() -> Iterator[str]:
    """Connection string of a hub in another process."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs,))
    process.start()
    try:
        yield ours.recv()
    finally:
        ours.send("stop")
        process.join()


def main() -> None:
    """Print one line per measure, and the ratio to the raw send."""
    bodies = [report.body for report in made()]
    size = sum(map(len, bodies)) / len(bodies)
    print(f"{COUNT:,} reports of {size:,.0f} bytes on average; best of {ROUNDS}")
    with hub_elsewhere() as connection_string:
        with EventHubProducerClient.from_connection_string(connection_string, eventhub_name="reports") as producer:
            raw = measured(lambda: raw_send(producer, bodies))
        with HubSender(HubConnection.from_connection_string(connection_string), "reports") as sender:
            lines = [
                ("SDK, raw send of finished bodies", raw),
                ("made and sent", measured(lambda: send_stream(made(), sender))),
                ("the same with every trap", measured(lambda: send_stream(made(traps=True), sender))),
                ("made only", measured(lambda: sum(1 for _ in made()))),
                ("made only, every trap", measured(lambda: sum(1 for _ in made(traps=True)))),
                ("made only, with openfda blocks", measured(lambda: sum(1 for _ in made(openfda=True)))),
            ]
    for name, (wall, cpu) in lines:
        print(f"{name:34} {wall:7,.0f}/s   {cpu:7,.0f} per CPU second   {wall / raw[0]:5.2f} of the raw send")


if __name__ == "__main__":
    main()
