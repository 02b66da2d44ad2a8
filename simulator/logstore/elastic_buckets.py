"""Runs aggregations: one statement for each, whatever the number of buckets around it.

The buckets around an aggregation are keys that its statement groups by. Where only some of them
are shown, which is so within ``terms``, the statement is confined to their keys.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias, assert_never

from simulator.errors import ControlError
from simulator.logstore.database import Cursor, Row, run_statement
from simulator.logstore.elastic_aggregations import (
    Aggregation,
    DateHistogram,
    Filter,
    Filters,
    Metric,
    NumberHistogram,
    RandomSample,
    Sample,
    Terms,
)
from simulator.logstore.elastic_conditions import ElasticConditions
from simulator.logstore.elastic_dates import (
    Zone,
    add_units,
    encode_date,
    floor_unit,
    in_zone,
    to_ms,
)
from simulator.logstore.elastic_metrics import MetricColumns, metric_columns, order_sql
from simulator.logstore.elastic_queries import TIME
from simulator.logstore.typed import Kind, Typed, as_double, as_text, encode_number

MAX_BUCKETS: Final = 65_536
"""Of one request. Source: assumed: Elasticsearch's ``search.max_buckets``."""
MAX_VALUES: Final = 500_000
"""Numbers in all buckets together. Source: assumed (a bound against abuse)."""
_SAMPLE_PARTS: Final = 1_000_000
_LARGEST: Final = "1e100"
"""Numbers beyond have no bucket in a histogram."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_KEY_TYPES: Final = {Kind.INT: "BIGINT", Kind.FLOAT: "DOUBLE", Kind.BOOL: "BOOLEAN"}

Keys: TypeAlias = tuple[object, ...]
"""The keys of the buckets around an aggregation, outermost first."""
Shown: TypeAlias = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Key:
    """What buckets are made by."""

    sql: str
    type: str
    """DuckDB's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Context:
    """The records that an aggregation looks at, and the buckets they are in already."""

    where: str
    keys: tuple[_Key, ...] = ()
    scale: float = 1.0

    def within(self, condition: str) -> "_Context":
        return replace(self, where=f"{self.where} AND {condition}")


class BucketRunner:
    """Runs the aggregations of one request.

    Args:
        cursor: reads.
        table: of the LogStore.
        conditions: of the LogStore.
    """

    def __init__(self, cursor: Cursor, table: str, conditions: ElasticConditions) -> None:
        self._cursor = cursor
        self._table = table
        self._conditions = conditions
        self._made = 0
        self._values = 0

    def run(self, aggregations: Sequence[Aggregation], where: str) -> Shown:
        """The results by name, as the wire shows them, of the records that fulfil ``where``.

        Raises:
            ControlError: InvalidParameter when there are too many buckets, or a field has no
                index and must have one.
        """
        found = self._run(aggregations, _Context(where=where))
        return self._complete(aggregations, found.get((), {}))

    def _run(self, aggregations: Sequence[Aggregation], context: _Context) -> dict[Keys, Shown]:
        """The results by name for each combination of keys; what has none is empty."""
        found = self._metrics(aggregations, context)
        for one in aggregations:
            if not isinstance(one.what, Metric):
                for keys, shown in self._buckets(one, context).items():
                    found.setdefault(keys, {})[one.name] = shown
        return found

    def _complete(self, aggregations: Sequence[Aggregation], found: Shown) -> Shown:
        """``found`` with what is empty, in the order it was asked for."""
        complete: Shown = {}
        for one in aggregations:
            if isinstance(one.what, Metric):
                self._values += max(1, len(one.what.percents))
            shown = found[one.name] if one.name in found else self._empty(one)
            if one.meta is not None and isinstance(shown, dict):
                shown = {"meta": one.meta, **shown}
            complete[one.name] = shown
        if self._values > MAX_VALUES:
            raise _too_many(f"{MAX_VALUES} values in buckets")
        return complete

    def _metrics(self, aggregations: Sequence[Aggregation], context: _Context) -> dict[Keys, Shown]:
        columns = {
            one.name: self._columns(one.what, context)
            for one in aggregations
            if isinstance(one.what, Metric)
        }
        found: dict[Keys, Shown] = {}
        if not columns:
            return found
        items = [sql for one in columns.values() for sql in one.sql]
        for keys, cells in self._select(context, items):
            shown = found.setdefault(keys, {})
            position = 0
            for name, one in columns.items():
                shown[name] = one.result(cells[position : position + len(one.sql)])
                position += len(one.sql)
        return found

    def _columns(self, metric: Metric, context: _Context) -> MetricColumns:
        value = self._conditions.typed(metric.field, metric.path)
        return metric_columns(metric, value, context.scale)

    def _buckets(self, one: Aggregation, context: _Context) -> dict[Keys, Shown]:
        match one.what:
            case Terms():
                return self._terms(one, one.what, context)
            case DateHistogram():
                return self._date_histogram(one, one.what, context)
            case NumberHistogram():
                return self._number_histogram(one, one.what, context)
            case Sample(size=size):
                return self._single(one, context.within(self._newest(size, context)))
            case RandomSample(probability=probability, seed=seed):
                share = round(probability * _SAMPLE_PARTS)
                drawn = f"hash(seq, {seed}) % {_SAMPLE_PARTS} < {share}"
                sampled = replace(context.within(drawn), scale=probability)
                return {
                    keys: {"seed": seed, "probability": probability, **shown}
                    for keys, shown in self._single(one, sampled).items()
                }
            case Filter(query=query):
                return self._single(one, context.within(self._conditions.write(query)))
            case Filters():
                return self._filters(one, one.what, context)
            case Metric():
                raise AssertionError("a metric has no buckets")
            case _:
                assert_never(one.what)

    def _newest(self, size: int, context: _Context) -> str:
        apart = (
            f"PARTITION BY {', '.join(key.sql for key in context.keys)} " if context.keys else ""
        )
        return (
            f"seq IN (SELECT seq FROM {self._table} WHERE {context.where}"
            f" QUALIFY row_number() OVER ({apart}ORDER BY ts DESC, seq DESC) <= {size})"
        )

    def _single(self, one: Aggregation, context: _Context) -> dict[Keys, Shown]:
        """A bucket for each combination of keys that has records."""
        counts = {keys: cells[0] for keys, cells in self._select(context, ["count(*)"])}
        self._count(len(counts))
        inner = self._run(one.inner, context) if one.inner else {}
        return {
            keys: {
                "doc_count": _scaled(count, context),
                **self._complete(one.inner, inner.get(keys, {})),
            }
            for keys, count in counts.items()
        }

    def _filters(self, one: Aggregation, filters: Filters, context: _Context) -> dict[Keys, Shown]:
        conditions = {name: self._conditions.write(query) for name, query in filters.queries}
        if filters.other is not None:
            conditions[filters.other] = f"NOT ({' OR '.join(conditions.values())})"
        found: dict[Keys, Shown] = {}
        for name, condition in conditions.items():
            for keys, shown in self._single(one, context.within(condition)).items():
                found.setdefault(keys, {})[name] = shown
        return {keys: self._shown_filters(one, filters, shown) for keys, shown in found.items()}

    def _shown_filters(self, one: Aggregation, filters: Filters, found: Shown) -> Shown:
        names = [name for name, _ in filters.queries]
        names += [] if filters.other is None else [filters.other]
        self._count(len(names))
        shown = {name: found.get(name) or self._no_records(one) for name in names}
        return {"buckets": shown if filters.keyed else list(shown.values())}

    def _no_records(self, one: Aggregation) -> Shown:
        return {"doc_count": 0, **self._complete(one.inner, {})}

    def _terms(self, one: Aggregation, terms: Terms, context: _Context) -> dict[Keys, Shown]:
        value = self._conditions.typed(terms.field, terms.path)
        key = _term_key(value, terms, self._conditions.bindings.text)
        context = context.within(f"({key.sql}) IS NOT NULL")
        if key.type == "DOUBLE":
            context = context.within(f"isfinite({key.sql})")
        for values, negation in ((terms.include, ""), (terms.exclude or None, "NOT ")):
            if values is not None:
                listed = self._listed(values, "VARCHAR")
                context = context.within(
                    f"CAST({key.sql} AS VARCHAR) {negation}IN (SELECT {listed})"
                )
        inner_context = replace(context, keys=(*context.keys, key))
        apart = ", ".join(one.sql for one in context.keys)
        partition = f"PARTITION BY {apart} " if apart else ""
        orders = self._orders(one, terms, key, context)
        items = [
            "count(*)",
            f"sum(count(*)) OVER ({partition})",
            f"row_number() OVER ({partition}ORDER BY {orders}) AS place",
        ]
        rows = self._select(
            inner_context,
            items,
            having=f"count(*) >= {max(1, terms.least)}",
            tail=f" QUALIFY place <= {terms.size} ORDER BY place",
        )
        self._count(len(rows))
        found: dict[Keys, list[tuple[object, int]]] = {}
        totals: dict[Keys, int] = {}
        for keys, (count, total, _) in rows:
            found.setdefault(keys[:-1], []).append((keys[-1], count))
            totals[keys[:-1]] = int(total)
        inner: dict[Keys, Shown] = {}
        if one.inner and rows:
            confined = inner_context.within(self._one_of(inner_context, [keys for keys, _ in rows]))
            inner = self._run(one.inner, confined)
        return {
            keys: {
                "doc_count_error_upper_bound": 0,
                "sum_other_doc_count": _scaled(
                    totals[keys] - sum(count for _, count in buckets), context
                ),
                "buckets": [
                    {
                        **_shown_key(term, terms.field),
                        "doc_count": _scaled(count, context),
                        **self._complete(one.inner, inner.get((*keys, term), {})),
                    }
                    for term, count in buckets
                ],
            }
            for keys, buckets in found.items()
        }

    def _orders(self, one: Aggregation, terms: Terms, key: _Key, context: _Context) -> str:
        metrics = {inner.name: inner.what for inner in one.inner}
        parts: list[str] = []
        for order in terms.orders:
            metric = metrics.get(order.by)
            if order.by == "_count":
                sql = "count(*)"
            elif order.by == "_key" or not isinstance(metric, Metric):
                sql = key.sql
            else:
                sql = order_sql(self._columns(metric, context), order.value)
            parts.append(f"{sql} {'DESC' if order.descending else 'ASC'} NULLS LAST")
        return ", ".join((*(parts or ["count(*) DESC"]), f"{key.sql} ASC"))

    def _date_histogram(
        self, one: Aggregation, what: DateHistogram, context: _Context
    ) -> dict[Keys, Shown]:
        low, high = what.kept
        if low is not None:
            context = context.within(f"ts >= {low}")
        if high is not None:
            context = context.within(f"ts <= {high}")
        local = f"(ts + {what.zone.offset_ms})"
        if what.zone.name:
            zone = self._conditions.bindings.text(what.zone.name)
            local = f"epoch_ms(timezone({zone}, timezone('UTC', epoch_ms(ts))))"
        if what.interval_ms:
            step = what.interval_ms
            key = f"({local} - ({local} % {step} + {step}) % {step})"
        else:
            key = f"epoch_ms(date_trunc('{what.unit}', epoch_ms({local})))"
        return self._histogram(
            one,
            replace(context, keys=(*context.keys, _Key(sql=key, type="BIGINT"))),
            lambda keys, counts, inner: self._shown_dates(one, what, keys, counts, inner),
        )

    def _number_histogram(
        self, one: Aggregation, what: NumberHistogram, context: _Context
    ) -> dict[Keys, Shown]:
        number = as_double(self._conditions.typed(what.field, what.path))
        context = context.within(f"coalesce(abs({number}) <= {_LARGEST}, FALSE)")
        low, high = what.kept
        if low is not None:
            context = context.within(f"{number} >= {encode_number(low)}")
        if high is not None:
            context = context.within(f"{number} <= {encode_number(high)}")
        key = f"floor(({number} - {what.offset!r}) / {what.interval!r})"
        return self._histogram(
            one,
            replace(context, keys=(*context.keys, _Key(sql=key, type="DOUBLE"))),
            lambda keys, counts, inner: self._shown_numbers(one, what, keys, counts, inner),
        )

    def _histogram(
        self,
        one: Aggregation,
        context: _Context,
        show: Callable[[Keys, Mapping[int, int], Mapping[Keys, Shown]], Shown],
    ) -> dict[Keys, Shown]:
        found: dict[Keys, dict[int, int]] = {}
        for (*keys, place), cells in self._select(context, ["count(*)"]):
            assert isinstance(place, (int, float))  # it was made with a step
            self._count(1)
            found.setdefault(tuple(keys), {})[int(place)] = _scaled(cells[0], context)
        inner = self._run(one.inner, context) if one.inner and found else {}
        return {keys: show(keys, counts, inner) for keys, counts in found.items()}

    def _shown_dates(
        self,
        one: Aggregation,
        what: DateHistogram,
        keys: Keys,
        counts: Mapping[int, int],
        inner: Mapping[Keys, Shown],
    ) -> Shown:
        wanted = set(counts)
        if what.shown is not None and what.least == 0:
            wanted |= {_local_start(at_ms, what) for at_ms in what.shown}
        buckets: Shown = {}
        for local_ms in self._filled(wanted, what) if what.least == 0 else sorted(wanted):
            count = counts.get(local_ms, 0)
            if count < what.least:
                continue
            key_ms = _to_utc(local_ms, what.zone)
            title = encode_date(key_ms, what.formats, what.zone)
            buckets[title] = {
                "key_as_string": title,
                "key": key_ms,
                "doc_count": count,
                **self._complete(one.inner, inner.get((*keys, local_ms), {})),
            }
        return {"buckets": buckets if what.keyed else list(buckets.values())}

    def _filled(self, wanted: set[int], what: DateHistogram) -> list[int]:
        """Every bucket from the first to the last."""
        if not wanted:
            return []
        last = max(wanted)
        filled = [min(wanted)]
        while filled[-1] < last:
            self._count(1)
            filled.append(_next(filled[-1], what))
        return filled

    def _shown_numbers(
        self,
        one: Aggregation,
        what: NumberHistogram,
        keys: Keys,
        counts: Mapping[int, int],
        inner: Mapping[Keys, Shown],
    ) -> Shown:
        wanted: Sequence[int] = sorted(counts)
        if what.least == 0:
            ends = [*wanted[:1], *wanted[-1:]]
            if what.shown is not None:
                ends += [math.floor((at - what.offset) / what.interval) for at in what.shown]
            if ends:
                self._count(max(ends) - min(ends) + 1)
                wanted = range(min(ends), max(ends) + 1)
        buckets: Shown = {}
        for place in wanted:
            count = counts.get(place, 0)
            if count < what.least:
                continue
            key = place * what.interval + what.offset
            buckets[str(key)] = {
                "key": key,
                "doc_count": count,
                **self._complete(one.inner, inner.get((*keys, float(place)), {})),
            }
        return {"buckets": buckets if what.keyed else list(buckets.values())}

    def _empty(self, one: Aggregation) -> Shown:
        """The result without any record."""
        match one.what:
            case Metric():
                columns = self._columns(one.what, _Context(where="TRUE"))
                return columns.result([None] * len(columns.sql))
            case Terms():
                return {"doc_count_error_upper_bound": 0, "sum_other_doc_count": 0, "buckets": []}
            case DateHistogram():
                return self._shown_dates(one, one.what, (), {}, {})
            case NumberHistogram():
                return self._shown_numbers(one, one.what, (), {}, {})
            case RandomSample(probability=probability, seed=seed):
                return {"seed": seed, "probability": probability, **self._no_records(one)}
            case Sample() | Filter():
                return self._no_records(one)
            case Filters():
                return self._shown_filters(one, one.what, {})
            case _:
                assert_never(one.what)

    def _select(
        self, context: _Context, items: Sequence[str], *, having: str = "", tail: str = ""
    ) -> list[tuple[Keys, Row]]:
        """Keys and cells of each group of the records of a context."""
        count = len(context.keys)
        columns = ", ".join((*(key.sql for key in context.keys), *items))
        sql = f"SELECT {columns} FROM {self._table} WHERE {context.where}"
        if count:
            sql += f" GROUP BY {', '.join(str(number + 1) for number in range(count))}"
        if having:
            sql += f" HAVING {having}"
        sql += f"{tail} LIMIT {MAX_BUCKETS + 1}"
        _, rows = run_statement(self._cursor, sql, self._conditions.bindings.used_in(sql))
        return [(row[:count], row[count:]) for row in rows]

    def _count(self, buckets: int) -> None:
        self._made += buckets
        if self._made > MAX_BUCKETS:
            raise _too_many(f"{MAX_BUCKETS} buckets")

    def _one_of(self, context: _Context, wanted: Sequence[Keys]) -> str:
        """SQL for whether the keys of a record are among ``wanted``."""
        listed = ", ".join(
            self._listed([keys[index] for keys in wanted], key.type)
            for index, key in enumerate(context.keys)
        )
        keys = ", ".join(key.sql for key in context.keys)
        return f"({keys}) IN (SELECT {listed})"

    def _listed(self, values: Sequence[object], type_: str) -> str:
        bound = self._conditions.bindings.text(json.dumps(values))
        return f"""unnest(from_json({bound}, '["{type_}"]'))"""


def _too_many(what: str) -> ControlError:
    return ControlError(
        "InvalidParameter",
        400,
        f"Request param invalid: [body.aggs]: more than {what};"
        " ask for a longer interval, a smaller size or a shorter range",
    )


def _term_key(value: Typed, terms: Terms, bind: Callable[[str], str]) -> _Key:
    if terms.missing is not None:
        return _Key(sql=f"coalesce({as_text(value)}, {bind(terms.missing)})", type="VARCHAR")
    if value.kind in _KEY_TYPES:
        return _Key(sql=value.sql, type=_KEY_TYPES[value.kind])
    return _Key(sql=as_text(value), type="VARCHAR")


def _shown_key(key: object, field: str) -> Shown:
    match key:
        case bool():
            return {"key": int(key), "key_as_string": str(key).lower()}
        case int() if field == TIME:
            return {"key": key, "key_as_string": encode_date(key)}
        case _:
            return {"key": key}


def _scaled(count: int, context: _Context) -> int:
    return round(count / context.scale)


def _local_start(at_ms: int, what: DateHistogram) -> int:
    """The bucket that an instant is in, by the clock of the zone."""
    moment = in_zone(at_ms, what.zone).replace(tzinfo=UTC)
    if what.interval_ms:
        local_ms = to_ms(moment)
        return local_ms - local_ms % what.interval_ms
    return to_ms(floor_unit(moment, what.unit))


def _next(local_ms: int, what: DateHistogram) -> int:
    if what.interval_ms:
        return local_ms + what.interval_ms
    return to_ms(add_units(_EPOCH + timedelta(milliseconds=local_ms), what.unit, 1))


def _to_utc(local_ms: int, zone: Zone) -> int:
    if not zone.name:
        return local_ms - zone.offset_ms
    moment = (_EPOCH + timedelta(milliseconds=local_ms)).replace(tzinfo=zone.rules)
    return to_ms(moment.astimezone(UTC))
