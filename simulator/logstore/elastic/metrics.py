"""Aggregations that are numbers of all records of a bucket, and how they are computed.

Numbers are floating; what is no number is no value. Percentiles are estimates, as those of the
SQL part are, and ``cardinality`` is exact. Source: assumed: as in Elasticsearch, whose
``cardinality`` is exact for few values only.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from simulator.logstore.elastic.dates import encode_date
from simulator.logstore.elastic.document import Node
from simulator.logstore.elastic.names import TIME
from simulator.logstore.elastic.parameters import field_of
from simulator.logstore.typed import Kind, Typed, as_double, as_text

MAX_PERCENTS: Final = 50
_PERCENTS: Final = (1.0, 5.0, 25.0, 50.0, 75.0, 95.0, 99.0)
METRICS: Final = frozenset(
    {"value_count", "cardinality", "max", "min", "sum", "avg", "stats", "percentiles"}
)
STATS: Final = ("count", "min", "max", "avg", "sum")
_DATED: Final = frozenset({"min", "max", "avg"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One or several numbers of all records of a bucket."""

    type: str
    field: str
    missing: float | None = None
    percents: tuple[float, ...] = ()
    keyed: bool = True
    path: str


def parse_metric(type_: str, node: Node) -> Metric:
    """The metric that a body describes."""
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
        field=field_of(node, members),
        missing=float(members["missing"].number()) if "missing" in members else None,
        percents=percents,
        keyed="keyed" not in members or members["keyed"].flag(),
        path=node.path,
    )


def percent_name(percent: float) -> str:
    """How a percentage is named in a result: ``95.0``."""
    return repr(float(percent))


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricColumns:
    """How a metric is computed, and what is made of it."""

    metric: Metric
    sql: tuple[str, ...]
    scale: float = 1.0
    """What share of the records is looked at; counts and sums are divided by it."""

    def result(self, cells: Sequence[object]) -> dict[str, object]:
        """What the wire shows for the values of the columns."""
        match self.metric.type:
            case "percentiles":
                return self._percentiles(cells[0])
            case "stats":
                return {
                    name: self._shown(name, cell) for name, cell in zip(STATS, cells, strict=True)
                }
            case type_:
                value = self._shown(type_, cells[0])
                shown: dict[str, object] = {"value": value}
                if self.metric.field == TIME and type_ in _DATED and isinstance(value, float):
                    shown["value_as_string"] = encode_date(round(value))
                return shown

    def _shown(self, name: str, cell: object) -> object:
        match name:
            case "count" | "value_count":
                return round(_number(cell, 0.0) / self.scale)
            case "cardinality":
                return int(_number(cell, 0.0))
            case "sum":
                return _finite(_number(cell, 0.0) / self.scale)
            case _:
                return _finite(_number(cell, math.nan))

    def _percentiles(self, cell: object) -> dict[str, object]:
        values = cell if isinstance(cell, list) else [None] * len(self.metric.percents)
        named = {
            percent_name(percent): _finite(_number(value, math.nan))
            for percent, value in zip(self.metric.percents, values, strict=True)
        }
        if self.metric.keyed:
            return {"values": named}
        return {"values": [{"key": float(key), "value": value} for key, value in named.items()]}


def metric_columns(metric: Metric, value: Typed, scale: float) -> MetricColumns:
    """The columns of a metric of ``value``."""
    number = as_double(value)
    if value.kind is not Kind.INT:
        # Text may spell what JSON has no number for.
        number = f"CASE WHEN isfinite({number}) THEN {number} END"
    counted = value.sql
    if metric.missing is not None:
        number = f"coalesce({number}, {metric.missing!r})"
        counted = f"coalesce({as_text(value)}, '{metric.missing!r}')"
    match metric.type:
        case "value_count":
            sql: tuple[str, ...] = (f"count({counted})",)
        case "cardinality":
            sql = (f"count(DISTINCT {counted})",)
        case "percentiles":
            shares = ", ".join(repr(percent / 100) for percent in metric.percents)
            sql = (f"approx_quantile({number}, [{shares}])",)
        case "stats":
            sql = tuple(f"{name}({number})" for name in STATS)
        case type_:
            sql = (f"{type_}({number})",)
    return MetricColumns(metric=metric, sql=sql, scale=scale)


def order_sql(columns: MetricColumns, value: str) -> str:
    """SQL for one of the numbers of a metric."""
    match columns.metric.type:
        case "stats":
            return columns.sql[STATS.index(value)]
        case "percentiles":
            position = columns.metric.percents.index(float(value)) + 1
            return f"({columns.sql[0]})[{position}]"
        case _:
            return columns.sql[0]


def _number(cell: object, default: float) -> float:
    return float(cell) if isinstance(cell, (int, float)) else default


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
