"""Records of half a megabyte, with much less memory than a page of them has."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

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
)
from simulator.logstore.record_sizes import MAX_PAGE_BYTES, fitting_count

NOW_MS = 1_772_323_200_000
EVERYTHING = Selection(start_ms=0, end_ms=2**53)
COUNT = 100
OTHERS = 40
LARGE = 500_000
FIT = MAX_PAGE_BYTES // LARGE


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LogStoreEngine]:
    path: Path = tmp_path_factory.mktemp("large") / "logs.db"
    engine = LogStoreEngine(path, ManualClock(NOW_MS / 1000), memory_limit="64MB", threads=1)
    for name, count in (("demo", COUNT), ("other", OTHERS)):
        engine.create_log_store("default", name, LogStoreSettings(retention_days=-1))
        for first in range(0, count, 5):
            records = [
                NewRecord(message=_message(number), timestamp_ms=NOW_MS + number)
                for number in range(first, first + 5)
            ]
            engine.push("default", name, records, record_type=RecordType.JSON)
    engine.views.create(
        "default",
        "both",
        [ViewStore(project="default", name="demo"), ViewStore(project="default", name="other")],
    )
    # Written out and read back, as in a later run.
    engine.close()
    engine = LogStoreEngine(path, ManualClock(NOW_MS / 1000), memory_limit="64MB", threads=1)
    yield engine
    engine.close()


def _message(number: int) -> str:
    record = {"n": number, "kind": "even" if number % 2 == 0 else "odd"}
    head = json.dumps(record)[:-1] + ', "pad": "'
    return head + "x" * (LARGE - len(head) - 2) + '"}'


def number_of(message: str) -> int:
    return json.loads(message)["n"]


def test_pages_end_before_they_are_too_large_and_lose_nothing(engine: LogStoreEngine) -> None:
    found: list[int] = []
    marker = None
    lengths = []
    while True:
        page = engine.pull("default", "demo", EVERYTHING, limit=1000, marker=marker)
        found += [number_of(record.message) for record in page.records]
        lengths.append(len(page.records))
        marker = page.next_marker
        if not marker:
            break
    assert found == list(range(COUNT))
    assert set(lengths[:-1]) == {FIT}


def test_searches_are_paged_in_the_same_way(engine: LogStoreEngine) -> None:
    found: list[int] = []
    paging = Paging(limit=1000, sort=Sort.DESC)
    while True:
        result = engine.query("default", "demo", EVERYTHING, "match kind:even", paging)
        found += [number_of(str(row[3])) for row in result.rows]
        assert len(result.rows) <= FIT
        if result.next_marker is None:
            break
        assert result.truncated_reason
        paging = Paging(limit=1000, sort=Sort.DESC, marker=result.next_marker)
    assert found == list(range(COUNT - 2, -1, -2))


def test_views_are_paged_in_the_same_way(engine: LogStoreEngine) -> None:
    found: list[int] = []
    marker = None
    while True:
        page = engine.pull(
            "default",
            "both",
            EVERYTHING,
            limit=100,
            marker=marker,
            log_store_type=LogStoreType.LOGSTORE_VIEW,
        )
        found += [number_of(record.message) for record in page.records]
        marker = page.next_marker
        if not marker:
            break
    assert found == [number for number in range(COUNT) for _ in range(1 + (number < OTHERS))]


def test_small_pages_are_whole(engine: LogStoreEngine) -> None:
    page = engine.pull("default", "demo", EVERYTHING, limit=3)
    assert [number_of(record.message) for record in page.records] == [0, 1, 2]
    result = engine.query("default", "demo", EVERYTHING, "match *", Paging(limit=2, offset=5))
    assert [number_of(str(row[3])) for row in result.rows] == [COUNT - 6, COUNT - 7]


def test_elastic_search_says_how_many_hits_fit(engine: LogStoreEngine) -> None:
    found = engine.elastic.search("demo", {"size": FIT})
    assert len(found["response"]["hits"]["hits"]) == FIT  # type: ignore[index]
    with pytest.raises(ControlError) as caught:
        engine.elastic.search("demo", {})
    assert (caught.value.code, caught.value.status) == ("InvalidParameter", 400)
    assert str(FIT) in caught.value.message


def test_rows_between_large_records_are_none(engine: LogStoreEngine) -> None:
    for statement in ("select count(*)", "select count(n)", "select count(distinct `@seq`)"):
        assert engine.query("default", "demo", EVERYTHING, statement).rows == ((COUNT,),)
    found = engine.query("default", "demo", EVERYTHING, "select kind, count(*) as c group by kind")
    assert found.rows == (("even", COUNT // 2), ("odd", COUNT // 2))
    histogram = engine.histogram("default", "demo", EVERYTHING, "match *")
    assert sum(bucket.count for bucket in histogram.buckets) == COUNT
    counted = {"size": 0, "aggs": {"n": {"value_count": {"field": "n"}}}}
    answer = engine.elastic.search("demo", counted)
    assert answer["response"]["aggregations"]["n"]["value"] == COUNT  # type: ignore[index]


def test_what_large_records_hold_can_be_computed_with(engine: LogStoreEngine) -> None:
    statement = "select max(length(upper(`@raw`))), min(length(concat(pad, 'y')))"
    [(longest, shortest)] = engine.query("default", "demo", EVERYTHING, statement).rows
    assert longest == LARGE
    assert isinstance(shortest, int)


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 2047, 2048, 2049, 4096, 4097, 100_000])
def test_a_record_of_any_size_is_one_record(size: int) -> None:
    clock = ManualClock(NOW_MS / 1000)
    engine = LogStoreEngine(None, clock, threads=1)
    engine.create_log_store("default", "demo", LogStoreSettings(retention_days=1))
    messages = ["a", "é" * size, "", "x" * size, "b"]
    for _ in range(2):
        records = [
            NewRecord(message=message, timestamp_ms=NOW_MS, sequence=number)
            for number, message in enumerate(messages)
        ]
        assert engine.push("default", "demo", records, tags={"k": "v"}) == len(messages)
    page = engine.pull("default", "demo", EVERYTHING)
    assert [record.message for record in page.records] == messages * 2
    assert [record.sequence for record in page.records] == [0, 1, 2, 3, 4] * 2
    engine.close()


def test_they_expire_with_the_rows_between_them() -> None:
    clock = ManualClock(NOW_MS / 1000)
    engine = LogStoreEngine(None, clock, threads=1)
    engine.create_log_store("default", "demo", LogStoreSettings(retention_days=1))
    engine.push("default", "demo", [NewRecord(message="x" * 100_000, timestamp_ms=NOW_MS)])
    later_ms = NOW_MS + 40 * 3_600_000
    for job in engine.jobs:
        job.run(later_ms / 1000)
    with engine._database.reading() as cursor:
        state = engine._catalog.store("default", "demo")
        assert cursor.execute(f"SELECT count(*) FROM {state.table}").fetchall() == [(0,)]
    engine.close()


@pytest.mark.parametrize(
    ("sizes", "count"),
    [
        ([], 0),
        ([MAX_PAGE_BYTES + 1], 1),
        ([MAX_PAGE_BYTES, 0, 1], 2),
        ([1, MAX_PAGE_BYTES], 1),
        ([5] * 10, 10),
    ],
)
def test_as_many_are_read_as_fit_and_at_least_one(sizes: list[int], count: int) -> None:
    assert fitting_count(sizes) == count


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("select n, `@raw` order by kind desc, n desc", [*range(99, 0, -2), *range(98, 64, -2)]),
        ("select n, `@raw` where n >= 50", [*range(50, 100)]),
        ("match n < 60 | select n, `@raw` order by 1 desc limit 50 offset 5", [*range(54, 4, -1)]),
        ("select n, upper(`@raw`) as r order by -n, length(r) limit 40", [*range(99, 59, -1)]),
        ("select n, `@raw` where n < 0", []),
    ],
)
def test_wide_rows_are_sorted_by_what_tells_them_apart(
    engine: LogStoreEngine, statement: str, expected: list[int]
) -> None:
    result = engine.query("default", "demo", EVERYTHING, statement)
    assert [row[0] for row in result.rows] == expected
    assert result.column_types == ("int", "string")
    assert all(number_of(str(row[1]).lower()) == row[0] for row in result.rows)


def test_everything_comes_out_in_order(engine: LogStoreEngine) -> None:
    result = engine.query("default", "demo", EVERYTHING, "select * order by n desc")
    assert result.columns == ("@timestamp", "@stream", "@raw", "kind", "n", "pad")
    assert result.truncated_reason == "only the first 33 rows are returned, which are 32 MiB"
    assert [row[4] for row in result.rows] == [*range(99, 66, -1)]
    assert [number_of(str(row[2])) for row in result.rows] == [*range(99, 66, -1)]
