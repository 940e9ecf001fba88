"""Options of the Spark source are refused early and helpfully."""

from __future__ import annotations

import pytest

from eventhubs.errors import ConfigurationError
from eventhubs.settings import HubConnection
from eventhubs.source_options import OPTIONS, SourceOptions, connection_options

LOCAL = "Endpoint=sb://localhost:6789;SharedAccessKeyName=a;SharedAccessKey=b;UseDevelopmentEmulator=true"
MINIMAL = {"connectionString": LOCAL, "hub": "reports"}


def test_defaults() -> None:
    options = SourceOptions.parse(MINIMAL)
    assert options == SourceOptions(HubConnection.from_connection_string(LOCAL), "reports")
    assert options.starting_position == "earliest"


def test_names_are_case_insensitive_as_spark_gives_them_in_lower_case() -> None:
    given = {name.lower(): value for name, value in (MINIMAL | {"maxEventsPerTrigger": "5"}).items()}
    assert SourceOptions.parse(given).max_events_per_trigger == 5


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("maxEventPerTrigger", "maxEventsPerTrigger"),
        ("startingOffsets", "startingPosition"),
        ("eventhubs.connectionString", "connectionString"),
        ("consumer_group", "consumerGroup"),
    ],
)
def test_unknown_option_is_refused_with_the_nearest_name(name: str, nearest: str) -> None:
    with pytest.raises(ConfigurationError, match=f"Did you mean '{nearest}'"):
        SourceOptions.parse(MINIMAL | {name: "x"})


def test_option_like_no_other_is_refused_with_all_names() -> None:
    with pytest.raises(ConfigurationError) as refused:
        SourceOptions.parse(MINIMAL | {"zzz": "x"})
    assert all(name in str(refused.value) for name in OPTIONS)


@pytest.mark.parametrize(
    ("text", "position"),
    [("latest", "latest"), (" Earliest ", "earliest"), ('{"0": 17, "1": 0}', {"0": 17, "1": 0})],
)
def test_starting_positions(text: str, position: object) -> None:
    assert SourceOptions.parse(MINIMAL | {"startingPosition": text}).starting_position == position


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("startingPosition", "newest"),
        ("startingPosition", "17"),
        ("startingPosition", "{}"),
        ("startingPosition", '{"0": -1}'),
        ("startingPosition", '{"0": true}'),
        ("startingPosition", '{"0": 1.5}'),
        ("startingPosition", '["0"]'),
        ("maxEventsPerTrigger", "0"),
        ("maxEventsPerTrigger", "-3"),
        ("maxEventsPerTrigger", "many"),
        ("receiveTimeout", "0"),
        ("receiveTimeout", "inf"),
        ("receiveTimeout", "nan"),
        ("receiveTimeout", "soon"),
        ("transport", "pigeon"),
    ],
)
def test_wrong_value_is_refused_naming_the_option(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        SourceOptions.parse(MINIMAL | {name: value})


def test_where_to_connect_is_given_exactly_once() -> None:
    for given in ({"hub": "reports"}, MINIMAL | {"namespace": "a.b"}):
        with pytest.raises(ConfigurationError, match="exactly one"):
            SourceOptions.parse(given)


def test_hub_may_come_from_the_connection_string() -> None:
    assert SourceOptions.parse({"connectionString": LOCAL + ";EntityPath=alerts"}).hub == "alerts"
    with pytest.raises(ConfigurationError, match="'hub' is missing"):
        SourceOptions.parse({"connectionString": LOCAL})


@pytest.mark.parametrize(
    "connection", [HubConnection.from_connection_string(LOCAL), HubConnection.from_namespace("a.servicebus.net")]
)
def test_connection_options_lead_back_to_the_connection(connection: HubConnection) -> None:
    options = SourceOptions.parse({**connection_options(connection), "hub": "reports"})
    assert options.connection == connection


def test_repr_of_options_hides_the_key() -> None:
    text = LOCAL.replace("SharedAccessKey=b", "SharedAccessKey=very-secret")
    assert "very-secret" not in repr(SourceOptions.parse({"connectionString": text, "hub": "reports"}))
