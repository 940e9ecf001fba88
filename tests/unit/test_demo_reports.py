"""What a demo sends follows from its options."""

import datetime as dt
import inspect
from itertools import islice

from generator.truth import Truth
from reactionwatch.commands.demo import demo
from reactionwatch.demonstration.reports import HISTORY_SECONDS, DemoOptions, DemoReports

STARTED = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)


def test_the_command_does_what_the_options_say_unless_told_otherwise() -> None:
    defaults = {name: one.default for name, one in inspect.signature(demo).parameters.items()}
    assert {name: defaults[name] for name in vars(DemoOptions())} == vars(DemoOptions())


def test_same_options_same_reports_and_another_size_of_spike_changes_the_spike_alone() -> None:
    def planted(factor: float | None) -> tuple[list[bytes], list[float | None]]:
        reports, truth = DemoReports(DemoOptions(rate=10), STARTED), Truth()
        sent = reports.sent(truth, common_factor=factor)
        assert [spike.factor for spike in truth.spikes]
        return [report.body for report in islice(sent, 200)], [spike.factor for spike in truth.spikes]

    assert planted(None) == planted(None)
    (before, (small, great)), (same, (larger, as_great)) = planted(None), planted(9.0)
    assert before == same  # none of the first 200 is of a spike
    assert (small, larger) == (4.0, 9.0)
    assert great == as_great


def test_earlier_reports_end_where_the_stream_begins() -> None:
    earlier = list(DemoReports(DemoOptions(rate=10), STARTED).earlier())
    assert STARTED - dt.timedelta(seconds=HISTORY_SECONDS) <= earlier[0].received_at
    assert earlier[-1].received_at < STARTED
