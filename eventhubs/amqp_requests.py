"""Requests to a node such as `$management` and their answers, any number under way at once."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from eventhubs import amqp
from eventhubs.amqp_client import AmqpConnection, decoded
from eventhubs.amqp_session import Session

__all__ = ["Request", "RequestLink"]

_ANSWERS = 1_000
"""Answers the peer may have under way to us."""
_LARGEST_TAKE = 1_048_576


class Request(NamedTuple):
    """One request: application properties and an AMQP value as body."""

    properties: dict[str, Any]
    value: Any = None


class RequestLink:
    """A pair of links to one node."""

    def __init__(self, connection: AmqpConnection, session: Session, node: str) -> None:
        self._connection = connection
        self._answers = session.attach(receiver=True, source=node, target=node)
        self._requests = session.attach(receiver=False, source=node, target=node)
        session.allow(self._answers, _ANSWERS)

    def ask(self, requests: Sequence[Request], deadline: float) -> list[amqp.Message]:
        """Send all requests, then wait for all answers; gives them in the order of the requests."""
        pending = {uuid.uuid4(): index for index in range(len(requests))}
        answers: dict[int, amqp.Message] = {}
        unsent = [
            amqp.encode_message(properties=[key], application_properties=r.properties, value=r.value)
            for key, r in zip(pending, requests, strict=True)
        ]
        while unsent:
            self._wait(lambda: self._requests.ready() and self._answers.ready(), deadline)
            sending = unsent[: self._requests.credit]
            unsent = unsent[len(sending) :]
            self._connection.send_messages(self._requests, sending, deadline)
        while len(answers) < len(requests):
            self._wait(self._answers.has_messages, deadline)
            for delivery in self._answers.take(_ANSWERS, _LARGEST_TAKE):
                answer = decoded(delivery.payload, self._connection.where)
                key = answer.properties[5] if len(answer.properties) > 5 else None
                if isinstance(key, uuid.UUID) and key in pending:
                    answers[pending.pop(key)] = answer
        if self._answers.credit < _ANSWERS // 2:
            self._answers.session.allow(self._answers, _ANSWERS)
        return [answers[index] for index in range(len(requests))]

    def _wait(self, done: Callable[[], bool], deadline: float) -> None:
        if not self._connection.wait(done, deadline):
            raise self._connection.too_late()
