"""The options of the Spark source, each declared once, validated before anything is opened."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from eventhubs.errors import ConfigurationError
from eventhubs.receiver import Transport
from eventhubs.settings import HubConnection

__all__ = ["OPTIONS", "SourceOptions", "connection_options"]

OPTIONS = {
    "connectionString": "connection string of the namespace or hub; or give namespace",
    "namespace": "host name of the namespace, signing in through Entra ID; or give connectionString",
    "hub": "name of the hub; may be left out when the connection string has EntityPath",
    "consumerGroup": "consumer group, default $Default",
    "startingPosition": 'earliest (default), latest, or JSON such as {"0": 17}: partition to first sequence number',
    "maxEventsPerTrigger": "most events in one micro-batch, over all partitions; default no limit",
    "receiveTimeout": "longest wait in seconds without any progress, default 60",
    "transport": "auto (default), amqp or sdk",
}
"""Names as users write them (case-insensitive) and what each means."""


@dataclass(frozen=True)
class SourceOptions:
    """What the source was asked to do."""

    connection: HubConnection
    hub: str
    consumer_group: str = "$Default"
    starting_position: str | dict[str, int] = "earliest"
    """`earliest`, `latest`, or first sequence numbers; partitions not named begin at the earliest event."""
    max_events_per_trigger: int | None = None
    receive_timeout: float = 60.0
    transport: Transport = "auto"

    @classmethod
    def parse(cls, given: Mapping[str, str]) -> SourceOptions:
        """Check all options; raises `ConfigurationError` naming the first one at fault and what to write instead."""
        values = _known(given)
        connection = _connection(values)
        hub = values.get("hub") or connection.entity_path
        if hub is None:
            raise ConfigurationError("Option 'hub' is missing: name the hub to read from.")
        connection.check_hub(hub)
        return cls(
            connection,
            hub,
            values.get("consumerGroup") or "$Default",
            _starting_position(values.get("startingPosition", "earliest")),
            _max_events(values.get("maxEventsPerTrigger")),
            _seconds(values.get("receiveTimeout", "60")),
            _transport(values.get("transport", "auto")),
        )


def connection_options(connection: HubConnection) -> dict[str, str]:
    """The options that say where to connect, for `spark.readStream.options(**…)`. Holds the secret."""
    return {"namespace" if connection.uses_entra_id else "connectionString": connection.to_text()}


def _known(given: Mapping[str, str]) -> dict[str, str]:
    names = {name.casefold(): name for name in OPTIONS}
    values = {}
    for name, value in given.items():
        if name.casefold() not in names:
            near = difflib.get_close_matches(name.casefold(), names, n=1, cutoff=0.5)
            hint = f"Did you mean {names[near[0]]!r}?" if near else f"Known options: {', '.join(OPTIONS)}."
            raise ConfigurationError(f"Unknown option {name!r} of the eventhubs source. {hint}")
        values[names[name.casefold()]] = value
    return values


def _connection(values: Mapping[str, str]) -> HubConnection:
    text, namespace = values.get("connectionString"), values.get("namespace")
    if (text is None) == (namespace is None):
        raise ConfigurationError(
            "Give exactly one of the options 'connectionString' and 'namespace' (Entra ID) of the eventhubs source."
        )
    if text is not None:
        return HubConnection.from_connection_string(text)
    return HubConnection.from_namespace(namespace or "")


def _starting_position(text: str) -> str | dict[str, int]:
    if text.strip().casefold() in {"earliest", "latest"}:
        return text.strip().casefold()
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not found or not all(map(_is_sequence, found.values())):
        raise ConfigurationError(
            "Option 'startingPosition' must be earliest, latest, or a JSON object of partition to first sequence "
            'number (0 or more), such as {"0": 17, "1": 4}.'
        )
    return found


def _is_sequence(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _max_events(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.strip().isdecimal() or int(text) < 1:
        raise ConfigurationError("Option 'maxEventsPerTrigger' must be a whole number of events, at least 1.")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ConfigurationError("Option 'receiveTimeout' must be a positive number of seconds, such as 60.")
    return seconds


def _transport(text: str) -> Transport:
    for known in get_args(Transport):
        if text.strip().casefold() == known:
            return known  # type: ignore[no-any-return]  # get_args is untyped
    raise ConfigurationError(f"Option 'transport' must be one of {', '.join(get_args(Transport))}.")
