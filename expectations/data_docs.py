"""Data Docs of the last check: Great Expectations' own pages about the suites and what they found.

How the pages are made: Great Expectations' renderers turn suites and validation results into documents, and its Jinja
view turns documents into HTML, both called directly. A `SiteBuilder` would do the same by way of a context with stores,
but it logs what fails to render and leaves the page out, it copies 3 MB of pictures, and its pages load scripts, styles
and a logo from seven hosts of the internet, without which the index is empty (they do not mean to change that: issues
994 and 8734 of great_expectations). So the templates of `data_docs_pages/` stand before Great Expectations' own of the
same names: the frame of a page, and the three blocks that need scripts. Such a page is one file that loads nothing, and
its content security policy keeps it so. The layout of the folder is a `SiteBuilder`'s, for pages link to each other by
it.
"""

from __future__ import annotations

import datetime as dt
import html
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

import msgspec

from expectations.columns import COLUMNS
from expectations.errors import ExpectationsError
from expectations.last_check import CheckedFile, LastCheck
from expectations.pipeline import PIPELINE_COLUMNS
from expectations.reference import Reference

__all__ = ["DataDocsError", "write_data_docs"]

_TEMPLATES = Path(__file__).parent / "data_docs_pages"
_GENERATOR = '<meta name="generator" content="reactionwatch expectations docs">'
_MEANINGS = COLUMNS | PIPELINE_COLUMNS


class DataDocsError(ExpectationsError):
    """The folder for the pages holds something else."""


def write_data_docs(check: LastCheck, out: Path) -> Path:
    """Write the pages of a check and give the path of the index.

    Writes nothing outside `out`, which has to be new, empty, or written by this function before. Raises DataDocsError,
    SuiteError and OSError.
    """
    index = out / "index.html"
    if out.exists() and any(out.iterdir()) and not (index.is_file() and _GENERATOR.encode() in index.read_bytes()):
        raise DataDocsError(f"{out} holds other things than Data Docs: name a new or empty folder with --out")
    pages = dict(_pages(check))  # All of them before the first is written: what fails to render leaves the old ones.
    for section in ("expectations", "validations"):
        if (out / section).exists():
            shutil.rmtree(out / section)
    for path, text in pages.items():
        page = out / path
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text, encoding="utf-8")
    return index


def _pages(check: LastCheck) -> Iterator[tuple[str, str]]:
    """Path and HTML of every page, the index last."""
    for document in check.suites.values():
        Reference(msgspec.json.encode(document).decode())  # Sets up what a suite's object asks for.
    renderers = _Renderers()
    links: dict[str, Any] = {"site_name": "ReactionWatch", "expectations_links": [], "validations_links": []}
    for name, document in check.suites.items():
        path = f"expectations/{name}.html"
        links["expectations_links"].append({"expectation_suite_name": name, "filepath": path})
        yield path, renderers.suite(name, document)
    for number, file in enumerate(check.files, start=1):
        for name, found in file.validations.items():
            run = f"version {check.versions[name]}"
            path = _path(name, run, check.checked_at, f"{number}-{_name(file)}.html")
            links["validations_links"].append(
                {
                    "validation_success": found["success"],
                    "run_time": check.checked_at,
                    "run_name": run,
                    "asset_name": _name(file),
                    "batch_identifier": _plain(file.path),
                    "expectation_suite_name": name,
                    "expectation_suite_filepath": f"expectations/{name}.html",
                    "filepath": quote(path),
                }
            )
            yield path, renderers.validation(found, file, run, check.checked_at)
    yield "index.html", renderers.index(links, check.files)


def _path(suite: str, run: str, at: dt.datetime, name: str) -> str:
    """Where a `SiteBuilder` puts the page: four folders deep."""
    return str(PurePosixPath("validations", suite, run, f"{at:%Y%m%dT%H%M%S.%fZ}", name))


def _name(file: CheckedFile) -> str:
    return _plain(Path(file.path).name)


def _plain(text: str) -> str:
    """Text that means the same in a path, in HTML and in a template: not all that the pages show is escaped."""
    return re.sub(r"[^\w ./+,@-]", "_", text)


class _Renderers:
    """Great Expectations' renderers and its view. Imports them, which takes seconds the first time in a process."""

    def __init__(self) -> None:
        from great_expectations import render
        from great_expectations.core import ExpectationSuite
        from great_expectations.core.expectation_validation_result import ExpectationSuiteValidationResultSchema
        from great_expectations.render import renderer, view

        self._content = render
        self._renderer = renderer
        self._make_suite = ExpectationSuite
        self._load_validation = ExpectationSuiteValidationResultSchema().load
        self._view = view.DefaultJinjaPageView(custom_views_directory=str(_TEMPLATES))
        self._view.env.loader.loaders.reverse()  # Ours are asked last otherwise, and so never for those of one name.

    def suite(self, name: str, document: dict[str, Any]) -> str:
        """The page of a suite, with code and why of each expectation as its note."""
        expectations = [{**e, "notes": [_note(e["meta"])]} for e in document["expectations"]]
        suite = self._make_suite(**{**document, "name": name, "expectations": expectations})
        return self._html(self._renderer.ExpectationSuitePageRenderer().render(suite), home="../index.html")

    def validation(self, found: dict[str, Any], file: CheckedFile, run: str, at: dt.datetime) -> str:
        """The page of what a suite found in a file, with code and why of each expectation in its row."""
        validation = self._load_validation(found)
        validation.meta |= {
            "run_id": {"run_name": run, "run_time": at.isoformat()},
            "batch_spec": {"data_asset_name": _name(file)},
        }
        document = self._renderer.ValidationResultsPageRenderer().render(validation)
        overview, *columns = document.sections
        overview.content_blocks.insert(1, self._table(_facts(file)))
        _add_codes([table for section in columns for table in section.content_blocks[1:]], validation.results)
        return self._html(document, home="../../../../index.html")

    def index(self, links: dict[str, Any], files: list[CheckedFile]) -> str:
        """The page that says what became of each file's reports, and links to all others."""
        document = self._renderer.SiteIndexPageRenderer.render(links)
        table = self._table([_summary(file) for file in files])
        table.header_row = ["File", "Reports", "Passed", "Quarantined", "Warnings"]
        document.sections[0].content_blocks.insert(1, table)
        return self._html(document, home="index.html")

    def _html(self, document: Any, home: str) -> str:
        for section in document.sections:
            meaning = _MEANINGS.get(section.section_name)
            if meaning is not None:
                section.content_blocks.insert(1, self._text(meaning))
        page: str = self._view.render(document, home=home, generator=_GENERATOR)
        return page

    def _text(self, text: str) -> Any:
        return self._content.TextContent(
            content_block_type="text", text=[text], styling={"classes": ["col-12", "meaning"]}
        )

    def _table(self, rows: list[list[str]]) -> Any:
        heading = {"template": "What became of the reports", "tag": "h6", "styling": {"classes": ["m-0"]}}
        return self._content.RenderedTableContent(
            content_block_type="table",
            header=self._content.RenderedStringTemplateContent(
                content_block_type="string_template", string_template=heading
            ),
            table=rows,
            styling={"classes": ["col-12", "table-responsive"], "body": {"classes": ["table", "table-sm"]}},
        )


def _add_codes(tables: list[Any], outcomes: list[Any]) -> None:
    """Add code and why of each expectation to its row.

    Great Expectations has a way for this, `meta_properties_to_render`, which its 1.24 then refuses as an extra field.
    """
    # One table per column in alphabetical order; expectations of two columns are in the first.
    in_order = sorted(outcomes, key=lambda outcome: outcome.expectation_config.kwargs.get("column", ""))
    rows = [row for table in tables for row in table.table]
    for row, outcome in zip(rows, in_order, strict=True):
        meta = outcome.expectation_config.meta
        row += [html.escape(meta["code"] + _severity(meta)), html.escape(meta["why"])]
    for table in tables:
        table.header_row = [*table.header_row, "Code", "Why"]


def _note(meta: Mapping[str, str]) -> str:
    """Markdown."""
    return f"`{meta['code']}`{_severity(meta)}: {meta['why']}"


def _severity(meta: Mapping[str, str]) -> str:
    return f" ({meta['severity']})" if "severity" in meta else ""


def _summary(file: CheckedFile) -> list[str]:
    quarantined = f"{file.reports - file.passed:,}"
    if file.passed < file.reports:
        quarantined += f": {_listed(Counter(file.rejections) + Counter(file.critical))}"
    return [_name(file), f"{file.reports:,}", f"{file.passed:,}", quarantined, _listed(file.warnings) or "none"]


def _listed(codes: Mapping[str, int]) -> str:
    return ", ".join(f"{code} {count:,}" for code, count in sorted(codes.items()))


def _facts(file: CheckedFile) -> list[list[str]]:
    counted = {"Reports in the file": file.reports, "Passed": file.passed}
    counted |= {f"Quarantined by the decoder: {code}": count for code, count in file.rejections.items()}
    counted |= {f"Quarantined by the suite: {code}": count for code, count in file.critical.items()}
    counted |= {f"Warning: {code}": count for code, count in file.warnings.items()}
    return [[what, f"{count:,}"] for what, count in counted.items()]
