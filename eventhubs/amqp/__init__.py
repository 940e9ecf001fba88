"""The subset of AMQP 1.0 that Event Hubs speaks: values, performatives, frames and messages. No I/O.

Usable from any loop, over plain sockets or asyncio. The way of a client:

1. send `SASL_HEADER`; `FrameReader.next_header()`, then `SaslMechanisms`; send `SaslInit` (`sasl=True`), read
   `SaslOutcome`; send `AMQP_HEADER`, read it back;
2. send `Open`, `Begin` and `Attach` with `encode_frame(channel, performative)`, all in one write if wished;
3. `FrameReader.feed(bytes)`, then `FrameReader.next()` until it gives None: `Frame(channel, performative, payload)`;
4. join the payloads of `Transfer` frames while `more` is set; `read_message(payload)` gives body, annotations
   and properties; `encode_transfers` writes a delivery, over several frames if need be.

Everything malformed raises `ProtocolError`, never anything else. Frames are written with all fields present.
"""

from eventhubs.amqp.decoding import decode_value, skip_value
from eventhubs.amqp.encoding import encode_value
from eventhubs.amqp.errors import ProtocolError
from eventhubs.amqp.frames import (
    AMQP_HEADER,
    EMPTY_FRAME,
    SASL_HEADER,
    Frame,
    FrameReader,
    encode_frame,
    encode_transfers,
)
from eventhubs.amqp.message import (
    BATCH_FORMAT,
    Message,
    Section,
    data_of,
    encode_message,
    encode_section,
    read_message,
    split_sections,
)
from eventhubs.amqp.performative_codec import decode_performative, encode_performative
from eventhubs.amqp.performatives import (
    ACCEPTED,
    SELECTOR_FILTER,
    Attach,
    Begin,
    Close,
    Detach,
    Disposition,
    End,
    Error,
    Flow,
    Open,
    Performative,
    SaslInit,
    SaslMechanisms,
    SaslOutcome,
    Terminus,
    Transfer,
    rejected,
    released,
    selector_filter,
    source,
    target,
)
from eventhubs.amqp.types import (
    Array,
    Described,
    Int,
    Opaque,
    Raw,
    Symbol,
    Timestamp,
    UByte,
    UInt,
    ULong,
    UShort,
)

__all__ = [
    "ACCEPTED",
    "AMQP_HEADER",
    "BATCH_FORMAT",
    "EMPTY_FRAME",
    "SASL_HEADER",
    "SELECTOR_FILTER",
    "Array",
    "Attach",
    "Begin",
    "Close",
    "Described",
    "Detach",
    "Disposition",
    "End",
    "Error",
    "Flow",
    "Frame",
    "FrameReader",
    "Int",
    "Message",
    "Opaque",
    "Open",
    "Performative",
    "ProtocolError",
    "Raw",
    "SaslInit",
    "SaslMechanisms",
    "SaslOutcome",
    "Section",
    "Symbol",
    "Terminus",
    "Timestamp",
    "Transfer",
    "UByte",
    "UInt",
    "ULong",
    "UShort",
    "data_of",
    "decode_performative",
    "decode_value",
    "encode_frame",
    "encode_message",
    "encode_performative",
    "encode_section",
    "encode_transfers",
    "encode_value",
    "read_message",
    "rejected",
    "released",
    "selector_filter",
    "skip_value",
    "source",
    "split_sections",
    "target",
]
