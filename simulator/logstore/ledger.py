"""What became of the records: one row for each delivery, each exception, each piece held back.

The rows are written in the transaction that moves the delivery's cursor, so that what is said to
have happened is what happened, whenever the process dies. Rooms above give them their meaning.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Final, TypeVar, get_args, get_type_hints

from simulator.logstore.database import SCHEMA, Database, Transaction

_FETCHED: Final = 2048
"""Rows in memory at a time."""
_SQL_TYPES: Final = {str: "VARCHAR", int: "BIGINT", float: "DOUBLE", bytes: "BLOB"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """Records of one flow log and series that had the same fate at the same instant."""

    flow_log_id: str
    series_key: str
    piece: str
    """Empty for a batch; the name of what was held back from one."""
    first_seq: int
    """The first segment of the batch."""
    last_seq: int
    record_count: int
    """Lines that became visible, or were lost."""
    byte_count: int
    first_at: float
    """When its earliest record was written, Unix seconds."""
    last_at: float
    due_at: float
    done_at: float
    """When it became visible, or was given up."""
    outcome: str
    """``visible``, ``lost`` or ``skipped``."""
    reason: str
    """Why it is not visible; else empty."""
    destination: str
    """``<project>/<LogStore>`` or the bucket."""
    name: str
    """Of the stream, or the key of the object."""
    first_place: int
    """``@seq`` of the first record in a LogStore; 1 in an object."""
    tries: int
    manifest: bytes | None = None
    """Which lines were delivered, where they are not simply all; see whoever wrote it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerException:
    """What a fault did to one record or batch on the way to one flow log."""

    flow_log_id: str
    series_key: str
    seq: int
    line: int
    """1-based in its segment; 0: the whole batch that begins with the segment."""
    fault: str
    """Name of the fault."""
    kind: str
    action: str
    """What was done: ``dropped``, ``held``, ``copied``, ``altered`` ..."""
    until_at: float
    """Until when it was held; 0 if it was not."""
    detail: str
    altered: bytes | None
    """The line as delivered, if it is another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldPiece:
    """Records of one batch that a fault keeps back until an instant of their own."""

    flow_log_id: str
    cursor_id: str
    """What the delivery cursors of its version of the flow log are named after."""
    series_key: str
    piece: str
    """Unique among those of the batch."""
    first_seq: int
    """The first segment of the batch."""
    last_seq: int
    record_count: int
    byte_count: int
    first_at: float
    """When its earliest record was written, Unix seconds."""
    last_at: float
    due_at: float
    """When it becomes visible; infinite while a fault without an end lasts."""
    fault: str
    """Name of the fault whose end it waits for; empty if it waits for an instant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerChange:
    """What one transaction of delivery enters."""

    entries: Sequence[LedgerEntry] = ()
    exceptions: Sequence[LedgerException] = ()
    held: Sequence[HeldPiece] = ()
    released: Sequence[HeldPiece] = ()
    """Pieces that are held no more."""


_Row = TypeVar("_Row", LedgerEntry, LedgerException, HeldPiece)


def _columns(kind: type) -> tuple[tuple[str, str], ...]:
    """Name and SQL type of every field of a row."""
    hints = get_type_hints(kind)
    found = []
    for field in fields(kind):
        hint = hints[field.name]
        plain = next((kind for kind in get_args(hint) if kind in _SQL_TYPES), hint)
        found.append((field.name, _SQL_TYPES[plain]))
    return tuple(found)


_TABLES: Final[dict[type, str]] = {
    LedgerEntry: f"{SCHEMA}.ledger_entries",
    LedgerException: f"{SCHEMA}.ledger_exceptions",
    HeldPiece: f"{SCHEMA}.held_pieces",
}
_COLUMNS: Final = {kind: _columns(kind) for kind in _TABLES}


def make_tables(transaction: Transaction) -> None:
    """Make what a new database needs."""
    for kind, table in _TABLES.items():
        columns = ", ".join(f"{name} {sql}" for name, sql in _COLUMNS[kind])
        transaction.cursor.execute(f"CREATE TABLE IF NOT EXISTS {table}({columns})")


def write_change(
    transaction: Transaction, change: LedgerChange, first_place: int | None = None
) -> None:
    """Enter a change.

    Args:
        transaction: the one that the deliveries are made in.
        change: what is to be entered.
        first_place: where the first record of its entries is, if they lie in a row.
    """
    entries = change.entries
    if first_place is not None:
        placed = []
        for entry in entries:
            placed.append(replace(entry, first_place=first_place))
            first_place += entry.record_count
        entries = placed
    _insert(transaction, LedgerEntry, entries)
    _insert(transaction, LedgerException, change.exceptions)
    _insert(transaction, HeldPiece, change.held)
    for piece in change.released:
        transaction.cursor.execute(
            f"DELETE FROM {_TABLES[HeldPiece]} WHERE flow_log_id = ? AND series_key = ?"
            " AND first_seq = ? AND piece = ?",
            [piece.flow_log_id, piece.series_key, piece.first_seq, piece.piece],
        )


def _insert(transaction: Transaction, kind: type[_Row], rows: Sequence[_Row]) -> None:
    """One statement for all rows: arrays, column by column."""
    if not rows:
        return
    columns = _COLUMNS[kind]
    values = ", ".join(f"unnest(CAST(${name} AS {sql}[]))" for name, sql in columns)
    transaction.cursor.execute(
        f"INSERT INTO {_TABLES[kind]} SELECT {values}",
        {name: [getattr(row, name) for row in rows] for name, _ in columns},
    )


class LedgerTables:
    """Reads the rows. From any thread; every call has one view of the data."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def entries(
        self,
        *,
        flow_log_id: str | None = None,
        series_key: str | None = None,
        seq: int | None = None,
        done_after: float | None = None,
    ) -> Iterator[LedgerEntry]:
        """Entries in the order they were written.

        Args:
            flow_log_id: only of this flow log.
            series_key: only of this series.
            seq: only those whose batch holds this segment.
            done_after: only those that are done after this instant.
        """
        return self._select(
            LedgerEntry,
            {
                "flow_log_id = $flow_log_id": flow_log_id,
                "series_key = $series_key": series_key,
                "$seq BETWEEN first_seq AND last_seq": seq,
                "done_at > $done_after": done_after,
            },
        )

    def exceptions(
        self,
        *,
        flow_log_id: str | None = None,
        series_key: str | None = None,
        first_seq: int | None = None,
        last_seq: int | None = None,
        altered: bytes | None = None,
    ) -> Iterator[LedgerException]:
        """Exceptions in the order they were written; ``altered``: those that made this line."""
        return self._select(
            LedgerException,
            {
                "flow_log_id = $flow_log_id": flow_log_id,
                "series_key = $series_key": series_key,
                "seq >= $first_seq": first_seq,
                "seq <= $last_seq": last_seq,
                "altered = $altered": altered,
            },
        )

    def held(self) -> list[HeldPiece]:
        """Everything that is held back, in the order it was."""
        return list(self._select(HeldPiece, {}))

    def forget(self, series_key: str, seq: int) -> None:
        """Delete the rows of batches that end with segment ``seq`` of a series or before."""
        with self._database.writing() as transaction:
            for table, column in (("ledger_entries", "last_seq"), ("ledger_exceptions", "seq")):
                transaction.cursor.execute(
                    f"DELETE FROM {SCHEMA}.{table} WHERE series_key = ? AND {column} <= ?",
                    [series_key, seq],
                )

    def _select(self, kind: type[_Row], wanted: dict[str, object]) -> Iterator[_Row]:
        """Rows that meet all conditions whose value is not None; ``$name`` is the value."""
        given = {condition: value for condition, value in wanted.items() if value is not None}
        where = "".join(f" AND {condition}" for condition in given)
        parameters = {_parameter(condition): value for condition, value in given.items()}
        names = [name for name, _ in _COLUMNS[kind]]
        sql = f"SELECT {', '.join(names)} FROM {_TABLES[kind]} WHERE true{where} ORDER BY rowid"
        with self._database.inspecting() as cursor:
            cursor.execute(sql, parameters)
            while rows := cursor.fetchmany(_FETCHED):
                for row in rows:
                    yield kind(**dict(zip(names, row, strict=True)))


def _parameter(condition: str) -> str:
    """The name behind the dollar sign."""
    return condition.partition("$")[2].partition(" ")[0]
