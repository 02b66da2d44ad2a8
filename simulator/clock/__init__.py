"""Time: the one clock every room shares, and functions over it.

``Clock`` has two primitives, ``time()`` and ``call_at()``. Work that a timer sets off and that
needs real time to finish (a socket, a thread) holds the clock: a clock that jumps waits for it.
"""

from simulator.clock.clock import (
    Clock,
    ClockMode,
    Hold,
    InFlight,
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
from simulator.clock.follower import (
    CELL_BYTES,
    HEADER_CELLS,
    SLOT_CELLS,
    ClockPage,
    FollowerClock,
    Followers,
    FollowerSlot,
)

__all__ = [
    "CELL_BYTES",
    "HEADER_CELLS",
    "SLOT_CELLS",
    "Clock",
    "ClockMode",
    "ClockPage",
    "FollowerClock",
    "FollowerSlot",
    "Followers",
    "Hold",
    "InFlight",
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
