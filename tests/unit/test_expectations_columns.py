"""The flat row per report that suites judge."""

import datetime as dt
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd

from expectations.columns import COLUMNS, checked_frame
from expectations.decode import decode

REAL = (Path(__file__).parents[1] / "data" / "openfda_reports_100.jsonl").read_bytes().splitlines()
TODAY = dt.date(2014, 3, 12)


def row(value, today=TODAY):
    return checked_frame([decode(json.dumps(value).encode())], today).iloc[0].to_dict()


def test_there_is_one_row_per_report_in_order_under_a_range_index():
    frame = checked_frame([decode(body) for body in REAL], TODAY)
    assert frame.index.equals(pd.RangeIndex(100))
    assert list(frame.columns) == list(COLUMNS)
    assert frame["drug_count"].tolist() == [len(json.loads(body)["patient"]["drug"]) for body in REAL]


def test_no_reports_make_an_empty_frame_of_the_same_types():
    assert checked_frame([], TODAY).dtypes.equals(checked_frame([decode(REAL[0])], TODAY).dtypes)


def test_an_empty_report_counts_nothing_and_leaves_the_rest_null():
    found = row({"safetyreportid": "1", "patient": {}})
    counts = {name for name in COLUMNS if name.endswith("_count")} | {"any_criterion"}
    assert {name for name in COLUMNS if not pd.isna(found[name])} == counts
    assert all(found[name] == 0 for name in counts)


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


def test_pair_count_is_the_number_of_pairs_the_report_makes():
    reports = [decode(body) for body in REAL]
    assert checked_frame(reports, TODAY)["pair_count"].tolist() == [len(report.pairs()) for report in reports]


def test_days_in_future_count_from_today_to_the_latest_date():
    value = {"safetyreportid": "1", "patient": {}, "receivedate": "20140312", "transmissiondate": "20140315"}
    assert row(value)["days_in_future"] == 3
    assert row(value, dt.date(2014, 3, 20))["days_in_future"] == -5


def test_dates_of_every_century_fit():
    found = row({"safetyreportid": "1", "patient": {}, "receivedate": "00010101", "receiptdate": "99991231"})
    assert (found["receivedate"], found["receiptdate"]) == (10101, 99991231)


def test_numbers_are_floats_and_null_is_nan():
    frame = checked_frame([decode(b'{"safetyreportid":"1","patient":{}}')], TODAY)
    assert frame["age_years"].dtype == np.float64
    assert math.isnan(frame["serious"][0])
