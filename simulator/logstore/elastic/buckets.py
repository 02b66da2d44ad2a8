"""Runs aggregations: one statement for each, whatever the number of buckets around it.

The buckets around an aggregation are keys that its statement groups by. Where only some of them
are shown, which is so within ``terms``, the statement is confined to their keys.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, assert_never

from simulator.logstore.database import Cursor
from simulator.logstore.elastic.aggregations import Aggregation
from simulator.logstore.elastic.filters import Filter, Filters, RandomSample, Sample
from simulator.logstore.elastic.groups import Context, Groups, Keys, Shown
from simulator.logstore.elastic.histogram_buckets import (
    no_dates,
    no_numbers,
    run_date_histogram,
    run_number_histogram,
)
from simulator.logstore.elastic.histograms import DateHistogram, NumberHistogram
from simulator.logstore.elastic.metrics import Metric, MetricColumns, metric_columns
from simulator.logstore.elastic.records import FoundRecords
from simulator.logstore.elastic.terms import Terms
from simulator.logstore.elastic.terms_buckets import no_terms, run_terms, terms_title

_SAMPLE_PARTS: Final = 1_000_000
_TITLES: Final[Mapping[type, str]] = {
    DateHistogram: "date_histogram",
    NumberHistogram: "histogram",
    Sample: "sampler",
    RandomSample: "random_sampler",
    Filter: "filter",
    Filters: "filters",
}


class BucketRunner:
    """Runs the aggregations of one request.

    Args:
        cursor: reads.
        records: what is aggregated.
        typed_keys: whether names of results have their type before them: ``avg#name``.
    """

    def __init__(self, cursor: Cursor, records: FoundRecords, *, typed_keys: bool = False) -> None:
        self._records = records
        self._typed_keys = typed_keys
        self.groups = Groups(cursor, records)

    def run(self, aggregations: Sequence[Aggregation]) -> Shown:
        """The results by name, as the wire shows them.

        Raises:
            ControlError: InvalidParameter when there are too many buckets, or a field has no
                index and must have one.
        """
        found = self.run_within(aggregations, Context(where=self._records.where))
        return self.complete(aggregations, found.get((), {}))

    def run_within(
        self, aggregations: Sequence[Aggregation], context: Context
    ) -> dict[Keys, Shown]:
        """The results by name for each combination of keys; what has none is empty."""
        found = self._metrics(aggregations, context)
        for one in aggregations:
            if not isinstance(one.what, Metric):
                for keys, shown in self._buckets(one, context).items():
                    found.setdefault(keys, {})[one.name] = shown
        return found

    def complete(self, aggregations: Sequence[Aggregation], found: Shown) -> Shown:
        """``found`` with what is empty, in the order it was asked for."""
        complete: Shown = {}
        for one in aggregations:
            if isinstance(one.what, Metric):
                self.groups.count_values(max(1, len(one.what.percents)))
            shown = found[one.name] if one.name in found else self._empty(one)
            if one.meta is not None and isinstance(shown, dict):
                shown = {"meta": one.meta, **shown}
            complete[self._title(one)] = shown
        return complete

    def _title(self, one: Aggregation) -> str:
        """The name of a result. Source: assumed: Elasticsearch's names of types."""
        if not self._typed_keys:
            return one.name
        match one.what:
            case Metric(type=type_):
                title = "tdigest_percentiles" if type_ == "percentiles" else type_
            case Terms():
                title = terms_title(self.groups, one.what)
            case _:
                title = _TITLES[type(one.what)]
        return f"{title}#{one.name}"

    def _metrics(self, aggregations: Sequence[Aggregation], context: Context) -> dict[Keys, Shown]:
        columns = {
            one.name: self._columns(one.what, context)
            for one in aggregations
            if isinstance(one.what, Metric)
        }
        found: dict[Keys, Shown] = {}
        if not columns:
            return found
        items = [sql for one in columns.values() for sql in one.sql]
        for keys, cells in self.groups.select(context, items):
            shown = found.setdefault(keys, {})
            position = 0
            for name, one in columns.items():
                shown[name] = one.result(cells[position : position + len(one.sql)])
                position += len(one.sql)
        return found

    def _columns(self, metric: Metric, context: Context) -> MetricColumns:
        value = self._records.typed(metric.field, metric.path)
        return metric_columns(metric, value, context.scale, self._records.bindings.text)

    def _buckets(self, one: Aggregation, context: Context) -> dict[Keys, Shown]:
        match one.what:
            case Terms():
                return run_terms(self, one, one.what, context)
            case DateHistogram():
                return run_date_histogram(self, one, one.what, context)
            case NumberHistogram():
                return run_number_histogram(self, one, one.what, context)
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
                return self._single(one, context.within(self._records.write(query)))
            case Filters():
                return self._filters(one, one.what, context)
            case Metric():
                raise AssertionError("a metric has no buckets")
            case _:
                assert_never(one.what)

    def _newest(self, size: int, context: Context) -> str:
        identity, order = self._records.identity, self._records.newest_first
        apart = (
            f"PARTITION BY {', '.join(key.sql for key in context.keys)} " if context.keys else ""
        )
        return (
            f"({identity}) IN (SELECT {identity} FROM {self._records.sql} WHERE {context.where}"
            f" QUALIFY row_number() OVER ({apart}ORDER BY {order}) <= {size})"
        )

    def _single(self, one: Aggregation, context: Context) -> dict[Keys, Shown]:
        """A bucket for each combination of keys that has records."""
        counts = {keys: cells[0] for keys, cells in self.groups.select(context, ["count(*)"])}
        self.groups.count_buckets(len(counts))
        inner = self.run_within(one.inner, context) if one.inner else {}
        return {
            keys: {
                "doc_count": context.scaled(count),
                **self.complete(one.inner, inner.get(keys, {})),
            }
            for keys, count in counts.items()
        }

    def _filters(self, one: Aggregation, filters: Filters, context: Context) -> dict[Keys, Shown]:
        conditions = {name: self._records.write(query) for name, query in filters.queries}
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
        self.groups.count_buckets(len(names))
        shown: dict[str, Shown] = {}
        for name in names:
            known = found.get(name)
            shown[name] = known if isinstance(known, dict) else self._no_records(one)
        if filters.keyed:
            return {"buckets": shown}
        if filters.named:
            return {"buckets": [{"key": name, **one} for name, one in shown.items()]}
        return {"buckets": list(shown.values())}

    def _no_records(self, one: Aggregation) -> Shown:
        return {"doc_count": 0, **self.complete(one.inner, {})}

    def _empty(self, one: Aggregation) -> Shown:
        """The result without any record."""
        match one.what:
            case Metric():
                columns = self._columns(one.what, Context(where="TRUE"))
                return columns.result([None] * len(columns.sql))
            case Terms():
                return no_terms()
            case DateHistogram():
                return no_dates(self, one, one.what)
            case NumberHistogram():
                return no_numbers(self, one, one.what)
            case RandomSample(probability=probability, seed=seed):
                return {"seed": seed, "probability": probability, **self._no_records(one)}
            case Sample() | Filter():
                return self._no_records(one)
            case Filters():
                return self._shown_filters(one, one.what, {})
            case _:
                assert_never(one.what)
