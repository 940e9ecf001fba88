"""`reactionwatch hub`: the local Event Hubs namespace."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from reactionwatch.console import say, stopping
from reactionwatch.settings import LOCAL_HUB_PORT, load_settings

if TYPE_CHECKING:
    from eventhubs.hub.access import AccessKey

__all__ = ["hub"]

_UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_PARTITIONS = {"reports": 4, "alerts": 2}
_RIGHTS = ("listen", "send", "manage")


def hub(
    port: Annotated[int, typer.Option(help="Port on loopback; 0 picks a free one.")] = LOCAL_HUB_PORT,
    partitions: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=32,
            show_default="4, or as many as it has",
            help="Partitions of the reports hub. More than it has are added, and keys spread over all of them from "
            "then on; fewer are refused.",
        ),
    ] = None,
    consumer_group: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            show_default="$Default and REACTIONWATCH_CONSUMER_GROUP",
            help="A further consumer group, of every hub; may be given several times. Others are refused as not found.",
        ),
    ] = None,
    retention: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            show_default="none: everything is kept",
            help="How long events are kept, such as 90s, 30m, 24h or 7d. Older ones are deleted, up to an eighth "
            "of it later.",
        ),
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[:RIGHTS]=SECRET",
            envvar="REACTIONWATCH_HUB_KEYS",
            show_envvar=True,
            show_default="local=local",
            help="A shared access key instead of the default one; may be given several times, or in the variable with "
            "spaces between, where no other user can read it. RIGHTS are listen, send or manage, joined by +; "
            "without, all. Secrets given here are not printed.",
        ),
    ] = None,
    fsync: Annotated[
        bool, typer.Option("--fsync", help="Bring every write to the disk first; survives a loss of power.")
    ] = False,
) -> None:
    """Run a local hub that speaks AMQP like Azure Event Hubs, until Ctrl-C.

    Events are kept in the data folder and are there again after a restart. Every other command finds this hub by
    itself as long as no REACTIONWATCH_EVENTHUB_* variable is set and port and key are the defaults; otherwise give it
    the connection string in REACTIONWATCH_EVENTHUB_CONNECTION.

    Signatures are checked as the service checks them, events above 1 MiB and a sixth reader of a partition and group
    are refused as there. It listens on this machine only, without TLS. There is no Entra ID (such tokens are taken
    unseen), no WebSockets, no Kafka endpoint, no capture and no quota.
    """
    from eventhubs.hub.access import LOCAL_KEY
    from eventhubs.hub.server import LocalHub
    from eventhubs.hub.store import stored_partitions

    keys = [_key(text) for text in key or ()] or [LOCAL_KEY]
    kept_s = None if retention is None else _seconds(retention)
    settings = load_settings()
    folder = settings.data_dir / "hub"
    names = {"reports": settings.reports_hub, "alerts": settings.alerts_hub}
    hubs = {name: stored_partitions(folder, name) or _PARTITIONS[kind] for kind, name in names.items()}
    if partitions is not None:
        hubs[settings.reports_hub] = partitions
    groups = [settings.consumer_group, *(consumer_group or ())]
    with (
        stopping() as stop,
        LocalHub(folder, hubs, port=port, fsync=fsync, retention=kept_s, consumer_groups=groups, keys=keys) as running,
    ):
        say(f"Local hub is ready on port {running.port} with hubs {', '.join(hubs)}. Stop it with Ctrl-C.")
        secret = LOCAL_KEY.key if keys[0] == LOCAL_KEY else "<its secret>"
        say(
            f"Connection string: Endpoint=sb://localhost:{running.port};SharedAccessKeyName={keys[0].name};"
            f"SharedAccessKey={secret};UseDevelopmentEmulator=true"
        )
        while not stop.wait(1.0):
            pass
        counts = running.event_counts()
    say("Local hub stopped. It keeps " + ", ".join(f"{n:,} events in {name}" for name, n in counts.items()) + ".")


def _seconds(text: str) -> int:
    match = re.fullmatch(r"([1-9]\d{0,8})([smhd])", text.strip())
    if match is None:
        raise typer.BadParameter(
            "a time looks like 90s, 30m, 24h or 7d, and is longer than nothing", param_hint="--retention"
        )
    return int(match[1]) * _UNITS_S[match[2]]


def _key(text: str) -> AccessKey:
    """Read `NAME[:RIGHTS]=SECRET`; what cannot be read is not repeated, for it may hold a secret."""
    from eventhubs.hub.access import AccessKey, Right
    from eventhubs.hub.errors import HubError

    described, _, secret = text.partition("=")
    name, _, words = described.partition(":")
    rights = words.lower().split("+") if words else _RIGHTS
    if not secret or not set(rights) <= set(_RIGHTS):
        raise typer.BadParameter(
            "a key looks like reader:listen=SECRET, with rights among listen, send and manage", param_hint="--key"
        )
    granted = Right(0)
    for word in rights:
        granted |= Right[word.upper()]
    try:
        return AccessKey(name, secret, granted)
    except HubError as error:
        raise typer.BadParameter(str(error), param_hint="--key") from None
