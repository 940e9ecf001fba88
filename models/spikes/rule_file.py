"""The file that rules are set by: TOML, checked before anything is judged by it.

The packaged one, `rules.toml`, names every setting with what it does. A file of one's own stands in its place: what it
leaves out has the defaults of `models.spikes.settings`.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from models.errors import ModelError
from models.spikes.settings import DetectionRules, RuleBook, Season, SpikeRules
from models.spikes.widths import parse_width

__all__ = ["RuleFileError", "load_rules", "rule_text"]

_OWN_WIDTHS = "widths"


class RuleFileError(ModelError):
    """A file of rules that cannot be used: says what is wrong in it, and where."""


def rule_text(path: Path | None) -> str:
    """The file at `path`, or the packaged one. Raises RuleFileError."""
    try:
        return (resources.files("models.spikes") / "rules.toml" if path is None else path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RuleFileError(f"The rules in {path or 'the package'} cannot be read: {error}.") from error


def load_rules(path: Path | None) -> RuleBook:
    """The rules of the file at `path`, or of the packaged one. Raises RuleFileError."""
    text = rule_text(path)
    try:
        document = tomllib.loads(text)
        own = document.pop(_OWN_WIDTHS, {})
        if not isinstance(own, dict):
            raise ValueError(f"{_OWN_WIDTHS} is a table, as in [{_OWN_WIDTHS}.1d]")
        usual = _rules(document, "")
        of_width = {
            parse_width(width): _rules(_merged(document, changes), f"{_OWN_WIDTHS}.{width}: ")
            for width, changes in own.items()
        }
    except ValueError as error:
        raise RuleFileError(
            f"The rules in {path or 'the package'} cannot be used: {error}. "
            "`reactionwatch rules show --defaults` prints every setting with what it does."
        ) from error
    return RuleBook(usual, of_width)


def _rules(document: Mapping[str, Any], where: str) -> DetectionRules:
    unknown = [*_unknown(document)]
    if unknown:
        raise ValueError(f"{where}there is no setting {', '.join(unknown)}")
    try:
        return msgspec.convert(document, DetectionRules)
    except msgspec.ValidationError as error:
        raise ValueError(f"{where}{error}") from error


def _unknown(document: Mapping[str, Any]) -> Iterator[str]:
    """Names in the document that no setting has: a misspelt one must not leave its default in force unseen."""
    yield from _strange(document, DetectionRules, "")
    yield from _strange(document.get("spikes"), SpikeRules, "spikes.")
    seasons = document.get("seasons")
    for season in seasons if isinstance(seasons, list) else ():
        yield from _strange(season, Season, "seasons.")


def _strange(table: object, shape: type, where: str) -> Iterator[str]:
    known = {field.name for field in dataclasses.fields(shape)}
    yield from (f"{where}{name}" for name in (table if isinstance(table, dict) else ()) if name not in known)


def _merged(usual: Mapping[str, Any], own: object) -> dict[str, Any]:
    if not isinstance(own, dict):
        raise ValueError(f"{_OWN_WIDTHS} holds a table per width, as in [{_OWN_WIDTHS}.1d]")
    spikes = own.get("spikes", {})
    if not isinstance(spikes, dict):
        raise ValueError("spikes is a table")
    return {**usual, **own, "spikes": {**usual.get("spikes", {}), **spikes}}
