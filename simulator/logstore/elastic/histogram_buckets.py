"""Runs ``date_histogram`` and ``histogram``: buckets of one width, without gaps unless asked."""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

from simulator.logstore.elastic.aggregations import Aggregation
from simulator.logstore.elastic.dates import (
    Zone,
    add_units,
    encode_date,
    floor_unit,
    in_zone,
    to_ms,
)
from simulator.logstore.elastic.groups import Context, Key, Keys, Runner, Shown
from simulator.logstore.elastic.histograms import DateHistogram, NumberHistogram
from simulator.logstore.typed import as_double, encode_number

_LARGEST: Final = "1e100"
"""Numbers beyond have no bucket in a histogram."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_Show: TypeAlias = Callable[[Keys, Mapping[int, int], Mapping[Keys, Shown]], Shown]


def run_date_histogram(
    runner: Runner, one: Aggregation, what: DateHistogram, context: Context
) -> dict[Keys, Shown]:
    """The buckets for each combination of the keys around them."""
    low, high = what.kept
    if low is not None:
        context = context.within(f"ts >= {low}")
    if high is not None:
        context = context.within(f"ts <= {high}")
    local = f"(ts + {what.zone.offset_ms})"
    if what.zone.name:
        zone = runner.groups.records.bindings.text(what.zone.name)
        local = f"epoch_ms(timezone({zone}, timezone('UTC', epoch_ms(ts))))"
    if what.interval_ms:
        step = what.interval_ms
        key = f"({local} - ({local} % {step} + {step}) % {step})"
    else:
        key = f"epoch_ms(date_trunc('{what.unit}', epoch_ms({local})))"
    return _run(
        runner,
        one,
        context.grouped(Key(sql=key, type="BIGINT")),
        lambda keys, counts, inner: show_dates(runner, one, what, keys, counts, inner),
    )


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
        lambda keys, counts, inner: show_numbers(runner, one, what, keys, counts, inner),
    )


def _run(runner: Runner, one: Aggregation, context: Context, show: _Show) -> dict[Keys, Shown]:
    found: dict[Keys, dict[int, int]] = {}
    for (*keys, place), cells in runner.groups.select(context, ["count(*)"]):
        assert isinstance(place, (int, float))  # it was made with a step
        runner.groups.count_buckets(1)
        found.setdefault(tuple(keys), {})[int(place)] = context.scaled(cells[0])
    inner = runner.run_within(one.inner, context) if one.inner and found else {}
    return {keys: show(keys, counts, inner) for keys, counts in found.items()}


def show_dates(
    runner: Runner,
    one: Aggregation,
    what: DateHistogram,
    keys: Keys,
    counts: Mapping[int, int],
    inner: Mapping[Keys, Shown],
) -> Shown:
    """The buckets with these counts, and the empty ones between them.

    Args:
        runner: completes what is within.
        one: the aggregation.
        what: the same.
        keys: of the buckets around it.
        counts: by the local time of the bucket.
        inner: what is within, by ``keys`` and local time.
    """
    wanted = set(counts)
    if what.shown is not None and what.least == 0:
        wanted |= {_local_start(at_ms, what) for at_ms in what.shown}
    buckets: Shown = {}
    for local_ms in _filled(runner, wanted, what) if what.least == 0 else sorted(wanted):
        count = counts.get(local_ms, 0)
        if count < what.least:
            continue
        key_ms = _to_utc(local_ms, what.zone)
        title = encode_date(key_ms, what.formats, what.zone)
        buckets[title] = {
            "key_as_string": title,
            "key": key_ms,
            "doc_count": count,
            **runner.complete(one.inner, inner.get((*keys, local_ms), {})),
        }
    return {"buckets": buckets if what.keyed else list(buckets.values())}


def show_numbers(
    runner: Runner,
    one: Aggregation,
    what: NumberHistogram,
    keys: Keys,
    counts: Mapping[int, int],
    inner: Mapping[Keys, Shown],
) -> Shown:
    """The same for numbers; ``counts`` are by the number of the bucket."""
    wanted: Sequence[int] = sorted(counts)
    if what.least == 0:
        ends = [*wanted[:1], *wanted[-1:]]
        if what.shown is not None:
            ends += [math.floor((at - what.offset) / what.interval) for at in what.shown]
        if ends:
            runner.groups.count_buckets(max(ends) - min(ends) + 1)
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
            **runner.complete(one.inner, inner.get((*keys, float(place)), {})),
        }
    return {"buckets": buckets if what.keyed else list(buckets.values())}


def _filled(runner: Runner, wanted: set[int], what: DateHistogram) -> list[int]:
    """Every bucket from the first to the last."""
    if not wanted:
        return []
    last = max(wanted)
    filled = [min(wanted)]
    while filled[-1] < last:
        runner.groups.count_buckets(1)
        filled.append(_next(filled[-1], what))
    return filled


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
