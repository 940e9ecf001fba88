"""The flat row per report that suites judge."""

import datetime as dt
import json
import math
from pathlib import Path

import numpy as np
import pytest
from builders import report
from msgspec.structs import replace

from expectations.columns import COLUMNS, TEXT_COLUMNS, checked_columns
from expectations.decode import decode
from expectations.report import ReportedDrug, ReportedReaction

REAL = (Path(__file__).parents[1] / "data" / "openfda_reports_100.jsonl").read_bytes().splitlines()
TODAY = dt.date(2014, 3, 12)
EMPTY = {"safetyreportid": "1", "patient": {}}


def row(value, today=TODAY):
    return {name: values[0] for name, values in checked_columns([decode(json.dumps(value).encode())], today).items()}


def is_null(value):
    return value is None or (isinstance(value, float) and math.isnan(value))


# --- Shape ------------------------------------------------------------------------------------------------------


def test_there_is_one_value_per_report_in_every_column_in_order():
    columns = checked_columns([decode(body) for body in REAL], TODAY)
    assert list(columns) == list(COLUMNS)
    assert {len(values) for values in columns.values()} == {100}
    assert columns["drug_count"].tolist() == [len(json.loads(body)["patient"]["drug"]) for body in REAL]
    assert columns["safetyreportid"].tolist() == [json.loads(body)["safetyreportid"] for body in REAL]


@pytest.mark.parametrize("reports", [[], [decode(REAL[0])], [decode(json.dumps(EMPTY).encode())]])
def test_numbers_are_float64_and_text_is_objects_whatever_the_reports(reports):
    for name, values in checked_columns(reports, TODAY).items():
        assert values.dtype == (object if name in TEXT_COLUMNS else np.float64), name
        assert len(values) == len(reports)


def test_an_empty_report_counts_nothing_and_leaves_the_rest_null():
    found = row(EMPTY)
    zero = {name for name in COLUMNS if name.endswith("_count")} | {"any_criterion", "version"}
    assert {name for name in COLUMNS if not is_null(found[name])} == zero | {"safetyreportid"}
    assert all(found[name] == 0 for name in zero)
    assert {name for name in TEXT_COLUMNS if found[name] is None} == TEXT_COLUMNS - {"safetyreportid"}


def test_a_row_does_not_depend_on_the_reports_around_it():
    reports = [decode(body) for body in REAL]
    together = checked_columns(reports, TODAY)
    for at in (0, 57, 99):
        for name, values in checked_columns([reports[at]], TODAY).items():
            assert values[0] == together[name][at] or (is_null(values[0]) and is_null(together[name][at])), name


# --- What the columns hold --------------------------------------------------------------------------------------


def test_id_and_version_are_those_of_the_report():
    found = row({**EMPTY, "safetyreportid": "10003301-4", "safetyreportversion": "12"})
    assert (found["safetyreportid"], found["version"]) == ("10003301-4", 12)
    assert row({**EMPTY, "receiptdate": "20140312"})["version"] == 20140312


def test_lists_become_counts_and_sets_of_codes():
    found = row(
        {
            "safetyreportid": "1",
            "reportduplicate": [{"duplicatenumb": "A"}, {"duplicatenumb": "B"}, {"duplicatenumb": None}],
            "patient": {
                "drug": [
                    {"medicinalproduct": "a", "drugcharacterization": "3"},
                    {"medicinalproduct": "A ", "drugcharacterization": "1"},
                    {"medicinalproduct": "b", "drugcharacterization": "2"},
                    {"drugcharacterization": "1"},
                    {"medicinalproduct": "c"},
                ],
                "reaction": [
                    {"reactionmeddrapt": "Nausea", "reactionoutcome": "8"},
                    {"reactionmeddrapt": "NAUSEA", "reactionoutcome": "1"},
                    {"reactionmeddrapt": "Rash", "reactionoutcome": "6"},
                    {},
                ],
            },
        }
    )
    assert found["drug_count"] == 5
    assert found["named_drug_count"] == 4
    assert found["suspect_drug_count"] == 3
    assert found["reaction_count"] == 4
    assert found["named_reaction_count"] == 3
    assert found["pair_count"] == 2  # A with NAUSEA and with RASH
    assert found["duplicate_number_count"] == 2
    assert found["drug_characterizations"] == "1,2,3"
    assert found["reaction_outcomes"] == "1,6,8"


def test_codes_are_ascending_as_numbers():
    of = replace(
        report("1"),
        drugs=tuple(ReportedDrug("A", "A", code, None) for code in (12, 2, None, 2)),
        reactions=(ReportedReaction("T", None),),
    )
    columns = checked_columns([of], TODAY)
    assert (columns["drug_characterizations"][0], columns["reaction_outcomes"][0]) == ("2,12", None)


def test_pair_count_is_the_number_of_pairs_the_report_makes():
    reports = [decode(body) for body in REAL]
    assert checked_columns(reports, TODAY)["pair_count"].tolist() == [len(report.pairs()) for report in reports]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"receivedate": "20261301"}, {"date": 1}),
        ({"receiptdate": "x", "safetyreportversion": "1", "transmissiondate": [1]}, {"date": 2}),
        ({"patient": {"patientonsetage": "abc"}}, {"age": 1}),
        ({"patient": {"patientonsetage": "6"}}, {"age": 1}),
        ({"patient": {"patientonsetage": "6", "patientonsetageunit": "x"}}, {"age": 1}),
        ({"patient": {"patientonsetageunit": "x"}}, {"age": 1}),
        ({"patient": {"patientonsetage": "abc", "patientonsetageunit": "x"}}, {"age": 1}),
        ({"patient": {"patientonsetage": "99999", "patientonsetageunit": "800"}}, {"age": 1}),
        ({"serious": "3", "seriousnessdeath": "x", "seriousnessother": "0"}, {"seriousness": 3}),
        ({"patient": {"patientsex": "x", "patientweight": "y"}, "primarysource": 7}, {"other": 3}),
        (
            {"serious": "9", "receivedate": "x", "patient": {"patientsex": "x", "patientonsetage": "x"}},
            {"date": 1, "age": 1, "seriousness": 1, "other": 1},
        ),
    ],
)
def test_unreadable_values_are_counted_by_kind(changes, expected):
    found = row({**EMPTY, **changes})
    counted = {"date": "unreadable_date_count", "age": "unreadable_age_count", "other": "unreadable_count"}
    counted["seriousness"] = "unreadable_seriousness_count"
    assert {kind: found[name] for kind, name in counted.items() if found[name]} == expected


def test_an_age_is_unreadable_once_whatever_is_wrong_with_it():
    paths = ("$.patient.patientonsetage", "$.patient.patientonsetageunit", "$.patient.patientsex", "$.serious")
    columns = checked_columns([replace(report("1"), unreadable=paths)], TODAY)
    assert columns["unreadable_age_count"].tolist() == [1]
    assert columns["unreadable_seriousness_count"].tolist() == [1]
    assert columns["unreadable_count"].tolist() == [1]


def test_altered_texts_are_counted_and_are_not_unreadable():
    drugs = [{"medicinalproduct": "A" * 600}, {"medicinalproduct": "B\0"}]
    found = row({**EMPTY, "companynumb": "x\x07y", "patient": {"drug": drugs}})
    assert (found["altered_count"], found["unreadable_count"]) == (3, 0)


def test_fields_that_openfda_does_not_have_are_counted():
    assert row({**EMPTY, "x": 1, "patient": {"y": 2, "drug": [{"z": 3}]}})["unknown_field_count"] == 3


def test_codes_and_measures_are_as_reported():
    patient = {"patientsex": "7", "patientonsetage": "30", "patientonsetageunit": "802", "patientweight": "61.5"}
    found = row({**EMPTY, "primarysource": {"qualification": "9"}, "patient": patient})
    assert (found["sex"], found["qualification"], found["age_unit"]) == (7, 9, 802)
    assert (found["age_years"], found["weight_kg"]) == (2.5, 61.5)
    assert row({**EMPTY, "patient": {"patientonsetageunit": "806"}})["age_unit"] == 806


@pytest.mark.parametrize(
    ("serious", "criterion", "expected"),
    [("1", "1", (1, 1)), ("2", "2", (0, 0)), ("1", None, (1, 0)), (None, "1", (None, 1)), ("3", "1", (None, 1))],
)
def test_seriousness_is_one_or_zero(serious, criterion, expected):
    found = row({**EMPTY, "serious": serious, "seriousnessdeath": criterion})
    assert (None if is_null(found["serious"]) else found["serious"], found["any_criterion"]) == expected


# --- Dates ------------------------------------------------------------------------------------------------------


def test_days_in_future_count_from_today_to_the_latest_date():
    value = {**EMPTY, "receivedate": "20140312", "transmissiondate": "20140315"}
    assert row(value)["days_in_future"] == 3
    assert row(value, dt.date(2014, 3, 20))["days_in_future"] == -5


def test_the_earliest_date_may_be_any_of_the_three():
    dates = {"receivedate": "20140312", "receiptdate": "20140313", "transmissiondate": "20140314"}
    for name in dates:
        assert row({**EMPTY, **dates, name: "19591231"})["earliest_date"] == 19591231
    assert row({**EMPTY, "receiptdate": "20140313"})["earliest_date"] == 20140313


def test_dates_of_every_century_fit():
    found = row({**EMPTY, "receivedate": "00010101", "receiptdate": "99991231"})
    assert (found["receivedate"], found["receiptdate"], found["earliest_date"]) == (10101, 99991231, 10101)
    assert found["days_in_future"] == (dt.date(9999, 12, 31) - TODAY).days
