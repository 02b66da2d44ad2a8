"""Ranges: of numbers, of texts by the order of their characters, and of time."""

from collections.abc import Mapping
from typing import Final

from simulator.logstore.elastic.dates import ZONE_UTC, parse_date, parse_formats, parse_zone
from simulator.logstore.elastic.document import Node
from simulator.logstore.elastic.tree import Between, Bound, Exists, Leaf, Query, all_of
from simulator.logstore.search import Compare, Operator
from simulator.logstore.typed import parse_number

BOUNDS: Final = {
    "gte": Operator.GE,
    "gt": Operator.GT,
    "lte": Operator.LE,
    "lt": Operator.LT,
}


def time_range(members: Mapping[str, Node], now_ms: int) -> Query:
    """What the bounds of a range of time say; each may be date math."""
    formats = parse_formats(members.get("format"))
    zone = parse_zone(members["time_zone"]) if "time_zone" in members else ZONE_UTC

    def date(key: str, *, up: bool) -> int:
        return parse_date(members[key], now_ms=now_ms, zone=zone, formats=formats, round_up=up)

    starts = [date("gte", up=False)] if "gte" in members else []
    starts += [date("gt", up=True) + 1] if "gt" in members else []
    ends = [date("lte", up=True)] if "lte" in members else []
    ends += [date("lt", up=False) - 1] if "lt" in members else []
    return Between(max(starts, default=None), min(ends, default=None))


def value_range(
    field: str, bounds: Mapping[Operator, Node], path: str, *, lenient: bool = False
) -> Query:
    """What the bounds of a range of values say.

    They are numbers where all of them are, or spell some, and texts else. Source: assumed:
    Elasticsearch goes by the type of the field, which need not be known here.

    Args:
        field: whose values.
        bounds: by how the values are to compare with them.
        path: where the range stands in the document.
        lenient: whether a text that a number is compared with finds nothing rather than to be an
            error.
    """
    if not bounds:
        return Exists(field, path)
    numbers = {operator: _number(node) for operator, node in bounds.items()}
    found: list[Query] = []
    for operator, node in bounds.items():
        number = numbers[operator]
        if number is None or None in numbers.values():
            found.append(Bound(field, operator, str(node.scalar()), lenient, node.path))
        else:
            found.append(Leaf(Compare(field, operator, number), node.path))
    return all_of(tuple(found))


def _number(node: Node) -> int | float | None:
    """The number that a bound is or spells."""
    if not isinstance(node.value, str):
        return node.number()
    try:
        return parse_number(node.value)
    except ValueError:
        return None
