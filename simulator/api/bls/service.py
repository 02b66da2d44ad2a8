"""What all handlers of BLS share: the engine, and calling it off the event loop."""

import asyncio
import contextvars
from collections.abc import Callable
from functools import partial
from typing import Any, Final, ParamSpec, TypeVar

from aiohttp import web

from simulator.clock import Clock, Hold
from simulator.logstore import LogStoreEngine, QueryHandle

CLIENT_CHECK_S: Final = 0.5
"""How often it is looked whether the client of a query is still there, real seconds."""

P = ParamSpec("P")
R = TypeVar("R")


class Service:
    """Base of the handlers.

    Args:
        engine: holds the LogStores.
        clock: held while the engine is at work.
        on_change: told the name of each operation that has changed something.
    """

    def __init__(
        self, engine: LogStoreEngine, clock: Clock, on_change: Callable[[str], None]
    ) -> None:
        self.engine = engine
        self.clock = clock
        self._on_change = on_change

    async def call(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Do ``work`` in a thread with the clock held."""
        with Hold(self.clock):
            return await asyncio.to_thread(work, *args, **kwargs)

    async def call_watched(
        self,
        request: web.Request,
        handle: QueryHandle,
        work: Callable[P, R],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """Do ``work`` like ``call``, and cancel ``handle`` once the client has gone."""
        loop = asyncio.get_running_loop()
        context = contextvars.copy_context()
        with Hold(self.clock):
            done = loop.run_in_executor(None, partial(context.run, work, *args, **kwargs))
            done.add_done_callback(_look_at)
            try:
                while not done.done():
                    await asyncio.wait((done,), timeout=CLIENT_CHECK_S)
                    if request.transport is None or request.transport.is_closing():
                        handle.cancel()
            finally:
                handle.cancel()
            return done.result()

    async def change(
        self, operation: str, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Do ``work``, which changes a project or LogStore, and tell."""
        with Hold(self.clock):
            result = await asyncio.to_thread(work, *args, **kwargs)
            self._on_change(operation)
        return result


def _look_at(done: asyncio.Future[Any]) -> None:  # Any: whatever the work gives
    """An error of work that nobody waits for any more is no news."""
    if not done.cancelled():
        done.exception()
