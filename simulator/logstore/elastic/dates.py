"""Dates as Elasticsearch spells them: text, numbers, date math; and zones of time.

Source: assumed: BLS names the calls of Elasticsearch without repeating its formats, so these are
Elasticsearch's own (https://www.elastic.co/guide/en/elasticsearch/reference, date math).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from simulator.logstore.elastic.date_formats import compile_format
from simulator.logstore.elastic.document import Node
from simulator.logstore.typed import MAX_MS, MIN_MS

MAX_FORMAT: Final = 100
"""Characters of a format. Source: assumed (a bound against abuse)."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DATE: Final = re.compile(
    r"(?P<y>\d{4})(-(?P<mo>\d\d)(-(?P<d>\d\d)"
    r"([T ]((?P<h>\d\d)(:(?P<mi>\d\d)(:(?P<s>\d\d)([.,](?P<f>\d{1,9}))?)?)?)?)?)?)?"
    r"(?P<zone>Z|[+-]\d\d(:?\d\d)?)?",
    re.ASCII,
)
_NUMBER: Final = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_STEP: Final = re.compile(
    r"(?P<sign>[+-])(?P<count>\d{0,6})(?P<unit>[yMwdhHms])|/(?P<round>[yMwdhHms])"
)
_OFFSET: Final = re.compile(r"([+-])(\d\d):?(\d\d)", re.ASCII)
_UNITS: Final = {
    "y": "year",
    "M": "month",
    "w": "week",
    "d": "day",
    "h": "hour",
    "H": "hour",
    "m": "minute",
    "s": "second",
}
_LENGTHS: Final = {
    "week": timedelta(weeks=1),
    "day": timedelta(days=1),
    "hour": timedelta(hours=1),
    "minute": timedelta(minutes=1),
    "second": timedelta(seconds=1),
}
_MILLIS: Final = frozenset({"epoch_millis"})
_SECONDS: Final = frozenset({"epoch_second"})
_ISO: Final = frozenset(
    {
        "strict_date_optional_time",
        "strict_date_optional_time_nanos",
        "date_optional_time",
        "strict_date_time",
        "date_time",
        "iso8601",
    }
)


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone of time."""

    name: str
    """Of the IANA database; empty for a fixed offset."""
    rules: tzinfo

    @property
    def offset_ms(self) -> int:
        """How far a zone without a name is ahead of UTC."""
        ahead = self.rules.utcoffset(None)
        return 0 if ahead is None else round(ahead.total_seconds() * 1000)


ZONE_UTC: Final = Zone("", UTC)


def parse_zone(node: Node) -> Zone:
    """A zone such as ``Asia/Shanghai`` or ``+08:00``."""
    text = node.text()
    if text.upper() in {"UTC", "Z", "GMT"}:
        return ZONE_UTC
    offset = _OFFSET.fullmatch(text)
    if offset is not None:
        sign, hours, minutes = offset.groups()
        ahead = timedelta(hours=int(hours), minutes=int(minutes))
        if ahead > timedelta(hours=18):
            raise node.refuse("expected an offset of at most 18 hours")
        return Zone("", timezone(-ahead if sign == "-" else ahead))
    try:
        return Zone(text, ZoneInfo(text))
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise node.refuse("expected a zone such as Asia/Shanghai or +08:00") from error


def parse_formats(node: Node | None) -> tuple[str, ...]:
    """The formats that ``||`` separates; none without a node."""
    if node is None:
        return ()
    formats = tuple(node.text().split("||"))
    known = _MILLIS | _SECONDS | _ISO
    for one in formats:
        if one not in known and (len(one) > MAX_FORMAT or compile_format(one) is None):
            raise node.refuse(
                f"found {one[:40]!r}, expected a format such as yyyy-MM-dd HH:mm, or one of"
                f" {', '.join(sorted(known))}"
            )
    return formats


def encode_date(at_ms: int, formats: Sequence[str] = (), zone: Zone = ZONE_UTC) -> str:
    """An instant in the first of ``formats``; ISO 8601 with milliseconds without one."""
    if formats and formats[0] in _MILLIS:
        return str(at_ms)
    if formats and formats[0] in _SECONDS:
        return str(at_ms // 1000)
    if formats and formats[0] not in _ISO:
        format_ = compile_format(formats[0])
        assert format_ is not None  # it was looked at when it was parsed
        return format_.write(in_zone(at_ms, zone))
    text = in_zone(at_ms, zone).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def in_zone(at_ms: int, zone: Zone) -> datetime:
    """What calendar and clock of a zone show at an instant; clamped to the years 2 to 9998."""
    day = 86_400_000 * 366
    clamped = min(max(at_ms, MIN_MS + day), MAX_MS - day)
    return (_EPOCH + timedelta(milliseconds=clamped)).astimezone(zone.rules)


def to_ms(moment: datetime) -> int:
    """An instant as epoch milliseconds."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def parse_date(
    node: Node,
    *,
    now_ms: int,
    zone: Zone = ZONE_UTC,
    formats: Sequence[str] = (),
    round_up: bool = False,
) -> int:
    """A date as epoch milliseconds.

    Args:
        node: a number of milliseconds, an ISO 8601 text of any length from the year on, or date
            math: ``now-15m``, ``now/d``, ``2026-03-01||+1M/d``.
        now_ms: what ``now`` is.
        zone: of a text without one, and of rounding.
        formats: as given beside it; ``epoch_second`` decides what a number is.
        round_up: what is missing or rounded away is taken to its end: the last millisecond.
    """
    value = node.value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _checked(node, value * (1000 if _in_seconds(formats) else 1))
    text = node.text()
    number = _NUMBER.fullmatch(text) and (len(text) != 4 or not _ISO.issuperset(formats))
    if number and _in_formats(text, formats) is None:
        return _checked(node, int(text) * (1000 if _in_seconds(formats) else 1))
    try:
        moment = _moment(node, text, now_ms, zone, formats, round_up=round_up)
        return _checked(node, to_ms(moment))
    except (ValueError, OverflowError) as error:
        raise node.refuse("expected a date from the year 1 to 9999") from error


def _moment(
    node: Node, text: str, now_ms: int, zone: Zone, formats: Sequence[str], *, round_up: bool
) -> datetime:
    if text.startswith("now"):
        base, steps = in_zone(now_ms, zone), text[3:]
        unit = ""
    else:
        date, _, steps = text.partition("||")
        base, unit = _written_date(node, date, zone, formats)
    if unit and round_up:
        base = add_units(base, unit, 1) - timedelta(milliseconds=1)
    position = 0
    while position < len(steps):
        step = _STEP.match(steps, position)
        if step is None:
            raise node.refuse(
                f"found {steps[position : position + 20]!r}, expected a step such as -15m or /d"
            )
        if step["round"]:
            unit = _UNITS[step["round"]]
            base = floor_unit(base, unit)
            if round_up:
                base = add_units(base, unit, 1) - timedelta(milliseconds=1)
        else:
            count = int(step["count"] or 1) * (-1 if step["sign"] == "-" else 1)
            base = add_units(base, _UNITS[step["unit"]], count)
        position = step.end()
    return base


def _written_date(
    node: Node, text: str, zone: Zone, formats: Sequence[str]
) -> tuple[datetime, str]:
    """The beginning of what a text names, and how long that is; no unit for a millisecond."""
    parts = _in_formats(text, formats)
    if parts is None:
        found = _DATE.fullmatch(text)
        if found is None:
            raise node.refuse("expected a date such as 2026-03-01T08:00:00Z, or date math on now")
        parts = found.groupdict()
    written = {name: part for name, part in parts.items() if part is not None}
    rules = _written_zone(written["zone"]) if "zone" in written else zone.rules
    moment = datetime(
        int(written.get("y", "1970")),
        int(written.get("mo", "1")),
        int(written.get("d", "1")),
        int(written.get("h", "0")),
        int(written.get("mi", "0")),
        int(written.get("s", "0")),
        int(written.get("f", "0").ljust(6, "0")[:6]),
        tzinfo=rules,
    )
    units = {"f": "", "s": "second", "mi": "minute", "h": "hour", "d": "day", "mo": "month"}
    return moment, next((unit for part, unit in units.items() if part in written), "year")


def _in_formats(text: str, formats: Sequence[str]) -> dict[str, str] | None:
    """The parts of a date that a text has in one of the formats in letters."""
    for one in formats:
        format_ = None if one in _MILLIS | _SECONDS | _ISO else compile_format(one)
        found = None if format_ is None else format_.match(text.partition("||")[0])
        if found is not None:
            return found
    return None


def _written_zone(text: str) -> tzinfo:
    if text == "Z":
        return UTC
    ahead = timedelta(hours=int(text[1:3]), minutes=int(text[3:].lstrip(":") or 0))
    return timezone(-ahead if text[0] == "-" else ahead)


def floor_unit(moment: datetime, unit: str) -> datetime:
    """The beginning of the calendar unit that ``moment`` is in; weeks begin on Monday."""
    minute = moment.replace(second=0, microsecond=0)
    day = minute.replace(hour=0, minute=0)
    match unit:
        case "second":
            return moment.replace(microsecond=0)
        case "minute":
            return minute
        case "hour":
            return minute.replace(minute=0)
        case "week":
            return day - timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)
        case "quarter":
            return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
        case "year":
            return day.replace(month=1, day=1)
        case _:
            return day


def add_units(moment: datetime, unit: str, count: int) -> datetime:
    """``moment`` some calendar units later; the last day of a month that is too short.

    Raises:
        ValueError, OverflowError: it is beyond the years 1 to 9999.
    """
    length = _LENGTHS.get(unit)
    if length is not None:
        return moment + length * count
    months = {"month": 1, "quarter": 3, "year": 12}[unit] * count
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    following = moment.replace(year=year + month // 11, month=(month + 1) % 12 + 1, day=1)
    last = (following - timedelta(days=1)).day
    return moment.replace(year=year, month=month + 1, day=min(moment.day, last))


def _in_seconds(formats: Sequence[str]) -> bool:
    return not _SECONDS.isdisjoint(formats)


def _checked(node: Node, at_ms: float) -> int:
    if not MIN_MS <= at_ms <= MAX_MS:
        raise node.refuse("expected a date from the year 1 to 9999")
    return int(at_ms)
