"""How often DuckDB computes what is written once: its macros repeat an argument.

``nullif(x, y)`` becomes ``CASE WHEN x = y THEN NULL ELSE x END`` while a statement is planned, so
that one within another, and so on, doubles at every level: what is planned would take any time and
memory, of which DuckDB's limit counts nothing.
"""

import re
from bisect import bisect_right
from typing import Final

_REPEATING: Final = ("nullif(", "split_part(", "array_to_string(")
"""Macros with an argument that they have twice."""
_BRACKET: Final = re.compile(rf"\b(?:{'|'.join(map(re.escape, _REPEATING))})|[()]")


class Repeats:
    """The repetitions in one expression.

    Args:
        sql: the expression; texts of a caller stand in it as placeholders.
    """

    def __init__(self, sql: str) -> None:
        self._sql = sql
        self._starts = [0]
        self._factors = [1]
        if any(name in sql for name in _REPEATING):
            self._look()

    def _look(self) -> None:
        open_factors: list[int] = []
        factor = 1
        for found in _BRACKET.finditer(self._sql):
            if found[0] == ")":
                factor = open_factors.pop() if open_factors else 1
            else:
                open_factors.append(factor)
                factor *= 1 if found[0] == "(" else 2
            if factor != self._factors[-1]:
                self._starts.append(found.end())
                self._factors.append(factor)

    @property
    def length(self) -> int:
        """Characters, once everything is repeated."""
        ends = [*self._starts[1:], len(self._sql)]
        spans = zip(self._starts, ends, self._factors, strict=True)
        return sum((end - start) * factor for start, end, factor in spans)

    def count(self, part: str) -> int:
        """How often ``part`` is in it then."""
        if len(self._factors) == 1:
            return self._sql.count(part)
        total = 0
        at = self._sql.find(part)
        while at >= 0:
            total += self._factors[bisect_right(self._starts, at) - 1]
            at = self._sql.find(part, at + len(part))
        return total
