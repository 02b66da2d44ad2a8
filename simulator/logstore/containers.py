"""Functions of maps, arrays and JSON of the SQL part.

Source: doc https://cloud.baidu.com/doc/BLS/s/xk5cc9piu unless a function says otherwise.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from simulator.logstore.calls import MAX_GROWN_BYTES, Call, Function, Write, scalar, unify
from simulator.logstore.footprint import element_width, text_width, too_large
from simulator.logstore.json_paths import ONE_PLACE, PATH_FORMS, JsonPath, parse_json_path
from simulator.logstore.typed import (
    NESTED,
    NUMERIC,
    Kind,
    Typed,
    as_number,
    as_text,
    as_whole,
)
from simulator.logstore.widths import UNKNOWN, of


def make_array(values: Sequence[Typed]) -> Typed:
    """An array of ``values``, in the one kind that holds them all."""
    plain = [
        Typed(as_text(value), Kind.STRING)
        if value.kind in NESTED or value.kind is Kind.TIME
        else value
        for value in values
    ]
    parts, pattern = unify(plain)
    width = sum((element_width(value) for value in values), UNKNOWN)
    return Typed(f"[{', '.join(parts)}]", Kind.ARRAY, pattern.kind, width=width)


def subscript(container: Typed, key: Typed) -> Typed | None:
    """``container[key]``: NULL where there is no such key; None when it is no container.

    Elements of arrays count from 1 (assumed; the doc has a map in its example).
    """
    if container.kind is Kind.MAP:
        wanted = as_number(key) if container.keys in NUMERIC else as_text(key)
        return Typed(f"{container.sql}[{wanted}]", container.items)
    if container.kind is Kind.ARRAY:
        # The number of times that something occurs is unsigned, which no place may be.
        place = f"TRY_CAST({as_whole(key)} AS BIGINT)" if "(" in key.sql else as_whole(key)
        return Typed(f"{container.sql}[{place}]", container.items)
    return None


def _json_extract(call: Call) -> Typed:
    """What stands at a place: a text without its quotes, anything else as JSON.

    What stands at several places is a JSON array, from the top down, as in MySQL (assumed); NULL
    where there is none. What looks at all levels of a text that is long and nested ends the
    statement.
    """
    path = _path(call, 1, PATH_FORMS)
    document, where = call.text(0), call.bind(path.text)
    if not path.is_many:
        parsed = f"TRY_CAST({document} AS JSON)"
        return Typed(f"json_extract_string({parsed}, {where})", Kind.MIXED)
    if path.is_deep:
        # What is found may hold each other, to as many levels as there are brackets.
        brackets = f"length({document}) - length(translate({document}, '[{{', ''))"
        size = f"strlen({document}) * ({brackets} - 1)"
        refused = too_large(call.name, f"texts of more than {MAX_GROWN_BYTES} bytes at all levels")
        document = f"CASE WHEN {size} > {MAX_GROWN_BYTES} THEN {refused} ELSE {document} END"
    found = f"to_json(json_extract(TRY_CAST({document} AS JSON), {where}))"
    width = text_width(call.value(0))
    if path.is_deep:
        width += of(MAX_GROWN_BYTES)
    return Typed(f"CAST(nullif({found}, '[]') AS VARCHAR)", Kind.STRING, width=width)


def _json_extract_scalar(call: Call) -> Typed:
    """NULL for objects and arrays."""
    where = _place(call, 1)
    parsed = f"TRY_CAST({call.text(0)} AS JSON)"
    kind = f"json_type({parsed}, {where})"
    found = f"json_extract_string({parsed}, {where})"
    return Typed(f"CASE WHEN NOT contains('OBJECT,ARRAY', {kind}) THEN {found} END", Kind.MIXED)


def _json_text(call: Call) -> Typed:
    """The text itself if it is JSON, else NULL (assumed for what is not)."""
    return Typed(f"CAST(TRY_CAST({call.text(0)} AS JSON) AS VARCHAR)", Kind.STRING)


def _json_size(call: Call) -> Typed:
    """0 for what is neither an object nor an array (assumed)."""
    where = _place(call, 1) if len(call.arguments) > 1 else call.bind("$")
    part = f"json_extract(TRY_CAST({call.text(0)} AS JSON), {where})"
    return Typed(
        f"CASE WHEN json_type({part}) = 'OBJECT' THEN len(json_keys({part}))"
        f" WHEN json_type({part}) = 'ARRAY' THEN json_array_length({part})"
        f" ELSE 0 * len(CAST({part} AS VARCHAR)) END",
        Kind.INT,
    )


def _json_array_length(call: Call) -> Typed:
    return Typed(f"len({_elements(call)})", Kind.INT)


def _json_array_get(call: Call) -> Typed:
    """Counted from 0, negative from the end (assumed)."""
    index = f"TRY_CAST({as_whole(call.value(1))} AS INTEGER)"
    place = f"(CAST({index} AS BIGINT) + CASE WHEN {index} < 0 THEN 0 ELSE 1 END)"
    return Typed(f"json_extract_string({_elements(call)}[{place}], '$')", Kind.MIXED)


def _json_array_contains(call: Call) -> Typed:
    wanted = as_text(call.value(1))
    texts = f"list_transform({_elements(call)}, lambda e: json_extract_string(e, '$'))"
    return Typed(f"list_contains({texts}, {wanted})", Kind.BOOL)


def _elements(call: Call) -> str:
    """The elements of a JSON array; NULL for what is none."""
    return f"TRY_CAST(TRY_CAST({call.text(0)} AS JSON) AS JSON[])"


def _path(call: Call, index: int, forms: str) -> JsonPath:
    try:
        return parse_json_path(call.literal_text(index))
    except ValueError as error:
        raise call.refuse(f"expected {forms}") from error


def _place(call: Call, index: int) -> str:
    """A placeholder for a path that leads to one place."""
    path = _path(call, index, ONE_PLACE)
    if path.is_many:
        raise call.refuse(f"expected {ONE_PLACE}")
    return call.bind(path.text)


def _cardinality(call: Call) -> Typed:
    value = call.value(0)
    match value.kind:
        case Kind.SKETCH:
            return Typed(value.sql, Kind.INT)
        case Kind.MAP:
            return Typed(f"cardinality({value.sql})", Kind.INT)
        case Kind.ARRAY:
            return Typed(f"len({value.sql})", Kind.INT)
        case _:
            raise call.refuse("expected a map, an array or approx_set(x)")


def _of_map(sql: str, *, keys: bool) -> Write:
    def write(call: Call) -> Typed:
        value = _container(call, 0, Kind.MAP)
        return Typed(sql.format(value.sql), Kind.ARRAY, value.keys if keys else value.items)

    return write


def _map(call: Call) -> Typed:
    """Of two equal keys the first counts; keys without values are NULL (assumed)."""
    if not call.arguments:
        return Typed("CAST(MAP {} AS MAP(VARCHAR, VARCHAR))", Kind.MAP, Kind.STRING, Kind.STRING)
    if len(call.arguments) != 2:
        raise call.refuse("expected no argument or two arrays")
    keys, values = (_container(call, index, Kind.ARRAY) for index in range(2))
    entries = f"list_zip({keys.sql}, {_places(keys.sql)}, {values.sql})"
    firsts = last_of_each(f"list_sort({entries})")
    known = f"list_filter({firsts}, lambda e: e[1] IS NOT NULL)"
    ordered = f"list_reverse_sort(list_transform({known}, lambda e: row(e[2], e[1], e[3])))"
    pairs = f"list_transform({ordered}, lambda e: row(e[2], e[3]))"
    made = _if_known(keys, f"map_from_entries({pairs})")
    return Typed(made, Kind.MAP, values.items, keys.items)


def _map_filter(call: Call) -> Typed:
    value = _container(call, 0, Kind.MAP)
    body = call.arguments[1].lambda_
    if body is None:
        raise call.refuse("the second argument must be a lambda such as (k, v) -> v > 1")
    name = f"e{call.at or 0}"
    condition = body((Typed(f"{name}.key", value.keys), Typed(f"{name}.value", value.items)))
    if condition.kind is not Kind.BOOL:
        raise call.refuse("the lambda must give true or false")
    kept = f"list_filter(map_entries({value.sql}), lambda {name}: {condition.sql})"
    return Typed(f"map_from_entries({kept})", Kind.MAP, value.items, value.keys)


def _array_distinct(call: Call) -> Typed:
    """In the order of their first occurrence (assumed)."""
    value = _container(call, 0, Kind.ARRAY)
    firsts = last_of_each(f"list_sort(list_zip({value.sql}, {_places(value.sql)}))")
    ordered = f"list_reverse_sort(list_transform({firsts}, lambda e: row(e[2], e[1])))"
    found = f"list_transform({ordered}, lambda e: e[2])"
    return Typed(_if_known(value, found), Kind.ARRAY, value.items)


def last_of_each(rows: str) -> str:
    """The last of the rows of a list, sorted, that have the same first field.

    Rows are compared with their neighbours: a lambda that looks into a whole list would get a copy
    of it for every element.
    """
    differs = "p[2] IS NULL OR p[1][1] IS DISTINCT FROM p[2][1]"
    ends = f"list_filter(list_zip({rows}, {rows}[2:]), lambda p: {differs})"
    return f"list_transform({ends}, lambda p: p[1])"


def _if_known(array: Typed, made: str) -> str:
    """What is made of an array; NULL of none, which DuckDB's functions take for an empty one."""
    return f"CASE WHEN {array.sql} IS NOT NULL THEN {made} END"


def _places(array: str) -> str:
    """-1, -2 ...: of equal elements that are sorted with it the first comes last."""
    return f"generate_series(-1, -len({array}), -1)"


def _container(call: Call, index: int, kind: Kind) -> Typed:
    value = call.value(index)
    if value.kind is not kind:
        raise call.refuse(
            f"argument {index + 1} must be {'a map' if kind is Kind.MAP else 'an array'}"
        )
    return value


CONTAINERS: Final[Mapping[str, Function]] = {
    "array_distinct": scalar("array_distinct(a)", 1, 1, _array_distinct),
    "cardinality": scalar("cardinality(x)", 1, 1, _cardinality),
    "map": scalar("map(), map(keys, values)", 0, 2, _map),
    "map_filter": scalar("map_filter(m, (k, v) -> condition)", 2, 2, _map_filter),
    "map_keys": scalar("map_keys(m)", 1, 1, _of_map("map_keys({0})", keys=True)),
    "map_values": scalar("map_values(m)", 1, 1, _of_map("map_values({0})", keys=False)),
}

JSON: Final[Mapping[str, Function]] = {
    "json_array_contains": scalar("json_array_contains(s, x)", 2, 2, _json_array_contains),
    "json_array_get": scalar("json_array_get(s, n), from 0", 2, 2, _json_array_get),
    "json_array_length": scalar("json_array_length(s)", 1, 1, _json_array_length),
    "json_extract": scalar("json_extract(s, path), s->path", 2, 2, _json_extract),
    "json_extract_scalar": scalar("json_extract_scalar(s, path)", 2, 2, _json_extract_scalar),
    "json_format": scalar("json_format(s)", 1, 1, _json_text),
    "json_parse": scalar("json_parse(s)", 1, 1, _json_text),
    "json_size": scalar("json_size(s[, path])", 1, 2, _json_size),
}
