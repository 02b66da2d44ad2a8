"""A LogStore gets records while a query waits for its turn, planned but not begun."""

from collections.abc import Callable

import pytest
from demo_store import EVERYTHING, NOW_MS, Store

from simulator.logstore import (
    LogStoreSettings,
    LogStoreType,
    QueryHandle,
    ViewStore,
    pages,
    record_sizes,
)
from simulator.logstore.values import Paging

TYPED = "select cost, who, env order by cost"


class Meanwhile(QueryHandle):
    """Of a query that something happens before."""

    def __init__(self, work: Callable[[], object]) -> None:
        super().__init__()
        self._work = work

    def begin(self, limit_s: float) -> float:
        self._work()
        return super().begin(limit_s)


@pytest.fixture
def handle(store: Store) -> QueryHandle:
    def push() -> None:
        rows = ({"cost": 10, "who": "a"}, {"cost": 9, "big": "x" * 20_000})
        store.push(*rows, at_ms=NOW_MS - 2, tags={"env": "test"})

    return Meanwhile(push)


@pytest.mark.parametrize("kind", LogStoreType)
def test_a_select_has_the_types_of_what_it_reads(
    store: Store, handle: QueryHandle, kind: LogStoreType
) -> None:
    engine = store.engine
    engine.create_log_store("default", "other", LogStoreSettings(retention_days=-1))
    if kind is LogStoreType.LOGSTORE_VIEW:
        stores = [ViewStore(project="default", name=name) for name in ("demo", "other")]
        engine.views.create("default", "view", stores)
    name = "demo" if kind is LogStoreType.LOGSTORE else "view"
    found = engine.query("default", name, EVERYTHING, TYPED, handle=handle, log_store_type=kind)
    assert list(found.rows) == [(9, None, "test"), (10, "a", "test")]
    assert found.column_types == ("int", "string", "string")


def test_a_star_and_a_search_know_the_fields(store: Store, handle: QueryHandle) -> None:
    query = "match cost >= 10 | select *"
    found = store.engine.query("default", "demo", EVERYTHING, query, handle=handle)
    assert found.columns == ("@timestamp", "@stream", "@raw", "big", "cost", "who")
    assert len(found.rows) == 1


def test_a_page_of_what_was_pushed_meanwhile(store: Store, handle: QueryHandle) -> None:
    page = store.engine.pull_matching(
        "default", "demo", EVERYTHING, "match cost:9", Paging(), handle
    )
    assert len(page.records) == 1


def test_a_pull_knows_how_large_the_records_it_reads_are(
    store: Store, handle: QueryHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (pages, record_sizes):
        monkeypatch.setattr(module, "MAX_PAGE_BYTES", 16_000)
    store.push({"cost": 1})
    assert len(store.engine.pull("default", "demo", EVERYTHING).records) == 1
    page = store.engine.pull("default", "demo", EVERYTHING, handle=handle)
    assert len(page.records) == 1
    assert page.next_marker, "the next record has more bytes than a page"


def test_the_compatible_search_has_the_types_of_what_it_reads(
    store: Store, handle: QueryHandle
) -> None:
    document = {
        "size": 1,
        "fields": ["co*"],
        "query": {"query_string": {"query": "10", "fields": ["c*"]}},
        "aggs": {"most": {"max": {"field": "cost"}}},
    }
    found = store.engine.elastic.search("demo", document, handle)["response"]
    assert found["hits"]["hits"][0]["fields"] == {"cost": [10]}
    assert found["aggregations"] == {"most": {"value": 10}}
