"""What a statement finds, on its way out: block by block, so that no result is in memory whole."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final, Protocol, TypeAlias

from simulator.logstore.database import Cursor, Streamed, stream_statement
from simulator.logstore.typed import Bindings, Kind, Typed, encode_time
from simulator.logstore.values import Value

MAX_KEPT_BYTES: Final = 32 * 1024 * 1024
"""Of the values of a result that is kept in memory."""

Cells: TypeAlias = tuple[Value, ...]

_INT_TYPES: Final = frozenset(
    {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UBIGINT", "UINTEGER", "UHUGEINT"}
)
_PLAIN_BYTES: Final = 8
"""What a value that is no text counts as."""


class RowSink(Protocol):
    """Takes the rows of a result."""

    most_bytes: int
    """Of the values of all rows: those beyond are cut off."""

    def begin(self, columns: Sequence[str]) -> None:
        """Learn the names of the columns; called before rows come, again for each page."""

    def add(self, rows: Sequence[Cells]) -> None:
        """Take the next rows."""


class KeptRows:
    """Keeps rows in memory."""

    most_bytes = MAX_KEPT_BYTES

    def __init__(self) -> None:
        self.rows: list[Cells] = []

    def begin(self, columns: Sequence[str]) -> None:
        """See ``RowSink.begin``."""

    def add(self, rows: Sequence[Cells]) -> None:
        """See ``RowSink.add``."""
        self.rows += rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What went into a sink; see ``QueryResult``."""

    columns: tuple[str, ...]
    column_types: tuple[str, ...]
    truncated_reason: str
    tags: tuple[Mapping[str, str], ...] = ()
    next_marker: str | None = None


def send_rows(
    cursor: Cursor,
    sql: str,
    bindings: Bindings,
    columns: tuple[str, ...],
    items: Sequence[Typed],
    limit: int | None,
    sink: RowSink,
    late: Callable[[], Streamed] | None = None,
) -> Sent:
    """Run a statement that was rebuilt from a caller's query, and put its rows into ``sink``.

    Args:
        cursor: to run it on.
        sql: the statement.
        bindings: what it is bound to.
        columns: their names.
        items: what each column is.
        limit: rows that the caller may get; None when he said so himself.
        sink: takes the rows.
        late: runs it in its stead.

    Raises:
        ControlError: as ``run_statement``.
    """
    sink.begin(columns)
    if late is None:
        types, blocks = stream_statement(cursor, sql, bindings.used_in(sql))
    else:
        types, blocks = late()
    count = byte_count = 0
    reason = ""
    for block in blocks:
        fitting: list[Cells] = []
        for row in block:
            if limit is not None and count == limit:
                reason = f"only the first {count} rows are returned"
                break
            cells = tuple(map(_value, row, items))
            byte_count += _size(cells)
            if count and byte_count > sink.most_bytes:
                reason = (
                    f"only the first {count} rows are returned,"
                    f" which are {sink.most_bytes >> 20} MiB"
                )
                break
            fitting.append(cells)
            count += 1
        sink.add(fitting)
        if reason:
            break
    return Sent(
        columns=columns,
        column_types=tuple(map(_column_type, types, items)),
        truncated_reason=reason,
    )


def _size(cells: Cells) -> int:
    return sum(len(cell) if isinstance(cell, str) else _PLAIN_BYTES for cell in cells)


def _column_type(type_: str, item: Typed) -> str:
    """The wire's name for a column's type. Source: assumed beyond ``int`` and ``string``."""
    if item.kind in {Kind.TIME, Kind.NULL}:
        return "string"
    if type_ in _INT_TYPES:
        return "int"
    if type_ in {"DOUBLE", "FLOAT"} or type_.startswith("DECIMAL"):
        return "float"
    return "bool" if type_ == "BOOLEAN" else "string"


def _value(cell: object, item: Typed) -> Value:
    match cell:
        case str() if item.kind is Kind.TIME:
            return None  # before the year 1, which a date of Python's cannot be
        case None | bool() | str():
            return cell
        case int():
            return cell if -(2**63) <= cell < 2**63 else float(cell)
        case float():
            return cell if math.isfinite(cell) else None
        case Decimal():
            return float(cell)
        case datetime():
            return encode_time(cell, item.style)
        case _:
            return json.dumps(_plain(cell), ensure_ascii=False, separators=(",", ":"))


def _plain(cell: object) -> object:
    """An array or map as JSON has it."""
    match cell:
        case list():
            return [_plain(one) for one in cell]
        case dict():
            return {_key(key): _plain(one) for key, one in cell.items()}
        case _:
            return _value(cell, Typed("", Kind.NULL))


def _key(key: object) -> str:
    return str(key).lower() if isinstance(key, bool) else str(key)
