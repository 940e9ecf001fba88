"""The Entra ID credential, imported only by those who use one."""

from __future__ import annotations

from typing import Any

from eventhubs.settings import HubConnection

__all__ = ["TOKEN_SCOPE", "entra_credential"]

TOKEN_SCOPE = "https://eventhubs.azure.net//.default"  # noqa: S105 - the name of a scope, no secret
"""What to ask a token for. Both slashes belong to it, as in all of Microsoft's clients."""


def entra_credential(connection: HubConnection) -> Any | None:
    """The credential of a connection that uses Entra ID, to be shared by all its clients: it caches tokens."""
    if not connection.uses_entra_id:
        return None
    from azure.identity import DefaultAzureCredential

    return DefaultAzureCredential()
