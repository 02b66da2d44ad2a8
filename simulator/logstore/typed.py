"""Typed pieces of a rebuilt statement: the SQL text, its kind, and the text values it is bound to.

A caller's text never becomes part of a statement: words and names travel as parameters, numbers
are printed anew from their value, columns have opaque names.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, assert_never

from simulator.errors import ControlError, ParameterError
from simulator.logstore.widths import UNKNOWN, Width


class Kind(StrEnum):
    """What the values of an expression are."""

    INT = "int"
    FLOAT = "float"
    STRING = "string"
    BOOL = "bool"
    TIME = "time"
    MIXED = "mixed"
    """Text that is often a number, such as ``0.004`` beside ``0.000, 0.004``."""
    ARRAY = "array"
    MAP = "map"
    SKETCH = "sketch"
    """A set that only its size can be asked of."""
    NULL = "null"


NUMERIC: Final = frozenset({Kind.INT, Kind.FLOAT})
TEXTUAL: Final = frozenset({Kind.STRING, Kind.MIXED})
WHOLE: Final = frozenset({Kind.INT, Kind.BOOL, Kind.TIME})
"""What counts, or can be counted with, in 64 bits."""
NESTED: Final = frozenset({Kind.ARRAY, Kind.MAP})
_TYPES: Final = {Kind.INT: "BIGINT", Kind.FLOAT: "DOUBLE", Kind.BOOL: "BOOLEAN"}
LOCAL_HOURS: Final = 8
"""The service reads and renders local time in Asia/Shanghai, which has no summer time."""
LOCAL_AHEAD: Final = timedelta(hours=LOCAL_HOURS)
"""Of UTC."""
MAX_WRITTEN: Final = 262_144
"""Characters of SQL that one expression may become. Source: assumed (a bound against abuse)."""
MIN_MS: Final = -62_135_596_800_000
MAX_MS: Final = 253_402_300_799_999
"""The years 1 to 9999, in epoch milliseconds."""
_SHORT: Final = 60
"""Characters of SQL that are not made longer when they are written several times."""
_NUMBER: Final = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?\s*", re.ASCII | re.IGNORECASE)
_PLACEHOLDER: Final = re.compile(r"\$(t\d+)")


class TimeStyle(StrEnum):
    """How an instant is written out; the value is the format.

    Source: doc https://cloud.baidu.com/doc/BLS/s/xk5cc9piu, examples of ``now``, ``date_trunc``
    and ``date_add``.
    """

    UTC = "%Y-%m-%dT%H:%M:%SZ"
    LOCAL = "%Y-%m-%dT%H:%M:%S"
    LOCAL_MS = "%Y-%m-%d %H:%M:%S.%g"

    @property
    def ahead(self) -> timedelta:
        """How far the clock it shows is ahead of UTC."""
        return timedelta() if self is TimeStyle.UTC else LOCAL_AHEAD


def encode_time(instant: datetime, style: TimeStyle) -> str | None:
    """An instant, which is naive and in UTC, written out; None where no clock shows it."""
    try:
        shown = instant + style.ahead
    except OverflowError:  # the year is 10000 at +08:00
        return None
    match style:
        case TimeStyle.UTC:
            return f"{shown.isoformat(timespec='seconds')}Z"
        case TimeStyle.LOCAL:
            return shown.isoformat(timespec="seconds")
        case TimeStyle.LOCAL_MS:
            return shown.isoformat(sep=" ", timespec="milliseconds")
    assert_never(style)


@dataclass(frozen=True, slots=True)
class Typed:
    """An expression in DuckDB's SQL and the kind of its values."""

    sql: str
    kind: Kind
    items: Kind = Kind.NULL
    """Of the elements of an array, or the values of a map."""
    keys: Kind = Kind.NULL
    """Of the keys of a map."""
    style: TimeStyle = TimeStyle.UTC
    """How an instant is shown; the expression itself is always in UTC."""
    width: Width = UNKNOWN
    """Bytes of one value; none where nobody has said."""
    cost: float = 0.0
    """Bytes that computing it for one row takes, with all values on the way."""
    is_constant: bool = False
    """Whether it has the same value for all rows, which is computed once."""
    is_of_groups: bool = False
    """Whether it is made of what aggregates give."""


class Bindings:
    """The text values of one statement, each once, under opaque names."""

    def __init__(self) -> None:
        self._values: dict[str, object] = {}
        self._names: dict[str, str] = {}

    def text(self, value: str) -> str:
        """A placeholder for ``value``; the same one for the same value."""
        name = self._names.get(value)
        if name is None:
            name = self._names[value] = f"t{len(self._names)}"
            self._values[name] = value
        return f"${name}"

    def used_in(self, sql: str) -> dict[str, object]:
        """The values that ``sql`` has placeholders for; DuckDB takes no others."""
        return {name: self._values[name] for name in _PLACEHOLDER.findall(sql)}


def invalid_query(message: str, at: int | None = None) -> ControlError:
    """The error for a statement that cannot be used.

    Args:
        message: what was found and what was expected.
        at: 0-based position in the statement, if known; the message counts from 1.
    """
    where = "" if at is None else f" at character {at + 1}"
    return ParameterError("query", f"{where}: {message}")


def encode_number(value: float) -> str:
    """A number as DuckDB reads it; whole numbers beyond 64 bits become floating."""
    if isinstance(value, int) and -(2**63) < value < 2**63:
        return str(value)
    number = float(value)
    if not math.isfinite(number):
        raise OverflowError(value)
    return repr(number)


def parse_number(text: str) -> int | float:
    """The value of a numeric literal.

    Raises:
        ValueError: it is not one, or is beyond every number.
    """
    if not _NUMBER.fullmatch(text):  # Python also takes `1_000`, and the digits of any script
        raise ValueError(text)
    try:
        return int(text)
    except ValueError:
        value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def as_number(value: Typed) -> str:
    """SQL for ``value`` as a number; NULL where it is none."""
    match value.kind:
        case Kind.INT | Kind.FLOAT:
            return value.sql
        case Kind.STRING | Kind.MIXED:
            return number_in(value.sql)
        case Kind.BOOL:
            return f"CAST({value.sql} AS BIGINT)"
        case Kind.TIME:
            return f"epoch_ms({value.sql})"
        case _:
            return "CAST(NULL AS DOUBLE)"


def number_in(text: str) -> str:
    """SQL for the number that ``text``, which is SQL, is; NULL where it is none.

    DuckDB also takes ``nan``, ``inf`` and ``1_000`` for numbers.
    """
    if len(text) > _SHORT:
        return f"TRY_CAST(translate({text}, '_nN', 'xxx') AS DOUBLE)"
    number = f"TRY_CAST({text} AS DOUBLE)"
    return f"CASE WHEN isfinite({number}) AND NOT contains({text}, '_') THEN {number} END"


def whole_in(text: str) -> str:
    """SQL for the whole number that ``text``, which is SQL, is when rounded; NULL where it is none.

    Not by way of a floating number, which has 53 bits. DuckDB also takes ``0x1f``, ``0b11`` and
    ``1_000``.
    """
    if len(text) > _SHORT:
        return f"TRY_CAST(translate({text}, '_xXbB', 'zzzzz') AS BIGINT)"
    whole = f"TRY_CAST({text} AS BIGINT)"
    plain = f"TRY_CAST({text} AS DOUBLE) IS NOT NULL AND NOT contains({text}, '_')"
    return f"CASE WHEN {plain} THEN {whole} END"


def finite(number: str) -> str:
    """SQL for a floating number; NULL where it is infinite or none, as the logarithm of 0 is."""
    for other in ("nan", "infinity", "-infinity"):
        number = f"nullif({number}, '{other}'::DOUBLE)"
    return number


def as_whole(value: Typed) -> str:
    """SQL for ``value`` as a whole number, rounded away from zero; NULL where it is none."""
    match value.kind:
        case Kind.INT:
            return value.sql
        case Kind.STRING | Kind.MIXED:
            return whole_in(value.sql)
        case Kind.FLOAT:
            # DuckDB rounds a double to the even number.
            return f"TRY_CAST(round({value.sql}) AS BIGINT)"
        case _:
            return f"TRY_CAST({as_number(value)} AS BIGINT)"


def as_huge(value: Typed) -> str:
    """SQL for ``value``, which is one of ``WHOLE``, in more bits than a result of it can need.

    NULL where it is beyond 64 bits itself, as a sum can be.
    """
    if value.sql.isdecimal():
        return f"CAST({value.sql} AS HUGEINT)"
    return f"CAST(TRY_CAST({as_number(value)} AS BIGINT) AS HUGEINT)"


def fitting(sql: str) -> str:
    """SQL for what was computed ``as_huge``; NULL where it is beyond 64 bits.

    Source: assumed (MySQL and Presto give an error, and how much of a statement that ends depends
    on the order in which rows are looked at; the doc gives NULL for what cannot be compared).
    """
    return f"TRY_CAST({sql} AS BIGINT)"


def as_double(value: Typed) -> str:
    """SQL for ``value`` as a floating number; NULL where it is none."""
    return value.sql if value.kind is Kind.FLOAT else f"CAST({as_number(value)} AS DOUBLE)"


def as_text(value: Typed) -> str:
    """SQL for ``value`` as text; arrays and maps as JSON."""
    if value.kind in TEXTUAL:
        return value.sql
    match value.kind:
        case Kind.TIME:
            return f"strftime({clock_of(value)}, '{value.style}')"
        case Kind.ARRAY | Kind.MAP:
            return f"CAST(to_json({value.sql}) AS VARCHAR)"
        case Kind.SKETCH:
            return "CAST(NULL AS VARCHAR)"
        case _:
            return f"CAST({value.sql} AS VARCHAR)"


def clock_of(value: Typed) -> str:
    """SQL for what a clock shows at the instant ``value``, in the zone it is shown in."""
    if value.style is TimeStyle.UTC:
        return value.sql
    return f"({value.sql} + INTERVAL {LOCAL_HOURS} HOUR)"


def as_bool(value: Typed) -> str:
    """SQL for ``value`` as a condition; NULL when it is none.

    Source: doc https://cloud.baidu.com/doc/BLS/s/xk5cc9piu: AND, OR and NOT of anything that is
    not a boolean give NULL.
    """
    return value.sql if value.kind is Kind.BOOL else "CAST(NULL AS BOOLEAN)"


def certain(condition: str) -> str:
    """SQL for a condition that is false where it would be NULL."""
    return f"coalesce({condition}, FALSE)"


def common_kind(values: Sequence[Typed | None]) -> Kind:
    """The kind that holds the values of a field of several LogStores; None is one without it.

    Source: assumed: as within a LogStore whose records differ.
    """
    kinds = {value.kind for value in values if value is not None}
    if len(kinds) == 1:
        return kinds.pop()
    return Kind.FLOAT if kinds and kinds <= NUMERIC else Kind.MIXED


def as_kind(value: Typed | None, kind: Kind) -> str:
    """SQL for ``value`` as what ``common_kind`` has found."""
    if value is None:
        return f"CAST(NULL AS {_TYPES.get(kind, 'VARCHAR')})"
    if value.kind is kind:
        return value.sql
    return as_number(value) if kind is Kind.FLOAT else as_text(value)


def as_time(value: Typed) -> str:
    """SQL for ``value`` as a UTC timestamp: whole numbers are epoch milliseconds.

    NULL outside of the years 1 to 9999. Source: doc
    https://cloud.baidu.com/doc/BLS/s/xk5cc9piu for numbers, and for text in ISO 8601, which
    without a zone is local; the bounds are assumed.
    """
    match value.kind:
        case Kind.TIME:
            return value.sql
        case Kind.INT if "(" in value.sql:  # a sum has more bits, a number of elements no sign
            return _instant(f"TRY_CAST({value.sql} AS BIGINT)")
        case Kind.INT | Kind.FLOAT | Kind.MIXED:
            return _instant(as_whole(value))
        case Kind.STRING:
            return _instant(f"epoch_ms(timezone('UTC', TRY_CAST({value.sql} AS TIMESTAMPTZ)))")
        case _:
            return "CAST(NULL AS TIMESTAMP)"


def _instant(milliseconds: str) -> str:
    # The clamp of what is no year of four digits cannot be told from its neighbours: NULL instead.
    clamped = f"greatest(least({milliseconds}, {MAX_MS + 1}), {MIN_MS - 1})"
    return f"nullif(nullif(epoch_ms({clamped}), epoch_ms({MAX_MS + 1})), epoch_ms({MIN_MS - 1}))"
