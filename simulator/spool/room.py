"""How much the spool of a process may hold."""

from math import inf


class SpoolRoom:
    """Counts bytes in, on the event loop, and out, on the thread that removes: no lock needed."""

    __slots__ = ("_freed", "_limit", "_taken")

    def __init__(self, max_bytes: float = inf) -> None:
        self._limit = max_bytes
        self._taken = 0
        self._freed = 0

    @property
    def used_bytes(self) -> int:
        """What is in the spool now."""
        return self._taken - self._freed

    def is_full(self, byte_count: int) -> bool:
        """Whether so much more is too much."""
        return self._taken - self._freed + byte_count > self._limit

    def take(self, byte_count: int) -> None:
        """Count what was written."""
        self._taken += byte_count

    def free(self, byte_count: int) -> None:
        """Count what was removed."""
        self._freed += byte_count
