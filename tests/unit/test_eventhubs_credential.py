"""Tokens: of the right kind, renewed before their end, and never waited for without end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

import pytest
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError

from eventhubs.credential import TOKEN_SCOPE, TokenSource, entra_credential
from eventhubs.errors import EventHubsError, HubUnreachableError, UnauthorizedError
from eventhubs.settings import HubConnection

KEY = HubConnection("a.b", key_name="listen", key="secret")
ENTRA = HubConnection("a.b")
NOW = 1_800_000_000.0


class Found(NamedTuple):
    token: str
    expires_on: int


class Stub:
    """Azure's interface; gives what it is told to."""

    def __init__(self, give: Callable[[], Found]) -> None:
        self.give = give
        self.asked: list[str] = []

    def get_token(self, *scopes: str) -> Found:
        self.asked += scopes
        return self.give()


def soon() -> float:
    return time.monotonic() + 10


def signed_by(signature: str) -> HubConnection:
    return HubConnection("a.b", signature=signature)


def test_key_signs_a_token_for_an_hour_that_is_renewed_five_minutes_before() -> None:
    token = TokenSource(KEY, None, lambda: NOW).token("sb://a.b/reports", soon())
    assert token.kind == "servicebus.windows.net:sastoken"
    assert token.text == KEY.shared_access_token("sb://a.b/reports", int(NOW) + 3_600)
    assert (token.ends_at - NOW, token.ends_at - token.renew_at) == (3_600, 300)


def test_given_signature_is_passed_on_until_it_has_expired() -> None:
    text = f"SharedAccessSignature sr=x&sig=y&se={int(NOW) + 8}&skn=z"
    token = TokenSource(signed_by(text), None, lambda: NOW).token("sb://a.b/reports", soon())
    assert (token.text, token.ends_at) == (text, NOW + 8)
    with pytest.raises(UnauthorizedError, match=r"signature for .* has expired"):
        TokenSource(signed_by(text), None, lambda: NOW + 8).token("sb://a.b/reports", soon())


@pytest.mark.parametrize(("life", "margin"), [(3_600, 300), (1_200, 300), (4, 1), (0, 0)])
def test_entra_token_is_renewed_in_the_last_quarter_of_a_short_life(life: int, margin: int) -> None:
    stub = Stub(lambda: Found("text", int(NOW) + life))
    token = TokenSource(ENTRA, stub, lambda: NOW).token("sb://a.b/reports", soon())
    assert (token.kind, token.text, token.ends_at) == ("jwt", "text", NOW + life)
    assert token.ends_at - token.renew_at == margin
    assert stub.asked == [TOKEN_SCOPE]


@pytest.mark.parametrize(
    ("problem", "kind"),
    [
        (ClientAuthenticationError("who are you?"), UnauthorizedError),
        (ValueError("anything"), UnauthorizedError),
        (ServiceRequestError("no network"), HubUnreachableError),
    ],
)
def test_credential_that_fails_is_a_typed_error(problem: Exception, kind: type[EventHubsError]) -> None:
    def fail() -> Found:
        raise problem

    with pytest.raises(kind, match=type(problem).__name__):
        TokenSource(ENTRA, Stub(fail)).token("sb://a.b/reports", soon())


def test_credential_that_hangs_is_given_up() -> None:
    never = threading.Event()

    def hang() -> Found:
        never.wait()
        return Found("too late", 0)

    try:
        with pytest.raises(HubUnreachableError, match="No answer from Entra ID for"):
            TokenSource(ENTRA, Stub(hang)).token("sb://a.b/reports", time.monotonic() + 0.05)
    finally:
        never.set()


def test_only_a_connection_without_a_key_has_azures_own_credential() -> None:
    assert entra_credential(KEY) is None
    assert type(entra_credential(ENTRA)).__name__ == "DefaultAzureCredential"
    assert entra_credential(HubConnection("a.b")) is entra_credential(ENTRA), "it caches tokens"
