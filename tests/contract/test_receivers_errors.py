"""One suite for both transports: what the service refuses or breaks off is the same typed error with its remedy."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from eventhubs.errors import (
    EventHubsError,
    HubNotFoundError,
    HubUnreachableError,
    ReceiverDisplacedError,
    ServerBusyError,
    UnauthorizedError,
)
from eventhubs.hub.access import AccessKey, Right
from eventhubs.hub.server import LocalHub
from eventhubs.kept_receiver import KeptReceiver
from eventhubs.receiver import HubReceiver, ReceivedEvent, Transport, open_receiver
from eventhubs.sender import HubSender, OutgoingEvent
from eventhubs.settings import HubConnection

EVENTS = 80
SECRETS = {"owner": "owner-secret", "sender": "sender-secret", "listener": "listener-secret"}
CALLS = {
    "info": lambda r: r.hub_info(),
    "partitions": lambda r: r.partition_infos(["0"]),
    "time": lambda r: r.sequence_at("0", 1),
    "read": lambda r: list(r.read("0", 0, 1)),
}
Call = Callable[[HubReceiver], object]
BOTH_WAYS = pytest.mark.parametrize("call", [CALLS["info"], CALLS["read"]], ids=["info", "read"])
"""A question to the management node, and a link."""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    keys = [
        AccessKey("owner", SECRETS["owner"]),
        AccessKey("sender", SECRETS["sender"], Right.SEND),
        AccessKey("listener", SECRETS["listener"], Right.LISTEN),
    ]
    folder = tmp_path_factory.mktemp("hub")
    with LocalHub(folder, {"reports": 1, "slow": 1}, keys=keys, consumer_groups=["analysts"]) as hub:
        with HubSender(HubConnection.from_connection_string(hub.connection_string), "reports") as sender:
            # Large ones, of which not all fit into the buffers along the way.
            sender.send(OutgoingEvent(b"%06d" % n * 150_000) for n in range(EVENTS))
        yield hub


@pytest.fixture(autouse=True)
def well_again(hub: LocalHub) -> Iterator[None]:
    yield
    hub.faults.clear()


@pytest.fixture(params=["amqp", "sdk"])
def transport(request: pytest.FixtureRequest) -> Transport:
    return request.param  # type: ignore[no-any-return]  # pytest's params are untyped


def connection(hub: LocalHub, key: str = "listener") -> HubConnection:
    return HubConnection("localhost", hub.port, use_tls=False, key_name=key, key=SECRETS[key])


def opened(hub: LocalHub, transport: Transport, seconds: float = 20.0, **changes: str) -> HubReceiver:
    where = connection(hub, changes.pop("key", "listener"))
    where = replace(where, **{k: changes.pop(k) for k in ("key_name", "secret") if k in changes})
    return open_receiver(
        where,
        changes.get("name", "reports"),
        changes.get("group", "$Default"),
        transport=transport,
        receive_timeout=seconds,
    )


def refusal(receiver: HubReceiver, call: Call) -> EventHubsError:
    with receiver, pytest.raises(EventHubsError) as refused:
        call(receiver)
    assert not any(secret in str(refused.value) for secret in SECRETS.values())
    return refused.value


def numbers(lists: Iterator[list[ReceivedEvent]]) -> list[int]:
    return [event.sequence for events in lists for event in events]


@BOTH_WAYS
def test_wrong_key_is_unauthorized(hub: LocalHub, transport: Transport, call: Call) -> None:
    wrong = replace(connection(hub), key="wrong")
    error = refusal(open_receiver(wrong, "reports", transport=transport, receive_timeout=20.0), call)
    assert type(error) is UnauthorizedError
    assert "Check the key" in str(error)
    assert f"hub reports at localhost:{hub.port}" in str(error)


def test_unknown_policy_is_unauthorized(hub: LocalHub, transport: Transport) -> None:
    wrong = replace(connection(hub), key_name="nobody")
    error = refusal(open_receiver(wrong, "reports", transport=transport, receive_timeout=20.0), CALLS["info"])
    assert type(error) is UnauthorizedError


@pytest.mark.parametrize("call", [CALLS["time"], CALLS["read"]], ids=["time", "read"])
def test_key_without_the_right_to_listen_is_unauthorized(hub: LocalHub, transport: Transport, call: Call) -> None:
    receiver = opened(hub, transport, key="sender")
    assert receiver.hub_info().name == "reports"
    error = refusal(receiver, call)
    assert type(error) is UnauthorizedError
    assert "Listen" in str(error)


@BOTH_WAYS
def test_missing_hub_is_not_found(hub: LocalHub, transport: Transport, call: Call) -> None:
    error = refusal(opened(hub, transport, name="nowhere"), call)
    assert type(error) is HubNotFoundError
    assert "hub nowhere at" in str(error)


@pytest.mark.parametrize("call", [CALLS["time"], CALLS["read"]], ids=["time", "read"])
def test_missing_consumer_group_is_not_found(hub: LocalHub, transport: Transport, call: Call) -> None:
    error = refusal(opened(hub, transport, group="nobody"), call)
    assert type(error) is HubNotFoundError
    assert "consumer group" in str(error)


def test_consumer_group_that_there_is_is_read(hub: LocalHub, transport: Transport) -> None:
    with opened(hub, transport, group="analysts") as receiver:
        assert numbers(receiver.read("0", 3, 2)) == [3, 4]


@BOTH_WAYS
def test_busy_service_is_busy_and_says_when_to_come_again(hub: LocalHub, transport: Transport, call: Call) -> None:
    receiver = opened(hub, transport)
    hub.faults.throttle()
    error = refusal(receiver, call)
    assert isinstance(error, ServerBusyError)
    assert error.retry_after > 0


def test_busy_service_is_waited_for(hub: LocalHub, transport: Transport) -> None:
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        hub.faults.clear()

    with KeptReceiver(lambda: opened(hub, transport), 20.0, sleep=wait) as receiver:
        for call in CALLS.values():
            hub.faults.throttle()
            call(receiver)
    assert len(waits) == len(CALLS)
    assert all(seconds >= 4.0 for seconds in waits)


@BOTH_WAYS
def test_hub_that_lets_nobody_in_is_unreachable(hub: LocalHub, transport: Transport, call: Call) -> None:
    hub.faults.refuse_connections()
    error = refusal(opened(hub, transport, 5.0), call)
    assert isinstance(error, HubUnreachableError)


@BOTH_WAYS
def test_answer_that_comes_too_late_is_unreachable(hub: LocalHub, transport: Transport, call: Call) -> None:
    hub.faults.delay_answers(30.0)
    error = refusal(opened(hub, transport, 1.0), call)
    assert isinstance(error, HubUnreachableError)


BREAKS = {
    "connections are dropped": lambda hub: hub.faults.drop_connections(),
    "links are closed": lambda hub: hub.faults.close_links(),
    "tokens expire": lambda hub: hub.faults.expire_tokens(),
}


@pytest.mark.parametrize("happens", BREAKS.values(), ids=BREAKS)
def test_what_breaks_a_read_off_is_transient_and_the_kept_receiver_goes_on(
    hub: LocalHub, transport: Transport, happens: Callable[[LocalHub], int]
) -> None:
    openings = itertools.count()
    with KeptReceiver(lambda: (next(openings), opened(hub, transport))[1], 60.0) as receiver:
        reading = receiver.read("0", 0, EVENTS)
        found = numbers(iter([next(reading)]))
        assert len(found) < EVENTS
        assert happens(hub) > 0
        assert [*found, *numbers(reading)] == list(range(EVENTS))
        assert next(openings) == 2


@pytest.mark.parametrize("happens", BREAKS.values(), ids=BREAKS)
def test_what_breaks_between_two_calls_is_mended(
    hub: LocalHub, transport: Transport, happens: Callable[[LocalHub], int]
) -> None:
    with KeptReceiver(lambda: opened(hub, transport), 60.0) as receiver:
        before = receiver.hub_info()
        for call in CALLS.values():
            happens(hub)
            call(receiver)
        assert receiver.hub_info() == before


def test_link_that_the_service_gives_to_another_is_displaced(hub: LocalHub, transport: Transport) -> None:
    with opened(hub, transport, name="slow") as receiver:
        reading = receiver.read("0", 0, 1)
        stolen = threading.Timer(0.5, lambda: close_until(hub, reading_ended))
        reading_ended = threading.Event()
        stolen.start()
        try:
            with pytest.raises(ReceiverDisplacedError):
                next(reading)
        finally:
            reading_ended.set()
            stolen.join()


def close_until(hub: LocalHub, ended: threading.Event) -> None:
    """Take links away as soon as there are any."""
    while not ended.wait(0.05):
        hub.faults.close_links("amqp:link:stolen", "another receiver took the partition", hub="slow")
