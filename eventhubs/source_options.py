"""The options of the Spark source, each declared once, validated before anything is opened."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from eventhubs.errors import ConfigurationError
from eventhubs.old_options import advice_on
from eventhubs.positions import EnqueuedAt, Position, parse_position
from eventhubs.receiver import Transport
from eventhubs.settings import HubConnection

__all__ = ["OPTIONS", "SourceOptions", "connection_options"]

OPTIONS = {
    "connectionString": "connection string of the namespace or hub; or give namespace",
    "namespace": "host name of the namespace, signing in through Entra ID; or give connectionString",
    "hub": "name of the hub; may be left out when the connection string has EntityPath",
    "consumerGroup": "consumer group, default $Default",
    "startingPosition": "earliest (default), latest, an ISO 8601 time such as 2026-03-01T06:00:00Z (UTC if it names no "
    'zone), or JSON such as {"0": 17}: partition to first sequence number',
    "endingPosition": "batch reads only: the position to stop before, as startingPosition; default latest",
    "maxEventsPerTrigger": "most events in one micro-batch, over all partitions; default no limit",
    "failOnDataLoss": "true (default): stop when retention has passed events that are due; false: go on behind them "
    "with a warning",
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
    starting_position: Position = "earliest"
    ending_position: Position | None = None
    """None where it was not given, which reads to the latest event."""
    max_events_per_trigger: int | None = None
    fail_on_data_loss: bool = True
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
        start = parse_position("startingPosition", values.get("startingPosition", "earliest"))
        end = values.get("endingPosition")
        return cls(
            connection,
            hub,
            values.get("consumerGroup") or "$Default",
            start,
            None if end is None else _ending_position(end, start),
            _max_events(values.get("maxEventsPerTrigger")),
            _boolean("failOnDataLoss", values.get("failOnDataLoss", "true")),
            _seconds(values.get("receiveTimeout", "60")),
            _transport(values.get("transport", "auto")),
        )

    def check_stream(self) -> None:
        """Raise `ConfigurationError` for what only a batch read can have."""
        if self.ending_position is not None:
            raise ConfigurationError(
                "Option 'endingPosition' is for batch reads: a stream has no end. Remove it and stop the query, or run "
                "it with trigger(availableNow=True); or read with spark.read instead of spark.readStream."
            )


def connection_options(connection: HubConnection) -> dict[str, str]:
    """The options that say where to connect, for `spark.readStream.options(**…)`. Holds the secret."""
    return {"namespace" if connection.uses_entra_id else "connectionString": connection.to_text()}


def _known(given: Mapping[str, str]) -> dict[str, str]:
    names = {name.casefold(): name for name in OPTIONS}
    values = {}
    for name, value in given.items():
        if name.casefold() not in names:
            raise ConfigurationError(advice_on(name) or _nearest(name, names))
        values[names[name.casefold()]] = value
    return values


def _nearest(name: str, names: Mapping[str, str]) -> str:
    near = difflib.get_close_matches(name.casefold().removeprefix("eventhubs."), names, n=1, cutoff=0.5)
    hint = f"Did you mean {names[near[0]]!r}?" if near else f"Known options: {', '.join(OPTIONS)}."
    return f"Unknown option {name!r} of the eventhubs source. {hint}"


def _connection(values: Mapping[str, str]) -> HubConnection:
    text, namespace = values.get("connectionString"), values.get("namespace")
    if (text is None) == (namespace is None):
        raise ConfigurationError(
            "Give exactly one of the options 'connectionString' and 'namespace' (Entra ID) of the eventhubs source."
        )
    if text is not None:
        return HubConnection.from_connection_string(text)
    return HubConnection.from_namespace(namespace or "")


def _ending_position(text: str, start: Position) -> Position:
    end = parse_position("endingPosition", text)
    backwards = False
    if isinstance(start, EnqueuedAt) and isinstance(end, EnqueuedAt):
        backwards = end.ms < start.ms
    elif isinstance(start, Mapping) and isinstance(end, Mapping):
        backwards = any(end[p] < first for p, first in start.items() if p in end)
    if backwards:
        raise ConfigurationError("Option 'endingPosition' lies before startingPosition: exchange the two.")
    return end


def _boolean(option: str, text: str) -> bool:
    if text.strip().casefold() not in {"true", "false"}:
        raise ConfigurationError(f"Option {option!r} must be true or false.")
    return text.strip().casefold() == "true"


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
