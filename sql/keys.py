"""Integer keys: 64-bit hashes of names, the same on every machine and in every run, so no look-up is needed.

Two names share a key with a probability of n²/2⁶⁵ (n names): 3·10⁻⁸ for a million. For drugs and reactions the
store checks it on insert; for cases a collision shows as a conflicting duplicate and ends in quarantine.
"""

from __future__ import annotations

import hashlib
import secrets

__all__ = ["ANY", "RECEIPT_BITS", "name_key", "receipt_key"]

ANY = 0
"""Key that stands for "all drugs" or "all reactions" in the totals; no name hashes to it."""


RECEIPT_BITS = 21
"""Random bits of a receipt's id, below its time."""


def name_key(name: str) -> int:
    """Signed 64-bit BLAKE2b of a normalised name (or case id)."""
    digest = hashlib.blake2b(name.encode("utf-8"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True) or 1


def receipt_key(now_ms: int) -> int:
    """A fresh positive 63-bit id: names one attempt at a task's write, and its receipt when it succeeds.

    The time in ms (until 2109) and 21 random bits, so that what is stored later lies behind what is there, in one
    place. Should two ever be the same, the second violates its key, and nothing of it is stored.
    """
    return now_ms << RECEIPT_BITS | secrets.randbits(RECEIPT_BITS)
