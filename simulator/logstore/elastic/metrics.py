"""Aggregations that are numbers of all records of a bucket, and how they are computed.

Numbers are floating; what is no number is no value. Percentiles are estimates, as those of the
SQL part are, and ``cardinality`` is exact. Source: assumed: as in Elasticsearch, whose
``cardinality`` is exact for few values only.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from simulator.logstore.elastic.dates import encode_date, parse_formats
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
_MEMBERS: Final = frozenset({"field", "missing", "format"})
_OWN_MEMBERS: Final = {
    "percentiles": frozenset({"percents", "keyed", "tdigest"}),
    "cardinality": frozenset({"precision_threshold", "execution_hint", "rehash"}),
}
_DATED: Final = frozenset({"min", "max", "avg"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One or several numbers of all records of a bucket."""

    type: str
    field: str
    missing: str | int | float | bool | None = None
    """The value of records without one; None leaves them out."""
    formats: tuple[str, ...] = ()
    """How a time is written."""
    percents: tuple[float, ...] = ()
    keyed: bool = True
    path: str


def parse_metric(type_: str, node: Node) -> Metric:
    """The metric that a body describes."""
    members = node.object(_MEMBERS | _OWN_MEMBERS.get(type_, frozenset()))
    percents: tuple[float, ...] = ()
    if type_ == "percentiles":
        percents = _PERCENTS
        if "percents" in members:
            percents = tuple(float(one.number()) for one in members["percents"].items())
        if not 1 <= len(percents) <= MAX_PERCENTS or not all(0 <= one <= 100 for one in percents):
            raise node.refuse(f"expected 1 to {MAX_PERCENTS} percents from 0 to 100")
    field = field_of(node, members)
    missing: str | int | float | bool | None = None
    if "missing" in members:
        counted = type_ in {"cardinality", "value_count"}
        missing = members["missing"].scalar() if counted else float(members["missing"].number())
    return Metric(
        type=type_,
        field=field,
        missing=missing,
        formats=parse_formats(members.get("format")) if field == TIME else (),
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
        """What the wire shows for the values of the columns.

        Instants are written out beside their numbers.
        """
        match self.metric.type:
            case "percentiles":
                return self._percentiles(cells[0])
            case "stats":
                shown = {
                    name: self._shown(name, cell) for name, cell in zip(STATS, cells, strict=True)
                }
                return shown | self._dates({name: shown[name] for name in STATS if name in _DATED})
            case type_:
                value = self._shown(type_, cells[0])
                dates = self._dates({"value": value}) if type_ in _DATED else {}
                return {"value": value} | dates

    def _dates(self, values: Mapping[str, object]) -> dict[str, object]:
        if self.metric.field != TIME:
            return {}
        return {
            f"{name}_as_string": encode_date(round(value), self.metric.formats)
            for name, value in values.items()
            if isinstance(value, float)
        }

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
        named: dict[str, object] = {
            percent_name(percent): _finite(_number(value, math.nan))
            for percent, value in zip(self.metric.percents, values, strict=True)
        }
        dates = self._dates(named)
        if self.metric.keyed:
            return {"values": named | dates}
        return {
            "values": [
                {"key": float(key), "value": value}
                | ({"value_as_string": dates[f"{key}_as_string"]} if dates else {})
                for key, value in named.items()
            ]
        }


def metric_columns(
    metric: Metric, value: Typed, scale: float, bind: Callable[[str], str]
) -> MetricColumns:
    """The columns of a metric of ``value``; ``bind`` gives a placeholder for a text."""
    number = as_double(value)
    if value.kind is not Kind.INT:
        # Text may spell what JSON has no number for.
        number = f"CASE WHEN isfinite({number}) THEN {number} END"
    counted = value.sql
    if isinstance(metric.missing, float):
        number = f"coalesce({number}, {metric.missing!r})"
    if metric.missing is not None:
        counted = f"coalesce({as_text(value)}, {bind(text_of(metric.missing))})"
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


def order_sql(columns: MetricColumns, value: str, where: str = "") -> str:
    """SQL for one of the numbers of a metric, of the records that fulfil a condition."""
    of_some = f" FILTER (WHERE {where})" if where else ""
    match columns.metric.type:
        case "stats":
            return columns.sql[STATS.index(value)] + of_some
        case "percentiles":
            position = columns.metric.percents.index(float(value)) + 1
            return f"({columns.sql[0]}{of_some})[{position}]"
        case _:
            return columns.sql[0] + of_some


def has_value(metric: Metric, value: str) -> bool:
    """Whether a metric has a number of that name."""
    match metric.type:
        case "stats":
            return value in STATS
        case "percentiles":
            names = {percent_name(one) for one in metric.percents}
            return value in names | {f"{one:g}" for one in metric.percents}
        case _:
            return value in {"", "value"}


def text_of(value: str | float | bool) -> str:
    """A value as records have it in text."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _number(cell: object, default: float) -> float:
    return float(cell) if isinstance(cell, (int, float)) else default


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
