"""The AMQP 1.0 performatives as named tuples, and what goes into their described fields.

`Attach.source` and `Attach.target` are read as a decoded `Terminus` and also kept as `Raw` bytes
(`raw_source`, `raw_target`), because a reply echoes them unchanged. Source: OASIS AMQP 1.0, parts 2 and 5.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from eventhubs.amqp.types import Described, Raw, Symbol, ULong

__all__ = [
    "ACCEPTED",
    "SELECTOR_FILTER",
    "Attach",
    "Begin",
    "Close",
    "Detach",
    "Disposition",
    "End",
    "Error",
    "Flow",
    "Open",
    "Performative",
    "SaslInit",
    "SaslMechanisms",
    "SaslOutcome",
    "Terminus",
    "Transfer",
    "rejected",
    "released",
    "selector_filter",
    "source",
    "target",
]

SELECTOR_FILTER = "apache.org:selector-filter:string"

_ACCEPTED, _REJECTED, _RELEASED = 0x24, 0x25, 0x26
ERROR_CODE, SOURCE_CODE, TARGET_CODE = 0x1D, 0x28, 0x29


class Error(NamedTuple):
    """Why a connection, session, link or delivery failed."""

    condition: str
    description: str | None = None
    info: dict[Any, Any] | None = None


class Terminus(NamedTuple):
    """What is used here of a link's source or target."""

    address: str | None
    filters: dict[Any, Any]
    """Filters by name, values as decoded (usually `Described`); empty for a target."""


class Open(NamedTuple):
    """Names the container and its limits; the first frame each way."""

    container_id: str
    hostname: str | None = None
    max_frame_size: int | None = None
    channel_max: int | None = None
    idle_timeout: int | None = None
    """Milliseconds."""
    outgoing_locales: Any = None
    incoming_locales: Any = None
    offered_capabilities: Any = None
    desired_capabilities: Any = None
    properties: dict[Any, Any] | None = None


class Begin(NamedTuple):
    """Starts a session on a channel."""

    remote_channel: int | None
    next_outgoing_id: int
    incoming_window: int
    outgoing_window: int
    handle_max: int | None = None
    offered_capabilities: Any = None
    desired_capabilities: Any = None
    properties: dict[Any, Any] | None = None


class Attach(NamedTuple):
    """Attaches one end of a link; `role` is True for a receiver."""

    name: str
    handle: int
    role: bool
    snd_settle_mode: int | None = None
    rcv_settle_mode: int | None = None
    source: Any = None
    """Read: `Terminus` or None. Written: anything encodable, such as `source(...)` or `Raw`."""
    target: Any = None
    unsettled: dict[Any, Any] | None = None
    incomplete_unsettled: bool | None = None
    initial_delivery_count: int | None = None
    max_message_size: int | None = None
    offered_capabilities: Any = None
    desired_capabilities: Any = None
    properties: dict[Any, Any] | None = None
    raw_source: Raw = Raw(b"\x40")
    """Only read; not on the wire."""
    raw_target: Raw = Raw(b"\x40")


class Flow(NamedTuple):
    """Session windows and, with a handle, link credit."""

    next_incoming_id: int | None
    incoming_window: int
    next_outgoing_id: int
    outgoing_window: int
    handle: int | None = None
    delivery_count: int | None = None
    link_credit: int | None = None
    available: int | None = None
    drain: bool | None = None
    echo: bool | None = None
    properties: dict[Any, Any] | None = None


class Transfer(NamedTuple):
    """One frame's share of a delivery; the payload travels beside it."""

    handle: int
    delivery_id: int | None = None
    delivery_tag: bytes | None = None
    message_format: int | None = None
    settled: bool | None = None
    more: bool | None = None
    rcv_settle_mode: int | None = None
    state: Any = None
    resume: bool | None = None
    aborted: bool | None = None
    batchable: bool | None = None


class Disposition(NamedTuple):
    """What became of deliveries `first` to `last`."""

    role: bool
    first: int
    last: int | None = None
    settled: bool | None = None
    state: Any = None
    """`Described` outcome: `ACCEPTED`, `rejected(...)`, `released()`; read with its number as descriptor."""
    batchable: bool | None = None


class Detach(NamedTuple):
    """Detaches a link, for good when `closed`."""

    handle: int
    closed: bool | None = None
    error: Error | None = None


class End(NamedTuple):
    """Ends a session."""

    error: Error | None = None


class Close(NamedTuple):
    """Closes the connection."""

    error: Error | None = None


class SaslMechanisms(NamedTuple):
    """The mechanisms a server offers."""

    mechanisms: Any
    """Read: a list of str, or one str. Written: `Array(..., symbols=True)`."""


class SaslInit(NamedTuple):
    """The mechanism a client chose."""

    mechanism: str
    initial_response: bytes | None = None
    hostname: str | None = None


class SaslOutcome(NamedTuple):
    """How SASL ended; 0 is success."""

    code: int
    additional_data: bytes | None = None


Performative = (
    Open
    | Begin
    | Attach
    | Flow
    | Transfer
    | Disposition
    | Detach
    | End
    | Close
    | SaslMechanisms
    | SaslInit
    | SaslOutcome
)

ACCEPTED = Described(ULong(_ACCEPTED), [])
"""The outcome of a delivery that was taken in."""


def described_error(error: Error | None) -> Described | None:
    """Give an error as it is written."""
    if error is None:
        return None
    return Described(ULong(ERROR_CODE), [Symbol(error.condition), error.description, error.info])


def rejected(error: Error) -> Described:
    """Give the outcome of a delivery that was refused for good."""
    return Described(ULong(_REJECTED), [described_error(error)])


def released() -> Described:
    """Give the outcome of a delivery that was not looked at and may be sent again."""
    return Described(ULong(_RELEASED), [])


def source(address: str | None, filters: dict[Any, Any] | None = None) -> Described:
    """Build a source for an outgoing `Attach`."""
    return Described(ULong(SOURCE_CODE), [address, None, None, None, None, None, None, filters, None, None, None])


def target(address: str | None) -> Described:
    """Build a target for an outgoing `Attach`."""
    return Described(ULong(TARGET_CODE), [address, None, None, None, None, None, None])


def selector_filter(expression: str) -> dict[Any, Any]:
    """Build the filter map for `source` that starts an Event Hubs receiver where `expression` says."""
    return {Symbol(SELECTOR_FILTER): Described(Symbol(SELECTOR_FILTER), expression)}
