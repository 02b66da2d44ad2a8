"""Holds new requests while the spool is full, and lets them go on when delivery has made room.

A client sees only that its request takes its time. Requests that have begun are finished, so the
spool passes its bound by their records.
"""

import logging
from collections.abc import Callable
from typing import Final

from simulator.api.simulation import SpoolView
from simulator.clock import ClockMode, SimulatedClock, monotonic
from simulator.spool import Spool, WhenFull
from simulator.workload import TrafficSender
from simulator.world.serving import Serving
from simulator.world.views import Calendar

_log = logging.getLogger(__name__)

_ADVANCE: Final = "advance the clock to have records delivered"


class BackPressure:
    """What a spool that is full does to traffic; nothing if it has no bound, or drops.

    Args:
        spool: says when it is full, and when segments have been removed.
        serving: is held and let go.
        clock: moves while requests wait, for only time makes room.
        senders: the built-in traffic there is; it does not hold the clock for what waits.

    Before the first request you must call ``start``.
    """

    def __init__(
        self,
        spool: Spool,
        serving: Serving,
        *,
        clock: SimulatedClock,
        senders: Callable[[], tuple[TrafficSender, ...]],
    ) -> None:
        self._room = spool.room
        self._serving = serving
        self._clock = clock
        self._senders = senders
        self._full_since: float | None = None
        self._full_mono = 0.0
        self._blocked_s = 0.0
        self._blocked_count = 0
        if self._room is not None and self._room.blocks:
            self._room.on_full = self._hold
            spool.on_removed = self._look

    def start(self) -> None:
        """Hold at once if an earlier run left the spool full."""
        if self._room is not None:
            self._room.is_closed = False
            self._room.take(0)

    def tell_senders(self) -> None:
        """Let all built-in traffic know whether requests wait."""
        for sender in self._senders():
            if self._full_since is None:
                sender.hold_time()
            else:
                sender.let_time_pass()

    def view(self, calendar: Calendar) -> SpoolView | None:
        """For people; None if the spool has no bound."""
        room, since = self._room, self._full_since
        if room is None:
            return None
        now_s = 0.0 if since is None else monotonic() - self._full_mono
        is_manual = self._clock.mode is ClockMode.MANUAL
        return SpoolView(
            used_bytes=room.used_bytes,
            max_bytes=room.max_bytes,
            when_full=(WhenFull.BLOCK if room.blocks else WhenFull.DROP).value,
            full_since=None if since is None else calendar.iso(since),
            blocked_s=round(self._blocked_s + now_s, 3),
            blocked_count=self._blocked_count,
            advice=_ADVANCE if since is not None and is_manual else None,
        )

    def _hold(self) -> None:
        if self._full_since is not None:
            return
        self._full_since, self._full_mono = self._clock.time(), monotonic()
        self._blocked_count += 1
        hint = f"; {_ADVANCE}" if self._clock.mode is ClockMode.MANUAL else ""
        _log.warning("the spool is full: new requests wait until there is room%s", hint)
        self._serving.hold()
        self.tell_senders()

    def _look(self) -> None:
        """Segments have been removed: let requests go on if that is enough."""
        if self._full_since is None or self._room is None or not self._room.is_roomy:
            return
        self._full_since = None
        self._blocked_s += monotonic() - self._full_mono
        self._room.is_closed = False
        _log.info("the spool has room again")
        # First the clock: a request that goes on must find it held for whoever sent it.
        self.tell_senders()
        self._serving.resume()
