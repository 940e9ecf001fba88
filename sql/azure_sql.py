"""Azure SQL and SQL Server: Microsoft's ODBC driver 18, TLS verified, and sign-in with Entra ID.

The driver is the one installed on the system, else the file that the package `mssql-python` brings. With no user in
the URL, a token of `DefaultAzureCredential` signs in (managed identity, workload identity, `az login`, …).
"""

from __future__ import annotations

import platform
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, event

from sql.errors import StoreRefusedError, StoreUnavailableError, UnsupportedDatabaseError

__all__ = ["encode_token", "find_driver", "prepare_azure_sql"]

_DRIVER = "ODBC Driver 18 for SQL Server"
_SCOPE = "https://database.windows.net/.default"
_SQL_COPT_SS_ACCESS_TOKEN = 1256
"""ODBC connection attribute of Microsoft's driver that takes an access token."""
_LOGIN_SECONDS = 30


def prepare_azure_sql(url: URL, program: str) -> tuple[URL, Callable[[Engine], None]]:
    """The URL with what was left unsaid filled in, and what to do to its engine."""
    said = {name.lower() for name in url.query}
    _driver_manager()
    if "odbc_connect" not in said:
        defaults = {
            "Encrypt": "yes",
            "TrustServerCertificate": "no",
            "APP": program,
            "ConnectRetryCount": "0",  # we reconnect ourselves, with the transaction run again
        }
        if "driver" not in said:
            defaults["driver"] = find_driver()
        url = url.update_query_dict({name: value for name, value in defaults.items() if name.lower() not in said})
    signs_in = {"odbc_connect", "authentication", "trusted_connection", "dsn"} & said or url.username is not None

    def prepare(engine: Engine) -> None:
        event.listen(engine, "do_connect", _connect if signs_in else _TokenSignIn())
        event.listen(engine, "do_execute", _execute_spelling_nulls)
        event.listen(engine, "connect", _set_up)

    return url.set(drivername="mssql+pyodbc"), prepare


def find_driver() -> str:
    """Name of the installed driver 18, else path of the file that `mssql-python` brings."""
    if _DRIVER in _driver_manager().drivers():
        return _DRIVER
    import mssql_python_odbc

    libraries = Path(mssql_python_odbc.get_libs_dir())
    flavour = _flavour()
    found = sorted(libraries.glob(f"**/{flavour}/**/libmsodbcsql*")) or sorted(libraries.glob("**/libmsodbcsql*"))
    if not found:
        raise UnsupportedDatabaseError(f"{_DRIVER} is not here: install Microsoft's package msodbcsql18.")
    return str(found[0])


def encode_token(token: str) -> bytes:
    """An access token as the driver's attribute takes it: UTF-16-LE with its length in bytes before it."""
    text = token.encode("utf-16-le")
    return struct.pack("<I", len(text)) + text


def _driver_manager() -> Any:
    """The module `pyodbc`, set up; it must be before the first connection."""
    try:
        import pyodbc
    except ImportError:
        raise UnsupportedDatabaseError(
            "Azure SQL needs unixODBC, which is missing here: install it (Debian, Ubuntu: apt-get install unixodbc)."
        ) from None
    pyodbc.pooling = False  # SQLAlchemy pools; a second pool below it would keep temporary tables from being made
    return pyodbc


def _flavour() -> str:
    """Folder of the driver that fits this system, as `mssql-python` names them."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return platform.system().lower()
    family = {release.get("ID", ""), *release.get("ID_LIKE", "").split()}
    if family & {"rhel", "fedora", "centos"}:
        return "rhel"
    return "suse" if family & {"suse", "sles", "opensuse"} else "debian_ubuntu"


def _connect(_dialect: object, _record: object, _arguments: list[Any], options: dict[str, Any]) -> None:
    options.setdefault("timeout", _LOGIN_SECONDS)


class _TokenSignIn:
    """Signs connections in with a token of one credential, which keeps tokens for as long as they last."""

    def __init__(self) -> None:
        self._credential: Any = None

    def __call__(self, _dialect: object, _record: object, arguments: list[Any], options: dict[str, Any]) -> None:
        from azure.core.exceptions import AzureError, ClientAuthenticationError
        from azure.identity import DefaultAzureCredential

        if self._credential is None:
            self._credential = DefaultAzureCredential()
        try:
            token = self._credential.get_token(_SCOPE).token
        except ClientAuthenticationError:
            raise StoreRefusedError(
                "Entra ID gives no token for Azure SQL: sign in (az login, or an identity for this machine), or name a "
                "user in the database URL. Nothing is lost."
            ) from None
        except AzureError:
            raise StoreUnavailableError(
                "Entra ID cannot be reached for a token: check the network, then start again. Nothing is lost."
            ) from None
        arguments[0] = arguments[0].replace(";Trusted_Connection=Yes", "")
        options.setdefault("timeout", _LOGIN_SECONDS)
        options["attrs_before"] = {_SQL_COPT_SS_ACCESS_TOKEN: encode_token(token)}


def _execute_spelling_nulls(cursor: Any, statement: str, parameters: Sequence[Any], _context: object) -> bool:
    """Write NULL into the statement where a parameter has no value; whether that was necessary.

    For such a parameter the driver asks the server which type it has. Where that cannot be told (temporary tables,
    INSERT … SELECT) the question fails, which on some servers quietly ends the transaction.
    """
    if None not in parameters:
        return False
    texts = statement.split("?")  # values are never part of our statements, so that every "?" stands for one
    marks = ["NULL" if value is None else "?" for value in parameters]
    if len(texts) != len(marks) + 1:
        return False
    cursor.setinputsizes(None)  # they were for all parameters; by itself the driver goes by the values
    spelled = "".join(text + mark for text, mark in zip(texts, [*marks, ""], strict=True))
    cursor.execute(spelled, tuple(value for value in parameters if value is not None))
    return True


def _set_up(dbapi_connection: Any, _record: object) -> None:
    cursor = dbapi_connection.cursor()
    cursor.execute("SET XACT_ABORT ON")  # an error ends the whole transaction, never half of it
    cursor.close()
    dbapi_connection.commit()
