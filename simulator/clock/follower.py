"""A clock in another process: it reads the time that one clock shows in shared memory.

The clock that leads (``SimulatedClock``) writes where it is and how fast it runs into a page that
every process maps; ``CLOCK_MONOTONIC`` is one for all of them, so a follower knows the time without
asking. A follower shows in its slot of the page what the leader has to know before it moves: its
earliest timer, its requests under way, its holds. It writes its timer before it ends a request, so
who sees no request sees every timer that requests have set.

While time runs by itself a follower fires its own timers; where the leader steps or jumps, it asks
the follower to (``FollowerClock.wake``).
"""

import asyncio
import heapq
import mmap
from collections.abc import Callable
from math import inf
from typing import Final, Protocol

from simulator.clock.clock import Timer, first_due, monotonic

CELL_BYTES: Final = 8
HEADER_CELLS: Final = 8
"""Cells at the begin of the page that belong to the leading clock."""
SLOT_CELLS: Final = 8
"""Cells of one follower that belong to its clock."""

_VERSION: Final = 0
_ATTENTIVE: Final = 1
_BANKS: Final = (2, 5)
"""Instant, monotonic second, rate, twice: one is read while the other is written."""

_BEGUN: Final = 0
_ENDED: Final = 1
_HOLDS: Final = 2
_WAKE_AT: Final = 3


class Followers(Protocol):
    """All clocks that follow one, as that one sees them."""

    def publish(self, now: float, mono: float, rate: float, *, attentive: bool) -> None:
        """Show where time is.

        Args:
            now: the simulated instant, Unix seconds.
            mono: the monotonic second it was at ``now``.
            rate: simulated seconds per real second; 0 when time stands.
            attentive: followers are to say when they have become idle.
        """
        ...

    def next_timer_at(self) -> float | None:
        """When the earliest timer of any of them is due."""
        ...

    def is_busy(self) -> bool:
        """Whether a request, a hold or a message is on its way somewhere."""
        ...

    def wake(self, now: float) -> None:
        """Have those whose timers are due at ``now`` fire them; holds the clock until they have."""
        ...

    def resume(self) -> None:
        """Time runs by itself again: have them look at their timers. Waits for nothing."""
        ...

    async def settle(self) -> bool:
        """Return when what was set off in them is done and known here.

        Returns:
            Whether work that holds the clock is still under way in one.
        """
        ...


class ClockPage:
    """The part of a shared page that clocks use.

    Args:
        memory: begins with the header; mapped by every process.
    """

    def __init__(self, memory: mmap.mmap) -> None:
        view = memoryview(memory)
        whole = view[: len(view) - len(view) % CELL_BYTES]
        self.words = whole.cast("q")
        """The page as whole numbers."""
        self.reals = whole.cast("d")
        """The same cells as floats."""

    def publish(self, now: float, mono: float, rate: float, *, attentive: bool) -> None:
        """Write where time is; only the leader may."""
        version = self.words[_VERSION] + 1
        bank = _BANKS[version & 1]
        self.reals[bank] = now
        self.reals[bank + 1] = mono
        self.reals[bank + 2] = rate
        self.words[_ATTENTIVE] = attentive
        self.words[_VERSION] = version

    def read(self) -> tuple[int, float, float, float]:
        """Version, instant, monotonic second and rate, all of one moment."""
        words, reals = self.words, self.reals
        while True:
            version = words[_VERSION]
            bank = _BANKS[version & 1]
            found = (version, reals[bank], reals[bank + 1], reals[bank + 2])
            if words[_VERSION] == version:
                return found


class FollowerSlot:
    """One follower's cells, as both sides see them.

    Args:
        page: shared.
        first_cell: where the slot begins.
    """

    __slots__ = ("_first", "_page")

    def __init__(self, page: ClockPage, first_cell: int) -> None:
        self._page = page
        self._first = first_cell

    def reset(self) -> None:
        """Make it that of a process that has done nothing yet."""
        for cell in range(SLOT_CELLS):
            self._page.words[self._first + cell] = 0
        self._page.reals[self._first + _WAKE_AT] = inf

    @property
    def ended_count(self) -> int:
        """Requests that are over."""
        return self._page.words[self._first + _ENDED]

    @property
    def requests(self) -> int:
        """Requests under way."""
        # In this order: what is begun and ended in between must not look like less than none.
        ended = self._page.words[self._first + _ENDED]
        return self._page.words[self._first + _BEGUN] - ended

    @property
    def holds(self) -> int:
        """Pieces of work that hold the clock."""
        return self._page.words[self._first + _HOLDS]

    @property
    def wake_at(self) -> float:
        """When its earliest timer is due; infinity without any."""
        return self._page.reals[self._first + _WAKE_AT]


class FollowerClock:
    """A ``Clock`` that goes by the page.

    Args:
        page: shared with the leader.
        first_cell: of the slot of this follower.
        on_idle: told when nothing is under way here any more and the leader waits for that.

    Its timers fire on the running event loop. Of background timers the leader learns nothing.
    """

    def __init__(self, page: ClockPage, first_cell: int, on_idle: Callable[[], None]) -> None:
        self._page = page
        self._words = page.words
        self._reals = page.reals
        self._begun = first_cell + _BEGUN
        self._ended = first_cell + _ENDED
        self._holds = first_cell + _HOLDS
        self._wake_at = first_cell + _WAKE_AT
        self._on_idle = on_idle
        self._version = -1
        self._now = self._mono = self._rate = 0.0
        self._newest = -inf
        self._timers: list[tuple[float, int, Timer]] = []
        self._background: list[tuple[float, int, Timer]] = []
        self._sequence = 0
        self._handle: asyncio.Handle | None = None

    def time(self) -> float:
        """The simulated instant, Unix seconds UTC; never goes back."""
        if self._words[_VERSION] != self._version:
            self._version, self._now, self._mono, self._rate = self._page.read()
        now = self._now
        if self._rate:
            now += (monotonic() - self._mono) * self._rate
        if now > self._newest:
            self._newest = now
            return now
        return self._newest

    def call_at(
        self, when: float, callback: Callable[[], None], *, background: bool = False
    ) -> Timer:
        """Call ``callback`` once when the clock reaches ``when``; at the next turn if it has."""
        timer = Timer(when, callback)
        self._sequence += 1
        timers = self._background if background else self._timers
        heapq.heappush(timers, (when, self._sequence, timer))
        if timers[0][2] is timer:
            self._arm()
        return timer

    def acquire(self) -> None:
        """Work is in flight: the leader stays where it is until ``release``."""
        self._words[self._holds] += 1

    def release(self) -> None:
        """One piece of work is done."""
        self._words[self._holds] -= 1
        self._check_idle()

    def begin_request(self) -> None:
        """A request of the outside world is in flight."""
        self._words[self._begun] += 1

    def end_request(self) -> None:
        """The request is over."""
        words = self._words
        words[self._ended] += 1
        if words[_ATTENTIVE]:
            self._check_idle()

    def wake(self) -> None:
        """Fire what is due, and arrange for the rest: the leader has moved or runs again."""
        now = self.time()
        for timers in (self._background, self._timers):
            due: list[Timer] = []
            while timers and timers[0][0] <= now:
                due.append(heapq.heappop(timers)[2])
            for timer in due:
                if not timer.cancelled:
                    timer.callback()
        self._arm()

    def _check_idle(self) -> None:
        words = self._words
        if (
            words[_ATTENTIVE]
            and not words[self._holds]
            and words[self._begun] == words[self._ended]
        ):
            self._on_idle()

    def _arm(self) -> None:
        """Show the earliest timer, and wake for it if time runs by itself."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        due = first_due(self._timers)
        background = first_due(self._background)
        self._reals[self._wake_at] = inf if due is None else due
        soonest = min((at for at in (due, background) if at is not None), default=None)
        if soonest is None:
            return
        now = self.time()
        loop = asyncio.get_running_loop()
        if soonest <= now:
            self._handle = loop.call_soon(self.wake)
        elif self._rate:
            self._handle = loop.call_later((soonest - now) / self._rate, self.wake)
