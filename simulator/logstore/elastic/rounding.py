"""Where buckets of time begin, by the clock of a zone.

A bucket of less than a day ends where the clock is turned back and begins anew: an hour that comes
twice is two buckets. One of a day or more begins with its first day, however long that is.
Source: assumed: Elasticsearch rounds so.
"""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from simulator.logstore.elastic.dates import Zone, add_units, floor_unit
from simulator.logstore.typed import MAX_MS, MIN_MS

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_MS: Final = 86_400_000
_FIRST_MS: Final = MIN_MS + 366 * _DAY_MS
_LAST_MS: Final = MAX_MS - 366 * _DAY_MS
_LOOK_MS: Final = 7 * _DAY_MS
"""A change of the clock that is undone within it is not seen; there are none such."""
_STEPS: Final = {"second": 1000, "minute": 60_000, "hour": 3_600_000}
"""Units of the calendar that do not begin at midnight."""


class Rounding:
    """Where buckets begin.

    Args:
        zone: whose clock counts.
        step_ms: the width of a bucket; 0 where a unit of the calendar is given.
        unit: of the calendar.
        offset_ms: by how much buckets begin later.
        low_ms: what instants are from that it is asked about.
        high_ms: and up to.
    """

    def __init__(
        self, zone: Zone, *, step_ms: int, unit: str, offset_ms: int, low_ms: int, high_ms: int
    ) -> None:
        self._unit = unit
        self._fixed = bool(step_ms)
        self._step_ms = step_ms or _STEPS.get(unit, 0)
        self._offset_ms = offset_ms
        margin_ms = max(self._step_ms, 400 * _DAY_MS if unit else 0) + abs(offset_ms) + _DAY_MS
        self._changes_ms, self._ahead_ms = _changes(zone, low_ms - margin_ms, high_ms + margin_ms)
        """When the clock is changed, and how far it is ahead of UTC before the first change and
        after each."""

    @property
    def sql(self) -> str:
        """SQL for the key of the bucket that ``ts`` is in: see ``begin``."""
        time = f"(ts - {self._offset_ms})" if self._offset_ms else "ts"
        if not self._step_ms:
            local = f"({time} + {self._by_stretch(time, [str(one) for one in self._ahead_ms])})"
            return f"epoch_ms(date_trunc('{self._unit}', epoch_ms({local})))"
        step = self._step_ms
        keys: list[str] = []
        for number, ahead in enumerate(self._ahead_ms):
            local = f"({time} + {ahead})"
            key = f"({local} - ({local} % {step} + {step}) % {step} - {ahead})"
            if number:
                change = self._changes_ms[number - 1]
                key = f"CASE WHEN {key} < {change} THEN {self._begun(number)} ELSE {key} END"
            keys.append(key)
        found = self._by_stretch(time, keys)
        return f"({found} + {self._offset_ms})" if self._offset_ms else found

    def _by_stretch(self, time: str, values: Sequence[str]) -> str:
        """SQL for the value that holds between two changes of the clock."""
        if len(values) == 1:
            return values[0]
        cases = " ".join(
            f"WHEN {time} < {change} THEN {value}"
            for change, value in zip(self._changes_ms, values, strict=False)
        )
        return f"CASE {cases} ELSE {values[-1]} END"

    def begin(self, key: int) -> int:
        """When the bucket with a key of ``sql`` begins, epoch milliseconds."""
        return key if self._step_ms else self._instant(key) + self._offset_ms

    def floor(self, at_ms: int) -> int:
        """When the bucket begins that an instant is in."""
        at_ms -= self._offset_ms
        if self._step_ms:
            return self._floor_step(at_ms) + self._offset_ms
        begin = floor_unit(self._local(at_ms), self._unit)
        return self._instant(_to_ms(begin)) + self._offset_ms

    def following(self, begin_ms: int) -> int:
        """When the bucket begins that follows the one that begins at ``begin_ms``."""
        begin_ms -= self._offset_ms
        if self._step_ms:
            return self._next_step(begin_ms) + self._offset_ms
        # Where midnight is left out, the bucket begins later on its first day.
        day = floor_unit(self._local(begin_ms), "day")
        return self._instant(_to_ms(add_units(day, self._unit, 1))) + self._offset_ms

    def _floor_step(self, at_ms: int) -> int:
        number = bisect_right(self._changes_ms, at_ms)
        ahead = self._ahead_ms[number]
        key = at_ms - (at_ms + ahead) % self._step_ms
        if number and key < self._changes_ms[number - 1]:
            return self._begun(number)
        return key

    def _begun(self, number: int) -> int:
        """When the bucket began that the clock shows right after a change, if not with it."""
        change, before, ahead = (
            self._changes_ms[number - 1],
            self._ahead_ms[number - 1],
            self._ahead_ms[number],
        )
        local = change + ahead - (change + ahead) % self._step_ms
        if self._fixed and change + before <= local < change + ahead:
            return change  # the clock never showed when it would have begun
        return self._floor_step(change - 1)

    def _next_step(self, begin_ms: int) -> int:
        number = bisect_right(self._changes_ms, begin_ms)
        at_ms = begin_ms
        while True:
            ahead = self._ahead_ms[number]
            following = at_ms - (at_ms + ahead) % self._step_ms + self._step_ms
            if number == len(self._changes_ms) or following < self._changes_ms[number]:
                return following
            at_ms = self._changes_ms[number]
            begun = self._floor_step(at_ms)
            if begun > begin_ms:
                return begun
            number += 1

    def _local(self, at_ms: int) -> datetime:
        """What calendar and clock show, as if it were UTC; within the years 2 to 9998."""
        local_ms = at_ms + self._ahead_ms[bisect_right(self._changes_ms, at_ms)]
        return _EPOCH + timedelta(milliseconds=min(max(local_ms, _FIRST_MS), _LAST_MS))

    def _instant(self, local_ms: int) -> int:
        """When the clock first shows ``local_ms``, or jumps over it."""
        for number, ahead in enumerate(self._ahead_ms):
            at_ms = local_ms - ahead
            if number == len(self._changes_ms) or at_ms < self._changes_ms[number]:
                return max(at_ms, self._changes_ms[number - 1]) if number else at_ms
        raise AssertionError("the last stretch has no end")


def _changes(zone: Zone, low_ms: int, high_ms: int) -> tuple[list[int], list[int]]:
    """When a clock is changed, and how far it is ahead of UTC before, between and after."""
    if not zone.name:
        return [], [zone.offset_ms]
    low_ms, high_ms = max(low_ms, _FIRST_MS), min(high_ms, _LAST_MS)
    changes: list[int] = []
    ahead = [_offset(zone, low_ms)]
    at_ms = low_ms
    while at_ms < high_ms:
        next_ms = min(at_ms + _LOOK_MS, high_ms)
        if _offset(zone, next_ms) != ahead[-1]:
            # Halve the stretch until the change is found.
            before, after = at_ms, next_ms
            while after - before > 1:
                middle = (before + after) // 2
                if _offset(zone, middle) == ahead[-1]:
                    before = middle
                else:
                    after = middle
            changes.append(after)
            ahead.append(_offset(zone, after))
            next_ms = after
        at_ms = next_ms
    return changes, ahead


def _offset(zone: Zone, at_ms: int) -> int:
    moment = (_EPOCH + timedelta(milliseconds=at_ms)).astimezone(zone.rules)
    ahead = moment.utcoffset()
    return 0 if ahead is None else ahead // timedelta(milliseconds=1)


def _to_ms(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)
