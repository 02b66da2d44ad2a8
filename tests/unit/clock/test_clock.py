"""The clock in its four modes; nothing here waits for real time to pass."""

import asyncio

import pytest

from simulator.clock import ClockMode, Hold, ManualClock, SimulatedClock, sleep, sleep_until

T = 1_772_323_200.0


async def test_a_manual_clock_stands_until_it_is_moved():
    clock = ManualClock(T)
    clock.start()
    fired = []
    clock.call_at(T + 5, lambda: fired.append(clock.time()))
    assert clock.time() == T
    await clock.advance(4.999)
    assert fired == []
    await clock.advance(0.001)
    assert fired == [T + 5]
    clock.stop()


async def test_timers_fire_in_order_each_at_its_own_instant():
    clock = ManualClock(T)
    clock.start()
    fired = []
    for delay in (30, 10, 20, 10):
        clock.call_at(T + delay, lambda delay=delay: fired.append((delay, clock.time() - T)))
    await clock.advance(60)
    assert fired == [(10, 10), (10, 10), (20, 20), (30, 30)]
    assert clock.time() == T + 60


async def test_a_timer_set_by_a_timer_fires_in_the_same_advance():
    clock = ManualClock(T)
    clock.start()
    fired = []

    def again() -> None:
        fired.append(clock.time() - T)
        if len(fired) < 3:
            clock.call_at(clock.time() + 10, again)

    clock.call_at(T + 10, again)
    await clock.advance(100)
    assert fired == [10, 20, 30]


async def test_a_cancelled_timer_never_fires():
    clock = ManualClock(T)
    clock.start()
    fired = []
    timer = clock.call_at(T + 1, lambda: fired.append(1))
    timer.cancel()
    timer.cancel()
    await clock.advance(2)
    assert fired == []
    assert clock.next_timer_at() is None


async def test_an_advance_waits_for_work_that_holds_the_clock():
    clock = ManualClock(T)
    clock.start()
    seen = []

    def begin() -> None:
        clock.acquire()
        asyncio.get_running_loop().call_soon(finish)

    def finish() -> None:
        seen.append(("work done at", clock.time() - T))
        clock.release()

    clock.call_at(T + 10, begin)
    clock.call_at(T + 20, lambda: seen.append(("next timer at", clock.time() - T)))
    await clock.advance(30)
    assert seen == [("work done at", 10), ("next timer at", 20)]


async def test_requests_of_the_outside_world_do_not_hold_up_an_advance():
    clock = ManualClock(T)
    clock.start()
    clock.begin_request()
    await clock.advance(10)
    assert clock.time() == T + 10
    clock.end_request()


async def test_an_instant_already_past_changes_nothing():
    clock = ManualClock(T)
    clock.start()
    await clock.advance_to(T - 100)
    assert clock.time() == T


async def test_an_auto_clock_jumps_from_timer_to_timer_when_nothing_is_in_flight():
    clock = SimulatedClock(ClockMode.AUTO, start_at=T)
    clock.start()
    fired = []
    done = asyncio.Event()
    for hour in (1, 2, 3):
        clock.call_at(T + hour * 3600, lambda hour=hour: fired.append(hour))
    clock.call_at(T + 4 * 3600, done.set)
    await done.wait()
    assert fired == [1, 2, 3]
    assert T + 4 * 3600 <= clock.time() < T + 4 * 3600 + 60
    clock.stop()


@pytest.mark.parametrize("hold", ["work", "request"])
async def test_an_auto_clock_does_not_jump_while_something_is_in_flight(hold: str):
    clock = SimulatedClock(ClockMode.AUTO, start_at=T)
    clock.start()
    fired = asyncio.Event()
    acquire, release = {
        "work": (clock.acquire, clock.release),
        "request": (clock.begin_request, clock.end_request),
    }[hold]
    acquire()
    clock.call_at(T + 3600, fired.set)
    loop = asyncio.get_running_loop()
    for _ in range(50):
        turn = loop.create_future()
        loop.call_soon(turn.set_result, None)
        await turn
    assert not fired.is_set()
    release()
    await fired.wait()
    clock.stop()


async def test_a_sleeper_wakes_at_its_instant_and_acts_before_the_clock_moves_on():
    clock = ManualClock(T)
    clock.start()
    woke = []

    async def sleeper() -> None:
        await sleep(clock, 10)
        woke.append(clock.time() - T)
        await sleep_until(clock, T + 25)
        woke.append(clock.time() - T)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(sleeper())
        await clock.advance(0)
        await clock.advance(60)
    assert woke == [10, 25]


async def test_a_real_clock_can_be_moved_and_goes_on_from_there():
    clock = SimulatedClock(ClockMode.REAL, start_at=T)
    clock.start()
    fired = []
    clock.call_at(T + 100, lambda: fired.append(clock.time()))
    await clock.advance(180)
    assert fired == [pytest.approx(T + 100)]
    assert clock.time() >= T + 180
    clock.stop()
    frozen = clock.time()
    assert clock.time() == frozen


async def test_a_scaled_clock_runs_faster():
    clock = SimulatedClock(ClockMode.SCALED, start_at=T, rate=1_000_000)
    clock.start()
    reached = asyncio.Event()
    clock.call_at(T + 1000, reached.set)
    await reached.wait()
    assert clock.time() >= T + 1000
    clock.stop()


def test_a_hold_is_released_whatever_happens():
    clock = ManualClock(T)
    with pytest.raises(ValueError, match="boom"), Hold(clock):
        raise ValueError("boom")
    clock.acquire()
    clock.release()


async def test_a_background_timer_fires_where_an_advance_ends_not_at_its_own_instant():
    clock = ManualClock(T)
    clock.start()
    fired = []
    clock.call_at(T + 10, lambda: fired.append(clock.time() - T), background=True)
    assert clock.next_timer_at() is None
    await clock.advance(9)
    assert fired == []
    await clock.advance(51)
    assert fired == [60]


async def test_a_background_timer_fires_before_the_timer_that_the_clock_stops_at():
    clock = ManualClock(T)
    clock.start()
    fired = []
    clock.call_at(T + 20, lambda: fired.append(("timer", clock.time() - T)))
    clock.call_at(T + 20, lambda: fired.append(("background", clock.time() - T)), background=True)
    clock.call_at(T + 1, lambda: fired.append(("background", clock.time() - T)), background=True)
    await clock.advance(30)
    assert fired == [("background", 20), ("background", 20), ("timer", 20)]


async def test_an_advance_waits_for_what_a_background_timer_set_off_before_the_next_timer():
    clock = ManualClock(T)
    clock.start()
    seen = []

    def begin() -> None:
        clock.acquire()
        asyncio.get_running_loop().call_soon(finish)

    def finish() -> None:
        seen.append("background work")
        clock.call_at(clock.time(), lambda: seen.append("timer set by it"))
        clock.release()

    clock.call_at(T + 5, begin, background=True)
    clock.call_at(T + 10, lambda: seen.append("timer"))
    await clock.advance(10)
    assert seen == ["background work", "timer", "timer set by it"]


async def test_a_repeating_background_timer_costs_one_turn_per_step_of_the_clock():
    clock = ManualClock(T)
    clock.start()
    fired = []

    def again() -> None:
        fired.append(clock.time() - T)
        clock.call_at(clock.time() + 3, again, background=True)

    again()
    for when in (1, 2, 100, 3600):
        clock.call_at(T + when, lambda: None)
    await clock.advance(3 * 3600)
    assert fired == [0, 100, 3600, 3 * 3600]


async def test_a_cancelled_background_timer_never_fires():
    clock = ManualClock(T)
    clock.start()
    fired = []
    timers = [clock.call_at(T + i, lambda: fired.append(1), background=True) for i in (1, 2)]
    clock.call_at(T + 1, timers[1].cancel)
    timers[0].cancel()
    await clock.advance(1)
    await clock.advance(9)
    assert fired == []


async def test_a_background_timer_already_due_fires_at_the_next_turn_on_a_standing_clock():
    clock = ManualClock(T)
    clock.start()
    fired = asyncio.Event()
    clock.call_at(T, fired.set, background=True)
    await fired.wait()


async def test_an_auto_clock_does_not_jump_to_a_background_timer_but_fires_it_on_its_way():
    clock = SimulatedClock(ClockMode.AUTO, start_at=T)
    clock.start()
    fired = []
    done = asyncio.Event()

    def again() -> None:
        fired.append(clock.time() - T)
        clock.call_at(clock.time() + 3, again, background=True)

    clock.call_at(T + 3, again, background=True)
    loop = asyncio.get_running_loop()
    for _ in range(50):
        turn = loop.create_future()
        loop.call_soon(turn.set_result, None)
        await turn
    assert clock.time() < T + 3
    for hour in (1, 2):
        clock.call_at(T + hour * 3600, lambda: None)
    clock.call_at(T + 3 * 3600, done.set)
    await done.wait()
    assert fired == [pytest.approx(hour * 3600, abs=60) for hour in (1, 2, 3)]
    clock.stop()


@pytest.mark.parametrize("mode", [ClockMode.SCALED, ClockMode.REAL])
async def test_a_running_clock_fires_background_timers_when_they_are_due(mode: ClockMode):
    clock = SimulatedClock(mode, start_at=T, rate=1_000_000)
    clock.start()
    fired = asyncio.Event()
    clock.call_at(T + (1000 if mode is ClockMode.SCALED else 0.001), fired.set, background=True)
    await fired.wait()
    clock.stop()
