"""The functions of the SQL part: one table of name, number of arguments, and how it is written.

A function that is not in the table is refused by name. Source: doc
https://cloud.baidu.com/doc/BLS/s/xk5cc9piu unless a function says otherwise.
"""

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from simulator.errors import ControlError
from simulator.logstore.typed import (
    NUMERIC,
    TEXTUAL,
    Bindings,
    Kind,
    Typed,
    as_number,
    as_text,
    as_time,
    invalid_query,
    parse_json_path,
)

BUCKET_UNITS: Final = frozenset({"second", "minute", "hour", "day", "week", "month"})
TRUNCATION_UNITS: Final = BUCKET_UNITS | {"quarter", "year"}
LOCAL_ZONE_HOURS: Final = 8
"""The service renders local text in Asia/Shanghai, which has no summer time."""
MAX_INTERVAL: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """One argument of a call."""

    typed: Typed | None
    """None for ``*`` and for intervals."""
    literal: str | int | float | None = None
    """Its value, when it is written out."""
    interval: tuple[int, str] | None = None
    """Count and unit, when it is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call of a function as it was found."""

    name: str
    arguments: Sequence[Argument]
    distinct: bool
    at: int | None
    """0-based position in the query."""
    bindings: Bindings

    def value(self, index: int) -> Typed:
        """The expression at ``index``."""
        typed = self.arguments[index].typed
        if typed is None:
            raise self.refuse(f"argument {index + 1} must be an expression")
        return typed

    def values(self) -> list[Typed]:
        """All arguments as expressions."""
        return [self.value(index) for index in range(len(self.arguments))]

    def literal_text(self, index: int) -> str:
        """The text written out at ``index``."""
        literal = self.arguments[index].literal
        if not isinstance(literal, str):
            raise self.refuse(f"argument {index + 1} must be a quoted text")
        return literal

    def literal_number(self, index: int) -> int | float:
        """The number written out at ``index``."""
        literal = self.arguments[index].literal
        if literal is None or isinstance(literal, str):
            raise self.refuse(f"argument {index + 1} must be a number")
        return literal

    def refuse(self, message: str) -> ControlError:
        """The error that says what is wrong with this call."""
        return invalid_query(f"{self.name}: {message}", self.at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A row of the table."""

    least: int
    most: int | None
    """Arguments; None for any number."""
    write: Callable[[Call], Typed]
    aggregate: bool = False


def unify(values: Sequence[Typed]) -> tuple[list[str], Kind]:
    """SQL for ``values`` in the one kind that holds them all, and that kind."""
    kinds = {value.kind for value in values} - {Kind.NULL}
    if not kinds:
        return [value.sql for value in values], Kind.NULL
    if kinds <= NUMERIC:
        kind = Kind.FLOAT if Kind.FLOAT in kinds else Kind.INT
        return [_null_or(value, as_number) for value in values], kind
    if len(kinds) == 1 and (kind := next(iter(kinds))) not in TEXTUAL:
        return [value.sql for value in values], kind
    kind = Kind.MIXED if Kind.MIXED in kinds else Kind.STRING
    return [_null_or(value, as_text) for value in values], kind


def _null_or(value: Typed, convert: Callable[[Typed], str]) -> str:
    return "NULL" if value.kind is Kind.NULL else convert(value)


def _count(call: Call) -> Typed:
    if not call.arguments or call.arguments[0].typed is None:
        if call.distinct or (call.arguments and call.arguments[0].interval):
            raise call.refuse("expected `*` or an expression")
        return Typed("count(*)", Kind.INT)
    return Typed(f"count({_distinct(call)}{call.value(0).sql})", Kind.INT)


def _sum(call: Call) -> Typed:
    value = call.value(0)
    kind = Kind.INT if value.kind in {Kind.INT, Kind.BOOL} else Kind.FLOAT
    return Typed(f"sum({_distinct(call)}{as_number(value)})", kind)


def _avg(call: Call) -> Typed:
    return Typed(f"avg({_distinct(call)}{as_number(call.value(0))})", Kind.FLOAT)


def _extreme(call: Call) -> Typed:
    value = call.value(0)
    if value.kind is Kind.MIXED:
        value = Typed(as_number(value), Kind.FLOAT)
    return Typed(f"{call.name}({value.sql})", value.kind)


def _approx_percentile(call: Call) -> Typed:
    share = call.literal_number(1)
    if not 0 <= share <= 1:
        raise call.refuse("the second argument must be from 0 to 1")
    number = f"CAST({as_number(call.value(0))} AS DOUBLE)"
    return Typed(f"approx_quantile({number}, {float(share)!r})", Kind.FLOAT)


def _histogram(call: Call) -> Typed:
    """Buckets in UTC, from the epoch; weeks begin on Monday (assumed)."""
    interval = call.arguments[1].interval
    if interval is None:
        raise call.refuse("the second argument must be an interval such as `interval 1 hour`")
    count, unit = interval
    if unit not in BUCKET_UNITS or not 1 <= count <= MAX_INTERVAL:
        raise call.refuse(f"expected an interval of 1 or more of {_one_of(BUCKET_UNITS)}")
    start = "1969-12-29" if unit == "week" else "1970-01-01"
    bucket = f"time_bucket(INTERVAL '{count} {unit}', {as_time(call.value(0))}"
    return Typed(f"{bucket}, TIMESTAMP '{start}')", Kind.TIME)


def _date_trunc(call: Call) -> Typed:
    unit = call.literal_text(0).lower()
    if unit not in TRUNCATION_UNITS:
        raise call.refuse(f"the first argument must be one of {_one_of(TRUNCATION_UNITS)}")
    instant = f"CAST({as_time(call.value(1))} AS TIMESTAMP)"
    return Typed(f"CAST(date_trunc('{unit}', {instant}) AS TIMESTAMP)", Kind.TIME)


def _from_unixtime(call: Call) -> Typed:
    milliseconds = f"TRY_CAST({as_number(call.value(0))} * 1000 AS BIGINT)"
    local = f"epoch_ms({milliseconds}) + INTERVAL {LOCAL_ZONE_HOURS} HOUR"
    return Typed(f"strftime({local}, '%Y-%m-%d %H:%M:%S')", Kind.STRING)


def _json_extract_scalar(call: Call) -> Typed:
    path = call.literal_text(1)
    try:
        pointer = call.bindings.text(parse_json_path(path))
    except ValueError as error:
        raise call.refuse("expected a path to one place, such as '$.a.b[0]'") from error
    document = as_text(call.value(0))
    kind = f"TRY(json_type({document}, {pointer}))"
    scalar = f"TRY(json_extract_string({document}, {pointer}))"
    return Typed(f"CASE WHEN {kind} NOT IN ('OBJECT', 'ARRAY') THEN {scalar} END", Kind.MIXED)


def _coalesce(call: Call) -> Typed:
    parts, kind = unify(call.values())
    return Typed(f"coalesce({', '.join(parts)})", kind)


def _nullif(call: Call) -> Typed:
    one, other = call.values()
    (left, right), _ = unify((one, other))
    return Typed(f"CASE WHEN {left} = {right} THEN NULL ELSE {one.sql} END", one.kind)


def _round(call: Call) -> Typed:
    digits = int(call.literal_number(1)) if len(call.arguments) > 1 else 0
    if not -15 <= digits <= 15:
        raise call.refuse("the second argument must be from -15 to 15")
    value = call.value(0)
    if value.kind is Kind.INT and digits >= 0:
        return value
    return Typed(f"round({as_number(value)}, {digits})", Kind.FLOAT)


def _text(template: str, kind: Kind = Kind.STRING) -> Callable[[Call], Typed]:
    """A function whose arguments are all texts, put into ``template`` in order."""

    def write(call: Call) -> Typed:
        return Typed(template.format(*(as_text(value) for value in call.values())), kind)

    return write


def _concat(call: Call) -> Typed:
    """Null if any argument is null, as in MySQL (assumed)."""
    return Typed("(" + " || ".join(as_text(value) for value in call.values()) + ")", Kind.STRING)


def _substring(call: Call) -> Typed:
    """From 1; negative from the end; nothing from 0 (assumed)."""
    numbers = [f"TRY_CAST({as_number(value)} AS INTEGER)" for value in call.values()[1:]]
    arguments = ", ".join((as_text(call.value(0)), *numbers))
    return Typed(f"CASE WHEN {numbers[0]} = 0 THEN '' ELSE substring({arguments}) END", Kind.STRING)


def _distinct(call: Call) -> str:
    return "DISTINCT " if call.distinct else ""


def _one_of(units: frozenset[str]) -> str:
    return ", ".join(sorted(units))


def _aggregate(least: int, most: int, write: Callable[[Call], Typed]) -> Function:
    return Function(least=least, most=most, write=write, aggregate=True)


def _scalar(least: int, most: int | None, write: Callable[[Call], Typed]) -> Function:
    return Function(least=least, most=most, write=write)


BARE_FUNCTIONS: Final = frozenset(
    {"current_date", "current_timestamp", "current_timezone", "localtime"}
)
"""Functions of the service that are called without parentheses; none is simulated."""
DISTINCT_AGGREGATES: Final = frozenset({"count", "sum", "avg"})
FUNCTIONS: Final[Mapping[str, Function]] = {
    "approx_percentile": _aggregate(2, 2, _approx_percentile),
    "avg": _aggregate(1, 1, _avg),
    "count": _aggregate(0, 1, _count),
    "max": _aggregate(1, 1, _extreme),
    "min": _aggregate(1, 1, _extreme),
    "sum": _aggregate(1, 1, _sum),
    "coalesce": _scalar(1, None, _coalesce),
    "concat": _scalar(1, None, _concat),
    "date_trunc": _scalar(2, 2, _date_trunc),
    "from_unixtime": _scalar(1, 1, _from_unixtime),
    "histogram": _scalar(2, 2, _histogram),
    "json_extract_scalar": _scalar(2, 2, _json_extract_scalar),
    "length": _scalar(1, 1, _text("length({0})", Kind.INT)),
    "lower": _scalar(1, 1, _text("lower({0})")),
    "ltrim": _scalar(1, 1, _text("ltrim({0})")),
    "nullif": _scalar(2, 2, _nullif),
    "replace": _scalar(3, 3, _text("replace({0}, {1}, {2})")),
    "reverse": _scalar(1, 1, _text("reverse({0})")),
    "round": _scalar(1, 2, _round),
    "rtrim": _scalar(1, 1, _text("rtrim({0})")),
    "strpos": _scalar(2, 2, _text("strpos({0}, {1})", Kind.INT)),
    "substr": _scalar(2, 3, _substring),
    "substring": _scalar(2, 3, _substring),
    "trim": _scalar(1, 1, _text("trim({0})")),
    "upper": _scalar(1, 1, _text("upper({0})")),
}

_INSTEAD: Final[Mapping[str, str]] = {
    "abs": "case when x < 0 then -x else x end",
    "approx_distinct": "count(distinct x)",
    "approx_set": "count(distinct x)",
    "cardinality": "count(distinct x)",
    "ceil": "round",
    "ceiling": "round",
    "char_length": "length",
    "count_if": "sum(if(condition, 1, 0))",
    "countif": "sum(if(condition, 1, 0))",
    "date": "date_trunc('day', t)",
    "date_format": "date_trunc",
    "day": "date_trunc('day', t)",
    "floor": "round",
    "hour": "date_trunc('hour', t)",
    "ifnull": "coalesce",
    "json_extract": "json_extract_scalar",
    "locate": "strpos",
    "median": "approx_percentile(x, 0.5)",
    "minute": "date_trunc('minute', t)",
    "month": "date_trunc('month', t)",
    "percentile": "approx_percentile(x, p)",
    "position": "strpos",
    "quarter": "date_trunc('quarter', t)",
    "regexp_like": "like",
    "time_bucket": "histogram",
    "to_timestamp": "cast(x as timestamp)",
    "year": "date_trunc('year', t)",
}
"""What serves in place of a function that is missing, where its name does not show it."""


def describe_missing(name: str) -> str:
    """That there is no function ``name``, and what there is instead."""
    close = difflib.get_close_matches(name, FUNCTIONS, n=3, cutoff=0.6)
    if name in _INSTEAD:
        close = [_INSTEAD[name]]
    meant = f"did you mean {' or '.join(close)}? " if close else ""
    known = ", ".join(sorted([*FUNCTIONS, "cast", "if"]))
    return f"the function {name[:60]} is not simulated; {meant}simulated are {known}"
