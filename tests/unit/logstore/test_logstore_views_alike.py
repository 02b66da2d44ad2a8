"""A view answers as one LogStore with all of its records would."""

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from statements import searches, statements

from simulator.clock import ManualClock
from simulator.errors import ControlError
from simulator.logstore import (
    LogStoreEngine,
    LogStoreSettings,
    LogStoreType,
    NewRecord,
    Paging,
    RecordType,
    Selection,
    Sort,
    ViewStore,
    results,
)
from simulator.logstore.database import stream_statement

NOW_MS = 1_772_323_200_000
EVERYTHING = Selection(start_ms=0, end_ms=2**53)
VIEW = LogStoreType.LOGSTORE_VIEW
UNREPEATABLE = ("rand(", "approx_", "percentile", "cardinality")
"""Drawn, or estimated from rows in the order they come."""

RECORDS: tuple[object, ...] = (
    {"host": "a", "status": 200, "cost": 0.5, "ok": True, "n": {"d": 1}},
    {"host": "b", "status": 503, "cost": 2, "n": {"d": "q"}},
    {"host": "a", "status": 200, "cost": "x", "ok": False},
    "plain text of a host",
    {"host": None, "status": -1, "late": "only here"},
    {"host": "中文", "status": 9_007_199_254_740_993, "ok": None, "n": 7},
)
NAMES = ("whole", "left", "right")


@pytest.fixture(scope="module")
def engine() -> Iterator[LogStoreEngine]:
    """``whole`` has all the records; ``left`` and ``right`` have half of them each, and the views
    ``both`` and ``only`` are over those two, and over ``whole``."""
    engine = LogStoreEngine(None, ManualClock(NOW_MS / 1000), threads=1)
    for name in NAMES:
        engine.create_log_store("default", name, LogStoreSettings(retention_days=-1))
    for number, record in enumerate(RECORDS):
        text = isinstance(record, str)
        message = record if isinstance(record, str) else json.dumps(record, ensure_ascii=False)
        new = NewRecord(message=message, timestamp_ms=NOW_MS + number)
        for name in ("whole", NAMES[1 + number % 2]):
            engine.push(
                "default",
                name,
                [new],
                stream=f"s{number % 3}",
                tags={"rack": f"r{number}"} if number % 3 else None,
                record_type=RecordType.TEXT if text else RecordType.JSON,
            )
    engine.views.create("default", "both", stores_of("left", "right"))
    engine.views.create("default", "only", stores_of("whole"))
    yield engine
    engine.close()


def stores_of(*names: str) -> list[ViewStore]:
    return [ViewStore(project="default", name=name) for name in names]


def asked(engine: LogStoreEngine, name: str, statement: str) -> object:
    """Columns, types and rows, or the code of the refusal."""
    type_ = LogStoreType.LOGSTORE if name in NAMES else VIEW
    try:
        found = engine.query(
            "default", name, EVERYTHING, statement, Paging(limit=1000), log_store_type=type_
        )
    except ControlError as error:
        return error.code, error.status
    if found.query_type == "match":
        return [(row[0], row[2], row[3]) for row in found.rows], found.tags
    # Where rows are no groups, one may meet several earlier ones, in whatever order.
    rows = sorted(found.rows, key=repr) if "compare(" in statement else found.rows
    return found.columns, found.column_types, tuple(rows)


def alike(one: Any, other: Any) -> bool:  # Any: cells are whatever they are
    """Equal, sums in another order included."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9)
    if isinstance(one, tuple | list) and isinstance(other, tuple | list):
        return len(one) == len(other) and all(map(alike, one, other))
    return bool(one == other)


EXAMPLES = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@EXAMPLES
@given(statements())
def test_random_statements_find_the_same(engine: LogStoreEngine, statement: str) -> None:
    assume(not any(name in statement for name in UNREPEATABLE))
    whole = asked(engine, "whole", statement)
    assert asked(engine, "only", statement) == whole
    assert alike(asked(engine, "both", statement), whole)


@EXAMPLES
@given(searches())
def test_random_searches_find_the_same(engine: LogStoreEngine, search: str) -> None:
    whole = asked(engine, "whole", f"match {search}")
    assert asked(engine, "only", f"match {search}") == whole
    assert asked(engine, "both", f"match {search}") == whole


@pytest.mark.parametrize(
    "statement",
    [
        "select *",
        "select * limit 2, 2",
        "select status, count(*) as n group by status order by n desc, status",
        "select max(cost), min(cost), sum(status), avg(status), count(cost), count(*)",
        "select ok, late, n.d, rack where `@stream` <> 's0' order by @timestamp desc",
        "select first(host), last(host), group_array(host), max_by(host, status)",
        "select distinct host order by host",
        "select nothing, count(*) group by nothing",
        "select sum(nothing), max(`no.such`)",
        "select host, n from (select host, count(*) as n group by host) where n > 1",
        "select a from (select status as a limit 4) order by a limit 2",
        "select * from (select * limit 3)",
        "select * order by cost desc, 1 limit 2",
        "select *, 'x' as c, 1 as one order by c, one, status desc nulls last limit 1, 3",
        "select `@raw` as r, upper(host) where status > 0 order by 2 desc, r limit 2",
        "select host, `@raw` from (select * order by status desc limit 3) order by host limit 2",
        "match host:* | select `@raw`, n.d order by if(ok, 1, 2), `@raw` limit 3",
        "select compare(n, 1) from (select count(*) as n)",
        "select ts_compare(n, 60) from (select histogram(@timestamp, interval 1 minute) as t,"
        " count(*) as n group by t)",
        "match host:a | select count(*), sum(cost)",
        "match not host:* | select `@raw`",
        "match rack:r1 or rack:r4 | select rack",
        "select host where status in (200, 503) and cost is not null and ok is not false",
        "select if(ok, 'yes', 'no'), coalesce(late, host), upper(host), length(`@raw`)",
        "select count(distinct host), checksum(host), histogram(host)",
    ],
)
def test_statements_find_the_same(engine: LogStoreEngine, statement: str) -> None:
    whole = asked(engine, "whole", statement)
    assert not isinstance(whole, tuple) or len(whole) == 3, whole  # not a refusal
    assert asked(engine, "only", statement) == whole
    assert alike(asked(engine, "both", statement), whole)


def test_each_log_store_is_asked_for_its_first_records_where_messages_are_shown(
    engine: LogStoreEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    run: list[str] = []
    monkeypatch.setattr(
        results,
        "stream_statement",
        lambda cursor, sql, values: (run.append(sql), stream_statement(cursor, sql, values))[1],
    )
    for statement, count in (
        ("select * order by `@timestamp` desc limit 1, 2", 2),
        ("select upper(`@raw`) limit 3", 2),
        ("select host limit 3", 0),
        ("select `@raw`, count(*) group by `@raw` limit 3", 0),
        ("select distinct `@raw` limit 3", 0),
        ("select * limit 2001", 0),
        ("select *", 0),
    ):
        run.clear()
        asked(engine, "both", statement)
        assert run[0].count(" LIMIT 3)") == count, run


def test_estimates_are_of_all_records(engine: LogStoreEngine) -> None:
    statement = "select approx_percentile(status, 0.5), cardinality(approx_set(host))"
    _, _, rows = asked(engine, "both", statement)
    assert rows == ((200, 3),)


@pytest.mark.parametrize("query", ["match *", "match status = 200", "select count(*)"])
def test_histograms_count_the_same(engine: LogStoreEngine, query: str) -> None:
    within = Selection(start_ms=NOW_MS - 2000, end_ms=NOW_MS + 2000)
    whole = engine.histogram("default", "whole", within, query)
    both = engine.histogram("default", "both", within, query, log_store_type=VIEW)
    assert (both.buckets, both.hits, both.query_type) == (
        whole.buckets,
        whole.hits,
        whole.query_type,
    )
    assert whole.hits > 0


def test_scans_are_counted_together(engine: LogStoreEngine) -> None:
    whole = engine.query("default", "whole", EVERYTHING, "match *")
    both = engine.query("default", "both", EVERYTHING, "match *", log_store_type=VIEW)
    assert (both.scan_count, both.scan_bytes) == (whole.scan_count, whole.scan_bytes)


# Paging


@st.composite
def batches(draw: st.DrawFn) -> list[list[tuple[int, str]]]:
    """Times and streams of the records of three LogStores; many are alike."""
    record = st.tuples(st.integers(0, 4), st.sampled_from(("x", "y")))
    return [draw(st.lists(record, max_size=8)) for _ in range(3)]


def filled(stores: Sequence[Sequence[tuple[int, str]]]) -> LogStoreEngine:
    """The clock stands still, so that equal ``@seq`` are the rule."""
    engine = LogStoreEngine(None, ManualClock(NOW_MS / 1000), threads=1)
    names = ["s0", "s1", "s2"]
    for name, records in zip(names, stores, strict=True):
        engine.create_log_store("default", name, LogStoreSettings(retention_days=-1))
        for number, (after_ms, stream) in enumerate(records):
            new = NewRecord(message=f"{name}/{number}", timestamp_ms=NOW_MS + after_ms)
            engine.push("default", name, [new], stream=stream)
    engine.views.create("default", "v", stores_of(*reversed(names)))
    return engine


def sorted_union(engine: LogStoreEngine, search: str, sort: Sort) -> list[str]:
    """Names of the hits of all LogStores by time, seq and LogStore."""
    rows = []
    for name in ("s0", "s1", "s2"):
        found = engine.query("default", name, EVERYTHING, search, Paging(limit=100))
        rows += [(row[0], row[1], name, row[3]) for row in found.rows]
    return [str(row[3]) for row in sorted(rows, reverse=sort is Sort.DESC)]


@settings(max_examples=20, deadline=None)
@given(
    stores=batches(),
    limit=st.integers(1, 7),
    sort=st.sampled_from(Sort),
    search=st.sampled_from(("match *", "match @stream:x", "match s1", "match nowhere")),
)
def test_pages_of_a_view_are_the_sorted_union(
    stores: list[list[tuple[int, str]]], limit: int, sort: Sort, search: str
) -> None:
    engine = filled(stores)
    expected = sorted_union(engine, search, sort)
    by_marker: list[str] = []
    pulled: list[str] = []
    marker: str | None = None
    while True:
        paging = Paging(limit=limit, sort=sort, marker=marker)
        page = engine.query("default", "v", EVERYTHING, search, paging, log_store_type=VIEW)
        same = engine.pull_matching("default", "v", EVERYTHING, search, paging, log_store_type=VIEW)
        by_marker += [str(row[3]) for row in page.rows]
        pulled += [record.message for record in same.records]
        assert (page.next_marker or "") == same.next_marker
        assert len(page.rows) == limit or page.next_marker is None
        if page.next_marker is None:
            break
        marker = page.next_marker
    by_offset: list[str] = []
    for offset in range(0, len(expected) + limit, limit):
        paging = Paging(limit=limit, sort=sort, offset=offset)
        page = engine.query("default", "v", EVERYTHING, search, paging, log_store_type=VIEW)
        by_offset += [str(row[3]) for row in page.rows]
    engine.close()
    assert by_marker == pulled == by_offset == expected


@settings(max_examples=10, deadline=None)
@given(stores=batches(), limit=st.integers(1, 7))
def test_pulls_of_a_view_are_the_sorted_union(
    stores: list[list[tuple[int, str]]], limit: int
) -> None:
    engine = filled(stores)
    expected = sorted_union(engine, "match *", Sort.ASC)
    found: list[str] = []
    marker: str | None = None
    while marker != "":
        page = engine.pull(
            "default", "v", EVERYTHING, limit=limit, marker=marker, log_store_type=VIEW
        )
        found += [record.message for record in page.records]
        marker = page.next_marker
    engine.close()
    assert found == expected


def test_a_sample_of_a_view_is_those_of_its_log_stores() -> None:
    engine = filled([[(number % 5, "x") for number in range(8)]] * 3)
    for share in (30.0, 70.0):
        paging = Paging(limit=100, sort=Sort.ASC, sample_percentage=share, sample_seed=7)
        each = [
            row[3]
            for name in ("s0", "s1", "s2")
            for row in engine.query("default", name, EVERYTHING, "match *", paging).rows
        ]
        found = engine.query("default", "v", EVERYTHING, "match *", paging, log_store_type=VIEW)
        assert sorted(row[3] for row in found.rows) == sorted(each)
    engine.close()


def test_a_marker_of_a_log_store_is_a_place_in_a_view() -> None:
    engine = filled([[(0, "x"), (1, "x")]] * 3)
    first = engine.pull("default", "s0", EVERYTHING, limit=1)
    rest = engine.pull("default", "v", EVERYTHING, marker=first.next_marker, log_store_type=VIEW)
    engine.close()
    assert [record.message for record in rest.records] == ["s0/1", "s1/1", "s2/1"]
