"""Stops statements: those that run too long, all of them at the end, any that nobody waits for."""

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from simulator.clock import monotonic
from simulator.errors import ControlError

REPEAT_S: Final = 0.02
"""DuckDB forgets an interrupt that comes between two statements, so it is repeated."""
CLOSE_S: Final = 10.0
"""Real seconds that closing waits for statements that were interrupted."""


class Watchdog:
    """Knows the statements at work, and interrupts them from a thread of its own.

    Args:
        limit_s: seconds of real time that one reader may take.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._changed = threading.Condition()
        self._watched: dict[int, _Watched] = {}
        self._thread: threading.Thread | None = None
        self._closed = False

    def deadline_of(self, handle: "QueryHandle | None" = None) -> float:
        """When the time of a reader that begins now is up, as ``monotonic`` counts.

        Readers of one handle have one deadline, that of the first.
        """
        return (handle or QueryHandle()).begin(self._limit_s)

    @contextmanager
    def watching(
        self, interrupt: Callable[[], None], deadline: float, handle: "QueryHandle | None" = None
    ) -> Iterator[None]:
        """Call ``interrupt`` while the block runs and its time is up; never after the block.

        A deadline may be infinite.

        Raises:
            ControlError: ExecutionTimeout when it is closed, or ``handle`` cancelled, already.
        """
        entry = _Watched(interrupt, deadline)
        with self._changed:
            if self._closed:
                raise timed_out()
            if handle is not None:
                handle.stop = lambda: self._stop(entry)
                # Looked at after it can stop us, so that no cancellation falls in between.
                if handle.cancelled:
                    raise timed_out()
            self._watched[id(entry)] = entry
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="log-stores", daemon=True)
                self._thread.start()
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                del self._watched[id(entry)]
                self._changed.notify_all()

    def interrupt_all(self) -> None:
        """Interrupt everything at work; what comes later is not touched."""
        with self._changed:
            for entry in self._watched.values():
                entry.deadline = 0.0
            self._changed.notify_all()

    def close(self) -> None:
        """Interrupt everything, let nothing new begin, and wait for what is at work."""
        with self._changed:
            self._closed = True
            for entry in self._watched.values():
                entry.deadline = 0.0
            self._changed.notify_all()
            ended = self._changed.wait_for(lambda: not self._watched, CLOSE_S)
        if ended and self._thread is not None:
            self._thread.join()

    def _stop(self, entry: "_Watched") -> None:
        with self._changed:
            entry.deadline = 0.0
            self._changed.notify_all()

    def _run(self) -> None:
        with self._changed:
            while self._watched or not self._closed:
                now = monotonic()
                wait_s = math.inf
                for entry in self._watched.values():
                    left_s = entry.deadline - now
                    if left_s <= 0:
                        entry.interrupt()
                        left_s = REPEAT_S
                    wait_s = min(wait_s, left_s)
                self._changed.wait(None if math.isinf(wait_s) else wait_s)


class QueryHandle:
    """Lets whoever asked for a query give it up."""

    def __init__(self) -> None:
        self.cancelled = False
        self.stop: Callable[[], None] | None = None
        """Set by what the query is at: waiting for its place, or running."""
        self._deadline: float | None = None

    def begin(self, limit_s: float) -> float:
        """When the query's time is up, as ``monotonic`` counts.

        It is ``limit_s`` seconds from the first call on, whatever is said later.
        """
        if self._deadline is None:
            self._deadline = monotonic() + limit_s
        return self._deadline

    def cancel(self) -> None:
        """End the query soon, with ExecutionTimeout; fine before it begins and after it ends."""
        self.cancelled = True
        if self.stop is not None:
            self.stop()


class _Watched:
    __slots__ = ("deadline", "interrupt")

    def __init__(self, interrupt: Callable[[], None], deadline: float) -> None:
        self.interrupt = interrupt
        self.deadline = deadline


def timed_out() -> ControlError:
    """The error for a statement that was stopped.

    Source: doc https://cloud.baidu.com/doc/BLS/s/2k7vkicsj (2025-07) for code and status.
    """
    return ControlError("ExecutionTimeout", 408, "The query ran too long or was stopped")
