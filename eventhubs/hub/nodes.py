"""The two nodes that answer requests: `$cbs` takes tokens, `$management` describes hubs and partitions.

Both are functions from a request message to a reply message.
"""

from __future__ import annotations

import uuid
from typing import Any, NamedTuple

from eventhubs.amqp import Array, Int, Message, Timestamp, ULong, encode_message
from eventhubs.hub.access import Authorisation, Right, TokenError
from eventhubs.hub.address import Address, path_of
from eventhubs.hub.refusals import RefusedError, not_found
from eventhubs.hub.service import Hub, Partition, Service

__all__ = ["NEVER_MS", "manage", "put_token", "reply_address"]

NEVER_MS = -62_135_596_800_000
"""The service's time for "never": the first of January of the year 1."""
_SAS, _JWT = "servicebus.windows.net:sastoken", "jwt"
_MESSAGE_ID, _REPLY_TO = 0, 4
_STATUS_OF = {"amqp:not-found": 404, "amqp:unauthorized-access": 401, "com.microsoft:server-busy": 503}


class _Reply(NamedTuple):
    status: int
    description: str
    body: dict[str, Any] | None = None
    condition: str | None = None


def put_token(request: Message, service: Service, authorisation: Authorisation, now_s: float) -> bytes:
    """Answer a request to `$cbs`."""
    asked = request.application_properties
    if asked.get("operation") != "put-token":
        return _encode(request, _Reply(400, "the only operation is put-token"))
    token, kind, name = request.value, asked.get("type"), asked.get("name")
    if kind not in (_SAS, _JWT):
        return _encode(request, _Reply(400, f"the token's type is neither {_SAS} nor {_JWT}"))
    path = path_of(name) if isinstance(name, str) else None
    if not isinstance(name, str) or path is None:
        return _encode(request, _Reply(400, "the name the token is for is not an address"))
    if not isinstance(token, str) or not token:
        return _encode(request, _Reply(401, "MalformedToken: The token is not a text."))
    keys = service.keys
    try:
        grant = keys.check_signature(token, path, now_s) if kind == _SAS else keys.take_jwt(path)
    except TokenError as error:
        return _encode(request, _Reply(401, str(error)))
    if path and path[0] not in service.hubs:
        return _encode(request, _Reply(404, not_found(name).description))
    authorisation.add(grant)
    return _encode(request, _Reply(202, "Accepted"))


def manage(request: Message, service: Service, authorisation: Authorisation, now_s: float) -> bytes:
    """Answer a request to `$management`."""
    asked = request.application_properties
    if asked.get("operation") != "READ":
        return _encode(request, _Reply(400, "the only operation is READ", condition="amqp:not-implemented"))
    try:
        hub = service.hub(Address(str(asked.get("name")).lower()))
        service.faults.check_throttle(hub.name)
        _check_access(hub, asked.get("security_token"), service, authorisation, now_s)
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


def _check_access(hub: Hub, token: Any, service: Service, authorisation: Authorisation, now_s: float) -> None:
    """Ask for what the service asks for: a token put on the connection, and one in the request. Any right will do."""
    path = (hub.name.lower(),)
    if not isinstance(token, str) or not token or not authorisation.allows(path, Right.ALL, now_s):
        raise RefusedError(
            "amqp:unauthorized-access",
            "Unauthorized access. A token has to be put to $cbs, and given as 'security_token' of the request.",
        )
    try:
        service.keys.check(token, path, now_s)
    except TokenError as error:
        raise RefusedError("amqp:unauthorized-access", str(error)) from None


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
    never_used = log.next_sequence == 0
    return {
        "name": hub.name,
        "type": "com.microsoft:partition",
        "partition": partition.id,
        "begin_sequence_number": log.begin_sequence,
        "last_enqueued_sequence_number": log.next_sequence - 1,
        "last_enqueued_offset": str(log.last_position),
        "last_enqueued_time_utc": Timestamp(NEVER_MS if never_used else log.last_enqueued_ms),
        "is_partition_empty": log.begin_sequence == log.next_sequence,
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
