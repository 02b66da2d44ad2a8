"""Functions of all rows of a group: the aggregates and the estimates of the SQL part.

Without rows they give NULL, and ``count`` 0 (assumed). Source: doc
https://cloud.baidu.com/doc/BLS/s/xk5cc9piu unless a function says otherwise.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from simulator.logstore.calls import Call, Function, Write, aggregate
from simulator.logstore.containers import last_of_each
from simulator.logstore.footprint import text_width
from simulator.logstore.typed import (
    NESTED,
    Kind,
    Typed,
    as_bool,
    as_double,
    as_number,
    as_text,
    as_whole,
)

_PAIR_BYTES: Final = 48
"""Of a key and a value, beside the texts they may be."""
_PAIR_STEPS: Final = 8
"""Lists that are made of all pairs on the way to a map."""
_COUNTED_BYTES: Final = 112
"""Of a value that is counted, beside the text it may be."""
DISTINCT_AGGREGATES: Final = frozenset({"count", "sum", "avg"})


def _count(call: Call) -> Typed:
    if not call.arguments or call.arguments[0].typed is None:
        if call.distinct or (call.arguments and call.arguments[0].interval):
            raise call.refuse("expected `*`, an expression, or `distinct` and expressions")
        return Typed("count(*)", Kind.INT)
    if len(call.arguments) == 1:
        return Typed(f"count({_distinct(call)}{call.value(0).sql})", Kind.INT)
    if not call.distinct:
        raise call.refuse("of several expressions only `distinct` can be counted")
    # As in MySQL (assumed): what has a NULL in it does not count.
    columns = [value.sql for value in call.values()]
    known = " AND ".join(f"{column} IS NOT NULL" for column in columns)
    return Typed(f"count(DISTINCT CASE WHEN {known} THEN row({', '.join(columns)}) END)", Kind.INT)


def _count_if(call: Call) -> Typed:
    return Typed(f"count(*) FILTER (WHERE {as_bool(call.value(0))})", Kind.INT)


def _sum(call: Call) -> Typed:
    value = call.value(0)
    kind = Kind.INT if value.kind in {Kind.INT, Kind.BOOL} else Kind.FLOAT
    return Typed(f"sum({_distinct(call)}{as_number(value)})", kind)


def _avg(call: Call) -> Typed:
    return Typed(f"avg({_distinct(call)}{as_number(call.value(0))})", Kind.FLOAT)


def _extreme(call: Call) -> Typed:
    value = _ordered(call.value(0))
    return Typed(f"{call.name}({value.sql})", value.kind, style=value.style)


def _at_end(function: str) -> Write:
    """The first or last value in the order of time; NULL is no value (assumed)."""

    def write(call: Call) -> Typed:
        value = call.value(0)
        return _like(value, f"{function}({value.sql}, {call.order})")

    return write


def _by(function: str) -> Write:
    def write(call: Call) -> Typed:
        value, by = call.values()
        return _like(value, f"{function}({value.sql}, {_ordered(by).sql})")

    return write


def _arbitrary(call: Call) -> Typed:
    value = call.value(0)
    return _like(value, f"any_value({value.sql})")


def _bits(function: str) -> Write:
    def write(call: Call) -> Typed:
        return Typed(f"{function}({as_whole(call.value(0))})", Kind.INT)

    return write


def _truths(call: Call) -> Typed:
    return Typed(f"{call.name}({as_bool(call.value(0))})", Kind.BOOL)


def _checksum(call: Call) -> Typed:
    """Eight bytes in base64, whatever the order of the rows. Source: assumed but for base64."""
    digest = f"md5_number_lower(coalesce({as_text(call.value(0))}, ''))"
    low = f"CAST(sum({digest}) % 18446744073709551616 AS UBIGINT)"
    return Typed(f"to_base64(unhex(lpad(hex({low}), 16, '0')))", Kind.STRING)


def _percentile_rank(call: Call) -> Typed:
    """The share of values that are not above, from 0 to 1. Source: doc, its example."""
    number = as_double(call.value(0))
    ranks = [
        f"(count(*) FILTER (WHERE {number} <= {as_number(limit)}) / nullif(count({number}), 0))"
        for limit in call.values()[1:]
    ]
    if len(ranks) == 1:
        return Typed(ranks[0], Kind.FLOAT)
    return Typed(f"[{', '.join(ranks)}]", Kind.ARRAY, Kind.FLOAT)


def _percentile(call: Call) -> Typed:
    shares = [_share(call, call.literal_number(index)) for index in range(1, len(call.arguments))]
    return _quantiles(call, shares)


def _approx_percentile(call: Call) -> Typed:
    """By t-digest; with weights exactly, and an element of the data (assumed)."""
    several = call.arguments[-1].literals
    if several is None:
        shares = [_share(call, call.literal_number(len(call.arguments) - 1))]
    else:
        shares = [_share(call, number) for number in several]
    if not shares:
        raise call.refuse("expected at least one percentage")
    if len(call.arguments) == 3:
        weighted = [_weighted(call, share) for share in shares]
        if several is None:
            return Typed(weighted[0], Kind.FLOAT)
        return Typed(f"[{', '.join(weighted)}]", Kind.ARRAY, Kind.FLOAT)
    if several is None:
        return Typed(f"approx_quantile({as_double(call.value(0))}, {shares[0]})", Kind.FLOAT)
    return _quantiles(call, shares)


def _quantiles(call: Call, shares: Sequence[str]) -> Typed:
    number = as_double(call.value(0))
    return Typed(f"approx_quantile({number}, [{', '.join(shares)}])", Kind.ARRAY, Kind.FLOAT)


def _weighted(call: Call, share: str) -> str:
    """The first value at which the weights so far are that share of all weights."""
    value, weight = as_double(call.value(0)), as_double(call.value(1))
    counted = f"{value} IS NOT NULL AND {weight} > 0"
    so_far, whole = call.totals.ask(value, f"CASE WHEN {counted} THEN {weight} END")
    enough = f"min({value}) FILTER (WHERE {counted} AND {so_far} >= {share} * {whole})"
    # All weights, added in another order, may be a little more than the last that was reached.
    return f"coalesce({enough}, max({value}) FILTER (WHERE {counted}))"


def _share(call: Call, number: str | float | None) -> str:
    if number is None or isinstance(number, str) or not 0 <= number <= 1:
        raise call.refuse("a percentage must be a number from 0 to 1")
    return repr(float(number))


def _approx_set(call: Call) -> Typed:
    """Only ``cardinality`` can look into it, so it is that number already."""
    return Typed(f"approx_count_distinct({call.value(0).sql})", Kind.SKETCH)


def _group_array(call: Call) -> Typed:
    """In the order of time (assumed); NULL has no place in it (assumed)."""
    value = _element(call.value(0))
    listed = f"list({value.sql} ORDER BY {call.order}) FILTER (WHERE {value.sql} IS NOT NULL)"
    return Typed(listed, Kind.ARRAY, value.kind, width=call.collect(value))


def _map_agg(call: Call) -> Typed:
    """The least value of each key (assumed: the doc promises one)."""
    key, value = (_element(one) for one in call.values())
    pairs = f"list(row({key.sql}, {value.sql})) FILTER ({key.sql} IS NOT NULL)"
    first = f"list_sort({last_of_each(f'list_reverse_sort({pairs})')})"
    width = call.collect(key, value, sql=f"concat({key.sql}, {value.sql})", overhead=_PAIR_BYTES)
    call.scope.footprint.add(_PAIR_STEPS * width.near)
    return Typed(f"map_from_entries({first})", Kind.MAP, value.kind, key.kind, width=width)


def count_of_each(call: Call) -> Typed:
    """``histogram(x)``: how often each value occurs."""
    value = _element(call.value(0))
    width = call.collect(value, overhead=_COUNTED_BYTES, distinct=True)
    return Typed(f"histogram({value.sql})", Kind.MAP, Kind.INT, value.kind, width=width)


def _element(value: Typed) -> Typed:
    """``value`` as what can be in an array; instants and nested ones as text."""
    if value.kind in NESTED or value.kind is Kind.TIME:
        return Typed(as_text(value), Kind.STRING, width=text_width(value))
    return value if value.kind is not Kind.NULL else Typed("CAST(NULL AS VARCHAR)", Kind.STRING)


def _ordered(value: Typed) -> Typed:
    """``value`` so that less is less: text that is mostly numbers as numbers."""
    if value.kind is Kind.MIXED:
        return Typed(as_number(value), Kind.FLOAT)
    return Typed(as_text(value), Kind.STRING) if value.kind in NESTED else value


def _like(value: Typed, sql: str) -> Typed:
    return Typed(sql, value.kind, value.items, value.keys, value.style)


def _distinct(call: Call) -> str:
    return "DISTINCT " if call.distinct else ""


AGGREGATES: Final[Mapping[str, Function]] = {
    "arbitrary": aggregate("arbitrary(x)", 1, 1, _arbitrary),
    "avg": aggregate("avg(x)", 1, 1, _avg),
    "bitwise_and_agg": aggregate("bitwise_and_agg(x)", 1, 1, _bits("bit_and")),
    "bitwise_or_agg": aggregate("bitwise_or_agg(x)", 1, 1, _bits("bit_or")),
    "bool_and": aggregate("bool_and(condition)", 1, 1, _truths),
    "bool_or": aggregate("bool_or(condition)", 1, 1, _truths),
    "checksum": aggregate("checksum(x)", 1, 1, _checksum),
    "count": aggregate("count(*), count(x), count(distinct x, ...)", 0, 20, _count),
    "count_if": aggregate("count_if(condition)", 1, 1, _count_if),
    "first": aggregate("first(x)", 1, 1, _at_end("arg_min")),
    "last": aggregate("last(x)", 1, 1, _at_end("arg_max")),
    "max": aggregate("max(x)", 1, 1, _extreme),
    "max_by": aggregate("max_by(x, y)", 2, 2, _by("arg_max")),
    "min": aggregate("min(x)", 1, 1, _extreme),
    "min_by": aggregate("min_by(x, y)", 2, 2, _by("arg_min")),
    "percentile_rank": aggregate("percentile_rank(x, v, ...)", 2, 20, _percentile_rank),
    "sum": aggregate("sum(x)", 1, 1, _sum),
}

ESTIMATES: Final[Mapping[str, Function]] = {
    "approx_percentile": aggregate(
        "approx_percentile(x[, weight], p), approx_percentile(x[, weight], array[p, ...])",
        2,
        3,
        _approx_percentile,
    ),
    "approx_set": aggregate("cardinality(approx_set(x))", 1, 1, _approx_set),
    "percentile": aggregate("percentile(x, p, ...)", 2, 20, _percentile),
}

COLLECTING: Final[Mapping[str, Function]] = {
    "group_array": aggregate("group_array(x)", 1, 1, _group_array),
    "map_agg": aggregate("map_agg(k, v)", 2, 2, _map_agg),
}
