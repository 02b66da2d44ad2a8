"""The one thread that loads, and the clock that waits for it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from simulator.clock import Clock

_Result = TypeVar("_Result")


class Worker:
    """Does one thing after the other on a thread, holding the clock throughout.

    Args:
        on_done: called on the loop after each job, when its result has been dealt with.

    After ``start`` you must call ``aclose`` on the same event loop.
    """

    def __init__(self, clock: Clock, on_done: Callable[[], None]) -> None:
        self._clock = clock
        self._on_done = on_done
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="delivery")
        self._jobs: set[Future[Any]] = set()  # each job has its own kind of result
        self._loop: asyncio.AbstractEventLoop | None = None
        self._idle: asyncio.Future[None] | None = None

    def start(self) -> None:
        """Take the running loop for the one that results come back to."""
        self._loop = asyncio.get_running_loop()

    def submit(self, work: Callable[[], _Result], finish: Callable[[_Result], None]) -> None:
        """Do ``work`` on the thread and ``finish`` on the loop."""
        assert self._loop is not None
        loop = self._loop
        self._clock.acquire()
        job = self._executor.submit(work)
        self._jobs.add(job)

        def on_loop() -> None:
            self._jobs.discard(job)
            try:
                if not job.cancelled():
                    finish(job.result())
            finally:
                self._clock.release()
                self._on_done()
                if self._idle is not None and not self._jobs and not self._idle.done():
                    self._idle.set_result(None)

        job.add_done_callback(lambda _: loop.call_soon_threadsafe(on_loop))

    async def aclose(self) -> None:
        """Finish what runs, drop what waits. Fine to call twice."""
        for job in tuple(self._jobs):
            job.cancel()
        if self._jobs:
            self._idle = asyncio.get_running_loop().create_future()
            await self._idle
        self._executor.shutdown()
