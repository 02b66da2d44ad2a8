"""How many bytes a value may take, and what computing it takes for one row."""

from dataclasses import dataclass
from typing import Final

SLOT: Final = 16
"""Bytes of a number, or of what stands for a text, in one row of a vector."""


@dataclass(frozen=True, slots=True)
class Width:
    """Bytes of one value, as the mean over rows that are computed together.

    Two bounds, since large records lie apart where they are stored (see the loader), and may come
    together once a select has sorted or grouped them.
    """

    near: float = 0
    """Where records are read."""
    far: float = 0
    """In the result of a select."""

    def __add__(self, other: "Width") -> "Width":
        return Width(self.near + other.near, self.far + other.far)

    def __mul__(self, factor: float) -> "Width":
        return Width(self.near * factor, self.far * factor)

    def __or__(self, other: "Width") -> "Width":
        """Whichever is more."""
        return Width(max(self.near, other.near), max(self.far, other.far))

    def at_most(self, limit: float) -> "Width":
        """The same, but no more than ``limit``."""
        return Width(min(self.near, limit), min(self.far, limit))

    @property
    def afterwards(self) -> "Width":
        """Of the same value, once a select has had it."""
        return Width(self.far, self.far)


def of(byte_count: float) -> Width:
    """A value that has as many bytes everywhere."""
    return Width(byte_count, byte_count)


UNKNOWN: Final = Width()
"""Nobody has said."""
PLAIN: Final = of(SLOT)
"""Of a number, an instant, a boolean."""
