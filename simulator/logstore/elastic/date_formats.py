"""Formats of dates in the letters of Java, such as ``yyyy-MM-dd HH:mm``, and Elasticsearch's names
for some of them.

Source: assumed: https://www.elastic.co/guide/en/elasticsearch/reference (date format).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final

_NAMED: Final = {
    "basic_date": "yyyyMMdd",
    "basic_date_time": "yyyyMMdd'T'HHmmss.SSSXX",
    "basic_date_time_no_millis": "yyyyMMdd'T'HHmmssXX",
    "date": "yyyy-MM-dd",
    "date_hour": "yyyy-MM-dd'T'HH",
    "date_hour_minute": "yyyy-MM-dd'T'HH:mm",
    "date_hour_minute_second": "yyyy-MM-dd'T'HH:mm:ss",
    "date_hour_minute_second_millis": "yyyy-MM-dd'T'HH:mm:ss.SSS",
    "date_time_no_millis": "yyyy-MM-dd'T'HH:mm:ssXXX",
    "hour": "HH",
    "hour_minute": "HH:mm",
    "hour_minute_second": "HH:mm:ss",
    "year": "yyyy",
    "year_month": "yyyy-MM",
    "year_month_day": "yyyy-MM-dd",
}
_PIECES: Final = re.compile(r"'(?P<quoted>[^']*)'|(?P<letters>([A-Za-z])\3*)|(?P<other>[^A-Za-z'])")
_ZONE: Final = r"Z|[+-]\d\d(?::?\d\d)?"


@dataclass(frozen=True, slots=True)
class _Field:
    """What some letters stand for."""

    part: str
    """Of a date: the name of a group that ``DateFormat.match`` finds."""
    pattern: str
    write: Callable[[datetime], str]


def _zone(moment: datetime, colon: str, *, utc: str) -> str:
    text = moment.strftime("%z")
    return utc if text == "+0000" and utc else f"{text[:3]}{colon}{text[3:5]}"


_FIELDS: Final[Mapping[str, _Field]] = {
    "yyyy": _Field("y", r"\d{4}", lambda moment: f"{moment.year:04}"),
    "uuuu": _Field("y", r"\d{4}", lambda moment: f"{moment.year:04}"),
    "MM": _Field("mo", r"\d\d", lambda moment: f"{moment.month:02}"),
    "M": _Field("mo", r"\d\d?", lambda moment: str(moment.month)),
    "dd": _Field("d", r"\d\d", lambda moment: f"{moment.day:02}"),
    "d": _Field("d", r"\d\d?", lambda moment: str(moment.day)),
    "HH": _Field("h", r"\d\d", lambda moment: f"{moment.hour:02}"),
    "H": _Field("h", r"\d\d?", lambda moment: str(moment.hour)),
    "mm": _Field("mi", r"\d\d", lambda moment: f"{moment.minute:02}"),
    "m": _Field("mi", r"\d\d?", lambda moment: str(moment.minute)),
    "ss": _Field("s", r"\d\d", lambda moment: f"{moment.second:02}"),
    "s": _Field("s", r"\d\d?", lambda moment: str(moment.second)),
    "SSS": _Field("f", r"\d{3}", lambda moment: f"{moment.microsecond // 1000:03}"),
    "XXX": _Field("zone", _ZONE, lambda moment: _zone(moment, ":", utc="Z")),
    "XX": _Field("zone", _ZONE, lambda moment: _zone(moment, "", utc="Z")),
    "xxx": _Field("zone", _ZONE, lambda moment: _zone(moment, ":", utc="")),
    "xx": _Field("zone", _ZONE, lambda moment: _zone(moment, "", utc="")),
    "Z": _Field("zone", _ZONE, lambda moment: _zone(moment, "", utc="")),
}


@dataclass(frozen=True, slots=True)
class DateFormat:
    """One format."""

    pattern: re.Pattern[str]
    pieces: tuple[str | _Field, ...]
    """Literal text and fields, in order."""

    def match(self, text: str) -> dict[str, str] | None:
        """The parts of a date that a text has in this format: ``y mo d h mi s f zone``."""
        found = self.pattern.fullmatch(text)
        return None if found is None else found.groupdict()

    def write(self, moment: datetime) -> str:
        """A moment in this format."""
        return "".join(
            piece if isinstance(piece, str) else piece.write(moment) for piece in self.pieces
        )


@lru_cache(maxsize=256)
def compile_format(name: str) -> DateFormat | None:
    """A format by its letters or its name; None for what is none."""
    name = name.removeprefix("strict_")
    letters = _NAMED.get(name, name)
    pieces: list[str | _Field] = []
    pattern = ""
    used: set[str] = set()
    position = 0
    while position < len(letters):
        found = _PIECES.match(letters, position)
        if found is None:
            return None
        position = found.end()
        if found["letters"] is None:
            literal = found["other"] if found["quoted"] is None else found["quoted"] or "'"
            pieces.append(literal)
            pattern += re.escape(literal)
            continue
        field = _FIELDS.get(found["letters"])
        if field is None or field.part in used:
            return None
        used.add(field.part)
        pieces.append(field)
        pattern += f"(?P<{field.part}>{field.pattern})"
    return DateFormat(re.compile(pattern, re.ASCII), tuple(pieces)) if used else None
