"""Aggregations in JSON become values; what they compute is not here.

Source: doc https://cloud.baidu.com/doc/BLS/s/4mfz7wdtl (2025-10) for their types; their parameters
and defaults are Elasticsearch's (assumed).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from simulator.logstore.elastic.document import Node
from simulator.logstore.elastic.filters import (
    Filter,
    Filters,
    RandomSample,
    Sample,
    parse_filters,
    parse_random_sampler,
    parse_sampler,
)
from simulator.logstore.elastic.histograms import (
    DateHistogram,
    NumberHistogram,
    parse_date_histogram,
    parse_histogram,
)
from simulator.logstore.elastic.metrics import (
    METRICS,
    Metric,
    has_value,
    parse_metric,
)
from simulator.logstore.elastic.queries import QueryParser
from simulator.logstore.elastic.terms import Order, Terms, parse_terms

MAX_AGGREGATIONS: Final = 100
"""Of one request, those within others too. Source: assumed (a bound against abuse)."""
MAX_LEVELS: Final = 8
"""Aggregations within each other. Source: assumed (a bound against abuse)."""

_SUB: Final = frozenset({"aggs", "aggregations", "meta"})

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
        self._count = 0
        self._buckets: Mapping[str, Callable[[Node], Buckets]] = {
            "date_histogram": lambda node: parse_date_histogram(node, now_ms),
            "histogram": parse_histogram,
            "terms": parse_terms,
            "sampler": parse_sampler,
            "random_sampler": parse_random_sampler,
            "filter": lambda node: Filter(query=queries.parse(node)),
            "filters": lambda node: parse_filters(node, queries),
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
        if type_ in METRICS:
            return parse_metric(type_, node)
        parse = self._buckets.get(type_)
        if parse is None:
            known = ", ".join(sorted({*self._buckets, *METRICS}))
            raise node.refuse(f"is not a supported aggregation; expected {known}")
        if type_ == "random_sampler" and level:
            raise node.refuse("random_sampler cannot be within another aggregation")
        return parse(node)


def _check_orders(terms: Terms, inner: tuple[Aggregation, ...], node: Node) -> None:
    """Refuse an order by what the buckets do not have."""
    for order in terms.orders:
        found = find_ordered(order, inner)
        if order.within and not found:
            raise node.refuse(f"order: {'>'.join(order.within)[:60]!r} is no filter within")
        if order.by in {"_count", "_key"}:
            continue
        if not found:
            raise node.refuse(f"order: {order.by[:60]!r} is no metric aggregation within")
        last = found[-1]
        fits = order.value in {"", "_count", "doc_count"}
        if isinstance(last, Metric):
            fits = has_value(last, order.value)
        if not fits:
            raise node.refuse(f"order: {order.by[:60]!r} has no value {order.value[:60]!r}")


def find_ordered(order: Order, inner: Sequence[Aggregation]) -> "tuple[Filter | Metric, ...]":
    """The filters that an order goes through, and what it is by, if it is by an aggregation.

    Empty when there is no such one.
    """
    found: list[Filter | Metric] = []
    own = order.by in {"_count", "_key"}
    for name in (*order.within, *(() if own else (order.by,))):
        one = next((each for each in inner if each.name == name), None)
        if one is None or not isinstance(one.what, (Filter, Metric)):
            return ()
        found.append(one.what)
        inner = one.inner
    return tuple(found)
