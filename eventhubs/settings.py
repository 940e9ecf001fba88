"""Where an Event Hubs namespace is and how to prove who we are, with secrets masked in every repr.

A `HubConnection` is a plain frozen value: it opens nothing, can be pickled and shipped to Spark tasks, and
compares by content. TLS is on unless the connection string says `UseDevelopmentEmulator=true`, which is accepted
for loopback hosts only, so that a secret never crosses a network in clear.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import re
import time
from dataclasses import dataclass, field
from urllib.parse import quote_plus, urlsplit

from eventhubs.errors import ConfigurationError

__all__ = ["HubConnection"]

_KNOWN_PARTS = {
    "endpoint": "Endpoint",
    "sharedaccesskeyname": "SharedAccessKeyName",
    "sharedaccesskey": "SharedAccessKey",
    "sharedaccesssignature": "SharedAccessSignature",
    "entitypath": "EntityPath",
    "usedevelopmentemulator": "UseDevelopmentEmulator",
}
_FORM = "Endpoint=sb://<namespace>/;SharedAccessKeyName=<name>;SharedAccessKey=<key>"
_EMULATOR_PORT = 5672
_TLS_PORT = 5671


@dataclass(frozen=True)
class HubConnection:
    """One namespace and one way to sign in: a shared access key, a shared access signature, or Entra ID.

    With neither key nor signature the connection uses Entra ID through `DefaultAzureCredential`.
    """

    host: str
    port: int = _TLS_PORT
    use_tls: bool = True
    entity_path: str | None = None
    """The hub that the connection string is limited to, if it names one."""
    key_name: str | None = None
    key: str | None = field(default=None, repr=False)
    signature: str | None = field(default=None, repr=False)

    @classmethod
    def from_connection_string(cls, text: str) -> HubConnection:
        """Read a connection string as Azure's portal shows it; raises `ConfigurationError` naming the part at fault.

        Names of parts are case-insensitive; unknown parts are refused.
        """
        parts = _split(text)
        emulator = _emulator(parts.get("UseDevelopmentEmulator", "false"))
        host, port = _endpoint(parts.get("Endpoint", ""), emulator)
        key_name, key = parts.get("SharedAccessKeyName"), parts.get("SharedAccessKey")
        signature = parts.get("SharedAccessSignature")
        if (key is None) == (signature is None) or (key is None) != (key_name is None):
            raise ConfigurationError(
                "The connection string needs either SharedAccessKeyName with SharedAccessKey, or "
                f"SharedAccessSignature alone. Expected: {_FORM}. For Entra ID give the namespace's host instead."
            )
        return cls(host, port, not emulator, parts.get("EntityPath"), key_name, key, signature)

    @classmethod
    def from_namespace(cls, host: str) -> HubConnection:
        """Use Entra ID with a namespace's host name, for example `myspace.servicebus.windows.net`."""
        if not _is_host_name(host):
            raise ConfigurationError(
                "The namespace must be a bare host name such as myspace.servicebus.windows.net, without scheme, "
                "port or path."
            )
        return cls(host)

    @property
    def endpoint(self) -> str:
        """Host, with port where it is not the standard one; holds no secret."""
        standard = _TLS_PORT if self.use_tls else _EMULATOR_PORT
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == standard else f"{host}:{self.port}"

    @property
    def uses_entra_id(self) -> bool:
        """True when the connection signs in through `DefaultAzureCredential`."""
        return self.key is None and self.signature is None

    def to_text(self) -> str:
        """The connection string, secrets included, or the bare host for Entra ID. Never log it."""
        if self.uses_entra_id:
            return self.host
        text = f"Endpoint=sb://{self.endpoint}/"
        if self.signature is not None:
            text += f";SharedAccessSignature={self.signature}"
        else:
            text += f";SharedAccessKeyName={self.key_name};SharedAccessKey={self.key}"
        if self.entity_path is not None:
            text += f";EntityPath={self.entity_path}"
        return text if self.use_tls else text + ";UseDevelopmentEmulator=true"

    @classmethod
    def from_text(cls, text: str) -> HubConnection:
        """Inverse of `to_text`."""
        return cls.from_connection_string(text) if "=" in text else cls.from_namespace(text)

    def check_hub(self, hub: str) -> None:
        """Refuse an empty hub name, or one other than the hub the connection string is limited to."""
        if not hub:
            raise ConfigurationError("The hub's name is empty; name the hub to read from or send to.")
        if self.entity_path is not None and self.entity_path.casefold() != hub.casefold():
            raise ConfigurationError(
                f"The connection string is limited to hub {self.entity_path!r} (EntityPath), but {hub!r} was asked "
                "for. Use that hub, or a connection string of the namespace."
            )

    def shared_access_token(self, resource: str, expires_at: int) -> str:
        """A shared access token for `resource` (`sb://host/hub`), valid until `expires_at` (Unix seconds).

        A given signature is returned as it is. Raises `ConfigurationError` when the connection uses Entra ID.
        """
        if self.signature is not None:
            return self.signature
        if self.key is None or self.key_name is None:
            raise ConfigurationError(
                "This connection uses Entra ID and has no key to sign a token with; ask its credential instead."
            )
        quoted = quote_plus(resource)
        digest = hmac.new(self.key.encode(), f"{quoted}\n{expires_at}".encode(), hashlib.sha256).digest()
        signed = quote_plus(base64.b64encode(digest))
        return f"SharedAccessSignature sr={quoted}&sig={signed}&se={expires_at}&skn={quote_plus(self.key_name)}"

    def signature_expires_at(self) -> int:
        """When a given signature ends (Unix seconds), as it says itself; far in the future when it does not."""
        found = re.search(r"(?:^|[&\s])se=(\d+)", self.signature or "")
        return int(found.group(1)) if found else int(time.time()) + 10 * 365 * 86_400


def _split(text: str) -> dict[str, str]:
    """Parts of a connection string by their canonical names."""
    parts: dict[str, str] = {}
    for piece in filter(None, (p.strip() for p in text.split(";"))):
        name, equals, value = piece.partition("=")
        known = _KNOWN_PARTS.get(name.strip().casefold())
        if not equals or known is None:
            # A piece that is no part may be half of a secret: it is not repeated here.
            raise ConfigurationError(
                f"The connection string has a part that is not one of {', '.join(_KNOWN_PARTS.values())}. "
                f"Expected: {_FORM}."
            )
        if known in parts:
            raise ConfigurationError(f"The connection string names {known} twice; keep one.")
        if not value.strip():
            raise ConfigurationError(f"{known} in the connection string is empty. Expected: {_FORM}.")
        parts[known] = value.strip()
    return parts


def _emulator(value: str) -> bool:
    if value.casefold() not in {"true", "false"}:
        raise ConfigurationError("UseDevelopmentEmulator in the connection string must be true or false.")
    return value.casefold() == "true"


def _endpoint(text: str, emulator: bool) -> tuple[str, int]:
    """Host and port; a port of its own and missing TLS are for the emulator on this machine only."""
    url = urlsplit(text if "//" in text else f"sb://{text}")
    try:
        host, port = url.hostname, url.port
    except ValueError:
        host, port = None, None
    if not host or url.scheme not in {"sb", "amqps", "amqp"} or url.path not in {"", "/"} or url.username:
        raise ConfigurationError(f"Endpoint in the connection string is missing or malformed. Expected: {_FORM}.")
    if emulator:
        if not _is_loopback(host):
            raise ConfigurationError(
                "UseDevelopmentEmulator=true turns encryption off and is accepted for localhost only. Remove it "
                f"to connect to {host} with TLS."
            )
        return host, port or _EMULATOR_PORT
    if port not in {None, _TLS_PORT}:
        raise ConfigurationError(
            f"Event Hubs listens on port {_TLS_PORT} only; remove the port from Endpoint, or add "
            "UseDevelopmentEmulator=true for a hub on this machine."
        )
    return host, _TLS_PORT


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_host_name(text: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?", text) is not None
