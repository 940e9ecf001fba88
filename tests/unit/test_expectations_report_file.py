"""Reading bodies from files of reports."""

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expectations.decode import Rejection, decode
from expectations.errors import ReportFileError
from expectations.reasons import Reason
from expectations.report_file import read_bodies

DATA = Path(__file__).parents[1] / "data"
ONE = b'{"safetyreportid": "1", "patient": {"drug": [ ]}}'
TWO = b'{"safetyreportid":"2"}'


@pytest.fixture
def bodies_of(tmp_path):
    def read(content, name="reports.json"):
        path = tmp_path / name
        path.write_bytes(content)
        return list(read_bodies(path))

    return read


@pytest.mark.parametrize(
    "content",
    [
        ONE + b"\n" + TWO + b"\n",
        ONE + b"\n" + TWO,
        ONE + b"\r\n" + TWO + b"\r\n",
        b"\n\n" + ONE + b"\n  \n" + TWO + b"\n\n",
        b"[" + ONE + b"," + TWO + b"]",
        b"[\n  " + ONE + b",\n  " + TWO + b"\n]\n",
        b"\xef\xbb\xbf[" + ONE + b"," + TWO + b"]",
        b'{"meta": {"total": 2}, "results": [' + ONE + b"," + TWO + b"]}",
        b'{\n "meta": {},\n "results": [\n' + ONE + b",\n" + TWO + b"\n]\n}\n",
        b'{"meta": {}, "results": [' + ONE + b"," + TWO + b"]}\n",
    ],
)
def test_every_shape_gives_each_body_as_in_the_file(bodies_of, content):
    assert bodies_of(content) == [ONE, TWO]


def test_a_gzipped_file_gives_the_same(bodies_of):
    assert bodies_of(gzip.compress(ONE + b"\n" + TWO), "reports.jsonl.gz") == [ONE, TWO]


def test_files_of_real_reports_give_their_lines():
    path = DATA / "openfda_reports_100.jsonl"
    assert list(read_bodies(path)) == path.read_bytes().splitlines()


def test_a_single_report_is_one_body(bodies_of):
    assert bodies_of(ONE) == [ONE]


def test_a_single_report_over_several_lines_is_one_body(bodies_of):
    pretty = json.dumps(json.loads(ONE), indent=2).encode()
    assert bodies_of(pretty + b"\n") == [pretty]


def test_an_empty_file_holds_nothing(bodies_of):
    assert bodies_of(b"") == []
    assert bodies_of(b"\n \n") == []
    assert bodies_of(b"[]") == []


def test_broken_lines_are_given_as_they_are(bodies_of):
    lines = [b'{"safetyreportid": "1', b"\xff\xfe", TWO, b"null"]
    assert bodies_of(b"\n".join(lines)) == lines


def test_a_line_that_is_an_array_does_not_swallow_the_lines_after_it(bodies_of):
    assert bodies_of(b"[1]\n" + ONE + b"\n" + TWO) == [b"[1]", ONE, TWO]


def test_a_report_that_speaks_of_results_is_a_line_like_others(bodies_of):
    line = b'{"safetyreportid":"1","results":[1]}'
    assert bodies_of(line + b"\n" + TWO) == [line, TWO]
    assert bodies_of(line) == [line]


def test_a_document_that_breaks_off_is_one_broken_body(bodies_of):
    content = b"[\n" + ONE + b",\n" + TWO[:-3]
    assert bodies_of(content) == [content]
    assert decode(content) == Rejection(Reason.BROKEN_JSON, "$")


def test_a_mark_at_the_start_stays_with_the_first_line_and_does_no_harm(bodies_of):
    first, second = bodies_of(b"\xef\xbb\xbf" + ONE + b"\n" + TWO)
    assert decode(first) == decode(ONE)
    assert second == TWO


def test_json_lines_are_read_as_a_stream(tmp_path):
    path = tmp_path / "reports.jsonl"
    path.write_bytes(ONE + b"\n")
    with path.open("ab") as growing:
        bodies = read_bodies(path)
        assert next(bodies) == ONE
        growing.write(TWO + b"\n")
        growing.flush()
        assert next(bodies) == TWO
        bodies.close()


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ReportFileError, match=r"nowhere\.jsonl"):
        list(read_bodies(tmp_path / "nowhere.jsonl"))


def test_a_gzip_that_breaks_off_gives_what_it_holds_and_says_so(tmp_path):
    path = tmp_path / "reports.jsonl.gz"
    path.write_bytes(gzip.compress(b"\n".join([ONE, TWO]))[:-6])
    with pytest.raises(ReportFileError, match=r"reports\.jsonl\.gz"):
        list(read_bodies(path))


def test_a_gz_that_is_none_says_so(bodies_of):
    with pytest.raises(ReportFileError, match="no gzip file") as raised:
        bodies_of(b"Jane Doe", "reports.gz")
    assert "Ja" not in str(raised.value)


@given(st.binary(max_size=60))
@settings(max_examples=100)
def test_any_bytes_are_read(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_bytes(content)
    for body in read_bodies(path):
        assert body in content
