"""What time a client may take it to be: SDKs go by the machine's clock, not by the simulated one.

Source: assumed: an instant that a client names has to be near either clock, or between the two.
Those of an SDK beside a simulation of another day would all be refused otherwise.
"""

from typing import Final

from simulator.clock import Clock, wall_time

_MAX_AHEAD_S: Final = 86_400.0


def newest_s(clock: Clock) -> float:
    """The latest instant a client can mean: a day ahead of the later clock, Unix seconds."""
    return max(clock.time(), wall_time()) + _MAX_AHEAD_S


def oldest_s(clock: Clock, past_s: float) -> float:
    """The earliest instant a client can mean: ``past_s`` before the earlier clock, Unix seconds."""
    return min(clock.time(), wall_time()) - past_s
