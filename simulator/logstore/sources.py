"""What a select reads: records, or a subquery."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from simulator.errors import ControlError
from simulator.logstore.late_rows import LateRows
from simulator.logstore.typed import Kind, Typed, as_double, invalid_query

_LISTED = 20
"""Columns that an error names."""


class Records(Protocol):
    """Records as a source."""

    def source(self, back_ms: int) -> "Source":
        """Those of a range so many milliseconds earlier."""
        ...

    def names(self) -> Mapping[str, str]:
        """What the caller calls the columns that a complaint of DuckDB may name."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """A select without its limit."""

    columns: tuple[str, ...]
    items: tuple[Typed, ...]
    sql: str
    limit: int
    offset: int
    limit_given: bool
    row_order: tuple[str, ...]
    """Columns of the source that order the rows; empty when rows are groups, or sorted anew."""
    late: LateRows | None = None
    """How it is run where its rows are too wide to be sorted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The rows of a source that a select with a limit may show."""

    condition: str
    """SQL that they fulfil."""
    keys: tuple[tuple[str, str], ...]
    """What they are ordered by, and how: SQL and the words after it."""
    count: int
    """How many there are at most."""
    shown: tuple[str, ...]
    """SQL of what is shown of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """How the rows of a source are read."""

    field: Callable[[str], Typed]
    """A field, by its name; raises LookupError where there is none."""
    order: str
    """SQL that orders the rows, the first one least."""
    compare: Callable[[str, Sequence[int], bool], Typed] | None = None
    """Writes a column beside what it was some seconds before; None where that cannot be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What stands after FROM."""

    sql: Callable[[], str]
    """To be called when everything has been read that will be: a union has no other columns."""
    condition: str
    reader: Reader
    names: tuple[str, ...]
    """What ``*`` stands for."""
    row_order: tuple[str, ...]
    joins: list[str] = field(default_factory=list)
    """Filled by the reader, as earlier ranges are asked for."""
    tables: list[str] = field(default_factory=list)
    """What columns are qualified by, joined tables included; none if they are bare."""
    sample: Callable[[int], str] | None = None
    """SQL for so many of its rows, if some can be had at once."""
    placed: Callable[[str], str] | None = None
    """SQL for those of its rows that fulfil a condition, with ``place``, a number of each, and
    ``size``; None where it has none."""
    first: Callable[[Wanted], str | None] = lambda _wanted: None
    """SQL for what has all rows that are wanted, where these are sooner had than all."""


class Subquery:
    """A subquery in DuckDB's SQL.

    Args:
        compiled: gives the select within, for a range so many milliseconds earlier.
        name: what it is called in the statement.
        alias: what the caller calls it; empty without one.
        grouped: whether the rows around it are groups.
        at: where the statement begins in the query.
    """

    def __init__(
        self,
        compiled: Callable[[int], Compiled],
        *,
        name: str,
        alias: str,
        grouped: bool,
        at: int,
    ) -> None:
        self._compiled = compiled
        self._name = name
        self._alias = alias
        self._grouped = grouped
        self._at = at
        self._now = compiled(0)
        self._columns: Mapping[str, Typed] = {
            column: replace(item, sql=f"{name}.c{index}", width=item.width.afterwards, cost=0.0)
            for index, (column, item) in reversed(
                tuple(enumerate(zip(self._now.columns, self._now.items, strict=True)))
            )
        }
        self._joins: list[str] = []
        self._tables = [name]
        self._earlier: dict[tuple[str, int, bool], str] = {}

    def source(self, *, comparing: bool) -> Source:
        """The subquery as what a select reads.

        Raises:
            ControlError: InvalidParameter for a column that only its size can be asked of.
        """
        if any(item.kind is Kind.SKETCH for item in self._now.items):
            raise self._refuse("expected cardinality(approx_set(x))")
        order = tuple(one.rpartition(".")[2] for one in self._now.row_order) or ("n",)
        row_order = tuple(f"{self._name}.{one}" for one in order)
        return Source(
            sql=lambda: _written(self._now, self._name),
            condition="TRUE",
            reader=Reader(
                field=self._field,
                order=order_key(row_order),
                compare=self._compare if comparing else None,
            ),
            names=tuple(dict.fromkeys(self._now.columns)),
            row_order=row_order,
            joins=self._joins,
            tables=self._tables,
        )

    def _field(self, wanted: str) -> Typed:
        name = wanted.removeprefix(f"{self._alias}.") if self._alias else wanted
        found = self._columns.get(name)
        if found is None:
            known = ", ".join(self._now.columns[:_LISTED])
            raise LookupError(f"the subquery has no column {name[:60]}; its columns are {known}")
        return found

    def _compare(self, wanted: str, seconds: Sequence[int], moving: bool) -> Typed:
        """A column now, some seconds before, and how often that fits into now."""
        column = self._field(wanted)
        before = [
            as_double(self._in_earlier(column, self._joined(wanted, one, moving)))
            for one in seconds
        ]
        now = as_double(column)
        parts = [now, *before, *(f"({now} / nullif({one}, 0))" for one in before)]
        if self._grouped:
            parts = [f"any_value({one})" for one in parts]
        return Typed(f"[{', '.join(parts)}]", Kind.ARRAY, Kind.FLOAT)

    def _joined(self, wanted: str, seconds: int, moving: bool) -> str:
        """The name of the same subquery of an earlier range, joined by all other columns."""
        key = (wanted, seconds, moving)
        name = self._earlier.get(key)
        if name is None:
            name = self._earlier[key] = f"{self._name}_{len(self._earlier)}"
            same = []
            for title, value in self._columns.items():
                if title == wanted:
                    continue
                other = self._in_earlier(value, name).sql
                if moving and value.kind is Kind.TIME:
                    other = f"({other} + INTERVAL {seconds} SECOND)"
                same.append(f"{value.sql} IS NOT DISTINCT FROM {other}")
            earlier = _written(self._compiled(seconds * 1000), name)
            self._tables.append(name)
            self._joins.append(f" LEFT JOIN {earlier} ON {' AND '.join(same) or 'TRUE'}")
        return name

    def _in_earlier(self, column: Typed, name: str) -> Typed:
        return replace(column, sql=f"{name}{column.sql.removeprefix(self._name)}")

    def _refuse(self, message: str) -> ControlError:
        return invalid_query(message, self._at)


def _written(inner: Compiled, name: str) -> str:
    sql = inner.sql
    if inner.limit_given or inner.offset:
        sql = f"{sql} LIMIT {inner.limit} OFFSET {inner.offset}"
    if not inner.row_order:
        sql = f"SELECT *, row_number() OVER () AS n FROM ({sql})"
    return f"({sql}) AS {name}"


def order_key(order: Sequence[str]) -> str:
    """One number that orders rows as the columns do, one after the other.

    Args:
        order: one column, or a time and an ``@seq``, and of a union the number of the LogStore.
    """
    match order:
        case [only]:
            return only
        case [time_ms, seq]:
            return f"(CAST({time_ms} AS HUGEINT) * {1 << 64} + {seq})"
        case [time_ms, seq, number]:
            # Of 127 bits times of records fill 50 at most, an `@seq` 63, the number 8.
            return (
                f"(CAST({time_ms} AS HUGEINT) * {1 << 71} + CAST({seq} AS HUGEINT) * {1 << 8}"
                f" + {number})"
            )
        case _:
            raise ValueError(order)
