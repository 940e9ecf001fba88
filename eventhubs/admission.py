"""How many events each partition may contribute to a micro-batch: pure arithmetic, fair by construction."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["admit"]


def admit(start: Mapping[str, int], latest: Mapping[str, int], limit: int | None) -> dict[str, int]:
    """The end (exclusive) per partition of a batch that takes at most `limit` events in total.

    Half of the limit is shared out evenly among partitions with a backlog, so that none starves; the rest
    goes by the size of what is left of the backlogs, so that a lagging partition catches up and partitions being
    replayed together stay in step. What one partition cannot use, the others get: the batch holds exactly
    min(limit, all backlogs). The answer depends on nothing but the arguments, not even on their order.

    Partitions missing in `start` begin at 0. With a limit below the number of partitions with a backlog those with
    the largest backlog come first.
    """
    backlog = {p: max(latest[p] - start.get(p, 0), 0) for p in sorted(latest, key=_by_number)}
    if limit is None or sum(backlog.values()) <= limit:
        share = backlog
    else:
        share = _even(backlog, limit // 2)
        left = {p: backlog[p] - share[p] for p in backlog}
        extra = _proportional(left, limit - sum(share.values()))
        share = {p: share[p] + extra[p] for p in backlog}
    return {p: start.get(p, 0) + share[p] for p in backlog}


def _even(wants: Mapping[str, int], total: int) -> dict[str, int]:
    """The same for each, as far as it wants it; indivisible remainders stay unassigned."""
    share = dict.fromkeys(wants, 0)
    hungry = [p for p in wants if wants[p] > 0]
    while hungry and total >= len(hungry):
        portion = min(total // len(hungry), min(wants[p] - share[p] for p in hungry))
        for p in hungry:
            share[p] += portion
        total -= portion * len(hungry)
        hungry = [p for p in hungry if share[p] < wants[p]]
    return share


def _proportional(wants: Mapping[str, int], total: int) -> dict[str, int]:
    """Shares of `total` in proportion to `wants`, by largest remainder; never more than wanted."""
    wanted = sum(wants.values())
    if wanted <= total:
        return dict(wants)
    share = {p: want * total // wanted for p, want in wants.items()}
    remainder = total - sum(share.values())
    by_claim = sorted(wants, key=lambda p: (-(wants[p] * total % wanted), -wants[p], _by_number(p)))
    for p in by_claim[:remainder]:
        share[p] += 1
    return share


def _by_number(partition_id: str) -> tuple[int, str]:
    return (int(partition_id) if partition_id.isdecimal() else 0, partition_id)
