"""The Spark data source `eventhubs`: `spark.readStream.format("eventhubs")` and `spark.read.format("eventhubs")`.

Offsets are the next sequence number per partition, so the same micro-batch reads the same rows again, in the same
order; one Spark task reads one partition, in sequence order. Delivery is as often as Spark asks: exactly once is the
sink's part, with partition and sequenceNumber as its key. When retention has passed events that are due the query
stops with `DataLossError`, or with failOnDataLoss=false goes on behind them and records what was lost. Needs
Spark 4.2 or later, and this package on the executors.

Register it once per session: `spark.dataSource.register(EventHubsDataSource)`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyspark
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
from eventhubs.errors import ConfigurationError
from eventhubs.kept_receiver import KeptReceiver, receiver_of_this_process
from eventhubs.loss import behind_losses, losses, read_what_is_left, record
from eventhubs.positions import (
    ends_of,
    first_positions,
    last_positions,
    refuse_loss,
    refuse_what_never_was,
    room_for_all,
)
from eventhubs.progress import progress
from eventhubs.receiver import HubReceiver, PartitionInfo, ReceivedEvent, Transport, open_receiver
from eventhubs.rows import record_batches
from eventhubs.source_options import SourceOptions
from eventhubs.spark_version import check_spark_version
from eventhubs.watch import HubWatch

try:
    from pyspark.sql.datasource import DataSource, DataSourceReader, DataSourceStreamReader, InputPartition
    from pyspark.sql.streaming.datasource import (
        ReadAllAvailable,
        ReadLimit,
        ReadMaxRows,
        SupportsTriggerAvailableNow,
    )
except ImportError:
    check_spark_version(pyspark.__version__)
    raise

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


@dataclass(frozen=True)
class HubRange(InputPartition):
    """What one task reads: events `first` up to, not including, `end`, through the transport that the driver found."""

    partition_id: str
    first: int
    end: int
    transport: Transport = "auto"


class EventHubsDataSource(DataSource):
    """Reads a hub, as a stream or as a batch of what there is now. Options: `source_options.OPTIONS`."""

    @classmethod
    def name(cls) -> str:
        """The format's name."""
        return "eventhubs"

    def schema(self) -> StructType:
        """The columns; checks the options on the way, so that a mistake shows at `load()`."""
        SourceOptions.parse(self.options)
        return SCHEMA

    def reader(self, schema: StructType) -> DataSourceReader:
        """For `spark.read`: from startingPosition to endingPosition, or to what is there when the query is planned."""
        return EventHubsBatchReader(self._options_for(schema))

    def streamReader(self, schema: StructType) -> DataSourceStreamReader:  # noqa: N802 - Spark's name
        """For `spark.readStream`."""
        options = self._options_for(schema)
        options.check_stream()
        return EventHubsStreamReader(options)

    def _options_for(self, schema: StructType) -> SourceOptions:
        if schema != SCHEMA:
            raise ConfigurationError("The eventhubs source has fixed columns; remove .schema(...) and select them.")
        return SourceOptions.parse(self.options)


class _Reader:
    """What both readers share: the hub's state beside the driver, and reading one range in a task."""

    def __init__(self, options: SourceOptions) -> None:
        self._options = options
        self._where = f"hub {options.hub} at {options.connection.endpoint}"
        self._transport: Transport = options.transport
        self._kept = KeptReceiver(self._open, options.receive_timeout)
        self._watch = HubWatch(self._kept.describe)

    def __reduce__(self) -> tuple[type[_Reader], tuple[SourceOptions]]:
        # Only the options travel to the tasks; connections stay where they are.
        return type(self), (self._options,)

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """The rows of one range, in sequence order, always cut into the same record batches."""
        # A batch over an empty hub has no ranges; Spark then passes one partition of its own, without content.
        if isinstance(partition, HubRange):
            yield from record_batches(partition.partition_id, self._events(partition))

    def _events(self, wanted: HubRange) -> Iterator[list[ReceivedEvent]]:
        o = self._options
        receiver = receiver_of_this_process(o.connection, o.hub, o.consumer_group, wanted.transport, o.receive_timeout)
        if o.fail_on_data_loss:
            return receiver.read(wanted.partition_id, wanted.first, wanted.end - wanted.first)
        return read_what_is_left(
            receiver.read, wanted.partition_id, wanted.first, wanted.end, lambda lost: record(lost, self._where)
        )

    def _open(self) -> HubReceiver:
        o = self._options
        receiver = open_receiver(
            o.connection,
            o.hub,
            o.consumer_group,
            transport=self._transport,
            receive_timeout=o.receive_timeout,
        )
        # Found out once: neither a later connection nor any task tries again.
        self._transport = receiver.transport
        return receiver

    def _ranges(self, start: Mapping[str, int], end: Mapping[str, int]) -> list[HubRange]:
        """Ranges that hold events; a partition that is new since `start` begins at 0."""
        if self._transport == "auto":
            self._watch.infos()
        return [
            HubRange(p, start.get(p, 0), last, self._transport) for p, last in end.items() if last > start.get(p, 0)
        ]

    def _without_losses(
        self, start: Mapping[str, int], end: Mapping[str, int], infos: Sequence[PartitionInfo]
    ) -> dict[str, int]:
        """Where reading can begin; records what is lost on the way."""
        resumed = behind_losses(start, end, infos)
        for lost in losses(start, resumed):
            record(lost, self._where)
        return resumed


class EventHubsBatchReader(_Reader, DataSourceReader):
    """Everything from startingPosition to endingPosition, by default to the end at the time of planning."""

    def partitions(self) -> Sequence[InputPartition]:
        """One range per partition that has events."""
        o = self._options
        with self._kept:
            infos = self._watch.infos()
            start = first_positions(
                o.starting_position, infos, self._kept.sequence_at, fail_on_data_loss=o.fail_on_data_loss
            )
            end = last_positions(o.ending_position or "latest", infos, self._kept.sequence_at)
            if not o.fail_on_data_loss:
                start = self._without_losses(start, end, infos)
            return self._ranges(start, end)


class EventHubsStreamReader(_Reader, DataSourceStreamReader, SupportsTriggerAvailableNow):
    """Micro-batches over all partitions, admitted fairly up to maxEventsPerTrigger.

    The limit holds for every trigger; with Trigger.AvailableNow the batches follow one another until everything
    that was there at the start has been read.
    """

    def __init__(self, options: SourceOptions) -> None:
        super().__init__(options)
        self._progress: dict[str, dict[str, int]] | None = None
        self._target: dict[str, int] | None = None

    def initialOffset(self) -> dict[str, int]:  # noqa: N802 - Spark's name
        """Where a new query begins."""
        o = self._options
        return first_positions(
            o.starting_position, self._watch.infos(), self._kept.sequence_at, fail_on_data_loss=o.fail_on_data_loss
        )

    def getDefaultReadLimit(self) -> ReadLimit:  # noqa: N802 - Spark's name
        """The limit of maxEventsPerTrigger, if any."""
        limit = self._options.max_events_per_trigger
        return ReadAllAvailable() if limit is None else ReadMaxRows(limit)

    def latestOffset(self, start: dict[str, int], limit: ReadLimit) -> dict[str, int]:  # noqa: N802
        """Where the next micro-batch ends; `start` itself when nothing is new.

        Raises `DataLossError` when retention has passed `start`, unless failOnDataLoss is off: then what is lost does
        not count as read, and the batch still begins at `start`.
        """
        infos = self._watch.recent_infos()
        (refuse_loss if self._options.fail_on_data_loss else refuse_what_never_was)(start, infos)
        ends = ends_of(infos)
        until = ends
        if self._target is not None:
            until = {p: min(end, self._target.get(p, start.get(p, 0))) for p, end in ends.items()}
        limits = [self._options.max_events_per_trigger, limit.max_rows if isinstance(limit, ReadMaxRows) else None]
        resumed = behind_losses(start, until, infos)
        planned = admit(resumed, until, room_for_all(limits, len(infos)))
        lost = {gone.partition_id: gone.earliest - gone.wanted for gone in losses(start, resumed)}
        self._progress = progress(ends, planned, lost)
        return planned

    def reportLatestOffset(self) -> dict[str, dict[str, int]] | None:  # noqa: N802 - Spark's name
        """How far behind each partition is, for the query's progress; see `eventhubs.progress`."""
        return self._progress

    def prepareForTriggerAvailableNow(self) -> None:  # noqa: N802 - Spark's name
        """Remember what is there now; this run reads up to it and no further."""
        self._target = ends_of(self._watch.infos())

    def partitions(self, start: dict[str, int], end: dict[str, int]) -> Sequence[InputPartition]:
        """One range per partition with events in between."""
        if self._options.fail_on_data_loss:
            return self._ranges(start, end)
        return self._ranges(self._without_losses(start, end, self._watch.infos()), end)

    def stop(self) -> None:
        """Close the connection beside the driver."""
        self._kept.close()
