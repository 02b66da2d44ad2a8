"""How large records are, so that what is read of them at a time fits into memory."""

import threading
from collections.abc import Iterable
from typing import Final

from simulator.logstore.catalog import StoreState
from simulator.logstore.database import Cursor
from simulator.logstore.loader import MAX_TOGETHER_BYTES
from simulator.logstore.pushes import MAX_RECORD_BYTES
from simulator.logstore.widths import Width

MAX_NEAR_BYTES: Final = MAX_TOGETHER_BYTES + MAX_RECORD_BYTES // 2048
"""Of a record, as the mean over those that are stored beside it; see the loader."""
MAX_FOLDED_BYTES: Final = 32 * 1024
"""Of the texts that a search folds of one record. Source: assumed (it bounds memory; what is not
folded is found too, in more time)."""
MAX_PAGE_BYTES: Final = 16 * 1024 * 1024
"""Of the records that are read at a time: a page has fewer, but at least one. Source: assumed (a
record may have half a megabyte, a page a thousand of them)."""


class RecordSizes:
    """Knows the largest record of each LogStore; asks for those only that came since."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, int]] = {}
        """The newest ``@seq`` looked at and the largest size up to it, by LogStore."""
        self._lock = threading.Lock()

    def largest(self, cursor: Cursor, state: StoreState) -> int:
        """Bytes of the largest record that ever was in the LogStore."""
        with self._lock:
            seq, size = self._known.get(state.id, (-1, 0))
        if seq >= state.next_seq - 1:
            return size
        row = cursor.execute(
            f"SELECT max(seq), max(size) FROM {state.table} WHERE seq > {seq}"
        ).fetchone()
        if row is None or row[0] is None:
            return size
        size = max(size, int(row[1]))
        with self._lock:
            known_seq, known_size = self._known.get(state.id, (-1, 0))
            self._known[state.id] = max(known_seq, int(row[0])), max(known_size, size)
        return size

    def width(self, cursor: Cursor, state: StoreState) -> Width:
        """How wide a record is, at most."""
        largest = self.largest(cursor, state)
        return Width(min(largest, MAX_NEAR_BYTES), largest)

    def fold_count(self, cursor: Cursor, state: StoreState) -> int:
        """How often a search may fold the case of a record."""
        return int(MAX_FOLDED_BYTES // max(1, self.width(cursor, state).near))


def fitting_count(sizes: Iterable[int]) -> int:
    """How many of the first records are read at a time; 1 however large that is."""
    left = MAX_PAGE_BYTES
    count = 0
    for size in sizes:
        left -= size
        if count and left < 0:
            break
        count += 1
    return count
