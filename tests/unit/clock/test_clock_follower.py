"""A clock that reads the time from a page; leader and follower share one process here."""

import asyncio
import mmap
from collections.abc import Callable
from math import inf

import pytest

from simulator.clock import (
    HEADER_CELLS,
    ClockMode,
    ClockPage,
    FollowerClock,
    FollowerSlot,
    ManualClock,
    SimulatedClock,
)

T = 1_772_323_200.0


class OneFollower:
    """What stands between a leader and one follower, with a turn of the loop for every message."""

    def __init__(self, leader: SimulatedClock) -> None:
        self.page = ClockPage(mmap.mmap(-1, 4096))
        self.slot = FollowerSlot(self.page, HEADER_CELLS)
        self.slot.reset()
        self._leader = leader
        self.idle_count = 0
        self.clock = FollowerClock(self.page, HEADER_CELLS, self._idle)
        leader.lead(self)

    def _idle(self) -> None:
        self.idle_count += 1
        self._leader.nudge()

    def publish(self, now: float, mono: float, rate: float, *, attentive: bool) -> None:
        self.page.publish(now, mono, rate, attentive=attentive)

    def next_timer_at(self) -> float | None:
        return None if self.slot.wake_at == inf else self.slot.wake_at

    def is_busy(self) -> bool:
        return bool(self.slot.requests or self.slot.holds)

    def wake(self, now: float) -> None:
        if self.slot.wake_at <= now:
            self._leader.acquire()
            self._later(lambda: (self.clock.wake(), self._leader.release()))

    def resume(self) -> None:
        self._later(self.clock.wake)

    async def settle(self) -> bool:
        await asyncio.sleep(0)
        return bool(self.slot.holds)

    def _later(self, callback: Callable[[], object]) -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(loop.call_soon, callback)


@pytest.fixture
async def manual():
    leader = ManualClock(T)
    follower = OneFollower(leader)
    leader.start()
    yield leader, follower
    leader.stop()


async def test_it_shows_the_leader_s_time(manual):
    leader, follower = manual
    assert follower.clock.time() == T
    await leader.advance(12.5)
    assert follower.clock.time() == T + 12.5


async def test_an_advance_fires_timers_of_both_each_at_its_instant(manual):
    leader, follower = manual
    fired = []

    def fire(name: str) -> Callable[[], None]:
        return lambda: fired.append((name, leader.time() - T, follower.clock.time() - T))

    follower.clock.call_at(T + 2, fire("follower"))
    leader.call_at(T + 1, fire("leader"))
    leader.call_at(T + 3, fire("leader"))
    follower.clock.call_at(T + 4, fire("follower"))
    assert leader.next_timer_at() == T + 1
    await leader.advance(10)
    assert fired == [("leader", 1, 1), ("follower", 2, 2), ("leader", 3, 3), ("follower", 4, 4)]
    assert leader.next_timer_at() is None


async def test_a_timer_set_by_a_timer_of_a_follower_fires_in_the_same_advance(manual):
    leader, follower = manual
    fired = []

    def again() -> None:
        fired.append(follower.clock.time() - T)
        if len(fired) < 3:
            follower.clock.call_at(follower.clock.time() + 10, again)

    follower.clock.call_at(T + 10, again)
    await leader.advance(100)
    assert fired == [10, 20, 30]


async def test_an_advance_waits_for_work_that_a_follower_holds_it_for(manual):
    leader, follower = manual
    done = []

    def begin() -> None:
        follower.clock.acquire()
        asyncio.get_running_loop().call_later(0.02, end)

    def end() -> None:
        done.append(leader.time() - T)
        follower.clock.release()

    follower.clock.call_at(T + 1, begin)
    await leader.advance(60)
    assert done == [1]


async def test_a_timer_that_is_due_already_fires_at_the_next_turn(manual):
    _, follower = manual
    fired = asyncio.Event()
    follower.clock.call_at(T - 1, fired.set)
    await fired.wait()
    assert follower.slot.wake_at == inf


async def test_a_cancelled_timer_and_one_in_the_background_move_nothing(manual):
    leader, follower = manual
    fired = []
    follower.clock.call_at(T + 1, lambda: fired.append("cancelled")).cancel()
    follower.clock.call_at(T + 2, lambda: fired.append("background"), background=True)
    follower.clock.call_at(T + 3, lambda: fired.append("timer"))
    assert leader.next_timer_at() in (T + 1, T + 3)
    await leader.advance(5)
    assert fired == ["background", "timer"]


async def test_a_clock_that_jumps_goes_to_a_follower_s_timer_when_nothing_is_under_way():
    leader = SimulatedClock(ClockMode.AUTO, start_at=T)
    follower = OneFollower(leader)
    leader.start()
    fired = asyncio.Event()
    at = []
    follower.clock.begin_request()
    # As a record does: its timer is set before its request ends.
    follower.clock.call_at(T + 3600, lambda: (at.append(follower.clock.time()), fired.set()))
    for _ in range(20):
        await asyncio.sleep(0)
    assert leader.time() < T + 60
    follower.clock.end_request()
    assert follower.idle_count == 1
    await fired.wait()
    assert at[0] >= T + 3600
    assert leader.time() < T + 3660
    leader.stop()


async def test_a_running_clock_needs_no_leader_to_fire():
    leader = SimulatedClock(ClockMode.SCALED, start_at=T, rate=1000.0)
    follower = OneFollower(leader)
    leader.start()
    fired = asyncio.Event()
    follower.clock.call_at(follower.clock.time() + 5, fired.set)
    await fired.wait()
    assert follower.clock.time() >= T + 5
    assert follower.idle_count == 0
    leader.stop()


async def test_time_never_goes_back(manual):
    leader, follower = manual
    await leader.advance(10)
    seen = follower.clock.time()
    follower.publish(T + 9, 0.0, 0.0, attentive=False)
    assert follower.clock.time() == seen


async def test_requests_are_counted_where_both_see_them(manual):
    _, follower = manual
    for _ in range(3):
        follower.clock.begin_request()
    follower.clock.end_request()
    assert (follower.slot.requests, follower.slot.ended_count) == (2, 1)
    # A manual clock does not wait to jump, so nobody is told.
    follower.clock.end_request()
    follower.clock.end_request()
    assert follower.idle_count == 0
