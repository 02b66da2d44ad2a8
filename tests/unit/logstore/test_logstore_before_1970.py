"""Records from before 1970: whatever goes by time goes on below zero."""

from collections.abc import Iterator

import pytest
from demo_store import NOW_MS, Store

from simulator.errors import ControlError
from simulator.logstore import LogStoreSettings, LogStoreType, NewRecord, Selection, Sort, ViewStore
from simulator.logstore.typed import MIN_MS
from simulator.logstore.values import Paging

TIMES = (MIN_MS, -86_400_001, -1_500, -1_000, -999, -1, 1, 999)
ALL = Selection(start_ms=MIN_MS, end_ms=NOW_MS)
NEAR = Selection(start_ms=-2_000, end_ms=2_000)


@pytest.fixture(params=LogStoreType)
def kind(store: Store, request: pytest.FixtureRequest) -> LogStoreType:
    kind: LogStoreType = request.param
    engine = store.engine
    for at_ms in reversed(TIMES):
        engine.push("default", "demo", [NewRecord(message=f"n {at_ms}", timestamp_ms=at_ms)])
    if kind is LogStoreType.LOGSTORE_VIEW:
        engine.create_log_store("default", "other", LogStoreSettings(retention_days=-1))
        stores = [ViewStore(project="default", name=name) for name in ("demo", "other")]
        engine.views.create("default", "view", stores)
    return kind


def name_of(kind: LogStoreType) -> str:
    return "demo" if kind is LogStoreType.LOGSTORE else "view"


def pages(store: Store, kind: LogStoreType, sort: Sort) -> Iterator[int]:
    """The times of all records, two a page."""
    marker = None
    while True:
        paging = Paging(limit=2, sort=sort, marker=marker)
        page = store.engine.pull_matching(
            "default", name_of(kind), ALL, "match n", paging, log_store_type=kind
        )
        yield from (record.timestamp_ms for record in page.records)
        marker = page.next_marker
        if not marker:
            return


def test_they_are_paged_through_in_order(store: Store, kind: LogStoreType) -> None:
    assert tuple(pages(store, kind, Sort.ASC)) == TIMES
    assert tuple(pages(store, kind, Sort.DESC)) == TIMES[::-1]
    pulled: list[int] = []
    marker = None
    while marker != "":
        page = store.engine.pull(
            "default", name_of(kind), ALL, limit=3, marker=marker, log_store_type=kind
        )
        pulled += (record.timestamp_ms for record in page.records)
        marker = page.next_marker
    assert tuple(pulled) == TIMES


def test_a_histogram_counts_them_where_they_are(store: Store, kind: LogStoreType) -> None:
    found = store.engine.histogram("default", name_of(kind), NEAR, "match *", log_store_type=kind)
    counts = {bucket.start_ms: bucket.count for bucket in found.buckets}
    assert counts == {-2_000: 1, -1_000: 3, 0: 2, 1_000: 0}


def test_sql_takes_their_times_apart(store: Store, kind: LogStoreType) -> None:
    query = (
        "select cast(`@timestamp` as timestamp) as t, date_trunc('day', `@timestamp`) as d,"
        " unix_timestamp(`@timestamp`) as s order by `@timestamp`"
    )
    found = store.engine.query("default", name_of(kind), NEAR, query, log_store_type=kind)
    assert found.rows[1] == ("1969-12-31T23:59:59Z", "1970-01-01T00:00:00", -1)
    assert [row[2] for row in found.rows] == [-2, -1, -1, -1, 0, 0]


def test_the_compatible_search_has_them(store: Store, kind: LogStoreType) -> None:
    body = {
        "query": {"range": {"@timestamp": {"gte": -2_000, "lt": 0}}},
        "sort": [{"@timestamp": "asc"}],
        "fields": ["@timestamp"],
        "aggs": {"t": {"date_histogram": {"field": "@timestamp", "fixed_interval": "1s"}}},
    }
    index = "demo" if kind is LogStoreType.LOGSTORE else "demo,other"
    response = store.engine.elastic.search(index, body)["response"]
    assert [hit["fields"]["@timestamp"][0] for hit in response["hits"]["hits"]] == [
        "1969-12-31T23:59:58.500Z",
        "1969-12-31T23:59:59.000Z",
        "1969-12-31T23:59:59.001Z",
        "1969-12-31T23:59:59.999Z",
    ]
    buckets = response["aggregations"]["t"]["buckets"]
    assert [(one["key"], one["doc_count"]) for one in buckets] == [(-2_000, 1), (-1_000, 3)]


def test_what_no_date_says_is_refused(store: Store) -> None:
    record = NewRecord(message="m", timestamp_ms=MIN_MS - 1)
    with pytest.raises(ControlError, match=r"logRecords\[0\].timestamp.*year 1 .*not -6213"):
        store.engine.push("default", "demo", [record])
