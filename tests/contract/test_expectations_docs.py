"""Data Docs of a check, by the real Great Expectations: what is kept for them, and what the pages say."""

from __future__ import annotations

import json
import re
import socket
import tempfile
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import msgspec
import pytest

from expectations import last_check
from expectations.check_files import CheckResult, check_files
from expectations.columns import COLUMNS
from expectations.data_docs import DataDocsError, write_data_docs
from expectations.last_check import NothingCheckedError
from expectations.pipeline import LoadedPipelineSuite, load_pipeline_suite
from expectations.suite import LoadedSuite, load_suite

CANARY = "CANARY"


def body(number: int, **patient: object) -> dict[str, object]:
    """A report with a canary wherever text may stand; the number, a column of the suite, is one, too."""
    return {
        "safetyreportid": f"{CANARY}-{number}",
        "companynumb": CANARY,
        "patient": {
            "patientsex": "2",
            "drug": [{"medicinalproduct": f"{CANARY} DRUG {number}", "drugcharacterization": "1"}],
            "reaction": [{"reactionmeddrapt": f"{CANARY} TERM"}],
            **patient,
        },
    }


def write(file: Path, *bodies: object) -> Path:
    lines = [found if isinstance(found, str) else json.dumps(found) for found in bodies]
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


def strict_suite() -> LoadedSuite:
    """One that every number and every drug fails, so that Great Expectations' results are full of them."""
    document = json.loads(load_suite().text)
    (of_id,) = [e for e in document["expectations"] if e["meta"]["code"] == "malformed_id"]
    of_id["kwargs"]["regex"] = "^[0-9]+$"
    return LoadedSuite(json.dumps(document), "strict")


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> CheckResult:
    """Of a file that is judged as a whole, and of one with nothing but broken bodies."""
    folder = tmp_path_factory.mktemp("files")
    many = [body(n, patientsex="9" if n < 20 else "1") for n in range(220)]
    files = [
        write(folder / "many.jsonl", *many, f'{{"safetyreportid": "{CANARY}"'),
        write(folder / "<b>broken & $code.jsonl", CANARY, CANARY),
    ]
    return check_files(files, strict_suite(), load_pipeline_suite())


@pytest.fixture(scope="module")
def pages(result: CheckResult, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """HTML by path."""
    folder = tmp_path_factory.mktemp("data")
    last_check.keep(result, folder)
    write_data_docs(last_check.load(folder), folder / "docs")
    out = folder / "docs"
    return {page.relative_to(out).as_posix(): page.read_text("utf-8") for page in out.rglob("*") if page.is_file()}


def the_page(pages: dict[str, str], start: str, end: str = ".html") -> str:
    (path,) = [path for path in pages if path.startswith(start) and path.endswith(end)]
    return pages[path]


class _Page(HTMLParser):
    """Text, links, and whatever a page would load or run."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.links: list[str] = []
        self.loaded: list[str] = []
        self._in_style = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_style = tag == "style"
        if tag in ("script", "img", "link", "iframe", "object", "embed", "form"):
            self.loaded.append(tag)
        for name, value in attrs:
            if name == "href" and tag == "a":
                self.links.append(value or "")
            elif name in ("src", "srcset", "data", "action") or name.startswith("on"):
                self.loaded.append(name)

    def handle_endtag(self, tag: str) -> None:
        self._in_style = False

    def handle_data(self, data: str) -> None:
        if not self._in_style:
            self.words += data.split()

    @property
    def text(self) -> str:
        return " ".join(self.words)


# What is kept


def test_great_expectations_results_do_hold_report_text(result: CheckResult) -> None:
    assert CANARY in str(result.files[0].validations["report"])


def test_what_is_kept_holds_no_report_text(result: CheckResult, tmp_path: Path) -> None:
    last_check.keep(result, tmp_path)
    (kept,) = tmp_path.iterdir()
    text = kept.read_text("utf-8")
    assert CANARY not in text
    assert "unexpected_list" not in text
    assert "unexpected_index" not in text


def test_what_is_kept_of_a_result_are_numbers(result: CheckResult, tmp_path: Path) -> None:
    last_check.keep(result, tmp_path)
    for file in last_check.load(tmp_path).files:
        for validation in file.validations.values():
            for outcome in validation["results"]:
                assert all(type(value) in (int, float) for value in outcome["result"].values())
                assert outcome["result"]


def test_counts_and_shares_are_kept(result: CheckResult, tmp_path: Path) -> None:
    last_check.keep(result, tmp_path)
    found = last_check.load(tmp_path).files[0]
    assert (found.reports, found.passed) == (221, 0)
    assert found.rejections == {"broken_json": 1}
    assert found.critical == {"malformed_id": 220}
    assert found.warnings == {"sex_not_in_code_list": 20}
    (sex,) = [
        outcome["result"]
        for outcome in found.validations["report"]["results"]
        if outcome["expectation_config"]["meta"]["code"] == "sex_not_in_code_list"
    ]
    assert (sex["element_count"], sex["unexpected_count"]) == (220, 20)
    assert sex["unexpected_percent"] == pytest.approx(100 * 20 / 220)


def test_what_is_kept_replaces_what_was_there(result: CheckResult, tmp_path: Path) -> None:
    last_check.keep(result, tmp_path)
    first = CheckResult(result.files[1:], result.suite, result.pipeline_suite, result.checked_at)
    last_check.keep(first, tmp_path)
    assert [Path(file.path) for file in last_check.load(tmp_path).files] == [result.files[1].path]
    assert len(list(tmp_path.iterdir())) == 1


def test_a_write_that_fails_leaves_what_was_there(
    result: CheckResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    last_check.keep(result, tmp_path)
    before = last_check.load(tmp_path)

    def half(file: Path, data: bytes) -> int:
        with file.open("wb") as stream:
            stream.write(data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(OSError, match="No space left"):
        last_check.keep(result, tmp_path)
    assert last_check.load(tmp_path) == before
    assert len(list(tmp_path.iterdir())) == 1


def test_nothing_kept_says_what_to_do_first(tmp_path: Path) -> None:
    with pytest.raises(NothingCheckedError, match="run reactionwatch expectations check FILE first"):
        last_check.load(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "{}", "[]", '{"files": 1}', "\xff"])
def test_what_another_version_kept_says_what_to_do_again(tmp_path: Path, text: str) -> None:
    (tmp_path / "last_check.json").write_text(text, encoding="latin-1")
    with pytest.raises(NothingCheckedError, match="expectations check FILE again"):
        last_check.load(tmp_path)


# What the pages say


def test_no_report_text_is_on_a_page_or_in_its_path(pages: dict[str, str]) -> None:
    assert CANARY not in "".join(pages)
    assert CANARY not in "".join(pages.values())


def test_there_is_an_index_a_page_per_suite_and_one_per_suite_and_file(pages: dict[str, str]) -> None:
    assert {"index.html", "expectations/report.html", "expectations/pipeline.html"} < pages.keys()
    assert sorted(re.sub(r"(?<=validations/)(\w+)/.*/", r"\1/", path) for path in pages if "validations/" in path) == [
        "validations/pipeline/1-many.jsonl.html",
        "validations/report/1-many.jsonl.html",
    ]


def test_the_index_says_what_became_of_every_file(pages: dict[str, str]) -> None:
    text = _Page(pages["index.html"]).text
    assert "many.jsonl 221 0 221: broken_json 1, malformed_id 220 sex_not_in_code_list 20" in text
    assert "_b_broken _ _code.jsonl 2 0 2: broken_json 2 none" in text


def test_the_page_of_a_suite_names_every_code_with_its_why(pages: dict[str, str]) -> None:
    text = _Page(pages["expectations/report.html"]).text
    for check in load_suite().checks:
        assert f"{check.code} ({check.severity}): {check.why}" in text
    pipeline = _Page(pages["expectations/pipeline.html"]).text
    for expectation in json.loads(load_pipeline_suite().text)["expectations"]:
        assert f"{expectation['meta']['code']} : {expectation['meta']['why']}" in pipeline


def test_the_page_of_a_file_shows_share_code_and_why_in_one_row(pages: dict[str, str]) -> None:
    page = the_page(pages, "validations/report/")
    rows = [_Page(row).text for row in re.findall(r"<tr>.*?</tr>", page, flags=re.DOTALL)]
    (sex,) = [row for row in rows if "sex_not_in_code_list (warning)" in row and "belong to this set" in row]
    assert "≈9.0909% unexpected" in sex
    assert "20 unexpected values found." in sex
    assert sex.endswith("patientsex is 0 unknown, 1 male or 2 female.")
    for check in load_suite().checks:
        assert sum(row.endswith(f"{check.code} ({check.severity}) {check.why}") for row in rows) == 1


def test_the_page_of_a_file_as_a_whole_shows_what_was_observed(pages: dict[str, str]) -> None:
    page = the_page(pages, "validations/pipeline/")
    rows = [_Page(row).text for row in re.findall(r"<tr>.*?</tr>", page, flags=re.DOTALL)]
    (flood,) = [row for row in rows if "quarantine_flood" in row]
    expectations = json.loads(load_pipeline_suite().text)["expectations"]
    (why,) = [each["meta"]["why"] for each in expectations if each["meta"]["code"] == "quarantine_flood"]
    assert f"mean must be less than or equal to 0.2 . 1 quarantine_flood {why}" in flood


def test_columns_are_explained(pages: dict[str, str]) -> None:
    text = _Page(pages["expectations/report.html"]).text
    assert f"age_years {COLUMNS['age_years']} values must be" in text
    assert COLUMNS["age_years"] in _Page(the_page(pages, "validations/report/")).text


def test_links_lead_from_page_to_page(pages: dict[str, str]) -> None:
    linked = set()
    for path, html in pages.items():
        for link in _Page(html).links:
            if link.startswith(("#", "https://greatexpectations.io")):
                continue
            target = (Path("/site") / path).parent / unquote(link)
            linked.add(target.resolve().relative_to("/site").as_posix())
    assert linked == pages.keys()


def test_pages_load_and_run_nothing(pages: dict[str, str]) -> None:
    for html in pages.values():
        assert _Page(html).loaded == []
        assert "url(" not in html
        assert """Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'""" in html


def test_what_a_suite_says_is_text_on_the_page(tmp_path: Path) -> None:
    document = json.loads(load_suite().text)
    document["name"] = "<i>my.own"
    document["expectations"][0]["meta"]["why"] = "less than 1 < 2 & <script>more</script> $code"
    file = write(tmp_path / "one.jsonl", body(1))
    last_check.keep(check_files([file], LoadedSuite(json.dumps(document), "v"), load_pipeline_suite()), tmp_path)
    index = write_data_docs(last_check.load(tmp_path), tmp_path / "docs")
    for page in (index.parent / "expectations" / "report.html", *index.parent.glob("validations/*/*/*/*.html")):
        found = _Page(page.read_text("utf-8"))
        assert found.loaded == []
        assert "less than 1 < 2 & <script>more</script> $code" in found.text


# Where they are written


def test_writing_again_leaves_no_page_of_before(result: CheckResult, tmp_path: Path) -> None:
    last_check.keep(result, tmp_path)
    check = last_check.load(tmp_path)
    write_data_docs(check, tmp_path / "docs")
    write_data_docs(msgspec.structs.replace(check, files=[]), tmp_path / "docs")
    assert {path.name for path in (tmp_path / "docs").rglob("*.html")} == {"index.html", "report.html", "pipeline.html"}


def test_a_folder_with_other_things_is_left_alone(result: CheckResult, tmp_path: Path) -> None:
    last_check.keep(result, tmp_path / "data")
    for name in ("expectations", "index.html"):
        other = tmp_path / f"other-{name}"
        other.mkdir()
        write(other / name, "mine")
        with pytest.raises(DataDocsError, match="new or empty folder"):
            write_data_docs(last_check.load(tmp_path / "data"), other)
        assert [file.read_text() for file in other.iterdir()] == ["mine"]


@pytest.fixture
def _cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.usefixtures("_cut_off")
def test_nothing_is_sent_printed_or_written_elsewhere(
    result: CheckResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    last_check.keep(result, tmp_path / "data")
    write_data_docs(last_check.load(tmp_path / "data"), tmp_path / "docs")
    assert {path.name for path in tmp_path.iterdir()} == {"data", "docs"}
    assert capfd.readouterr() == ("", "")


def test_nothing_great_expectations_logs_an_error_about(
    result: CheckResult, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    last_check.keep(result, tmp_path)
    write_data_docs(last_check.load(tmp_path), tmp_path / "docs")
    assert caplog.records == []


def test_the_suites_kept_are_those_that_judged(result: CheckResult, tmp_path: Path) -> None:
    last_check.keep(result, tmp_path)
    check = last_check.load(tmp_path)
    assert check.versions == {"report": "strict", "pipeline": load_pipeline_suite().version}
    pipeline: LoadedPipelineSuite = result.pipeline_suite
    assert check.suites["pipeline"] == json.loads(pipeline.text)
