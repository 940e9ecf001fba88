"""What a namespace's own nodes say: descriptions from `$management`, and status codes as typed errors."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from eventhubs.amqp import Message
from eventhubs.errors import HubNotFoundError, HubUnreachableError, ProtocolError, ServerBusyError, UnauthorizedError
from eventhubs.receiver import HubInfo, PartitionInfo

__all__ = ["HUB", "LATEST_MS", "check_status", "info_of", "partition"]

LATEST_MS = 253_402_300_800_000
"""The year 10000 in Unix milliseconds, which no time of the service reaches."""
_HUB_TYPE, _PARTITION_TYPE = "com.microsoft:eventhub", "com.microsoft:partition"

HUB = {"type": _HUB_TYPE}
"""The question what a hub is, as properties of a request."""


def partition(partition_id: str) -> dict[str, str]:
    """The question what a partition holds."""
    return {"type": _PARTITION_TYPE, "partition": partition_id}


def info_of(answer: Message, question: dict[str, str], where: str) -> Any:
    """The `HubInfo` or `PartitionInfo` that was asked for. Raises what its status means, or `ProtocolError`."""
    check_status(answer, where)
    try:
        if question["type"] == _HUB_TYPE:
            return msgspec.convert(answer.value, _HubAnswer).as_info()
        return msgspec.convert(answer.value, _PartitionAnswer).as_info()
    except msgspec.ValidationError:
        raise ProtocolError(f"The management node of {where} gave no proper answer. Try transport 'sdk'.") from None


def check_status(answer: Message, where: str) -> None:
    """Raise what a status code other than 2xx means; the descriptions can repeat what we sent, so they are dropped."""
    properties = answer.application_properties
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
    if 500 <= status < 600 or status == 408:
        raise HubUnreachableError(f"The service failed ({where}: {status}). Try again.")
    raise ProtocolError(f"The service refused the request ({where}: {status}). Try transport 'sdk'.")


class _HubAnswer(msgspec.Struct):
    name: str
    created_at: Annotated[int, msgspec.Meta(ge=0, lt=LATEST_MS)]
    partition_ids: Annotated[list[str], msgspec.Meta(min_length=1)]

    def as_info(self) -> HubInfo:
        return HubInfo(self.name, self.created_at, tuple(self.partition_ids))


class _PartitionAnswer(msgspec.Struct):
    partition: str
    begin_sequence_number: Annotated[int, msgspec.Meta(ge=0)]
    last_enqueued_sequence_number: Annotated[int, msgspec.Meta(ge=-1)]
    last_enqueued_time_utc: Annotated[int, msgspec.Meta(lt=LATEST_MS)]
    is_partition_empty: bool

    def as_info(self) -> PartitionInfo:
        return PartitionInfo.from_service(
            self.partition,
            self.begin_sequence_number,
            self.last_enqueued_sequence_number,
            self.is_partition_empty,
            self.last_enqueued_time_utc,
        )
