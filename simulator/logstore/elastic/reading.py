"""How the words of a query string are to be read, whichever of the two languages it is in."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from simulator.logstore.elastic.dates import Zone
from simulator.logstore.elastic.document import Node
from simulator.logstore.elastic.minimum import Minimum
from simulator.logstore.elastic.tree import Query, Several, all_of

MAX_SLOP: Final = 100
"""How far the words of a phrase may be apart. Source: assumed (a bound against abuse)."""
MAX_DEPTH: Final = 50
"""Parentheses within each other. Source: assumed (a bound against abuse)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What holds for a whole query string."""

    fields: tuple[str | None, ...]
    """That words without a field are looked for in; None is the raw text."""
    every: bool
    """Whether words next to each other must all occur."""
    least: Minimum | None
    """How many of those that need not must occur all the same."""
    now_ms: int
    """What ``now`` is."""
    zone: Zone
    """Of dates without one."""
    lenient: bool
    """Whether what does not fit a field finds nothing rather than to be an error."""
    names_like: Callable[[str, Node], tuple[str, ...]]
    """The fields that a name or a pattern stands for; the node is where it stands."""

    def some_of(self, optional: tuple[Query, ...], *, outermost: bool) -> Query:
        """What finds as many of several things as must be."""
        least = 1
        if outermost and self.least is not None:
            least = max(1, self.least.of(len(optional)))
        if len(optional) == 1:
            return optional[0]
        return all_of(optional) if least == len(optional) else Several(optional, least)


def split_wildcards(text: str) -> tuple[tuple[str, bool], ...]:
    """The pieces of a text: whether they are wildcards, or themselves.

    A backslash takes the next character as it is.
    """
    pieces: list[tuple[str, bool]] = []
    literal = ""
    position = 0
    while position < len(text):
        character = text[position]
        if character == "\\" and position + 1 < len(text):
            position += 1
            literal += text[position]
        elif character in "*?":
            pieces += [(literal, False)] if literal else []
            # Several stars are one.
            if (character, pieces[-1:]) != ("*", [("*", True)]):
                pieces.append((character, True))
            literal = ""
        else:
            literal += character
        position += 1
    return (*pieces, *([(literal, False)] if literal else []))
