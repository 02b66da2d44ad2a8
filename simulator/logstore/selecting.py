"""Runs the SQL part of a query on what an origin has."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from simulator.errors import ControlError
from simulator.logstore.calls import Scope
from simulator.logstore.database import Cursor, run_statement
from simulator.logstore.field_widths import FieldWidths
from simulator.logstore.footprint import Footprint
from simulator.logstore.origins import Origin
from simulator.logstore.record_sizes import RecordSizes
from simulator.logstore.results import RowSink, Sent, send_rows
from simulator.logstore.search import Search, parse_search
from simulator.logstore.sources import Records
from simulator.logstore.sql import SqlQuery, compile_sql
from simulator.logstore.statement import Part, Statement
from simulator.logstore.typed import Bindings
from simulator.logstore.unions import records_of

_COLUMN_NAME: Final = re.compile(r'"([fv]\d+|ts|seq|stream|message|type|tags|extracted)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A statement that is ready to run."""

    query: SqlQuery
    records: Records
    bindings: Bindings
    byte_count: int
    """What its values may take on their way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selecting:
    """One query with an SQL part."""

    cursor: Cursor
    origin: Origin
    now_ms: int
    """The simulated instant at which it was asked."""
    drawn: Callable[[int], int]
    """A number of 64 bits for what a place in the query leaves to chance."""
    sizes: RecordSizes
    row_count: int
    """Records that may be read."""
    threads: int
    """That the statement may use."""

    def prepare(self, statement: Statement) -> Prepared:
        """The statement, compiled; by how long fields really are only where that matters.

        Raises:
            ControlError: InvalidParameter, also for one whose values may take too much memory.
        """
        assert statement.sql is not None
        bindings = Bindings()
        search = parsed_search(statement)
        conditions = self.origin.conditions(search, self.cursor, bindings, self.sizes)
        widths = FieldWidths(self.cursor, self.sizes, bindings)
        found, footprint = self._compiled(statement.sql, conditions, bindings, widths)
        if footprint.wants_measures:
            widths.measure(everything=footprint.reads_earlier)
            found, footprint = self._compiled(
                statement.sql, conditions, bindings, widths, is_measured=True
            )
        footprint.check()
        return found

    def _compiled(
        self,
        part: Part,
        conditions: tuple[str, ...],
        bindings: Bindings,
        widths: FieldWidths,
        *,
        is_measured: bool = False,
    ) -> tuple[Prepared, Footprint]:
        def ask(sql: str) -> int:
            _, [(found, *_)] = run_statement(self.cursor, sql, bindings.used_in(sql))
            return int(found or 0)

        footprint = Footprint(self.row_count, self.threads, ask, is_measured=is_measured)
        for member, condition in zip(self.origin.members, conditions, strict=True):
            footprint.add_condition(condition, widths.record(member))
        records = records_of(self.origin, conditions, self.cursor, bindings, widths)
        scope = Scope(bindings=bindings, now_ms=self.now_ms, drawn=self.drawn, footprint=footprint)
        query = compile_sql(part, records, scope)
        for member in self.origin.members:
            footprint.add(widths.extracted_bytes(member))
        found = Prepared(
            query=query, records=records, bindings=bindings, byte_count=footprint.byte_count
        )
        return found, footprint

    def run(self, prepared: Prepared, sink: RowSink) -> Sent:
        """Put what it finds into ``sink``.

        Raises:
            ControlError: InvalidParameter.
        """
        query = prepared.query
        limit = None if query.limit_given else query.limit
        try:
            bindings = prepared.bindings
            late = None
            if query.late is not None:
                late = partial(query.late.stream, self.cursor, bindings, query.asked, query.offset)
            return send_rows(
                self.cursor, query.sql, bindings, query.columns, query.items, limit, sink, late
            )
        except ControlError as error:
            message = _readable(error.message, prepared.records.names())
            raise ControlError(error.code, error.status, message) from error


def parsed_search(statement: Statement) -> Search | None:
    """The search of a statement.

    Raises:
        ControlError: InvalidParameter.
    """
    part = statement.search
    return None if part is None else parse_search(part.text, part.at)


def _readable(message: str, names: Mapping[str, str]) -> str:
    """DuckDB's complaint with the fields' own names in place of the opaque ones."""
    return _COLUMN_NAME.sub(lambda found: f'"{names.get(found[1], found[1])}"', message)
