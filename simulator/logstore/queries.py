"""Runs pulls and queries on the records of a LogStore or a view."""

import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import Final

from simulator.clock import monotonic
from simulator.errors import ControlError
from simulator.logstore.database import Cursor, Database, Row, run_statement
from simulator.logstore.marker import parse_marker
from simulator.logstore.origins import Member, Origin, missing_of_view
from simulator.logstore.pages import find_page
from simulator.logstore.record_sizes import RecordSizes
from simulator.logstore.results import KeptRows, RowSink, Sent
from simulator.logstore.selecting import Selecting, parsed_search
from simulator.logstore.statement import parse_statement
from simulator.logstore.typed import Bindings, invalid_query
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
)
from simulator.logstore.watchdog import QueryHandle
from simulator.rng import Rng

_MATCH_COLUMNS: Final = ("@timestamp", "@seq", "@stream", "@raw")
_MATCH_TYPES: Final = ("int", "int", "string", "string")
"""Source: doc of an SDK-based tool, and SDK tests for the fourth column (2026-08)."""
MAX_BUCKETS: Final = 60
_DAY_MS: Final = 86_400_000
_LONGEST_DAYS: Final = 24
_MAX_LONGEST: Final = 1000
"""Buckets of so many days: for 65 years."""
_INTERVALS_S: Final = (1, 5, 10, 30, 60, 300, 600, 1800, 3600, 6 * 3600, 12 * 3600, 86_400)
_RECORD_TYPES: Final = {type_.value: type_ for type_ in RecordType}


class QueryRunner:
    """Reads records. What an origin has is without what retention has taken already.

    Args:
        database: holds them.
        rng: draws samples that are asked for without a seed, and what ``rand()`` gives.
    """

    def __init__(self, database: Database, rng: Rng) -> None:
        self._database = database
        self._rng = rng
        self._sizes = RecordSizes()
        self._samples = itertools.count()
        self._draws = itertools.count()
        self._spans: dict[tuple[int, ...], int] = {}
        """How many milliseconds the last full page of each origin went over."""

    def pull(
        self, origin: Origin, limit: int, marker: str | None, handle: QueryHandle | None = None
    ) -> Page:
        """Records oldest first; it waits for no query."""
        selection = origin.selection
        paging = Paging(limit=limit, sort=Sort.ASC, marker=marker)
        start_ms = selection.start_ms if marker is None else parse_marker(marker).time_ms
        span_ms = 2 * self._spans.get(origin.key, selection.end_ms - start_ms)
        near_ms = start_ms + span_ms + 1
        with self._naming(origin), self._database.reading(handle) as cursor:
            seen = origin.seen_by(cursor)
            # A page is mostly as long as the one before: the records beyond need no look.
            rows, next_marker = find_page(cursor, seen.before(near_ms), None, paging, self._sizes)
            if not next_marker and near_ms < selection.end_ms:
                rows, next_marker = find_page(cursor, seen, None, paging, self._sizes)
        if next_marker:
            self._spans[origin.key] = rows[-1][0] - rows[0][0]
        return _page(rows, next_marker)

    def pull_matching(
        self,
        origin: Origin,
        query: str,
        paging: Paging,
        handle: QueryHandle | None = None,
    ) -> Page:
        """Records that a search finds."""
        paging = self._seeded(paging)
        with self._querying(origin, handle) as (cursor, seen):
            statement = parse_statement(query)
            if statement.search is None or statement.sql is not None:
                raise invalid_query("only `match <search>` can be pulled")
            rows, next_marker = find_page(
                cursor, seen, parsed_search(statement), paging, self._sizes
            )
        return _page(rows, next_marker)

    def run(
        self,
        origin: Origin,
        query: str,
        paging: Paging,
        now_ms: int,
        handle: QueryHandle | None = None,
        sink: RowSink | None = None,
    ) -> QueryResult:
        """What a statement finds, asked at the simulated instant ``now_ms``.

        The rows go into ``sink``; without one they are in the result.
        """
        kept = KeptRows()
        sink = sink or kept
        began = monotonic()
        paging = self._seeded(paging)
        with self._querying(origin, handle) as (cursor, seen):
            statement = parse_statement(query)
            scan_count, scan_bytes = _scan_size(cursor, seen)
            if statement.sql is None:
                search = parsed_search(statement)
                rows, next_marker = find_page(cursor, seen, search, paging, self._sizes)
                sent = _send_hits(rows, next_marker, sink)
            else:
                selecting = Selecting(
                    cursor=cursor,
                    origin=seen,
                    now_ms=now_ms,
                    drawn=self._drawing(),
                    sizes=self._sizes,
                    row_count=scan_count,
                    threads=self._database.threads,
                )
                prepared = selecting.prepare(statement)
                with self._database.room(prepared.byte_count, handle):
                    sent = selecting.run(prepared, sink)
        return QueryResult(
            query_type=statement.query_type,
            columns=sent.columns,
            column_types=sent.column_types,
            rows=tuple(kept.rows),
            tags=sent.tags,
            next_marker=sent.next_marker,
            truncated_reason=sent.truncated_reason,
            scan_count=scan_count,
            scan_bytes=scan_bytes,
            execution_time_ms=_elapsed_ms(began),
        )

    def histogram(
        self,
        origin: Origin,
        query: str,
        handle: QueryHandle | None = None,
    ) -> Histogram:
        """How the hits are spread; of a statement without a search, all records in range.

        Source: doc of the API's schema (the index must be on): a strict LogStore without one
        refuses.
        """
        began = monotonic()
        selection = origin.selection
        interval_ms = _interval_ms(selection)
        first, last = selection.start_ms // interval_ms, (selection.end_ms - 1) // interval_ms
        counts: Counter[int] = Counter()
        bindings = Bindings()
        with self._querying(origin, handle) as (cursor, seen):
            statement = parse_statement(query)
            seen.check_indexed()
            search = parsed_search(statement)
            conditions = seen.conditions(search, cursor, bindings, self._sizes)
            for member, condition in zip(seen.members, conditions, strict=True):
                # Counted from the first one on: DuckDB would round what is negative up.
                sql = (
                    f"SELECT {first} + (ts - {first * interval_ms}) // {interval_ms} AS b, count(*)"
                    f" FROM {member.state.table}"
                    f" WHERE {member.within(bindings)} AND {condition} GROUP BY b"
                )
                _, rows = run_statement(cursor, sql, bindings.used_in(sql))
                counts.update(dict(rows))
        return Histogram(
            query_type=statement.query_type,
            start_ms=selection.start_ms,
            end_ms=selection.end_ms,
            interval_ms=interval_ms,
            buckets=tuple(
                HistogramBucket(
                    start_ms=number * interval_ms,
                    end_ms=(number + 1) * interval_ms,
                    count=counts[number],
                )
                for number in range(first, last + 1)
            ),
            execution_time_ms=_elapsed_ms(began),
        )

    @contextmanager
    def _querying(
        self, origin: Origin, handle: QueryHandle | None
    ) -> Iterator[tuple[Cursor, Origin]]:
        """A cursor for all statements of one query, and the origin as these see it."""
        with self._naming(origin), self._database.querying(handle) as cursor:
            yield cursor, origin.seen_by(cursor)

    @contextmanager
    def _naming(self, origin: Origin) -> Iterator[None]:
        """Name what turns out to be missing of a view."""
        try:
            yield
        except ControlError as error:
            if error.code == "LogStoreNotFound" and origin.view:
                for member in origin.members:
                    if not self._is_there(member):
                        raise missing_of_view(member.state.log_store.name, origin.view) from error
            raise

    def _is_there(self, member: Member) -> bool:
        try:
            with self._database.reading() as cursor:
                cursor.execute(f"SELECT 1 FROM {member.state.table} LIMIT 0")
        except ControlError:
            return False
        return True

    def _seeded(self, paging: Paging) -> Paging:
        """``paging`` with a seed, if it samples: two queries without one see different hits.

        Source: doc of an SDK (no seed: a random one). Its place among the samples drawn so far
        gives it here, so that a run that is repeated with its scenario's seed draws the same.
        """
        if paging.sample_seed is not None or paging.sample_percentage >= 100:
            return paging
        drawn = self._rng.stream("sample", next(self._samples)).getrandbits(63)
        return replace(paging, sample_seed=drawn)

    def _drawing(self) -> Callable[[int], int]:
        """The numbers of one statement: its own by its place among those that drew some."""
        place = cache(lambda: next(self._draws))
        return lambda at: self._rng.stream("rand", place(), at).getrandbits(64)


def _interval_ms(selection: Selection) -> int:
    """The least interval that makes no more than 60 buckets; but where 24 days make 1000, those.

    Source: assumed; doc the vendor's newer SDK for Go, which reads the interval into 32 bits: 24
    days are the most whole ones that fit.
    """
    for interval_s in _INTERVALS_S:
        interval_ms = interval_s * 1000
        count = (selection.end_ms - 1) // interval_ms - selection.start_ms // interval_ms + 1
        if count <= MAX_BUCKETS:
            return interval_ms
    span_ms = selection.end_ms - selection.start_ms
    days = span_ms // (_DAY_MS * (MAX_BUCKETS - 1)) + 1
    if days > _LONGEST_DAYS and span_ms // (_LONGEST_DAYS * _DAY_MS) < _MAX_LONGEST:
        days = _LONGEST_DAYS
    return days * _DAY_MS


def _scan_size(cursor: Cursor, origin: Origin) -> tuple[int, int]:
    count = size = 0
    for member in origin.members:
        bindings = Bindings()
        sql = (
            f"SELECT count(*), coalesce(sum(size), 0) FROM {member.state.table}"
            f" WHERE {member.within(bindings)}"
        )
        row = cursor.execute(sql, bindings.used_in(sql)).fetchone()
        if row is not None:
            count, size = count + int(row[0]), size + int(row[1])
    return count, size


def _send_hits(rows: Sequence[Row], next_marker: str, sink: RowSink) -> Sent:
    sink.begin(_MATCH_COLUMNS)
    sink.add([row[:4] for row in rows])
    tags = tuple(_tags(row[5]) for row in rows)
    return Sent(
        columns=_MATCH_COLUMNS,
        column_types=_MATCH_TYPES,
        truncated_reason="more hits follow the marker" if next_marker else "",
        tags=tags if any(tags) else (),
        next_marker=next_marker or None,
    )


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


def _elapsed_ms(began: float) -> int:
    return int((monotonic() - began) * 1000)
