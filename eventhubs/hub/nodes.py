"""The two nodes that answer requests: `$cbs` takes tokens, `$management` describes hubs and partitions.

Both are functions from a request message to a reply message. `$cbs` accepts every well-formed token that has not
expired: the local hub checks no signatures.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from eventhubs.amqp import Array, Int, Message, Timestamp, ULong, encode_message
from eventhubs.hub.address import Address, entity_of
from eventhubs.hub.service import Hub, Partition, RefusedError, Service

__all__ = ["NEVER_MS", "Authorisation", "manage", "put_token", "reply_address"]

NEVER_MS = -62_135_596_800_000
"""The service's time for "never": the first of January of the year 1."""
_SAS, _JWT = "servicebus.windows.net:sastoken", "jwt"
_MESSAGE_ID, _REPLY_TO = 0, 4
_STATUS_OF = {"amqp:not-found": 404, "amqp:unauthorized-access": 401}


class Authorisation:
    """Which hubs one connection has shown a token for."""

    def __init__(self) -> None:
        self._hubs: set[str] = set()

    def grant(self, hub: str) -> None:
        """Note a token for a hub; an empty name is the whole namespace."""
        self._hubs.add(hub)

    def check(self, hub: Hub) -> None:
        """Raise `RefusedError` unless a token for this hub was shown."""
        if not self._hubs & {hub.name.lower(), ""}:
            raise RefusedError(
                "amqp:unauthorized-access",
                f"no token for '{hub.name}' was put on this connection; put one to $cbs first",
            )


class _Reply(NamedTuple):
    status: int
    description: str
    body: dict[str, Any] | None = None
    condition: str | None = None


def put_token(request: Message, authorisation: Authorisation, now_s: Callable[[], float]) -> bytes:
    """Answer a request to `$cbs`."""
    asked = request.application_properties
    if asked.get("operation") != "put-token":
        return _encode(request, _Reply(400, "the only operation is put-token"))
    token, kind, name = request.value, asked.get("type"), asked.get("name")
    if not isinstance(token, str) or not token or kind not in (_SAS, _JWT) or not isinstance(name, str):
        return _encode(
            request, _Reply(401, "a token, its type and the name it is for must be strings that are not empty")
        )
    if kind == _SAS:
        fields = parse_qs(token.removeprefix("SharedAccessSignature "))
        expiry = fields.get("se", [""])[0]
        if not {"sr", "sig", "skn"} <= fields.keys() or not expiry.isdecimal():
            return _encode(request, _Reply(401, "the token is not a shared access signature"))
        if int(expiry) <= now_s():
            return _encode(request, _Reply(401, "the token has expired"))
    hub = entity_of(name)
    if hub is None:
        return _encode(request, _Reply(400, "the name the token is for is not an address"))
    authorisation.grant(hub)
    return _encode(request, _Reply(202, "Accepted"))


def manage(request: Message, service: Service, authorisation: Authorisation) -> bytes:
    """Answer a request to `$management`."""
    asked = request.application_properties
    if asked.get("operation") != "READ":
        return _encode(request, _Reply(400, "the only operation is READ", condition="amqp:not-implemented"))
    try:
        hub = service.hub(Address(str(asked.get("name")).lower()))
        authorisation.check(hub)
        match asked.get("type"):
            case "com.microsoft:eventhub":
                body = _describe_hub(hub)
            case "com.microsoft:partition":
                body = _describe_partition(hub, hub.partition(str(asked.get("partition"))))
            case _:
                return _encode(request, _Reply(400, "the type is unknown", condition="amqp:not-implemented"))
    except RefusedError as error:
        status = _STATUS_OF.get(error.condition, 400)
        return _encode(request, _Reply(status, error.description, condition=error.condition))
    return _encode(request, _Reply(200, "OK", body))


def reply_address(request: Message) -> str | None:
    """Give the address the request wants its reply sent to, if it says so."""
    address = request.properties[_REPLY_TO] if len(request.properties) > _REPLY_TO else None
    return address if isinstance(address, str) else None


def _describe_hub(hub: Hub) -> dict[str, Any]:
    return {
        "name": hub.name,
        "type": "com.microsoft:eventhub",
        "created_at": Timestamp(hub.created_at_ms),
        "partition_count": Int(len(hub.partitions)),
        "partition_ids": Array(tuple(partition.id for partition in hub.partitions)),
    }


def _describe_partition(hub: Hub, partition: Partition) -> dict[str, Any]:
    log = partition.log
    empty = log.next_sequence == 0
    return {
        "name": hub.name,
        "type": "com.microsoft:partition",
        "partition": partition.id,
        "begin_sequence_number": 0,
        "last_enqueued_sequence_number": log.next_sequence - 1,
        "last_enqueued_offset": str(log.last_position),
        "last_enqueued_time_utc": Timestamp(NEVER_MS if empty else log.last_enqueued_ms),
        "is_partition_empty": empty,
    }


def _encode(request: Message, reply: _Reply) -> bytes:
    message_id = request.properties[_MESSAGE_ID] if request.properties else None
    # A message id is a uuid, a string, binary or a ulong; only the last needs its type marked.
    correlation_id = ULong(message_id) if isinstance(message_id, int) and message_id >= 0 else message_id
    if not isinstance(correlation_id, uuid.UUID | str | bytes | ULong):
        correlation_id = None
    described: dict[str, Any] = {"status-code": Int(reply.status), "status-description": reply.description}
    if reply.condition:
        described["error-condition"] = reply.condition
    return encode_message(
        properties=(None, None, None, None, None, correlation_id),
        application_properties=described,
        value=reply.body,
    )
