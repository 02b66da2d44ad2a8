"""The aggregations ``date_histogram`` and ``histogram``: buckets of one width, in order.

Source: doc https://cloud.baidu.com/doc/BLS/s/4mfz7wdtl (2025-10) for their names; their
parameters and defaults are Elasticsearch's (assumed).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from simulator.logstore.elastic.dates import (
    ZONE_UTC,
    Zone,
    parse_date,
    parse_formats,
    parse_zone,
)
from simulator.logstore.elastic.document import Node
from simulator.logstore.elastic.names import TIME
from simulator.logstore.elastic.parameters import bounds_of, field_of, least_of
from simulator.logstore.elastic.terms import Order, parse_orders

MAX_INTERVAL_MS: Final = 366 * 86_400_000
_FIXED: Final = re.compile(r"(\d{1,9})(ms|s|m|h|d)", re.ASCII)
_FIXED_MS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_CALENDAR: Final = {
    "1m": "minute",
    "1h": "hour",
    "1d": "day",
    "1w": "week",
    "1M": "month",
    "1q": "quarter",
    "1y": "year",
}
_SHARED: Final = frozenset(
    {"field", "offset", "min_doc_count", "keyed", "extended_bounds", "hard_bounds", "order"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DateHistogram:
    """Buckets of time."""

    interval_ms: int
    """0 where a unit of the calendar is given."""
    unit: str
    offset_ms: int
    """By how much buckets begin later."""
    zone: Zone
    formats: tuple[str, ...]
    least: int
    keyed: bool
    orders: tuple[Order, ...]
    """Empty for the order of their keys."""
    shown: tuple[int | None, int | None]
    """First and last instant for which there are buckets, though empty."""
    kept: tuple[int | None, int | None]
    """First and last instant that is looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberHistogram:
    """Buckets of numbers."""

    field: str
    interval: float
    offset: float
    least: int
    keyed: bool
    orders: tuple[Order, ...]
    shown: tuple[float | None, float | None]
    kept: tuple[float | None, float | None]
    path: str


def parse_date_histogram(node: Node, now_ms: int) -> DateHistogram:
    """The aggregation that a body describes; ``now_ms`` is what ``now`` is.

    ``missing`` is for records without a time, which there are none of.
    """
    members = node.object(
        _SHARED | {"fixed_interval", "calendar_interval", "time_zone", "format", "missing"}
    )
    field = field_of(node, members)
    if field != TIME:
        raise node.refuse(f"only {TIME} is a date, found {field[:60]!r}")
    interval_ms, unit = _date_interval(node, members)
    zone = parse_zone(members["time_zone"]) if "time_zone" in members else ZONE_UTC
    formats = parse_formats(members.get("format"))

    def date(bound: Node) -> int:
        return parse_date(bound, now_ms=now_ms, zone=zone, formats=formats)

    return DateHistogram(
        interval_ms=interval_ms,
        unit=unit,
        offset_ms=_date_offset(members["offset"]) if "offset" in members else 0,
        zone=zone,
        formats=formats,
        least=least_of(members, 0),
        keyed="keyed" in members and members["keyed"].flag(),
        orders=_by_key_or_count(members.get("order")),
        shown=_whole_bounds(bounds_of(members.get("extended_bounds"), date)),
        kept=_whole_bounds(bounds_of(members.get("hard_bounds"), date)),
    )


def parse_histogram(node: Node) -> NumberHistogram:
    """The aggregation that a body describes."""
    members = node.object(_SHARED | {"interval"})
    if "interval" not in members:
        raise node.refuse("interval is required")
    interval = float(members["interval"].number())
    if not 1e-9 <= interval <= 1e18:
        raise members["interval"].refuse("expected a number greater than 0")
    offset = float(members["offset"].number()) if "offset" in members else 0.0
    if abs(offset) > 1e18:
        raise members["offset"].refuse("expected a number up to 1e18")
    return NumberHistogram(
        field=field_of(node, members),
        interval=interval,
        offset=offset,
        least=least_of(members, 0),
        keyed="keyed" in members and members["keyed"].flag(),
        orders=_by_key_or_count(members.get("order")),
        shown=bounds_of(members.get("extended_bounds"), _any_number),
        kept=bounds_of(members.get("hard_bounds"), _any_number),
        path=node.path,
    )


def _by_key_or_count(node: Node | None) -> tuple[Order, ...]:
    orders = () if node is None else parse_orders(node)
    if node is not None and any(order.by not in {"_key", "_count"} for order in orders):
        raise node.refuse("only _key and _count can be ordered by")
    return orders


def _date_interval(node: Node, members: Mapping[str, Node]) -> tuple[int, str]:
    """Milliseconds, or 0 and a unit of the calendar."""
    if ("fixed_interval" in members) == ("calendar_interval" in members):
        raise node.refuse("expected either fixed_interval or calendar_interval")
    if "calendar_interval" in members:
        text = members["calendar_interval"].text()
        unit = _CALENDAR.get(text, text)
        if unit not in _CALENDAR.values():
            raise members["calendar_interval"].refuse(
                f"expected one of {', '.join(_CALENDAR)} or their names"
            )
        return 0, unit
    interval_ms = _milliseconds(members["fixed_interval"].text())
    if interval_ms is None or not 1 <= interval_ms <= MAX_INTERVAL_MS:
        raise members["fixed_interval"].refuse(
            "expected 500ms, 30s, 5m, 12h, 1d or the like, at most 366d"
        )
    return interval_ms, ""


def _date_offset(node: Node) -> int:
    """Milliseconds; ``+6h``, ``-1d`` and the like, or a number of them."""
    if not isinstance(node.value, str):
        return node.whole(-MAX_INTERVAL_MS, MAX_INTERVAL_MS)
    text = node.value
    offset_ms = _milliseconds(text.lstrip("+-")) if text[1:] == text[1:].lstrip("+-") else None
    if offset_ms is None or offset_ms > MAX_INTERVAL_MS:
        raise node.refuse("expected +6h, -1d or the like, at most 366d")
    return -offset_ms if text.startswith("-") else offset_ms


def _milliseconds(text: str) -> int | None:
    found = _FIXED.fullmatch(text)
    return None if found is None else int(found[1]) * _FIXED_MS[found[2]]


def _whole_bounds(bounds: tuple[float | None, float | None]) -> tuple[int | None, int | None]:
    low, high = bounds
    return None if low is None else int(low), None if high is None else int(high)


def _any_number(node: Node) -> float:
    number = float(node.number())
    if abs(number) > 1e18:
        raise node.refuse("expected a number up to 1e18")
    return number
