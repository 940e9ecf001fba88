"""Where the rooms are put together: settings in, ready-made parts out."""

from __future__ import annotations

from functools import cache
from typing import Literal, cast

from sqlalchemy import Engine

from eventhubs.receiver import HubReceiver, open_receiver
from eventhubs.sender import HubSender
from eventhubs.settings import HubConnection
from expectations.agreement import confirm
from expectations.suite import LoadedSuite, load_suite
from models.registry import RegistrySettings
from models.spikes.rule_file import load_rules
from reactionwatch.settings import Settings
from streaming.backfill import BackfillSettings
from streaming.commit import Committer
from streaming.event_time import EventTime
from streaming.replay import CurrentJudges, ReplaySettings
from streaming.settings import StreamSettings
from streaming.task import TaskPlan
from streaming.versions import ChampionModel

__all__ = [
    "alerts_receiver",
    "backfill_settings",
    "connection_of",
    "registry_of",
    "replay_settings",
    "report_sender",
    "stream_settings",
]


def connection_of(settings: Settings) -> HubConnection:
    """The namespace that holds both hubs."""
    return HubConnection.from_text(settings.connection_text)


def report_sender(settings: Settings) -> HubSender:
    """Sends to the reports hub."""
    return HubSender(connection_of(settings), settings.reports_hub)


def alerts_receiver(settings: Settings) -> HubReceiver:
    """Reads the alerts hub."""
    return open_receiver(connection_of(settings), settings.alerts_hub)


def registry_of(settings: Settings) -> RegistrySettings:
    """Where models are registered."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    return RegistrySettings(settings.tracking_uri, settings.mlflow_registry_uri, settings.model_name)


def stream_settings(settings: Settings, *, once: bool, take_over: bool) -> StreamSettings:
    """Everything a stream run is made of."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    return StreamSettings(
        connection=connection_of(settings),
        reports_hub=settings.reports_hub,
        alerts_hub=settings.alerts_hub,
        database_url=settings.database,
        registry=registry_of(settings),
        data_dir=settings.data_dir,
        suites=settings.suites,
        stop_on_flood=settings.stop_on_flood,
        consumer_group=settings.consumer_group,
        event_time=settings.event_time,
        widths_ms=settings.widths_ms,
        rules=load_rules(settings.rules),
        tick_seconds=settings.tick_seconds,
        max_events_per_trigger=settings.max_events,
        transport=cast(Literal["auto", "amqp", "sdk"], settings.transport),
        master=settings.spark_master,
        once=once,
        take_over=take_over,
    )


def backfill_settings(settings: Settings, engine: Engine) -> BackfillSettings:
    """What a backfill shares with the stream."""
    rules = load_rules(settings.rules)
    return BackfillSettings(
        plan=TaskPlan(
            database_url=settings.database,
            hub="",
            generation=0,
            epoch=0,
            suite=_confirmed_suite(settings),
            event_time=EventTime.REPORTED,
        ),
        committer=lambda lease: Committer(engine, lease, settings.widths_ms, rules),
        model=ChampionModel(registry_of(settings)).resolve(),
    )


def replay_settings(settings: Settings, engine: Engine) -> ReplaySettings:
    """What a replay of quarantined reports shares with the stream."""
    rules = load_rules(settings.rules)
    champion = ChampionModel(registry_of(settings))
    suite = cache(lambda: _confirmed_suite(settings))
    return ReplaySettings(
        judges=lambda: CurrentJudges(suite(), champion.resolve()),
        event_time=settings.event_time,
        committer=lambda lease: Committer(engine, lease, settings.widths_ms, rules),
    )


def _confirmed_suite(settings: Settings) -> LoadedSuite:
    """The suite of reports, as Great Expectations reads it; importing that takes seconds."""
    suite = load_suite(settings.suites)
    confirm(suite)
    return suite
