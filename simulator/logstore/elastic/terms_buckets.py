"""Runs ``terms``: a bucket for each of the commonest values of a field."""

from collections.abc import Callable
from typing import Final

from simulator.logstore.elastic.aggregations import Aggregation
from simulator.logstore.elastic.dates import encode_date
from simulator.logstore.elastic.groups import Context, Key, Keys, Runner, Shown
from simulator.logstore.elastic.metrics import Metric, metric_columns, order_sql
from simulator.logstore.elastic.names import TIME
from simulator.logstore.elastic.terms import Terms
from simulator.logstore.typed import Kind, Typed, as_text

_KEY_TYPES: Final = {Kind.INT: "BIGINT", Kind.FLOAT: "DOUBLE", Kind.BOOL: "BOOLEAN"}
NO_TERMS: Final = {"doc_count_error_upper_bound": 0, "sum_other_doc_count": 0, "buckets": []}
"""The result without any record."""


def run_terms(
    runner: Runner, one: Aggregation, terms: Terms, context: Context
) -> dict[Keys, Shown]:
    """The buckets for each combination of the keys around them."""
    groups = runner.groups
    value = groups.records.typed(terms.field, terms.path)
    key = _term_key(value, terms, groups.records.bindings.text)
    context = context.within(f"({key.sql}) IS NOT NULL")
    if key.type == "DOUBLE":
        context = context.within(f"isfinite({key.sql})")
    for values, negation in ((terms.include, ""), (terms.exclude or None, "NOT ")):
        if values is not None:
            listed = groups.listed(values, "VARCHAR")
            context = context.within(f"CAST({key.sql} AS VARCHAR) {negation}IN (SELECT {listed})")
    inner_context = context.grouped(key)
    apart = ", ".join(one.sql for one in context.keys)
    partition = f"PARTITION BY {apart} " if apart else ""
    orders = _orders(runner, one, terms, key, context)
    items = [
        "count(*)",
        f"sum(count(*)) OVER ({partition})",
        f"row_number() OVER ({partition}ORDER BY {orders}) AS place",
    ]
    rows = groups.select(
        inner_context,
        items,
        having=f"count(*) >= {max(1, terms.least)}",
        tail=f" QUALIFY place <= {terms.size} ORDER BY place",
    )
    groups.count_buckets(len(rows))
    found: dict[Keys, list[tuple[object, int]]] = {}
    totals: dict[Keys, int] = {}
    for keys, (count, total, _) in rows:
        found.setdefault(keys[:-1], []).append((keys[-1], count))
        totals[keys[:-1]] = int(total)
    inner: dict[Keys, Shown] = {}
    if one.inner and rows:
        wanted = groups.one_of(inner_context, [keys for keys, _ in rows])
        inner = runner.run_within(one.inner, inner_context.within(wanted))
    return {
        keys: {
            "doc_count_error_upper_bound": 0,
            "sum_other_doc_count": context.scaled(
                totals[keys] - sum(count for _, count in buckets)
            ),
            "buckets": [
                {
                    **_shown_key(term, terms.field),
                    "doc_count": context.scaled(count),
                    **runner.complete(one.inner, inner.get((*keys, term), {})),
                }
                for term, count in buckets
            ],
        }
        for keys, buckets in found.items()
    }


def _orders(runner: Runner, one: Aggregation, terms: Terms, key: Key, context: Context) -> str:
    metrics = {inner.name: inner.what for inner in one.inner}
    parts: list[str] = []
    for order in terms.orders:
        metric = metrics.get(order.by)
        if order.by == "_count":
            sql = "count(*)"
        elif order.by == "_key" or not isinstance(metric, Metric):
            sql = key.sql
        else:
            value = runner.groups.records.typed(metric.field, metric.path)
            sql = order_sql(metric_columns(metric, value, context.scale), order.value)
        parts.append(f"{sql} {'DESC' if order.descending else 'ASC'} NULLS LAST")
    return ", ".join((*(parts or ["count(*) DESC"]), f"{key.sql} ASC"))


def _term_key(value: Typed, terms: Terms, bind: Callable[[str], str]) -> Key:
    if terms.missing is not None:
        return Key(sql=f"coalesce({as_text(value)}, {bind(terms.missing)})", type="VARCHAR")
    if value.kind in _KEY_TYPES:
        return Key(sql=value.sql, type=_KEY_TYPES[value.kind])
    return Key(sql=as_text(value), type="VARCHAR")


def _shown_key(key: object, field: str) -> Shown:
    match key:
        case bool():
            return {"key": int(key), "key_as_string": str(key).lower()}
        case int() if field == TIME:
            return {"key": key, "key_as_string": encode_date(key)}
        case _:
            return {"key": key}
