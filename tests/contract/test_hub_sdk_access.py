"""Keys, tokens and names as the official SDK meets them."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from azure.core.credentials import AccessToken, AzureNamedKeyCredential, AzureSasCredential
from azure.eventhub import EventData, EventHubProducerClient
from azure.eventhub._pyamqp.utils import generate_sas_token
from azure.eventhub.aio import EventHubProducerClient as AsyncProducerClient
from azure.eventhub.exceptions import AuthenticationError, ConnectError
from hub_sdk import Reading, at_once, close_later, closed, producer, send

from eventhubs.hub.access import AccessKey, Right
from eventhubs.hub.server import LocalHub

KEYS = (
    AccessKey("root", "root-secret"),
    AccessKey("reader", "reader-secret", Right.LISTEN),
    AccessKey("writer", "writer-secret", Right.SEND),
)
HUBS = {"first": 1, "second": 1}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    folder = tmp_path_factory.mktemp("hub")
    with LocalHub(folder, HUBS, keys=KEYS, consumer_groups=["officers"]) as hub, closed():
        yield hub


def as_(hub: LocalHub, name: str, secret: str) -> str:
    return hub.connection_string.replace("Name=root;", f"Name={name};").replace("root-secret", secret)


def signature(hub: LocalHub, resource: str, seconds: int = 60, key: AccessKey = KEYS[0]) -> str:
    return generate_sas_token(f"sb://localhost:{hub.port}/{resource}", key.name, key.key, int(time.time()) + seconds)


def with_signature(hub: LocalHub, text: str) -> str:
    return f"Endpoint=sb://localhost:{hub.port};SharedAccessSignature={text};UseDevelopmentEmulator=true"


def sending(connection: str, name: str = "first") -> None:
    send(connection, name, "x")


def asking(connection: str, name: str = "first") -> None:
    with producer(connection, name) as client:
        client.get_eventhub_properties()


def reading(connection: str, name: str = "first") -> None:
    with Reading(connection, name) as reading:
        reading.until(lambda r: bool(r.errors or r.opened))
    if reading.errors:
        raise reading.errors[0]


def asyncio_sending(connection: str, name: str = "first") -> None:
    async def send_one() -> None:
        client = AsyncProducerClient.from_connection_string(connection, eventhub_name=name, retry_total=0)
        async with client:
            await client.send_event(EventData("x"))

    asyncio.run(send_one())


DOING = (sending, asking, reading, asyncio_sending)


def test_a_wrong_key_is_refused_as_an_authentication_error(hub: LocalHub) -> None:
    errors = at_once(*(partial(do, as_(hub, "root", "wrong-secret")) for do in DOING))
    assert [type(error) for error in errors] == [AuthenticationError] * len(DOING)
    for text in map(str, errors):
        assert re.search(r"401[\s\S]*InvalidSignature: The token has an invalid signature", text)
        assert "secret" not in text


def test_a_signature_that_does_not_fit_is_refused(hub: LocalHub) -> None:
    errors = at_once(
        partial(sending, as_(hub, "nobody", "root-secret")),
        partial(claiming, hub, signature(hub, "first", -1)),
        partial(claiming, hub, signature(hub, "second")),
        partial(claiming, hub, signature(hub, "first")[:-20]),
    )
    assert [type(error) for error in errors] == [AuthenticationError] * 4
    for problem, error in zip(
        ("InvalidSignature", "ExpiredToken", "InvalidAudience", "MalformedToken"), errors, strict=True
    ):
        assert problem in str(error)


def claiming(hub: LocalHub, text: str) -> None:
    """Send with a credential that does not look at its own end: the SDK would not even try with one that is over."""

    class Claiming:
        token_type = b"servicebus.windows.net:sastoken"

        def get_token(self, *_: str, **__: Any) -> AccessToken:
            return AccessToken(text, int(time.time()) + 60)

    sending_as(hub, Claiming())


def sending_as(hub: LocalHub, credential: Any) -> None:
    client = EventHubProducerClient(f"localhost:{hub.port}", "first", credential, use_tls=False, retry_total=0)
    close_later(client.close)
    client.send_event(EventData("x"))


def test_every_credential_with_a_key_or_a_signature_is_taken(hub: LocalHub) -> None:
    namespace, first = (with_signature(hub, signature(hub, resource)) for resource in ("", "first"))
    before = hub.event_counts()["first"]
    errors = at_once(
        partial(sending, namespace),
        partial(asking, namespace),
        partial(sending, first),
        partial(asking, first),
        partial(reading, first),
        partial(sending_as, hub, AzureNamedKeyCredential("root", "root-secret")),
        partial(sending_as, hub, AzureSasCredential(signature(hub, "first"))),
    )
    assert errors == [None] * 7
    assert hub.event_counts()["first"] == before + 4


def test_keys_have_rights(hub: LocalHub) -> None:
    reader, writer = as_(hub, "reader", "reader-secret"), as_(hub, "writer", "writer-secret")
    *fine, cannot_send, cannot_read = at_once(
        partial(sending, writer),
        partial(reading, reader),
        partial(asking, reader),
        partial(asking, writer),
        partial(sending, reader),
        partial(reading, writer),
    )
    assert fine == [None] * 4
    for claim, error in (("Send", cannot_send), ("Listen", cannot_read)):
        assert f"'{claim}' claim(s) are required" in str(error)
        assert "unauthorized-access" in str(error)


def test_an_unknown_hub_is_not_found(hub: LocalHub) -> None:
    for error in at_once(*(partial(do, hub.connection_string, "nowhere") for do in DOING)):
        assert isinstance(error, ConnectError)
        assert re.search(r"404[\s\S]*nowhere' could not be found", str(error))


def test_consumer_groups_are_those_that_were_named(hub: LocalHub) -> None:
    with (
        Reading(hub, "first", group="Officers") as known,
        Reading(hub, "first", group="strangers") as unknown,
    ):
        known.until(lambda r: r.opened)
        unknown.until(lambda r: bool(r.errors))
    assert "not-found" in str(unknown.errors[0])
