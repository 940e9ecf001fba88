"""What a stream tells of itself in `query.lastProgress`, as the source's `latestOffset`."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["progress"]


def progress(ends: Mapping[str, int], planned: Mapping[str, int], lost: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Per partition, when the batch was planned: the hub's `end`, how far `behind` it the batch stops, events `lost`.

    All are counts of events: `end` is the next sequence number the hub will give, `behind` what is left to read
    after the batch, `lost` what retention had passed before the batch could read it (failOnDataLoss=false).
    """
    return {
        p: {"end": end, "behind": max(end - planned.get(p, 0), 0), "lost": lost.get(p, 0)} for p, end in ends.items()
    }
