"""Tokens to sign in with: signed with a key, a given signature, or Entra ID's, whose library only its users import."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from eventhubs.errors import EventHubsError, HubUnreachableError, UnauthorizedError
from eventhubs.settings import HubConnection
from eventhubs.threads import ThreadedCall

__all__ = ["TOKEN_SCOPE", "Credential", "Token", "TokenSource", "entra_credential"]

TOKEN_SCOPE = "https://eventhubs.azure.net//.default"  # noqa: S105 - the name of a scope, no secret
"""What to ask a token for. Both slashes belong to it, as in all of Microsoft's clients."""

_KEY_TOKEN_LIFE = 3_600
"""Seconds that a token we sign ourselves is good for."""
_MARGIN = 300.0
"""Seconds before its end at which a token is renewed; a quarter of its life where that is less."""


class Credential(Protocol):
    """Azure's interface of a credential (`azure.core.credentials.TokenCredential`), as far as it is used here."""

    def get_token(self, *scopes: str) -> Any:
        """A token: `token` is its text, `expires_on` its end (Unix seconds)."""
        ...


class Token(NamedTuple):
    """One token; times are Unix seconds."""

    kind: str
    text: str
    ends_at: int
    renew_at: float


class TokenSource:
    """Gives tokens for one connection; `clock` is the wall clock."""

    def __init__(
        self, connection: HubConnection, credential: Credential | None, clock: Callable[[], float] = time.time
    ) -> None:
        self._connection = connection
        self._credential = credential
        self._clock = clock

    def token(self, audience: str, deadline: float) -> Token:
        """A token for `audience`. Raises `UnauthorizedError`, or `HubUnreachableError` where trying again can help."""
        now = self._clock()
        if self._credential is not None:
            return self._entra_token(self._credential, now, deadline)
        ends_at = int(now) + _KEY_TOKEN_LIFE
        if self._connection.signature is not None:
            ends_at = self._connection.signature_expires_at()
            if ends_at <= now:
                raise UnauthorizedError(
                    f"The shared access signature for {self._connection.endpoint} has expired. Create a new one, or "
                    "use a key."
                )
        text = self._connection.shared_access_token(audience, ends_at)
        return Token("servicebus.windows.net:sastoken", text, ends_at, _renewal(now, ends_at))

    def _entra_token(self, credential: Credential, now: float, deadline: float) -> Token:
        try:
            found = ThreadedCall(lambda: credential.get_token(TOKEN_SCOPE), "eventhubs-credential").result(deadline)
        except Exception as error:
            raise _no_token(error, self._connection.endpoint) from error
        return Token("jwt", found.token, int(found.expires_on), _renewal(now, found.expires_on))


@functools.cache
def entra_credential(connection: HubConnection) -> Credential | None:
    """The credential of a connection that uses Entra ID, one for all its clients in this process: it caches tokens."""
    if not connection.uses_entra_id:
        return None
    from azure.identity import DefaultAzureCredential

    return DefaultAzureCredential()


def _renewal(now: float, ends_at: float) -> float:
    return ends_at - min(_MARGIN, max(ends_at - now, 0.0) / 4)


def _no_token(error: Exception, endpoint: str) -> EventHubsError:
    from azure.core.exceptions import ServiceRequestError, ServiceResponseError

    if isinstance(error, ServiceRequestError | ServiceResponseError | TimeoutError):
        return HubUnreachableError(
            f"No answer from Entra ID for {endpoint} ({type(error).__name__}). Check the network, then try again."
        )
    return UnauthorizedError(
        f"No Entra ID token for {endpoint} ({type(error).__name__}). Sign in (az login), or give this machine a "
        "managed identity or service principal."
    )
