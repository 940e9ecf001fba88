"""Single values of a report's JSON object, read by field name.

Every scalar of openFDA is a string, so numbers and codes are read from strings; JSON numbers are taken as well,
JSON booleans only for yes/no. Null and blank strings are absent values. A value that cannot be read never costs
the report: it becomes None and its path is noted, never its text. An object where a list is promised is a list of
one, and a list of one object stands for the object.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from expectations.dates import DateRead, read_date
from expectations.report import normalise_name

__all__ = ["MAX_ENTRIES", "MAX_TEXT_LENGTH", "Fields", "Noted", "is_absent", "only_object", "read_number"]

MAX_TEXT_LENGTH = 500
"""Longest text kept, in UTF-16 code units, as databases count them; longer ones are cut, and noted."""

MAX_ENTRIES = 20_000
"""Most entries of a list that are looked at; the longest real one has 2,321, and a suite may set a lower limit."""

_MAX_CODE = 9999  # Every code list of E2B ends below it, and the database keeps codes as small integers.
_NUMBER = re.compile(r"[+-]?[0-9]{1,15}(?:\.[0-9]{0,15})?")
_MAX_NUMBER = 1e15
# Control characters that are not white space. Databases refuse some (NUL), and no name has any.
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]")
# White space that is more than a space: tabs and line breaks.
_BREAKS = re.compile("[\t-\r\x1c-\x1f\x85\u2028\u2029]")
# Characters of no width and direction marks (general category Cf): with them one name would look like another.
_INVISIBLE = re.compile(
    "[\xad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0001\U000e0020-\U000e007f]"
)


def is_absent(value: object) -> bool:
    """Tell whether a JSON value stands for nothing: null or a blank string."""
    return value is None or (type(value) is str and (not value or value.isspace()))


def read_number(value: object) -> float | None:
    """Read a plain decimal number (no exponent, at most 15 digits before the point); None when it is none."""
    if type(value) is str:
        stripped = value.strip()
        return float(stripped) if _NUMBER.fullmatch(stripped) else None
    if (type(value) is int or type(value) is float) and -_MAX_NUMBER < value < _MAX_NUMBER:
        return float(value)
    return None


def only_object(value: object) -> dict[str, object] | None:
    """The object that a JSON value is, or that is the only entry of a list; None when there is none."""
    if type(value) is list and len(value) == 1:
        value = value[0]
    return value if type(value) is dict else None


@dataclass(frozen=True, slots=True)
class Noted:
    """Paths of a report's values that were not taken as they stand: ordered sets (see `Report`)."""

    unreadable: dict[str, None] = field(default_factory=dict)
    altered: dict[str, None] = field(default_factory=dict)


class Fields:
    """One JSON object of a report, where it stands, and what is noted about the whole report."""

    __slots__ = ("noted", "path", "values")

    def __init__(self, values: dict[str, object], path: str, noted: Noted) -> None:
        self.values = values
        self.path = path
        self.noted = noted

    def note(self, name: str) -> None:
        """Note that a field could not be read."""
        self.noted.unreadable[f"{self.path}.{name}"] = None

    def note_altered(self, name: str) -> None:
        """Note that a text was read, but not kept as it stands."""
        self.noted.altered[f"{self.path}.{name}"] = None

    def within(self, name: str) -> Fields:
        """Fields of an object that the report can do without; empty when it is absent or no object."""
        value = self.values.get(name)
        found = only_object(value)
        if found is not None:
            return Fields(found, f"{self.path}.{name}", self.noted)
        if not is_absent(value):
            self.note(name)
        return _NO_FIELDS

    def each(self, name: str) -> list[Fields]:
        """Fields of every object of a list that the report can do without; a single object is a list of one."""
        value = self.values.get(name)
        if type(value) is dict:
            value = [value]
        if type(value) is not list:
            if not is_absent(value):
                self.note(name)
            return []
        found = []
        for index, entry in enumerate(value[:MAX_ENTRIES]):
            if type(entry) is dict:
                found.append(Fields(entry, f"{self.path}.{name}[{index}]", self.noted))
            elif not is_absent(entry):
                self.note(f"{name}[{index}]")
        return found

    def text(self, name: str, *, limit: int = MAX_TEXT_LENGTH) -> str | None:
        """Text without white space around it, cut at `limit`.

        Line breaks and control characters become spaces, invisible ones go, and letters are composed (NFC).
        """
        text = self._clean(name)
        return None if text is None else self._cut(name, text, limit)

    def name(self, name: str, *, limit: int = MAX_TEXT_LENGTH) -> str | None:
        """Text as `text` gives it, normalised by `normalise_name` before it is cut."""
        text = self._clean(name)
        return None if text is None else self._cut(name, normalise_name(text), limit)

    def text_and_name(self, name: str) -> tuple[str | None, str | None]:
        """Both readings of one field: as `text` gives it, and as `name` does."""
        text = self._clean(name)
        if text is None:
            return None, None
        return self._cut(name, text, MAX_TEXT_LENGTH), self._cut(name, normalise_name(text), MAX_TEXT_LENGTH)

    def length(self, name: str) -> int:
        """Characters of a text that is not kept; 0 when absent."""
        value = self.values.get(name)
        if type(value) is str:
            return len(value)
        if value is not None:
            self.note(name)
        return 0

    def code(self, name: str) -> int | None:
        """Read an integer code of 0 to 9999; whether it is on its list is for the suite to judge."""
        value = self.values.get(name)
        if value is None:
            return None
        if type(value) is str and len(value) < 5 and value.isascii() and value.isdigit():
            return int(value)
        if is_absent(value):
            return None
        number = read_number(value)
        if number is None or not number.is_integer() or not 0 <= number <= _MAX_CODE:
            self.note(name)
            return None
        return int(number)

    def number(self, name: str) -> float | None:
        """Read a decimal number."""
        value = self.values.get(name)
        if is_absent(value):
            return None
        number = read_number(value)
        if number is None:
            self.note(name)
        return number

    def yes_no(self, name: str) -> bool | None:
        """Read 1 or true as True, 2 or false as False."""
        value = self.values.get(name)
        if value is None:
            return None
        if type(value) is bool:
            return value
        code = self.code(name)
        if code is None:
            return None
        if code not in (1, 2):
            self.note(name)
            return None
        return code == 1

    def date(self, name: str) -> DateRead | None:
        """Read a date by the format code in the field of the same name with `format` at its end."""
        value = self.values.get(name)
        if is_absent(value):
            return None
        date_format = self.values.get(f"{name}format")
        read = None
        if type(value) is str or type(value) is int:
            read = read_date(str(value).strip(), None if is_absent(date_format) else str(date_format).strip())
        if read is None:
            self.note(name)
        return read

    def unknown(self, known: AbstractSet[str]) -> int:
        """Count the fields that are not `known`."""
        return 0 if self.values.keys() <= known else len(self.values.keys() - known)

    def _clean(self, name: str) -> str | None:
        value = self.values.get(name)
        if value is None:
            return None
        if type(value) is int:
            value = str(value)
        elif type(value) is not str:
            self.note(name)
            return None
        if not value.isprintable():
            value = _BREAKS.sub(" ", value)
            plain = _INVISIBLE.sub("", _CONTROLS.sub(" ", value))
            if plain != value:
                self.note_altered(name)
                value = plain
        if not value.isascii():
            value = unicodedata.normalize("NFC", value)
        return value.strip() or None

    def _cut(self, name: str, text: str, limit: int) -> str:
        if len(text) * 2 <= limit:  # Fits even if every character takes two code units.
            return text
        units = text.encode("utf-16-le")
        if len(units) <= limit * 2:
            return text
        self.note_altered(name)
        return units[: limit * 2].decode("utf-16-le", errors="ignore").rstrip()


_NO_FIELDS = Fields({}, "", Noted())
