"""Azure SQL: what a URL leaves unsaid is filled in safely, and a token signs in where no user is named."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import AzureError, ClientAuthenticationError, ServiceRequestError
from azure.identity import DefaultAzureCredential
from sqlalchemy import Engine
from sqlalchemy.engine import make_url

from sql.azure_sql import encode_token, find_driver, prepare_azure_sql
from sql.connection import open_engine, safe_url
from sql.errors import StoreRefusedError, StoreUnavailableError

try:
    import pyodbc
except ImportError:
    pytest.skip("unixODBC is missing here (libodbc.so.2), without which pyodbc does not load", allow_module_level=True)

SERVER = "mssql://example.database.windows.net/reports"
PASSWORD = "s3cr;et}"


def connect_arguments(engine: Engine) -> tuple[str, dict[str, Any]]:
    """What would be handed to `pyodbc.connect`."""
    arguments, options = engine.dialect.create_connect_args(engine.url)
    given = list(arguments)
    for sign_in in engine.dialect.dispatch.do_connect:
        assert sign_in(engine.dialect, None, given, options) is None
    return given[0], options


def said(connection_string: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in connection_string.split(";"))


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> Callable[[str | AzureError], list[str]]:
    """Makes the credential give a token, or fail; the list fills with the scopes it is asked for."""

    def give(found: str | AzureError) -> list[str]:
        scopes: list[str] = []

        class Given:
            token = found

        def get_token(_self: DefaultAzureCredential, scope: str) -> type[Given]:
            scopes.append(scope)
            if isinstance(found, AzureError):
                raise found
            return Given

        monkeypatch.setattr(DefaultAzureCredential, "get_token", get_token)
        return scopes

    return give


def test_microsofts_driver_is_found() -> None:
    driver = find_driver()
    assert driver == "ODBC Driver 18 for SQL Server" or (Path(driver).is_file() and "msodbcsql" in driver)


def test_the_driver_manager_keeps_no_connections_of_its_own() -> None:
    pyodbc.pooling = True
    prepare_azure_sql(make_url(f"{SERVER}?driver=any"), "reactionwatch")
    assert pyodbc.pooling is False


def test_a_connection_is_encrypted_and_the_server_verified() -> None:
    connection_string, options = connect_arguments(
        open_engine("mssql://user:word@example.database.windows.net/reports")
    )
    found = said(connection_string)
    assert (found["Encrypt"], found["TrustServerCertificate"]) == ("yes", "no")
    assert (found["Server"], found["Database"]) == ("example.database.windows.net", "reports")
    assert (found["APP"], found["ConnectRetryCount"]) == ("reactionwatch", "0")
    assert (found["UID"], found["PWD"]) == ("user", "word")
    assert options == {"timeout": 30}


def test_what_the_url_says_is_left_as_it_is() -> None:
    url = "mssql://u:p@127.0.0.1:1433/reports?TrustServerCertificate=yes&encrypt=optional&driver=Mine&app=other"
    found = said(connect_arguments(open_engine(url))[0])
    assert found["Server"] == "127.0.0.1,1433"
    assert found["DRIVER"] == "{Mine}"
    assert {name.lower(): value for name, value in found.items() if name.lower() in ("encrypt", "app")} == {
        "encrypt": "optional",
        "app": "other",
    }
    assert found["TrustServerCertificate"] == "yes"


def test_without_a_user_a_token_signs_in(token: Callable[[str | AzureError], list[str]]) -> None:
    scopes = token("tökén")
    connection_string, options = connect_arguments(open_engine(SERVER))
    assert options["attrs_before"] == {1256: encode_token("tökén")}
    assert not {"UID", "PWD", "Trusted_Connection", "Authentication"} & said(connection_string).keys()
    assert scopes == ["https://database.windows.net/.default"]


@pytest.mark.parametrize("sign_in", ["Authentication=ActiveDirectoryMsi", "Trusted_Connection=yes"])
def test_a_sign_in_that_the_url_names_asks_for_no_token(
    sign_in: str, token: Callable[[str | AzureError], list[str]]
) -> None:
    scopes = token("unused")
    assert "attrs_before" not in connect_arguments(open_engine(f"{SERVER}?{sign_in}"))[1]
    assert scopes == []


def test_no_identity_is_refused_with_a_remedy(token: Callable[[str | AzureError], list[str]]) -> None:
    token(ClientAuthenticationError("tenant 1234"))
    with pytest.raises(StoreRefusedError, match="az login") as refused:
        connect_arguments(open_engine(SERVER))
    assert "1234" not in str(refused.value)


def test_a_sign_in_service_out_of_reach_is_said_to_be_away(token: Callable[[str | AzureError], list[str]]) -> None:
    token(ServiceRequestError("no route"))
    with pytest.raises(StoreUnavailableError, match="Entra ID cannot be reached"):
        connect_arguments(open_engine(SERVER))


def test_a_token_is_utf_16_with_its_length_before_it() -> None:
    encoded = encode_token("ab")
    assert encoded == struct.pack("<I", 4) + b"a\0b\0"


def test_a_password_is_shown_nowhere() -> None:
    url = make_url(SERVER).set(username="user", password=PASSWORD).render_as_string(hide_password=False)
    engine = open_engine(url)
    shown = [repr(engine), str(engine), str(engine.url), repr(engine.url), safe_url(url)]
    for secret in (PASSWORD, "s3cr"):
        assert all(secret not in text for text in shown)
    assert said(connect_arguments(engine)[0].replace("{s3cr;et}}}", "word"))["PWD"] == "word"


@pytest.mark.parametrize("where", ["odbc_connect=Server%3Dh%3BPWD%3Ds3cr", "password=s3cr"])
def test_nor_one_in_a_query(where: str) -> None:
    assert "s3cr" not in safe_url(f"mssql://user@h/db?{where}")
