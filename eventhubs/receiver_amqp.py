"""Reading through our own lean AMQP client: one kept connection, cheap links, everything asked side by side.

Signing in, one `$management` link for all questions, and a short-lived receiver link per range of events. Opening a
range costs one round trip, asking for any number of partitions another, where the official SDK takes half a second
each. A connection that has been idle is opened anew instead of being kept alive by a thread.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Self

from eventhubs.amqp import Message, Symbol
from eventhubs.amqp_client import AmqpConnection, Link, Request, RequestLink, decoded
from eventhubs.credential import TOKEN_SCOPE, entra_credential
from eventhubs.errors import (
    DataLossError,
    EventHubsError,
    HubNotFoundError,
    HubUnreachableError,
    ProtocolError,
    ServerBusyError,
    UnauthorizedError,
)
from eventhubs.receiver import (
    ANNOTATIONS_WITH_FIELD,
    STANDARD_PROPERTIES,
    HubInfo,
    PartitionInfo,
    ReceivedEvent,
    exactly,
)
from eventhubs.settings import HubConnection
from eventhubs.text import as_text, text_map

__all__ = ["AmqpReceiver"]

_LARGEST_CREDIT = 5_000
_LARGEST_LIST = 500
_SILENCE = 3.0
"""Seconds without an event after which we ask whether retention has passed the wanted ones."""
_IDLE = 30.0
"""Seconds after which a kept connection is not trusted any more; the service ends idle ones after a minute or more."""
_TOKEN_LIFE = 3_600
_TOKEN_MARGIN = 300


class AmqpReceiver:
    """A `HubReceiver` on `eventhubs.amqp`."""

    def __init__(self, connection: HubConnection, hub: str, consumer_group: str, receive_timeout: float) -> None:
        connection.check_hub(hub)
        self._settings = connection
        self._hub = hub
        self._group = consumer_group
        self._timeout = receive_timeout
        self._where = f"hub {hub} at {connection.endpoint}"
        self._credential = entra_credential(connection)
        self._session: _Session | None = None

    def hub_info(self) -> HubInfo:
        """See `HubReceiver`."""
        [found] = self._manage([{"type": "com.microsoft:eventhub"}])
        return HubInfo(found["name"], int(found["created_at"]), tuple(found["partition_ids"]))

    def partition_infos(self, partition_ids: Sequence[str]) -> list[PartitionInfo]:
        """See `HubReceiver`; all partitions in one round trip."""
        found = self._manage([{"type": "com.microsoft:partition", "partition": p} for p in partition_ids])
        return [
            PartitionInfo.from_service(
                p["partition"],
                int(p["begin_sequence_number"]),
                int(p["last_enqueued_sequence_number"]),
                bool(p["is_partition_empty"]),
                int(p["last_enqueued_time_utc"]),
            )
            for p in found
        ]

    def read(self, partition_id: str, first_sequence: int, count: int) -> Iterator[list[ReceivedEvent]]:
        """See `HubReceiver`."""
        yield from exactly(partition_id, first_sequence, count, self._arriving(partition_id, first_sequence, count))

    def close(self) -> None:
        """See `HubReceiver`."""
        session, self._session = self._session, None
        if session is not None:
            session.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _arriving(self, partition_id: str, first: int, count: int) -> Iterator[list[ReceivedEvent]]:
        """What a link from `first` on delivers, until the silence is longer than the receive timeout."""
        deadline = time.monotonic() + self._timeout
        session = self._ready_session(deadline)
        connection = session.connection
        link = connection.attach(
            receiver=True,
            source=f"amqps://{self._settings.endpoint}/{self._hub}/ConsumerGroups/{self._group}"
            f"/Partitions/{partition_id}",
            target=f"reactionwatch-{partition_id}",
            start=f"amqp.annotation.x-opt-sequence-number >= '{first}'",
            properties={Symbol("com.microsoft:timeout"): int(self._timeout * 1_000)},
        )
        connection.flow(link, min(count, _LARGEST_CREDIT))
        wanted, left = first, count
        try:
            while True:
                if not connection.wait(lambda: _has_events(link), min(deadline, time.monotonic() + _SILENCE)):
                    self._explain_silence(partition_id, wanted, deadline)
                    continue
                connection.handle_received()
                events = _taken(link, connection)
                left -= len(events)
                if link.credit < min(left, _LARGEST_CREDIT // 2):
                    connection.flow(link, min(left, _LARGEST_CREDIT))
                wanted = events[-1].sequence + 1
                yield events
                deadline = time.monotonic() + self._timeout
        except EventHubsError as error:
            if link.error is not error:
                self.close()
            raise
        finally:
            if self._session is session:
                self._let_go(link)

    def _let_go(self, link: Link) -> None:
        try:
            link.connection.detach(link)
        except HubUnreachableError:
            # The reader has what it wanted; whoever comes next opens a new connection.
            self.close()

    def _explain_silence(self, partition_id: str, wanted: int, deadline: float) -> None:
        """Raise why nothing comes, if that is known or the time is over."""
        if time.monotonic() >= deadline:
            raise HubUnreachableError(
                f"Partition {partition_id} of {self._where} delivered nothing for {self._timeout:g} s while event "
                f"{wanted} was awaited. Check that the event exists, the network and the service's health, or raise "
                "the receive timeout."
            )
        [info] = self.partition_infos([partition_id])
        if info.begin_sequence > wanted:
            raise DataLossError(partition_id, wanted, info.begin_sequence)

    def _manage(self, questions: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Put READ requests to the management node, all under way at once."""
        if not questions:
            return []
        deadline = time.monotonic() + self._timeout
        common = {"operation": "READ", "name": self._hub}
        try:
            session = self._ready_session(deadline)
            token = session.token
            requests = [Request(common | q | {"security_token": token}) for q in questions]
            answers = session.management.ask(requests, deadline)
        except EventHubsError:
            self.close()
            raise
        return [_answer(a, self._where) for a in answers]

    def _ready_session(self, deadline: float) -> _Session:
        """The kept session, or a new one; its token is good for a while."""
        session = self._session
        if session is not None and session.connection.is_stale(_IDLE):
            self.close()
            session = None
        if session is None:
            connection = AmqpConnection(self._settings, self._where, deadline)
            self._session = session = _Session(connection)
        if session.token_ends_at - time.time() < _TOKEN_MARGIN:
            try:
                self._sign_in(session, deadline)
            except EventHubsError:
                self.close()
                raise
        return session

    def _sign_in(self, session: _Session, deadline: float) -> None:
        """Put a token for the hub and one for the consumer group."""
        hub = f"sb://{self._settings.endpoint}/{self._hub}"
        audiences = (hub, f"{hub}/consumergroups/{self._group}")
        requests, ends_at = [], 0.0
        for audience in audiences:
            kind, token, ends_at = self._token(audience)
            if audience == hub:
                session.token = token
            requests.append(
                Request({"operation": "put-token", "type": kind, "name": audience, "expiration": int(ends_at)}, token)
            )
        for answer in session.cbs.ask(requests, deadline):
            _check(answer, self._where)
        session.token_ends_at = ends_at

    def _token(self, audience: str) -> tuple[str, str, float]:
        """Kind, text and end (Unix seconds) of a token for `audience`."""
        if self._credential is not None:
            try:
                found = self._credential.get_token(TOKEN_SCOPE)
            except Exception as error:
                raise UnauthorizedError(
                    f"No Entra ID token for {self._where} ({type(error).__name__}). Sign in (az login), or give this "
                    "machine a managed identity or service principal."
                ) from error
            return "jwt", found.token, found.expires_on
        if self._settings.signature is not None:
            ends_at = self._settings.signature_expires_at()
        else:
            ends_at = int(time.time()) + _TOKEN_LIFE
        token = self._settings.shared_access_token(audience, ends_at)
        return "servicebus.windows.net:sastoken", token, ends_at


class _Session:
    """One connection with its two standing request links and its token."""

    def __init__(self, connection: AmqpConnection) -> None:
        self.connection = connection
        self.cbs = RequestLink(connection, "$cbs")
        self.token = ""
        self.token_ends_at = 0.0
        self._management: RequestLink | None = None

    @property
    def management(self) -> RequestLink:
        # Attached after signing in: the service refuses it before.
        if self._management is None:
            self._management = RequestLink(self.connection, "$management")
        return self._management


def _has_events(link: Link) -> bool:
    """True when there are some; raises why the link ended once all that came before is taken."""
    if not link.arrived:
        link.ready()
    return bool(link.arrived)


def _taken(link: Link, connection: AmqpConnection) -> list[ReceivedEvent]:
    """The events that have arrived, at least one, settled."""
    deliveries = [link.arrived.popleft() for _ in range(min(len(link.arrived), _LARGEST_LIST))]
    unsettled = [d.delivery_id for d in deliveries if not d.settled]
    if unsettled:
        connection.settle(unsettled[0], unsettled[-1])
    return [_received(decoded(d.payload, connection.where), connection.where) for d in deliveries]


def _received(message: Message, where: str) -> ReceivedEvent:
    annotations = message.annotations
    try:
        sequence, offset = annotations["x-opt-sequence-number"], annotations["x-opt-offset"]
        enqueued_ms = annotations["x-opt-enqueued-time"]
    except KeyError as error:
        raise ProtocolError(
            f"An event of {where} has no sequence number, offset or time. Check that this is an Event Hubs namespace."
        ) from error
    key, publisher = annotations.get("x-opt-partition-key"), annotations.get("x-opt-publisher")
    others = ((k, v) for k, v in annotations.items() if k not in ANNOTATIONS_WITH_FIELD)
    standard = zip(STANDARD_PROPERTIES, message.properties, strict=False)
    return ReceivedEvent(
        body=_body(message),
        sequence=sequence,
        offset=as_text(offset),
        enqueued_ms=enqueued_ms,
        partition_key=None if key is None else as_text(key),
        properties=text_map(message.application_properties.items()),
        publisher=None if publisher is None else as_text(publisher),
        system_properties=text_map([*standard, *others]),
    )


def _body(message: Message) -> bytes:
    if message.data:
        return bytes(message.data[0]) if len(message.data) == 1 else b"".join(message.data)
    body = list(message.sequences) if message.sequences else message.value
    if body is None:
        return b""
    return body if isinstance(body, bytes) else as_text(body).encode()


def _answer(message: Message, where: str) -> dict[str, Any]:
    _check(message, where)
    if not isinstance(message.value, dict):
        raise ProtocolError(f"The management node of {where} gave no map. Try transport 'sdk'.")
    return message.value


def _check(message: Message, where: str) -> None:
    """Raise what a status code other than 2xx means; the descriptions can repeat what we sent, so they are dropped."""
    properties = message.application_properties
    status = properties.get("status-code", properties.get("statusCode"))
    if not isinstance(status, int):
        raise ProtocolError(f"An answer of {where} has no status. Try transport 'sdk'.")
    if 200 <= status < 300:
        return
    if status in {401, 403}:
        raise UnauthorizedError(
            f"Access refused ({where}: {status}). Check the key or shared access policy (it needs Listen to read), or "
            "the Entra ID role (Azure Event Hubs Data Receiver)."
        )
    if status in {404, 410}:
        raise HubNotFoundError(
            f"Not found ({where}: {status}). Check the names of namespace, hub and consumer group, and the partition."
        )
    if status in {429, 503}:
        raise ServerBusyError(f"The namespace throttles ({where}: {status}). Wait, or add throughput units.")
    if status >= 500 or status == 408:
        raise HubUnreachableError(f"The service failed ({where}: {status}). Try again.")
    raise ProtocolError(f"The service refused the request ({where}: {status}). Try transport 'sdk'.")
