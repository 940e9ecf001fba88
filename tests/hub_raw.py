"""A client of the hub on a plain socket: does exactly what it is told, and nothing (such as reading) that it is not."""

from __future__ import annotations

import socket
import time
import uuid
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from eventhubs.amqp import (
    AMQP_HEADER,
    BATCH_FORMAT,
    SASL_HEADER,
    Attach,
    Begin,
    Detach,
    Disposition,
    Flow,
    Frame,
    FrameReader,
    Open,
    SaslInit,
    Transfer,
    encode_frame,
    encode_message,
    encode_transfers,
    read_message,
    selector_filter,
    source,
    target,
)
from eventhubs.settings import HubConnection

__all__ = ["RawClient", "resident_bytes"]

WINDOW = 2**31 - 1


class RawClient:
    """Connected, signed in for the whole namespace, with one session. Every wait ends after `timeout` seconds."""

    def __init__(self, port: int, *, timeout: float = 30.0, receive_buffer: int | None = None) -> None:
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        self.socket.connect(("127.0.0.1", port))
        self._reader = FrameReader(2**20)
        self._handles = 0
        self._deliveries = 0
        self._received = 0
        self._parts: list[memoryview] = []
        self.socket.sendall(SASL_HEADER + encode_frame(0, SaslInit("ANONYMOUS"), sasl=True) + AMQP_HEADER)
        self.socket.sendall(
            encode_frame(0, Open("raw", "localhost", 65536)) + encode_frame(0, Begin(None, 0, WINDOW, 9))
        )
        assert self._next_header() == SASL_HEADER
        self.next_frame()
        self.next_frame()
        assert self._next_header() == AMQP_HEADER
        self._sign_in()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def attach_sender(self, address: str) -> int:
        """Attach, and wait until the hub gives credit."""
        handle = self._attach(False, target(f"amqps://localhost/{address}"), source("raw"))
        while not isinstance((frame := self.next_frame()).performative, Flow) or frame.performative.handle != handle:
            pass
        return handle

    def attach_receiver(self, address: str, start: str = "x-opt-offset > '-1'") -> int:
        where = source(f"amqps://localhost/{address}", selector_filter(f"amqp.annotation.{start}"))
        handle = self._attach(True, target("raw"), where)
        while not isinstance(self.next_frame().performative, Attach):
            pass
        return handle

    def credit(self, handle: int, credit: int, delivered: int = 0) -> None:
        flow = Flow(self._received, WINDOW, self._deliveries, WINDOW, handle, delivered, credit)
        self.socket.sendall(encode_frame(0, flow))

    def detach(self, handle: int) -> None:
        self.socket.sendall(encode_frame(0, Detach(handle, True)))

    def send(self, handle: int, *bodies: bytes) -> None:
        """Send one event, or several as a batch, without waiting for the answer."""
        self.socket.sendall(self.encode(handle, *bodies))

    def encode(self, handle: int, *bodies: bytes) -> bytes:
        events = [encode_message(data=[body]) for body in bodies]
        if len(events) == 1:
            return self.encode_raw(handle, events[0])
        return self.encode_raw(handle, encode_message(data=events), BATCH_FORMAT)

    def encode_raw(self, handle: int, message: bytes, message_format: int = 0) -> bytes:
        out: list[Any] = []
        encode_transfers(out, 0, handle, self._deliveries, message, max_frame_size=65536, message_format=message_format)
        self._deliveries += 1
        return b"".join(out)

    def wait_accepted(self) -> None:
        """Wait for the answer to one delivery."""
        while not isinstance((said := self.next_frame().performative), Disposition):
            pass
        assert said.state.descriptor == 0x24, said.state

    def next_event(self) -> tuple[int, bytes]:
        """Wait for an event; give its number and body."""
        while True:
            frame = self.next_frame()
            transfer = frame.performative
            if isinstance(transfer, Transfer):
                self._parts.append(frame.payload)
                if not transfer.more:
                    message = read_message(b"".join(self._parts))
                    self._parts = []
                    return message.annotations["x-opt-sequence-number"], bytes(message.data[0])

    def next_frame(self) -> Frame:
        while True:
            frame = self._reader.next()
            if frame is None:
                self._feed()
            elif frame.performative is not None:
                self._received += isinstance(frame.performative, Transfer)
                return frame

    def _sign_in(self) -> None:
        answers = self._attach(True, target("raw"), source("$cbs"))
        self.credit(answers, 10)
        requests = self._attach(False, target("$cbs"), source("raw"))
        key = HubConnection("localhost", key_name="local", key="local")
        token = key.shared_access_token("sb://localhost", int(time.time()) + 3600)
        asked = {"operation": "put-token", "type": "servicebus.windows.net:sastoken", "name": "sb://localhost"}
        request = encode_message(properties=[uuid.uuid4()], application_properties=asked, value=token)
        self.socket.sendall(self.encode_raw(requests, request))
        while not isinstance((frame := self.next_frame()).performative, Transfer):
            pass
        assert read_message(frame.payload).application_properties["status-code"] == 202

    def _attach(self, receives: bool, to: Any, of: Any) -> int:
        handle, self._handles = self._handles, self._handles + 1
        self.socket.sendall(
            encode_frame(0, Attach(f"raw-{handle}", handle, receives, 0, 0, of, to, initial_delivery_count=0))
        )
        return handle

    def _next_header(self) -> bytes:
        while (header := self._reader.next_header()) is None:
            self._feed()
        return header

    def _feed(self) -> None:
        data = self.socket.recv(262_144)
        if not data:
            raise ConnectionError("the hub hung up")
        self._reader.feed(data)


def resident_bytes(pid: int) -> int:
    """The memory that a process has now."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
