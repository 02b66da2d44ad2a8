"""Statements of the SQL part at random, and their rows worked out in Python."""
# ruff: noqa: E501  # one function a line, its form beside its meaning

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Any, Final

from demo_store import NOW_MS
from oracle_expressions import EPOCH, SCALARS, Expression, Row, Value, instant, whole

COLUMNS: Final = {
    "i": "ijk",
    "x": "xy",
    "s": "stu",
    "b": "bc",
    "a": "a",
    "c": "n",
    "j": "o",
    "w": "t",
}
"""The fields of the records by their kinds."""
TEXTS: Final = (
    "", "a", "ab", "abc1", "Ab c", " a ", "a%b", "é", "中文", "b2a", "7", "x", "aAbB", "a'b", 'q"r', "z\\y",
    "ba ab", "_", "a_", "🙂b",
)  # fmt: skip
JSONS: Final = (
    '{"a": 1, "b": ["x", 2]}', '{"a": "x", "b": []}', '["x", "y"]', '[1, {"c": 2}]', "null", "7",
    "nonsense", "[]", '{"x y": {"c": true}, "a": null}', '{"b": [{"a": 1}]}', '"x"',
)  # fmt: skip
WHOLES: Final = (0, 1, -1, 2, 3, 7, -5, 100, 2**31, -(2**40), 2**62, -(2**63) + 1)
FLOATS: Final = (0.5, -0.5, 1.25, 2.5, -2.5, 3.0, 0.0, 100.75, -7.0)
INSTANTS: Final = (
    0,
    NOW_MS,
    951_782_400_000,
    1_583_020_799_999,
    1_767_196_800_000,
    -1,
    86_399_999,
    1_709_164_800_123,
)
ADDRESSES: Final = ("10.0.0.1", "192.168.1.200", "255.255.255.255", "0.0.0.0", "10.16.3.4")
SUBNETS: Final = ("10.0.0.0/8", "10.0.0.1/32", "192.168.1.1/24", "0.0.0.0/0", "10.16.0.0/12")


def make_rows(random: Random) -> list[dict[str, Any]]:
    """Records; a field is missing, or null, at times."""
    values: dict[str, Sequence[Value]] = {
        "i": WHOLES[:8], "x": FLOATS, "s": TEXTS, "b": (True, False), "a": ADDRESSES, "c": SUBNETS,
        "j": JSONS, "w": TEXTS,
    }  # fmt: skip
    rows = []
    for _ in range(random.choice((0, 1, 2, 5, 9))):
        row = {}
        for kind, names in list(COLUMNS.items())[:-1]:
            for name in names:
                if random.random() < 0.8:
                    row[name] = random.choice(values[kind])
        rows.append(row)
    return rows


def literal(random: Random, kind: str) -> Expression:
    """A constant."""
    match kind:
        case "i":
            value: Value = random.choice(WHOLES)
            return Expression(f"({value})" if value < 0 else str(value), lambda _row: value)
        case "n":
            value = random.choice((-3, -1, 0, 1, 2, 3, 5))
            return Expression(str(value), lambda _row: value)
        case "x":
            value = random.choice(FLOATS)
            return Expression(f"({value})", lambda _row: value)
        case "b":
            value = random.choice((True, False))
            return Expression(str(value).lower(), lambda _row: value)
        case "t":
            value = random.choice(INSTANTS)
            return _instant_literal(random, value)
        case "a":
            value = random.choice(ADDRESSES)
        case "c":
            value = random.choice(SUBNETS)
        case "j":
            value = random.choice(JSONS)
        case _:
            value = random.choice(TEXTS)
    return Expression(_quoted(random, value), lambda _row: value)


def _quoted(random: Random, text: str) -> str:
    quote = random.choice("'\"")
    return quote + text.replace("\\", "\\\\").replace(quote, quote * 2) + quote


def _instant_literal(random: Random, ms: int) -> Expression:
    at = instant(ms)
    assert at is not None
    if random.random() < 0.5 or ms % 1000:
        return Expression(f"cast({ms} as timestamp)", lambda _row: at)
    return Expression(f"cast('{at:%Y-%m-%dT%H:%M:%SZ}' as timestamp)", lambda _row: at)


def make(random: Random, kind: str, depth: int = 0) -> Expression:
    """An expression of a kind."""
    if kind in "nac" or (kind in "wj" and random.random() < 0.5):
        if kind == "n" or random.random() < 0.4:
            return literal(random, kind)
        return _column(random, kind)
    if depth >= 3 or random.random() < 0.3:
        if kind == "t":
            return _instant_column(random) if random.random() < 0.5 else literal(random, kind)
        return _column(random, kind) if random.random() < 0.7 else literal(random, kind)
    if kind in "wj":
        return _column(random, kind)
    if random.random() < 0.3:
        return _general(random, kind, depth)
    form, kinds, _, meaning = random.choice([one for one in SCALARS if one[2] == kind])
    arguments = [make(random, one, depth + 1) for one in kinds]
    return Expression(
        form.removeprefix("?").format(*(one.sql for one in arguments)),
        lambda row: _called(meaning, arguments, row, strict=form[0] != "?"),
    )


def _called(
    meaning: Callable[..., Value], arguments: Sequence[Expression], row: Row, *, strict: bool
) -> Value:
    values = [one.value(row) for one in arguments]
    return None if strict and None in values else meaning(*values)


def _column(random: Random, kind: str) -> Expression:
    name = random.choice(COLUMNS[kind])
    return Expression(random.choice((name, f"`{name}`")), lambda row: row.get(name))


def _instant_column(random: Random) -> Expression:
    name = random.choice(COLUMNS["i"])
    return Expression(
        f"cast({name} as timestamp)",
        lambda row: None if row.get(name) is None else instant(row[name]),
    )


def _general(random: Random, kind: str, depth: int) -> Expression:
    """What takes any kind: conditions, and what NULL is told by."""
    one, other = make(random, kind, depth + 1), make(random, kind, depth + 1)
    condition = make(random, "b", depth + 1)
    if kind == "b":
        return _condition(random, condition, depth)
    match random.randrange(5):
        case 0:
            return Expression(
                f"if({condition.sql}, {one.sql}, {other.sql})",
                lambda row: one.value(row) if condition.value(row) else other.value(row),
            )
        case 1:
            return Expression(
                f"coalesce({one.sql}, {other.sql})",
                lambda row: other.value(row) if one.value(row) is None else one.value(row),
            )
        case 2:
            return Expression(
                f"nullif({one.sql}, {other.sql})",
                lambda row: None if one.value(row) == other.value(row) else one.value(row),
            )
        case 3:
            return Expression(
                f"case when {condition.sql} then {one.sql} end",
                lambda row: one.value(row) if condition.value(row) else None,
            )
    subject = make(random, "i", depth + 1)
    wanted = make(random, "i", depth + 1)

    def chosen(row: Row) -> Value:
        is_equal = subject.value(row) is not None and subject.value(row) == wanted.value(row)
        return one.value(row) if is_equal else other.value(row)

    return Expression(
        f"case {subject.sql} when {wanted.sql} then {one.sql} else {other.sql} end", chosen
    )


def _condition(random: Random, one: Expression, depth: int) -> Expression:
    other = make(random, "b", depth + 1)
    kind = random.choice("ixst")
    value, low, high = (make(random, kind, depth + 1) for _ in range(3))
    match random.randrange(7):
        case 0:
            return Expression(
                f"({one.sql} and {other.sql})", lambda row: _and(one.value(row), other.value(row))
            )
        case 1:
            return Expression(
                f"({one.sql} or {other.sql})",
                lambda row: _not(_and(_not(one.value(row)), _not(other.value(row)))),
            )
        case 2:
            return Expression(f"(not {one.sql})", lambda row: _not(one.value(row)))
        case 3:
            word = random.choice(("is null", "is not null"))
            return Expression(
                f"({value.sql} {word})",
                lambda row: (value.value(row) is None) is (word == "is null"),
            )
        case 4:
            word = random.choice(("between", "not between"))

            def between(row: Row) -> Value:
                at, least, most = value.value(row), low.value(row), high.value(row)
                above = None if None in (at, least) else at >= least
                below = None if None in (at, most) else at <= most
                both = _and(above, below)
                return both if word == "between" else _not(both)

            return Expression(f"({value.sql} {word} {low.sql} and {high.sql})", between)
        case 5:
            word = random.choice(("in", "not in"))

            def within(row: Row) -> Value:
                at, items = value.value(row), [low.value(row), high.value(row)]
                if at is None:
                    return None
                found = True if at in items else None if None in items else False
                return found if word == "in" else _not(found)

            return Expression(f"({value.sql} {word} ({low.sql}, {high.sql}))", within)
    truth = random.choice((True, False))
    word = random.choice(("is", "is not"))
    return Expression(
        f"({one.sql} {word} {str(truth).lower()})",
        lambda row: (one.value(row) is truth) is (word == "is"),
    )


def _and(one: bool | None, other: bool | None) -> bool | None:
    if one is False or other is False:
        return False
    return None if one is None or other is None else True


def _not(one: bool | None) -> bool | None:
    return None if one is None else not one


@dataclass(frozen=True, slots=True)
class Aggregate:
    """An expression over the rows of a group."""

    sql: str
    value: Callable[[Sequence[Row]], Value]


_LISTS: Final[list[tuple[str, str, Callable[[list[Value]], Value]]]] = [
    ("count({})", "ixsbt", len),
    ("count(distinct {})", "ixsb", lambda values: len(set(values))),
    ("sum({})", "i", lambda values: sum(values) if values else None),
    ("sum(distinct {})", "i", lambda values: sum(set(values)) if values else None),
    ("sum({})", "x", lambda values: math.fsum(values) if values else None),
    ("avg({})", "ix", lambda values: math.fsum(values) / len(values) if values else None),
    ("max({})", "ixs", lambda values: max(values, default=None)),
    ("min({})", "ixs", lambda values: min(values, default=None)),
    ("first({})", "ixsb", lambda values: values[0] if values else None),
    ("last({})", "ixsb", lambda values: values[-1] if values else None),
    ("bool_and({})", "b", lambda values: all(values) if values else None),
    ("bool_or({})", "b", lambda values: any(values) if values else None),
    ("count_if({})", "b", sum),
    ("bitwise_and_agg({})", "i", lambda values: _folded(values, int.__and__)),
    ("bitwise_or_agg({})", "i", lambda values: _folded(values, int.__or__)),
    ("cardinality(group_array({}))", "ixsb", lambda values: len(values) or None),
    ("cardinality(histogram({}))", "isb", lambda values: len(set(values)) or None),
    ("cardinality(array_distinct(group_array({})))", "is", lambda values: len(set(values)) or None),
    ("group_array({})", "isb", lambda values: _shown(values) if values else None),
    ("percentile_rank({}, 1)", "ix", lambda values: _rank(values, 1)),
]  # fmt: skip


def _folded(values: Sequence[int], fold: Callable[[int, int], int]) -> int | None:
    found = None
    for value in values:
        found = value if found is None else fold(found, value)
    return found


def _rank(values: Sequence[float], limit: float) -> float | None:
    return sum(value <= limit for value in values) / len(values) if values else None


def _shown(values: Sequence[Value]) -> str:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))


def make_aggregate(random: Random) -> Aggregate:
    """An aggregate, by itself or in an expression."""
    choice = random.randrange(14)
    if choice == 0:
        return Aggregate("count(*)", len)
    if choice == 1:
        value, by = make(random, random.choice("is"), 2), make(random, "i", 2)
        name = random.choice(("max_by", "min_by"))
        # Of several that are largest any may be the one: only their number is certain.
        known = [value, by]
        return Aggregate(
            f"({name}({value.sql}, {by.sql}) is null)",
            lambda rows: not any(None not in [one.value(row) for one in known] for row in rows),
        )
    if choice == 2:
        one, other = make(random, "i", 2), make(random, "s", 2)
        return Aggregate(
            f"count(distinct {one.sql}, {other.sql})",
            lambda rows: len({
                pair
                for row in rows
                if None not in (pair := (one.value(row), other.value(row)))
            }),
        )  # fmt: skip
    form, kinds, meaning = random.choice(_LISTS)
    argument = make(random, random.choice(kinds), 1)
    found = Aggregate(
        form.format(argument.sql),
        lambda rows: meaning([v for row in rows if (v := argument.value(row)) is not None]),
    )
    if choice == 3:
        return Aggregate(f"coalesce({found.sql}, null)", found.value)
    return found


def shown(value: Value) -> Value:
    """A value as a cell of a result."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case int() if not isinstance(value, bool):
            return value if whole(value) is not None else float(value)
    return value


def make_scalar(random: Random) -> Expression:
    """An expression whose value a cell can have."""
    kind = random.choice("iixssbt")
    made = make(random, kind)
    if kind != "t":
        return made
    return Expression(
        f"cast({made.sql} as bigint)",
        lambda row: None if (at := made.value(row)) is None else _ms_of(at),
    )


def _ms_of(at: datetime) -> int:
    return round((at - EPOCH).total_seconds() * 1000)


@dataclass(frozen=True, slots=True)
class Statement:
    sql: str
    rows: Callable[[Sequence[Row]], list[tuple[Value, ...]]]
    is_ordered: bool


def make_statement(random: Random) -> Statement:
    """A statement."""
    where = make(random, "b", 1) if random.random() < 0.5 else None
    clause = f" where {where.sql}" if where else ""

    def chosen(rows: Sequence[Row]) -> list[Row]:
        return [row for row in rows if where is None or where.value(row) is True]

    match random.randrange(4):
        case 0:
            return _plain(random, clause, chosen)
        case 1:
            made = [make_aggregate(random) for _ in range(random.randrange(1, 4))]
            return Statement(
                f"select {', '.join(one.sql for one in made)}{clause}",
                lambda rows: [tuple(one.value(chosen(rows)) for one in made)],
                True,
            )
        case _:
            return _grouped(random, clause, chosen)


def _plain(random: Random, clause: str, chosen: Callable[..., list[Row]]) -> Statement:
    items = [make_scalar(random) for _ in range(random.randrange(1, 4))]
    distinct = random.random() < 0.3
    by = [
        (
            random.randrange(len(items)),
            random.random() < 0.5,
            random.choice(("", "", "first", "last")),
        )
        for _ in range(random.randrange(3))
    ]
    limit, offset = random.choice((None, 0, 1, 3)), random.choice((0, 0, 1, 2))

    def rows(records: Sequence[Row]) -> list[tuple[Value, ...]]:
        found = [tuple(one.value(row) for one in items) for row in chosen(records)]
        if distinct:
            found = sorted(dict.fromkeys(found), key=_sort_key)
        for place, down, nulls in reversed(by):
            found.sort(key=lambda one, p=place, d=down, n=nulls: _place(one[p], d, n))
        return found if limit is None else found[offset : offset + limit]

    order = ", ".join(
        f"{random.choice((f'v{place}', str(place + 1)))}{' desc' if down else random.choice(('', ' asc'))}"
        f"{f' nulls {nulls}' if nulls else ''}"
        for place, down, nulls in by
    )
    listed = ", ".join(f"{one.sql} as v{at}" for at, one in enumerate(items))
    tail = f" order by {order}" if order else ""
    if limit is not None:
        tail += random.choice((f" limit {offset}, {limit}", f" limit {limit} offset {offset}"))
    sql = f"select {'distinct ' if distinct else ''}{listed}{clause}{tail}"
    if random.random() < 0.3:
        names = ", ".join(f"v{at}" for at in range(len(items)))
        sql = f"select {random.choice((names, '*'))} from ({sql}) z"
        return Statement(sql, rows, is_ordered=False)
    return Statement(sql, rows, is_ordered=True)


class _Smaller:
    """What orders the other way round."""

    def __init__(self, value: Value) -> None:
        self.value = value

    def __lt__(self, other: "_Smaller") -> bool:
        return bool(other.value < self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Smaller) and self.value == other.value

    def __hash__(self) -> int:
        return hash(self.value)


def _place(value: Value, down: bool, nulls: str) -> tuple[Any, ...]:
    """Where a value stands: NULL as it says, else first going up and last going down."""
    first = nulls == "first" if nulls else not down
    if value is None:
        return (0 if first else 2,)
    return (1, _Smaller(value) if down else value)


def _sort_key(row: tuple[Value, ...]) -> list[tuple[Any, ...]]:
    return [_place(value, False, "last") for value in row]


def _is_computed(sql: str) -> bool:
    """Whether it is more than a constant, which cannot be grouped by as such."""
    return sql[0] not in "'\"" and re.fullmatch(r"\(?-?[\d.]+\)?|true|false", sql) is None


def _grouped(random: Random, clause: str, chosen: Callable[..., list[Row]]) -> Statement:
    keys = [make_scalar(random) for _ in range(random.randrange(1, 3))]
    made = [make_aggregate(random) for _ in range(random.randrange(1, 3))]
    least = random.choice((None, 1, 2))

    def rows(records: Sequence[Row]) -> list[tuple[Value, ...]]:
        groups: dict[tuple[Value, ...], list[Row]] = {}
        for row in chosen(records):
            groups.setdefault(tuple(one.value(row) for one in keys), []).append(row)
        return [
            (*key, *(one.value(group) for one in made))
            for key, group in groups.items()
            if least is None or len(group) >= least
        ]

    names = [f"k{at}" for at in range(len(keys))]
    listed = [f"{one.sql} as {name}" for one, name in zip(keys, names, strict=True)]
    listed += [one.sql for one in made]
    by = [
        random.choice((name, str(at + 1), key.sql if _is_computed(key.sql) else name))
        for at, (name, key) in enumerate(zip(names, keys, strict=True))
    ]
    having = f" having count(*) >= {least}" if least else ""
    return Statement(
        f"select {', '.join(listed)}{clause} group by {', '.join(by)}{having}",
        rows,
        is_ordered=False,
    )
