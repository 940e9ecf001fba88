"""Connection strings are read strictly, and secrets show nowhere."""

from __future__ import annotations

import pickle
import time

import pytest
from azure.eventhub import parse_connection_string
from hypothesis import given
from hypothesis import strategies as st

from eventhubs.errors import ConfigurationError
from eventhubs.settings import HubConnection

SECRET = "c2VjcmV0LWtleS1mb3ItdGVzdHM="
CLOUD = f"Endpoint=sb://ours.servicebus.windows.net/;SharedAccessKeyName=listen;SharedAccessKey={SECRET}"
LOCAL = f"Endpoint=sb://localhost:6789;SharedAccessKeyName=a;SharedAccessKey={SECRET};UseDevelopmentEmulator=true"


def test_cloud_connection_uses_tls_and_its_port() -> None:
    connection = HubConnection.from_connection_string(CLOUD)
    assert (connection.host, connection.port, connection.use_tls) == ("ours.servicebus.windows.net", 5671, True)
    assert connection.endpoint == "ours.servicebus.windows.net"


def test_emulator_turns_tls_off_and_honours_the_port() -> None:
    connection = HubConnection.from_connection_string(LOCAL)
    assert (connection.endpoint, connection.use_tls) == ("localhost:6789", False)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8:5", "localhost", "[::1]:5672"])
def test_emulator_is_accepted_on_loopback(host: str) -> None:
    text = f"Endpoint=sb://{host};SharedAccessKeyName=a;SharedAccessKey=b;UseDevelopmentEmulator=true"
    assert not HubConnection.from_connection_string(text).use_tls


@pytest.mark.parametrize(
    "host", ["ours.servicebus.windows.net", "10.0.0.1", "localhost.example.org", "127.0.0.1.nip.io"]
)
def test_emulator_is_refused_elsewhere(host: str) -> None:
    text = f"Endpoint=sb://{host};SharedAccessKeyName=a;SharedAccessKey={SECRET};UseDevelopmentEmulator=true"
    with pytest.raises(ConfigurationError, match="localhost only"):
        HubConnection.from_connection_string(text)


@pytest.mark.parametrize("text", [CLOUD, LOCAL, CLOUD + ";EntityPath=reports"])
def test_secret_is_in_no_repr(text: str) -> None:
    connection = HubConnection.from_connection_string(text)
    assert SECRET not in repr(connection)
    assert SECRET not in str(connection)
    assert SECRET not in connection.endpoint


@pytest.mark.parametrize(
    "text",
    [
        "",
        SECRET,
        f"Endpoint=sb://a/;SharedAccessKey={SECRET}",
        f"SharedAccessKeyName=a;SharedAccessKey={SECRET}",
        f"{CLOUD};SharedAccessSignature={SECRET}",
        f"{CLOUD};SharedAccessKey={SECRET}",
        f"{CLOUD};Surprise={SECRET}",
        f"{CLOUD};{SECRET}",
        "Endpoint=sb://a/",
        f"Endpoint=sb://a:8080/;SharedAccessKeyName=a;SharedAccessKey={SECRET}",
        f"Endpoint=https://a/;SharedAccessKeyName=a;SharedAccessKey={SECRET}",
        f"Endpoint=sb://a:port/;SharedAccessKeyName=a;SharedAccessKey={SECRET}",
        f"Endpoint=sb://a/;SharedAccessKeyName=a;SharedAccessKey={SECRET};UseDevelopmentEmulator=yes",
    ],
)
def test_broken_connection_string_is_refused_without_showing_the_secret(text: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        HubConnection.from_connection_string(text)
    assert SECRET not in str(refused.value)


def test_names_of_parts_are_case_insensitive() -> None:
    text = CLOUD.replace("Endpoint", "ENDPOINT").replace("SharedAccessKeyName", "sharedaccesskeyname")
    assert HubConnection.from_connection_string(text) == HubConnection.from_connection_string(CLOUD)


@pytest.mark.parametrize(
    "text", [CLOUD, LOCAL, CLOUD + ";EntityPath=reports", "Endpoint=sb://a/;SharedAccessSignature=sr=x&sig=y&se=99"]
)
def test_to_text_gives_the_connection_back(text: str) -> None:
    connection = HubConnection.from_connection_string(text)
    assert HubConnection.from_text(connection.to_text()) == connection


def test_namespace_is_signed_in_through_entra_id_and_given_back() -> None:
    connection = HubConnection.from_namespace("ours.servicebus.windows.net")
    assert connection.uses_entra_id
    assert HubConnection.from_text(connection.to_text()) == connection


@pytest.mark.parametrize("host", ["", "sb://a.b", "a.b/path", "a b", "a.b:5671", "user@a.b"])
def test_namespace_must_be_a_bare_host(host: str) -> None:
    with pytest.raises(ConfigurationError, match="bare host name"):
        HubConnection.from_namespace(host)


@given(key=st.text(st.characters(codec="ascii", categories=["L", "N"], include_characters="+/="), min_size=1))
def test_keys_of_any_shape_survive_text_and_pickle(key: str) -> None:
    connection = HubConnection.from_connection_string(
        f"Endpoint=sb://a.b/;SharedAccessKeyName=send;SharedAccessKey={key}"
    )
    assert connection.key == key
    assert HubConnection.from_text(connection.to_text()) == connection
    assert pickle.loads(pickle.dumps(connection)) == connection


def test_the_sdk_reads_our_text_as_we_do() -> None:
    connection = HubConnection.from_connection_string(CLOUD + ";EntityPath=reports")
    theirs = parse_connection_string(connection.to_text())
    assert theirs.fully_qualified_namespace == connection.host
    assert theirs.shared_access_key == connection.key
    assert theirs.eventhub_name == connection.entity_path


def test_entity_path_limits_the_hub() -> None:
    connection = HubConnection.from_connection_string(CLOUD + ";EntityPath=reports")
    connection.check_hub("Reports")
    with pytest.raises(ConfigurationError, match="EntityPath"):
        connection.check_hub("alerts")


def test_shared_access_token_is_the_one_the_sdk_signs() -> None:
    from azure.eventhub._pyamqp.utils import generate_sas_token

    connection = HubConnection.from_connection_string(CLOUD)
    ends_at = int(time.time()) + 3600
    resource = "sb://ours.servicebus.windows.net/reports"
    theirs = generate_sas_token(resource, "listen", SECRET, ends_at)
    ours = connection.shared_access_token(resource, ends_at)
    assert _parts(ours) == _parts(theirs)


def test_signature_is_passed_on_and_knows_its_end() -> None:
    connection = HubConnection.from_connection_string(
        "Endpoint=sb://a.b/;SharedAccessSignature=SharedAccessSignature sr=x&sig=y%3d&se=1900000000&skn=z"
    )
    assert connection.shared_access_token("sb://a.b/h", 1).startswith("SharedAccessSignature sr=x&sig=y%3d")
    assert connection.signature_expires_at() == 1_900_000_000


def test_entra_id_has_no_shared_access_token() -> None:
    with pytest.raises(ConfigurationError, match="Entra ID"):
        HubConnection.from_namespace("a.b").shared_access_token("sb://a.b/h", 1)


def _parts(token: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in token.removeprefix("SharedAccessSignature ").split("&"))
