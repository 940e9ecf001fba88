"""The Spark data source `eventhubs`: `spark.readStream.format("eventhubs")` and `spark.read.format("eventhubs")`.

Offsets are the next sequence number per partition, so the same micro-batch reads the same rows again, in the same
order; one Spark task reads one partition, in sequence order. Delivery is as often as Spark asks: exactly once is the
sink's part, with partition and sequenceNumber as its key. When retention has passed events that are due the query
stops with `DataLossError`; it never skips. Needs Spark 4.2 or later, and this package on the executors.

Register it once per session: `spark.dataSource.register(EventHubsDataSource)`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyspark.sql.datasource import DataSource, DataSourceReader, DataSourceStreamReader, InputPartition
from pyspark.sql.streaming.datasource import (
    ReadAllAvailable,
    ReadLimit,
    ReadMaxRows,
    SupportsTriggerAvailableNow,
)
from pyspark.sql.types import (
    BinaryType,
    LongType,
    MapType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from eventhubs.admission import admit
from eventhubs.errors import ConfigurationError, HubNotFoundError
from eventhubs.kept_receiver import KeptReceiver, receiver_of_this_process
from eventhubs.positions import first_positions, refuse_loss, room_for_all
from eventhubs.receiver import HubInfo, PartitionInfo, open_receiver
from eventhubs.rows import record_batches
from eventhubs.source_options import SourceOptions

__all__ = ["SCHEMA", "EventHubsDataSource", "HubRange"]

SCHEMA = StructType(
    [
        StructField("body", BinaryType()),
        StructField("partition", StringType()),
        StructField("offset", StringType()),
        StructField("sequenceNumber", LongType()),
        StructField("enqueuedTime", TimestampType()),
        StructField("publisher", StringType()),
        StructField("partitionKey", StringType()),
        StructField("properties", MapType(StringType(), StringType())),
        StructField("systemProperties", MapType(StringType(), StringType())),
    ]
)
"""The columns, named and typed as the JVM connector does."""

_HUB_REFRESH = 60.0
"""Seconds after which the hub is asked again for its partitions (it may have been scaled out) and its age."""


@dataclass(frozen=True)
class HubRange(InputPartition):
    """What one task reads: events `first` up to, not including, `end`."""

    partition_id: str
    first: int
    end: int


class EventHubsDataSource(DataSource):
    """Reads a hub, as a stream or as a batch of everything there is now. Options: `source_options.OPTIONS`."""

    @classmethod
    def name(cls) -> str:
        """The format's name."""
        return "eventhubs"

    def schema(self) -> StructType:
        """The columns; checks the options on the way, so that a mistake shows at `load()`."""
        SourceOptions.parse(self.options)
        return SCHEMA

    def reader(self, schema: StructType) -> DataSourceReader:
        """For `spark.read`: from startingPosition to what is there when the query is planned."""
        return EventHubsBatchReader(self._options_for(schema))

    def streamReader(self, schema: StructType) -> DataSourceStreamReader:  # noqa: N802 - Spark's name
        """For `spark.readStream`."""
        return EventHubsStreamReader(self._options_for(schema))

    def _options_for(self, schema: StructType) -> SourceOptions:
        if schema != SCHEMA:
            raise ConfigurationError("The eventhubs source has fixed columns; remove .schema(...) and select them.")
        return SourceOptions.parse(self.options)


class _Reader:
    """What both readers share: the hub's state beside the driver, and reading one range in a task."""

    def __init__(self, options: SourceOptions) -> None:
        self._options = options
        self._kept = KeptReceiver(self._open, options.receive_timeout)
        self._hub: HubInfo | None = None
        self._hub_asked_at = 0.0
        self._openings = 0

    def __reduce__(self) -> tuple[type[_Reader], tuple[SourceOptions]]:
        # Only the options travel to the tasks; connections stay where they are.
        return type(self), (self._options,)

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """The rows of one range, in sequence order."""
        # A batch over an empty hub has no ranges; Spark then passes one partition of its own, without content.
        if isinstance(partition, HubRange):
            o = self._options
            receiver = receiver_of_this_process(o.connection, o.hub, o.consumer_group, o.transport, o.receive_timeout)
            lists = receiver.read(partition.partition_id, partition.first, partition.end - partition.first)
            yield from record_batches(partition.partition_id, lists)

    def _open(self) -> Any:
        o = self._options
        return open_receiver(
            o.connection,
            o.hub,
            o.consumer_group,
            transport=o.transport,
            receive_timeout=o.receive_timeout,
        )

    def _infos(self) -> list[PartitionInfo]:
        """The readable range of every partition, now. Asked again when a connection broke, for the hub may be new."""
        while True:
            hub = self._known_hub()
            infos = self._kept.partition_infos(hub.partition_ids)
            if self._kept.openings == self._openings:
                return infos

    def _known_hub(self) -> HubInfo:
        """The hub's description, asked for now and then and on every new connection."""
        now = time.monotonic()
        fresh = now - self._hub_asked_at < _HUB_REFRESH and self._kept.openings == self._openings
        if self._hub is not None and fresh:
            return self._hub
        hub = self._kept.hub_info()
        if self._hub is not None and self._hub.created_at_ms != hub.created_at_ms:
            raise HubNotFoundError(
                f"Hub {self._options.hub} was deleted and created again while it was being read. Its positions "
                "begin anew: start the query again, with new positions."
            )
        self._hub, self._hub_asked_at, self._openings = hub, now, self._kept.openings
        return hub


class EventHubsBatchReader(_Reader, DataSourceReader):
    """Everything from startingPosition to the end of the hub at the time of planning."""

    def partitions(self) -> Sequence[InputPartition]:
        """One range per partition that has events."""
        with self._kept:
            infos = self._infos()
            ends = {i.partition_id: i.next_sequence for i in infos}
            return _ranges(first_positions(self._options.starting_position, infos), ends)


class EventHubsStreamReader(_Reader, DataSourceStreamReader, SupportsTriggerAvailableNow):
    """Micro-batches over all partitions, admitted fairly up to maxEventsPerTrigger.

    The limit holds for every trigger; with Trigger.AvailableNow the batches follow one another until everything
    that was there at the start has been read.
    """

    def __init__(self, options: SourceOptions) -> None:
        super().__init__(options)
        self._latest: dict[str, int] | None = None
        self._target: dict[str, int] | None = None

    def initialOffset(self) -> dict[str, int]:  # noqa: N802 - Spark's name
        """Where a new query begins."""
        return first_positions(self._options.starting_position, self._infos())

    def getDefaultReadLimit(self) -> ReadLimit:  # noqa: N802 - Spark's name
        """The limit of maxEventsPerTrigger, if any."""
        limit = self._options.max_events_per_trigger
        return ReadAllAvailable() if limit is None else ReadMaxRows(limit)

    def latestOffset(self, start: dict[str, int], limit: ReadLimit) -> dict[str, int]:  # noqa: N802
        """Where the next micro-batch ends; `start` itself when nothing is new.

        Raises `DataLossError` when retention has passed `start`.
        """
        infos = self._infos()
        refuse_loss(start, infos)
        self._latest = {i.partition_id: i.next_sequence for i in infos}
        until = self._latest
        if self._target is not None:
            until = {p: min(end, self._target.get(p, start.get(p, 0))) for p, end in until.items()}
        limits = [self._options.max_events_per_trigger, limit.max_rows if isinstance(limit, ReadMaxRows) else None]
        return admit(start, until, room_for_all(limits, len(infos)))

    def reportLatestOffset(self) -> dict[str, int] | None:  # noqa: N802 - Spark's name
        """The ends of the partitions when last asked, for the query's progress."""
        return self._latest

    def prepareForTriggerAvailableNow(self) -> None:  # noqa: N802 - Spark's name
        """Remember what is there now; this run reads up to it and no further."""
        self._target = {i.partition_id: i.next_sequence for i in self._infos()}

    def partitions(self, start: dict[str, int], end: dict[str, int]) -> Sequence[InputPartition]:
        """One range per partition with events in between."""
        return _ranges(start, end)

    def stop(self) -> None:
        """Close the connection beside the driver."""
        self._kept.close()


def _ranges(start: dict[str, int], end: dict[str, int]) -> list[HubRange]:
    """Ranges that hold events; a partition that is new since `start` begins at 0."""
    return [HubRange(p, start.get(p, 0), last) for p, last in end.items() if last > start.get(p, 0)]
