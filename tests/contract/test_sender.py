"""Events arrive complete, in order, and where the service itself would put them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import stamina
from azure.eventhub import EventData, EventHubProducerClient

from eventhubs.errors import ConfigurationError, EventTooLargeError, HubNotFoundError, HubUnreachableError
from eventhubs.hub.server import LocalHub
from eventhubs.receiver import ReceivedEvent, open_receiver
from eventhubs.sender import HubSender, OutgoingEvent
from eventhubs.settings import HubConnection

TOO_LARGE = b"x" * (1024 * 1024)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[LocalHub]:
    with LocalHub(tmp_path, {"reports": 2}) as hub:
        yield hub


@pytest.fixture
def connection(hub: LocalHub) -> HubConnection:
    return HubConnection.from_connection_string(hub.connection_string)


@pytest.fixture
def sender(connection: HubConnection) -> Iterator[HubSender]:
    with HubSender(connection, "reports") as sender:
        yield sender


def stored(connection: HubConnection) -> dict[str, list[ReceivedEvent]]:
    with open_receiver(connection, "reports", transport="amqp", receive_timeout=20.0) as receiver:
        return {
            i.partition_id: [e for events in receiver.read(i.partition_id, 0, i.next_sequence) for e in events]
            for i in receiver.partition_infos(receiver.hub_info().partition_ids)
        }


def test_everything_arrives_once_with_key_and_properties(sender: HubSender, connection: HubConnection) -> None:
    sent = [OutgoingEvent(b"%d" % n, f"k{n % 7}" if n % 3 else None, {"n": str(n)}) for n in range(50)]
    assert sender.send(sent) == 50
    found = [e for events in stored(connection).values() for e in events]
    assert sorted((e.body, e.partition_key, e.properties["n"]) for e in found if e.partition_key) == sorted(
        (e.body, e.partition_key, e.properties["n"]) for e in sent if e.partition_key and e.properties
    )
    assert sorted(e.body for e in found) == sorted(e.body for e in sent)


def test_keys_go_where_the_service_puts_them(sender: HubSender, connection: HubConnection, hub: LocalHub) -> None:
    keys = [f"case-{n}" for n in range(12)]
    sender.send([OutgoingEvent(b"ours", key) for key in keys])
    with EventHubProducerClient.from_connection_string(hub.connection_string, eventhub_name="reports") as producer:
        for key in keys:
            producer.send_batch([EventData("theirs")], partition_key=key)
    for events in stored(connection).values():
        ours = {e.partition_key for e in events if e.body == b"ours"}
        assert ours == {e.partition_key for e in events if e.body == b"theirs"}


def test_events_of_one_key_keep_their_order_across_batches(sender: HubSender, connection: HubConnection) -> None:
    filler = b"." * 50_000
    sender.send([OutgoingEvent(b"%05d" % n + filler, f"k{n % 5}") for n in range(60)])
    for events in stored(connection).values():
        for key in {e.partition_key for e in events}:
            order = [e.body for e in events if e.partition_key == key]
            assert order == sorted(order)


def test_keys_share_batches_and_every_batch_is_reported(sender: HubSender) -> None:
    reported: list[int] = []
    assert sender.send((OutgoingEvent(b"", f"key-{n}") for n in range(200)), on_sent=reported.append) == 200
    assert sum(reported) == 200
    assert len(reported) <= 2


def test_full_batches_go_out_before_the_last_event_is_there(sender: HubSender) -> None:
    reported: list[int] = []

    def events() -> Iterator[OutgoingEvent]:
        for _ in range(30):
            yield OutgoingEvent(b"." * 100_000)
        assert reported, "nothing was sent while the batches filled up"

    assert sender.send(events(), on_sent=reported.append) == 30


def test_event_above_the_limit_is_refused_and_the_rest_is_sent(sender: HubSender, connection: HubConnection) -> None:
    refused: list[tuple[int, OutgoingEvent]] = []
    events = [OutgoingEvent(b"a", "k"), OutgoingEvent(TOO_LARGE, "k"), OutgoingEvent(b"b", "k")]
    assert sender.send(events, on_refused=lambda index, event: refused.append((index, event))) == 2
    assert refused == [(1, events[1])]
    assert [e.body for found in stored(connection).values() for e in found] == [b"a", b"b"]


def test_without_on_refused_everything_before_the_large_event_is_sent(
    sender: HubSender, connection: HubConnection
) -> None:
    with pytest.raises(EventTooLargeError) as failed:
        sender.send([OutgoingEvent(b"a", "k"), OutgoingEvent(b"b", "l"), OutgoingEvent(TOO_LARGE), OutgoingEvent(b"c")])
    assert (failed.value.index, failed.value.limit) == (2, 1024 * 1024)
    assert sorted(e.body for found in stored(connection).values() for e in found) == [b"a", b"b"]


def test_nothing_to_send_is_fine(sender: HubSender) -> None:
    assert sender.send([]) == 0


def test_sender_survives_a_restart_of_the_hub(tmp_path: Path) -> None:
    with LocalHub(tmp_path, {"reports": 1}) as hub:
        port, connection = hub.port, HubConnection.from_connection_string(hub.connection_string)
        sender = HubSender(connection, "reports")
        assert sender.send([OutgoingEvent(b"before", "k")]) == 1
    with LocalHub(tmp_path, {"reports": 1}, port=port), sender:
        assert sender.send([OutgoingEvent(b"after", "k")]) == 1
        assert [e.body for e in stored(connection)["0"]] == [b"before", b"after"]


def test_unknown_hub_is_not_found(connection: HubConnection) -> None:
    with HubSender(connection, "nowhere") as sender, pytest.raises(HubNotFoundError, match="nowhere"):
        sender.send([OutgoingEvent(b"a", "k")])


def test_unreachable_hub_is_a_typed_error_after_the_retries() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    connection = HubConnection.from_connection_string(
        f"Endpoint=sb://127.0.0.1:{port};SharedAccessKeyName=a;SharedAccessKey=secret;UseDevelopmentEmulator=true"
    )
    with (
        stamina.set_testing(True, attempts=2),
        HubSender(connection, "reports") as sender,
        pytest.raises(HubUnreachableError) as failed,
    ):
        sender.send([OutgoingEvent(b"a")])
    assert "secret" not in str(failed.value)
    assert f"127.0.0.1:{port}" in str(failed.value)


def test_hub_outside_the_connection_string_is_refused_before_connecting() -> None:
    connection = HubConnection.from_connection_string(
        "Endpoint=sb://a.servicebus.windows.net/;SharedAccessKeyName=a;SharedAccessKey=b;EntityPath=alerts"
    )
    with pytest.raises(ConfigurationError, match="EntityPath"):
        HubSender(connection, "reports")
