"""What a stream run needs to know, checked; the front door fills it in."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from eventhubs.settings import HubConnection
from models.registry import RegistrySettings
from models.spikes import RuleBook
from streaming.event_time import EventTime

__all__ = ["StreamSettings", "hub_id"]


@dataclass(frozen=True)
class StreamSettings:
    """Everything a run is made of; raises ValueError for widths that cannot work."""

    connection: HubConnection
    reports_hub: str
    alerts_hub: str
    database_url: str = field(repr=False)
    registry: RegistrySettings
    data_dir: Path
    suites: Path | None = None
    """Folder of the suites; None: those of the package."""
    stop_on_flood: bool = False
    consumer_group: str = "$Default"
    event_time: EventTime = EventTime.HUB
    widths_ms: tuple[int, ...] = (900_000, 3_600_000, 21_600_000, 86_400_000, 604_800_000)
    rules: RuleBook = field(default_factory=RuleBook)
    tick_seconds: float = 2.0
    max_events_per_trigger: int = 10_000
    transport: Literal["auto", "amqp", "sdk"] = "auto"
    master: str = "local[*]"
    once: bool = False
    take_over: bool = False

    def __post_init__(self) -> None:
        """Refuse widths that are not distinct, positive and rising."""
        if not self.widths_ms or list(self.widths_ms) != sorted(set(self.widths_ms)) or self.widths_ms[0] < 1000:
            raise ValueError("window widths must be distinct, rising and at least one second")

    @property
    def hub_id(self) -> str:
        """How the reports hub is named in the database: host and hub, without the port."""
        return hub_id(self.connection, self.reports_hub)


def hub_id(connection: HubConnection, hub: str) -> str:
    """Name of a hub in the database. The port is left out: a local hub may come up on another one."""
    return f"{connection.host}/{hub}"
