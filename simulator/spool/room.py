"""How much the spool may hold, counted over all processes that write it."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Final

RoomCell = memoryview
"""A whole number (format ``q``), perhaps in shared memory; one thread of one process writes it."""

_CELL_BYTES: Final = 8
_RESUME_SHARE: Final = 0.9
"""How full one that was full may be to have room again: else it would change with every record."""


class WhenFull(StrEnum):
    """What becomes of requests while the spool holds as much as it may."""

    DROP = "drop"
    """They are served; their records are dropped and counted."""
    BLOCK = "block"
    """They wait, unread, until delivery has made room."""


class SpoolRoom:
    """Counts bytes in, on the event loop, and out, on the thread that removes: no lock needed.

    Args:
        max_bytes: of records that are not delivered everywhere.
        when_full: with ``BLOCK`` nothing is refused, but ``on_full`` is called.
    """

    __slots__ = ("_freed", "_own", "_parts", "blocks", "is_closed", "max_bytes", "on_full")

    def __init__(self, max_bytes: int, when_full: WhenFull = WhenFull.DROP) -> None:
        self.max_bytes = max_bytes
        self.blocks = when_full is WhenFull.BLOCK
        self.is_closed = False
        """Whether it has become full and was not opened since; only where it blocks."""
        self.on_full: Callable[[], None] = _nothing
        """Called by what fills it, in the middle of a request."""
        self._own = new_cell()
        self._freed = new_cell()
        self._parts: tuple[RoomCell, ...] = (self._own,)

    def share(self, *, own: RoomCell, freed: RoomCell, others: Sequence[RoomCell]) -> None:
        """Count there from now on, together with the processes that count in ``others``."""
        own[0] += self._own[0]
        if self._freed[0]:
            # Not for nothing: another process may be counting there.
            freed[0] += self._freed[0]
        self._own, self._freed = own, freed
        self._parts = (own, *others)

    @property
    def used_bytes(self) -> int:
        """What is in the spool now."""
        return sum([part[0] for part in self._parts]) - self._freed[0]

    @property
    def is_full(self) -> bool:
        """Whether it holds as much as it may."""
        return self.used_bytes >= self.max_bytes

    @property
    def is_roomy(self) -> bool:
        """Whether it has so much room that one that was full may be opened."""
        return self.used_bytes <= self.max_bytes * _RESUME_SHARE

    def refuses(self, byte_count: int) -> bool:
        """Whether so much more is to be dropped."""
        return not self.blocks and self.used_bytes + byte_count > self.max_bytes

    def take(self, byte_count: int) -> None:
        """Count what was written, or with a minus what is not to count."""
        self._own[0] += byte_count
        if self.blocks and not self.is_closed and self.is_full:
            self.close()

    def close(self) -> None:
        """Say that it is full, whoever has found that."""
        self.is_closed = True
        self.on_full()

    def free(self, byte_count: int) -> None:
        """Count what was removed."""
        self._freed[0] += byte_count


def new_cell() -> RoomCell:
    """A cell of this process's own memory."""
    return memoryview(bytearray(_CELL_BYTES)).cast("q")


def _nothing() -> None:
    """Nobody listens yet."""
