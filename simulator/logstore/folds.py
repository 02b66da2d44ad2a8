"""What a search does to texts: it rules most of them out by lower case, and matches the others.

DuckDB folds a text anew for each place that asks for it, and keeps what it has folded of 2048
records for each of them. So a text that is asked for too often is folded once, around the
condition. Nothing stops it within the patterns of a condition, so where these may take too long
they are tried before.
"""

from typing import Final

from simulator.logstore.database import Cursor, run_statement
from simulator.logstore.footprint import MAX_MATCHING_S, ROWS, Footprint
from simulator.logstore.typed import Bindings
from simulator.logstore.widths import Width

_MAX_SHARED: Final = 2
"""Times that a text is folded around a condition; what comes then is not folded."""
_BYTE_S: Final = 2.5e-9
"""Seconds that a pattern takes for a byte of a text, measured."""
_PATTERN_LENGTH: Final = 8000
"""Characters of a pattern from which on it takes longer, in proportion."""


class Folds:
    """What the conditions on one LogStore fold.

    Args:
        count: of texts that may be folded where they are asked for, which takes memory.
    """

    def __init__(self, count: int) -> None:
        self._left = count
        self._shares_left = _MAX_SHARED
        self._shared: dict[str, str] = {}
        """Names of the texts that are folded once for what is being written, by their SQL."""
        self._matches: list[str] = []
        """SQL for what is matched in what is being written."""
        self._work = 0.0
        """Patterns, those that take longer as several."""
        self._trials: list[str] = []

    def of(self, text: str) -> str | None:
        """SQL for ``text`` in lower case; None where that would take too much memory."""
        if self._left > 0:
            self._left -= 1
            return f"lower({text})"
        if text not in self._shared and self._shares_left > 0:
            self._shares_left -= 1
            self._shared[text] = f"folded{self._shares_left}"
        return self._shared.get(text)

    def around(self, written: str) -> str:
        """SQL for a condition: all that was written with what ``of`` has given since the last."""
        if self._matches:
            every = " + ".join(f"CAST({match} AS INTEGER)" for match in self._matches)
            self._trials.append(self._folding(f"({every}) > 0"))
        written = self._folding(written)
        self._shared.clear()
        self._matches.clear()
        return written

    def _folding(self, written: str) -> str:
        for text, name in self._shared.items():
            written = f"list_transform([lower({text})], lambda {name}: {written})[1]"
        return written

    def add_match(self, match: str, pattern: str, parts: int = 0) -> None:
        """Add what is matched with a pattern.

        Args:
            match: SQL for whether it fits.
            pattern: in RE2's syntax.
            parts: of one with repetitions, as ``pattern_size`` counts them.
        """
        self._matches.append(match)
        self._work += max(1.0, len(pattern) / _PATTERN_LENGTH, parts / 10)

    def check(self, cursor: Cursor, bindings: Bindings, records: str, record: Width) -> None:
        """See that the conditions do not take too long for the records computed together.

        Args:
            cursor: to try them.
            bindings: of the statement.
            records: what is searched, as it stands after FROM.
            record: how wide they are.

        Raises:
            ControlError: InvalidParameter with the time that was measured.
        """
        if self._takes_s(record.near * ROWS) <= MAX_MATCHING_S:
            return

        def ask(sql: str) -> int:
            _, [(found, *_)] = run_statement(cursor, sql, bindings.used_in(sql))
            return int(found or 0)

        together = f"SELECT sum(size) AS size FROM {records} GROUP BY rowid // {ROWS}"
        together_bytes = ask(f"SELECT max(size) FROM ({together})")
        if self._takes_s(together_bytes) <= MAX_MATCHING_S:
            return
        footprint = Footprint(0, 1, ask)
        footprint.add_condition("", Width(together_bytes / ROWS, record.far))
        footprint.check_matches(
            self._trials, lambda count: f"(SELECT * FROM {records} LIMIT {count})", None
        )

    def _takes_s(self, byte_count: float) -> float:
        """Seconds that all patterns take for so many bytes."""
        return self._work * byte_count * _BYTE_S
