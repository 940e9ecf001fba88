"""Errors of the AMQP subset: `ProtocolError` is all that decoding ever raises."""

from __future__ import annotations

__all__ = ["DECODE_ERROR", "FRAMING_ERROR", "ProtocolError"]

DECODE_ERROR = "amqp:decode-error"
"""Condition: a value or performative whose bytes say something impossible."""
FRAMING_ERROR = "amqp:connection:framing-error"
"""Condition: bytes that do not form a frame at all."""


class ProtocolError(ValueError):
    """The peer sent bytes that are not AMQP 1.0 (or not the subset spoken here): close the connection.

    `condition` is the AMQP error symbol to close with; the message never quotes the bytes.
    """

    def __init__(self, message: str, condition: str = DECODE_ERROR) -> None:
        super().__init__(message)
        self.condition = condition
