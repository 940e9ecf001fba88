"""A planted spike, and how it is written: `DRUG/REACTION@START+LENGTHxFACTOR`.

`ambrisentan/Dysphonia@50+30x8` means: from second 50 on, for 30 seconds, eight times as many reports of that
pair as usual. Times take the suffixes s, m, h and d. A slash inside a name is written twice.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal

from generator.durations import DURATION, parse_duration

__all__ = ["Spike", "SpikeFormatError", "parse_spike"]

_EXAMPLE = "IBUPROFEN/Gastric ulcer@50+30x8"
_NAME = r"(?:[^/]|//)+"
_SPIKE = re.compile(
    rf"(?P<drug>{_NAME})(?<!/)/(?!/)(?P<reaction>{_NAME})"
    rf"@\s*(?P<start>{DURATION})\s*\+\s*(?P<length>{DURATION})\s*x\s*(?P<factor>\d+(?:\.\d+)?)"
)


class SpikeFormatError(ValueError):
    """A spike that cannot be read or makes no sense; the message says what is wrong, with an example."""

    def __init__(self, problem: str) -> None:
        super().__init__(
            f"{problem} Write a spike as DRUG/REACTION@START+LENGTHxFACTOR, for example '{_EXAMPLE}': "
            "from second 50 on, for 30 seconds, 8 times the usual rate. Times may end in s, m, h or d; "
            "a slash inside a name is written twice."
        )


@dataclass(frozen=True)
class Spike:
    """More reports of one pair than usual, for a while.

    Names are single-spaced, neither empty nor beginning or ending with a slash. `start_s` ≥ 0 counts from the
    start of the stream, `length_s` > 0, `factor` > 1 multiplies the pair's usual rate.
    """

    drug: str
    reaction: str
    start_s: float
    length_s: float
    factor: float

    def __post_init__(self) -> None:
        for name in (self.drug, self.reaction):
            if not name or name != " ".join(name.split()) or name.startswith("/") or name.endswith("/"):
                raise SpikeFormatError("Drug and reaction need a name, single-spaced, with no slash around.")
        if not all(math.isfinite(number) for number in (self.start_s, self.length_s, self.factor)):
            raise SpikeFormatError("Start, length and factor are finite numbers.")
        if self.start_s < 0 or self.length_s <= 0:
            raise SpikeFormatError("A spike starts at 0 or later and lasts longer than 0 seconds.")
        if self.factor <= 1:
            raise SpikeFormatError("The factor of a spike is above 1.")

    def __str__(self) -> str:
        drug, reaction = (name.replace("/", "//") for name in (self.drug, self.reaction))
        start, length, factor = map(_plain, (self.start_s, self.length_s, self.factor))
        return f"{drug}/{reaction}@{start}+{length}x{factor}"


def parse_spike(text: str) -> Spike:
    """Read a spike as written by a user or by `str(spike)`; raises `SpikeFormatError`.

    `parse_spike(str(spike)) == spike` for every spike.
    """
    match = _SPIKE.fullmatch(" ".join(text.split()))
    if match is None:
        raise SpikeFormatError("This spike cannot be read.")
    return Spike(
        drug=match["drug"].strip().replace("//", "/"),
        reaction=match["reaction"].strip().replace("//", "/"),
        start_s=parse_duration(match["start"]),
        length_s=parse_duration(match["length"]),
        factor=float(match["factor"]),
    )


def _plain(number: float) -> str:
    """All digits of a number and no exponent, whose plus sign would read as our own."""
    digits = format(Decimal(repr(float(number))), "f")
    return digits.removesuffix(".0")
