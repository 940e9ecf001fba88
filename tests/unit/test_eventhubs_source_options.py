"""Options of the Spark source are refused early and helpfully."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from eventhubs.errors import ConfigurationError
from eventhubs.old_options import OLD_OPTIONS
from eventhubs.positions import EnqueuedAt
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
        ("failOnLoss", "failOnDataLoss"),
        ("eventhubs.failOnDataLoss", "failOnDataLoss"),
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


def test_positions_and_data_loss() -> None:
    given = {"startingPosition": "1970-01-01T00:00:01Z", "endingPosition": '{"0": 9}', "failOnDataLoss": " False"}
    options = SourceOptions.parse(MINIMAL | given)
    assert (options.starting_position, options.ending_position) == (EnqueuedAt(1_000), {"0": 9})
    assert not options.fail_on_data_loss


@pytest.mark.parametrize(
    ("start", "end"),
    [("2026-03-02", "2026-03-01"), ('{"0": 5, "1": 2}', '{"0": 4}')],
)
def test_end_before_the_start_is_refused(start: str, end: str) -> None:
    with pytest.raises(ConfigurationError, match="lies before startingPosition"):
        SourceOptions.parse(MINIMAL | {"startingPosition": start, "endingPosition": end})


def test_stream_has_no_end() -> None:
    SourceOptions.parse(MINIMAL).check_stream()
    with pytest.raises(ConfigurationError, match="'endingPosition' is for batch reads: a stream has no end"):
        SourceOptions.parse(MINIMAL | {"endingPosition": "latest"}).check_stream()


@pytest.mark.parametrize("name", OLD_OPTIONS)
def test_option_of_the_old_connector_is_refused_with_its_new_name(name: str) -> None:
    option, remark = OLD_OPTIONS[name]
    assert option is None or option in OPTIONS
    for given in (name, name.lower()):
        with pytest.raises(ConfigurationError) as refused:
            SourceOptions.parse(MINIMAL | {given: "x"})
        assert f"'{name}'" in str(refused.value)
        assert remark in str(refused.value)
        assert option is None or f"is called '{option}' here" in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("startingPosition", "newest"),
        ("endingPosition", "newest"),
        ("failOnDataLoss", "perhaps"),
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


def test_the_page_has_the_new_name_of_every_old_option() -> None:
    page = (Path(__file__).parents[2] / "docs" / "event-hubs.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| (`[^|]+`) \| (.+) \|$", page.split("| old option | now |\n", 1)[1].split("\n\n", 1)[0], re.M
    )
    expected = [
        (f"`{name}`", ", ".join(filter(None, [f"`{option}`" if option else "", remark])))
        for name, (option, remark) in OLD_OPTIONS.items()
    ]
    assert rows == expected


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
