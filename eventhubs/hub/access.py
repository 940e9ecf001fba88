"""Who may do what: named keys, the tokens they sign, and what each connection has shown.

Shared access signatures are checked as the service checks them: signature, key, expiry, and that what was signed covers
what it is put for. Only paths are compared: this hub answers to whatever host its clients know it by. There is no Entra
ID here, so every `jwt` token is taken, with all rights and without end.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Flag, auto
from typing import NamedTuple
from urllib.parse import unquote, unquote_plus

from eventhubs.hub.address import Path, path_of
from eventhubs.hub.errors import HubError, HubNameError
from eventhubs.hub.names import check_name

__all__ = ["LOCAL_KEY", "AccessKey", "Authorisation", "Grant", "Keys", "Right", "TokenError"]

_PREFIX = "SharedAccessSignature "
_SECONDS = re.compile(r"[0-9]{1,12}")


class Right(Flag):
    """What a key allows."""

    LISTEN = auto()
    SEND = auto()
    MANAGE = auto()
    ALL = LISTEN | SEND | MANAGE

    @property
    def claim(self) -> str:
        """The service's own word for it."""
        return (self.name or "").capitalize()


@dataclass(frozen=True, slots=True)
class AccessKey:
    """A shared access policy of the namespace. `Right.MANAGE` includes the others, as in the service."""

    name: str
    key: str = field(repr=False)
    rights: Right = Right.ALL

    def __post_init__(self) -> None:
        check_name("key", self.name)
        if not self.key or not self.rights:
            raise HubError(f"the key {self.name!r} needs a secret that is not empty, and a right")


LOCAL_KEY = AccessKey("local", "local")
"""The key of a hub that is given none."""


class TokenError(Exception):
    """A token is refused; the text is the service's status description."""


class Grant(NamedTuple):
    """What a token allows until it ends."""

    path: Path
    rights: Right
    ends_at: float
    """Unix seconds."""

    def covers(self, path: Path) -> bool:
        """Tell whether `path` is this grant's or lies below it."""
        return path[: len(self.path)] == self.path


class Keys:
    """The keys of a namespace."""

    def __init__(self, keys: Iterable[AccessKey]) -> None:
        self._keys: dict[str, AccessKey] = {}
        for key in keys:
            if key.name in self._keys:
                raise HubNameError(f"the key {key.name!r} is named twice")
            self._keys[key.name] = key
        if not self._keys:
            raise HubError("a hub needs a key, or nobody could use it")

    @property
    def first(self) -> AccessKey:
        """The key that was named first."""
        return next(iter(self._keys.values()))

    def check(self, token: str, path: Path, now_s: float) -> Grant:
        """Check a token of either kind. Raises `TokenError`."""
        return self.check_signature(token, path, now_s) if token.startswith(_PREFIX) else self.take_jwt(path)

    def take_jwt(self, path: Path) -> Grant:
        """Take an Entra ID token, unseen."""
        return Grant(path, Right.ALL, math.inf)

    def check_signature(self, token: str, path: Path, now_s: float) -> Grant:
        """Check a shared access signature that is put for `path`. Raises `TokenError`."""
        fields = dict(part.partition("=")[::2] for part in token.removeprefix(_PREFIX).split("&"))
        resource, signature, ends_at, name = (fields.get(wanted, "") for wanted in ("sr", "sig", "se", "skn"))
        if not (token.startswith(_PREFIX) and resource and signature and name and _SECONDS.fullmatch(ends_at)):
            raise TokenError("MalformedToken: The token is not a shared access signature with sr, sig, se and skn.")
        key = self._keys.get(unquote(name))
        if key is None or not hmac.compare_digest(_sign(key.key, resource, ends_at), _octets(signature)):
            raise TokenError("InvalidSignature: The token has an invalid signature.")
        if int(ends_at) <= now_s:
            raise TokenError("ExpiredToken: The token is expired.")
        signed = path_of(unquote_plus(resource))
        grant = Grant(path, Right.ALL if Right.MANAGE in key.rights else key.rights, int(ends_at))
        if signed is None or path[: len(signed)] != signed:
            raise TokenError("InvalidAudience: The authorization header contains a token with a wrong audience.")
        return grant


class Authorisation:
    """What the tokens put on one connection allow. A token replaces the one put before for the same address."""

    def __init__(self) -> None:
        self._grants: dict[Path, Grant] = {}

    def add(self, grant: Grant) -> None:
        """Note what a token grants."""
        self._grants[grant.path] = grant

    def allows(self, path: Path, right: Right, now_s: float) -> bool:
        """Tell whether `right`, or one of several, is granted for `path` now."""
        return any(
            grant.rights & right and grant.ends_at > now_s for grant in self._grants.values() if grant.covers(path)
        )

    def ends_by(self, now_s: float) -> bool:
        """Tell whether a token has ended that was not replaced; forget such ones."""
        ended = [path for path, grant in self._grants.items() if grant.ends_at <= now_s]
        for path in ended:
            del self._grants[path]
        return bool(ended)

    def forget(self) -> None:
        """Take back all that was granted."""
        self._grants.clear()


def _sign(key: str, resource: str, ends_at: str) -> bytes:
    """Sign what was sent, byte by byte: clients differ in how they write a URL's special characters."""
    return hmac.new(key.encode(), f"{resource}\n{ends_at}".encode(), hashlib.sha256).digest()


def _octets(signature: str) -> bytes:
    try:
        return base64.b64decode(unquote(signature), validate=True)
    except ValueError:
        return b""
