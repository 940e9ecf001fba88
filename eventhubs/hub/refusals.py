"""What the service says when it refuses, condition and text, as its clients' issue trackers show it."""

from __future__ import annotations

from eventhubs.amqp import Error

__all__ = ["RefusedError", "busy", "expired", "not_found", "out_of_range", "unauthorised"]


class RefusedError(Exception):
    """The service would refuse this; `condition` is the AMQP error it would give."""

    def __init__(self, condition: str, description: str) -> None:
        super().__init__(description)
        self.condition = condition
        self.description = description

    @property
    def error(self) -> Error:
        """It as it goes over the wire."""
        return Error(self.condition, self.description)


def not_found(resource: str) -> RefusedError:
    """No hub, consumer group or partition has this address."""
    return RefusedError(
        "amqp:not-found",
        f"The messaging entity '{resource}' could not be found. To know more visit "
        "https://aka.ms/sbResourceMgrExceptions.",
    )


def unauthorised(claim: str, resource: str) -> RefusedError:
    """No token on this connection allows it."""
    return RefusedError(
        "amqp:unauthorized-access",
        f"Unauthorized access. '{claim}' claim(s) are required to perform this operation. Resource: '{resource}'.",
    )


def expired(link: str, claim: str, resource: str) -> RefusedError:
    """The token of an open link ended and was not renewed: not a matter of rights, so clients come back."""
    return RefusedError(
        "amqp:link:detach-forced",
        f"The link '{link}' is force detached. Code: RenewToken. Details: {unauthorised(claim, resource).description}.",
    )


def busy() -> RefusedError:
    """More is asked than was paid for."""
    return RefusedError(
        "com.microsoft:server-busy",
        "The request was terminated because the entity is being throttled. Error code : 50002. "
        "Please wait 4 seconds and try again.",
    )


def out_of_range(what: str, value: int, last: int) -> RefusedError:
    """A start position past the end."""
    return RefusedError(
        "com.microsoft:argument-error",
        f"The supplied {what} '{value}' is invalid. The last {what} in the system is '{last}'",
    )
