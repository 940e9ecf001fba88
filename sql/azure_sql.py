"""Azure SQL and SQL Server: Microsoft's ODBC driver 18, TLS verified, and sign-in with Entra ID.

The driver is the one installed on the system, else the file that the package `mssql-python` brings. With no user in
the URL, a token of `DefaultAzureCredential` signs in (managed identity, workload identity, `az login`, …).
"""

from __future__ import annotations

import platform
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, event

from sql.errors import UnsupportedDatabaseError

__all__ = ["encode_token", "find_driver", "prepare_azure_sql"]

_DRIVER = "ODBC Driver 18 for SQL Server"
_SCOPE = "https://database.windows.net/.default"
_SQL_COPT_SS_ACCESS_TOKEN = 1256
"""ODBC connection attribute of Microsoft's driver that takes an access token."""
_LOGIN_SECONDS = 30


def prepare_azure_sql(url: URL, program: str) -> tuple[URL, Callable[[Engine], None]]:
    """The URL with what was left unsaid filled in, and what to do to its engine."""
    said = {name.lower() for name in url.query}
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
        event.listen(engine, "do_connect", _connect if signs_in else _connect_with_token)
        event.listen(engine, "connect", _set_up)

    return url.set(drivername="mssql+pyodbc"), prepare


def find_driver() -> str:
    """Name of the installed driver 18, else path of the file that `mssql-python` brings."""
    try:
        import pyodbc
    except ImportError:
        raise UnsupportedDatabaseError(
            "Azure SQL needs unixODBC, which is missing here: install it (Debian, Ubuntu: apt-get install unixodbc)."
        ) from None
    pyodbc.pooling = False  # SQLAlchemy pools; a second pool below it would keep temporary tables from being made
    if _DRIVER in pyodbc.drivers():
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


def _connect_with_token(_dialect: object, _record: object, arguments: list[Any], options: dict[str, Any]) -> None:
    from azure.identity import DefaultAzureCredential

    token = DefaultAzureCredential().get_token(_SCOPE).token
    arguments[0] = arguments[0].replace(";Trusted_Connection=Yes", "")
    options.setdefault("timeout", _LOGIN_SECONDS)
    options["attrs_before"] = {_SQL_COPT_SS_ACCESS_TOKEN: encode_token(token)}


def _set_up(dbapi_connection: Any, _record: object) -> None:
    cursor = dbapi_connection.cursor()
    cursor.execute("SET XACT_ABORT ON")  # an error ends the whole transaction, never half of it
    cursor.close()
    dbapi_connection.commit()
