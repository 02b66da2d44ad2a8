"""What all handlers of BLS share: the engine, and calling it off the event loop."""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import Executor
from functools import cached_property, partial
from typing import Any, Final, ParamSpec, TypeVar

from aiohttp import web

from simulator.api.bls.remarks import Remarks
from simulator.api.bls.wire import json_response
from simulator.api.bls.workers import Workers
from simulator.clock import Clock, InFlight
from simulator.logstore import LogStoreEngine, QueryHandle

CLIENT_CHECK_S: Final = 0.5
"""How often it is looked whether the client of a query is still there, real seconds."""

P = ParamSpec("P")
R = TypeVar("R")


class Service:
    """Base of the handlers.

    Args:
        engine: holds the LogStores.
        clock: does not jump while the engine is at work.
        on_change: told each time that something has changed.
        workers: the threads that the engine works in.
    """

    def __init__(
        self,
        engine: LogStoreEngine,
        clock: Clock,
        on_change: Callable[[], None],
        workers: Workers,
    ) -> None:
        self.engine = engine
        self.clock = clock
        self._on_change = on_change
        self._workers = workers

    @cached_property
    def remarks(self) -> Remarks:
        """What is said on the terminal."""
        return Remarks(self.clock)

    async def call(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Do ``work``, which runs no statement of the caller's, in a thread; no clock jumps."""
        with InFlight(self.clock):
            return await _start(self._workers.changes, work, *args, **kwargs)

    async def query(
        self,
        request: web.Request,
        handle: QueryHandle,
        work: Callable[P, R],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """Do ``work``, which is a query, and cancel ``handle`` once the client has gone.

        Raises:
            ControlError: RequestLimited; and what ``work`` raises.
        """
        with self._workers.querying():
            pool = self._workers.queries
            return await self._watched(request, handle, pool, work, *args, **kwargs)

    async def pull(
        self,
        request: web.Request,
        handle: QueryHandle,
        work: Callable[P, R],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """The same for what waits for no query."""
        return await self._watched(request, handle, self._workers.pulls, work, *args, **kwargs)

    async def _watched(
        self,
        request: web.Request,
        handle: QueryHandle,
        pool: Executor,
        work: Callable[P, R],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        with InFlight(self.clock):
            done = _start(pool, work, *args, **kwargs)
            done.add_done_callback(_look_at)
            try:
                while not done.done():
                    await asyncio.wait((done,), timeout=CLIENT_CHECK_S)
                    if request.transport is None or request.transport.is_closing():
                        handle.cancel()
            finally:
                handle.cancel()
            return done.result()

    async def change(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Do ``work``, which changes a resource, and tell."""
        with InFlight(self.clock):
            result = await _start(self._workers.changes, work, *args, **kwargs)
            self.tell()
        return result

    async def confirm(
        self, work: Callable[P, object], *args: P.args, **kwargs: P.kwargs
    ) -> web.Response:
        """Answer a ``change`` of which nothing is to be said but that it was made."""
        await self.change(work, *args, **kwargs)
        return json_response({"message": ""})

    def tell(self) -> None:
        """Say that something has changed."""
        self._on_change()


def _start(
    pool: Executor, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs
) -> "asyncio.Future[R]":
    context = contextvars.copy_context()
    loop = asyncio.get_running_loop()
    return loop.run_in_executor(pool, partial(context.run, work, *args, **kwargs))


def _look_at(done: asyncio.Future[Any]) -> None:  # Any: whatever the work gives
    """An error of work that nobody waits for any more is no news."""
    if not done.cancelled():
        done.exception()
