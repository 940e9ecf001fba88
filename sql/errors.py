"""What can go wrong in the store, and what the caller should do about it.

    StoreError
    ├── UnsupportedDatabaseError   the URL names a database this build does not speak
    ├── StoreUnavailableError      the database could not be reached or stayed locked: fix the cause, start again
    ├── StoreRefusedError          the database says no: login, rights, or a schema that is missing or another version
    ├── LeaseHeldError             another stream is alive on this hub and database
    ├── FencedError                another stream has taken over: this one must stop
    ├── PositionError              the range does not follow the stored position: a gap, or no position at all
    ├── AccountingError            rows written do not add up: a defect, nothing was committed
    ├── KeyCollisionError          two different names share a 64-bit key
    └── NotFiniteError             a number to be stored is NaN or infinite: a defect, nothing was committed

No message carries report text.
"""

from __future__ import annotations

from sqlalchemy.exc import DontWrapMixin

__all__ = [
    "AccountingError",
    "FencedError",
    "KeyCollisionError",
    "LeaseHeldError",
    "NotFiniteError",
    "PositionError",
    "StoreError",
    "StoreRefusedError",
    "StoreUnavailableError",
    "UnsupportedDatabaseError",
]


class StoreError(Exception):
    """Base of all errors of the store."""


class UnsupportedDatabaseError(StoreError):
    """The database URL names a backend this build does not speak."""


class StoreUnavailableError(StoreError):
    """The database could not be reached, or stayed locked beyond the retries."""


class StoreRefusedError(StoreError):
    """The database refuses what was asked: waiting does not help, somebody has to change something."""


class LeaseHeldError(StoreError):
    """Another stream is alive on this hub and database."""


class FencedError(StoreError):
    """Another stream has taken over; whatever this one still does must not be stored."""


class PositionError(StoreError):
    """The range of events does not follow what is stored for its partition."""


class AccountingError(StoreError):
    """Stored, quarantined and duplicate reports do not add up to the events received."""


class KeyCollisionError(StoreError):
    """Two different names share one 64-bit key; neither may be counted as the other."""


class NotFiniteError(StoreError, DontWrapMixin):
    """A number to be stored is NaN or infinite."""
