"""Elasticsearch's aggregations, as far as BLS takes them: each is a statement of its own.

Source: doc https://cloud.baidu.com/doc/BLS/s/4mfz7wdtl (2025-10) for what is taken; the shapes are
those of Elasticsearch's own documentation.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from simulator.api.bls.elastic_query import (
    MAX_DEPTH,
    Node,
    Search,
    field_text,
    parse_condition,
    single,
)
from simulator.api.bls.wire import invalid
from simulator.logstore import Value

MAX_STATEMENTS: Final = 500
"""Of one request. Source: assumed (a bound against abuse)."""
MAX_BUCKETS: Final = 10_000

Run: TypeAlias = Callable[[Search, str], Sequence[Sequence[Value]]]
"""The rows of a select over what a search finds."""

_UNITS_MS: Final = {
    "ms": 1,
    "s": 1000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 604_800_000,
    "second": 1000,
    "minute": 60_000,
    "hour": 3_600_000,
    "day": 86_400_000,
    "week": 604_800_000,
}
_INTERVAL: Final = re.compile(r"(\d{1,6})?(ms|s|m|h|d|w|second|minute|hour|day|week)")
_METRICS: Final = {
    "value_count": "count({})",
    "cardinality": "count(distinct {})",
    "max": "max({})",
    "min": "min({})",
    "sum": "sum({})",
    "avg": "avg({})",
}
_PERCENTS: Final = (1.0, 5.0, 25.0, 50.0, 75.0, 95.0, 99.0)


class Aggregator:
    """Evaluates the aggregations of one request.

    Args:
        run: runs a statement.
    """

    def __init__(self, run: Run) -> None:
        self._run_statement = run
        self._left = MAX_STATEMENTS
        self._depth = 0

    def evaluate(self, search: Search, aggregations: Mapping[str, Any]) -> dict[str, object]:
        """The answer to each aggregation, by its name.

        Raises:
            ControlError: InvalidParameter for what BLS does not take, or not there.
        """
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise invalid("aggs", "are nested too deeply")
        answers: dict[str, object] = {
            name: self._one(search, body) for name, body in aggregations.items()
        }
        self._depth -= 1
        return answers

    def _one(self, search: Search, body: object) -> dict[str, object]:
        if not isinstance(body, Mapping):
            raise invalid("aggs", "expected an object")
        inner = body.get("aggs") or body.get("aggregations") or {}
        kind, options = single(
            {k: v for k, v in body.items() if k not in {"aggs", "aggregations", "meta"}}, "aggs"
        )
        if not isinstance(options, Mapping) or not isinstance(inner, Mapping):
            raise invalid("aggs", "expected an object")
        match kind:
            case "terms":
                return self._terms(search, options, inner)
            case "date_histogram":
                step = _interval_ms(options)
                return self._histogram(search, "@timestamp", step, inner, in_time=True)
            case "histogram":
                name = str(options.get("field", ""))
                return self._histogram(search, name, options.get("interval"), inner, in_time=False)
            case "filter":
                return self._bucket(search.narrowed(parse_condition(options)), inner)
            case "filters":
                return self._filters(search, options, inner)
            case "sampler" | "random_sampler":
                return self._bucket(search, inner)  # of everything, which is a sample too
            case _:
                return self._metric(search, kind, options)

    def _metric(self, search: Search, kind: str, options: Node) -> dict[str, object]:
        field = field_text(str(options.get("field", "")))
        if kind in _METRICS:
            return {"value": self._run(search, _METRICS[kind].format(field))[0][0]}
        if kind == "stats":
            columns = ", ".join(
                _METRICS[name].format(field) for name in ("min", "max", "avg", "sum")
            )
            ((count, *values),) = self._run(search, f"count({field}), {columns}")
            return {"count": count, **dict(zip(("min", "max", "avg", "sum"), values, strict=True))}
        if kind == "percentiles":
            percents = _percents(options.get("percents"))
            columns = ", ".join(f"approx_percentile({field}, {one / 100})" for one in percents)
            (row,) = self._run(search, columns)
            return {"values": {str(one): value for one, value in zip(percents, row, strict=True)}}
        raise invalid("aggs", f"{kind[:40]} is not simulated")

    def _terms(self, search: Search, options: Node, inner: Mapping[str, Any]) -> dict[str, object]:
        name = str(options.get("field", ""))
        field, size = field_text(name), _size(options.get("size"), 10, MAX_BUCKETS)
        rows = self._run(
            search,
            f"{field} as k, count(*) as n where {field} is not null"
            f" group by k order by n desc, k limit {size}",
        )
        total = self._run(search, f"count({field})")[0][0]
        buckets = []
        for key, count in rows:
            within = search.narrowed(parse_condition({"term": {name: key}})) if inner else search
            buckets.append({"key": key, "doc_count": count, **self.evaluate(within, inner)})
        counted = sum(int(str(count)) for _, count in rows)
        return {
            "doc_count_error_upper_bound": 0,
            "sum_other_doc_count": int(str(total)) - counted,
            "buckets": buckets,
        }

    def _histogram(
        self, search: Search, name: str, step: object, inner: Mapping[str, Any], *, in_time: bool
    ) -> dict[str, object]:
        if isinstance(step, bool) or not isinstance(step, int | float) or step <= 0:
            raise invalid("interval", "expected a number above 0")
        field = field_text(name)
        key = f"{field} - {field} % {step}" if in_time else f"floor({field} / {step})"
        rows = self._run(
            search,
            f"{key} as k, count(*) as n where {field} is not null"
            f" group by k order by k limit {MAX_BUCKETS}",
        )
        buckets = []
        for found, count in rows:
            at = float(str(found)) if in_time else float(str(found)) * step
            if in_time:
                within = search.between(int(at), int(at + step))
                labels: dict[str, object] = {"key_as_string": _iso(int(at)), "key": int(at)}
            else:
                bounds = {"gte": at, "lt": at + step}
                within = search.narrowed(parse_condition({"range": {name: bounds}}))
                labels = {"key": at}
            buckets.append({**labels, "doc_count": count, **self.evaluate(within, inner)})
        return {"buckets": buckets}

    def _filters(
        self, search: Search, options: Node, inner: Mapping[str, Any]
    ) -> dict[str, object]:
        asked = options.get("filters")
        if isinstance(asked, list):
            narrowed = [search.narrowed(parse_condition(one)) for one in asked]
            return {"buckets": [self._bucket(one, inner) for one in narrowed]}
        if not isinstance(asked, Mapping):
            raise invalid("filters", "expected an object or a list")
        return {
            "buckets": {
                name: self._bucket(search.narrowed(parse_condition(one)), inner)
                for name, one in asked.items()
            }
        }

    def _bucket(self, search: Search, inner: Mapping[str, Any]) -> dict[str, object]:
        count = self._run(search, "count(*) as n")[0][0]
        return {"doc_count": count, **self.evaluate(search, inner)}

    def _run(self, search: Search, columns: str) -> Sequence[Sequence[Value]]:
        self._left -= 1
        if self._left < 0:
            raise invalid("aggs", f"more than {MAX_STATEMENTS} buckets and values")
        return self._run_statement(search, f"select {columns}")


def _interval_ms(options: Node) -> int:
    text = options.get("fixed_interval") or options.get("calendar_interval") or ""
    found = _INTERVAL.fullmatch(str(text))
    if found is None:
        raise invalid("date_histogram", "expected an interval such as 30s, 5m, 1h or 1d")
    return int(found[1] or 1) * _UNITS_MS[found[2]]


def _percents(value: object) -> list[float]:
    if value is None:
        return list(_PERCENTS)
    if not isinstance(value, list) or not 1 <= len(value) <= 100:
        raise invalid("percents", "expected 1 to 100 numbers")
    for one in value:
        if isinstance(one, bool) or not isinstance(one, int | float) or not 0 <= one <= 100:
            raise invalid("percents", "expected numbers from 0 to 100")
    return [float(one) for one in value]


def _size(value: object, default: int, most: int) -> int:
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= most:
        raise invalid("size", f"expected 1 to {most}")
    return value


def _iso(at_ms: int) -> str:
    text = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
