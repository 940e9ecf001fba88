"""Our own client against servers that mean it no good: a typed error within its deadline, never more.

Once with a real hub whose output is changed on its way, and once with an impostor that plays a hub well enough to
be believed until its moment comes.
"""

from __future__ import annotations

import itertools
import resource
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from effort import pick
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventhubs import amqp
from eventhubs.amqp import Array, Described, Raw, Symbol, Timestamp
from eventhubs.errors import EventHubsError, HubUnreachableError, ProtocolError, UnauthorizedError
from eventhubs.hub.access import AccessKey
from eventhubs.hub.server import LocalHub
from eventhubs.receiver import ReceivedEvent
from eventhubs.receiver_amqp import AmqpReceiver
from eventhubs.sender import HubSender, OutgoingEvent
from eventhubs.settings import HubConnection

TIMEOUT = 0.5
LIMIT = 60.0
"""Seconds after which a call hangs for certain: far above the timeout, as this machine may be busy."""
MEMORY = 256 * 1024
"""KiB by which this process may grow, whatever it is sent."""

EVERYTHING_CLOSED = pytest.mark.filterwarnings("error:unclosed <socket.socket:ResourceWarning")
pytestmark = EVERYTHING_CLOSED


@pytest.fixture(autouse=True, scope="module")
def memory_stays_bounded() -> Iterator[None]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY


def connection_to(port: int) -> HubConnection:
    return HubConnection("127.0.0.1", port, use_tls=False, key_name="a", key="secret")


def session(connection: HubConnection) -> list[ReceivedEvent]:
    """All that a receiver does: ask about the hub and its partitions, find a time, read."""
    with AmqpReceiver(connection, "reports", "$Default", TIMEOUT) as receiver:
        receiver.hub_info()
        receiver.partition_infos(["0", "1"])
        first = receiver.sequence_at("0", 1)
        return [event for events in receiver.read("0", first, 3) for event in events]


def outcome(connection: HubConnection) -> list[ReceivedEvent] | EventHubsError:
    """What came of it, which has to be something."""
    box: list[Any] = []

    def run() -> None:
        try:
            box.append(session(connection))
        except EventHubsError as error:
            box.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(LIMIT)
    assert not thread.is_alive(), "the client hangs"
    assert box, "the client crashed"
    assert "secret" not in str(box[0])
    return box[0]  # type: ignore[no-any-return]  # one of the two


@contextmanager
def listening(behaviour: Callable[[socket.socket], None]) -> Iterator[HubConnection]:
    """A server that has every client treated by `behaviour`."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        clients: list[socket.socket] = []

        def serve(client: socket.socket) -> None:
            with client, suppress(OSError, amqp.ProtocolError):
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


# A real hub whose words are twisted.


@dataclass(frozen=True)
class Twist:
    """One change to the bytes that a hub sends: at `at`, `cut` bytes make way for `put`."""

    at: int
    cut: int
    put: bytes


@dataclass
class Twister:
    """Lets bytes through, changed at the places that the twists name; counts what came."""

    twists: list[Twist]
    seen: int = 0
    cutting: int = 0

    def through(self, data: bytes) -> bytes:
        out = bytearray()
        for byte in data:
            for twist in self.twists:
                if twist.at == self.seen:
                    out += twist.put
                    self.cutting = max(self.cutting, twist.cut)
            if self.cutting:
                self.cutting -= 1
            else:
                out.append(byte)
            self.seen += 1
        return bytes(out)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    with LocalHub(tmp_path_factory.mktemp("hub"), {"reports": 2}, keys=[AccessKey("a", "secret")]) as hub:
        with HubSender(HubConnection.from_connection_string(hub.connection_string), "reports") as sender:
            sender.send(OutgoingEvent(b"body %d" % n, properties={"n": str(n)}) for n in range(8))
        yield hub


def between(hub: LocalHub, twister: Twister) -> Callable[[socket.socket], None]:
    """Passes everything on, and what the hub says through the twister."""

    def behaviour(client: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", hub.port)) as behind:
            back = threading.Thread(target=copied, args=(client, behind), daemon=True)
            back.start()
            with suppress(OSError):
                while data := behind.recv(65_536):
                    client.sendall(twister.through(data))
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
            back.join()

    return behaviour


def copied(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def length(hub: LocalHub) -> int:
    """Bytes a hub sends in a session that nobody disturbs."""
    twister = Twister([])
    with listening(between(hub, twister)) as connection:
        events = outcome(connection)
    assert not isinstance(events, EventHubsError)
    assert [event.sequence for event in events] == [0, 1, 2]
    return twister.seen


SIZES = st.sampled_from([0, 1, 7, 8, 0x7F, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF])
PUTS = (
    st.binary(max_size=9)
    | SIZES.map(lambda n: struct.pack(">I", n))
    | st.sampled_from([b"\x40", b"\x45", b"\x00\x53\x14", b"\xd0\xff\xff\xff\xff", b"\x00" * 600, amqp.EMPTY_FRAME])
)


@settings(max_examples=pick(40, 3_000), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_genuine_output_with_changed_bytes_ends_in_events_or_a_typed_error(
    hub: LocalHub, length: int, data: st.DataObject
) -> None:
    twists = data.draw(
        st.lists(
            st.builds(Twist, st.integers(0, length - 1), st.sampled_from([0, 1, 4, 40]), PUTS), min_size=1, max_size=3
        )
    )
    with listening(between(hub, Twister(twists))) as connection:
        outcome(connection)


# An impostor.

HUB = {
    "name": "reports",
    "created_at": Timestamp(1_700_000_000_000),
    "partition_ids": Array(("0", "1")),
}
PARTITION = {
    "partition": "0",
    "begin_sequence_number": 0,
    "last_enqueued_sequence_number": 9,
    "last_enqueued_offset": "9",
    "last_enqueued_time_utc": Timestamp(1_700_000_000_000),
    "is_partition_empty": False,
}


def event(sequence: Any = 0, **changes: Any) -> bytes:
    annotations = {
        "x-opt-sequence-number": sequence,
        "x-opt-offset": "0",
        "x-opt-enqueued-time": Timestamp(1_700_000_000_000),
        **{name.replace("_", "-"): value for name, value in changes.items()},
    }
    return amqp.encode_message(annotations=annotations, data=[b"body"])


@dataclass
class Impostor:
    """Plays a hub towards one client. What it does at each step can be replaced."""

    opening: amqp.Open = field(default_factory=lambda: amqp.Open("impostor", None, 65_536, 255, 60_000))
    begun: Callable[[Impostor], None] | None = None
    status: Any = 200
    hub: Any = field(default_factory=lambda: dict(HUB))
    partition: Any = field(default_factory=lambda: dict(PARTITION))
    correlated: bool = True
    answers: int = 1
    events: Callable[[Impostor, int, int], None] | None = None
    """Called with channel and handle of the link that events are wanted on; instead of ten sound events."""
    client: Any = None

    def serve(self, client: socket.socket) -> None:
        self.client, reader = client, amqp.FrameReader(1 << 20)
        self.header(reader, amqp.SASL_HEADER)
        mechanisms = Array(("ANONYMOUS",), symbols=True)
        client.sendall(amqp.encode_frame(0, amqp.SaslMechanisms(mechanisms), sasl=True))
        self.frame(reader)
        client.sendall(amqp.encode_frame(0, amqp.SaslOutcome(0), sasl=True))
        self.header(reader, amqp.AMQP_HEADER)
        while True:
            self.react(self.frame(reader))

    def header(self, reader: amqp.FrameReader, expected: bytes) -> None:
        while (found := reader.next_header()) is None:
            reader.feed(self.more())
        assert found == expected
        self.client.sendall(expected)

    def frame(self, reader: amqp.FrameReader) -> amqp.Frame:
        while (frame := reader.next()) is None:
            reader.feed(self.more())
        return frame

    def more(self) -> bytes:
        data: bytes = self.client.recv(65_536)
        if not data:
            raise ConnectionResetError
        return data

    def send(self, channel: int, *performatives: amqp.Performative, payload: bytes = b"") -> None:
        self.client.sendall(b"".join(amqp.encode_frame(channel, p, payload) for p in performatives))

    def deliver(self, channel: int, handle: int, message: bytes) -> None:
        self.send(channel, amqp.Transfer(handle, 0, b"t", 0, True, False), payload=message)

    def react(self, frame: amqp.Frame) -> None:
        channel = frame.channel
        match frame.performative:
            case amqp.Open():
                self.send(0, self.opening)
            case amqp.Begin():
                self.send(channel, amqp.Begin(channel, 0, 5_000, 5_000, 255))
                if self.begun is not None:
                    self.begun(self)
            case amqp.Attach() as attach:
                echo = attach._replace(role=not attach.role, source=attach.raw_source, target=attach.raw_target)
                self.send(channel, echo._replace(initial_delivery_count=0))
                if not attach.role:
                    self.send(channel, amqp.Flow(0, 5_000, 0, 5_000, attach.handle, 0, 100))
            case amqp.Flow(handle=int(handle)) if channel:
                if self.events is not None:
                    self.events(self, channel, handle)
                else:
                    for n in range(10):
                        self.deliver(channel, handle, event(n))
            case amqp.Transfer() as transfer:
                # Links are attached in pairs, the one for answers first.
                self.answer(channel, transfer.handle - 1, amqp.read_message(frame.payload))

    def answer(self, channel: int, handle: int, request: amqp.Message) -> None:
        kind = request.application_properties.get("type")
        body = {"com.microsoft:eventhub": self.hub, "com.microsoft:partition": self.partition}.get(str(kind), "")
        correlation = request.properties[0] if self.correlated else "another"
        message = amqp.encode_message(
            properties=[None, None, None, None, None, correlation],
            application_properties={"status-code": self.status},
            value=body,
        )
        for _ in range(self.answers):
            self.deliver(channel, handle, message)


def test_impostor_is_taken_for_a_hub_as_long_as_it_behaves() -> None:
    with listening(Impostor().serve) as connection:
        found = outcome(connection)
    assert [event.sequence for event in found] == [0, 1, 2]  # type: ignore[union-attr]  # these are events


def flood(data: bytes) -> Callable[[Impostor], None]:
    def begun(impostor: Impostor) -> None:
        while True:
            impostor.client.sendall(data * 100)

    return begun


def says(data: bytes) -> Callable[[Impostor], None]:
    return lambda impostor: impostor.client.sendall(data)


def says_on_the_link(make: Callable[[int, int], bytes]) -> Callable[[Impostor, int, int], None]:
    return lambda impostor, channel, handle: impostor.client.sendall(make(channel, handle))


def nested(depth: int) -> Raw:
    encoded = b"\x45"
    for _ in range(depth):
        encoded = b"\xd0" + struct.pack(">II", len(encoded) + 4, 1) + encoded
    return Raw(encoded)


def framed(body: bytes, channel: int = 0) -> bytes:
    return struct.pack(">IBBH", len(body) + 8, 2, 0, channel) + body


def transfer(channel: int, handle: int, payload: bytes, *, more: bool = False) -> bytes:
    return amqp.encode_frame(channel, amqp.Transfer(handle, 0, b"t", 0, True, more), payload)


def bomb(count: int) -> Raw:
    """Arrays of elements that take no bytes, each claiming very many."""
    array = b"\xf0" + struct.pack(">II", 5, 65_536) + b"\x40"
    return Raw(b"\xd0" + struct.pack(">II", 4 + len(array) * count, count) + array * count)


OPEN = amqp.Open("impostor", None, 65_536, 255, 60_000)
LIES = {
    "a frame longer than agreed": Impostor(begun=says(b"\x7f\xff\xff\xff\x02\x00\x00\x00")),
    "a frame shorter than its head": Impostor(begun=says(b"\x00\x00\x00\x03\x02\x00\x00\x00")),
    "a list that claims four billion fields": Impostor(
        begun=says(framed(b"\x00\x53\x18\xd0\x00\x00\x00\x04" + b"\xff" * 4))
    ),
    "a value longer than its frame": Impostor(begun=says(framed(b"\x00\x53\x18\xd0\xff\xff\xff\xf0" + b"\x00" * 16))),
    "an unknown performative": Impostor(begun=says(framed(b"\x00\x53\x99\x45"))),
    "an unknown type": Impostor(begun=says(framed(b"\x00\x53\x18\xc0\x02\x01\x3f"))),
    "SASL when it is over": Impostor(begun=says(amqp.encode_frame(0, amqp.SaslOutcome(0), sasl=True))),
    "another open": Impostor(begun=says(amqp.encode_frame(0, OPEN))),
    "values nested without end": Impostor(opening=OPEN._replace(properties={Symbol("deep"): nested(3_000)})),
    "descriptors nested without end": Impostor(begun=says(framed(b"\x00" * 40_000))),
    "arrays that unfold to gigabytes": Impostor(opening=OPEN._replace(properties={Symbol("wide"): bomb(4_000)})),
    "no frame may be sent": Impostor(opening=OPEN._replace(max_frame_size=1)),
    "no session may be begun": Impostor(opening=OPEN._replace(channel_max=0)),
    "a session that was not asked for": Impostor(begun=says(amqp.encode_frame(9, amqp.End()))),
    "a transfer on no link": Impostor(begun=says(transfer(0, 77, b""))),
    "a flow on no link": Impostor(begun=says(amqp.encode_frame(0, amqp.Flow(0, 1, 0, 1, 77, 0, 1)))),
    "a transfer on the link that requests go out on": Impostor(
        events=says_on_the_link(lambda c, h: transfer(0, 1, b""))
    ),
    "a rejection without a reason": Impostor(
        begun=says(amqp.encode_frame(0, amqp.Disposition(True, 0, 0, True, Described(amqp.ULong(0x25), []))))
    ),
    "a rejection with an odd reason": Impostor(
        begun=says(
            amqp.encode_frame(0, amqp.Disposition(True, 0, 0, True, Described(amqp.ULong(0x25), [Described(1, 2)])))
        )
    ),
    "a status that is no number": Impostor(status="fine"),
    "a status nobody knows": Impostor(status=299_000),
    "no hub": Impostor(hub=None),
    "a hub that is text": Impostor(hub="reports"),
    "a hub without partitions": Impostor(hub=HUB | {"partition_ids": Array(())}),
    "a hub without an age": Impostor(hub={"name": "reports", "partition_ids": Array(("0",))}),
    "a hub of another time": Impostor(hub=HUB | {"created_at": Timestamp(2**63 - 1)}),
    "a partition of words": Impostor(partition=PARTITION | {"begin_sequence_number": "first"}),
    "a partition below zero": Impostor(partition=PARTITION | {"begin_sequence_number": -5}),
    "a partition without an end": Impostor(partition={"partition": "0"}),
    "an answer that is no message": Impostor(hub=Raw(b"\xa1\xff")),
    "an answer that nests without end": Impostor(hub=HUB | {"more": nested(200)}),
    "an event without a number": Impostor(events=lambda i, c, h: i.deliver(c, h, event(None))),
    "an event with a word for a number": Impostor(events=lambda i, c, h: i.deliver(c, h, event("one"))),
    "an event of another time": Impostor(
        events=lambda i, c, h: i.deliver(c, h, event(0, x_opt_enqueued_time=Timestamp(2**63 - 1)))
    ),
    "an event that is no message": Impostor(
        events=lambda i, c, h: i.deliver(c, h, b"\x00\x53\x75\xb0\xff\xff\xff\xff")
    ),
    "an event with an unknown section": Impostor(events=lambda i, c, h: i.deliver(c, h, b"\x00\x53\x99\x45")),
    "an event without any section": Impostor(events=lambda i, c, h: i.deliver(c, h, b"")),
}


@pytest.mark.parametrize("impostor", LIES.values(), ids=LIES)
def test_a_lie_is_a_protocol_error(impostor: Impostor) -> None:
    with listening(impostor.serve) as connection:
        assert isinstance(outcome(connection), ProtocolError)


def endless(make: Callable[[int, int, int], bytes]) -> Callable[[Impostor, int, int], None]:
    def events(impostor: Impostor, channel: int, handle: int) -> None:
        for n in itertools.count():
            impostor.client.sendall(make(channel, handle, n))

    return events


@pytest.mark.parametrize(
    "impostor",
    [
        Impostor(events=endless(lambda c, h, n: transfer(c, h, b"x" * 60_000, more=True))),
        Impostor(events=endless(lambda c, h, n: transfer(c, h, b"", more=True) * 100)),
    ],
    ids=["of full frames", "of empty frames"],
)
def test_a_message_without_end_is_a_protocol_error_or_given_up(impostor: Impostor) -> None:
    with listening(impostor.serve) as connection:
        assert isinstance(outcome(connection), ProtocolError | HubUnreachableError)


def test_a_peer_that_sends_more_than_it_may_is_stopped() -> None:
    """Not even while something else is waited for: its answer to the question about the hub never comes.

    How much of the flood comes with the first events is up to the machine.
    """

    def events(impostor: Impostor, channel: int, handle: int) -> None:
        impostor.answers = 0
        for n in range(10_000):
            impostor.deliver(channel, handle, event(n))

    with (
        listening(Impostor(events=events).serve) as connection,
        AmqpReceiver(connection, "reports", "$Default", 30.0) as receiver,
    ):
        reading = receiver.read("0", 0, 10_000)

        def read_and_ask() -> None:
            next(reading)
            receiver.hub_info()

        with pytest.raises(ProtocolError, match="sent more than it was allowed to"):
            read_and_ask()


SILENCES = {
    "after the header": lambda client: client.sendall(client.recv(8)),
    "in the middle of the header": lambda client: client.sendall(amqp.SASL_HEADER[:5]),
    "in the middle of a frame": Impostor(begun=says(b"\x00\x00\x10\x00\x02\x00\x00\x00\x00\x53")).serve,
    "instead of an answer": Impostor(answers=0).serve,
    "instead of an event": Impostor(events=lambda i, c, h: None).serve,
    "in the middle of an event": Impostor(events=says_on_the_link(lambda c, h: transfer(c, h, b"x", more=True))).serve,
    "behind heartbeats without end": Impostor(begun=flood(amqp.EMPTY_FRAME)).serve,
    "behind windows without end": Impostor(begun=flood(amqp.encode_frame(0, amqp.Flow(0, 1, 0, 1)))).serve,
    "behind answers to others": Impostor(correlated=False, answers=3).serve,
}


def waits(behaviour: Callable[[socket.socket], None]) -> Callable[[socket.socket], None]:
    def then(client: socket.socket) -> None:
        behaviour(client)
        while client.recv(65_536):
            pass

    return then


@pytest.mark.parametrize("behaviour", SILENCES.values(), ids=SILENCES)
def test_silence_is_unreachable(behaviour: Callable[[socket.socket], None]) -> None:
    with listening(waits(behaviour)) as connection:
        assert isinstance(outcome(connection), HubUnreachableError)


@pytest.mark.parametrize("garbage", [b"\x00" * 64, b"AMQP", b"AMQP\x00\x01\x00\x00", b"\x16\x03\x01\x00\x00" * 9])
def test_garbage_instead_of_a_header_is_no_hub(garbage: bytes) -> None:
    def behaviour(client: socket.socket) -> None:
        client.sendall(garbage)

    with listening(waits(behaviour)) as connection:
        assert isinstance(outcome(connection), ProtocolError | HubUnreachableError)


def test_a_refusal_that_repeats_what_was_sent_does_not_show_it() -> None:
    class Repeats(Impostor):
        def answer(self, channel: int, handle: int, request: amqp.Message) -> None:
            error = amqp.Error("amqp:unauthorized-access", f"not with {request.value} or secret")
            self.send(channel, amqp.Detach(handle, True, error))

    with listening(Repeats().serve) as connection:
        refused = outcome(connection)
    assert isinstance(refused, UnauthorizedError)
    assert "SharedAccessSignature" not in str(refused)


def test_deadlines_hold_while_heartbeats_are_asked_for_all_the_time() -> None:
    with listening(Impostor(opening=OPEN._replace(idle_timeout=1), answers=0).serve) as connection:
        began = time.monotonic()
        assert isinstance(outcome(connection), HubUnreachableError)
        assert time.monotonic() - began < LIMIT


def test_nothing_is_kept_of_a_hub_that_lied(hub: LocalHub) -> None:
    """The same receiver works again as soon as its peer is an honest one."""
    turns = iter([Impostor(hub=None).serve, between(hub, Twister([]))])
    with (
        listening(lambda client: next(turns)(client)) as connection,
        AmqpReceiver(connection, "reports", "$Default", 20.0) as receiver,
    ):
        with pytest.raises(ProtocolError):
            receiver.hub_info()
        assert receiver.hub_info().partition_ids == ("0", "1")
