"""Runs pulls and queries on one LogStore's table."""

import itertools
import json
import math
import re
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from simulator.clock import monotonic
from simulator.errors import ControlError
from simulator.logstore.calls import Scope
from simulator.logstore.catalog import StoreState
from simulator.logstore.conditions import ConditionWriter
from simulator.logstore.database import Cursor, Database, Row, run_statement
from simulator.logstore.fields import RESERVED
from simulator.logstore.marker import encode_marker, parse_marker
from simulator.logstore.search import parse_search
from simulator.logstore.sources import Records
from simulator.logstore.sql import SqlCompiler
from simulator.logstore.statement import Part, Statement, parse_statement, plus_explained
from simulator.logstore.typed import Bindings, Kind, Typed, encode_time, invalid_query
from simulator.logstore.values import (
    Histogram,
    HistogramBucket,
    Page,
    Paging,
    PulledRecord,
    QueryResult,
    RecordType,
    Selection,
    Sort,
    Value,
)
from simulator.logstore.watchdog import QueryHandle
from simulator.rng import Rng

_MATCH_COLUMNS: Final = ("@timestamp", "@seq", "@stream", "@raw")
_MATCH_TYPES: Final = ("int", "int", "string", "string")
"""Source: doc of an SDK-based tool, and SDK tests for the fourth column (2026-08)."""
_INT_TYPES: Final = frozenset(
    {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UBIGINT", "UINTEGER", "UHUGEINT"}
)
MAX_BUCKETS: Final = 60
_DAY_MS: Final = 86_400_000
_INTERVALS_S: Final = (1, 5, 10, 30, 60, 300, 600, 1800, 3600, 6 * 3600, 12 * 3600, 86_400)
_SAMPLE_PARTS: Final = 1_000_000
_RECORD_TYPES: Final = {type_.value: type_ for type_ in RecordType}
_COLUMN_NAME: Final = re.compile(r'"(f\d+|ts|seq|stream|message|type|tags)"')
_PARTS_OF_RECORD: Final = {"message": "@raw", "type": "@raw", "tags": "@raw"}
"""What fields without a column, and tags, are read from."""


class QueryRunner:
    """Reads records. Selections given to it have retention applied already.

    Args:
        database: holds them.
        rng: draws samples that are asked for without a seed.
    """

    def __init__(self, database: Database, rng: Rng) -> None:
        self._database = database
        self._rng = rng
        self._samples = itertools.count()
        self._spans: dict[int, int] = {}
        """How many milliseconds the last full page of each LogStore went over."""

    def pull(self, state: StoreState, selection: Selection, limit: int, marker: str | None) -> Page:
        """Records oldest first."""
        state = _frozen(state)
        paging = Paging(limit=limit, sort=Sort.ASC, marker=marker)
        start_ms = selection.start_ms if marker is None else parse_marker(marker)[0]
        span_ms = 2 * self._spans.get(state.id, selection.end_ms - start_ms)
        near = replace(selection, end_ms=min(selection.end_ms, start_ms + span_ms + 1))
        with self._database.reading() as cursor:
            # A page is mostly as long as the one before: the records beyond need no look.
            rows, next_marker = _find(cursor, state, near, "TRUE", Bindings(), paging)
            if not next_marker and near != selection:
                rows, next_marker = _find(cursor, state, selection, "TRUE", Bindings(), paging)
        if next_marker:
            self._spans[state.id] = rows[-1][0] - rows[0][0]
        return _page(rows, next_marker)

    def pull_matching(
        self,
        state: StoreState,
        selection: Selection,
        query: str,
        paging: Paging,
        handle: QueryHandle | None = None,
    ) -> Page:
        """Records that a search finds."""
        state, paging = _frozen(state), self._seeded(paging)
        with plus_explained(query), self._database.reading(handle) as cursor:
            statement = parse_statement(query)
            if statement.search is None or statement.sql is not None:
                raise invalid_query("only `match <search>` can be pulled")
            rows, next_marker = _search(cursor, state, selection, statement.search, paging)
        return _page(rows, next_marker)

    def run(
        self,
        state: StoreState,
        selection: Selection,
        query: str,
        paging: Paging,
        now_ms: int,
        handle: QueryHandle | None = None,
    ) -> QueryResult:
        """What a statement finds, asked at the simulated instant ``now_ms``."""
        began = monotonic()
        state, paging = _frozen(state), self._seeded(paging)
        with plus_explained(query), self._database.reading(handle) as cursor:
            statement = parse_statement(query)
            scanned = _scan_size(cursor, state, selection)
            if statement.search is not None and statement.sql is None:
                rows, next_marker = _search(cursor, state, selection, statement.search, paging)
                tags = tuple(_tags(row[5]) for row in rows)
                return QueryResult(
                    query_type=statement.query_type,
                    columns=_MATCH_COLUMNS,
                    column_types=_MATCH_TYPES,
                    rows=tuple(row[:4] for row in rows),
                    tags=tags if any(tags) else (),
                    next_marker=next_marker or None,
                    truncated_reason="more hits follow the marker" if next_marker else "",
                    scan_count=scanned[0],
                    scan_bytes=scanned[1],
                    execution_time_ms=_elapsed_ms(began),
                )
            columns, types, cells, cut = _select(cursor, state, selection, statement, now_ms)
        return QueryResult(
            query_type=statement.query_type,
            columns=columns,
            column_types=types,
            rows=cells,
            next_marker=None,
            truncated_reason=f"only the first {len(cells)} rows are returned" if cut else "",
            scan_count=scanned[0],
            scan_bytes=scanned[1],
            execution_time_ms=_elapsed_ms(began),
        )

    def histogram(
        self,
        state: StoreState,
        selection: Selection,
        query: str,
        handle: QueryHandle | None = None,
    ) -> Histogram:
        """How the hits are spread; of a statement without a search, all records in range.

        Source: doc of the API's schema (the index must be on): a strict LogStore without one
        refuses.
        """
        began = monotonic()
        state = _frozen(state)
        interval_ms = _interval_ms(selection)
        bindings = Bindings()
        with plus_explained(query), self._database.reading(handle) as cursor:
            statement = parse_statement(query)
            if state.log_store.settings.strict_search and state.log_store.active_index is None:
                raise invalid_query("the LogStore has no index, which a histogram needs")
            clause = _range(selection, bindings)
            if statement.search is not None:
                clause += f" AND {_condition(cursor, state, statement.search, bindings)}"
            sql = (
                f"SELECT ts // {interval_ms} AS b, count(*) FROM {state.table}"
                f" WHERE {clause} GROUP BY b"
            )
            _, rows = run_statement(cursor, sql, bindings.used_in(sql))
        counts: dict[int, int] = dict(rows)
        first, last = selection.start_ms // interval_ms, (selection.end_ms - 1) // interval_ms
        return Histogram(
            query_type=statement.query_type,
            interval_ms=interval_ms,
            buckets=tuple(
                HistogramBucket(
                    start_ms=number * interval_ms,
                    end_ms=(number + 1) * interval_ms,
                    count=counts.get(number, 0),
                )
                for number in range(first, last + 1)
            ),
            execution_time_ms=_elapsed_ms(began),
        )

    def _seeded(self, paging: Paging) -> Paging:
        """``paging`` with a seed, if it samples: two queries without one see different hits.

        Source: doc of an SDK (no seed: a random one). Its place among the samples drawn so far
        gives it here, so that a run that is repeated with its scenario's seed draws the same.
        """
        if paging.sample_seed is not None or paging.sample_percentage >= 100:
            return paging
        drawn = self._rng.stream("sample", next(self._samples)).getrandbits(63)
        return replace(paging, sample_seed=drawn)


def _interval_ms(selection: Selection) -> int:
    """The least interval that makes no more than 60 buckets. Source: assumed."""
    for interval_s in _INTERVALS_S:
        interval_ms = interval_s * 1000
        count = (selection.end_ms - 1) // interval_ms - selection.start_ms // interval_ms + 1
        if count <= MAX_BUCKETS:
            return interval_ms
    days = (selection.end_ms - selection.start_ms) // (_DAY_MS * (MAX_BUCKETS - 1)) + 1
    return days * _DAY_MS


def _frozen(state: StoreState) -> StoreState:
    """``state`` with the fields known now, before the transaction begins.

    A field discovered later may have a column that the transaction does not see.
    """
    return replace(state, fields=copy(state.fields))


def _search(
    cursor: Cursor, state: StoreState, selection: Selection, part: Part, paging: Paging
) -> tuple[list[Row], str]:
    bindings = Bindings()
    condition = _condition(cursor, state, part, bindings)
    return _find(cursor, state, selection, condition, bindings, paging)


def _condition(cursor: Cursor, state: StoreState, part: Part, bindings: Bindings) -> str:
    search = parse_search(part.text, part.at)
    writer = ConditionWriter(
        state.fields,
        state.log_store.active_index,
        strict=state.log_store.settings.strict_search,
        cursor=cursor,
        bindings=bindings,
    )
    return writer.write(search)


def _find(
    cursor: Cursor,
    state: StoreState,
    selection: Selection,
    condition: str,
    bindings: Bindings,
    paging: Paging,
) -> tuple[list[Row], str]:
    """Rows of time, seq, stream, message, sequence, tags, type; and the next page's marker."""
    clauses = [_range(selection, bindings), condition]
    if paging.marker is not None:
        time_ms, seq = parse_marker(paging.marker)
        side = ">" if paging.sort is Sort.ASC else "<"
        # The first part alone lets DuckDB skip what the pages before were in.
        clauses.append(f"ts {side}= {time_ms}")
        clauses.append(f"(ts {side} {time_ms} OR seq {side} {seq})")
    if paging.sample_percentage < 100:
        share = int(paging.sample_percentage / 100 * _SAMPLE_PARTS)
        clauses.append(f"hash(seq, {paging.sample_seed}) % {_SAMPLE_PARTS} < {share}")
    direction = "ASC" if paging.sort is Sort.ASC else "DESC"
    sql = (
        f"SELECT ts, seq, stream, message, sequence, tags, type FROM {state.table}"
        f" WHERE {' AND '.join(clauses)} ORDER BY ts {direction}, seq {direction}"
        f" LIMIT {paging.limit + 1} OFFSET {paging.offset}"
    )
    _, rows = run_statement(cursor, sql, bindings.used_in(sql))
    if len(rows) <= paging.limit:
        return rows, ""
    rows = rows[: paging.limit]
    return rows, encode_marker(rows[-1][0], rows[-1][1]) if rows else ""


def _select(
    cursor: Cursor, state: StoreState, selection: Selection, statement: Statement, now_ms: int
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[tuple[Value, ...], ...], bool]:
    assert statement.sql is not None
    bindings = Bindings()
    search = (
        "TRUE"
        if statement.search is None
        else _condition(cursor, state, statement.search, bindings)
    )

    def condition(back_ms: int) -> str:
        return f"{_range(selection, bindings, back_ms)} AND {search}"

    records = Records(
        table=state.table,
        condition=condition,
        field=lambda name: state.fields.typed(name, cursor, bindings, state.log_store.active_index),
        field_names=state.fields.names,
    )
    query = SqlCompiler(records, Scope(bindings=bindings, now_ms=now_ms)).compile(statement.sql)
    try:
        types, rows = run_statement(cursor, query.sql, bindings.used_in(query.sql))
    except ControlError as error:
        raise ControlError(error.code, error.status, _readable(error.message, state)) from error
    cut = not query.limit_given and len(rows) > query.limit
    return (
        query.columns,
        tuple(_column_type(type_, item) for type_, item in zip(types, query.items, strict=True)),
        tuple(
            tuple(_value(cell, item) for cell, item in zip(row, query.items, strict=True))
            for row in rows[: query.limit]
        ),
        cut,
    )


def _range(selection: Selection, bindings: Bindings, back_ms: int = 0) -> str:
    start_ms = max(selection.start_ms - back_ms, selection.oldest_ms)
    clause = f"ts >= {start_ms} AND ts < {selection.end_ms - back_ms}"
    if selection.stream is not None:
        clause += f" AND stream = {bindings.text(selection.stream)}"
    return clause


def _scan_size(cursor: Cursor, state: StoreState, selection: Selection) -> tuple[int, int]:
    bindings = Bindings()
    sql = (
        f"SELECT count(*), coalesce(sum(size), 0) FROM {state.table}"
        f" WHERE {_range(selection, bindings)}"
    )
    row = cursor.execute(sql, bindings.used_in(sql)).fetchone()
    return (0, 0) if row is None else (int(row[0]), int(row[1]))


def _page(rows: Sequence[Row], next_marker: str) -> Page:
    return Page(
        records=tuple(
            PulledRecord(
                message=row[3],
                type=_RECORD_TYPES[row[6]],
                timestamp_ms=row[0],
                sequence=row[4],
            )
            for row in rows
        ),
        next_marker=next_marker,
    )


def _tags(text: str | None) -> Mapping[str, str]:
    return {} if text is None else json.loads(text)


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


def _readable(message: str, state: StoreState) -> str:
    """DuckDB's complaint with the fields' own names in place of the opaque ones."""
    names = {f"f{field.position}": field.name for field in state.fields.with_column()}
    names |= {typed.sql: name for name, typed in RESERVED.items()} | _PARTS_OF_RECORD
    return _COLUMN_NAME.sub(lambda found: f'"{names.get(found[1], found[1])}"', message)


def _elapsed_ms(began: float) -> int:
    return int((monotonic() - began) * 1000)
