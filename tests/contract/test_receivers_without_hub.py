"""Both receivers against peers that are no hub: they end in time, with an error that says what to do."""

from __future__ import annotations

import gc
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from eventhubs.errors import EventHubsError, HubUnreachableError, ProtocolError
from eventhubs.receiver import Transport, open_receiver
from eventhubs.settings import HubConnection

TIMEOUT = 1.0
LIMIT = 15.0
"""Seconds that an answer may take at most: far above the timeout, far below for ever."""

# Our own client must close what it opened.
AMQP = pytest.param("amqp", marks=pytest.mark.filterwarnings("error:unclosed <socket.socket:ResourceWarning"))
# The SDK leaves the sockets of broken connections to the garbage collector.
SDK = pytest.param("sdk", marks=pytest.mark.filterwarnings("ignore:unclosed <socket.socket:ResourceWarning"))


def silent(client: socket.socket) -> None:
    while client.recv(65_536):
        pass


def hangs_up(client: socket.socket) -> None:
    client.recv(8)


def speaks_http(client: socket.socket) -> None:
    client.recv(8)
    client.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    silent(client)


def speaks_broken_amqp(client: socket.socket) -> None:
    client.sendall(client.recv(8))
    client.sendall(b"\x00\x00\x00\x02\x02\x01\x00\x00" * 4)
    silent(client)


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """The SDK's calls that were given up end here, and its sockets with them, not in somebody else's test.

    What the SDK left behind in tests before this one goes first, so that a socket found afterwards is this test's.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    yield
    deadline = time.monotonic() + LIMIT
    for thread in threading.enumerate():
        if thread.name.startswith("eventhubs-"):
            thread.join(max(deadline - time.monotonic(), 0.0))
            assert not thread.is_alive()
    gc.collect()


@contextmanager
def peer(behaviour: Callable[[socket.socket], None]) -> Iterator[HubConnection]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        clients: list[socket.socket] = []

        def serve(client: socket.socket) -> None:
            with client, suppress(OSError):
                behaviour(client)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    clients.append(server.accept()[0])
                    threading.Thread(target=serve, args=(clients[-1],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield connection_to(server.getsockname()[1])
        server.shutdown(socket.SHUT_RDWR)
        for client in clients:
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)


def connection_to(port: int) -> HubConnection:
    return HubConnection.from_connection_string(
        f"Endpoint=sb://127.0.0.1:{port};SharedAccessKeyName=a;SharedAccessKey=secret;UseDevelopmentEmulator=true"
    )


def failure(connection: HubConnection, transport: Transport) -> EventHubsError:
    began = time.monotonic()
    with (
        pytest.raises(EventHubsError) as failed,
        open_receiver(connection, "reports", transport=transport, receive_timeout=TIMEOUT) as receiver,
    ):
        receiver.hub_info()
    assert time.monotonic() - began < LIMIT
    assert "secret" not in str(failed.value)
    return failed.value


@pytest.mark.parametrize("transport", [AMQP, SDK])
@pytest.mark.parametrize("behaviour", [silent, hangs_up])
def test_peer_that_does_not_answer_is_unreachable(
    behaviour: Callable[[socket.socket], None], transport: Transport
) -> None:
    with peer(behaviour) as connection:
        assert isinstance(failure(connection, transport), HubUnreachableError)


@pytest.mark.parametrize("transport", [AMQP, SDK])
def test_closed_port_is_unreachable_and_named(transport: Transport) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    error = failure(connection_to(port), transport)
    assert isinstance(error, HubUnreachableError)
    assert f"127.0.0.1:{port}" in str(error)


@pytest.mark.parametrize("behaviour", [speaks_http, speaks_broken_amqp])
def test_lean_client_names_a_peer_that_is_no_hub(behaviour: Callable[[socket.socket], None]) -> None:
    with peer(behaviour) as connection:
        assert isinstance(failure(connection, "amqp"), ProtocolError)


def test_auto_falls_back_to_the_sdk_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    with (
        peer(speaks_broken_amqp) as connection,
        open_receiver(connection, "reports", receive_timeout=TIMEOUT) as receiver,
    ):
        assert type(receiver).__name__ == "SdkReceiver"
    ours = [r for r in caplog.records if r.name.startswith("eventhubs")]
    assert [r.levelname for r in ours] == ["WARNING"]


def test_auto_does_not_hide_an_unreachable_hub_behind_the_sdk() -> None:
    with peer(hangs_up) as connection:
        assert isinstance(failure(connection, "auto"), HubUnreachableError)
