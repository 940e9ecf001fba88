"""Both transports on a network that fails: cut connections, silence, tokens that end. Nothing is lost or doubled."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

import pytest

from eventhubs.errors import HubUnreachableError
from eventhubs.hub.server import LocalHub
from eventhubs.kept_receiver import KeptReceiver
from eventhubs.receiver import ReceivedEvent, Transport, open_receiver
from eventhubs.sender import HubSender, OutgoingEvent
from eventhubs.settings import HubConnection

EVENTS = 80
BOTH = pytest.mark.parametrize("transport", ["amqp", "sdk"])


class Line:
    """The network between client and hub: passes everything on, until told otherwise."""

    def __init__(self, port: int) -> None:
        self._behind = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self._ends: list[socket.socket] = []
        self._flowing = threading.Event()
        self._flowing.set()
        self.connections = 0
        self.tokens = threading.Semaphore(0)
        """Released for every token that a client puts."""
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._server.getsockname()[1])

    def cut(self) -> None:
        """Close what is connected now, as a load balancer does with idle connections."""
        ends, self._ends = self._ends, []
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def freeze(self) -> None:
        """Let what is connected now never hear anything again, without a word; new connections work."""
        self._flowing.clear()
        self._flowing = threading.Event()
        self._flowing.set()

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.cut()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client = self._server.accept()[0]
                behind = socket.create_connection(("127.0.0.1", self._behind))
                self.connections += 1
                self._ends += [client, behind]
                for source, sink in ((client, behind), (behind, client)):
                    threading.Thread(target=self._pass_on, args=(source, sink, self._flowing), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, flowing: threading.Event) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                if flowing.is_set():
                    sink.sendall(data)
                for _ in range(data.count(b"put-token")):
                    self.tokens.release()
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    with LocalHub(tmp_path_factory.mktemp("hub"), {"reports": 1, "slow": 1}) as hub:
        with HubSender(HubConnection.from_connection_string(hub.connection_string), "reports") as sender:
            # Large ones, of which not all fit into the buffers along the way.
            sender.send(OutgoingEvent(b"%06d" % n * 150_000) for n in range(EVENTS))
        yield hub


@pytest.fixture
def line(hub: LocalHub) -> Iterator[Line]:
    line = Line(hub.port)
    yield line
    with suppress(OSError):  # a test may have closed it
        line.close()


def kept(line: Line, transport: Transport, seconds: float = 30.0) -> KeptReceiver:
    connection = HubConnection("127.0.0.1", line.port, use_tls=False, key_name="local", key="local")
    return KeptReceiver(
        lambda: open_receiver(connection, "reports", transport=transport, receive_timeout=seconds), seconds
    )


def numbers(lists: Iterator[list[ReceivedEvent]]) -> list[int]:
    return [e.sequence for events in lists for e in events]


@BOTH
def test_connection_cut_while_idle_is_opened_again(line: Line, transport: Transport) -> None:
    with kept(line, transport) as receiver:
        before = receiver.hub_info()
        line.cut()
        assert receiver.hub_info() == before
        line.cut()
        assert receiver.partition_infos(["0"])[0].next_sequence == EVENTS
        line.cut()
        assert numbers(receiver.read("0", 7, 2)) == [7, 8]


@BOTH
def test_connection_cut_while_reading_is_opened_again_where_it_was(line: Line, transport: Transport) -> None:
    with kept(line, transport) as receiver:
        reading = receiver.read("0", 0, EVENTS)
        found = numbers(iter([next(reading)]))
        line.cut()
        assert [*found, *numbers(reading)] == list(range(EVENTS))
        assert line.connections > 1


def test_connection_that_has_died_without_a_word_is_replaced(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eventhubs.receiver_amqp._SILENCE", 0.3)
    monkeypatch.setattr("eventhubs.receiver_amqp._PROMPT", 1.0)
    with kept(line, "amqp") as receiver:
        before = receiver.hub_info()
        line.freeze()
        assert receiver.hub_info() == before
        reading = receiver.read("0", 0, EVENTS)
        found = numbers(iter([next(reading)]))
        line.freeze()
        assert [*found, *numbers(reading)] == list(range(EVENTS))


@BOTH
def test_network_that_stays_away_is_given_up(line: Line, transport: Transport) -> None:
    port = line.port
    with kept(line, transport, 2.0) as receiver:
        receiver.hub_info()
        line.close()
        with pytest.raises(HubUnreachableError, match=f"127.0.0.1:{port}"):
            receiver.hub_info()


class Found(NamedTuple):
    token: str
    expires_on: int


class ShortLived:
    """Azure's interface of a credential; its tokens are good for seconds."""

    def __init__(self, life: int) -> None:
        self._life = life
        self.given = 0

    def get_token(self, *scopes: str, **_: object) -> Found:
        assert scopes == ("https://eventhubs.azure.net//.default",)
        self.given += 1
        return Found(f"header.payload{self.given}.signature", int(time.time()) + self._life)


def sends_late(hub: LocalHub, line: Line, tokens: int) -> threading.Thread:
    """Sends one event when so many tokens have been put on the line."""

    def send() -> None:
        for _ in range(tokens):
            assert line.tokens.acquire(timeout=120)
        with HubSender(HubConnection.from_connection_string(hub.connection_string), "slow") as sender:
            sender.send([OutgoingEvent(b"late")])

    thread = threading.Thread(target=send)
    thread.start()
    return thread


TOKENS = 6
"""Two for the hub and the consumer group, and twice renewed, each time after three quarters of the first one's life."""


@pytest.mark.parametrize("signed", ["with a key", "through Entra ID"])
def test_token_is_renewed_while_a_read_waits_so_that_the_hub_never_ends_it(
    hub: LocalHub, line: Line, monkeypatch: pytest.MonkeyPatch, signed: str
) -> None:
    """The hub checks the end of tokens that a key has signed, and closes the links of one that was not replaced."""
    monkeypatch.setattr("eventhubs.credential._KEY_TOKEN_LIFE", 4)
    credential = ShortLived(4)
    connection = HubConnection("127.0.0.1", line.port, use_tls=False)
    if signed == "with a key":
        connection = replace(connection, key_name="local", key="local")
    sending = sends_late(hub, line, TOKENS)
    with open_receiver(connection, "slow", transport="amqp", receive_timeout=120.0, credential=credential) as receiver:
        first = receiver.partition_infos(["0"])[0].next_sequence
        [late] = [event for events in receiver.read("0", first, 1) for event in events]
    sending.join()
    assert late.body == b"late"
    assert line.connections == 1
    assert credential.given >= TOKENS or signed == "with a key"


@BOTH
def test_entra_token_that_the_hub_ends_is_asked_for_again(hub: LocalHub, transport: Transport) -> None:
    credential = ShortLived(3_600)
    connection = HubConnection("localhost", hub.port, use_tls=False)
    with KeptReceiver(
        lambda: open_receiver(connection, "reports", transport=transport, receive_timeout=30.0, credential=credential),
        60.0,
    ) as receiver:
        reading = receiver.read("0", 0, EVENTS)
        found = numbers(iter([next(reading)]))
        before = credential.given
        assert hub.faults.expire_tokens() > 0
        assert [*found, *numbers(reading)] == list(range(EVENTS))
        assert credential.given > before
