"""Expressions of the SQL part, each written out and, apart from that, worked out in Python.

A table names the functions with their arguments' kinds and what they mean. Kinds are one letter:
``i`` whole, ``x`` floating, ``s`` text, ``b`` boolean, ``t`` an instant; ``n`` is a small whole
number that is written out, ``w`` a text of one word, ``a`` an IPv4 address, ``c`` a subnet, ``j`` a
JSON text.
"""
# ruff: noqa: E501  # one function a line, its form beside its meaning

import base64
import ipaddress
import json
import math
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, Final, TypeAlias

Row: TypeAlias = Mapping[str, Any]
Value: TypeAlias = Any
LOCAL: Final = timezone(timedelta(hours=8))
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
UNITS: Final = ("second", "minute", "hour", "day", "week", "month", "quarter", "year")


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression in SQL, and its value for a row."""

    sql: str
    value: Callable[[Row], Value]


Scalar: TypeAlias = tuple[str, str, str, Callable[..., Value]]
"""How it is written, the kinds of its arguments, of its result, and its value where no argument is
NULL, which otherwise makes it NULL, but of those with ``?`` before them."""


def whole(value: int) -> int | None:
    """A whole number, as far as it has 64 bits."""
    return value if -(2**63) <= value < 2**63 else None


def rounded(value: float, digits: int = 0) -> float:
    """Halves away from zero."""
    scale = 10.0**digits
    return math.copysign(math.floor(abs(value) * scale + 0.5) / scale, value)


def _remainder(one: int, other: int) -> int | None:
    """With the sign of what is divided."""
    if other == 0:
        return None
    rest = abs(one) % abs(other)
    return -rest if one < 0 else rest


def _substr(text: str, start: int, length: int | None = None) -> str:
    begin = start - 1 if start > 0 else len(text) + start
    if start == 0 or begin < 0:
        return ""
    return text[begin:] if length is None else text[begin : begin + max(length, 0)]


def _pad(text: str, length: int, filling: str, *, left: bool) -> str | None:
    if length < 0 or not filling:
        return None
    if length <= len(text):
        return text[:length]
    more = (filling * length)[: length - len(text)]
    return more + text if left else text + more


def _distance(one: str, other: str) -> int:
    row = list(range(len(other) + 1))
    for at, a in enumerate(one):
        before, row = row, [at + 1]
        for place, b in enumerate(other):
            row.append(min(before[place] + (a != b), before[place + 1] + 1, row[place] + 1))
    return row[-1]


def _capitalize(text: str) -> str:
    return re.sub(r"(^|\s)(\S)", lambda found: found[1] + found[2].upper(), text)


def _like(text: str, pattern: str) -> bool:
    wanted = "".join({"%": ".*", "_": "."}.get(one, re.escape(one)) for one in pattern)
    return re.fullmatch(wanted, text, re.DOTALL) is not None


def _trunc(unit: str, at: datetime) -> datetime:
    local = at.astimezone(LOCAL).replace(microsecond=0)
    if unit == "second":
        return local
    if unit == "minute":
        return local.replace(second=0)
    if unit == "hour":
        return local.replace(minute=0, second=0)
    day = local.replace(hour=0, minute=0, second=0)
    if unit == "day":
        return day
    if unit == "week":
        return day - timedelta(days=day.weekday())
    month = {"month": day.month, "quarter": (day.month - 1) // 3 * 3 + 1, "year": 1}[unit]
    return day.replace(month=month, day=1)


def _add(unit: str, count: int, at: datetime) -> datetime:
    if unit in {"second", "minute", "hour", "day", "week"}:
        return at + timedelta(**{f"{unit}s": count})
    months = count * {"month": 1, "quarter": 3, "year": 12}[unit]
    local = at.astimezone(LOCAL)
    year, month = divmod(local.year * 12 + local.month - 1 + months, 12)
    last = (date(year + month // 11, (month + 1) % 12 + 1, 1) - timedelta(days=1)).day
    return local.replace(year=year, month=month + 1, day=min(local.day, last))


def _diff(unit: str, one: datetime, other: datetime) -> int:
    """Whole units that have passed, of months and years what the clock of +08:00 shows."""
    if unit in {"month", "year"}:
        a, b = (at.astimezone(LOCAL) for at in (one, other))
        return b.year - a.year if unit == "year" else (b.year - a.year) * 12 + b.month - a.month
    step = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}[unit] * 1000
    passed = _ms(other) - _ms(one)
    return int(math.copysign(abs(passed) // step, passed))


def _ms(at: datetime) -> int:
    return (at - EPOCH) // timedelta(milliseconds=1)


def instant(ms: int) -> datetime | None:
    try:
        return EPOCH + timedelta(milliseconds=ms)
    except OverflowError:
        return None


def _histogram(at: datetime, count: int, unit: str) -> datetime:
    step = count * {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}[unit]
    return EPOCH + timedelta(seconds=_ms(at) // 1000 // step * step)


def _local(format: str) -> Callable[[datetime], str]:
    return lambda at: at.astimezone(LOCAL).strftime(format)


def _json(path: list[str | int]) -> Callable[[str], Value]:
    def find(text: str) -> Value:
        try:
            value = json.loads(text)
            for step in path:
                value = value[step]
        except (ValueError, LookupError, TypeError):
            return None
        return value

    return find


def _scalar(value: Value) -> str | None:
    if value is None or isinstance(value, list | dict):
        return None
    return value if isinstance(value, str) else json.dumps(value)


def _text(value: Value) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"))


def _element(text: str, place: int) -> Value:
    return _json([place])(text) if isinstance(_json([])(text), list) else None


def _size(value: Value) -> int:
    return len(value) if isinstance(value, list | dict) else 0


def _subnet(text: str) -> ipaddress.IPv4Network:
    return ipaddress.IPv4Network(text, strict=False)


def _bits(text: str) -> ipaddress.IPv4Address:
    return ipaddress.IPv4Address(text)


SCALARS: Final[list[Scalar]] = [
    # arithmetic
    ("({} + {})", "ii", "i", lambda a, b: whole(a + b)),
    ("({} - {})", "ii", "i", lambda a, b: whole(a - b)),
    ("({} * {})", "ii", "i", lambda a, b: whole(a * b)),
    ("({} % {})", "ii", "i", _remainder),
    ("({} / {})", "ii", "x", lambda a, b: None if b == 0 else a / b),
    ("({} / {})", "xi", "x", lambda a, b: None if b == 0 else a / b),
    ("({} + {})", "xi", "x", lambda a, b: a + b),
    ("({} - {})", "xx", "x", lambda a, b: a - b),
    ("({} * {})", "xx", "x", lambda a, b: a * b),
    ("(- {})", "i", "i", lambda a: whole(-a)),
    ("(-{})", "x", "x", lambda a: -a),
    # mathematics
    ("abs({})", "i", "i", lambda a: whole(abs(a))),
    ("abs({})", "x", "x", abs),
    ("sqrt({})", "x", "x", lambda a: math.sqrt(a) if a >= 0 else None),
    ("ceil({})", "x", "i", math.ceil),
    ("floor({})", "x", "i", math.floor),
    ("ln({})", "x", "x", lambda a: math.log(a) if a > 0 else None),
    ("log({})", "x", "x", lambda a: math.log2(a) if a > 0 else None),
    ("pow({}, {})", "xn", "x", lambda a, n: None if a == 0 and n < 0 else a**n),
    ("round({})", "x", "x", rounded),
    ("round({}, 1)", "x", "x", lambda a: rounded(a, 1)),
    ("round({})", "i", "i", lambda a: a),
    ("greatest({}, {})", "ii", "i", max),
    ("least({}, {}, {})", "xxx", "x", min),
    ("greatest({}, {})", "ss", "s", max),
    # text
    ("reverse({})", "w", "s", lambda s: s[::-1]),
    ("lower({})", "s", "s", str.lower),
    ("upper({})", "w", "s", str.upper),
    ("capitalize({})", "w", "s", _capitalize),
    ("length({})", "s", "i", len),
    ("replace({}, {}, {})", "sww", "s", lambda s, a, b: s.replace(a, b) if a else s),
    ("chr({} + 65)", "n", "s", lambda n: chr(n + 65)),
    ("codepoint({})", "s", "i", lambda s: ord(s[0]) if s else None),
    ("concat({}, {})", "ss", "s", lambda a, b: a + b),
    ("concat({}, {}, {})", "sis", "s", lambda a, b, c: f"{a}{b}{c}"),
    ("({} || {})", "ss", "s", lambda a, b: a + b),
    ("trim({})", "s", "s", lambda s: s.strip(" ")),
    ("ltrim({})", "s", "s", lambda s: s.lstrip(" ")),
    ("rtrim({})", "s", "s", lambda s: s.rstrip(" ")),
    ("trim({}, 'ab')", "s", "s", lambda s: s.strip("ab")),
    ("lpad({}, {}, {})", "snw", "s", lambda s, n, f: _pad(s, n, f, left=True)),
    ("rpad({}, {}, {})", "snw", "s", lambda s, n, f: _pad(s, n, f, left=False)),
    ("normalize({})", "s", "s", lambda s: unicodedata.normalize("NFC", s)),
    ("to_utf8({})", "s", "s", lambda s: base64.b64encode(s.encode()).decode()),
    ("substr({}, {})", "sn", "s", _substr),
    ("substring({}, {}, {})", "snn", "s", _substr),
    ("substring({} from {} for {})", "snn", "s", _substr),
    ("strpos({}, {})", "sw", "i", lambda s, a: s.find(a) + 1),
    ("locate({}, {})", "ws", "i", lambda a, s: s.find(a) + 1),
    ("position({} in {})", "ws", "i", lambda a, s: s.find(a) + 1),
    ("levenshtein_distance({}, {})", "ww", "i", _distance),
    ("regexp_like({}, '[a-c]+[0-9]')", "s", "b", lambda s: bool(re.search("[a-c]+[0-9]", s))),
    ("({} regexp '^a')", "s", "b", lambda s: bool(re.search(r"\Aa", s))),
    ("regexp_extract({}, '[a-z]+')", "s", "s", lambda s: (re.findall("[a-z]+", s) or [None])[0]),
    (
        "cardinality(regexp_extract_all({}, '[a-z]+'))", "s", "i",
        lambda s: len(re.findall("[a-z]+", s)),
    ),
    ("({} like {})", "sw", "b", _like),
    ("({} not like '%a_')", "s", "b", lambda s: not _like(s, "%a_")),
    ("({} like 'a!%%' escape '!')", "s", "b", lambda s: s.startswith("a%")),
    # comparisons
    ("({} = {})", "ii", "b", lambda a, b: a == b),
    ("({} != {})", "ss", "b", lambda a, b: a != b),
    ("({} <> {})", "xi", "b", lambda a, b: a != b),
    ("({} < {})", "ix", "b", lambda a, b: a < b),
    ("({} >= {})", "ss", "b", lambda a, b: a >= b),
    ("({} <= {})", "tt", "b", lambda a, b: a <= b),
    ("({} = {})", "bb", "b", lambda a, b: a is b),
    ("({} > {})", "xx", "b", lambda a, b: a > b),
    # conversions
    ("cast({} as bigint)", "x", "i", lambda a: whole(int(rounded(a)))),
    ("cast({} as bigint)", "b", "i", int),
    ("cast(cast({} as varchar) as bigint)", "i", "i", lambda a: a),
    ("cast({} as varchar)", "i", "s", str),
    ("cast({} as varchar)", "b", "s", lambda b: str(b).lower()),
    ("cast({} as decimal)", "i", "x", float),
    ("cast({} as timestamp)", "i", "t", instant),
    ("cast({} as bigint)", "t", "i", _ms),
    # instants
    ("({} + interval 3 hour)", "t", "t", lambda t: t + timedelta(hours=3)),
    ("({} - interval '2' days)", "t", "t", lambda t: t - timedelta(days=2)),
    ("({} + interval 1 month)", "t", "t", lambda t: _add("month", 1, t)),
    ("unix_timestamp({})", "t", "i", lambda t: _ms(t) // 1000),
    ("from_unixtime({})", "n", "s", lambda n: _local("%Y-%m-%d %H:%M:%S")(EPOCH + timedelta(seconds=n))),
    ("from_unixtime(unix_timestamp({}))", "t", "s", _local("%Y-%m-%d %H:%M:%S")),
    ("from_unixtime(unix_timestamp({}), '%Y/%m/%d %H-%i-%s')", "t", "s", _local("%Y/%m/%d %H-%M-%S")),
    ("from_unixtime(unix_timestamp({}), '%b %M %a %W %j %y %p')", "t", "s", _local("%b %B %a %A %j %y %p")),
    ("from_unixtime(unix_timestamp({}), '%T %h')", "t", "s", _local("%H:%M:%S %I")),
    ("str_to_date(from_unixtime(unix_timestamp({})), '%Y-%m-%d %H:%i:%s')", "t", "t", lambda t: _trunc("second", t)),
    ("date({})", "t", "s", _local("%Y-%m-%d")),
    ("year({})", "t", "i", lambda t: t.astimezone(LOCAL).year),
    ("quarter({})", "t", "i", lambda t: (t.astimezone(LOCAL).month + 2) // 3),
    ("month({})", "t", "i", lambda t: t.astimezone(LOCAL).month),
    ("day({})", "t", "i", lambda t: t.astimezone(LOCAL).day),
    ("dayofmonth({})", "t", "i", lambda t: t.astimezone(LOCAL).day),
    ("hour({})", "t", "i", lambda t: t.astimezone(LOCAL).hour),
    ("minute({})", "t", "i", lambda t: t.astimezone(LOCAL).minute),
    ("second({})", "t", "i", lambda t: t.astimezone(LOCAL).second),
    ("weekday({})", "t", "i", lambda t: t.astimezone(LOCAL).weekday()),
    ("dayofweek({})", "t", "i", lambda t: t.astimezone(LOCAL).isoweekday() % 7 + 1),
    ("dayofyear({})", "t", "i", lambda t: t.astimezone(LOCAL).timetuple().tm_yday),
    ("cast(extract(hour from {}) as bigint)", "t", "i", lambda t: t.astimezone(LOCAL).hour),
    ("histogram({}, interval 15 minute)", "t", "t", lambda t: _histogram(t, 15, "minute")),
    ("histogram({}, interval 7 second)", "t", "t", lambda t: _histogram(t, 7, "second")),
    ("histogram({}, interval 1 day)", "t", "t", lambda t: _histogram(t, 1, "day")),
    ("histogram({}, interval 6 hour)", "i", "t", lambda a: instant(a) and _histogram(instant(a), 6, "hour")),
    # JSON
    ("concat(json_extract_scalar({}, '$.a'), '')", "j", "s", lambda s: _scalar(_json(["a"])(s))),
    ("concat(json_extract_scalar({}, '$.b[0]'), '')", "j", "s", lambda s: _scalar(_json(["b", 0])(s))),
    ("concat(json_extract_scalar({}, '$[1]'), '')", "j", "s", lambda s: _scalar(_json([1])(s))),
    ("concat(json_extract_scalar({}, '$.b[-1]'), '')", "j", "s", lambda s: _scalar(_json(["b", -1])(s))),
    ("concat(json_extract_scalar({}, '$[\"x y\"].c'), '')", "j", "s", lambda s: _scalar(_json(["x y", "c"])(s))),
    ("json_array_length({})", "j", "i", lambda s: len(v) if isinstance(v := _json([])(s), list) else None),
    ("json_size({})", "j", "i", lambda s: None if s == "nonsense" else _size(_json([])(s))),
    ("concat(json_array_get({}, {}), '')", "jn", "s", lambda s, n: _text(_element(s, n))),
    ("json_array_contains({}, 'x')", "j", "b", lambda s: "x" in v if isinstance(v := _json([])(s), list) else None),
    # IPv4
    ("ip_prefix({}, 12)", "a", "s", lambda a: str(_subnet(f"{a}/12"))),
    ("is_subnet_of({}, {})", "ca", "b", lambda c, a: _bits(a) in _subnet(c)),
    ("is_prefix_subnet_of({}, {})", "cc", "b", lambda c, d: _subnet(d).subnet_of(_subnet(c))),
    ("ip_subnet_min({})", "c", "s", lambda c: str(_subnet(c)[0])),
    ("ip_subnet_max({})", "c", "s", lambda c: str(_subnet(c)[-1])),
    ("?cast(array[{0}, {0}, {1}][3] as bigint)", "ii", "i", lambda _a, b: b),
    ("?cardinality(array[{}, {}])", "ii", "i", lambda _a, _b: 2),
    ("?cardinality(array_distinct(array[{}, {}]))", "ii", "i", lambda a, b: len({a, b})),
    ("?map(array['p', 'q'], array[{}, {}])['q']", "ii", "i", lambda _a, b: b),
]  # fmt: skip
for _unit in UNITS:
    SCALARS.append((
        f"cast(cast(date_trunc('{_unit}', {{}}) as timestamp) as bigint)", "t", "i",
        lambda t, u=_unit: _ms(_trunc(u, t)),
    ))  # fmt: skip
    if _unit not in {"week", "quarter"}:
        SCALARS += [
            (f"date_add('{_unit}', {{1}}, {{0}})", "tn", "t", lambda t, n, u=_unit: _add(u, n, t)),
            (f"date_diff('{_unit}', {{}}, {{}})", "tt", "i", lambda a, b, u=_unit: _diff(u, a, b)),
        ]  # fmt: skip
