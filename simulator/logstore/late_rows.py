"""Rows that are so wide that no more than some may be in memory: first which, then what they show.

DuckDB sorts rows with all that is shown of them, and hands 2048 of them out at a time, which its
limit of memory does not count. So the places of rows are sorted alone, and rows read by them.
"""

import re
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from simulator.logstore.database import Cursor, Row, Streamed, stream_statement
from simulator.logstore.extracts import COLUMN
from simulator.logstore.footprint import ROWS
from simulator.logstore.record_sizes import MAX_PAGE_BYTES, fitting_count
from simulator.logstore.typed import Bindings, Typed
from simulator.logstore.widths import Width

_OWN_TEXT: Final = re.compile(rf"f\d+|{COLUMN}\[\d+\]")
"""A field that is read as it is stored."""
_ROW_BYTES: Final = 64
"""Of a row beside its record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LateRows:
    """A select of records in two statements."""

    places: str
    """SQL for the place and size of each row, in their order."""
    rows: str
    """SQL for the rows at ``$places``, each behind its place."""
    repeats: float
    """How often a row holds its record."""

    def stream(self, cursor: Cursor, bindings: Bindings, limit: int, offset: int) -> Streamed:
        """The type name of each column and the rows, some at a time.

        Raises:
            ControlError: as ``stream_statement``.
        """
        sql = f"{self.places} LIMIT {limit} OFFSET {offset}"
        _, blocks = stream_statement(cursor, sql, bindings.used_in(sql))
        places, sizes = array("q"), array("q")
        for block in blocks:
            places.extend(place for place, _ in block)
            sizes.extend(size for _, size in block)
        types, first = self._rows_at(cursor, bindings, places, sizes)
        return types, self._batches(cursor, bindings, places, sizes, first)

    def _batches(
        self,
        cursor: Cursor,
        bindings: Bindings,
        places: "array[int]",
        sizes: "array[int]",
        first: list[Row],
    ) -> Iterator[list[Row]]:
        done = len(first)
        yield first
        while done < len(places):
            _, rows = self._rows_at(cursor, bindings, places[done:], sizes[done:])
            done += len(rows)
            yield rows

    def _rows_at(
        self, cursor: Cursor, bindings: Bindings, places: "array[int]", sizes: "array[int]"
    ) -> tuple[tuple[str, ...], list[Row]]:
        """As many of the first rows as may be in memory."""
        count = fitting_count(int(size * self.repeats) + _ROW_BYTES for size in sizes)
        wanted = places[:count].tolist()
        values = {**bindings.used_in(self.rows), "places": wanted}
        types, blocks = stream_statement(cursor, self.rows, values)
        found = {row[0]: row[1:] for block in blocks for row in block}
        return types[1:], [found[place] for place in wanted]


def late_rows(
    placed: Callable[[str], str],
    condition: str,
    keys: Sequence[tuple[str, str]],
    items: Sequence[Typed],
    record: Width,
    count: int,
) -> LateRows | None:
    """How a select is run in two statements; None where one does.

    Args:
        placed: see ``Source.placed``.
        condition: SQL that its rows fulfil.
        keys: what they are ordered by, and how: SQL and the words after it.
        items: what is shown of them.
        record: how wide the records are.
        count: how many rows there are at most.
    """
    far = _bytes_of(items, record)
    if min(ROWS, count) * far <= MAX_PAGE_BYTES:
        return None
    sorts = "".join(f", {sql} AS k{number}" for number, (sql, _) in enumerate(keys))
    order = ", ".join(f"k{number} {words}" for number, (_, words) in enumerate(keys))
    shown = ", ".join(f"{item.sql} AS c{number}" for number, item in enumerate(items))
    here = "rowid IN (SELECT unnest(CAST($places AS BIGINT[])))"
    return LateRows(
        places=(
            f"SELECT place, size FROM (SELECT place, size{sorts} FROM {placed('TRUE')}"
            f" WHERE {condition}) ORDER BY {order}"
        ),
        rows=f"SELECT place, {shown} FROM {placed(here)}",
        repeats=max(1.0, far / max(1.0, record.far)),
    )


def _bytes_of(items: Sequence[Typed], record: Width) -> float:
    """Of a row, at most; fields of a record are together no longer than that."""
    fields = {item.sql: item.width.far for item in items if _OWN_TEXT.fullmatch(item.sql)}
    together = sum(fields.values())
    return sum(item.width.far for item in items) - together + min(together, record.far)
