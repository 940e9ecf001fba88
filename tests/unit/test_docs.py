"""What the documentation names exists: settings, commands, links, views, columns, features, options."""

from __future__ import annotations

import dataclasses
import re
import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
import typer

from alerts.cloudevent import from_cloudevent
from eventhubs.source_options import OPTIONS
from expectations.reasons import Reason
from models.features import FEATURE_MEANINGS
from models.spikes import DetectionRules
from reactionwatch.cli import app
from reactionwatch.settings import Settings
from sql.connection import open_engine
from sql.migrate import upgrade
from sql.schema import metadata
from sql.views import VIEWS

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
EVERY_PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """From a heading to the next of any level."""
    return re.split(r"^#+ ", text.split(f"# {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def rows_of(text: str) -> list[list[str]]:
    """Cells of every table row, without headings and rules."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    rules = {i for i, row in enumerate(cells) if all(re.fullmatch(r"-+", cell) for cell in row)}
    return [row for i, row in enumerate(cells) if i not in rules and i + 1 not in rules]


def fenced(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def codes(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", text)


# Settings


def shown(default: object) -> str:
    if default is None:
        return "unset"
    return f"`{default.value if isinstance(default, Enum) else default}`"


def test_readme_lists_exactly_the_settings_there_are() -> None:
    expected = [
        [f"`REACTIONWATCH_{name.upper()}`", shown(field.default), field.description]
        for name, field in Settings.model_fields.items()
    ]
    assert rows_of(section(text_of("README.md"), "Settings")) == expected


@EVERY_PAGE
def test_variables_named_are_settings(page: Path) -> None:
    named = set(re.findall(r"REACTIONWATCH_(?!TEST_)[A-Z_]*[A-Z]", page.read_text(encoding="utf-8")))
    assert named <= {f"REACTIONWATCH_{name.upper()}" for name in Settings.model_fields}


# Commands


def command_lines(page: Path) -> Iterator[str]:
    """Lines of code blocks and spans of inline code that call reactionwatch."""
    text = page.read_text(encoding="utf-8")
    yield from re.findall(r"^ {4,}(reactionwatch [a-z-].*)$", text, flags=re.MULTILINE)
    yield from (code for code in codes(text) if re.match(r"reactionwatch [a-z-]", code))


COMMAND_LINES = sorted({(page.relative_to(ROOT).as_posix(), line) for page in PAGES for line in command_lines(page)})


@pytest.mark.parametrize(("page", "line"), COMMAND_LINES, ids=lambda text: text.split("#")[0].strip())
def test_command_line_parses(page: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command: Any = typer.main.get_command(app)
    words = shlex.split(line.partition(" > ")[0], comments=True)[1:]
    while hasattr(command, "commands"):
        assert words, f"{line!r} in {page} stops before its command"
        assert words[0] in command.commands, f"there is no command {words[0]!r}"
        command = command.commands[words.pop(0)]
    monkeypatch.chdir(tmp_path)
    for file in ("FILE", "reports.jsonl", "my-rules.toml"):
        Path(file).touch()
    if words:  # without any, text speaks of the command and shows no call
        command.make_context(command.name, words)


def test_every_command_is_in_the_readme_or_a_page() -> None:
    root: Any = typer.main.get_command(app)
    every = {
        f"reactionwatch {name} {sub}".rstrip()
        for name, command in root.commands.items()
        for sub in getattr(command, "commands", {"": None})
    }
    lines = [line for _, line in COMMAND_LINES]
    assert {name for name in every if not any(f"{line} ".startswith(f"{name} ") for line in lines)} == {
        "reactionwatch demo"  # started by `make demo`
    }


@EVERY_PAGE
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", text_of("Makefile"), flags=re.MULTILINE))
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"(?:^ {4}|`)make ([a-z]+)", text, flags=re.MULTILINE)
    assert set(named) <= targets


# Links


def anchors(page: Path) -> set[str]:
    """Anchors of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@EVERY_PAGE
def test_relative_links_resolve(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        linked = (page.parent / name).resolve() if name else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


@EVERY_PAGE
def test_files_named_in_code_exist(page: Path) -> None:
    rooms = (
        r"(?:reactionwatch|streaming|alerts|sql|generator|models|expectations|eventhubs|tests|locks|docs|benchmarks)"
    )
    for code in codes(page.read_text(encoding="utf-8")):
        if re.fullmatch(rf"{rooms}/[\w./-]*", code):
            assert (ROOT / code).exists(), code


# Tables and views


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    file = tmp_path_factory.mktemp("docs") / "empty.db"
    engine = open_engine(f"sqlite:///{file}", pooled=False)
    upgrade(engine)
    engine.dispose()
    with closing(sqlite3.connect(file)) as connection:
        yield connection


@EVERY_PAGE
def test_tables_and_views_named_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    after_view = re.findall(r"\b[Vv]iews? (?:of \w+ )?`(\w+)`", text)
    camel = [code for code in codes(text) if re.search(r"(?:Report|Drug|Reaction|Trend|Event|Spike)$", code)]
    assert {*after_view, *(c for c in camel if re.fullmatch(r"(?:[A-Z][a-z]+){2,}", c))} <= VIEWS.keys()
    assert {*re.findall(r"\b[Tt]ables? `(\w+)`", text)} <= metadata.tables.keys()


def test_tables_worth_knowing_exist() -> None:
    paragraph = text_of("docs/analysts.md").split("Tables worth knowing:", 1)[1].split("\n\n", 1)[0]
    named = [code for code in codes(paragraph) if re.fullmatch(r"\w+", code)]
    assert named
    assert set(named) <= metadata.tables.keys()


@pytest.mark.parametrize("view", [name for name in VIEWS if name not in ("FoldedReport", "LatestReport")])
def test_analysts_read_of_every_column_of_a_view(view: str, database: sqlite3.Connection) -> None:
    page = text_of("docs/analysts.md")
    described = re.split(r"^\*\*|^#", page.split(f"**{view}**:", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    table = rows_of(described)
    named = [code for row in table for code in codes(row[0])] or codes(described.split(".", 1)[0])
    assert named == [column[0] for column in database.execute(f"SELECT * FROM {view}").description]


@pytest.mark.parametrize(
    "statement", [s for block in fenced(text_of("docs/analysts.md"), "sql") for s in block.split(";")]
)
def test_sql_examples_run(statement: str, database: sqlite3.Connection) -> None:
    database.execute(statement)


# What pages list in full, or show


def test_every_feature_is_explained() -> None:
    expected = [[f"`{name}`", meaning.replace("|", r"\|")] for name, meaning in FEATURE_MEANINGS.items()]
    assert rows_of(section(text_of("docs/data-scientists.md"), "Features")) == expected


def test_rules_have_the_defaults_shown() -> None:
    rows = [row for row in rows_of(section(text_of("docs/detection.md"), "Levels and settings")) if len(row) == 3]
    shown_defaults = {name.strip("`"): default.strip("`") for name, default, _ in rows}
    rules = dataclasses.asdict(DetectionRules())
    actual = {**rules, **{f"spikes.{name}": value for name, value in rules.pop("spikes").items()}}
    del actual["spikes"]
    assert shown_defaults.pop("seasons") == "none"
    assert actual.pop("seasons") == ()
    assert shown_defaults.pop("rule") == actual.pop("rule")
    assert {name: float(value) for name, value in shown_defaults.items()} == actual


def test_every_option_of_the_source_is_explained() -> None:
    rows = rows_of(section(text_of("docs/event-hubs.md"), "The data source"))
    assert [row for row in rows if len(row) == 2] == [[f"`{name}`", meaning] for name, meaning in OPTIONS.items()]


def test_columns_of_the_source_are_those_of_its_schema() -> None:
    from eventhubs.spark import SCHEMA

    rows = rows_of(section(text_of("docs/event-hubs.md"), "The data source"))
    assert [row[0].strip("`") for row in rows if len(row) == 3] == SCHEMA.fieldNames()


def test_reason_codes_named_for_operators_exist() -> None:
    paragraph = (
        section(text_of("docs/operators.md"), "Quarantine").split("Reason codes", 1)[1].split("The identical", 1)[0]
    )
    assert {code for code in codes(paragraph) if re.fullmatch(r"\w+", code)} <= {str(reason) for reason in Reason}


def test_alert_shown_can_be_read() -> None:
    (message,) = fenced(text_of("docs/alerts.md"), "json")
    notice = from_cloudevent(message.encode())
    assert notice.event_id == f"{notice.alert_id}/{notice.revision}"


@pytest.mark.parametrize("example", fenced(text_of("docs/event-hubs.md"), "python"))
def test_python_examples_compile(example: str) -> None:
    compile(example, "docs/event-hubs.md", "exec")
