"""The official SDK behind our own types: clients made from a `HubConnection`, its errors as ours."""

from __future__ import annotations

import re
from typing import Any

from azure.eventhub import EventHubConsumerClient, EventHubProducerClient
from azure.eventhub.exceptions import (
    AuthenticationError,
    ConnectError,
    ConnectionLostError,
    EventHubError,
    OperationTimeoutError,
)

from eventhubs.errors import (
    ConfigurationError,
    EventHubsError,
    HubNotFoundError,
    HubUnreachableError,
    ServerBusyError,
    UnauthorizedError,
    error_for_condition,
)
from eventhubs.settings import HubConnection

__all__ = ["consumer_client", "producer_client", "translated"]


def consumer_client(
    connection: HubConnection, credential: Any | None, hub: str, consumer_group: str
) -> EventHubConsumerClient:
    """An SDK client that reads `hub`; opens nothing yet."""
    return _client(
        EventHubConsumerClient,
        connection,
        credential,
        hub,
        consumer_group=consumer_group,
        # The SDK's claiming thread ends at its next turn after closing: a second, not half a minute.
        load_balancing_interval=1,
    )


def producer_client(connection: HubConnection, credential: Any | None, hub: str) -> EventHubProducerClient:
    """An SDK client that sends to `hub`; opens nothing yet."""
    return _client(EventHubProducerClient, connection, credential, hub)


def translated(error: Exception, where: str) -> EventHubsError:
    """The SDK's error as ours; `where` names the entity concerned."""
    condition = getattr(error, "error", None)
    if isinstance(error, ValueError) and "Wrong partition id" in str(error):
        return HubNotFoundError(f"Not found ({where}). Check that the partition exists.")
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return ConfigurationError(
            f"The certificate is not trusted ({where}). Check the host name and this machine's certificate authorities."
        )
    answered = _answered(str(error), where)
    if answered is not None:
        return answered
    if isinstance(error, AuthenticationError):
        return _refused(condition, where)
    if condition:
        typed = error_for_condition(f"amqp:{condition}", where)
        if typed.transient or condition not in _UNNAMED:
            return typed
    if isinstance(error, ConnectError | ConnectionLostError | OperationTimeoutError | OSError | TimeoutError):
        return HubUnreachableError(
            f"No connection to Event Hubs ({where}). Check the host, the network (port 5671 outward) and the "
            "service's health, then try again."
        )
    if isinstance(error, EventHubError):
        return HubUnreachableError(f"The SDK gave up ({where}: {type(error).__name__}). Try again.")
    return HubUnreachableError(f"The connection broke ({where}: {type(error).__name__}). Try again.")


_UNNAMED = frozenset({"client-error", "unknown-error", "vendor-error"})
"""What the SDK calls whatever has no name: as a rule a connection that broke while something else was going on."""
_STATUS = re.compile(r"Status code: (\d{3})\b")


def _answered(text: str, where: str) -> EventHubsError | None:
    """What a status means that the SDK has put into words only, whatever class it threw."""
    status = _STATUS.search(text)
    if status is None:
        return None
    if status[1] in {"404", "410"}:
        return HubNotFoundError(f"Not found ({where}). Check the names of namespace and hub.")
    if status[1] in {"429", "503"}:
        return ServerBusyError(f"The namespace throttles ({where}). Wait, or add throughput units.")
    return None


def _refused(condition: str | None, where: str) -> EventHubsError:
    """Tell apart what the SDK throws into one class: a slow service, a wrong key."""
    if condition == "internal-error":
        return HubUnreachableError(f"Signing in took too long ({where}). Try again; check the service's health.")
    return UnauthorizedError(
        f"Access refused ({where}). Check the key or shared access policy (it needs Listen to read, Send to send), "
        "or the Entra ID role (Azure Event Hubs Data Receiver / Data Sender)."
    )


def _client(kind: Any, connection: HubConnection, credential: Any | None, hub: str, **options: Any) -> Any:
    connection.check_hub(hub)
    # Our own callers retry, with deadlines; a retry inside a retry would multiply the waits.
    options |= {"retry_total": 0}
    if credential is not None:
        return kind(connection.endpoint, hub, credential=credential, use_tls=connection.use_tls, **options)
    return kind.from_connection_string(connection.to_text(), eventhub_name=hub, **options)
