from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hub_wire import Client, serving, token
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventhubs import amqp
from eventhubs.amqp import (
    AMQP_HEADER,
    EMPTY_FRAME,
    SASL_HEADER,
    Attach,
    Begin,
    Close,
    Detach,
    Disposition,
    End,
    Flow,
    Open,
    Performative,
    SaslInit,
    Transfer,
    encode_frame,
    encode_message,
)
from eventhubs.hub.connection import IDLE_S, TURN_BYTES
from eventhubs.hub.segment import READ_SIZE
from eventhubs.hub.service import Service

RECEIVER = "amqps://h/reports/ConsumerGroups/$Default/Partitions/1"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with serving(tmp_path, groups=("analysts",)) as service:
        yield service


@pytest.fixture
def client(service: Service) -> Client:
    return Client(service).connect()


def conditions(errors: Sequence[amqp.Error | None]) -> list[str | None]:
    return [error.condition if error else None for error in errors]


def test_the_open_tells_limits_and_the_idle_time_out(client: Client) -> None:
    opened = client.last(Open)
    assert (opened.max_frame_size, opened.idle_timeout) == (65536, 1000 * int(IDLE_S))


def test_a_client_that_skips_sasl_is_told_what_is_spoken_and_left(service: Service) -> None:
    client = Client(service)
    client.server.receive(AMQP_HEADER)

    assert client.server.finished
    assert client.server.take_output() == SASL_HEADER


def test_an_unknown_sasl_mechanism_fails(service: Service) -> None:
    client = Client(service)
    client.server.receive(SASL_HEADER + encode_frame(0, SaslInit("SCRAM-SHA-256"), sasl=True))

    assert client.server.finished


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rubbish=st.binary(min_size=8, max_size=200), stage=st.integers(0, 3))
def test_rubbish_closes_its_connection_and_no_other(service: Service, rubbish: bytes, stage: int) -> None:
    other = Client(service).connect()
    starts = [
        b"",
        SASL_HEADER,
        SASL_HEADER + encode_frame(0, SaslInit("ANONYMOUS"), sasl=True),
        SASL_HEADER
        + encode_frame(0, SaslInit("ANONYMOUS"), sasl=True)
        + AMQP_HEADER
        + encode_frame(0, Open("x"))
        + encode_frame(0, Begin(None, 0, 10, 10)),
    ]
    client = Client(service)
    client.server.receive(starts[stage])
    # As the body of a sound frame, and bare.
    client.server.receive(len(rubbish + rubbish[:8]).to_bytes(4, "big") + b"\x02\x00\x00\x00" + rubbish)
    client.server.receive(rubbish)
    client.server.run()

    other.sender()
    other.publish(b"still here")
    assert other.last(Disposition).state.descriptor == 0x24


def test_a_framing_error_is_named_in_the_close(client: Client) -> None:
    client.server.receive(b"HTTP/1.1 400 Bad Request\r\n")
    client.woken_up()

    assert conditions([client.last(Close).error]) == ["amqp:connection:framing-error"]
    assert client.server.finished


def test_a_close_is_answered(client: Client) -> None:
    client.send(Close())

    assert client.last(Close) == Close()
    assert client.server.finished


def test_an_end_is_answered_and_the_channel_is_free_again(client: Client) -> None:
    client.sender()
    client.send(End())
    client.send(Begin(None, 0, 1000, 1000))
    client.sender()

    assert client.all(End) == [End()]
    assert len(client.all(Begin)) == 2


@pytest.mark.parametrize(
    "frame",
    [
        Transfer(55, 0, b"t", 0),
        Flow(0, 1, 0, 1, 55, 0, 1),
        Attach("x", 99999, True),
        Begin(None, 0, 1, 1),
        Open("again"),
        SaslInit("ANONYMOUS"),
    ],
)
def test_frames_out_of_place_close_the_connection(client: Client, frame: Performative) -> None:
    client.send(frame)
    assert client.last(Close).error is not None


@pytest.mark.parametrize("message_id", [uuid.UUID(int=5), "text", b"bytes", amqp.ULong(7)])
def test_a_reply_names_its_request(client: Client, message_id: Any) -> None:
    asked = {"operation": "READ", "type": "com.microsoft:eventhub", "name": "reports", "security_token": token()}
    reply = client.request(
        "$management", encode_message(properties=(message_id,), application_properties=asked, value=None)
    )

    assert reply.properties[5] == message_id
    assert reply.value["partition_ids"] == ["0", "1"]
    assert reply.value["created_at"] == 5000


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"name": "nope"}, 404),
        ({"name": "reports", "type": "com.microsoft:partition", "partition": "9"}, 404),
        ({"name": "other"}, 401),
        ({"name": "reports", "type": "com.microsoft:garden"}, 400),
        ({"name": "reports", "operation": "DELETE"}, 400),
    ],
)
def test_management_says_what_it_cannot_do(client: Client, asked: dict[str, Any], status: int) -> None:
    assert client.manage(**asked).application_properties["status-code"] == status


def test_a_refused_link_is_attached_without_its_terminus_and_then_detached(client: Client) -> None:
    client.sender(1, "amqps://h/nope")
    client.receiver(2, "amqps://h/reports/ConsumerGroups/$Default/Partitions/7")

    first, second = client.all(Attach)[-2:]
    assert (first.target, second.source) == (None, None)
    assert first.source is not None
    assert conditions([d.error for d in client.all(Detach)[-2:]]) == ["amqp:not-found"] * 2


@pytest.mark.parametrize("start", ["x-opt-offset < '5'", "x-opt-publisher > '5'"])
def test_a_start_position_that_is_none_is_refused(client: Client, start: str) -> None:
    client.receiver(1, start=start)
    assert conditions([client.last(Detach).error]) == ["amqp:invalid-field"]


def test_a_receiver_gets_no_more_than_its_credit(client: Client) -> None:
    client.sender(1)
    client.publish(*[b"%d" % n for n in range(10)])
    client.receiver(2)
    assert client.events(2) == []

    client.credit(2, 4)
    assert [body for _, body in client.events(2)] == [b"0", b"1", b"2", b"3"]
    client.credit(2, 2, count=3)  # the client had seen three when it wrote this
    assert [body for _, body in client.events(2)] == [b"0", b"1", b"2", b"3", b"4"]


def test_a_receiver_that_detaches_gets_nothing_more(client: Client) -> None:
    client.sender(1)
    client.publish(b"x")
    client.receiver(2)
    client.send(Flow(0, 1000, 0, 1000, 2, 0, 5), Detach(2, True))

    assert client.events(2) == []


def test_a_drained_receiver_is_told_that_nothing_is_left(client: Client) -> None:
    client.sender(1)
    client.publish(b"only")
    client.receiver(2)
    client.credit(2, 50, drain=True)

    flow = client.last(Flow)
    assert len(client.events(2)) == 1
    assert (flow.handle, flow.delivery_count, flow.link_credit) == (2, 50, 0)


def test_a_closed_session_window_holds_deliveries_back(client: Client) -> None:
    client.sender(1)
    client.publish(b"x" * 10_000, b"small")  # 3 frames of 4096, then 1
    client.receiver(2)
    before = len(client.all(Transfer))
    client.send(Flow(None, before + 2, 0, 1000, 2, 0, 10))
    assert len(client.all(Transfer)) - before == 2
    assert client.events(2) == []

    client.send(Flow(before + 2, 1000, 0, 1000))
    assert [len(body) for _, body in client.events(2)] == [10_000, 5]


def test_a_link_that_is_closed_takes_what_was_held_back_with_it(client: Client) -> None:
    client.sender(1)
    client.publish(b"x" * 20_000, b"small")
    client.receiver(2)
    client.receiver(3)
    before = len(client.all(Transfer))
    client.send(Flow(None, before + 2, 0, 1000, 2, 0, 10), Flow(None, before + 2, 0, 1000, 3, 0, 10))
    assert client.server.close_links(amqp.Error("amqp:link:detach-forced"), "other") == 0
    client.send(Detach(2, True))
    client.send(Flow(before + 2, 1000, 0, 1000))

    frames = [frame.performative for frame in client.frames]
    detached = next(at for at, said in enumerate(frames) if isinstance(said, Detach) and said.handle == 2)
    assert not [said for said in frames[detached:] if isinstance(said, Transfer) and said.handle == 2]
    assert [len(body) for _, body in client.events(3)] == [20_000, 5]
    assert client.server.close_links(amqp.Error("amqp:link:detach-forced"), "reports") == 2


def test_new_events_reach_a_waiting_receiver(client: Client, service: Service) -> None:
    client.receiver(2, start="x-opt-offset > '@latest'")
    client.credit(2, 10)
    another = Client(service).connect()
    another.sender(1)
    another.publish(b"live")
    client.woken_up()

    assert client.events(2) == [(0, b"live")]


def test_a_message_over_several_frames_is_one_event(client: Client) -> None:
    client.sender(1)
    client.publish(b"y" * 300_000)
    client.receiver(2)
    client.credit(2, 1)

    assert [len(body) for _, body in client.events(2)] == [300_000]


def test_an_aborted_delivery_leaves_nothing(client: Client) -> None:
    client.sender(1)
    half = encode_message(data=[b"z" * 100])[:50]
    client.server.receive(encode_frame(0, Transfer(1, 0, b"t", 0, False, True), half))
    client.send(Transfer(1, aborted=True))
    client.deliveries = 1
    client.publish(b"whole")
    client.receiver(2)
    client.credit(2, 5)

    assert client.events(2) == [(0, b"whole")]


def test_settled_deliveries_are_stored_without_an_answer(client: Client) -> None:
    client.sender(1)
    before = len(client.all(Disposition))
    client.transfer(1, encode_message(data=[b"quiet"]), settled=True)
    client.receiver(2)
    client.credit(2, 5)

    assert len(client.all(Disposition)) == before
    assert client.events(2) == [(0, b"quiet")]


def test_a_message_that_does_not_decode_is_rejected_and_the_link_lives(client: Client) -> None:
    client.sender(1)
    client.transfer(1, b"rubbish")
    state = client.last(Disposition).state
    client.publish(b"fine")

    assert (state.descriptor, state.value[0].value[0]) == (0x25, "amqp:decode-error")
    assert client.last(Disposition).state.descriptor == 0x24


def test_a_message_over_the_limit_detaches_its_link_and_later_frames_are_ignored(client: Client) -> None:
    client.sender(1)
    client.publish(b"x" * 1_300_000)
    assert client.all(Close) == []
    assert conditions([client.last(Detach).error]) == ["amqp:link:message-size-exceeded"]

    client.send(Detach(1, True))
    client.sender(3)
    client.publish(b"fits", handle=3)
    assert client.last(Disposition).state.descriptor == 0x24


def test_senders_get_new_credit_before_they_run_out(client: Client) -> None:
    client.sender(1)
    client.publish(*[b"x"] * 400)

    granted = [flow for flow in client.all(Flow) if flow.handle == 1]
    assert granted[0].link_credit == 300
    assert any(flow.delivery_count == 150 for flow in granted)


def test_a_sixth_receiver_without_epoch_is_refused(client: Client) -> None:
    for handle in range(1, 7):
        client.receiver(handle)

    assert [(d.handle, d.error.condition) for d in client.all(Detach) if d.error] == [
        (6, "amqp:resource-limit-exceeded")
    ]


def test_a_receiver_that_leaves_makes_room(client: Client) -> None:
    for handle in range(1, 6):
        client.receiver(handle)
    client.send(Detach(3, True))
    client.receiver(6)

    assert [d.handle for d in client.all(Detach) if d.error] == []


@pytest.mark.parametrize(("older", "newer"), [(None, 0), (1, 2), (2, 2)])
def test_a_receiver_with_the_same_or_a_higher_epoch_displaces(
    service: Service, client: Client, older: int | None, newer: int
) -> None:
    client.receiver(1, epoch=older)
    another = Client(service).connect()
    another.receiver(1, epoch=newer)
    client.woken_up()

    assert conditions([client.last(Detach).error]) == ["amqp:link:stolen"]
    assert [d for d in another.all(Detach) if d.error] == []


@pytest.mark.parametrize(("older", "newer"), [(0, None), (3, 2)])
def test_a_receiver_with_a_lower_or_no_epoch_is_refused(
    service: Service, client: Client, older: int, newer: int | None
) -> None:
    client.receiver(1, epoch=older)
    another = Client(service).connect()
    another.receiver(1, epoch=newer)

    assert not client.woken
    assert conditions([another.last(Detach).error]) == ["amqp:link:stolen"]
    assert [d for d in client.all(Detach) if d.error] == []


def test_consumer_groups_do_not_displace_each_other(client: Client) -> None:
    client.receiver(1, epoch=5)
    client.receiver(2, RECEIVER.replace("$Default", "analysts"), epoch=1)

    assert [d for d in client.all(Detach) if d.error] == []


@pytest.mark.parametrize(
    ("start", "refused"),
    [
        ("x-opt-sequence-number > '2'", False),
        ("x-opt-sequence-number >= '3'", False),
        ("x-opt-sequence-number > '3'", True),
        ("x-opt-sequence-number >= '99'", True),
        ("x-opt-offset > '999999'", True),
    ],
)
def test_a_position_past_the_end_is_refused(client: Client, start: str, refused: bool) -> None:
    client.sender(1)
    client.publish(b"0", b"1", b"2")
    client.receiver(2, start=start)

    expected = ["com.microsoft:argument-error"] if refused else []
    assert conditions([d.error for d in client.all(Detach) if d.error]) == expected


def test_a_connection_lost_frees_its_places(service: Service, client: Client) -> None:
    client.receiver(1, epoch=9)
    client.server.lost()
    another = Client(service).connect()
    another.receiver(1)

    assert [d for d in another.all(Detach) if d.error] == []


def test_a_silent_connection_is_closed(client: Client) -> None:
    client.clock.now += IDLE_S + 1
    client.server.tick()
    client.woken_up()

    assert conditions([client.last(Close).error]) == ["amqp:connection:forced"]


def test_a_heartbeat_keeps_the_connection(client: Client) -> None:
    for _ in range(4):
        client.clock.now += IDLE_S / 2
        client.server.receive(EMPTY_FRAME)
        client.server.tick()

    assert not client.server.finished


def test_a_client_with_an_idle_time_out_gets_heartbeats_in_time(service: Service) -> None:
    client = Client(service)
    client.open = Open("client", "h", 4096, 10, 10_000)
    client.connect()
    heartbeats = []
    for _ in range(40):
        client.clock.now += 0.5
        client.server.tick()
        heartbeats.append(client.server.take_output())

    assert heartbeats.count(EMPTY_FRAME) == 4


def test_links_take_turns_in_portions_whatever_their_credit(client: Client) -> None:
    client.sender(1)
    client.publish(*[b"x" * 50_000] * 20)
    for handle in range(2, 7):
        client.receiver(handle)
    for handle in range(2, 7):
        client.server.receive(encode_frame(0, Flow(0, 100_000, 0, 1000, handle, 0, 1000)))
    sizes, order = [], []
    while True:
        again = client.server.run()
        output = client.server.take_output()
        client.reader.feed(output)
        while (frame := client.reader.next()) is not None:
            if isinstance(frame.performative, Transfer) and not frame.performative.more:
                order.append(frame.performative.handle)
        if not again and not output:
            break
        sizes.append(len(output))

    assert max(sizes) < TURN_BYTES + 4 * READ_SIZE
    assert sorted(order) == sorted([2, 3, 4, 5, 6] * 20)
    first_portions = order[: order.index(6)]
    assert max(first_portions.count(handle) for handle in (2, 3, 4, 5)) <= 2 * READ_SIZE // 50_000


def test_replies_that_nobody_takes_are_not_kept_without_end(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eventhubs.hub.links.MAX_REPLIES", 3)
    client.send(Attach("in", 90, False, 0, 0, amqp.source("me"), amqp.target("$cbs"), initial_delivery_count=0))
    client.send(Attach("out", 91, True, 0, 0, amqp.source("$cbs"), amqp.target("me")))
    for _ in range(5):
        client.transfer(90, encode_message(value="no question"))

    outcomes = [disposition.state.descriptor for disposition in client.all(Disposition)][-5:]
    assert outcomes == [0x24, 0x24, 0x24, 0x25, 0x25]


def test_frames_stay_within_what_the_client_takes(client: Client) -> None:
    client.sender(1)
    client.publish(b"x" * 9000)
    client.receiver(2)
    client.credit(2, 1)

    assert max(len(frame.payload) for frame in client.frames) < 4096
