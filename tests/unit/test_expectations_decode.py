"""Decoding: what is a report, what is rejected and where, and what single values cost."""

import copy
import datetime as dt
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expectations.decode import MAX_BODY_BYTES, MAX_DEPTH, Rejection, decode
from expectations.fields import MAX_TEXT_LENGTH
from expectations.reasons import Reason
from expectations.report import Report

DATA = Path(__file__).parents[1] / "data"
REAL = (DATA / "openfda_reports_100.jsonl").read_bytes().splitlines()
FAERS = (DATA / "faers_2014_reports_1000.jsonl").read_bytes().splitlines()


def example(**changes):
    """A small complete report as JSON values; `changes` replace top-level fields."""
    return {
        "safetyreportid": "10003301",
        "safetyreportversion": "2",
        "receivedate": "20140312",
        "receivedateformat": "102",
        "patient": {
            "patientonsetage": "65",
            "patientonsetageunit": "801",
            "reaction": [{"reactionmeddrapt": "Dyspepsia", "reactionoutcome": "1"}],
            "drug": [{"medicinalproduct": "IBUPROFEN", "drugcharacterization": "1"}],
        },
        **changes,
    }


def decoded(value):
    return decode(json.dumps(value).encode())


def read(value) -> Report:
    report = decoded(value)
    assert isinstance(report, Report), report
    return report


def with_patient(**changes):
    value = example()
    value["patient"].update(changes)
    return value


def with_drug(**fields):
    return with_patient(drug=[fields])


# --- Real reports -----------------------------------------------------------------------------------------------


def test_every_real_report_is_read_whole():
    for body in REAL + FAERS:
        report = decode(body)
        assert isinstance(report, Report)
        assert report.unreadable == ()
        assert report.altered == ()
        assert report.unknown_fields == 0


def test_the_largest_real_report_keeps_its_lists():
    body = max(REAL, key=len)
    assert len(body) > 250_000
    value = json.loads(body)["patient"]
    report = decode(body)
    assert len(report.drugs) == len(value["drug"])
    assert [r.term for r in report.reactions] == [r["reactionmeddrapt"].upper() for r in value["reaction"]]


def test_a_real_report_is_read_field_by_field():
    body = next(body for body in REAL if b'"patientonsetage"' in body and b'"occurcountry"' in body)
    value = json.loads(body)
    report = decode(body)
    assert report.safetyreportid == value["safetyreportid"]
    assert report.version == int(value["safetyreportversion"])
    assert report.receivedate == dt.datetime.strptime(value["receivedate"], "%Y%m%d").date()  # noqa: DTZ007 - a date
    assert report.receipt_time is None
    assert report.serious == (value["serious"] == "1")
    assert report.age_years == float(value["patient"]["patientonsetage"])
    assert report.sex == int(value["patient"]["patientsex"])
    assert report.country == value["occurcountry"]
    assert report.sender == value["sender"]["senderorganization"]
    assert report.company_number == value["companynumb"]
    assert report.duplicate_numbers == (value["reportduplicate"]["duplicatenumb"],)


# --- Bodies that are no report ----------------------------------------------------------------------------------

REAL_BODY = REAL[1]

BROKEN = {
    "empty": (b"", Reason.EMPTY_BODY),
    "white space": (b" \r\n\t", Reason.EMPTY_BODY),
    "byte order mark alone": (b"\xef\xbb\xbf", Reason.EMPTY_BODY),
    "cut off": (REAL_BODY[:-40], Reason.BROKEN_JSON),
    "cut off inside a character": (b'{"safetyreportid":"\xc3', Reason.NOT_UTF8),
    "invalid UTF-8 in a value": (b'{"safetyreportid":"\xff"}', Reason.NOT_UTF8),
    "invalid UTF-8 in an ignored value": (b'{"x":"\xff","safetyreportid":"1","patient":{}}', Reason.NOT_UTF8),
    "UTF-16": ('{"safetyreportid":"1"}'.encode("utf-16"), Reason.NOT_UTF8),
    "surrogate as UTF-8": (b'{"safetyreportid":"\xed\xa0\x80"}', Reason.NOT_UTF8),
    "escaped lone high surrogate": (b'{"safetyreportid":"\\ud800"}', Reason.BROKEN_JSON),
    "escaped lone low surrogate": (b'{"safetyreportid":"\\udc00"}', Reason.BROKEN_JSON),
    "array root": (b"[" + REAL_BODY + b"]", Reason.NOT_AN_OBJECT),
    "string root": (b'"report"', Reason.NOT_AN_OBJECT),
    "number root": (b"1", Reason.NOT_AN_OBJECT),
    "null root": (b"null", Reason.NOT_AN_OBJECT),
    "10,000 arrays": (b"[" * 10_000 + b"]" * 10_000, Reason.TOO_DEEP),
    "10,000 objects": (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, Reason.TOO_DEEP),
    "10,000 arrays cut off": (b"[" * 10_000, Reason.TOO_DEEP),
    "NaN": (b'{"safetyreportid":"1","x":NaN}', Reason.BROKEN_JSON),
    "Infinity": (b'{"safetyreportid":"1","x":-Infinity}', Reason.BROKEN_JSON),
    "number beyond floats": (b'{"safetyreportid":"1","x":1e999}', Reason.BAD_NUMBER),
    "integer of 5,000 digits": (b'{"safetyreportid":"1","x":' + b"9" * 5000 + b"}", Reason.BAD_NUMBER),
    "two documents": (b"{}{}", Reason.BROKEN_JSON),
    "too large": (b" " * (MAX_BODY_BYTES + 1), Reason.TOO_LARGE),
}


@pytest.mark.parametrize(("body", "reason"), BROKEN.values(), ids=BROKEN.keys())
def test_a_body_that_is_no_json_object_is_rejected_at_the_root(body, reason):
    assert decode(body) == Rejection(reason, "$")


def test_a_byte_order_mark_changes_nothing():
    assert decode(b"\xef\xbb\xbf" + REAL_BODY) == decode(REAL_BODY)


def test_nesting_is_taken_up_to_the_limit_and_not_beyond():
    def nested(levels):  # The report itself is the first level.
        inner = "[" * (levels - 1) + "]" * (levels - 1)
        return f'{{"safetyreportid":"1","patient":{{}},"x":{inner}}}'.encode()

    assert isinstance(decode(nested(MAX_DEPTH)), Report)
    assert decode(nested(MAX_DEPTH + 1)) == Rejection(Reason.TOO_DEEP, "$")


def test_brackets_inside_text_are_no_nesting():
    assert isinstance(decoded(example(x="[" * 5000 + "{" * 5000)), Report)


def test_of_a_repeated_key_the_last_counts():
    body = b'{"safetyreportid":"1","safetyreportid":"2","patient":{"drug":7},"patient":{}}'
    assert decode(body).safetyreportid == "2"


# --- The skeleton -----------------------------------------------------------------------------------------------

SKELETON = {
    "no id": (example(safetyreportid=None), Reason.MISSING_ID, "$.safetyreportid"),
    "empty id": (example(safetyreportid=""), Reason.MISSING_ID, "$.safetyreportid"),
    "blank id": (example(safetyreportid="  "), Reason.MISSING_ID, "$.safetyreportid"),
    "id is a list": (example(safetyreportid=["1"]), Reason.WRONG_TYPE, "$.safetyreportid"),
    "id is a fraction": (example(safetyreportid=1.5), Reason.WRONG_TYPE, "$.safetyreportid"),
    "id is a boolean": (example(safetyreportid=True), Reason.WRONG_TYPE, "$.safetyreportid"),
    "id with a space": (example(safetyreportid="1000 3301"), Reason.MALFORMED_ID, "$.safetyreportid"),
    "id with a space before": (example(safetyreportid=" 10003301"), Reason.MALFORMED_ID, "$.safetyreportid"),
    "id with a line feed after": (example(safetyreportid="10003301\n"), Reason.MALFORMED_ID, "$.safetyreportid"),
    "id with NUL": (example(safetyreportid="1\0"), Reason.MALFORMED_ID, "$.safetyreportid"),
    "id with an emoji": (example(safetyreportid="1\N{PILL}"), Reason.MALFORMED_ID, "$.safetyreportid"),
    "id of 65 characters": (example(safetyreportid="1" * 65), Reason.MALFORMED_ID, "$.safetyreportid"),
    "id of 300 characters": (example(safetyreportid="1" * 300), Reason.MALFORMED_ID, "$.safetyreportid"),
    "id is an integer of 300 digits": (
        example(safetyreportid=10**299),
        Reason.MALFORMED_ID,
        "$.safetyreportid",
    ),
    "no patient": (example(patient=None), Reason.MISSING_PATIENT, "$.patient"),
    "empty patient": (example(patient=""), Reason.MISSING_PATIENT, "$.patient"),
    "patient is a number": (example(patient=7), Reason.WRONG_TYPE, "$.patient"),
    "patient is a list of two": (example(patient=[{}, {}]), Reason.WRONG_TYPE, "$.patient"),
    "patient is an empty list": (example(patient=[]), Reason.WRONG_TYPE, "$.patient"),
    "drug is a string": (with_patient(drug="IBUPROFEN"), Reason.WRONG_TYPE, "$.patient.drug"),
    "reaction is a number": (with_patient(reaction=0), Reason.WRONG_TYPE, "$.patient.reaction"),
    "a drug is a string": (with_patient(drug=[{}, "IBUPROFEN"]), Reason.WRONG_TYPE, "$.patient.drug[1]"),
    "a reaction is a list": (with_patient(reaction=[[]]), Reason.WRONG_TYPE, "$.patient.reaction[0]"),
    "version is text": (
        example(safetyreportversion="two"),
        Reason.BAD_NUMBER,
        "$.safetyreportversion",
    ),
    "version is negative": (example(safetyreportversion="-1"), Reason.BAD_NUMBER, "$.safetyreportversion"),
    "version is a fraction": (example(safetyreportversion="1.5"), Reason.BAD_NUMBER, "$.safetyreportversion"),
    "version beyond 64 bits": (
        example(safetyreportversion=2**70),
        Reason.BAD_NUMBER,
        "$.safetyreportversion",
    ),
    "version is a list": (example(safetyreportversion=[1]), Reason.BAD_NUMBER, "$.safetyreportversion"),
    "receipt date instead of a version is none": (
        example(safetyreportversion=None, receiptdate="20261301"),
        Reason.BAD_DATE,
        "$.receiptdate",
    ),
}


@pytest.mark.parametrize(("value", "reason", "path"), SKELETON.values(), ids=SKELETON.keys())
def test_a_broken_skeleton_is_rejected_where_it_breaks(value, reason, path):
    assert decoded(value) == Rejection(reason, path)


def test_a_missing_field_is_the_same_as_null():
    for field, reason in (("safetyreportid", Reason.MISSING_ID), ("patient", Reason.MISSING_PATIENT)):
        value = example()
        del value[field]
        assert decoded(value) == Rejection(reason, f"$.{field}")


def test_an_id_of_64_characters_is_taken():
    assert read(example(safetyreportid="A" * 64)).safetyreportid == "A" * 64


def test_an_id_may_be_an_integer_and_of_any_size():
    assert read(example(safetyreportid=2**70)).safetyreportid == str(2**70)


def test_objects_stand_for_lists_of_one():
    value = with_patient(reaction={"reactionmeddrapt": "Nausea"}, drug={"medicinalproduct": "x"})
    value["reportduplicate"] = {"duplicatenumb": "N-1"}
    report = read(value)
    assert [r.term for r in report.reactions] == ["NAUSEA"]
    assert [d.name for d in report.drugs] == ["X"]
    assert report.duplicate_numbers == ("N-1",)


def test_null_entries_of_lists_are_absent():
    report = read(with_patient(reaction=[None, {"reactionmeddrapt": "Nausea"}], drug=[None]))
    assert len(report.reactions) == 1
    assert report.drugs == ()


@pytest.mark.parametrize("nothing", [None, "", "  ", []])
def test_missing_lists_make_a_report_that_the_suite_will_judge(nothing):
    report = read(with_patient(drug=nothing, reaction=nothing))
    assert (report.drugs, report.reactions) == ((), ())


# --- Identity ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "version"),
    [
        ({"safetyreportversion": "3", "receiptdate": "20150812"}, 3),
        ({"safetyreportversion": 3}, 3),
        ({"safetyreportversion": "007"}, 7),
        ({"safetyreportversion": "", "receiptdate": "20150812"}, 20150812),
        ({"safetyreportversion": None, "receiptdate": "201508121530", "receiptdateformat": "203"}, 20150812),
        ({"safetyreportversion": None, "receiptdate": "2015", "receiptdateformat": "602"}, 20150101),
        ({"safetyreportversion": None, "receiptdate": None}, 0),
    ],
)
def test_version_is_its_number_else_the_receipt_date_else_zero(fields, version):
    assert read(example(**fields)).version == version


def test_digest_is_that_of_sorted_json_without_white_space():
    value = example()
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    assert read(value).digest == hashlib.sha256(canonical).digest()


@given(st.integers(0, 3), st.randoms(use_true_random=False))
@settings(max_examples=25)
def test_digest_ignores_the_order_of_fields_and_white_space(indent, random):
    def shuffled(value):
        if isinstance(value, dict):
            keys = random.sample(list(value), len(value))
            return {key: shuffled(value[key]) for key in keys}
        return [shuffled(entry) for entry in value] if isinstance(value, list) else value

    value = json.loads(REAL_BODY)
    assert decode(json.dumps(shuffled(value), indent=indent).encode()).digest == decode(REAL_BODY).digest


def test_digest_sees_fields_that_the_report_does_not_keep():
    assert read(example(x=1)).digest != read(example(x=2)).digest


def test_digest_sees_the_order_of_drugs():
    drugs = [{"medicinalproduct": "A"}, {"medicinalproduct": "B"}]
    assert read(with_patient(drug=drugs)).digest != read(with_patient(drug=drugs[::-1])).digest


# --- Names ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"activesubstance": {"activesubstancename": " Ibuprofen  lysine"}}, "IBUPROFEN LYSINE"),
        ({"openfda": {"substance_name": ["ACETAMINOPHEN"]}}, "ACETAMINOPHEN"),
        ({"openfda": {"substance_name": "ACETAMINOPHEN"}}, "ACETAMINOPHEN"),
        ({"openfda": {"substance_name": ["ACETAMINOPHEN", "CODEINE"]}}, "BRAND 200"),
        ({"openfda": {"substance_name": []}}, "BRAND 200"),
        ({"openfda": {"substance_name": [""]}}, "BRAND 200"),
        ({"openfda": {}}, "BRAND 200"),
        ({"activesubstance": {"activesubstancename": ""}, "openfda": {"substance_name": ["X"]}}, "X"),
        ({"activesubstance": None}, "BRAND 200"),
    ],
)
def test_a_drug_is_its_substance_else_the_only_one_openfda_found_else_its_product(fields, name):
    report = read(with_drug(medicinalproduct=" Brand\t200 ", **fields))
    assert report.drugs[0].name == name
    assert report.drugs[0].product == "Brand 200"
    assert report.unreadable == ()


def test_a_drug_without_any_name_stays_in_its_place():
    report = read(with_patient(drug=[{"drugcharacterization": "1"}, {"medicinalproduct": "B"}]))
    assert [drug.name for drug in report.drugs] == [None, "B"]


def test_a_name_longer_than_the_database_takes_is_cut_and_noted():
    report = read(with_drug(medicinalproduct="A" * (MAX_TEXT_LENGTH + 1)))
    assert report.drugs[0].name == "A" * MAX_TEXT_LENGTH
    assert (report.unreadable, report.altered) == ((), ("$.patient.drug[0].medicinalproduct",))


def test_a_name_of_the_full_length_is_kept_without_note():
    report = read(with_drug(medicinalproduct="A" * MAX_TEXT_LENGTH))
    assert report.drugs[0].name == "A" * MAX_TEXT_LENGTH
    assert report.altered == ()


def test_a_name_is_cut_between_characters_not_inside_a_surrogate_pair():
    report = read(with_drug(medicinalproduct="A" + "\N{PILL}" * 300))
    assert report.drugs[0].name == "A" + "\N{PILL}" * 249
    assert report.altered == ("$.patient.drug[0].medicinalproduct",)


def test_a_name_that_grows_by_upper_case_is_cut_as_well():
    name = read(with_drug(medicinalproduct="ß" * 400)).drugs[0].name
    assert name == "S" * MAX_TEXT_LENGTH


def test_control_characters_become_white_space_and_are_noted():
    report = read(with_patient(reaction=[{"reactionmeddrapt": "Nau\0sea\x7f"}], drug=[]))
    assert report.reactions[0].term == "NAU SEA"
    assert report.altered == ("$.patient.reaction[0].reactionmeddrapt",)


@pytest.mark.parametrize("breaks", ["\r\n", "\t", "\n \u2028", "\x85", "\x1c"])
def test_line_breaks_in_any_text_become_a_space(breaks):
    report = decoded(example(companynumb=f"US-{breaks}7", sender={"senderorganization": f"A{breaks}B"}))
    assert report.company_number.split() == ["US-", "7"]
    assert report.company_number.isprintable()
    assert report.sender.isprintable()
    assert report.altered == ()


@pytest.mark.parametrize("mark", ["\u200b", "\ufeff", "\xad", "\u202e", "\u2066"])
def test_a_name_with_invisible_characters_is_the_name_it_looks_like(mark):
    report = read(with_drug(medicinalproduct=f"{mark}Ibu{mark}profen"))
    assert report.drugs[0].name == "IBUPROFEN"
    assert report.altered == ("$.patient.drug[0].medicinalproduct",)


def test_a_name_is_one_name_however_its_letters_are_composed():
    composed, apart = (read(with_drug(medicinalproduct=name)) for name in ("CAF\xc9", "CAFE\u0301"))
    assert composed.drugs[0].name == apart.drugs[0].name == "CAF\xc9"


@pytest.mark.parametrize("name", ["drug", "reaction"])
def test_a_list_longer_than_any_real_one_is_rejected_before_it_is_read(name):
    assert decoded(with_patient(**{name: [{}] * 20_001})) == Rejection(
        Reason[f"TOO_MANY_{name.upper()}S"], f"$.patient.{name}"
    )
    assert isinstance(decoded(with_patient(**{name: [{}] * 20_000})), Report)


def test_a_name_of_control_characters_only_is_absent():
    assert read(with_drug(medicinalproduct="\0\0")).drugs[0].name is None


# --- Single values ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("age", "unit", "years"),
    [
        ("6", "800", 60),
        ("65", "801", 65),
        ("6", "802", 0.5),
        ("52", "803", 52 * 7 / 365.25),
        ("365.25", "804", 1),
        ("8766", "805", 1),
        (65, 801, 65),
        (0.5, "801", 0.5),
        ("-1", "801", -1),
        ("300", "801", 300),
        ("0", "801", 0),
        (" 65 ", " 801 ", 65),
    ],
)
def test_age_is_read_in_years_whatever_its_unit(age, unit, years):
    report = read(with_patient(patientonsetage=age, patientonsetageunit=unit))
    assert report.age_years == pytest.approx(years)
    assert report.unreadable == ()


@pytest.mark.parametrize(
    "age",
    ["abc", "6_5", "nan", "inf", "1e2", "6,5", "٦٥", True, [65], {}, 2**70, 1e300, "9" * 16, "", "65 years"],
)
def test_an_age_that_cannot_be_read_costs_only_itself(age):
    report = read(with_patient(patientonsetage=age))
    assert report.age_years is None
    assert report.unreadable == (() if age == "" else ("$.patient.patientonsetage",))


@pytest.mark.parametrize("unit", [None, "", "806", "years"])
def test_an_age_without_a_known_unit_is_not_guessed(unit):
    report = read(with_patient(patientonsetageunit=unit))
    assert report.age_years is None
    assert report.unreadable == ("$.patient.patientonsetageunit",)


@pytest.mark.parametrize("age", ["99999", "-99999"])
def test_an_age_beyond_every_range_is_unreadable(age):
    report = read(with_patient(patientonsetage=age, patientonsetageunit="800"))
    assert report.age_years is None
    assert report.unreadable == ("$.patient.patientonsetage",)


@pytest.mark.parametrize(("sex", "code"), [("2", 2), (2, 2), (2.0, 2), ("2.0", 2), ("9", 9), ("", None), (None, None)])
def test_codes_are_read_from_text_and_numbers_and_left_for_the_suite_to_judge(sex, code):
    report = read(with_patient(patientsex=sex))
    assert report.sex == code
    assert report.unreadable == ()


@pytest.mark.parametrize("sex", ["F", "-1", "10000", 10**30, 1.5, True, ["1"]])
def test_what_is_no_code_is_noted(sex):
    report = read(with_patient(patientsex=sex))
    assert report.sex is None
    assert report.unreadable == ("$.patient.patientsex",)


@pytest.mark.parametrize(
    ("value", "serious"), [("1", True), (1, True), (True, True), ("2", False), (False, False), (None, None), ("", None)]
)
def test_serious_is_read_as_yes_or_no(value, serious):
    report = read(example(serious=value))
    assert report.serious is serious
    assert report.unreadable == ()


@pytest.mark.parametrize("value", ["0", "3", "yes", []])
def test_serious_that_is_neither_yes_nor_no_is_noted(value):
    report = read(example(serious=value))
    assert report.serious is None
    assert report.unreadable == ("$.serious",)


def test_criteria_of_seriousness_count_only_when_met():
    report = read(example(seriousnessdeath="2", seriousnesshospitalization="1", seriousnessother=1))
    assert report.seriousness == ("hospitalization", "other")


@pytest.mark.parametrize("date", ["20261301", "2014-03-12", 7, ["20140312"], {}, True])
def test_a_date_that_cannot_be_read_costs_only_itself(date):
    report = read(example(receivedate=date))
    assert report.receivedate is None
    assert report.unreadable == ("$.receivedate",)


def test_the_receipt_has_a_time_only_where_its_format_has_one():
    report = read(example(receiptdate="201403121530", receiptdateformat="203"))
    assert report.receiptdate == dt.date(2014, 3, 12)
    assert report.receipt_time == dt.datetime(2014, 3, 12, 15, 30, tzinfo=dt.UTC)
    assert read(example(receiptdate="20140312")).receipt_time is None


@pytest.mark.parametrize(
    ("fields", "country"),
    [
        ({"occurcountry": "us", "primarysourcecountry": "GB"}, "US"),
        ({"primarysourcecountry": "GB", "primarysource": {"reportercountry": "FR"}}, "GB"),
        ({"primarysource": {"reportercountry": "Canada"}}, "CANADA"),
        ({"primarysource": None}, None),
    ],
)
def test_country_is_where_it_occurred_else_the_source_else_the_reporter(fields, country):
    assert read(example(**fields)).country == country


@pytest.mark.parametrize("field", ["primarysource", "sender", "reportduplicate"])
def test_an_object_the_report_can_do_without_may_have_any_type(field):
    report = read(example(**{field: 5}))
    assert report.unreadable == (f"$.{field}",)


def test_narratives_are_measured_and_not_kept():
    report = read(with_patient(summary={"narrativeincludeclinical": "CASE EVENT DATE: 20120601"}))
    assert report.narrative_length == 25
    assert "CASE EVENT" not in repr(report)


def test_unknown_fields_are_counted_at_every_level_of_the_report():
    value = example(a=1)
    value["patient"].update(b=1, c=1)
    value["patient"]["drug"][0]["d"] = 1
    value["patient"]["reaction"][0]["e"] = 1
    report = read(value)
    assert report.unknown_fields == 5
    assert report.unreadable == ()


# --- Laws -------------------------------------------------------------------------------------------------------

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**63, 2**64, -(2**70), 10**400, 0.0, -0.0, 1.5, 1e308])
    | st.text(max_size=8)
    | st.sampled_from(["", " ", "1", "801", "20140312", "\0", "\ud83d\udc8a", "ß" * 300, "x" * 2000])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def places(value, path=()):
    """Every place in a JSON value, as the keys that lead there."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield (*path, key)
        yield from places(child, (*path, key))


SMALL = [json.loads(body) for body in REAL if len(body) < 6000] + [json.loads(body) for body in FAERS[:50]]


@st.composite
def mutated_reports(draw):
    """Real reports with up to four values replaced, deleted or added, anywhere."""
    value = copy.deepcopy(draw(st.sampled_from(SMALL)))
    for _ in range(draw(st.integers(1, 4))):
        *parents, key = draw(st.sampled_from(list(places(value)) or [("x",)]))
        holder = value
        for parent in parents:
            holder = holder[parent]
        match draw(st.sampled_from(["replace", "delete", "insert"])):
            case "delete":
                holder.pop(key, None) if isinstance(holder, dict) else holder.pop(key)
            case "insert" if isinstance(holder, list):
                holder.insert(key, draw(VALUES))
            case _:
                holder[key] = draw(VALUES)
    return value


def assert_storable(report):
    """What the database and the models rely on, whatever was sent."""
    texts = [report.country, report.sender, report.company_number, *report.duplicate_numbers]
    for drug in report.drugs:
        texts += [drug.name, drug.product, drug.indication]
    texts += [reaction.term for reaction in report.reactions]
    for text in filter(None, texts):
        assert len(text.encode("utf-16-le")) <= 2 * MAX_TEXT_LENGTH
        assert all(character >= " " or character.isspace() for character in text)
        assert text == text.strip()
    codes = [report.sex, report.qualification]
    codes += [drug.characterization for drug in report.drugs] + [reaction.outcome for reaction in report.reactions]
    assert all(code is None or 0 <= code <= 9999 for code in codes)
    assert 1 <= len(report.safetyreportid) <= 64
    assert 0 <= report.version < 10**9
    assert report.age_years is None or abs(report.age_years) <= 1000
    assert report.weight_kg is None or abs(report.weight_kg) <= 1e15
    assert len(report.digest) == 32
    assert all(path.startswith("$.") for path in report.unreadable)


@given(mutated_reports())
@settings(max_examples=150)
def test_a_mutated_report_is_a_storable_report_or_a_rejection(value):
    found = decode(json.dumps(value).encode())
    if isinstance(found, Report):
        assert_storable(found)
    else:
        assert found.path.startswith("$")


@given(st.binary(max_size=200))
@settings(max_examples=200)
def test_no_bytes_raise(body):
    assert isinstance(decode(body), Report | Rejection)


@given(st.sampled_from(FAERS[:200]), st.data())
@settings(max_examples=200)
def test_no_flipped_byte_raises(body, data):
    at = data.draw(st.integers(0, len(body) - 1))
    flipped = body[:at] + bytes([data.draw(st.integers(0, 255))]) + body[at + 1 :]
    assert isinstance(decode(flipped), Report | Rejection)


def test_rejections_never_carry_text_of_the_report():
    secret = "Jane Doe"
    values = [
        example(safetyreportid=secret),
        example(patient=secret),
        with_patient(drug=[secret]),
        example(safetyreportversion=secret),
        {secret: 1},
    ]
    for value in values:
        assert secret not in repr(decoded(value))


def test_decoding_imports_neither_pandas_nor_great_expectations():
    script = (
        "import sys, expectations.decode; "
        "print([m for m in ('pandas', 'numpy', 'great_expectations') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
