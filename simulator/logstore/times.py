"""Functions of dates and times of the SQL part.

An instant is taken apart, and cut off, by the clock of Asia/Shanghai, which is the service's own
time zone. Source: doc https://cloud.baidu.com/doc/BLS/s/xk5cc9piu, whose examples give hour 9 of
``2019-11-07T09:09:16+08:00``, and ``date_trunc`` without a zone.
"""

from collections.abc import Mapping
from typing import Final

from simulator.logstore.calls import DATE_UNITS, Call, Function, Write, scalar
from simulator.logstore.typed import (
    LOCAL_HOURS,
    Kind,
    TimeStyle,
    Typed,
    as_time,
    as_whole,
)

BUCKET_UNITS: Final = ("second", "minute", "hour", "day", "week", "month")
TRUNCATION_UNITS: Final = (*DATE_UNITS, "week", "quarter")
"""Source: doc for those of a date; weeks, from Monday, and quarters assumed."""
MOVING_UNITS: Final = (*DATE_UNITS, "week", "quarter")
"""Of intervals that are added. Source: doc for those of a date; weeks and quarters assumed."""
UNIT_FIRST: Final[Mapping[str, int]] = {"date_add": 3, "date_diff": 3, "date_trunc": 2}
"""Functions whose first argument is a unit, in quotes or not, when there are so many."""
_MULTIPLES: Final = {"week": (7, "day"), "quarter": (3, "month")}
MAX_INTERVAL: Final = 1_000_000
MAX_YEARS: Final = 10_000
ZONE: Final = "Asia/Shanghai"
_BEHIND: Final = f"INTERVAL {LOCAL_HOURS} HOUR"
_SECONDS: Final[Mapping[str, int]] = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}
_PER_YEAR: Final[Mapping[str, int]] = {
    **{unit: 366 * 86_400 // seconds for unit, seconds in _SECONDS.items()},
    "month": 12,
    "year": 1,
}
_INTEGERS: Final = frozenset({"day", "month", "year"})
_PLACEHOLDERS: Final[Mapping[str, str]] = {
    "Y": "%Y", "y": "%y", "m": "%m", "c": "%-m", "d": "%d", "e": "%-d",
    "H": "%H", "k": "%-H", "h": "%I", "I": "%I", "l": "%-I", "i": "%M",
    "s": "%S", "S": "%S", "f": "%f", "p": "%p", "T": "%H:%M:%S", "r": "%I:%M:%S %p",
    "j": "%j", "W": "%A", "a": "%a", "M": "%B", "b": "%b", "w": "%w", "%": "%%",
}  # fmt: skip
"""MySQL's placeholders as DuckDB has them; ``%D`` has no counterpart."""


def _local(call: Call, index: int) -> str:
    """What the service's clock shows at the instant of an argument."""
    return f"({as_time(call.value(index))} + {_BEHIND})"


def _part(part: str) -> Write:
    def write(call: Call) -> Typed:
        return Typed(f"{part}({_local(call, 0)})", Kind.INT)

    return write


def _extract(call: Call) -> Typed:
    """As text, which is what the doc gives for its type."""
    unit = call.unit(0)
    return Typed(f"CAST({unit}({_local(call, 1)}) AS VARCHAR)", Kind.MIXED)


def _now(call: Call) -> Typed:
    return Typed(f"epoch_ms({call.scope.now_ms})", Kind.TIME)


def _now_as(form: str) -> Write:
    def write(call: Call) -> Typed:
        local = f"epoch_ms({call.scope.now_ms + LOCAL_HOURS * 3_600_000})"
        return Typed(f"strftime({local}, '{form}')", Kind.STRING)

    return write


def _as(form: str) -> Write:
    """An instant, in local time, as text."""

    def write(call: Call) -> Typed:
        return Typed(f"strftime({_local(call, 0)}, '{form}')", Kind.STRING)

    return write


def _date_trunc(call: Call) -> Typed:
    unit = call.unit(0, TRUNCATION_UNITS)
    start = f"CAST(date_trunc('{unit}', {_local(call, 1)}) AS TIMESTAMP)"
    return Typed(f"({start} - {_BEHIND})", Kind.TIME, style=TimeStyle.LOCAL)


def _date_add(call: Call) -> Typed:
    """Also in MySQL's order, ``date_add(t, interval n unit)``."""
    if len(call.arguments) == 2:
        if call.arguments[1].interval is None:
            raise call.refuse("expected date_add(unit, n, t) or date_add(t, interval n unit)")
        value = Typed(as_time(call.value(0)), Kind.TIME, style=TimeStyle.LOCAL_MS)
        found = move(value, *call.arguments[1].interval)
        if found is None:
            raise call.refuse(f"expected an interval of {', '.join(MOVING_UNITS)}")
        return found
    unit = call.unit(0)
    moved = moved_by(Typed(as_time(call.value(2)), Kind.TIME), as_whole(call.value(1)), unit)
    return Typed(moved, Kind.TIME, style=TimeStyle.LOCAL_MS)


def moved_by(value: Typed, count: str, unit: str) -> str:
    """SQL for an instant so many units later, by the service's clock.

    NULL outside of the years 1 to 9999.
    """
    most = MAX_YEARS * _PER_YEAR[unit]
    bounded = f"CASE WHEN {count} BETWEEN -{most} AND {most} THEN {count} END"
    width = "DOUBLE" if unit == "second" else "INTEGER" if unit in _INTEGERS else "BIGINT"
    local = f"({as_time(value)} + {_BEHIND} + to_{unit}s(CAST({bounded} AS {width})))"
    return f"CASE WHEN year({local}) BETWEEN 1 AND 9999 THEN {local} - {_BEHIND} END"


def move(value: Typed, count: int, unit: str) -> Typed | None:
    """An instant so many units later; None where ``unit`` is not one of ``MOVING_UNITS``."""
    if unit not in MOVING_UNITS:
        return None
    if unit in _MULTIPLES:
        times, unit = _MULTIPLES[unit]
        count *= times
    return Typed(moved_by(value, str(count), unit), Kind.TIME, style=value.style)


def _date_diff(call: Call) -> Typed:
    """Whole units that have passed; of months and years the difference of the parts."""
    unit = call.unit(0)
    start, end = _local(call, 1), _local(call, 2)
    if unit == "year":
        return Typed(f"(year({end}) - year({start}))", Kind.INT)
    if unit == "month":
        months = f"(year({end}) - year({start})) * 12 + month({end}) - month({start})"
        return Typed(f"({months})", Kind.INT)
    passed = f"(epoch_ms({end}) - epoch_ms({start}))"
    return Typed(f"CAST(trunc({passed} / {_SECONDS[unit] * 1000}) AS BIGINT)", Kind.INT)


def _unix_timestamp(call: Call) -> Typed:
    if not call.arguments:
        return Typed(str(call.scope.now_ms // 1000), Kind.INT)
    instant = as_time(call.value(0)) if len(call.arguments) == 1 else _parsed(call)
    return Typed(f"CAST(floor(epoch_ms({instant}) / 1000) AS BIGINT)", Kind.INT)


_SUFFIXES: Final = "stndrd" + "th" * 17 + "stndrd" + "th" * 7 + "st"
"""Of the days of a month."""


def _from_unixtime(call: Call) -> Typed:
    form = call.literal_text(1) if len(call.arguments) > 1 else "%Y-%m-%d %H:%i:%s"
    seconds = call.value(0)
    milliseconds = Typed(f"TRY_CAST({as_whole(seconds)} * 1000.0 AS BIGINT)", Kind.INT)
    return Typed(_formatted(call, f"({as_time(milliseconds)} + {_BEHIND})", form), Kind.STRING)


def _str_to_date(call: Call) -> Typed:
    return Typed(_parsed(call), Kind.TIME)


def _parsed(call: Call) -> str:
    """The instant at which the service's clock shows the text, read by a format."""
    pieces = _translated(call, call.literal_text(1))
    if len(pieces) > 1:
        raise call.refuse("`%D` can be written but not read")
    return f"(try_strptime({call.text(0)}, {call.bind(pieces[0])}) - {_BEHIND})"


def _formatted(call: Call, local: str, form: str) -> str:
    day = f"day({local})"
    suffix = f"substring('{_SUFFIXES}', 2 * {day} - 1, 2)"
    pieces = [
        f"strftime({local}, {call.bind(piece)})" if piece else "''"
        for piece in _translated(call, form)
    ]
    return "(" + f" || {day} || {suffix} || ".join(pieces) + ")"


def _translated(call: Call, form: str) -> list[str]:
    """The format in DuckDB's terms, in pieces around each ``%D``."""
    pieces = [""]
    position = 0
    while position < len(form):
        character = form[position]
        position += 1
        if character != "%":
            pieces[-1] += character
            continue
        placeholder = form[position : position + 1]
        position += 1
        if placeholder == "D":
            pieces.append("")
        elif placeholder in _PLACEHOLDERS:
            pieces[-1] += _PLACEHOLDERS[placeholder]
        else:
            raise call.refuse(f"the format has no placeholder %{placeholder}")
    return pieces


def bucket(call: Call) -> Typed:
    """``histogram(t, interval)``: buckets in UTC, from the epoch; weeks begin on Monday (assumed).

    Source: doc, which wants the time column in UTC.
    """
    interval = call.arguments[1].interval
    if interval is None:
        raise call.refuse("the second argument must be an interval such as `interval 1 hour`")
    count, unit = interval
    if unit not in BUCKET_UNITS or not 1 <= count <= MAX_INTERVAL:
        raise call.refuse(f"expected an interval of 1 or more of {', '.join(BUCKET_UNITS)}")
    start = "1969-12-29" if unit == "week" else "1970-01-01"
    found = f"time_bucket(INTERVAL '{count} {unit}', {as_time(call.value(0))}"
    return Typed(f"{found}, TIMESTAMP '{start}')", Kind.TIME)


TIMES: Final[Mapping[str, Function]] = {
    "current_date": scalar("current_date", 0, 0, _now_as("%Y-%m-%d")),
    "current_timestamp": scalar("current_timestamp", 0, 0, _now),
    "current_timezone": scalar(
        "current_timezone()", 0, 0, lambda _call: Typed(f"'{ZONE}'", Kind.STRING)
    ),
    "date": scalar("date(t)", 1, 1, _as("%Y-%m-%d")),
    "date_add": scalar("date_add(unit, n, t), date_add(t, interval n unit)", 2, 3, _date_add),
    "date_diff": scalar("date_diff(unit, a, b)", 3, 3, _date_diff),
    "date_trunc": scalar("date_trunc(unit, t)", 2, 2, _date_trunc),
    "day": scalar("day(t)", 1, 1, _part("day")),
    "dayofmonth": scalar("dayofmonth(t)", 1, 1, _part("day")),
    "dayofweek": scalar(
        "dayofweek(t), 1 = Sunday",
        1,
        1,
        lambda call: Typed(f"(dayofweek({_local(call, 0)}) + 1)", Kind.INT),
    ),
    "dayofyear": scalar("dayofyear(t)", 1, 1, _part("dayofyear")),
    "extract": scalar("extract(unit, t), extract(unit from t)", 2, 2, _extract),
    "from_iso8601_date": scalar("from_iso8601_date(s)", 1, 1, _as("%Y-%m-%d")),
    "from_iso8601_timestamp": scalar(
        "from_iso8601_timestamp(s)", 1, 1, _as(f"%Y-%m-%d %H:%M:%S {ZONE}")
    ),
    "from_unixtime": scalar("from_unixtime(seconds[, format])", 1, 2, _from_unixtime),
    "hour": scalar("hour(t)", 1, 1, _part("hour")),
    "localtime": scalar("localtime", 0, 0, _now_as("%H:%M:%S")),
    "minute": scalar("minute(t)", 1, 1, _part("minute")),
    "month": scalar("month(t)", 1, 1, _part("month")),
    "now": scalar("now()", 0, 0, _now),
    "quarter": scalar("quarter(t)", 1, 1, _part("quarter")),
    "second": scalar("second(t)", 1, 1, _part("second")),
    "str_to_date": scalar("str_to_date(s, format)", 2, 2, _str_to_date),
    "unix_timestamp": scalar("unix_timestamp([t[, format]])", 0, 2, _unix_timestamp),
    "weekday": scalar(
        "weekday(t), 0 = Monday",
        1,
        1,
        lambda call: Typed(f"(isodow({_local(call, 0)}) - 1)", Kind.INT),
    ),
    "year": scalar("year(t)", 1, 1, _part("year")),
}
