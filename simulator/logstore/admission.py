"""Lets queries in: some at work at once, the others wait in the order in which they came.

More at once would end no sooner, since each uses every processor; and what writes, delivers and
serves requests would have a smaller share of them.
"""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from simulator.clock import monotonic
from simulator.logstore.watchdog import QueryHandle, timed_out

PLACES: Final = 4
"""Queries at work at once."""


class Admission:
    """The places of one database's queries.

    Args:
        places: how many there are.
    """

    def __init__(self, places: int = PLACES) -> None:
        self._free = places
        self._waiting: deque[_Ticket] = deque()
        self._changed = threading.Condition()
        self._closed = False

    @contextmanager
    def place(self, deadline: float, handle: QueryHandle | None = None) -> Iterator[None]:
        """Wait for a place, and have it for the block.

        Args:
            deadline: of waiting, as ``monotonic`` counts.
            handle: lets another thread give up waiting.

        Raises:
            ControlError: ExecutionTimeout when the deadline passes, ``handle`` is cancelled, or
                nothing is let in any more.
        """
        ticket = _Ticket()
        with self._changed:
            if handle is not None:
                handle.stop = lambda: self._stop(ticket)
                # Looked at after it can stop us, so that no cancellation falls in between.
                ticket.is_stopped = handle.cancelled
            self._waiting.append(ticket)
            self._changed.notify_all()
            try:
                self._changed.wait_for(
                    lambda: self._is_due(ticket), max(0.0, deadline - monotonic())
                )
                if ticket.is_stopped or self._closed or not self._is_due(ticket):
                    raise timed_out()
                self._free -= 1
            finally:
                self._waiting.remove(ticket)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._free += 1
                self._changed.notify_all()

    def wait_for_queue(self, length: int, timeout_s: float) -> bool:
        """Wait until so many wait for a place; whether that came."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self._waiting) == length, timeout_s)

    def interrupt_all(self) -> None:
        """Send away everything that waits; what comes later is not touched."""
        with self._changed:
            for ticket in self._waiting:
                ticket.is_stopped = True
            self._changed.notify_all()

    def close(self) -> None:
        """Send away everything that waits, and let nothing in any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _is_due(self, ticket: "_Ticket") -> bool:
        """Whether waiting has an end, of one kind or the other."""
        if ticket.is_stopped or self._closed:
            return True
        return self._free > 0 and self._waiting[0] is ticket

    def _stop(self, ticket: "_Ticket") -> None:
        with self._changed:
            ticket.is_stopped = True
            self._changed.notify_all()


class _Ticket:
    __slots__ = ("is_stopped",)

    def __init__(self) -> None:
        self.is_stopped = False
