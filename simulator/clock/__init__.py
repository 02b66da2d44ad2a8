"""Time: the one clock every room shares, and functions over it.

``Clock`` has two primitives, ``time()`` and ``call_at()``. Work that a timer sets off and that
needs real time to finish (a socket, a thread) holds the clock: a clock that jumps waits for it.
"""

from simulator.clock.clock import (
    Clock,
    ClockMode,
    Hold,
    ManualClock,
    SimulatedClock,
    Timer,
    monotonic,
    pause,
    real_sleep,
    sleep,
    sleep_until,
    wall_time,
)

__all__ = [
    "Clock",
    "ClockMode",
    "Hold",
    "ManualClock",
    "SimulatedClock",
    "Timer",
    "monotonic",
    "pause",
    "real_sleep",
    "sleep",
    "sleep_until",
    "wall_time",
]
