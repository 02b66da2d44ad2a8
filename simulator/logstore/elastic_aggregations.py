"""Aggregations in JSON become values; what they compute is not here.

Source: doc https://cloud.baidu.com/doc/BLS/s/4mfz7wdtl (2025-10) for their types; their parameters
and defaults are Elasticsearch's (assumed).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from simulator.logstore.elastic_dates import (
    ZONE_UTC,
    Zone,
    parse_date,
    parse_formats,
    parse_zone,
)
from simulator.logstore.elastic_document import Node
from simulator.logstore.elastic_queries import TIME, QueryParser
from simulator.logstore.elastic_tree import Query

MAX_AGGREGATIONS: Final = 100
"""Of one request, those within others too. Source: assumed (a bound against abuse)."""
MAX_LEVELS: Final = 8
"""Aggregations within each other. Source: assumed (a bound against abuse)."""
MAX_TERMS_SIZE: Final = 10_000
MAX_FILTERS: Final = 100
MAX_INTERVAL_MS: Final = 366 * 86_400_000
MAX_PERCENTS: Final = 50

_PERCENTS: Final = (1.0, 5.0, 25.0, 50.0, 75.0, 95.0, 99.0)
_METRICS: Final = frozenset({"value_count", "cardinality", "max", "min", "sum", "avg", "stats"})
STATS: Final = ("count", "min", "max", "avg", "sum")
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
_SUB: Final = frozenset({"aggs", "aggregations", "meta"})
_SEED_LIMIT: Final = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One or several numbers of all records of a bucket."""

    type: str
    field: str
    missing: float | None = None
    percents: tuple[float, ...] = ()
    keyed: bool = True
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DateHistogram:
    """Buckets of time."""

    interval_ms: int
    """0 where a unit of the calendar is given."""
    unit: str
    zone: Zone
    formats: tuple[str, ...]
    least: int
    keyed: bool
    shown: tuple[int, int] | None
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
    shown: tuple[float, float] | None
    kept: tuple[float | None, float | None]
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What buckets are sorted by."""

    by: str
    """``_count``, ``_key`` or the name of an aggregation within."""
    value: str
    """Which number of that aggregation."""
    descending: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """A bucket for each of the commonest values."""

    field: str
    size: int
    least: int
    orders: tuple[Order, ...]
    missing: str | None
    include: tuple[str, ...] | None
    exclude: tuple[str, ...]
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The newest records of a bucket."""

    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomSample:
    """A share of the records, by chance."""

    probability: float
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """The records that a query finds."""

    query: Query


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """A bucket for each of several queries."""

    queries: tuple[tuple[str, Query], ...]
    keyed: bool
    other: str | None
    """Name of the bucket of what none of them finds; None without."""


Buckets: TypeAlias = (
    DateHistogram | NumberHistogram | Terms | Sample | RandomSample | Filter | Filters
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregation:
    """One aggregation and those within it."""

    name: str
    what: Buckets | Metric
    inner: "tuple[Aggregation, ...]" = ()
    meta: Mapping[str, object] | None = None


class AggregationParser:
    """Parses the aggregations of one request.

    Args:
        queries: parses the queries of filters.
        now_ms: what ``now`` is.
    """

    def __init__(self, queries: QueryParser, now_ms: int) -> None:
        self._queries = queries
        self._now_ms = now_ms
        self._count = 0
        self._buckets: Mapping[str, Callable[[Node], Buckets]] = {
            "date_histogram": self._date_histogram,
            "histogram": _histogram,
            "terms": _terms,
            "sampler": _sampler,
            "random_sampler": _random_sampler,
            "filter": lambda node: Filter(query=self._queries.parse(node)),
            "filters": self._filters,
        }

    def parse(self, node: Node, level: int = 0) -> tuple[Aggregation, ...]:
        """The aggregations of an object that has them by name.

        Raises:
            ControlError: InvalidParameter with the place in the document and what was expected.
        """
        if level > MAX_LEVELS:
            raise node.refuse(f"more than {MAX_LEVELS} levels of aggregations")
        return tuple(self._one(name, body, level) for name, body in node.object().items())

    def _one(self, name: str, node: Node, level: int) -> Aggregation:
        self._count += 1
        if self._count > MAX_AGGREGATIONS:
            raise node.refuse(f"more than {MAX_AGGREGATIONS} aggregations")
        members = node.object()
        meta = members.get("meta")
        inner = members.get("aggs") or members.get("aggregations")
        types = {key: one for key, one in members.items() if key not in _SUB}
        if len(types) != 1:
            raise node.refuse(f"expected exactly one type of aggregation, found {len(types)}")
        type_, body = next(iter(types.items()))
        aggregation = Aggregation(
            name=name,
            what=self._what(type_, body, level),
            inner=() if inner is None else self.parse(inner, level + 1),
            meta=None if meta is None else {key: one.value for key, one in meta.object().items()},
        )
        if isinstance(aggregation.what, Metric) and aggregation.inner:
            raise node.refuse(f"{type_} has no aggregations within")
        if isinstance(aggregation.what, Terms):
            _check_orders(aggregation.what, aggregation.inner, body)
        return aggregation

    def _what(self, type_: str, node: Node, level: int) -> Buckets | Metric:
        if type_ in _METRICS or type_ == "percentiles":
            return _metric(type_, node)
        parse = self._buckets.get(type_)
        if parse is None:
            known = ", ".join(sorted({*self._buckets, *_METRICS, "percentiles"}))
            raise node.refuse(f"is not a supported aggregation; expected {known}")
        if type_ == "random_sampler" and level:
            raise node.refuse("random_sampler cannot be within another aggregation")
        return parse(node)

    def _date_histogram(self, node: Node) -> Buckets:
        members = node.object(
            frozenset(
                {
                    "field",
                    "fixed_interval",
                    "calendar_interval",
                    "time_zone",
                    "format",
                    "min_doc_count",
                    "keyed",
                    "extended_bounds",
                    "hard_bounds",
                    "order",
                }
            )
        )
        field = _field(node, members)
        if field != TIME:
            raise node.refuse(f"only {TIME} is a date, found {field[:60]!r}")
        _check_by_key(members)
        interval_ms, unit = _date_interval(node, members)
        zone = parse_zone(members["time_zone"]) if "time_zone" in members else ZONE_UTC
        formats = parse_formats(members.get("format"))

        def date(bound: Node) -> int:
            return parse_date(bound, now_ms=self._now_ms, zone=zone, formats=formats)

        shown = _bounds(members.get("extended_bounds"), date)
        low, high = shown
        return DateHistogram(
            interval_ms=interval_ms,
            unit=unit,
            zone=zone,
            formats=formats,
            least=_least(members, 0),
            keyed="keyed" in members and members["keyed"].flag(),
            shown=None if low is None or high is None else (int(low), int(high)),
            kept=_whole_bounds(_bounds(members.get("hard_bounds"), date)),
        )

    def _filters(self, node: Node) -> Buckets:
        members = node.object(frozenset({"filters", "other_bucket", "other_bucket_key", "keyed"}))
        filters = members.get("filters")
        if filters is None:
            raise node.refuse("filters is required")
        keyed = not isinstance(filters.value, list)
        named = tuple(filters.object().items()) if keyed else _numbered(filters)
        if not 1 <= len(named) <= MAX_FILTERS:
            raise filters.refuse(f"expected 1 to {MAX_FILTERS} filters")
        other: str | None = None
        if "other_bucket_key" in members:
            other = members["other_bucket_key"].text()
        elif "other_bucket" in members and members["other_bucket"].flag():
            other = "_other_"
        if "keyed" in members:
            keyed = members["keyed"].flag()
        return Filters(
            queries=tuple((name, self._queries.parse(query)) for name, query in named),
            keyed=keyed,
            other=other,
        )


def _metric(type_: str, node: Node) -> Metric:
    known = {"field", "missing", "format"}
    known |= {"percents", "keyed", "tdigest"} if type_ == "percentiles" else set()
    known |= {"precision_threshold"} if type_ == "cardinality" else set()
    members = node.object(frozenset(known))
    percents: tuple[float, ...] = ()
    if type_ == "percentiles":
        percents = _PERCENTS
        if "percents" in members:
            percents = tuple(float(one.number()) for one in members["percents"].items())
        if not 1 <= len(percents) <= MAX_PERCENTS or not all(0 <= one <= 100 for one in percents):
            raise node.refuse(f"expected 1 to {MAX_PERCENTS} percents from 0 to 100")
    return Metric(
        type=type_,
        field=_field(node, members),
        missing=float(members["missing"].number()) if "missing" in members else None,
        percents=percents,
        keyed="keyed" not in members or members["keyed"].flag(),
        path=node.path,
    )


def _histogram(node: Node) -> Buckets:
    members = node.object(
        frozenset(
            {
                "field",
                "interval",
                "offset",
                "min_doc_count",
                "keyed",
                "extended_bounds",
                "hard_bounds",
                "order",
            }
        )
    )
    if "interval" not in members:
        raise node.refuse("interval is required")
    _check_by_key(members)
    interval = float(members["interval"].number())
    if not 1e-9 <= interval <= 1e18:
        raise members["interval"].refuse("expected a number greater than 0")
    offset = float(members["offset"].number()) if "offset" in members else 0.0
    if abs(offset) > 1e18:
        raise members["offset"].refuse("expected a number up to 1e18")
    low, high = _bounds(members.get("extended_bounds"), _any_number)
    return NumberHistogram(
        field=_field(node, members),
        interval=interval,
        offset=offset,
        least=_least(members, 0),
        keyed="keyed" in members and members["keyed"].flag(),
        shown=None if low is None or high is None else (low, high),
        kept=_bounds(members.get("hard_bounds"), _any_number),
        path=node.path,
    )


def _terms(node: Node) -> Buckets:
    members = node.object(
        frozenset(
            {
                "field",
                "size",
                "shard_size",
                "order",
                "min_doc_count",
                "missing",
                "include",
                "exclude",
                "show_term_doc_count_error",
                "execution_hint",
                "collect_mode",
            }
        )
    )
    orders = members.get("order")
    return Terms(
        field=_field(node, members),
        size=members["size"].whole(1, MAX_TERMS_SIZE) if "size" in members else 10,
        least=_least(members, 1),
        orders=() if orders is None else tuple(_order(one) for one in orders.items()),
        missing=str(members["missing"].scalar()) if "missing" in members else None,
        include=_texts(members["include"]) if "include" in members else None,
        exclude=_texts(members["exclude"]) if "exclude" in members else (),
        path=node.path,
    )


def _order(node: Node) -> Order:
    by, direction = node.single("order")
    name, _, value = by.replace(">", ".").partition(".")
    descending = direction.choice("asc", "desc") == "desc"
    return Order(by="_key" if by == "_term" else name, value=value, descending=descending)


def _check_orders(terms: Terms, inner: tuple[Aggregation, ...], node: Node) -> None:
    """Refuse an order by what the buckets do not have."""
    metrics = {one.name: one.what for one in inner if isinstance(one.what, Metric)}
    for order in terms.orders:
        if order.by in {"_count", "_key"}:
            continue
        metric = metrics.get(order.by)
        if metric is None:
            raise node.refuse(f"order: {order.by[:60]!r} is no metric aggregation within")
        match metric.type:
            case "stats":
                fits = order.value in STATS
            case "percentiles":
                fits = order.value in {percent_name(one) for one in metric.percents} | {
                    f"{one:g}" for one in metric.percents
                }
            case _:
                fits = order.value in {"", "value"}
        if not fits:
            raise node.refuse(f"order: {order.by[:60]!r} has no value {order.value[:60]!r}")


def percent_name(percent: float) -> str:
    """How a percentage is named in a result: ``95.0``."""
    return repr(float(percent))


def _sampler(node: Node) -> Buckets:
    members = node.object(frozenset({"shard_size"}))
    size = members["shard_size"].whole(1, 1_000_000) if "shard_size" in members else 100
    return Sample(size=size)


def _random_sampler(node: Node) -> Buckets:
    members = node.object(frozenset({"probability", "seed", "shard_seed"}))
    if "probability" not in members:
        raise node.refuse("probability is required")
    probability = float(members["probability"].number())
    if not (1e-6 <= probability <= 0.5 or probability == 1):
        raise members["probability"].refuse("expected a number from 0 to 0.5, or 1")
    seed = members["seed"].whole(-_SEED_LIMIT - 1, _SEED_LIMIT) if "seed" in members else 0
    return RandomSample(probability=probability, seed=seed)


def _field(node: Node, members: Mapping[str, Node]) -> str:
    if "field" not in members:
        raise node.refuse("field is required")
    return members["field"].name()


def _least(members: Mapping[str, Node], default: int) -> int:
    if "min_doc_count" not in members:
        return default
    return members["min_doc_count"].whole(default, 2**53)


def _texts(node: Node) -> tuple[str, ...]:
    if not isinstance(node.value, list):
        raise node.refuse("expected an array of exact values; patterns are not supported")
    if len(node.value) > MAX_TERMS_SIZE:
        raise node.refuse(f"expected at most {MAX_TERMS_SIZE} values")
    return tuple(
        str(one).lower() if isinstance(one, bool) else str(one)
        for one in (item.scalar() for item in node.items())
    )


def _numbered(node: Node) -> tuple[tuple[str, Node], ...]:
    return tuple((str(index), one) for index, one in enumerate(node.items()))


def _check_by_key(members: Mapping[str, Node]) -> None:
    """Histograms are in the order of their keys, and in no other."""
    if "order" in members:
        order = _order(members["order"])
        if order.by != "_key" or order.descending:
            raise members["order"].refuse("only the order by _key asc is supported")


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
    interval = members["fixed_interval"]
    found = _FIXED.fullmatch(interval.text())
    interval_ms = int(found[1]) * _FIXED_MS[found[2]] if found else 0
    if not 1 <= interval_ms <= MAX_INTERVAL_MS:
        raise interval.refuse("expected 500ms, 30s, 5m, 12h, 1d or the like, at most 366d")
    return interval_ms, ""


def _bounds(node: Node | None, parse: Callable[[Node], float]) -> tuple[float | None, float | None]:
    if node is None:
        return None, None
    members = node.object(frozenset({"min", "max"}))
    low = parse(members["min"]) if "min" in members else None
    high = parse(members["max"]) if "max" in members else None
    if low is not None and high is not None and low > high:
        raise node.refuse("expected min not above max")
    return low, high


def _whole_bounds(bounds: tuple[float | None, float | None]) -> tuple[int | None, int | None]:
    low, high = bounds
    return None if low is None else int(low), None if high is None else int(high)


def _any_number(node: Node) -> float:
    number = float(node.number())
    if abs(number) > 1e18:
        raise node.refuse("expected a number up to 1e18")
    return number
