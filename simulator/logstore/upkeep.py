"""The LogStores' own work on the clock: what expires, is shipped, or is watched.

Jobs say when they want to run next; one background timer wakes the earliest. The clock is held
while they work, in a thread, so a clock that is moved on never overtakes them.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Final, Protocol, TypeAlias

import duckdb

from simulator.clock import Clock, Timer
from simulator.errors import SimulatorError

_log = logging.getLogger(__name__)

RETRY_S: Final = 60.0
"""After which a job that failed runs again, simulated seconds."""

IsStopped: TypeAlias = Callable[[], bool]
"""Asked by a job where it can leave the rest for another time."""

Spawn: TypeAlias = Callable[[Coroutine[None, None, None], str], object]
"""Starts a named task in the group of whoever owns it."""


def never() -> bool:
    """Nobody stops it."""
    return False


class Job(Protocol):
    """Something that is done again and again."""

    def next_at(self) -> float | None:
        """When to run next, Unix seconds; None for not at all."""
        ...

    def run(self, now: float, is_stopped: IsStopped) -> None:
        """Do what is due at ``now``, from a thread. Leaves ``next_at`` in the future.

        Once ``is_stopped``, it returns soon; what is left is done when it is started again.
        """
        ...


class Upkeep:
    """Runs jobs when they are due.

    After ``start`` you must call ``aclose`` on the same event loop.

    Args:
        jobs: in the order in which those due at one instant run.
        clock: tells when; its background timers, so that no clock jumps or steps for upkeep.
        spawn: starts the tasks that jobs run in.
    """

    def __init__(self, jobs: Sequence[Job], clock: Clock, spawn: Spawn) -> None:
        self._jobs = tuple(jobs)
        self._clock = clock
        self._spawn = spawn
        self._timer: Timer | None = None
        self._started = False
        self._working = False
        self._retry_at: dict[int, float] = {}
        self._idle = asyncio.Event()
        self._idle.set()

    def start(self) -> None:
        """Begin."""
        self._started = True
        self.look()

    def look(self) -> None:
        """Ask the jobs anew when they want to run; to be called when that may have changed."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._started or self._working:
            return
        due = [at for index in range(len(self._jobs)) if (at := self._next_at(index)) is not None]
        if due:
            self._timer = self._clock.call_at(min(due), self._wake, background=True)

    def stop(self) -> None:
        """Run nothing more, and let what runs come to an end. Fine to call twice."""
        self._started = False
        self.look()

    async def aclose(self) -> None:
        """Stop, and wait for what runs. Fine to call twice."""
        self.stop()
        await self._idle.wait()

    def _is_stopped(self) -> bool:
        return not self._started

    def _next_at(self, index: int) -> float | None:
        at = self._jobs[index].next_at()
        return None if at is None else max(at, self._retry_at.get(index, at))

    def _wake(self) -> None:
        self._timer = None
        self._working = True
        self._idle.clear()
        self._clock.acquire()
        self._spawn(self._work(), "log store upkeep")

    async def _work(self) -> None:
        try:
            await asyncio.to_thread(self._run_due, self._clock.time())
        finally:
            self._working = False
            self._idle.set()
            self.look()
            self._clock.release()

    def _run_due(self, now: float) -> None:
        for index, job in enumerate(self._jobs):
            at = self._next_at(index)
            if at is None or at > now or self._is_stopped():
                continue
            try:
                job.run(now, self._is_stopped)
                self._retry_at.pop(index, None)
            except (SimulatorError, duckdb.Error, OSError) as error:
                if self._is_stopped():
                    return  # interrupted; it goes on when it is started again
                self._retry_at[index] = now + RETRY_S
                _log.warning("%s failed: %s", type(job).__name__, error)
