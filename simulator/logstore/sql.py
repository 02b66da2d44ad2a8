"""The SQL part of a query: parsed, checked, and put together anew for DuckDB.

Only what is written here and below can come out. Names are looked up among the LogStore's fields,
literals are bound or printed from their value; there is no way to name a table, a file, an option
or another LogStore.

Source: doc https://cloud.baidu.com/doc/BLS/s/xk5cc9piu for the dialect.
"""

from dataclasses import dataclass

from simulator.logstore.calls import Scope
from simulator.logstore.dialect import parse_sql, source_texts
from simulator.logstore.late_rows import LateRows
from simulator.logstore.repeats import Repeats
from simulator.logstore.selects import Level
from simulator.logstore.sources import Records
from simulator.logstore.statement import Part
from simulator.logstore.typed import MAX_WRITTEN, Kind, Typed, invalid_query


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlQuery:
    """A statement ready to run."""

    columns: tuple[str, ...]
    items: tuple[Typed, ...]
    """What each column is."""
    sql: str
    limit: int
    """Rows that the caller may get; the statement asks for one more when it was not given."""
    limit_given: bool
    asked: int
    """Rows that the statement asks for."""
    offset: int
    """Rows that it passes over before."""
    late: LateRows | None
    """How it is run where its rows are too wide for one statement."""


def compile_sql(part: Part, records: Records, scope: Scope) -> SqlQuery:
    """The statement for ``part``, on ``records``.

    Raises:
        ControlError: InvalidParameter with the position and what was expected.
    """
    select = parse_sql(part)
    compiled = Level(records, scope, part.at, source_texts(part.text)).compile(select)
    asked = compiled.limit + (not compiled.limit_given)
    sql = f"{compiled.sql} LIMIT {asked} OFFSET {compiled.offset}"
    if Repeats(sql).length > 4 * MAX_WRITTEN:
        raise invalid_query("the statement is too large", part.at)
    for name, item in zip(compiled.columns, compiled.items, strict=True):
        if item.kind is Kind.SKETCH:
            raise invalid_query(f"{name[:60]}: expected cardinality(approx_set(x))", part.at)
    return SqlQuery(
        columns=compiled.columns,
        items=compiled.items,
        sql=sql,
        limit=compiled.limit,
        limit_given=compiled.limit_given,
        asked=asked,
        offset=compiled.offset,
        late=compiled.late,
    )
