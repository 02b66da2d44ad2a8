"""The texts of records in lower case, which a search rules most of them out by.

DuckDB folds a text anew for each place that asks for it, and keeps what it has folded of 2048
records for each of them. So a text that is asked for too often is folded once, around the
condition.
"""

from typing import Final

_MAX_SHARED: Final = 2
"""Times that a text is folded around a condition; what comes then is not folded."""


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
        for text, name in self._shared.items():
            written = f"list_transform([lower({text})], lambda {name}: {written})[1]"
        self._shared.clear()
        return written
