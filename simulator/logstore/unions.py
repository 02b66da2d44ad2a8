"""The records of an origin as what a select reads: those of one table, or a union of several.

A union has the columns that the select asks for and no others. Each is read from every LogStore as
that LogStore's fields and index say, and is then of the one kind that holds them all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from simulator.logstore.database import LATE_ROWS, Cursor
from simulator.logstore.extracts import COLUMN
from simulator.logstore.field_widths import FieldWidths
from simulator.logstore.fields import RESERVED
from simulator.logstore.footprint import text_width
from simulator.logstore.origins import Member, Origin
from simulator.logstore.sources import Reader, Records, Source, Wanted, order_key
from simulator.logstore.typed import Bindings, Typed, as_kind, common_kind
from simulator.logstore.widths import Width

_PROPERTIES: Final = tuple(name for name in RESERVED if name != "@seq")
_OWN_NAMES: Final = {typed.sql: name for name, typed in RESERVED.items()}
_PARTS_OF_RECORD: Final = {"message": "@raw", COLUMN: "@raw", "type": "@raw", "tags": "@raw"}
"""What fields without a column, and tags, are read from."""
_MAX_REPEATED: Final = 1000
"""Characters of conditions that are written for each LogStore."""


def records_of(
    origin: Origin,
    conditions: Sequence[str],
    cursor: Cursor,
    bindings: Bindings,
    widths: FieldWidths,
) -> Records:
    """The records of ``origin``.

    Args:
        origin: says which.
        conditions: SQL for whether a record is found, for each member.
        cursor: to look at the data when a field's kind must be proven.
        bindings: of the statement.
        widths: how wide the fields are.
    """
    if len(origin.members) == 1:
        return _Table(origin.members[0], conditions[0], cursor, bindings, widths)
    return _Union(origin.members, conditions, cursor, bindings, widths)


class _Table:
    """The records of one LogStore."""

    def __init__(
        self,
        member: Member,
        condition: str,
        cursor: Cursor,
        bindings: Bindings,
        widths: FieldWidths,
    ) -> None:
        self._widths = widths
        self._extracts = widths.extracts(member)
        self._member = member
        self._condition = condition
        self._cursor = cursor
        self._bindings = bindings

    def source(self, back_ms: int) -> Source:
        """Those of a range so many milliseconds earlier."""
        order = ("ts", "seq")
        within = self._member.within(self._bindings, back_ms)
        return Source(
            sql=lambda: self._extracts.source,
            condition=f"{within} AND {self._condition}",
            reader=Reader(field=self._field, order=order_key(order)),
            names=(*_PROPERTIES, *self._member.names),
            row_order=order,
            placed=self._extracts.placed,
            sample=lambda count: (
                f"(SELECT * FROM {self._extracts.source} WHERE {within} LIMIT {count})"
            ),
        )

    def names(self) -> Mapping[str, str]:
        """The fields by their columns."""
        fields = self._member.state.fields.with_column()
        return {f"f{one.position}": one.name for one in fields} | _OWN_NAMES | _PARTS_OF_RECORD

    def _field(self, name: str) -> Typed:
        found = self._member.typed(name, self._cursor, self._bindings)
        return self._widths.measured(self._member, self._extracts.read(found))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    """A field of a union."""

    parts: tuple[str, ...]
    """SQL for each LogStore."""
    typed: Typed
    """How the union shows it."""


class _Union:
    """The records of several LogStores."""

    def __init__(
        self,
        members: Sequence[Member],
        conditions: Sequence[str],
        cursor: Cursor,
        bindings: Bindings,
        widths: FieldWidths,
    ) -> None:
        self._widths = widths
        self._members = members
        self._conditions = conditions
        self._cursor = cursor
        self._bindings = bindings
        self._columns: dict[str, _Column] = {}

    def source(self, back_ms: int) -> Source:
        """Those of a range so many milliseconds earlier."""
        order = ("ts", "seq", "store")
        used: dict[str, _Column] = {}

        def field(name: str) -> Typed:
            found = RESERVED.get(name)
            if found is None:
                used[name] = self._column(name)
                return used[name].typed
            return replace(found, width=self._width([found] * len(self._members)))

        def first(wanted: Wanted) -> str | None:
            columns = tuple(used.values())
            return self._written(columns, back_ms, wanted) if _is_worth(wanted, columns) else None

        names = {name for member in self._members for name in member.names}
        return Source(
            sql=lambda: self._written(tuple(used.values()), back_ms),
            condition="TRUE",
            reader=Reader(field=field, order=order_key(order)),
            names=(*_PROPERTIES, *sorted(names)),
            row_order=order,
            first=first,
        )

    def names(self) -> Mapping[str, str]:
        """The fields by their columns."""
        return {column.typed.sql: name for name, column in self._columns.items()} | _OWN_NAMES

    def _written(
        self, columns: Sequence[_Column], back_ms: int, wanted: Wanted | None = None
    ) -> str:
        selects = []
        for number, member in enumerate(self._members):
            listed = [f"{column.parts[number]} AS {column.typed.sql}" for column in columns]
            items = ", ".join(["ts", "seq", f"{number} AS store", "stream", "message", *listed])
            within = member.within(self._bindings, back_ms)
            select = (
                f"SELECT {items} FROM {self._widths.extracts(member).source}"
                f" WHERE {within} AND {self._conditions[number]}"
            )
            selects.append(select if wanted is None else _first_of(select, wanted))
        return f"({' UNION ALL '.join(selects)})"

    def _column(self, name: str) -> _Column:
        column = self._columns.get(name)
        if column is None:
            values = [self._read(member, name) for member in self._members]
            kind = common_kind(values)
            column = self._columns[name] = _Column(
                parts=tuple(as_kind(value, kind) for value in values),
                typed=Typed(f"v{len(self._columns)}", kind, width=self._width(values)),
            )
        return column

    def _read(self, member: Member, name: str) -> Typed | None:
        found = member.typed_if_known(name, self._cursor, self._bindings)
        return None if found is None else self._widths.extracts(member).read(found)

    def _width(self, values: Sequence[Typed | None]) -> Width:
        """How wide a field is, in whichever LogStore it is the widest."""
        width = Width()
        for member, value in zip(self._members, values, strict=True):
            if value is not None:
                measured = self._widths.measured(member, value)
                width |= text_width(measured)
        return width


def _is_worth(wanted: Wanted, columns: Sequence[_Column]) -> bool:
    """Whether each LogStore is to be asked for its own first records.

    It is where whole messages are read, which few records have to be; narrow columns are sooner
    read all than twice.
    """
    shown = (*wanted.shown, *(part for column in columns for part in column.parts))
    length = len(wanted.condition) + sum(len(sql) for sql, _ in wanted.keys)
    is_wide = any("message" in sql for sql in shown)
    return is_wide and wanted.count <= LATE_ROWS and length <= _MAX_REPEATED


def _first_of(select: str, wanted: Wanted) -> str:
    """The rows of one LogStore that may be among the first of all: what is far behind in its own
    order is nowhere else before it. DuckDB reads wide columns of few records then."""
    keys = "".join(f", {sql} AS k{number}" for number, (sql, _) in enumerate(wanted.keys))
    order = ", ".join(f"k{number} {words}" for number, (_, words) in enumerate(wanted.keys))
    return (
        f"(SELECT *{keys} FROM ({select}) WHERE {wanted.condition}"
        f" ORDER BY {order} LIMIT {wanted.count})"
    )
