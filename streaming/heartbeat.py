"""Signs of life of the lease, on a thread of their own: from takeover to release, whatever else takes long."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from sql.errors import FencedError
from sql.positions import LEASE_SECONDS, Lease, beat
from sql.retry import cause_of

__all__ = ["heartbeat"]

log = logging.getLogger(__name__)


@contextmanager
def heartbeat(engine: Engine, lease: Lease, on_lost: Callable[[Exception], None]) -> Iterator[None]:
    """Beat several times per lease period until the block ends; `on_lost` is told once when somebody took over.

    A database that does not answer is no reason to stop beating: what needs it will say so.
    """
    stop = threading.Event()

    def run() -> None:
        away = False
        while not stop.wait(LEASE_SECONDS / 5):
            try:
                with engine.begin() as connection:
                    beat(connection, lease)
                if away:
                    log.warning("The database is back.")
                away = False
            except FencedError as error:
                on_lost(error)
                return
            except DBAPIError as error:
                if not away:
                    log.warning("The database is away and waited for (%s).", cause_of(error))
                away = True

    thread = threading.Thread(target=run, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
