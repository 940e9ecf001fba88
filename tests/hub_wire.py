"""A client of the hub's `Connection`, byte by byte and without a socket, at a time that the test decides."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from eventhubs import amqp
from eventhubs.amqp import (
    AMQP_HEADER,
    SASL_HEADER,
    Attach,
    Begin,
    Detach,
    Flow,
    FrameReader,
    Open,
    Performative,
    SaslInit,
    Symbol,
    Transfer,
    encode_frame,
    encode_message,
    encode_transfers,
    read_message,
)
from eventhubs.hub.access import LOCAL_KEY, AccessKey, Keys
from eventhubs.hub.connection import Connection
from eventhubs.hub.faults import Faults
from eventhubs.hub.service import Service
from eventhubs.hub.store import Keeping, open_hubs
from eventhubs.settings import HubConnection

__all__ = ["NOW_S", "PARTITION", "RECEIVER", "Client", "Clock", "serving", "token"]

P = TypeVar("P")
NOW_S = 1_700_000_000.0
PARTITION = "amqps://h/reports/Partitions/1"
RECEIVER = "amqps://h/reports/ConsumerGroups/$Default/Partitions/1"


def token(resource: str = "sb://h/reports", *, key: str = "local", name: str = "local", lasting: int = 60) -> str:
    """A token as our own clients sign it."""
    return HubConnection("h", key_name=name, key=key).shared_access_token(resource, int(NOW_S) + lasting)


class Clock:
    def __init__(self, now: float = 100.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Client:
    """A client of the connection under test, byte by byte."""

    def __init__(self, service: Service, *, authorised: bool = True) -> None:
        self.clock = Clock()
        self.wall = Clock(NOW_S)
        self.server = Connection(service, now_s=self.wall, monotonic=self.clock, wake=self._wake)
        self.woken = False
        self.reader = FrameReader(1024 * 1024)
        self.frames: list[amqp.Frame] = []
        self.deliveries = 0
        self.open = Open("client", "h", 4096, 10)
        self.authorised = authorised

    def connect(self) -> Client:
        self.server.receive(SASL_HEADER + encode_frame(0, SaslInit("ANONYMOUS"), sasl=True) + AMQP_HEADER)
        self.server.receive(encode_frame(0, self.open) + encode_frame(0, Begin(None, 0, 1000, 1000)))
        self.reader.feed(self.server.take_output())
        assert self.reader.next_header() == SASL_HEADER
        assert self.reader.next() is not None
        assert self.reader.next() is not None
        assert self.reader.next_header() == AMQP_HEADER
        self._read()
        if self.authorised:
            assert self.put_token(token())["status-code"] == 202
        return self

    def renew(self, *, lasting: int) -> None:
        """Put a token that lasts so long from now on."""
        lasting += int(self.wall.now - NOW_S)
        assert self.put_token(token(lasting=lasting))["status-code"] == 202

    def send(self, *performatives: Performative) -> None:
        self.server.receive(b"".join(encode_frame(0, performative) for performative in performatives))
        self._read()

    def transfer(self, handle: int, message: bytes, **options: Any) -> None:
        out: list[Any] = []
        encode_transfers(out, 0, handle, self.deliveries, message, max_frame_size=65536, **options)
        self.deliveries += 1
        self.server.receive(b"".join(out))
        self._read()

    def _read(self) -> None:
        self.woken = False
        for _ in range(1000):
            self.reader.feed(self.server.take_output())
            while (frame := self.reader.next()) is not None:
                self.frames.append(frame)
            if not self.server.run():
                break
        self.reader.feed(self.server.take_output())
        while (frame := self.reader.next()) is not None:
            self.frames.append(frame)

    def _wake(self) -> None:
        self.woken = True

    def woken_up(self) -> None:
        """Do what the server does when a connection asks for it."""
        assert self.woken
        self._read()

    def last(self, kind: type[P]) -> P:
        return self.all(kind)[-1]

    def all(self, kind: type[P]) -> list[P]:
        return [frame.performative for frame in self.frames if isinstance(frame.performative, kind)]

    def events(self, handle: int) -> list[tuple[int, bytes]]:
        """Sequence number and body of what was delivered on a link."""
        found, parts = [], []
        for frame in self.frames:
            transfer = frame.performative
            if isinstance(transfer, Transfer) and transfer.handle == handle:
                parts.append(frame.payload)
                if not transfer.more:
                    message = read_message(b"".join(parts))
                    found.append((message.annotations["x-opt-sequence-number"], bytes(message.data[0])))
                    parts = []
        return found

    def request(self, node: str, message: bytes) -> amqp.Message:
        self.send(Attach("in", 90, False, 0, 0, amqp.source("me"), amqp.target(node), initial_delivery_count=0))
        self.send(Attach("out", 91, True, 0, 0, amqp.source(node), amqp.target("me")))
        self.send(Flow(0, 1000, 0, 1000, 91, 0, 10))
        self.transfer(90, message)
        reply = next(f for f in reversed(self.frames) if isinstance(f.performative, Transfer))
        self.send(Detach(90, True), Detach(91, True))
        return read_message(reply.payload)

    def put_token(self, text: Any, name: Any = "sb://h/reports", **changes: Any) -> dict[str, Any]:
        properties = {
            "operation": "put-token",
            "type": "servicebus.windows.net:sastoken",
            "name": name,
            **changes,
        }
        message = encode_message(properties=(uuid.uuid4(),), application_properties=properties, value=text)
        return self.request("$cbs", message).application_properties

    def sender(self, handle: int = 1, address: str = PARTITION) -> None:
        self.send(
            Attach(f"s{handle}", handle, False, 0, 0, amqp.source("me"), amqp.target(address), initial_delivery_count=0)
        )

    def receiver(
        self, handle: int, address: str = RECEIVER, start: str = "x-opt-offset > '-1'", epoch: int | None = None
    ) -> None:
        source = amqp.source(address, amqp.selector_filter(f"amqp.annotation.{start}"))
        properties = {Symbol("com.microsoft:epoch"): epoch} if epoch is not None else None
        self.send(Attach(f"r{handle}", handle, True, 0, 0, source, amqp.target("me"), properties=properties))

    def credit(self, handle: int, credit: int, count: int = 0, **options: Any) -> None:
        self.send(Flow(0, 1000, 0, 1000, handle, count, credit, **options))

    def publish(self, *bodies: bytes, handle: int = 1) -> None:
        for body in bodies:
            self.transfer(handle, encode_message(data=[body]))

    def manage(self, **asked: Any) -> amqp.Message:
        properties = {
            "operation": "READ",
            "type": "com.microsoft:eventhub",
            "name": "reports",
            "security_token": token(),
            **asked,
        }
        return self.request("$management", encode_message(properties=("1",), application_properties=properties))


@contextmanager
def serving(
    folder: Path, *, keys: tuple[AccessKey, ...] = (LOCAL_KEY,), groups: tuple[str, ...] = (), retention_ms: int = 0
) -> Iterator[Service]:
    """The hubs `reports` (2 partitions) and `other` (1), served to nobody yet."""
    keeping = Keeping(retention_ms=retention_ms or None)
    hubs = open_hubs(folder, {"reports": 2, "other": 1}, keeping, now_ms=lambda: 5000)
    yield Service(hubs, lambda: int(NOW_S * 1000), Keys(keys), groups, Faults(lambda act: 0))
    for hub in hubs.values():
        hub.close()
