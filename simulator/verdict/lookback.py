"""How far back a poller must read, from the delays that really occurred. Pure.

The delays of a batch are known at its ends, from its first and its last record; the records between
are taken as evenly spread. The longest and the shortest delay are exact.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from simulator.verdict.ledger import DeliveredSpan

_POINTS: Final = 16
"""Of each batch, for the distribution."""
_LOOKBACKS_S: Final = (0, 30, 60, 120, 180, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
_EXAMPLES: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class LookbackLoss:
    """What a poller would have lost that reads only so far back."""

    lookback_s: float
    certain: int
    """Records that were visible only when they were older than that."""
    possible: int
    """Those, and records that could have got so old until the next poll."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LateObject:
    """An object that appeared when a later key could be listed already."""

    key: str
    record_count: int
    lag_s: float
    """For how long a later key had been there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingAdvice:
    """Whether a poller of a bucket may list after the last key it has seen."""

    object_count: int
    late_object_count: int
    """Objects that such a poller could have skipped."""
    late_record_count: int
    safe_after_s: float
    """A key is safe to list after once its object has been visible for longer than this."""
    examples: tuple[LateObject, ...]
    """Those that were latest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """For pollers of one flow log's destination."""

    record_count: int
    """Records that became visible."""
    interval_s: float
    """Between two polls."""
    delay_min_s: float | None
    """Delays are from write to visibility; None if nothing is visible."""
    delay_p50_s: float | None
    delay_p90_s: float | None
    delay_p99_s: float | None
    delay_max_s: float | None
    lookback_s: float | None
    """How far back from now each poll must read: the longest delay and one interval, in whole
    seconds, and one more because ``time_local`` has no fractions."""
    losses: tuple[LookbackLoss, ...]
    """Of shorter lookbacks, shortest first."""
    listing: ListingAdvice | None
    """None for a LogStore."""


def advise(spans: Iterable[DeliveredSpan], interval_s: float) -> Advice:
    """Advice from what was delivered.

    Args:
        spans: of one flow log, in order of visibility.
        interval_s: between two polls.
    """
    found = [span for span in spans if span.record_count]
    if not found:
        return Advice(
            record_count=0,
            interval_s=interval_s,
            delay_min_s=None,
            delay_p50_s=None,
            delay_p90_s=None,
            delay_p99_s=None,
            delay_max_s=None,
            lookback_s=None,
            losses=(),
            listing=None,
        )
    longest_s = max(span.visible_at - span.first_at for span in found)
    lookback_s = math.ceil(round(longest_s + interval_s, 3)) + 1
    median_s, p90_s, p99_s = _quantiles(found, (0.5, 0.9, 0.99))
    return Advice(
        record_count=sum(span.record_count for span in found),
        interval_s=interval_s,
        delay_min_s=min(span.visible_at - span.last_at for span in found),
        delay_p50_s=median_s,
        delay_p90_s=p90_s,
        delay_p99_s=p99_s,
        delay_max_s=longest_s,
        lookback_s=lookback_s,
        losses=tuple(
            LookbackLoss(
                lookback_s=shorter_s,
                certain=_later_than(found, shorter_s),
                possible=_later_than(found, shorter_s - interval_s),
            )
            for shorter_s in _LOOKBACKS_S
            if shorter_s < lookback_s
        ),
        listing=_listing(found),
    )


def _quantiles(spans: Sequence[DeliveredSpan], wanted: Sequence[float]) -> list[float]:
    points: list[tuple[float, float]] = []
    for span in spans:
        low, high = span.visible_at - span.last_at, span.visible_at - span.first_at
        count = min(span.record_count, _POINTS)
        step = (high - low) / max(count - 1, 1)
        weight = span.record_count / count
        points.extend((low + step * number, weight) for number in range(count))
    points.sort()
    total = sum(weight for _, weight in points)
    found = []
    passed, index = 0.0, -1
    for share in wanted:
        while passed < share * total and index + 1 < len(points):
            index += 1
            passed += points[index][1]
        found.append(points[index][0])
    return found


def _later_than(spans: Sequence[DeliveredSpan], delay_s: float) -> int:
    """How many records became visible more than ``delay_s`` after they were written."""
    late = 0
    for span in spans:
        low, high = span.visible_at - span.last_at, span.visible_at - span.first_at
        if low > delay_s:
            late += span.record_count
        elif high > delay_s:
            # At least the one at the end, and not the one at the other end.
            share = (high - delay_s) / (high - low)
            late += min(max(1, round(share * span.record_count)), max(1, span.record_count - 1))
    return late


def _listing(spans: Sequence[DeliveredSpan]) -> ListingAdvice | None:
    """Compare the order of keys with the order in which they appeared."""
    objects: dict[str, tuple[float, int]] = {}
    for span in spans:
        if span.object_key is not None:
            visible_at, count = objects.get(span.object_key, (span.visible_at, 0))
            objects[span.object_key] = (visible_at, count + span.record_count)
    if not objects:
        return None
    late: list[LateObject] = []
    earliest_at = math.inf
    # From the last key backwards: the first instant at which any later key was there.
    for key in sorted(objects, reverse=True):
        visible_at, count = objects[key]
        if visible_at > earliest_at:
            late.append(LateObject(key=key, record_count=count, lag_s=visible_at - earliest_at))
        earliest_at = min(earliest_at, visible_at)
    late.sort(key=lambda one: (-one.lag_s, one.key))
    return ListingAdvice(
        object_count=len(objects),
        late_object_count=len(late),
        late_record_count=sum(one.record_count for one in late),
        safe_after_s=max((one.lag_s for one in late), default=0.0),
        examples=tuple(late[:_EXAMPLES]),
    )
