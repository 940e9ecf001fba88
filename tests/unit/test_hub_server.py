from __future__ import annotations

import socket
from pathlib import Path

import pytest

from eventhubs.amqp import (
    AMQP_HEADER,
    SASL_HEADER,
    Attach,
    Begin,
    Close,
    Frame,
    FrameReader,
    Open,
    SaslInit,
    encode_frame,
    source,
    target,
)
from eventhubs.hub.errors import FolderInUseError, HubError, PartitionCountError, PortTakenError
from eventhubs.hub.server import LocalHub

HANDSHAKE = SASL_HEADER + encode_frame(0, SaslInit("ANONYMOUS"), sasl=True) + AMQP_HEADER


def talk(host: str, port: int, data: bytes) -> bytes:
    """Send, and give all that is answered until the server closes."""
    with socket.create_connection((host, port), timeout=10) as connection:
        connection.sendall(data)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    return answer


def frames_after_handshake(answer: bytes) -> list[Frame]:
    reader = FrameReader(65536)
    reader.feed(answer)
    assert reader.next_header() == SASL_HEADER
    assert reader.next() is not None
    assert reader.next() is not None
    assert reader.next_header() == AMQP_HEADER
    frames = []
    while (frame := reader.next()) is not None:
        frames.append(frame)
    return frames


def test_a_client_is_served_over_a_socket(tmp_path: Path) -> None:
    with LocalHub(tmp_path, {"reports": 1}) as hub:
        answer = talk("127.0.0.1", hub.port, HANDSHAKE + encode_frame(0, Open("x")) + encode_frame(0, Close()))

    opened, closed = [frame.performative for frame in frames_after_handshake(answer)]
    assert isinstance(opened, Open)
    assert closed == Close()


def test_localhost_reaches_the_hub_whatever_family_it_means(tmp_path: Path) -> None:
    with LocalHub(tmp_path, {"reports": 1}) as hub:
        for family, _, _, _, address in socket.getaddrinfo("localhost", hub.port, type=socket.SOCK_STREAM):
            assert family in (socket.AF_INET, socket.AF_INET6)
            assert talk(str(address[0]), hub.port, b"not AMQP") == SASL_HEADER


def test_both_loopback_families_are_served(tmp_path: Path) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    with LocalHub(tmp_path, {"reports": 1}) as hub:
        assert talk("::1", hub.port, b"not AMQP") == talk("127.0.0.1", hub.port, b"not AMQP") == SASL_HEADER


def test_rubbish_closes_that_connection_and_the_hub_serves_on(tmp_path: Path) -> None:
    with LocalHub(tmp_path, {"reports": 1}) as hub:
        answer = talk("127.0.0.1", hub.port, HANDSHAKE + encode_frame(0, Open("x")) + b"\xff" * 100)
        again = talk("127.0.0.1", hub.port, HANDSHAKE + encode_frame(0, Open("x")) + encode_frame(0, Close()))

    closed = frames_after_handshake(answer)[-1].performative
    assert isinstance(closed, Close)
    assert closed.error is not None
    assert len(frames_after_handshake(again)) == 2


def test_stopping_tells_clients_that_they_may_come_back(tmp_path: Path) -> None:
    hub = LocalHub(tmp_path, {"reports": 1})
    hub.start()
    with socket.create_connection(("127.0.0.1", hub.port), timeout=10) as connection:
        connection.sendall(HANDSHAKE + encode_frame(0, Open("x")) + encode_frame(0, Begin(None, 0, 9, 9)))
        attach = Attach("r", 0, True, source=source("amqps://h/reports"), target=target("me"))
        connection.sendall(encode_frame(0, attach))
        answer = b""
        while b"unauthorized-access" not in answer:
            answer += connection.recv(65536)
        hub.stop()
        while chunk := connection.recv(65536):
            answer += chunk

    closed = frames_after_handshake(answer)[-1].performative
    assert isinstance(closed, Close)
    assert closed.error is not None
    assert closed.error.condition == "amqp:connection:forced"


def test_a_stopped_hub_starts_again_on_its_port_and_stops_twice(tmp_path: Path) -> None:
    hub = LocalHub(tmp_path, {"reports": 1})
    hub.start()
    port = hub.port
    hub.stop()
    hub.stop()
    hub.start()
    assert hub.port == port
    assert talk("127.0.0.1", port, b"not AMQP") == SASL_HEADER
    hub.stop()


def test_a_hub_that_serves_is_not_started_again(tmp_path: Path) -> None:
    with LocalHub(tmp_path, {"reports": 1}) as hub, pytest.raises(HubError, match="already"):
        hub.start()


def test_a_taken_port_is_told_and_the_folder_is_free_again(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTakenError, match=str(port)):
            LocalHub(tmp_path, {"reports": 1}, port=port).start()
    with LocalHub(tmp_path, {"reports": 1}):
        pass


def test_a_second_hub_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    with LocalHub(tmp_path, {"reports": 1}), pytest.raises(FolderInUseError):
        LocalHub(tmp_path, {"reports": 1}).start()


def test_a_wrong_partition_count_is_refused_and_the_folder_is_free_again(tmp_path: Path) -> None:
    with LocalHub(tmp_path, {"reports": 2}):
        pass
    for count in (1, 33):
        with pytest.raises(PartitionCountError):
            LocalHub(tmp_path, {"reports": count}).start()
    with LocalHub(tmp_path, {"reports": 2}) as hub:
        assert hub.event_counts() == {"reports": 0}


def test_the_connection_string_is_the_emulators_and_the_repr_has_no_key(tmp_path: Path) -> None:
    with LocalHub(tmp_path, {"reports": 1}) as hub:
        assert f"Endpoint=sb://localhost:{hub.port};" in hub.connection_string
        assert hub.connection_string.endswith(";UseDevelopmentEmulator=true")
        assert "Key" not in repr(hub)
