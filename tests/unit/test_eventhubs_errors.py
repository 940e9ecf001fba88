"""Errors carry the decision and the remedy, through pickle too."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest
from azure.eventhub.exceptions import (
    AuthenticationError,
    ConnectError,
    ConnectionLostError,
    EventDataSendError,
    EventHubError,
)

from eventhubs import errors
from eventhubs.sdk import translated

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
    ("raised", "text", "condition", "kind"),
    [
        (ConnectError, "[SSL: CERTIFICATE_VERIFY_FAILED] self-signed", "socket-error", errors.ConfigurationError),
        (ConnectError, "Management request error. Status code: 503", "unknown-error", errors.ServerBusyError),
        (AuthenticationError, "Status code: 404, Description: secret", None, errors.HubNotFoundError),
        (AuthenticationError, "Status code: 401, Description: secret", None, errors.UnauthorizedError),
        (AuthenticationError, "took too long", "internal-error", errors.HubUnreachableError),
        (ConnectError, "no route", "socket-error", errors.HubUnreachableError),
        (ConnectionLostError, "gone", None, errors.HubUnreachableError),
        (EventDataSendError, "broke off", "unknown-error", errors.HubUnreachableError),
        (ConnectError, "broke off", "client-error", errors.HubUnreachableError),
        (EventHubError, "stolen", "link:stolen", errors.ReceiverDisplacedError),
        (ValueError, "Wrong partition id:9.", None, errors.HubNotFoundError),
        (KeyError, "anything", None, errors.HubUnreachableError),
    ],
)
def test_what_the_sdk_raises_is_typed_and_does_not_repeat_its_text(
    raised: Callable[[str], Any], text: str, condition: str | None, kind: type[errors.EventHubsError]
) -> None:
    error = raised(text)
    error.error = condition
    typed = translated(error, "hub reports")
    assert type(typed) is kind
    assert "hub reports" in str(typed)
    assert "secret" not in str(typed)


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
