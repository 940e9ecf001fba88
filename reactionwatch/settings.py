"""Settings: environment variables `REACTIONWATCH_*`, each declared once with what it means and its default."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from models.spikes.widths import parse_width
from streaming.event_time import EventTime

__all__ = ["LOCAL_HUB_PORT", "Settings", "SettingsError", "load_settings", "parse_widths"]

LOCAL_HUB_PORT = 5672
"""Where `reactionwatch hub` listens, and where every command looks when no connection is set."""

_LOCAL_HUB = (
    f"Endpoint=sb://localhost:{LOCAL_HUB_PORT};SharedAccessKeyName=local;SharedAccessKey=local;"
    "UseDevelopmentEmulator=true"
)


class SettingsError(Exception):
    """A setting cannot be used; the message names it and says what is expected."""


class Settings(BaseSettings):
    """All settings of all commands."""

    model_config = SettingsConfigDict(env_prefix="REACTIONWATCH_", frozen=True)

    eventhub_connection: SecretStr | None = Field(
        None, description="Connection string of the Event Hubs namespace. Unset: the local hub on this machine."
    )
    eventhub_namespace: str | None = Field(
        None, description="Host of the namespace, to sign in with Entra ID instead of a connection string."
    )
    reports_hub: str = Field("reports", description="Event hub that safety reports arrive on.")
    alerts_hub: str = Field("alerts", description="Event hub that alerts are published to.")
    consumer_group: str = Field("$Default", description="Consumer group the stream reads with.")
    database_url: SecretStr | None = Field(
        None, description="URL of a SQLite, PostgreSQL or Azure SQL database. Unset: a SQLite file in the data folder."
    )
    mlflow_tracking_uri: str | None = Field(
        None, description="MLflow tracking server. Unset: a SQLite file in the data folder."
    )
    mlflow_registry_uri: str | None = Field(None, description="MLflow registry, where it is not the tracking server.")
    model_name: str = Field("reactionwatch", description="Registered model; three parts for Unity Catalog.")
    event_time: EventTime = Field(
        EventTime.HUB, description="What windows go by: hub (enqueued time), payload, reported or receivedate."
    )
    windows: str = Field("15m,1h,6h,1d,7d", description="Window widths, rising, with unit s, m, h or d.")
    rules: Path | None = Field(None, description="File of what counts as a spike (TOML). Unset: that of the package.")
    suites: Path | None = Field(
        None, description="Folder with report.json and pipeline.json, the expectations. Unset: those of the package."
    )
    stop_on_flood: bool = Field(
        False, description="Stop, with exit code 1, when the share of quarantined reports is above its limit."
    )
    max_events: int = Field(10_000, ge=1, description="Most events in one micro-batch.")
    tick_seconds: float = Field(2.0, gt=0, le=5.0, description="How often windows and alerts are looked at.")
    spark_master: str = Field("local[2]", description="Spark master, where no session is given from outside.")
    transport: str = Field("auto", pattern="^(auto|amqp|sdk)$", description="How the hub is read: auto, amqp or sdk.")
    data_dir: Path = Field(Path(".reactionwatch"), description="Folder for everything kept on this machine.")

    @field_validator("windows")
    @classmethod
    def _widths_can_be_read(cls, text: str) -> str:
        parse_widths(text)
        return text

    @property
    def connection_text(self) -> str:
        """Connection string or namespace host; the local hub when neither is set."""
        if self.eventhub_connection is not None:
            return self.eventhub_connection.get_secret_value()
        return self.eventhub_namespace or _LOCAL_HUB

    @property
    def uses_local_hub(self) -> bool:
        """Whether no namespace is set, so that commands look for the hub of `reactionwatch hub`."""
        return self.eventhub_connection is None and self.eventhub_namespace is None

    @property
    def database(self) -> str:
        """The database URL in force."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{(self.data_dir / 'reactionwatch.db').resolve()}"

    @property
    def tracking_uri(self) -> str:
        """The MLflow tracking URI in force."""
        return self.mlflow_tracking_uri or f"sqlite:///{(self.data_dir / 'mlflow.db').resolve()}"

    @property
    def widths_ms(self) -> tuple[int, ...]:
        """Window widths in milliseconds."""
        return parse_widths(self.windows)


def load_settings() -> Settings:
    """Settings from the environment; raises `SettingsError` naming the variable at fault, never its value."""
    try:
        return Settings()
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        name = "REACTIONWATCH_" + "_".join(str(part) for part in problem["loc"]).upper()
        raise SettingsError(f"{name}: {problem['msg'].removeprefix('Value error, ')}.") from None


def parse_widths(text: str) -> tuple[int, ...]:
    """Read `15m,1h` as milliseconds; raises ValueError for anything that is not rising widths of a second or more."""
    widths = [parse_width(part) for part in text.split(",")]
    if widths != sorted(set(widths)) or widths[0] < 1000:
        raise ValueError("window widths must rise and be at least 1s")
    return tuple(widths)
