"""Errors carry the decision and the remedy, through pickle too."""

from __future__ import annotations

import pickle

import pytest

from eventhubs import errors

EVERY_ERROR = [
    errors.HubUnreachableError("Try again."),
    errors.ServerBusyError("Wait.", 7.5),
    errors.UnauthorizedError("Check the key."),
    errors.HubNotFoundError("Check the name."),
    errors.ReceiverDisplacedError("Use another group."),
    errors.DataLossError("3", 17, 40),
    errors.EventTooLargeError(5, 1_048_576),
    errors.ProtocolError("Try sdk."),
    errors.ConfigurationError("Fix it."),
]


@pytest.mark.parametrize("error", EVERY_ERROR, ids=lambda e: type(e).__name__)
def test_errors_survive_pickling(error: errors.EventHubsError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)


def test_only_unreachable_and_busy_are_transient() -> None:
    transient = {type(e).__name__ for e in EVERY_ERROR if e.transient}
    assert transient == {"HubUnreachableError", "ServerBusyError"}


def test_data_loss_names_what_was_lost_and_where_to_go_on() -> None:
    text = str(errors.DataLossError("3", 17, 40))
    assert "Partition 3" in text
    assert "17 to 39 (23 events)" in text
    assert "starting this partition at 40" in text


def test_data_loss_of_a_recreated_hub_says_so() -> None:
    assert "recreated" in str(errors.DataLossError("3", 40, 5))


@pytest.mark.parametrize(
    ("condition", "kind"),
    [
        ("amqp:unauthorized-access", errors.UnauthorizedError),
        ("com.microsoft:auth-failed", errors.UnauthorizedError),
        ("amqp:not-found", errors.HubNotFoundError),
        ("com.microsoft:server-busy", errors.ServerBusyError),
        ("com.microsoft:timeout", errors.HubUnreachableError),
        ("amqp:link:detach-forced", errors.HubUnreachableError),
        ("amqp:connection:forced", errors.HubUnreachableError),
        ("amqp:link:stolen", errors.ReceiverDisplacedError),
        ("amqp:resource-limit-exceeded", errors.ReceiverDisplacedError),
        ("amqp:decode-error", errors.ProtocolError),
        ("something-new", errors.ProtocolError),
    ],
)
def test_condition_becomes_typed_error_that_names_the_entity(condition: str, kind: type[errors.EventHubsError]) -> None:
    error = errors.error_for_condition(condition, "hub reports, partition 2")
    assert type(error) is kind
    assert "hub reports, partition 2" in str(error)
    assert condition in str(error)
