"""One alert per episode of a pair: when it opens, grows, stays silent and closes."""

import dataclasses
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.alert import AlertKind, AlertStatus, SpikeFinding, UnusualReport
from alerts.policy import Growth, decide, growth, is_fresh

NARROW, WIDE = 10_000, 60_000
START = 1_800_000_000_000
NOW = START + 3_000


def finding(cases=12, start=START, width=NARROW, pair=(1, 2), alertable=True, z=6.0, windows=1):
    return SpikeFinding(
        width_ms=width,
        window_start=start,
        drug_id=pair[0],
        drug=f"DRUG {pair[0]}",
        reaction_id=pair[1],
        reaction=f"REACTION {pair[1]}",
        cases=cases,
        expected=2.0,
        spread=1.5,
        z=z,
        p=1e-8,
        stage="open",
        alertable=alertable,
        windows=windows,
    )


def report(case_key=7, version=1, score=0.8):
    return UnusualReport(case_key, "10012345", version, score, ("rare pair",), "3", START)


def run(alerts, findings=(), unusual=(), clock=NOW, silenced=lambda finding: False, name="new"):
    ids = (f"{name}-{n}" for n in itertools.count())
    return decide(alerts, findings, unusual, clock_ms=clock, now_ms=NOW, new_id=lambda: next(ids), silenced=silenced)


def one(changes):
    (change,) = changes
    return change


def opened(*findings, **how):
    return one(run([], findings, **how)).alert


def after(alerts, changes):
    """What is open once the changes are stored."""
    stored = {alert.alert_id: alert for alert in alerts} | {change.alert.alert_id: change.alert for change in changes}
    return [alert for alert in stored.values() if alert.status == AlertStatus.OPEN]


def told(changes):
    return [(change.change, change.alert.revision) for change in changes if change.publish]


def test_spike_opens_one_alert_for_all_its_windows_and_widths():
    change = one(run([], [finding(12), finding(30, width=WIDE), finding(14, start=START + NARROW)]))
    assert (change.change, change.publish, change.previous) == ("opened", True, None)
    assert change.alert.widths == (NARROW, WIDE)
    assert (change.alert.since, change.alert.last_alarm_end) == (START, START + WIDE)
    assert (change.alert.revision, change.alert.opened_at) == (1, NOW)


def test_evidence_is_the_widest_windows_highest_count():
    earlier = START - WIDE
    alert = opened(finding(60, z=15.0), finding(50, width=WIDE), finding(45, width=WIDE, start=earlier, z=9.0))
    assert (alert.width_ms, alert.window_start, alert.cases) == (WIDE, START, 50)


def test_of_equal_windows_the_earlier_is_the_evidence():
    equal = [finding(12), finding(12, start=START - NARROW)]
    assert opened(*equal).window_start == opened(*reversed(equal)).window_start == START - NARROW


def test_pairs_come_in_the_order_of_their_ids():
    pairs = [(drug, reaction) for drug in range(9, 0, -1) for reaction in range(9, 0, -1)]
    changes = run([], [finding(pair=pair) for pair in pairs])
    assert [(change.alert.drug_id, change.alert.reaction_id) for change in changes] == sorted(pairs)


def test_a_few_more_cases_are_noted_and_not_told():
    change = one(run([opened(finding(12))], [finding(17)]))
    assert (change.change, change.publish) == ("updated", False)
    assert (change.alert.cases, change.alert.published_cases, change.alert.revision) == (17, 12, 1)


def test_half_as_many_again_are_told():
    change = one(run([opened(finding(12))], [finding(18)]))
    assert (change.change, change.publish) == ("grew", True)
    assert (change.alert.published_cases, change.alert.revision) == (18, 2)


def test_growth_in_small_steps_is_measured_from_what_was_told():
    alerts, spoken = [], []
    for cases in range(12, 41):
        changes = run(alerts, [finding(cases)])
        alerts = after(alerts, changes)
        spoken += [change.alert.cases for change in changes if change.publish]
    assert spoken == [12, 18, 27]


def test_wider_window_that_alarms_for_the_first_time_is_told():
    before = opened(finding(12))
    change = one(run([before], [finding(13, width=WIDE)]))
    assert (change.change, change.publish, change.alert.cases) == ("grew", True, 13)
    assert growth(before, change.alert) is Growth.WIDER_WINDOW


def test_narrower_window_that_alarms_later_is_noted_only():
    assert not told(run([opened(finding(30, width=WIDE))], [finding(29)]))


@pytest.mark.parametrize(("cases", "reason"), [(17, None), (18, Growth.MORE_CASES)])
def test_growth_has_a_name(cases, reason):
    before = opened(finding(12))
    assert growth(before, dataclasses.replace(before, cases=cases)) is reason


def test_next_window_of_the_same_spike_keeps_the_alert_open_and_quiet():
    change = one(run([opened(finding(12))], [finding(12, start=START + NARROW)]))
    assert not change.publish
    assert change.alert.last_alarm_end == START + 2 * NARROW


def test_alert_closes_after_two_of_its_widest_widths_and_not_before():
    alert = opened(finding(12), finding(30, width=WIDE))
    over = START + 3 * WIDE
    assert run([alert], clock=over - 1) == []
    change = one(run([alert], clock=over))
    assert (change.change, change.publish) == ("closed", True)
    assert (change.alert.status, change.alert.closed_at, change.alert.revision) == (AlertStatus.CLOSED, NOW, 2)


def test_later_spike_of_the_same_pair_is_a_new_alert():
    later = START + 100 * NARROW
    first = opened(finding(12))
    closed = one(run([first], clock=later))
    second = one(run(after([first], [closed]), [finding(20, start=later)], clock=later))
    assert second.change == "opened"
    assert second.alert.since == later


def test_finding_that_may_not_alert_does_nothing():
    assert run([], [finding(alertable=False)]) == []
    assert run([opened(finding(12))], [finding(90, alertable=False)]) == []


def test_window_older_than_two_widths_alerts_nobody():
    old = finding(start=START)
    last_moment = START + 3 * NARROW
    assert is_fresh(old, last_moment - 1)
    assert run([], [old], clock=last_moment) == []


def test_silenced_pair_opens_nothing():
    assert run([], [finding(12), finding(90, width=WIDE)], silenced=lambda finding: True) == []


def test_silence_keeps_an_open_alert_quiet_and_open():
    change = one(run([opened(finding(12))], [finding(90, start=START + NARROW)], silenced=lambda finding: True))
    assert (change.change, change.publish) == ("updated", False)
    assert (change.alert.last_alarm_end, change.alert.revision) == (START + 2 * NARROW, 1)


def test_growth_under_silence_is_told_when_the_silence_ends():
    before = opened(finding(12))
    silent = one(run([before], [finding(90)], silenced=lambda finding: True))
    assert told(run([silent.alert], [finding(90)])) == [("grew", 2)]


def test_end_of_a_silenced_spike_is_told():
    assert told(run([opened(finding(12))], clock=START + 100 * WIDE, silenced=lambda finding: True)) == [("closed", 2)]


def test_unusual_report_is_told_once_and_needs_no_closing():
    change = one(run([], unusual=[report(), report()]))
    assert (change.change, change.publish, change.alert.kind) == ("opened", True, AlertKind.UNUSUAL_REPORT)
    assert (change.alert.status, change.alert.closed_at) == (AlertStatus.CLOSED, NOW)
    assert change.alert.model_version == "3"
    assert run([change.alert], unusual=[report()]) == []


def test_next_version_of_an_unusual_report_is_told():
    first = one(run([], unusual=[report()])).alert
    assert one(run([first], unusual=[report(version=2)])).alert.version == 2


findings_of_two_pairs = st.lists(
    st.builds(
        finding,
        cases=st.sampled_from([5, 12, 17, 18, 40]),
        start=st.integers(-8, 2).map(lambda step: START + step * NARROW),
        width=st.sampled_from([NARROW, WIDE]),
        pair=st.sampled_from([(1, 2), (1, 3)]),
        alertable=st.booleans(),
        z=st.sampled_from([5.5, 9.0]),
    ),
    max_size=8,
)
silences = st.sampled_from(
    [lambda finding: False, lambda finding: finding.reaction_id == 3, lambda finding: finding.width_ms == WIDE]
)
unusual_reports = st.lists(st.builds(report, case_key=st.integers(1, 3), version=st.integers(1, 2)), max_size=3)


@given(findings_of_two_pairs, findings_of_two_pairs, silences, st.integers(0, 200))
def test_the_same_findings_again_open_and_tell_nothing(earlier, findings, silenced, seconds):
    alerts = after([], run([], earlier, silenced=silenced, name="earlier"))
    alerts = after(alerts, run(alerts, findings, silenced=silenced))
    assert run(alerts, findings, silenced=silenced) == []
    later = NOW + seconds * 1000
    assert {change.change for change in run(alerts, findings, clock=later, silenced=silenced)} <= {"closed"}


@given(findings_of_two_pairs, silences, st.integers(0, 200))
def test_findings_of_a_closed_episode_never_open_another(findings, silenced, seconds):
    alerts = after([], run([], findings, silenced=silenced))
    later = NOW + seconds * 1000
    closed = run(alerts, clock=later, silenced=silenced)
    for change in closed:
        again = run(after(alerts, closed), findings, clock=later, silenced=silenced)
        assert change.alert.reaction_id not in {found.alert.reaction_id for found in again}


@given(findings_of_two_pairs, findings_of_two_pairs, unusual_reports, silences, st.randoms(use_true_random=False))
def test_order_of_the_findings_does_not_matter(earlier, findings, unusual, silenced, random):
    alerts = after([], run([], earlier, silenced=silenced, name="earlier"))
    expected = run(alerts, findings, unusual, silenced=silenced)
    random.shuffle(findings)
    random.shuffle(unusual)
    random.shuffle(alerts)
    assert run(alerts, findings, unusual, silenced=silenced) == expected


@given(st.lists(findings_of_two_pairs, max_size=6))
def test_revisions_of_an_alert_are_told_without_a_gap(batches):
    alerts, revisions = [], {}
    clock = START
    ids = (f"id-{n}" for n in itertools.count())
    for batch in batches:
        clock += 2 * NARROW
        moved = [dataclasses.replace(f, window_start=f.window_start + clock - START) for f in batch]
        changes = decide(
            alerts, moved, [], clock_ms=clock, now_ms=NOW, new_id=lambda: next(ids), silenced=lambda f: False
        )
        alerts = after(alerts, changes)
        for change in changes:
            if change.publish:
                revisions.setdefault(change.alert.alert_id, []).append(change.alert.revision)
    assert all(told == list(range(1, len(told) + 1)) for told in revisions.values())


def test_two_windows_that_spike_together_are_told_as_one_span():
    alert = opened(finding(cases=19, windows=2))
    assert (alert.since, alert.evidence_start, alert.last_alarm_end) == (START - NARROW, START - NARROW, START + NARROW)
    assert (alert.cases, alert.windows, alert.window_start) == (19, 2, START)


def test_a_window_that_spikes_alone_later_replaces_two_together_only_with_more_cases():
    alert = opened(finding(cases=19, windows=2))
    fewer = finding(cases=18, start=START + NARROW)
    (kept,) = after([alert], run([alert], [fewer]))
    assert (kept.cases, kept.windows, kept.last_alarm_end) == (19, 2, START + 2 * NARROW)
    more = finding(cases=20, start=START + NARROW)
    (replaced,) = after([alert], run([alert], [more]))
    assert (replaced.cases, replaced.windows, replaced.since) == (20, 1, START - NARROW)
