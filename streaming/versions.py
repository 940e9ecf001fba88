"""Which model judges a batch: resolved once per batch on the driver, so that a promotion takes effect at the next."""

from __future__ import annotations

import logging

from models.errors import ModelError
from models.registry import ModelVersion, RegistrySettings, champion, fetch
from models.scorer import ModelBundle

__all__ = ["ChampionModel"]

log = logging.getLogger(__name__)


class ChampionModel:
    """The registry's champion, fetched and verified when it changes.

    While the registry cannot be read the last model goes on judging; with none, reports are stored unscored.
    Either is said once, when it begins.
    """

    def __init__(self, registry: RegistrySettings) -> None:
        self._registry = registry
        self._current: ModelVersion | None = None
        self._bundle: ModelBundle | None = None
        self._said: str | None = None

    def resolve(self) -> ModelBundle | None:
        """The model for the next batch, or None to store its reports unscored."""
        try:
            version = champion(self._registry)
            if version is not None and version != self._current:
                self._bundle = fetch(self._registry, version)
                self._current = version
                log.info("Reports are scored by %s, version %s.", version.name, version.version)
        except ModelError as error:
            self._say(f"{error} Going on {'with the last model' if self._bundle else 'unscored'}.")
            return self._bundle
        if version is None:
            self._current = self._bundle = None
            self._say(
                "No champion model is registered: reports are stored unscored. "
                "Train one with: reactionwatch train FILE, or reactionwatch train --generated 5000"
            )
        else:
            self._said = None
        return self._bundle

    def _say(self, sentence: str) -> None:
        if sentence != self._said:
            log.warning("%s", sentence)
            self._said = sentence
