"""Reading through our own lean AMQP client: one kept connection, cheap links, everything asked side by side.

Signing in, one `$management` link for all questions, and a short-lived session with a receiver link per range of
events. Opening a range costs one round trip, asking for any number of partitions another, where the official SDK takes
half a second each. A connection that has been idle is opened anew instead of being kept alive by a thread.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from types import TracebackType
from typing import Any, Literal, Self

from eventhubs.amqp import Message, Symbol
from eventhubs.amqp_answers import HUB, LATEST_MS, check_status, info_of, partition
from eventhubs.amqp_client import AmqpConnection, decoded
from eventhubs.amqp_requests import Request, RequestLink
from eventhubs.amqp_session import Delivery, Link, Session
from eventhubs.credential import Credential, Token, TokenSource
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
"""Events; what bounds their bytes is the session's window."""
_LARGEST_LIST = 500
_LARGEST_LIST_BYTES = 4 * 1_048_576
_SILENCE = 3.0
"""Seconds without an event after which we ask whether retention has passed the wanted ones."""
_PROMPT = 10.0
"""Seconds within which a connection that lives answers; one that was cut off without a word never does."""
_IDLE = 30.0
"""Seconds after which a kept connection is not trusted any more; the service ends idle ones after a minute or more."""


class AmqpReceiver:
    """A `HubReceiver` on `eventhubs.amqp`; `credential` is needed where the connection uses Entra ID."""

    transport: Literal["amqp"] = "amqp"

    def __init__(
        self,
        connection: HubConnection,
        hub: str,
        consumer_group: str,
        receive_timeout: float,
        credential: Credential | None = None,
    ) -> None:
        connection.check_hub(hub)
        self._settings = connection
        self._hub = hub
        self._group = consumer_group
        self._timeout = receive_timeout
        self._where = f"hub {hub} at {connection.endpoint}"
        self._tokens = TokenSource(connection, credential)
        self._kept: _Connected | None = None

    def hub_info(self) -> HubInfo:
        """See `HubReceiver`."""
        return self.describe([])[0]

    def partition_infos(self, partition_ids: Sequence[str]) -> list[PartitionInfo]:
        """See `HubReceiver`; all partitions in one round trip."""
        return self._manage([partition(p) for p in partition_ids])

    def describe(self, partition_ids: Sequence[str]) -> tuple[HubInfo, list[PartitionInfo]]:
        """See `HubReceiver`; all in one round trip."""
        hub, *infos = self._manage([HUB, *(partition(p) for p in partition_ids)])
        return hub, infos

    def sequence_at(self, partition_id: str, enqueued_ms: int) -> int:
        """See `HubReceiver`."""
        [info] = self.partition_infos([partition_id])
        if not info.reaches(enqueued_ms):
            return info.next_sequence
        start = f"amqp.annotation.x-opt-enqueued-time >= '{enqueued_ms}'"
        arriving = self._arriving(partition_id, start, 1, None)
        try:
            return next(arriving)[0].sequence
        finally:
            arriving.close()

    def read(self, partition_id: str, first_sequence: int, count: int) -> Iterator[list[ReceivedEvent]]:
        """See `HubReceiver`."""
        start = f"amqp.annotation.x-opt-sequence-number >= '{first_sequence}'"
        arriving = self._arriving(partition_id, start, count, first_sequence)
        yield from exactly(partition_id, first_sequence, count, arriving)

    def close(self) -> None:
        """See `HubReceiver`."""
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _arriving(
        self, partition_id: str, start: str, count: int, wanted: int | None
    ) -> Generator[list[ReceivedEvent], None, None]:
        """What a link from `start` on delivers, until the silence is longer than the receive timeout.

        `wanted` is the number of the first event, where it is known.
        """
        deadline = time.monotonic() + self._timeout
        kept = self._ready(deadline)
        connection = kept.connection
        session, link = self._attached(kept, partition_id, start, count)
        left = count
        try:
            while True:
                if time.time() >= kept.token.renew_at:
                    self._sign_in(kept, deadline)
                if not connection.wait(link.has_messages, min(deadline, time.monotonic() + _SILENCE)):
                    self._explain_silence(partition_id, wanted, deadline)
                    continue
                connection.handle_received()
                deliveries = link.take(_LARGEST_LIST, _LARGEST_LIST_BYTES)
                left -= len(deliveries)
                if link.credit < min(left, _LARGEST_CREDIT // 2):
                    session.allow(link, min(left, _LARGEST_CREDIT))
                kept.proven = True
                events = [_received(d, self._where) for d in deliveries]
                wanted = events[-1].sequence + 1
                yield events
                deadline = time.monotonic() + self._timeout
        except UnauthorizedError as error:
            self._drop(kept)
            if left < count:
                raise self._token_ended() from error
            if not kept.proven:
                raise
        except EventHubsError as error:
            if not (isinstance(error, DataLossError) or error is link.error or error is session.error):
                self._drop(kept)
            raise
        finally:
            self._let_go(session, kept)
        # A connection that had let us in before: a new one, whose refusal counts.
        yield from self._arriving(partition_id, start, count, wanted)

    def _attached(self, kept: _Connected, partition_id: str, start: str, count: int) -> tuple[Session, Link]:
        try:
            session = kept.connection.begin()
            link = session.attach(
                receiver=True,
                source=f"amqps://{self._settings.endpoint}/{self._hub}/ConsumerGroups/{self._group}"
                f"/Partitions/{partition_id}",
                target=f"reactionwatch-{partition_id}",
                start=start,
                properties={Symbol("com.microsoft:timeout"): int(self._timeout * 1_000)},
            )
            session.allow(link, min(count, _LARGEST_CREDIT))
        except EventHubsError:
            self._drop(kept)
            raise
        return session, link

    def _let_go(self, session: Session, kept: _Connected) -> None:
        if self._kept is kept:
            try:
                session.end()
            except HubUnreachableError:
                # The reader has what it wanted; whoever comes next opens a new connection.
                self._drop(kept)

    def _explain_silence(self, partition_id: str, wanted: int | None, deadline: float) -> None:
        """Raise why nothing comes, if that is known or the time is over."""
        now = time.monotonic()
        if now >= deadline:
            awaited = "an event" if wanted is None else f"event {wanted}"
            raise HubUnreachableError(
                f"Partition {partition_id} of {self._where} delivered nothing for {self._timeout:g} s while {awaited} "
                "was awaited. Check that the event exists, the network and the service's health, or raise the receive "
                "timeout."
            )
        [info] = self._ask([partition(partition_id)], min(deadline, now + _PROMPT))
        if wanted is not None and info.begin_sequence > wanted:
            raise DataLossError(partition_id, wanted, info.begin_sequence)

    def _manage(self, questions: Sequence[dict[str, str]]) -> list[Any]:
        """Put READ requests to the management node; on a new connection if the kept one turns out to be dead."""
        if not questions:
            return []
        deadline = time.monotonic() + self._timeout
        kept = self._kept
        if kept is not None:
            try:
                return self._ask(questions, min(deadline, time.monotonic() + _PROMPT))
            except UnauthorizedError:
                if not kept.proven:
                    raise
            except HubUnreachableError:
                if time.monotonic() >= deadline:
                    raise
        return self._ask(questions, deadline)

    def _ask(self, questions: Sequence[dict[str, str]], deadline: float) -> list[Any]:
        """Put READ requests to the management node, all under way at once; gives the infos."""
        common = {"operation": "READ", "name": self._hub}
        kept = self._ready(deadline)
        try:
            requests = [Request(common | q | {"security_token": kept.token.text}) for q in questions]
            told = zip(questions, kept.management.ask(requests, deadline), strict=True)
            infos = [info_of(answer, question, self._where) for question, answer in told]
        except EventHubsError as error:
            # An answer about the hub leaves the connection as good as it was.
            if not isinstance(error, HubNotFoundError | ServerBusyError):
                self._drop(kept)
            raise
        kept.proven = True
        return infos

    def _token_ended(self) -> HubUnreachableError:
        """A refusal after events had come is no wrong key: the token has expired, and the next one may do."""
        return HubUnreachableError(
            f"The service does not accept our token any more ({self._where}). Sign in again; if it stays, check the "
            "key, the role, and this machine's clock."
        )

    def _drop(self, kept: _Connected) -> None:
        """Close a connection that is of no more use, unless there is a newer one already."""
        if self._kept is kept:
            self.close()

    def _ready(self, deadline: float) -> _Connected:
        """The kept connection, or a new one; its token is good for a while."""
        kept = self._kept
        if kept is not None and kept.connection.is_stale(_IDLE):
            self.close()
            kept = None
        if kept is None:
            connection = AmqpConnection(self._settings, self._where, deadline, self._timeout)
            try:
                self._kept = kept = _Connected(connection)
            except BaseException:
                connection.close()
                raise
        if time.time() >= kept.token.renew_at:
            try:
                self._sign_in(kept, deadline)
            except BaseException:
                self._drop(kept)
                raise
        return kept

    def _sign_in(self, kept: _Connected, deadline: float) -> None:
        """Put a token for the hub and one for the consumer group."""
        hub = f"sb://{self._settings.endpoint}/{self._hub}"
        audiences = (hub, f"{hub}/consumergroups/{self._group}")
        tokens = [self._tokens.token(audience, deadline) for audience in audiences]
        requests = [
            Request(
                {"operation": "put-token", "type": token.kind, "name": audience, "expiration": token.ends_at},
                token.text,
            )
            for audience, token in zip(audiences, tokens, strict=True)
        ]
        for answer in kept.cbs.ask(requests, deadline):
            check_status(answer, self._where)
        kept.token = tokens[0]


class _Connected:
    """One connection with its two standing request links and its token."""

    def __init__(self, connection: AmqpConnection) -> None:
        self.connection = connection
        self.token = Token("", "", 0, 0.0)
        self.proven = False
        """The service has accepted our token and served us."""
        self._control = connection.begin()
        self.cbs = RequestLink(connection, self._control, "$cbs")
        self._management: RequestLink | None = None

    @property
    def management(self) -> RequestLink:
        # Attached after signing in: the service refuses it before.
        if self._management is None:
            self._management = RequestLink(self.connection, self._control, "$management")
        return self._management


def _received(delivery: Delivery, where: str) -> ReceivedEvent:
    message = decoded(delivery.payload, where)
    annotations = message.annotations
    sequence, offset = annotations.get("x-opt-sequence-number"), annotations.get("x-opt-offset")
    enqueued_ms = annotations.get("x-opt-enqueued-time")
    if type(sequence) is not int or offset is None or type(enqueued_ms) is not int or not 0 <= enqueued_ms < LATEST_MS:
        raise ProtocolError(
            f"An event of {where} has no sequence number, offset or time. Check that this is an Event Hubs namespace."
        )
    key, publisher = annotations.get("x-opt-partition-key"), annotations.get("x-opt-publisher")
    named = [pair for pair in annotations.items() if pair[0] not in ANNOTATIONS_WITH_FIELD]
    if message.properties:
        named += zip(STANDARD_PROPERTIES, message.properties, strict=False)
    return ReceivedEvent(
        body=_body(message),
        sequence=sequence,
        offset=as_text(offset),
        enqueued_ms=enqueued_ms,
        partition_key=None if key is None else as_text(key),
        properties=text_map(message.application_properties.items()) if message.application_properties else {},
        publisher=None if publisher is None else as_text(publisher),
        system_properties=text_map(named) if named else {},
    )


def _body(message: Message) -> bytes:
    if message.data:
        return bytes(message.data[0]) if len(message.data) == 1 else b"".join(message.data)
    body = list(message.sequences) if message.sequences else message.value
    if body is None:
        return b""
    return body if isinstance(body, bytes) else as_text(body).encode()
