"""The records that a search has found, of one LogStore or several, as what statements select from.

Fields and queries mean what they mean in each LogStore: it has its own columns, index and
separators. Of several LogStores the records are a union, in which a field is one column, computed
for each of them, and so is a query.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from simulator.errors import ControlError
from simulator.logstore.catalog import StoreState
from simulator.logstore.database import Cursor, Parameters, Row, stream_statement
from simulator.logstore.elastic.conditions import ElasticConditions
from simulator.logstore.elastic.tree import Query
from simulator.logstore.typed import MAX_WRITTEN, Bindings, Kind, Typed, as_kind, common_kind

MAX_SQL: Final = 4 * MAX_WRITTEN
"""Characters of a statement. Source: assumed (a bound against abuse)."""
_OWN: Final = {"@timestamp": Typed("ts", Kind.INT), "@seq": Typed("seq", Kind.INT)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What a search has found in one LogStore."""

    index: str
    """What the LogStore is called on the wire."""
    state: StoreState
    conditions: ElasticConditions
    where: str
    """SQL for whether a record was found."""


def run_bounded(cursor: Cursor, sql: str, parameters: Parameters) -> list[Row]:
    """The rows of a statement, unless it is too long.

    Raises:
        ControlError: InvalidParameter.
    """
    return [row for block in stream_bounded(cursor, sql, parameters) for row in block]


def stream_bounded(cursor: Cursor, sql: str, parameters: Parameters) -> Iterator[list[Row]]:
    """The same, the rows some at a time.

    Raises:
        ControlError: InvalidParameter.
    """
    if len(sql) > MAX_SQL:
        raise ControlError(
            "InvalidParameter",
            400,
            "Request param invalid: [body]: so many conditions on so many LogStores are too much;"
            " expected fewer of either",
        )
    _, blocks = stream_statement(cursor, sql, parameters)
    return blocks


class FoundRecords(Protocol):
    """What a search has found."""

    bindings: Bindings
    """Of the statements that select from it."""
    where: str
    """SQL that a record fulfils when it was found."""
    identity: str
    """The columns that tell a record from all others."""
    newest_first: str
    """What stands after ORDER BY, as that of hits."""

    @property
    def sql(self) -> str:
        """What stands after FROM. It changes as fields and queries are asked for."""

    def typed(self, field: str, path: str) -> Typed:
        """How to read a field, whose name stands at ``path`` of the document."""

    def knows(self, field: str, path: str) -> bool:
        """Whether some record may have a field."""

    def write(self, query: Query) -> str:
        """SQL for whether a query finds a record, never NULL."""


def found_records(parts: Sequence[Part], bindings: Bindings) -> FoundRecords:
    """What a search has found in one LogStore or several."""
    if len(parts) == 1:
        return RecordsOfOne(parts[0], bindings)
    return RecordsOfSeveral(parts, bindings)


class RecordsOfOne:
    """What a search has found in one LogStore."""

    identity = "seq"
    newest_first = "ts DESC, seq DESC"

    def __init__(self, part: Part, bindings: Bindings) -> None:
        self._part = part
        self.bindings = bindings
        self.where = part.where

    @property
    def sql(self) -> str:
        """What stands after FROM."""
        return self._part.state.table

    def typed(self, field: str, path: str) -> Typed:
        """How to read a field."""
        return self._part.conditions.typed(field, path)

    def knows(self, field: str, path: str) -> bool:
        """Whether some record may have a field."""
        return self._part.conditions.typed_if_known(field, path) is not None

    def write(self, query: Query) -> str:
        """SQL for whether a query finds a record."""
        return self._part.conditions.write(query)


class RecordsOfSeveral:
    """What a search has found in several LogStores, or in none.

    Args:
        parts: the LogStores.
        bindings: of the statements.
    """

    identity = "part, seq"
    newest_first = "ts DESC, seq DESC, part"
    where = "TRUE"

    def __init__(self, parts: Sequence[Part], bindings: Bindings) -> None:
        self._parts = parts
        self._columns: list[Sequence[str]] = []
        """SQL of each column, for each part."""
        self._fields: dict[str, Typed] = {}
        self.bindings = bindings

    @property
    def sql(self) -> str:
        """What stands after FROM. It has what was asked for so far; DuckDB leaves out the rest."""
        branches = [
            f"SELECT {', '.join((f'{number} AS part', 'ts', 'seq', *self._columns_of(number)))}"
            f" FROM {part.state.table} WHERE {part.where}"
            for number, part in enumerate(self._parts)
        ]
        if not branches:
            columns = [f"NULL AS c{name}" for name in range(len(self._columns))]
            nothing = ", ".join(("0 AS part", "0 AS ts", "0 AS seq", *columns))
            branches = [f"SELECT {nothing} WHERE FALSE"]
        return f"({' UNION ALL '.join(branches)}) AS found"

    def _columns_of(self, number: int) -> list[str]:
        return [f"{sql[number]} AS c{name}" for name, sql in enumerate(self._columns)]

    def typed(self, field: str, path: str) -> Typed:
        """How to read a field: as what it is in those LogStores that have it."""
        if field in _OWN:
            return _OWN[field]
        if field not in self._fields:
            values = [part.conditions.typed_if_known(field, path) for part in self._parts]
            kind = common_kind(values)
            self._columns.append([as_kind(value, kind) for value in values])
            self._fields[field] = Typed(f"c{len(self._columns) - 1}", kind)
        return self._fields[field]

    def knows(self, field: str, path: str) -> bool:
        """Whether some record may have a field."""
        values = (part.conditions.typed_if_known(field, path) for part in self._parts)
        return any(value is not None for value in values)

    def write(self, query: Query) -> str:
        """SQL for whether a query finds a record, as it is understood in its LogStore."""
        self._columns.append([part.conditions.write(query) for part in self._parts])
        return f"c{len(self._columns) - 1}"
