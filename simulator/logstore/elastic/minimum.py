"""``minimum_should_match``: how many of several optional things must be found.

Source: assumed: https://www.elastic.co/guide/en/elasticsearch/reference (minimum_should_match).
"""

import re
from dataclasses import dataclass
from typing import Final

from simulator.logstore.elastic.document import Node

_ONE: Final = re.compile(r"(-?\d{1,6})(%?)", re.ASCII)
_CONDITIONAL: Final = re.compile(r"(\d{1,6})\s*<\s*(\S+)\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Amount:
    """A number or a share of all; what is below 0 may be missing."""

    number: int
    percent: bool

    def of(self, count: int) -> int:
        amount = self.number
        if self.percent:
            # Rounded down: what is asked for as well as what may be missing.
            amount = abs(self.number) * count // 100 * (-1 if self.number < 0 else 1)
        return max(0, count + amount if self.number < 0 else amount)


@dataclass(frozen=True, slots=True)
class Minimum:
    """How many of some number must be found."""

    plain: _Amount | None
    conditional: tuple[tuple[int, _Amount], ...] = ()
    """What holds for numbers above another, which ascend."""

    def of(self, count: int) -> int:
        """How many of ``count``; all of them up to the first number of a conditional one."""
        if self.plain is not None:
            return self.plain.of(count)
        least = count
        for above, amount in self.conditional:
            if count > above:
                least = amount.of(count)
        return least


EVERY: Final = Minimum(_Amount(100, True))
SOME: Final = Minimum(_Amount(1, False))


def parse_minimum(node: Node) -> Minimum:
    """``2``, ``-1``, ``75%``, ``-25%``, ``2<75%``, or several such as ``2<-25% 9<-3``."""
    if isinstance(node.value, int) and not isinstance(node.value, bool):
        return Minimum(_amount(node, str(node.value)))
    text = node.text().strip()
    if "<" not in text:
        return Minimum(_amount(node, text))
    conditional: list[tuple[int, _Amount]] = []
    position = 0
    while position < len(text):
        found = _CONDITIONAL.match(text, position)
        if found is None:
            raise node.refuse("expected conditions such as 2<75% or 2<-25% 9<-3")
        conditional.append((int(found[1]), _amount(node, found[2])))
        position = found.end()
    return Minimum(None, tuple(sorted(conditional, key=lambda one: one[0])))


def _amount(node: Node, text: str) -> _Amount:
    found = _ONE.fullmatch(text)
    if found is None:
        raise node.refuse("expected a number, a percentage, or conditions such as 2<75%")
    return _Amount(int(found[1]), bool(found[2]))
