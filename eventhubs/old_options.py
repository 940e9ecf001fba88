"""What the options of the old (JVM) connector are called here, so that its notebooks are told and not just refused."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["OLD_OPTIONS", "Successor", "advice_on"]


class Successor(NamedTuple):
    """What took an option's place: the option to use now, if there is one, and what else to know."""

    option: str | None
    remark: str


_TUNING = Successor(None, "leave it out: there is nothing to tune")

OLD_OPTIONS = {
    "eventhubs.connectionString": Successor("connectionString", "in clear, not encrypted"),
    "eventhubs.consumerGroup": Successor("consumerGroup", ""),
    "eventhubs.startingPosition": Successor("startingPosition", "earliest, latest or a time, without JSON around it"),
    "eventhubs.startingPositions": Successor("startingPosition", 'JSON of partition to sequence number: {"0": 17}'),
    "eventhubs.endingPosition": Successor("endingPosition", "earliest, latest or a time, without JSON around it"),
    "eventhubs.endingPositions": Successor("endingPosition", 'JSON of partition to sequence number: {"0": 17}'),
    "eventhubs.maxEventsPerTrigger": Successor("maxEventsPerTrigger", ""),
    "eventhubs.maxRatePerPartition": Successor("maxEventsPerTrigger", "over all partitions together"),
    "eventhubs.maxRatesPerPartition": Successor("maxEventsPerTrigger", "over all partitions together"),
    "eventhubs.receiverTimeout": Successor("receiveTimeout", "seconds, such as 60 for PT60S"),
    "eventhubs.operationTimeout": Successor("receiveTimeout", "seconds, such as 60 for PT60S"),
    "eventhubs.maxSilentTime": Successor("receiveTimeout", "seconds, such as 60 for PT60S"),
    "eventhubs.useAadAuth": Successor("namespace", "its host name; sign in through DefaultAzureCredential"),
    "eventhubs.aadAuthCallback": Successor("namespace", "its host name; sign in through DefaultAzureCredential"),
    "eventhubs.aadAuthCallbackParams": Successor("namespace", "its host name; sign in through DefaultAzureCredential"),
    "eventhubs.prefetchCount": _TUNING,
    "eventhubs.threadPoolSize": _TUNING,
    "eventhubs.useExclusiveReceiver": _TUNING,
    "eventhubs.metricPlugin": Successor(None, "leave it out: the query's progress tells the lag"),
    "eventhubs.maxBatchReceiveTime": _TUNING,
    "eventhubs.maxAcceptableBatchReceiveTime": _TUNING,
    "eventhubs.slowPartitionAdjustment": _TUNING,
    "partitionPreferredLocationStrategy": _TUNING,
}
"""Old name → what to write now."""

_BY_FOLDED_NAME = {name.casefold(): (name, successor) for name, successor in OLD_OPTIONS.items()}


def advice_on(name: str) -> str | None:
    """What to do with an option of the old connector, in one sentence; None for any other name."""
    if name.casefold() not in _BY_FOLDED_NAME:
        return None
    known, (option, remark) = _BY_FOLDED_NAME[name.casefold()]
    if option is None:
        return f"Option {known!r} is the old connector's; {remark}."
    return f"Option {known!r} of the old connector is called {option!r} here{f' ({remark})' if remark else ''}."
