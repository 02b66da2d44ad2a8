"""What the terminal is told of calls that are valid and can hardly have been meant.

They are answered as the service answers them: nothing here changes an answer.
"""

import logging
import math
from collections.abc import Callable, Sequence
from typing import Final

from simulator.api.bls.wire import date_time
from simulator.clock import Clock, monotonic, wall_time
from simulator.logstore import LogStore, NewRecord

_EVERY_S: Final = 60.0
_DAY_MS: Final = 86_400_000
_HOUR_MS: Final = 3_600_000
_MINUTE_MS: Final = 60_000
_SECONDS_BELOW_MS: Final = 100_000_000_000
"""In 1973. What is meant as seconds, and not of the year 5138, is less."""

_log = logging.getLogger(__name__)


class Remarks:
    """Says each kind of thing once a minute of real time.

    Args:
        clock: the simulated one.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._silent_until: dict[str, float] = {}

    def nothing_read(
        self,
        name: str,
        start_ms: float,
        end_ms: float,
        is_empty: Callable[[], bool] = lambda: True,
    ) -> None:
        """To be called when nothing was found in a range of time.

        Args:
            name: of what was read.
            start_ms: of the range, which may be open.
            end_ms: of the range, which may be open.
            is_empty: whether there is no record at all in it; asked where the range is odd.
        """
        now_ms, wall_ms = self._clock.time() * 1000, wall_time() * 1000
        is_around_wall = start_ms - _HOUR_MS <= wall_ms <= end_ms + _HOUR_MS
        is_around_now = start_ms - _DAY_MS <= now_ms <= end_ms + _DAY_MS
        if is_around_wall and not is_around_now:
            why = "around the machine's time; simulated time, which flow logs go by, is"
        elif start_ms > now_ms + _MINUTE_MS:
            why = "which is still to come; times without an offset are UTC, and it is"
        else:
            return
        if self._may_say("range") and is_empty():
            span = " ".join(
                f"{word} {_shown(at_ms)}"
                for word, at_ms in (("from", start_ms), ("to", end_ms))
                if math.isfinite(at_ms)
            )
            self._say("range", f"{name} has nothing {span}, {why} {_shown(now_ms)}")

    def pushed(self, log_store: LogStore, records: Sequence[NewRecord]) -> None:
        """To be called when a LogStore has taken the records of a client."""
        days = log_store.settings.retention_days
        oldest_ms = min(record.timestamp_ms or math.inf for record in records)
        if days < 0 or oldest_ms >= self._clock.time() * 1000 - days * _DAY_MS:
            return
        hint = "; timestamps are milliseconds" if 0 < oldest_ms < _SECONDS_BELOW_MS else ""
        self._say(
            "retention",
            f"{log_store.project}/{log_store.name} took a record of {_shown(oldest_ms)} (timestamp "
            f"{oldest_ms:.0f}) that nobody can read: it keeps {days} days, and it is "
            f"{_shown(self._clock.time() * 1000)}{hint}",
        )

    def _may_say(self, kind: str) -> bool:
        return monotonic() >= self._silent_until.get(kind, 0.0)

    def _say(self, kind: str, text: str) -> None:
        if self._may_say(kind):
            self._silent_until[kind] = monotonic() + _EVERY_S
            _log.warning("%s", text)


def _shown(at_ms: float) -> str:
    return date_time(at_ms / 1000)
