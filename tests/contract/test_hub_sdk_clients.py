"""Every client that the official SDK has, on one hub: blocking and asyncio, buffered, balanced, tracked."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.eventhub import CheckpointStore, EventData, EventHubConsumerClient, EventHubProducerClient
from azure.eventhub._pyamqp.utils import generate_sas_token
from azure.eventhub.aio import EventHubConsumerClient as AsyncConsumerClient
from azure.eventhub.aio import EventHubProducerClient as AsyncProducerClient
from azure.eventhub.exceptions import EventHubError
from hub_sdk import DEADLINE_S, Reading, close_later, closed, producer, received, send

from eventhubs.hub.server import LocalHub
from eventhubs.partition_key import partition_of

HUBS = {
    "asyncio": 2,
    "buffered": 2,
    "abuffered": 2,
    "balanced": 4,
    "tracked": 1,
    "epochs": 1,
    "checkpoints": 1,
    "renewed": 1,
}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    with LocalHub(tmp_path_factory.mktemp("hub"), HUBS, consumer_groups=["workers"]) as hub, closed():
        yield hub


def test_the_asyncio_clients_send_and_receive(hub: LocalHub) -> None:
    key = next(key for key in "abcdef" if partition_of(key, 2) == 1)
    bodies: dict[str, list[str]] = {"0": [], "1": []}

    async def everything() -> tuple[dict[str, Any], list[str], dict[str, Any]]:
        sender = AsyncProducerClient.from_connection_string(hub.connection_string, eventhub_name="asyncio")
        reader = AsyncConsumerClient.from_connection_string(
            hub.connection_string, "$Default", eventhub_name="asyncio", load_balancing_interval=0.2
        )
        done = asyncio.Event()

        async def take(context: Any, event: EventData | None) -> None:
            assert event is not None
            bodies[context.partition_id].append(event.body_as_str())
            if sum(map(len, bodies.values())) == 7:
                done.set()

        async with sender, reader:
            reading = asyncio.create_task(reader.receive(take, starting_position="-1"))
            batch = await sender.create_batch(partition_id="0")
            for n in range(3):
                batch.add(EventData(f"batch {n}"))
            await sender.send_batch(batch)
            await sender.send_batch([EventData("list 0"), EventData("list 1")], partition_key=key)
            await sender.send_event(EventData("event 0"), partition_id="0")
            await sender.send_event(EventData("event 1"), partition_key=key)
            async with asyncio.timeout(DEADLINE_S):
                await done.wait()
            told = await asyncio.gather(
                sender.get_eventhub_properties(), sender.get_partition_ids(), reader.get_partition_properties("1")
            )
        await reading
        return tuple(told)  # type: ignore[return-value]  # gather forgets the types of three

    hub_told, ids, partition_told = asyncio.run(everything())
    assert bodies == {"0": ["batch 0", "batch 1", "batch 2", "event 0"], "1": ["list 0", "list 1", "event 1"]}
    assert (hub_told["eventhub_name"], hub_told["partition_ids"], ids) == ("asyncio", ["0", "1"], ["0", "1"])
    assert (partition_told["id"], partition_told["last_enqueued_sequence_number"]) == ("1", 2)


class Told:
    """What a buffered producer reports, from whatever thread."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str | None]] = []
        self.failed: list[Exception] = []

    def success(self, events: Iterable[EventData], partition: str | None) -> None:
        self.sent += [(event.body_as_str(), partition) for event in events]

    def error(self, events: Iterable[EventData], partition: str | None, error: Exception) -> None:
        self.failed.append(error)


def test_the_buffered_producer_sends_all_and_keeps_keys_together(hub: LocalHub) -> None:
    told = Told()
    client = EventHubProducerClient.from_connection_string(
        hub.connection_string,
        eventhub_name="buffered",
        buffered_mode=True,
        max_wait_time=0.5,
        max_buffer_length=100,
        on_success=told.success,
        on_error=told.error,
    )
    for n in range(250):
        client.send_event(EventData(f"{n}"), partition_key=f"k{n % 5}")
    client.send_batch([EventData("250"), EventData("251")], partition_id="1")
    client.flush()
    close_later(client.close)

    assert told.failed == []
    assert sorted(int(body) for body, _ in told.sent) == list(range(252))
    with producer(hub, "buffered") as asking:
        counts = {n: asking.get_partition_properties(n)["last_enqueued_sequence_number"] + 1 for n in ("0", "1")}
    assert sum(counts.values()) == 252
    for number, count in counts.items():
        keyed = [event for event in received(hub, "buffered", count, number) if event.partition_key is not None]
        assert all(partition_of((event.partition_key or b"").decode(), 2) == int(number) for event in keyed)


def test_the_buffered_asyncio_producer_sends_all(hub: LocalHub) -> None:
    told = Told()

    async def success(events: Iterable[EventData], partition: str | None) -> None:
        told.success(events, partition)

    async def error(events: Iterable[EventData], partition: str | None, error: Exception) -> None:
        told.error(events, partition, error)

    async def sending() -> None:
        client = AsyncProducerClient.from_connection_string(
            hub.connection_string,
            eventhub_name="abuffered",
            buffered_mode=True,
            max_wait_time=0.5,
            on_success=success,
            on_error=error,
        )
        async with client:
            for n in range(100):
                await client.send_event(EventData(f"{n}"))
            await client.flush()

    asyncio.run(sending())
    assert told.failed == []
    assert sorted(int(body) for body, _ in told.sent) == list(range(100))
    assert hub.event_counts()["abuffered"] == 100


class InMemoryStore(CheckpointStore):
    """Ownership and checkpoints, as the SDK asks for them, for clients in one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owned: dict[str, dict[str, Any]] = {}
        self.checkpoints: dict[str, dict[str, Any]] = {}

    def list_ownership(self, *names: str, **_: Any) -> list[dict[str, Any]]:
        with self._lock:
            return [dict(one) for one in self._owned.values()]

    def claim_ownership(self, ownership_list: Iterable[dict[str, Any]], **_: Any) -> list[dict[str, Any]]:
        claimed = []
        with self._lock:
            for one in ownership_list:
                current = self._owned.get(one["partition_id"])
                if current is None or current["etag"] == one.get("etag"):
                    fresh = {**one, "etag": str(uuid.uuid4()), "last_modified_time": time.time()}
                    self._owned[one["partition_id"]] = fresh
                    claimed.append(dict(fresh))
        return claimed

    def update_checkpoint(self, checkpoint: dict[str, Any], **_: Any) -> None:
        with self._lock:
            self.checkpoints[checkpoint["partition_id"]] = dict(checkpoint)

    def list_checkpoints(self, *names: str, **_: Any) -> list[dict[str, Any]]:
        with self._lock:
            return [dict(one) for one in self.checkpoints.values()]

    def owners(self) -> dict[str, str]:
        with self._lock:
            return {partition: one["owner_id"] for partition, one in self._owned.items() if one["owner_id"]}


class Worker:
    """A load-balanced consumer of all partitions that checkpoints everything it gets."""

    def __init__(self, hub: LocalHub, store: InMemoryStore, changed: threading.Condition) -> None:
        self.got: dict[str, list[str]] = {}
        self._changed = changed
        self._client = EventHubConsumerClient.from_connection_string(
            hub.connection_string,
            "workers",
            eventhub_name="balanced",
            checkpoint_store=store,
            load_balancing_interval=0.3,
            partition_ownership_expiration_interval=3,
        )
        self._thread = threading.Thread(
            target=lambda: self._client.receive_batch(self._take, starting_position="-1", max_wait_time=0.1)
        )
        self._thread.start()

    def stop(self) -> None:
        self._client.close()
        self._thread.join()

    def _take(self, context: Any, events: list[EventData]) -> None:
        with self._changed:
            self.got.setdefault(context.partition_id, []).extend(event.body_as_str() for event in events)
            context.update_checkpoint()
            self._changed.notify_all()


def test_two_consumers_share_the_partitions_and_one_takes_over_from_the_other(hub: LocalHub) -> None:
    store, changed = InMemoryStore(), threading.Condition()
    numbers = iter(range(1000))

    def publish() -> set[str]:
        for partition in range(4):
            bodies = [f"{next(numbers)}" for _ in range(10)]
            client.send_batch([EventData(body) for body in bodies], partition_id=str(partition))
            sent.update(bodies)
        return sent

    def until(done: Any) -> None:
        with changed:
            assert changed.wait_for(done, DEADLINE_S), (store.owners(), [worker.got for worker in workers])

    def everything() -> list[str]:
        return [body for worker in workers for bodies in worker.got.values() for body in bodies]

    workers = [Worker(hub, store, changed)]
    sent: set[str] = set()
    with producer(hub, "balanced") as client:
        publish()
        until(lambda: set(everything()) == sent)
        assert set(workers[0].got) == {"0", "1", "2", "3"}

        workers.append(Worker(hub, store, changed))
        # Empty batches wake the waiting, so that a change of owners is seen.
        until(lambda: sorted(Counter(store.owners().values()).values()) == [2, 2])
        publish()
        until(lambda: set(everything()) == sent and len(workers[1].got) == 2)

        close_later(workers[0].stop)
        publish()
        until(lambda: set(everything()) == sent and len(workers[1].got) == 4)
        close_later(workers[1].stop)
    assert all(int(one["sequence_number"]) == 29 for one in store.checkpoints.values())


def test_a_consumer_goes_on_behind_its_checkpoint(hub: LocalHub) -> None:
    store = InMemoryStore()
    send(hub, "checkpoints", *(f"{n}" for n in range(10)))

    def run(stop_after: str) -> list[str]:
        got: list[str] = []
        client = EventHubConsumerClient.from_connection_string(
            hub.connection_string,
            "$Default",
            eventhub_name="checkpoints",
            checkpoint_store=store,
            load_balancing_interval=0.2,
        )

        def take(context: Any, event: EventData) -> None:
            got.append(event.body_as_str())
            if got[-1] == stop_after:
                context.update_checkpoint(event)
                client.close()

        client.receive(take, starting_position="-1", prefetch=1)
        return got

    assert run("4")[:5] == ["0", "1", "2", "3", "4"]
    assert run("9") == ["5", "6", "7", "8", "9"]


def test_a_receiver_that_tracks_the_last_event_is_told_it_with_every_event(hub: LocalHub) -> None:
    send(hub, "tracked", *(f"{n}" for n in range(5)))
    with Reading(hub, "tracked", track_last_enqueued_event_properties=True) as reading:
        reading.until(lambda r: len(r.events) == 5)
        last = reading.context.last_enqueued_event_properties
        assert last["sequence_number"] == 4
        assert last["offset"] == reading.events[4].offset
        assert last["enqueued_time"] == reading.events[4].enqueued_time
        assert last["retrieval_time"] >= last["enqueued_time"]
        send(hub, "tracked", "5")
        reading.until(lambda r: len(r.events) == 6)
        assert reading.context.last_enqueued_event_properties["sequence_number"] == 5
    with Reading(hub, "tracked") as plain:
        plain.until(lambda r: len(r.events) == 6)
    assert plain.context.last_enqueued_event_properties is None


def test_a_higher_owner_level_takes_the_partition_over(hub: LocalHub) -> None:
    send(hub, "epochs", "x")
    with Reading(hub, "epochs", owner_level=1) as lower:
        lower.until(lambda r: len(r.events) == 1)
        with Reading(hub, "epochs", owner_level=2) as higher:
            higher.until(lambda r: len(r.events) == 1)
            lower.until(lambda r: bool(r.errors))
            assert higher.errors == []
            with Reading(hub, "epochs", owner_level=1) as again, Reading(hub, "epochs") as without:
                again.until(lambda r: bool(r.errors))
                without.until(lambda r: bool(r.errors))

    for reading in (lower, again, without):
        error = reading.errors[0]
        assert isinstance(error, EventHubError)
        assert "link:stolen" in str(error)


class ShortLived:
    """Signs tokens that end soon."""

    token_type = b"servicebus.windows.net:sastoken"

    def __init__(self) -> None:
        self.first_ends_at = 0

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        # The SDK renews in the last tenth, counted in whole seconds: two of them here.
        ends_at = int(time.time()) + 20
        self.first_ends_at = self.first_ends_at or ends_at
        return AccessToken(generate_sas_token(scopes[0], "local", "local", ends_at), ends_at)


class Renewing:
    """A consumer with such tokens."""

    def __init__(self, hub: LocalHub) -> None:
        self.got: list[str] = []
        self.errors: list[Exception] = []
        self.credential = ShortLived()
        self.changed = threading.Condition()
        self._client = EventHubConsumerClient(
            f"localhost:{hub.port}", "renewed", "$Default", self.credential, use_tls=False, retry_total=0
        )
        self._thread = threading.Thread(
            target=lambda: self._client.receive(
                self._take,
                partition_id="0",
                starting_position="-1",
                max_wait_time=0.1,
                on_error=lambda _, error: self.errors.append(error),
            )
        )
        self._thread.start()
        close_later(self._thread.join)

    def wait_for(self, done: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: done() or bool(self.errors), DEADLINE_S)

    def close(self) -> None:
        self._client.close()

    def _take(self, _: Any, event: EventData | None) -> None:
        with self.changed:
            if event is not None:
                self.got.append(event.body_as_str())
            self.changed.notify_all()


@pytest.fixture(scope="module", autouse=True)
def renewing(hub: LocalHub) -> Iterator[Renewing]:
    """Begun with the module's first test, because it takes as long as a token lives."""
    renewing = Renewing(hub)
    yield renewing
    renewing.close()


def test_the_sdk_renews_its_token_and_keeps_its_link(hub: LocalHub, renewing: Renewing) -> None:
    with producer(hub, "renewed") as client:
        client.send_event(EventData("before"), partition_id="0")
        renewing.wait_for(lambda: renewing.got == ["before"])
        # It is told every tenth of a second that there is nothing.
        renewing.wait_for(lambda: time.time() > renewing.credential.first_ends_at + 1)
        client.send_event(EventData("after"), partition_id="0")
        renewing.wait_for(lambda: len(renewing.got) == 2)
    assert (renewing.got, renewing.errors) == (["before", "after"], [])
