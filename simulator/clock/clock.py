"""The simulated clock: one engine, four modes.

========  ==========================================================================
real      runs with the machine's clock, from any start
scaled    runs ``rate`` times as fast
manual    stands still; moves only when told
auto      real time while something holds it, otherwise jumps to the next timer
========  ==========================================================================

Every mode can be advanced: the timers on the way fire in order, each at its own instant, and the
clock waits after each for the work it set off. No other module reads the machine's time.

A background timer never makes time move. A clock that runs fires it when it is due; a clock that
jumps or is advanced passes over its instant and fires it where it lands, at the next other timer
or at the end of the advance, before anything else there. So what repeats every few seconds costs
one turn per step of the clock, not one per period, and keeps no run from coming to its end.
"""

import asyncio
import heapq
import time as os_time
from collections.abc import Callable
from enum import StrEnum
from types import TracebackType
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from simulator.clock.follower import Followers

monotonic: Final = os_time.monotonic
"""Seconds for measuring a duration inside one request, unaffected by any clock."""

wall_time: Final = os_time.time
"""The machine's own time; only for validity of signatures made by clients on their wall clock."""


pause: Final = os_time.sleep
"""Real seconds of waiting for another process; never on an event loop."""


class ClockMode(StrEnum):
    """How a clock moves on its own."""

    REAL = "real"
    SCALED = "scaled"
    MANUAL = "manual"
    AUTO = "auto"


class Timer:
    """A callback waiting for its instant."""

    __slots__ = ("callback", "cancelled", "when")

    def __init__(self, when: float, callback: Callable[[], None]) -> None:
        self.when = when
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        """Never call it; fine to call twice or after it fired."""
        self.cancelled = True


class Clock(Protocol):
    """What every room may ask of time."""

    def time(self) -> float:
        """The simulated instant, Unix seconds UTC."""
        ...

    def call_at(
        self, when: float, callback: Callable[[], None], *, background: bool = False
    ) -> Timer:
        """Call ``callback`` once when the clock reaches ``when``; at the next turn if it has.

        Args:
            when: Unix seconds.
            callback: may set further timers.
            background: no reason for a clock to jump or to step; called late, with the clock
                where it landed, when it passes ``when`` on the way to something else.
        """
        ...

    def acquire(self) -> None:
        """Work is in flight: do not jump until ``release``. Counts, so it nests."""
        ...

    def release(self) -> None:
        """The work is done."""
        ...

    def begin_request(self) -> None:
        """A request of the outside world is in flight: an auto clock runs in real time.

        Unlike ``acquire`` it never holds up an advance: a client may take as long as it likes.
        """
        ...

    def end_request(self) -> None:
        """The request is over."""
        ...


class Hold:
    """``with Hold(clock):`` keeps a jumping clock at this instant for the length of the block."""

    __slots__ = ("_clock",)

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def __enter__(self) -> None:
        self._clock.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._clock.release()


class InFlight:
    """``with InFlight(clock):`` marks the block as a request of the outside world.

    A jumping clock stays at this instant for the length of it; an advance does not wait for it, or
    clients that call without a pause would keep the clock from ever being moved.
    """

    __slots__ = ("_clock",)

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def __enter__(self) -> None:
        self._clock.begin_request()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._clock.end_request()


class SimulatedClock:
    """The engine behind all four modes.

    Args:
        mode: how it moves on its own.
        start_at: the first instant, Unix seconds; the machine's time if not given.
        rate: simulated seconds per real second, ``scaled`` only.

    It stands still until ``start()``, which needs a running event loop.
    """

    def __init__(
        self,
        mode: ClockMode = ClockMode.REAL,
        *,
        start_at: float | None = None,
        rate: float = 1.0,
    ) -> None:
        self.mode = mode
        self.rate = 0.0 if mode is ClockMode.MANUAL else rate if mode is ClockMode.SCALED else 1.0
        self._anchor_sim = wall_time() if start_at is None else start_at
        self._anchor_mono = monotonic()
        self._running = False
        self._stepping = False
        self._holds = 0
        self._requests = 0
        self._timers: list[tuple[float, int, Timer]] = []
        self._background: list[tuple[float, int, Timer]] = []
        self._sequence = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wakeup: asyncio.TimerHandle | None = None
        self._idle_check: asyncio.Handle | None = None
        self._settled: asyncio.Event = asyncio.Event()
        self._advance_lock = asyncio.Lock()
        self._followers: Followers | None = None

    def lead(self, followers: "Followers") -> None:
        """Be the clock of other processes too; only before ``start``.

        Their timers move time as its own do, and what is under way in them keeps it from jumping.
        """
        assert not self._running
        self._followers = followers
        self._publish()

    def nudge(self) -> None:
        """Something in a follower is over: a clock that jumps may do so now."""
        if self.mode is ClockMode.AUTO and self._running:
            self._check_idle_soon()

    def set_start(self, start_at: float) -> None:
        """Begin at another instant; only before ``start``."""
        assert not self._running
        self._anchor_sim = start_at
        self._publish()

    def start(self) -> None:
        """Let time flow; after calling this, you must call ``stop`` on the same loop."""
        self._loop = asyncio.get_running_loop()
        self._anchor_mono = monotonic()
        self._running = True
        self._publish()
        if self._followers is not None:
            self._followers.resume()
        self._rearm()

    def stop(self) -> None:
        """Freeze the clock and forget its wake-ups; timers stay. Fine to call twice."""
        self._anchor_sim = self.time()
        self._running = False
        self._publish()
        for handle in (self._wakeup, self._idle_check):
            if handle is not None:
                handle.cancel()
        self._wakeup = self._idle_check = None

    def time(self) -> float:
        """The simulated instant, Unix seconds UTC."""
        if not self._running or self._stepping or self.rate == 0.0:
            return self._anchor_sim
        return self._anchor_sim + (monotonic() - self._anchor_mono) * self.rate

    def call_at(
        self, when: float, callback: Callable[[], None], *, background: bool = False
    ) -> Timer:
        """Call ``callback`` once when the clock reaches ``when``; at the next turn if it has.

        A ``background`` timer is no reason to jump or to step, see the module.
        """
        timer = Timer(when, callback)
        self._sequence += 1
        timers = self._background if background else self._timers
        heapq.heappush(timers, (when, self._sequence, timer))
        if self._running and timers[0][2] is timer:
            self._rearm()
        return timer

    def acquire(self) -> None:
        """Work is in flight: a jumping clock stays where it is until ``release``."""
        self._holds += 1

    def release(self) -> None:
        """One piece of work is done."""
        self._holds -= 1
        if self._holds == 0:
            self._settled.set()
            if self.mode is ClockMode.AUTO and self._running:
                self._check_idle_soon()

    def begin_request(self) -> None:
        """A request of the outside world is in flight: an auto clock runs in real time."""
        self._requests += 1

    def end_request(self) -> None:
        """The request is over."""
        self._requests -= 1
        if self._requests == 0 and self.mode is ClockMode.AUTO and self._running:
            self._check_idle_soon()

    def next_timer_at(self) -> float | None:
        """When the earliest timer that moves time is due; None if there is none."""
        due = first_due(self._timers)
        followers = None if self._followers is None else self._followers.next_timer_at()
        if due is None or followers is None:
            return followers if due is None else due
        return min(due, followers)

    async def advance(self, seconds: float) -> None:
        """Move ``seconds`` forward, firing every timer on the way at its instant."""
        await self.advance_to(self.time() + seconds)

    async def advance_to(self, when: float) -> None:
        """Move to ``when``; returns when all that became due on the way is done.

        Each timer fires with the clock at its own instant, and what it set off and holds the
        clock is waited for before the next. Background timers passed on the way fire, and are
        waited for, at the instant of the next timer before it, or at ``when``. An instant already
        past changes nothing.
        """
        async with self._advance_lock:
            self._anchor_sim = self.time()
            self._stepping = True
            self._publish()
            try:
                await self._settle()
                while True:
                    due = self.next_timer_at()
                    at_end = due is None or due > when
                    self._set(max(self._anchor_sim, when if due is None else min(due, when)))
                    if self._fire_background():
                        # It may have set a timer for this very instant: look again.
                        await self._settle()
                        continue
                    if at_end:
                        break
                    self._wake_followers()
                    self._fire_due()
                    await self._settle()
            finally:
                self._stepping = False
                self._set(self._anchor_sim)
                if self._followers is not None:
                    self._followers.resume()
                self._rearm()

    def _set(self, now: float) -> None:
        self._anchor_sim = now
        self._anchor_mono = monotonic()
        self._publish()

    def _publish(self) -> None:
        """Show followers where time is and how fast it runs."""
        if self._followers is not None:
            self._followers.publish(
                self._anchor_sim,
                self._anchor_mono,
                self.rate if self._running and not self._stepping else 0.0,
                attentive=self.mode is ClockMode.AUTO,
            )

    def _wake_followers(self) -> None:
        if self._followers is not None:
            self._followers.wake(self.time())

    async def _settle(self) -> None:
        """Wait until nothing holds the clock, twice in a row over a few turns of the loop."""
        quiet_turns = 0
        while quiet_turns < 3:
            if self._holds:
                quiet_turns = 0
                self._settled.clear()
                await self._settled.wait()
            else:
                quiet_turns += 1
                await _next_turn()
                if quiet_turns == 3 and self._followers is not None:
                    # Their answers may have set off something here.
                    still_held = await self._followers.settle()
                    quiet_turns = 0 if still_held or self._holds else quiet_turns

    def _fire_background(self) -> bool:
        """Fire the background timers whose instant is reached or passed; whether any was."""
        now = self.time()
        due: list[Timer] = []
        while self._background and self._background[0][0] <= now:
            timer = heapq.heappop(self._background)[2]
            if not timer.cancelled:
                due.append(timer)
        # One that sets itself again for an instant already past waits for its next turn.
        for timer in due:
            if not timer.cancelled:
                timer.callback()
        return bool(due)

    def _fire_due(self) -> None:
        now = self.time()
        while self._timers and self._timers[0][0] <= now:
            timer = heapq.heappop(self._timers)[2]
            if not timer.cancelled:
                timer.callback()

    def _rearm(self) -> None:
        """Arrange to wake for the earliest timer."""
        if self._wakeup is not None:
            self._wakeup.cancel()
            self._wakeup = None
        if not self._running or self._stepping or self._loop is None:
            return
        if self.mode is ClockMode.AUTO and self._holds == 0 and self.next_timer_at() is not None:
            self._check_idle_soon()
        both = [
            at for at in (first_due(self._timers), first_due(self._background)) if at is not None
        ]
        if not both:
            return
        wake_at = min(both)
        if self.rate > 0.0:
            delay_s = max(0.0, (wake_at - self.time()) / self.rate)
            self._wakeup = self._loop.call_later(delay_s, self._on_wakeup)
        elif wake_at <= self._anchor_sim:
            self._wakeup = self._loop.call_later(0.0, self._on_wakeup)

    def _on_wakeup(self) -> None:
        self._wakeup = None
        if self._stepping or not self._running:
            return
        self._fire_background()
        self._fire_due()
        self._rearm()

    def _check_idle_soon(self) -> None:
        if self._idle_check is None and self._loop is not None:
            # Two turns: a finished request lets its client send the next one first.
            self._idle_check = self._loop.call_soon(self._idle_once)

    def _idle_once(self) -> None:
        assert self._loop is not None
        self._idle_check = self._loop.call_soon(self._idle_twice)

    def _idle_twice(self) -> None:
        self._idle_check = None
        if self._holds or self._requests or self._stepping or not self._running:
            return
        if self._followers is not None and self._followers.is_busy():
            return
        due = self.next_timer_at()
        if due is None:
            return
        if due > self.time():
            self._set(due)
        # What is passed over fires first, and all of it now: waiting for what it sets off would
        # make the timers of this instant late, since time runs while something holds the clock.
        self._wake_followers()
        self._fire_background()
        self._fire_due()
        self._rearm()


class ManualClock(SimulatedClock):
    """A clock that stands still until it is told; the one exact timing is asserted on."""

    def __init__(self, start_at: float = 0.0) -> None:
        super().__init__(ClockMode.MANUAL, start_at=start_at)


def first_due(timers: list[tuple[float, int, Timer]]) -> float | None:
    """When the first timer of a heap is due that is not cancelled; None if there is none."""
    while timers and timers[0][2].cancelled:
        heapq.heappop(timers)
    return timers[0][0] if timers else None


async def _next_turn() -> None:
    await asyncio.sleep(0)


async def sleep(clock: Clock, seconds: float) -> None:
    """Suspend for ``seconds`` of simulated time."""
    await sleep_until(clock, clock.time() + seconds)


async def sleep_until(clock: Clock, when: float) -> None:
    """Suspend until the clock reaches ``when``.

    The clock is held for the one step in which the sleeper wakes, so work it starts there can
    take its own hold before a jumping clock moves on.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not future.done():
            clock.acquire()
            future.set_result(None)
            loop.call_soon(clock.release)

    timer = clock.call_at(when, wake)
    try:
        await future
    finally:
        timer.cancel()


async def real_sleep(seconds: float) -> None:
    """Suspend for real seconds, for what takes its time on real sockets whatever the clock does."""
    await asyncio.sleep(seconds)
