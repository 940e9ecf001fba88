"""Clients that take all they can get, and clients that take nothing, next to others that want to be served."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from hub_raw import RawClient, resident_bytes
from hub_sdk import HubProcess, hub_process

MIB = 1024 * 1024
NAMES = {"firehose": 2, "slow": 4, "deep": 1, "deaf": 1}
RECEIVER = "ConsumerGroups/$Default/Partitions"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with hub_process(tmp_path_factory.mktemp("hub"), NAMES) as process:
        with RawClient(process.port) as client:
            sender = client.attach_sender("deep/Partitions/0")
            for _ in range(64):
                client.send(sender, *[b"." * 9_000] * 110)
                client.wait_accepted()
        yield process


class Firehose:
    """Sends to one partition and reads it back, each as fast as the hub goes, until stopped."""

    def __init__(self, port: int, partition: int) -> None:
        self.sent = self.read = 0
        self._port = port
        self._address = f"firehose/{RECEIVER}/{partition}", f"firehose/Partitions/{partition}"
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._send), threading.Thread(target=self._read)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _send(self) -> None:
        with RawClient(self._port) as client:
            sender = client.attach_sender(self._address[1])
            under_way = 0
            while not self._stop.is_set():
                client.send(sender, *[b"x" * 1_000] * 500)
                under_way += 1
                if under_way > 20:
                    client.wait_accepted()
                    under_way -= 1
                self.sent += 500

    def _read(self) -> None:
        with RawClient(self._port) as client:
            receiver = client.attach_receiver(self._address[0])
            while not self._stop.is_set():
                client.credit(receiver, 10_000, self.read)
                for _ in range(1_000):
                    client.next_event()
                    self.read += 1


def test_slow_clients_are_served_while_others_send_and_read_without_end(hub: HubProcess) -> None:
    def work(number: int) -> list[int]:
        """Send an event, see it acknowledged, read it back, and so on."""
        with RawClient(hub.port) as client:
            sender = client.attach_sender(f"slow/Partitions/{number % 4}")
            receiver = client.attach_receiver(f"slow/{RECEIVER}/{number % 4}", "x-opt-offset > '@latest'")
            client.credit(receiver, 10_000)
            for n in range(10):
                client.send(sender, b"%d-%d" % (number, n))
                client.wait_accepted()
                while client.next_event()[1] != b"%d-%d" % (number, n):
                    pass
        return list(range(10))

    firehoses = [Firehose(hub.port, partition) for partition in range(2)]
    try:
        with ThreadPoolExecutor(20) as pool:
            # Were they starved, they would not be done before the firehoses are, which is never.
            assert list(pool.map(work, range(20))) == [list(range(10))] * 20
    finally:
        for firehose in firehoses:
            firehose.stop()
    assert all(firehose.sent > 500 and firehose.read > 0 for firehose in firehoses)


def test_clients_that_ask_for_everything_and_read_nothing_cost_little_and_lose_nothing(hub: HubProcess) -> None:
    before = resident_bytes(hub.pid)
    with ExitStack() as stack:
        deaf = [stack.enter_context(RawClient(hub.port, receive_buffer=8_192)) for _ in range(5)]
        for client in deaf:
            client.credit(client.attach_receiver(f"deep/{RECEIVER}/0"), 1_000_000)
        with RawClient(hub.port) as other:
            # Served after the deaf ones had their turns: what the hub holds for them, it holds now.
            sender = other.attach_sender("slow/Partitions/0")
            for _ in range(50):
                other.send(sender, b"x")
                other.wait_accepted()
        assert resident_bytes(hub.pid) - before < 24 * MIB, "64 MiB wait for each of the five"
        numbers = [deaf[0].next_event()[0] for _ in range(64 * 110)]
    assert numbers == list(range(64 * 110))


def test_a_client_that_sends_on_and_on_without_reading_the_answers_is_not_read_from(hub: HubProcess) -> None:
    before = resident_bytes(hub.pid)
    with RawClient(hub.port, timeout=2.0, receive_buffer=8_192) as deaf, RawClient(hub.port) as other:
        sender = deaf.attach_sender("deaf/Partitions/0")
        # Each is answered with a refusal of some length.
        rubbish = b"".join(deaf.encode_raw(sender, b"rubbish") for _ in range(5_000))

        def flood() -> None:
            for _ in range(200):
                deaf.socket.sendall(rubbish)

        with pytest.raises(TimeoutError):
            flood()
        assert resident_bytes(hub.pid) - before < 24 * MIB
        other.credit(other.attach_receiver(f"deep/{RECEIVER}/0"), 1)
        assert other.next_event()[0] == 0
