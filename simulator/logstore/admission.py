"""Lets queries in: some at work at once, the others wait in the order in which they came.

More at once would end no sooner, since each uses every processor; and what writes, delivers and
serves requests would have a smaller share of them. What the values of all that are at work take
together is bounded too.
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
_SMALL_BYTES: Final = 1024 * 1024
"""That nobody has to wait for."""


class Admission:
    """The places of one database's queries, and the memory for their values.

    Args:
        byte_count: that the values of all queries at work may take.
        places: how many there are.
    """

    def __init__(self, byte_count: int, places: int = PLACES) -> None:
        self._changed = threading.Condition()
        self._places = _Stock(self._changed, places)
        self._bytes = _Stock(self._changed, byte_count)

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
        with self._places.taken(1, deadline, handle):
            yield

    @contextmanager
    def room(
        self, byte_count: int, deadline: float, handle: QueryHandle | None = None
    ) -> Iterator[None]:
        """Wait until there is room for values of so many bytes, and keep it for the block.

        Raises:
            ControlError: as ``place``.
        """
        if byte_count <= _SMALL_BYTES:
            yield
            return
        with self._bytes.taken(byte_count, deadline, handle):
            yield

    def wait_for_queue(self, length: int, timeout_s: float) -> bool:
        """Wait until so many wait for a place; whether that came."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self._places.waiting) == length, timeout_s)

    def interrupt_all(self) -> None:
        """Send away everything that waits; what comes later is not touched."""
        with self._changed:
            for ticket in (*self._places.waiting, *self._bytes.waiting):
                ticket.is_stopped = True
            self._changed.notify_all()

    def close(self) -> None:
        """Send away everything that waits, and let nothing in any more."""
        with self._changed:
            self._places.is_closed = self._bytes.is_closed = True
            self._changed.notify_all()


class _Stock:
    """So many of something, given out in the order in which it is asked for."""

    def __init__(self, changed: threading.Condition, amount: int) -> None:
        self._changed = changed
        self._free = amount
        self.waiting: deque[_Ticket] = deque()
        self.is_closed = False

    @contextmanager
    def taken(self, amount: int, deadline: float, handle: QueryHandle | None) -> Iterator[None]:
        """Wait for ``amount``, and have it for the block."""
        ticket = _Ticket(amount)
        with self._changed:
            if handle is not None:
                handle.stop = lambda: self._stop(ticket)
                # Looked at after it can stop us, so that no cancellation falls in between.
                ticket.is_stopped = handle.cancelled
            self.waiting.append(ticket)
            self._changed.notify_all()
            try:
                self._changed.wait_for(
                    lambda: self._is_due(ticket), max(0.0, deadline - monotonic())
                )
                if ticket.is_stopped or self.is_closed or not self._is_due(ticket):
                    raise timed_out()
                self._free -= amount
            finally:
                self.waiting.remove(ticket)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._free += amount
                self._changed.notify_all()

    def _is_due(self, ticket: "_Ticket") -> bool:
        """Whether waiting has an end, of one kind or the other."""
        if ticket.is_stopped or self.is_closed:
            return True
        return self._free >= ticket.amount and self.waiting[0] is ticket

    def _stop(self, ticket: "_Ticket") -> None:
        with self._changed:
            ticket.is_stopped = True
            self._changed.notify_all()


class _Ticket:
    __slots__ = ("amount", "is_stopped")

    def __init__(self, amount: int) -> None:
        self.amount = amount
        self.is_stopped = False
