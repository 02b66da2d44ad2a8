"""What all handlers of BLS share: the engine, and calling it off the event loop."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from simulator.clock import Clock, Hold
from simulator.logstore import LogStoreEngine

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
        self._clock = clock
        self._on_change = on_change

    async def call(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Do ``work`` in a thread with the clock held."""
        with Hold(self._clock):
            return await asyncio.to_thread(work, *args, **kwargs)

    async def change(
        self, operation: str, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Do ``work``, which changes a project or LogStore, and tell."""
        with Hold(self._clock):
            result = await asyncio.to_thread(work, *args, **kwargs)
            self._on_change(operation)
        return result
