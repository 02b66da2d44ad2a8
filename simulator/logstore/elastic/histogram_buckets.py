"""Runs ``date_histogram`` and ``histogram``: buckets of one width, without gaps unless asked."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from simulator.logstore.elastic.aggregations import Aggregation
from simulator.logstore.elastic.dates import encode_date
from simulator.logstore.elastic.groups import Context, Key, Keys, Runner, Shown
from simulator.logstore.elastic.histograms import DateHistogram, NumberHistogram
from simulator.logstore.elastic.rounding import Rounding
from simulator.logstore.elastic.terms import Order
from simulator.logstore.typed import as_double, encode_number

_LARGEST: Final = "1e100"
"""Numbers beyond have no bucket in a histogram."""
_Counts: TypeAlias = Mapping[int, int]
"""How many records each bucket has, by its key in SQL."""
_Show: TypeAlias = Callable[[Keys, _Counts, Mapping[Keys, Shown]], Shown]


def run_date_histogram(
    runner: Runner, one: Aggregation, what: DateHistogram, context: Context
) -> dict[Keys, Shown]:
    """The buckets for each combination of the keys around them."""
    low, high = what.kept
    if low is not None:
        context = context.within(f"ts >= {low}")
    if high is not None:
        context = context.within(f"ts <= {high}")
    rounding = _rounding(runner, what)
    return _run(
        runner,
        one,
        context.grouped(Key(sql=rounding.sql, type="BIGINT")),
        lambda keys, counts, inner: _show_dates(runner, one, what, rounding, keys, counts, inner),
    )


def no_dates(runner: Runner, one: Aggregation, what: DateHistogram) -> Shown:
    """The result without any record."""
    return _show_dates(runner, one, what, _rounding(runner, what), (), {}, {})


def run_number_histogram(
    runner: Runner, one: Aggregation, what: NumberHistogram, context: Context
) -> dict[Keys, Shown]:
    """The buckets for each combination of the keys around them."""
    number = as_double(runner.groups.records.typed(what.field, what.path))
    context = context.within(f"coalesce(abs({number}) <= {_LARGEST}, FALSE)")
    low, high = what.kept
    if low is not None:
        context = context.within(f"{number} >= {encode_number(low)}")
    if high is not None:
        context = context.within(f"{number} <= {encode_number(high)}")
    key = f"floor(({number} - {what.offset!r}) / {what.interval!r})"
    return _run(
        runner,
        one,
        context.grouped(Key(sql=key, type="DOUBLE")),
        lambda keys, counts, inner: _show_numbers(runner, one, what, keys, counts, inner),
    )


def no_numbers(runner: Runner, one: Aggregation, what: NumberHistogram) -> Shown:
    """The result without any record."""
    return _show_numbers(runner, one, what, (), {}, {})


def _run(runner: Runner, one: Aggregation, context: Context, show: _Show) -> dict[Keys, Shown]:
    found: dict[Keys, dict[int, int]] = {}
    for (*keys, place), cells in runner.groups.select(context, ["count(*)"]):
        assert isinstance(place, (int, float))  # it was made with a step
        runner.groups.count_buckets(1)
        found.setdefault(tuple(keys), {})[int(place)] = context.scaled(cells[0])
    inner = runner.run_within(one.inner, context) if one.inner and found else {}
    return {keys: show(keys, counts, inner) for keys, counts in found.items()}


def _rounding(runner: Runner, what: DateHistogram) -> Rounding:
    """Where buckets begin that records are in, or that are shown without."""
    instants = [*runner.groups.span(), *(bound for bound in what.shown if bound is not None)]
    return Rounding(
        what.zone,
        step_ms=what.interval_ms,
        unit=what.unit,
        offset_ms=what.offset_ms,
        low_ms=min(instants, default=0),
        high_ms=max(instants, default=0),
    )


def _show_dates(
    runner: Runner,
    one: Aggregation,
    what: DateHistogram,
    rounding: Rounding,
    keys: Keys,
    counts: _Counts,
    inner: Mapping[Keys, Shown],
) -> Shown:
    """The buckets, and the empty ones between them."""
    begins = {rounding.begin(key): key for key in counts}
    wanted = set(begins)
    if what.least == 0:
        wanted |= {rounding.floor(bound) for bound in what.shown if bound is not None}
        wanted = _filled(runner, wanted, rounding)
    shown: list[tuple[str, Shown]] = []
    for begin_ms in sorted(wanted):
        key = begins.get(begin_ms)
        count = 0 if key is None else counts[key]
        if count < what.least:
            continue
        title = encode_date(begin_ms, what.formats, what.zone)
        bucket: Shown = {
            "key_as_string": title,
            "key": begin_ms,
            "doc_count": count,
            **runner.complete(one.inner, inner.get((*keys, key), {})),
        }
        shown.append((title, bucket))
    return _listed(shown, what.orders, keyed=what.keyed)


def _filled(runner: Runner, wanted: set[int], rounding: Rounding) -> set[int]:
    """Every bucket from the first to the last."""
    filled: set[int] = set()
    if wanted:
        begin_ms, last_ms = min(wanted), max(wanted)
        while begin_ms < last_ms:
            runner.groups.count_buckets(1)
            filled.add(begin_ms)
            begin_ms = rounding.following(begin_ms)
        filled.add(last_ms)
    return filled


def _show_numbers(
    runner: Runner,
    one: Aggregation,
    what: NumberHistogram,
    keys: Keys,
    counts: _Counts,
    inner: Mapping[Keys, Shown],
) -> Shown:
    wanted: Sequence[int] = sorted(counts)
    if what.least == 0:
        ends = [*wanted[:1], *wanted[-1:]]
        bounds = [bound for bound in what.shown if bound is not None]
        ends += [math.floor((bound - what.offset) / what.interval) for bound in bounds]
        if ends:
            runner.groups.count_buckets(max(ends) - min(ends) + 1)
            wanted = range(min(ends), max(ends) + 1)
    shown: list[tuple[str, Shown]] = []
    for place in wanted:
        count = counts.get(place, 0)
        if count < what.least:
            continue
        key = place * what.interval + what.offset
        bucket: Shown = {
            "key": key,
            "doc_count": count,
            **runner.complete(one.inner, inner.get((*keys, float(place)), {})),
        }
        shown.append((str(key), bucket))
    return _listed(shown, what.orders, keyed=what.keyed)


def _listed(shown: list[tuple[str, Shown]], orders: Sequence[Order], *, keyed: bool) -> Shown:
    """The buckets in their order; ``shown`` is in that of their keys."""
    for order in reversed(orders):
        by = "doc_count" if order.by == "_count" else "key"
        shown.sort(key=lambda one: _number(one[1][by]), reverse=order.descending)
    return {"buckets": dict(shown) if keyed else [bucket for _, bucket in shown]}


def _number(value: object) -> float:
    assert isinstance(value, (int, float))  # keys of histograms and counts are numbers
    return value
