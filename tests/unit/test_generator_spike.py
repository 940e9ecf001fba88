from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.spike import Spike, SpikeFormatError, parse_spike

NAMES = (
    st.text(alphabet=st.one_of(st.sampled_from("/@+x ,()1\\."), st.characters(codec="utf-8")), min_size=1, max_size=20)
    .map(lambda text: " ".join(text.split()).strip("/ "))
    .map(lambda text: " ".join(text.split()))
    .filter(bool)
)
SPIKES = st.builds(
    Spike,
    drug=NAMES,
    reaction=NAMES,
    start_s=st.floats(min_value=0, allow_infinity=False),
    length_s=st.floats(min_value=0, exclude_min=True, allow_infinity=False),
    factor=st.floats(min_value=1, exclude_min=True, allow_infinity=False),
)


@given(SPIKES)
def test_a_written_spike_reads_back_as_itself(spike: Spike) -> None:
    assert parse_spike(str(spike)) == spike


def test_the_example_reads_as_documented() -> None:
    assert parse_spike("IBUPROFEN/Gastric ulcer@50+30x8") == Spike("IBUPROFEN", "Gastric ulcer", 50.0, 30.0, 8.0)


@pytest.mark.parametrize(
    ("text", "start_s", "length_s"),
    [("A/b@50s+30sx2", 50, 30), ("A/b@2m+1.5mx2", 120, 90), ("A/b@1h + 10m x2", 3600, 600)],
)
def test_times_take_units(text: str, start_s: float, length_s: float) -> None:
    spike = parse_spike(text)
    assert (spike.start_s, spike.length_s) == (start_s, length_s)


def test_a_doubled_slash_is_one_slash_of_a_name() -> None:
    spike = parse_spike("CARBIDOPA//LEVODOPA/Attention deficit//hyperactivity disorder@0+1x2")
    assert (spike.drug, spike.reaction) == ("CARBIDOPA/LEVODOPA", "Attention deficit/hyperactivity disorder")


def test_white_space_around_names_does_not_count() -> None:
    assert parse_spike("  A  b / c @5+5x2 ") == Spike("A b", "c", 5, 5, 2)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "IBUPROFEN",
        "IBUPROFEN@50+30x8",
        "IBUPROFEN/Headache",
        "IBUPROFEN/Headache@50x8",
        "IBUPROFEN/Headache@-5+30x8",
        "IBUPROFEN/Headache@50+0x8",
        "IBUPROFEN/Headache@50+30x1",
        "IBUPROFEN/Headache@50+30x-8",
        "IBUPROFEN/Headache@50w+30x8",
        "A/B/c@50+30x8",
        "/Headache@50+30x8",
        "IBUPROFEN/@50+30x8",
        "IBUPROFEN/Headache@50+30x" + "9" * 400,
    ],
)
def test_what_cannot_be_read_is_explained_with_an_example(text: str) -> None:
    with pytest.raises(SpikeFormatError, match=r"IBUPROFEN/Gastric ulcer@50\+30x8"):
        parse_spike(text)
