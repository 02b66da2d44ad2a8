"""Keeps where time is in the data directory, so that a restart goes on and not back."""

import asyncio
import logging
from typing import Final

from simulator.clock import ClockMode, SimulatedClock
from simulator.errors import StartupError
from simulator.world.state import DataDirectory

_log = logging.getLogger(__name__)

_SAVE_EVERY_S: Final = 1.0


class Timekeeper:
    """Saves the clock of one run.

    Args:
        data: of the run.
        clock: of the run; one in mode manual is saved by whoever moves it.
        seed: of the run, which the next must have too.

    After ``start`` you must call ``stop``.
    """

    def __init__(self, data: DataDirectory, clock: SimulatedClock, *, seed: int) -> None:
        self._data = data
        self._clock = clock
        self._seed = seed
        self._began_at = data.began_at
        self._timer: asyncio.TimerHandle | None = None

    @property
    def began_at(self) -> float:
        """The first instant of the first run: now, if nobody has asked before."""
        if self._began_at is None:
            self._began_at = self._clock.time()
        return self._began_at

    def save(self) -> None:
        """Keep where time is.

        Raises:
            StartupError: the disk refuses.
        """
        self._data.save(seed=self._seed, clock_at=self._clock.time(), began_at=self.began_at)

    def start(self) -> None:
        """Save now, and every second in case of a crash.

        Raises:
            StartupError: the disk refuses now; what it refuses later is only logged.
        """
        self.save()
        if self._clock.mode is not ClockMode.MANUAL:
            self._save_later()

    def stop(self) -> None:
        """Save no more by itself. Fine to call twice."""
        if self._timer is not None:
            self._timer.cancel()

    def _save_later(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_SAVE_EVERY_S, self._save_again)

    def _save_again(self) -> None:
        try:
            self.save()
        except StartupError as error:
            _log.warning("%s", error)
        self._save_later()
