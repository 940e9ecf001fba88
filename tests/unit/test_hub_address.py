from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventhubs.hub.address import Address, Position, PositionKind, parse_address, parse_selector, path_of


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("amqps://localhost:5672/reports", Address("reports")),
        ("amqps://localhost/Reports/Partitions/3", Address("reports", None, "3")),
        ("amqps://h/reports/ConsumerGroups/$Default/Partitions/0", Address("reports", "$Default", "0")),
        ("reports/consumergroups/My%20Group/partitions/0", Address("reports", "My Group", "0")),
        ("$cbs", Address("$cbs")),
        ("amqps://localhost:1/$management", Address("$management")),
        ("amqps://localhost/reports/Publishers/x", None),
        ("amqps://localhost/", None),
        ("amqps://[bad/reports", None),
        ("", None),
        (None, None),
    ],
)
def test_addresses_are_read_as_clients_write_them(text: str | None, address: Address | None) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    ("expression", "position"),
    [
        ("amqp.annotation.x-opt-sequence-number > '5'", Position(PositionKind.SEQUENCE, 5, False)),
        ("amqp.annotation.x-opt-sequence-number >= '5'", Position(PositionKind.SEQUENCE, 5, True)),
        ("amqp.annotation.x-opt-offset > '-1'", Position(PositionKind.OFFSET, -1, False)),
        ("amqp.annotation.x-opt-offset > 17", Position(PositionKind.OFFSET, 17, False)),
        ("amqp.annotation.x-opt-offset > '@latest'", Position(PositionKind.LATEST, 0, False)),
        ("amqp.annotation.x-opt-enqueued-time >= '1700000000000'", Position(PositionKind.TIME, 1700000000000, True)),
        ("amqp.annotation.x-opt-offset < '5'", None),
        ("amqp.annotation.x-opt-offset > '5' or 1 = 1", None),
        ("amqp.annotation.x-opt-publisher > '5'", None),
        ("", None),
    ],
)
def test_selectors_are_read_as_clients_write_them(expression: str, position: Position | None) -> None:
    assert parse_selector(expression) == position


@pytest.mark.parametrize(
    ("audience", "path"),
    [
        ("sb://localhost/Reports", ("reports",)),
        ("amqps://localhost:5672/reports/Partitions/0", ("reports", "partitions", "0")),
        ("sb://localhost/reports/ConsumerGroups/$Default", ("reports", "consumergroups", "$default")),
        ("sb://localhost", ()),
        ("sb://localhost/", ()),
        ("reports", None),
        ("sb://[/x", None),
    ],
)
def test_a_tokens_audience_is_a_path_from_the_namespace_on(audience: str, path: tuple[str, ...] | None) -> None:
    assert path_of(audience) == path


@pytest.mark.parametrize(
    "text",
    [
        "amqps://h/Reports/ConsumerGroups/My%20Group/Partitions/1",
        "amqps://h/reports/Partitions/0",
        "amqps://h/reports",
    ],
)
def test_a_links_address_is_on_the_path_that_tokens_are_put_for(text: str) -> None:
    address = parse_address(text)
    assert address is not None
    assert address.path == path_of(text)


@given(st.text(max_size=60))
def test_any_text_is_read_without_failing(text: str) -> None:
    parse_address(text)
    parse_selector(text)
    path_of(text)
