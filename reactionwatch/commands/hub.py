"""`reactionwatch hub`: the local Event Hubs namespace."""

from __future__ import annotations

from typing import Annotated

import typer

from reactionwatch.console import say, stopping
from reactionwatch.settings import LOCAL_HUB_PORT, load_settings

__all__ = ["hub"]


def hub(
    port: Annotated[int, typer.Option(help="Port on loopback; 0 picks a free one.")] = LOCAL_HUB_PORT,
    partitions: Annotated[int, typer.Option(min=1, max=32, help="Partitions of a reports hub made new.")] = 4,
    fsync: Annotated[bool, typer.Option("--fsync", help="Sync every write to disk; survives a power cut.")] = False,
) -> None:
    """Run a local hub that speaks AMQP like Azure Event Hubs, until Ctrl-C.

    Events are kept in the data folder and are there again after a restart. Every other command finds this hub by
    itself as long as no REACTIONWATCH_EVENTHUB_* variable is set and the port is the default.
    """
    from eventhubs.hub.server import LocalHub

    settings = load_settings()
    hubs = {settings.reports_hub: partitions, settings.alerts_hub: 2}
    with (
        stopping() as stop,
        LocalHub(settings.data_dir / "hub", hubs, port=port, fsync=fsync) as running,
    ):
        say(f"Local hub is ready on port {running.port} with hubs {', '.join(hubs)}. Stop it with Ctrl-C.")
        say(f"Connection string: {running.connection_string}")
        while not stop.wait(1.0):
            pass
        counts = running.event_counts()
    say("Local hub stopped. It keeps " + ", ".join(f"{n:,} events in {name}" for name, n in counts.items()) + ".")
