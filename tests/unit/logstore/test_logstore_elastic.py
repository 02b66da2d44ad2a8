"""The Elasticsearch-compatible search: what each type of query finds, and what a hit shows."""

import json
from collections.abc import Iterator

import pytest
from demo_store import NOW_MS, NOW_S, Store
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.clock import ManualClock
from simulator.errors import ControlError
from simulator.logstore import (
    IndexField,
    IndexSettings,
    IndexType,
    LogStoreEngine,
    LogStoreSettings,
    NewRecord,
    QueryHandle,
    RecordType,
)

MINUTE_MS = 60_000
RECORDS = (
    {"n": 0, "status": 200, "method": "GET", "path": "/item/0", "cost": 0.5, "ok": True},
    {"n": 1, "status": 404, "method": "POST", "path": "/item/1?a=b", "cost": 1.5, "ok": False},
    {"n": 2, "status": 502, "method": "GET", "path": "/cart", "msg": "service not available"},
    {"n": 3, "status": 200, "method": "get", "path": "/", "msg": "not a service", "a": {"b": [1]}},
)
"""One minute apart, the last one now."""


@pytest.fixture(scope="module")
def shop() -> Iterator[Store]:
    engine = LogStoreEngine(None, ManualClock(float(NOW_S)), threads=1)
    engine.create_log_store("default", "demo", LogStoreSettings(retention_days=-1))
    store = Store(engine)
    for index, record in enumerate(RECORDS):
        at_ms = NOW_MS - (len(RECORDS) - 1 - index) * MINUTE_MS
        store.push(record, at_ms=at_ms, tags={"env": "test"} if index == 3 else None)
    yield store
    engine.close()


def hits(store: Store, **body: object) -> list[dict[str, object]]:
    response = store.engine.elastic.search("demo", body)["response"]
    return response["hits"]["hits"]


def found(store: Store, query: object) -> list[int]:
    """The numbers of the records that a query finds."""
    return sorted(hit["fields"]["n"][0] for hit in hits(store, query=query, fields=["n"]))


def refused(store: Store, body: dict[str, object]) -> str:
    with pytest.raises(ControlError) as caught:
        store.engine.elastic.search("demo", body)
    assert (caught.value.code, caught.value.status) == ("InvalidParameter", 400)
    return caught.value.message


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"match_all": {}}, [0, 1, 2, 3]),
        ({"match_none": {}}, []),
        ({"constant_score": {"filter": {"term": {"status": 200}}, "boost": 2}}, [0, 3]),
        ({"bool": {}}, [0, 1, 2, 3]),
        ({"bool": {"must": {"term": {"status": 200}}}}, [0, 3]),
        ({"bool": {"filter": [{"term": {"status": 200}}, {"exists": {"field": "msg"}}]}}, [3]),
        ({"bool": {"must_not": [{"term": {"status": 200}}, {"term": {"n": 1}}]}}, [2]),
        ({"bool": {"should": [{"term": {"n": 1}}, {"term": {"n": 2}}]}}, [1, 2]),
        ({"bool": {"filter": {"term": {"n": 3}}, "should": [{"term": {"n": 1}}]}}, [3]),
        ({"range": {"status": {"gte": 404, "lt": 502}}}, [1]),
        ({"range": {"status": {"gt": "404"}}}, [2]),
        ({"range": {"cost": {"lte": 0.5}}}, [0]),
        ({"range": {"@timestamp": {"gte": "now-2m", "lt": "now"}}}, [1, 2]),
        ({"range": {"@timestamp": {"gt": NOW_MS - MINUTE_MS}}}, [3]),
        ({"range": {"@timestamp": {"lte": "2026-02-28"}}}, [0, 1, 2]),
        ({"range": {"@timestamp": {"gte": "2026-03-01T08:00", "time_zone": "+08:00"}}}, [3]),
        ({"range": {"@timestamp": {"gte": "2026-03-01T08:00:00.000+08:00"}}}, [3]),
        ({"range": {"@timestamp": {"gte": str(NOW_MS), "format": "epoch_millis"}}}, [3]),
        ({"range": {"@timestamp": {"gte": NOW_S, "format": "epoch_second"}}}, [3]),
        ({"range": {"@timestamp": {"gte": "now/d", "lte": "now/d"}}}, [3]),
        ({"range": {"@timestamp": {"gte": "01.03.2026 08", "format": "dd.MM.yyyy HH"}}}, []),
        ({"range": {"@timestamp": {"lt": "20260301", "format": "yyyyMMdd"}}}, [0, 1, 2]),
        ({"range": {"@timestamp": {"lte": "28/2", "format": "yyyy||d/M"}}}, []),
        ({"range": {"@timestamp": {"gte": "20260228||+1d", "format": "basic_date"}}}, [3]),
        ({"range": {"@timestamp": {"gte": "2026-03-01", "format": "yyyyMMdd"}}}, [3]),
        (
            {
                "range": {
                    "@timestamp": {
                        "gte": "2026-03-01 08:00 +0800",
                        "format": "yyyy-MM-dd HH:mm Z",
                    }
                }
            },
            [3],
        ),
        ({"range": {"@timestamp": {"gte": "now-30s/s"}}}, [3]),
        ({"term": {"method": "GET"}}, [0, 2]),
        ({"term": {"method": {"value": "GET", "case_insensitive": True}}}, [0, 2, 3]),
        ({"term": {"status": "404"}}, [1]),
        ({"term": {"ok": True}}, [0]),
        ({"term": {"ok": "false"}}, [1]),
        ({"term": {"path": "/item/0"}}, [0]),
        ({"term": {"path": "item"}}, []),
        ({"term": {"env": "test"}}, [3]),
        ({"term": {"@timestamp": "now"}}, [3]),
        ({"terms": {"status": [404, "502"]}}, [1, 2]),
        ({"terms": {"status": []}}, []),
        ({"match": {"path": "item cart"}}, [0, 1, 2]),
        ({"match": {"path": {"query": "item 1", "operator": "AND"}}}, [1]),
        ({"match": {"method": "get"}}, [0, 2, 3]),
        ({"match": {"status": 200}}, [0, 3]),
        ({"match": {"path": "/"}}, [3]),
        ({"match_phrase": {"path": "/"}}, [3]),
        (
            {"match": {"path": {"query": "item", "fuzziness": "1", "zero_terms_query": "none"}}},
            [0, 1],
        ),
        ({"range": {"@seq": {"gte": 0}}}, [0, 1, 2, 3]),
        ({"term": {"status": "x"}}, []),
        ({"match": {"@raw": "cart"}}, [2]),
        ({"match_phrase": {"msg": "not available"}}, [2]),
        ({"match_phrase": {"msg": {"query": "service not"}}}, [2]),
        ({"match": {"msg": {"query": "service not", "operator": "and"}}}, [2, 3]),
        ({"wildcard": {"path": "/item/?*"}}, [0, 1]),
        ({"wildcard": {"path": {"value": "/ITEM/?", "case_insensitive": True}}}, [0]),
        ({"wildcard": {"path": {"wildcard": "/item/1\\?*"}}}, [1]),
        ({"prefix": {"path": "/item"}}, [0, 1]),
        ({"prefix": {"status": "4"}}, [1]),
        ({"multi_match": {"query": "cart service", "fields": ["path", "msg^2"]}}, [2, 3]),
        ({"multi_match": {"query": "not a", "fields": ["msg"], "type": "phrase"}}, [3]),
        ({"multi_match": {"query": "cart"}}, [2]),
        ({"exists": {"field": "cost"}}, [0, 1]),
        ({"exists": {"field": "a.b"}}, [3]),
        ({"ids": {"values": ["1", "none"]}}, []),
    ],
    ids=json.dumps,
)
def test_a_query_finds(shop: Store, query: object, expected: list[int]) -> None:
    assert found(shop, query) == expected


@pytest.mark.parametrize(
    ("least", "expected"),
    [
        *((0, [0, 3]), (1, [0, 3]), (2, [0, 3]), (3, []), (4, []), (-1, [0, 3]), (-2, [0, 3])),
        *(("67%", [0, 3]), ("100%", []), ("-34%", [0, 3]), ("-33%", []), ("-100%", [0, 3])),
        *(("3<50%", []), ("2<67%", [0, 3]), ("1<-25% 2<2", [0, 3]), ("1 < 1 9<3", [0, 3])),
    ],
)
def test_how_many_of_should_must_be_found(shop: Store, least: object, expected: list[int]) -> None:
    should = [
        {"term": {"status": 200}},
        {"prefix": {"path": "/item/0"}},
        {"term": {"method": "get"}},
    ]
    query = {"bool": {"should": should, "minimum_should_match": least}}
    assert found(shop, query) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("*", [0, 1, 2, 3]),
        ("cart", [2]),
        ("cart item", [0, 1, 2]),
        ("item AND 1", [1]),
        ("status:200", [0, 3]),
        ("status:>=404", [1, 2]),
        ("status:[200 TO 404}", [0, 3]),
        ("status:{200 TO *]", [1, 2]),
        ("@timestamp:[now-1m TO now]", [2, 3]),
        ("@timestamp:>=2026-03-01", [3]),
        ('msg:"not available"', [2]),
        ("msg:(available OR a)", [2, 3]),
        ("msg:serv*", [2, 3]),
        ("msg:*", [2, 3]),
        ("_exists_:cost", [0, 1]),
        ("NOT status:200", [1, 2]),
        ("status:200 OR NOT method:get", [0, 1, 3]),
        ("method:get -path:cart", [0, 3]),
        ("+method:get path:cart", [0, 2, 3]),
        ("method:get && !path:cart || status:404", [0, 1, 3]),
        ("path:\\/item\\/0", [0]),
    ],
)
def test_a_query_string_finds(shop: Store, text: str, expected: list[int]) -> None:
    assert found(shop, {"query_string": {"query": text}}) == expected


def test_the_parameters_of_a_query_string(shop: Store) -> None:
    every = {"query": "not service", "fields": ["msg"], "default_operator": "AND"}
    assert found(shop, {"query_string": every}) == [2, 3]
    field = {"query": "1", "default_field": "n"}
    assert found(shop, {"query_string": field}) == [1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cart | item", [0, 1, 2]),
        ("item + 1", [1]),
        ("item -1", [0]),
        ("(cart | item) + get", [0, 2]),
        ('"not available"', [2]),
        ("avail*", [2]),
    ],
)
def test_a_simple_query_string_finds(shop: Store, text: str, expected: list[int]) -> None:
    query = {"query": text, "default_operator": "and"}
    assert found(shop, {"simple_query_string": query}) == expected


def test_the_parameters_of_a_simple_query_string(shop: Store) -> None:
    assert found(shop, {"simple_query_string": {"query": "cart item"}}) == [0, 1, 2]
    fields = {"query": "+ 404 | GET", "fields": ["status", "method"]}
    assert found(shop, {"simple_query_string": fields}) == [0, 1, 2, 3]


def test_what_a_hit_shows(shop: Store) -> None:
    answer = shop.engine.elastic.search("demo", {"size": 1, "highlight": {"fields": {"*": {}}}})
    response = answer.pop("response")
    assert answer == {
        "is_partial": False,
        "is_running": False,
        "start_time_in_millis": 0,
        "expiration_time_in_millis": response["took"],
        "error": None,
        "status": 200,
    }
    assert isinstance(response.pop("took"), int)
    hit = response["hits"]["hits"][0]
    id_ = hit["_id"]
    assert response == {
        "timed_out": False,
        "_shards": {"total": 1, "successful": 1, "skipped": 0, "failed": 0},
        "hits": {"hits": [hit]},
    }
    assert hit == {
        "_index": "demo",
        "_id": id_,
        "_score": 0.0,
        "_version": 1,
        "sort": [str(NOW_MS)],
        "fields": {
            "@timestamp": ["2026-03-01T00:00:00.000Z"],
            "@stream": [""],
            "@seq": [int(id_.removesuffix(f"-{NOW_MS}"))],
            "@raw": [json.dumps(RECORDS[3])],
            "n": [3],
            "status": [200],
            "method": ["get"],
            "path": ["/"],
            "msg": ["not a service"],
            "a.b": [1],
            "env": ["test"],
        },
    }
    assert found(shop, {"ids": {"values": [id_]}}) == [3]
    assert found(shop, {"term": {"_id": id_}}) == [3]


def test_the_fields_of_hits_are_chosen(shop: Store) -> None:
    wanted = ["m*", {"field": "@timestamp", "format": "epoch_millis"}]
    assert hits(shop, size=1, fields=wanted)[0]["fields"] == {
        "method": ["get"],
        "msg": ["not a service"],
        "@timestamp": [str(NOW_MS)],
    }
    assert hits(shop, size=1, fields=[])[0]["fields"] == {}


@pytest.mark.parametrize(
    "harmless",
    [
        {"_source": False, "stored_fields": "_none_", "track_total_hits": False},
        {"_source": {"excludes": []}, "stored_fields": ["*"], "script_fields": {}},
        {"stored_fields": ["status", "_source"], "from": 0},
        {"_source": ["*"], "docvalue_fields": [], "runtime_mappings": {}, "version": True},
        {"_source": {"includes": ["*"], "excludes": []}, "explain": False, "profile": False},
    ],
    ids=json.dumps,
)
def test_what_changes_nothing_is_taken(shop: Store, harmless: dict[str, object]) -> None:
    assert hits(shop, **harmless) == hits(shop)


def test_doc_values_are_fields(shop: Store) -> None:
    docs = [{"field": "@timestamp", "format": "yyyy"}, "n"]
    shown = hits(shop, size=1, fields=["path"], docvalue_fields=docs)[0]["fields"]
    assert shown == {"path": ["/"], "@timestamp": ["2026"], "n": [3]}


def test_hits_are_paged_by_their_sort_values(shop: Store) -> None:
    seen: list[object] = []
    after: dict[str, object] = {}
    for spelling in ("searchAfter", "search_after", "searchAfter", "search_after"):
        page = hits(shop, size=1, sort=[{"@timestamp": {"order": "asc"}}], **after)
        seen.append(page[0]["fields"]["n"][0])
        after = {spelling: page[0]["sort"]}
    assert seen == [0, 1, 2, 3]
    assert hits(shop, size=1, sort="@timestamp:asc", **after) == []
    assert [hit["fields"]["n"] for hit in hits(shop)] == [[3], [2], [1], [0]]


def test_records_of_one_instant_are_told_apart_when_asked_for(store: Store) -> None:
    for number in range(3):
        store.push({"n": number})
    assert len(hits(store, searchAfter=[NOW_MS])) == 0
    assert len(hits(store, searchAfter=[str(NOW_MS + 1)])) == 3
    assert len(hits(store, searchAfter=["2026-03-01T00:00:00.001Z"])) == 3
    assert len(hits(store, searchAfter=["2026"])) == 0  # a sort value, and no year
    sort = [{"@timestamp": "desc"}, {"_doc": "asc"}]
    seen: list[object] = []
    after: dict[str, object] = {}
    while page := hits(store, size=1, sort=sort, **after):
        seen.append(page[0]["fields"]["n"][0])
        after = {"search_after": page[0]["sort"]}
    assert seen == [0, 1, 2]


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"from": 1}, "[body.from]"),
        ({"size": 1001}, "[body.size]"),
        ({"size": True}, "[body.size]"),
        ({"sort": [{"status": "asc"}]}, "[body.sort[0]]"),
        ({"searchAfter": [1, 2]}, "[body.searchAfter]"),
        ({"runtime_mappings": {"x": {}}}, "[body.runtime_mappings]"),
        ({"script_fields": {"x": {"script": "1"}}}, "[body.script_fields]"),
        ({"stored_fields": [1]}, "[body.stored_fields[0]]"),
        ({"_source": ["status"]}, "[body._source[0]]: hits have no _source"),
        ({"_source": {"excludes": ["status"]}}, "[body._source.excludes[0]]"),
        ({"_source": {"includes": "s*"}}, "[body._source.includes]"),
        ({"explain": True}, "[body.explain]"),
        ({"docvalue_fields": [{"format": "x"}]}, "[body.docvalue_fields[0]]"),
        ({"query": {}}, "[body.query]"),
        ({"query": {"fuzzy": {"a": "b"}}}, "[body.query]"),
        ({"query": {"bool": {"must": [{"match": []}]}}}, "[body.query.bool.must[0].match]"),
        ({"query": {"range": {"cost": {"gte": "a"}}}}, "[body.query.range.cost.gte]: found 'a'"),
        ({"query": {"range": {"n": {"gte": [1]}}}}, "[body.query.range.n.gte]"),
        ({"query": {"range": {"@timestamp": {"gte": "x"}}}}, "[body.query.range.@timestamp.gte]"),
        ({"query": {"term": {"a": {"value": [1]}}}}, "[body.query.term.a.value]"),
        ({"query": {"term": {"a": "\0"}}}, "[body.query.term.a]"),
        ({"query": {"term": {"a": 2**64}}}, "[body.query.term.a]"),
        ({"query": {"match": {"a": {"query": "b", "fuzziness": 3}}}}, "match.a.fuzziness]"),
        ({"query": {"match": {"a": {"query": "b", "analyzer": "x"}}}}, "match.a.analyzer]"),
        ({"query": {"match_phrase": {"a": {"query": "b", "slop": 101}}}}, "match_phrase.a.slop]"),
        ({"query": {"multi_match": {"query": "b", "type": "cross_fields"}}}, "multi_match.type]"),
        ({"query": {"bool": {"minimum_should_match": "2<"}}}, "bool.minimum_should_match]"),
        ({"query": {"bool": {"minimum_should_match": "many"}}}, "bool.minimum_should_match]"),
        ({"query": {"bool": {"minimum_should_match": True}}}, "bool.minimum_should_match]"),
        ({"query": {"query_string": {"query": "a AND"}}}, "query] at character 6: expected"),
        ({"query": {"query_string": {"query": "a (b"}}}, "query] at character 5: expected `)`"),
        ({"query": {"query_string": {"query": "a )"}}}, "query] at character 3: found `)`"),
        ({"query": {"query_string": {"query": "a word~3"}}}, "query] at character 3: a fuzziness"),
        ({"query": {"query_string": {"query": '"a b"~101'}}}, "query] at character 1: a phrase"),
        ({"query": {"query_string": {"query": "b:/a(.*/"}}}, "query] at character 8: expected `)`"),
        ({"query": {"query_string": {"query": "b:/a{1001}/"}}}, "query] at character 5: repeats"),
        ({"query": {"query_string": {"query": "b ~"}}}, "query] at character 3: found '~'"),
        (
            {"query": {"query_string": {"query": "x *y", "allow_leading_wildcard": False}}},
            "query] at character 3: a wildcard",
        ),
        ({"query": {"query_string": {"query": "cost:>b"}}}, "query_string.query]: found 'b'"),
        ({"query": {"query_string": {"query": ">5"}}}, "query] at character 1: a range"),
        ({"query": {"query_string": {"query": "AND a"}}}, "character 1: found 'AND'"),
        ({"query": {"query_string": {"query": "_exists_:("}}}, "character 10: expected the name"),
        ({"query": {"query_string": {"query": "(" * 60}}}, "nested more than 50"),
        ({"query": {"simple_query_string": {"query": "(" * 60 + ")" * 60}}}, "nested more than 50"),
        ({"query": {"simple_query_string": {"query": "x " * 301}}}, "more than 300 conditions"),
        (
            {"query": {"match_phrase": {"msg": {"query": "a b " * 11, "slop": 1}}}},
            "more than 20 words with a slop",
        ),
        ({"query": {"match": {"msg": {"query": "a", "zero_terms_query": "all"}}}}, "_query]"),
        ({"query": {"wildcard": {"path": "x" * 1001}}}, "wildcard.path]: expected at most 1000"),
        ({"query": {"ids": {"values": ["a"] * 1001}}}, "ids]: expected at most 1000"),
        ({"query": {"terms": {"a": [1], "b": [1]}}}, "terms]: expected exactly one field"),
        ({"query": {"terms": {"a": 1}}}, "terms.a]: expected an array"),
        ({"query": {"term": {"cost": 10**19}}, "sort": [{"x": "asc"}]}, "sort"),
        (
            {"query": {"multi_match": {"query": "a", "fields": [f"f{n}" for n in range(301)]}}},
            "fields]: expected at most 300",
        ),
        (
            {"query": {"range": {"@timestamp": {"gte": "2026-01-01", "time_zone": "+19:00"}}}},
            "time_zone]: expected an offset",
        ),
        ({"query": {"range": {"@timestamp": {"gte": "2026-13-01"}}}}, "gte]: expected a date"),
        ({"query": {"range": {"@timestamp": {"gte": 10**18}}}}, "gte]: expected a date"),
        ({"query": {"range": {"@timestamp": {"gte": "now+x"}}}}, "gte]: found '+x'"),
        ({"query": {"range": {"@timestamp": {"gte": "1", "format": "MM-MM"}}}}, "format]: found"),
        ({"query": {"query_string": {"query": "@timestamp:x"}}}, "character 12: found 'x'"),
        ({"query": {"query_string": {"query": "a", "type": "phrase"}}}, "query_string.type]"),
        ({"query": {"simple_query_string": {"query": "a", "flags": "XOR"}}}, "flags]"),
    ],
    ids=json.dumps,
)
def test_what_is_wrong_is_said_with_its_place(
    shop: Store, body: dict[str, object], place: str
) -> None:
    assert place in refused(shop, body)


def test_a_document_is_bounded(shop: Store) -> None:
    deep: dict[str, object] = {"match_all": {}}
    for _ in range(40):
        deep = {"bool": {"must": deep}}
    assert "levels" in refused(shop, {"query": deep})
    many = [{"term": {"n": number}} for number in range(301)]
    assert "more than 300 queries" in refused(shop, {"query": {"bool": {"should": many}}})
    for kind in ("query_string", "simple_query_string"):
        long = {kind: {"query": "x" * 40_000}}
        assert "40000 characters, at most" in refused(shop, {"query": long})
    words = " ".join(f"w{number}" for number in range(301))
    assert "more than 300" in refused(shop, {"query": {"query_string": {"query": words}}})
    assert "more than 300" in refused(shop, {"query": {"match": {"msg": words}}})
    names = [f"f{number}" for number in range(101)]
    assert "at most 100 fields" in refused(shop, {"fields": names})
    with pytest.raises(ControlError, match="1 to 100 names"):
        shop.engine.elastic.field_caps("demo", {"fields": names})
    assert "at most 1000 values" in refused(shop, {"query": {"terms": {"n": [1] * 1001}}})


def test_a_search_that_was_given_up_ends(shop: Store) -> None:
    handle = QueryHandle()
    handle.cancel()
    with pytest.raises(ControlError) as caught:
        shop.engine.elastic.search("demo", {}, handle)
    assert caught.value.code == "ExecutionTimeout"


def test_retention_hides_what_is_too_old(clock: ManualClock) -> None:
    engine = LogStoreEngine(None, clock, threads=1)
    engine.create_log_store("default", "demo", LogStoreSettings(retention_days=1))
    store = Store(engine)
    store.push({"n": 1}, at_ms=NOW_MS - 25 * 60 * MINUTE_MS)
    store.push({"n": 2}, at_ms=NOW_MS - 23 * 60 * MINUTE_MS)
    assert found(store, {"match_all": {}}) == [2]
    counted = engine.elastic.search("demo", {"aggs": {"c": {"value_count": {"field": "n"}}}})
    assert counted["response"]["aggregations"] == {"c": {"value": 1}}
    assert engine.elastic.terms_enum("demo", {"field": "n"})["terms"] == ["2"]
    engine.close()


@pytest.fixture
def strict(clock: ManualClock) -> Iterator[Store]:
    engine = LogStoreEngine(None, clock, threads=1)
    index = IndexSettings(
        fields=(
            IndexField(name="path", type=IndexType.TEXT, case_sensitive=True),
            IndexField(name="status", type=IndexType.LONG),
            IndexField(
                name="a", type=IndexType.JSON, fields=(IndexField(name="b", type=IndexType.FLOAT),)
            ),
        )
    )
    settings_ = LogStoreSettings(retention_days=-1, index=index, strict_search=True)
    engine.create_log_store("default", "demo", settings_)
    store = Store(engine)
    store.push({"n": 0, "status": 200, "path": "/Item", "method": "GET"})
    yield store
    engine.close()


def test_what_a_strict_index_does_not_cover_is_refused(strict: Store) -> None:
    assert len(hits(strict, query={"match": {"path": "Item"}})) == 1
    assert len(hits(strict, query={"match": {"path": "item"}})) == 0
    assert len(hits(strict, query={"term": {"status": 200}})) == 1
    assert len(hits(strict, query={"exists": {"field": "@stream"}})) == 1
    for query in (
        {"match": {"@raw": "GET"}},
        {"match": {"method": "GET"}},
        {"term": {"method": "GET"}},
        {"prefix": {"method": "G"}},
        {"exists": {"field": "method"}},
        {"range": {"path": {"gt": 1}}},
        {"query_string": {"query": "GET"}},
    ):
        assert "index" in refused(strict, {"query": query})
    assert "index" in refused(strict, {"aggs": {"m": {"terms": {"field": "method"}}}})
    assert "index" in refused(strict, {"aggs": {"m": {"avg": {"field": "n"}}}})
    with pytest.raises(ControlError, match="no index"):
        strict.engine.elastic.terms_enum("demo", {"field": "method"})


def capabilities(store: Store, *fields: str) -> dict[str, tuple[str, bool, bool, bool]]:
    answer = store.engine.elastic.field_caps("demo", {"fields": list(fields)} if fields else {})
    assert answer["indices"] == ["demo"]
    shown = {}
    for name, types in answer["fields"].items():
        ((type_, one),) = types.items()
        assert one["type"] == type_
        shown[name] = (type_, one["searchable"], one["aggregatable"], one["metadata_field"])
    return shown


def test_the_index_says_what_fields_can_be_used_for(strict: Store) -> None:
    assert capabilities(strict) == {
        "@raw": ("text", False, False, False),
        "@seq": ("long", True, True, False),
        "@stream": ("keyword", True, True, False),
        "@timestamp": ("date", True, True, False),
        "_id": ("_id", True, False, True),
        "_index": ("_index", True, True, True),
        "a": ("object", False, False, False),
        "a.b": ("double", True, True, False),
        "method": ("keyword", False, False, False),
        "n": ("long", False, False, False),
        "path": ("keyword", True, True, False),
        "status": ("long", True, True, False),
    }


def test_without_an_index_that_is_insisted_on_every_field_can_be_used(shop: Store) -> None:
    assert capabilities(shop, "c*", "ok", "env", "@raw") == {
        "@raw": ("text", True, False, False),
        "cost": ("double", True, True, False),
        "env": ("keyword", True, True, False),
        "ok": ("boolean", True, True, False),
    }


def test_terms_are_enumerated(shop: Store) -> None:
    def terms(**body: object) -> tuple[object, object]:
        answer = shop.engine.elastic.terms_enum("demo", body)
        return answer["terms"], answer["complete"]

    assert terms(field="path", string="/i") == (["/item/0", "/item/1?a=b"], True)
    assert terms(field="path", size=2) == (["/", "/cart"], False)
    assert terms(field="method", string="G") == (["GET"], True)
    assert terms(field="method", string="G", case_insensitive=True) == (["GET", "get"], True)
    only = {"term": {"n": 2}}
    assert terms(field="path", index_filter=only) == (["/cart"], True)
    assert terms(field="path", size=0) == terms(field="path")
    for body in ({}, {"field": "a", "size": -1}, {"field": "a", "string": 1}):
        with pytest.raises(ControlError):
            terms(**body)


def test_indexes_are_resolved(store: Store) -> None:
    engine = store.engine
    engine.create_project("web")
    engine.create_log_store("web", "demo", LogStoreSettings(retention_days=-1))

    def names(pattern: str) -> list[str]:
        return engine.elastic.resolve(pattern)

    assert names("*") == ["demo", "web$demo"]
    assert names("web$*") == ["web$demo"]
    assert names("demo,none") == ["demo"]
    assert names("d?mo") == names("[d]emo") == []
    engine.push("web", "demo", [NewRecord(message="x")])
    answer = engine.elastic.search("web$demo", {})
    assert [hit["_index"] for hit in answer["response"]["hits"]["hits"]] == ["web$demo"]
    with pytest.raises(ControlError) as caught:
        engine.elastic.search("none", {})
    assert caught.value.code == "LogStoreNotFound"


NAMES = st.sampled_from(
    ["n", "status", "path", "msg", "a.b", "ok", "none", "@timestamp", "@raw", "@seq", "_id", "x*"]
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["200", "now-1d/d", "2026-03", "*", "a*", "GET", "nan", "9999-12-31||+1y"]),
    st.text(alphabet='ab:()"[]{}<>=!&|+-*?~^/\\ .1@\0é', max_size=12),
)
PARAMETERS = st.sampled_from(
    [
        *("query", "value", "fields", "field", "values", "operator", "gte", "lt", "format"),
        *("must", "should", "must_not", "filter", "filters", "minimum_should_match", "aggs"),
        *("interval", "fixed_interval", "calendar_interval", "time_zone", "size", "order"),
        *("min_doc_count", "missing", "percents", "probability", "extended_bounds", "min"),
    ]
)
TYPES = st.sampled_from(
    [
        *("match_all", "bool", "range", "term", "terms", "match", "match_phrase", "wildcard"),
        *("multi_match", "exists", "ids", "prefix", "query_string", "simple_query_string"),
        *("date_histogram", "histogram", "sampler", "random_sampler", "value_count", "stats"),
        *("cardinality", "max", "percentiles", "filter", "filters"),
    ]
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(PARAMETERS, TYPES, NAMES), inner, max_size=3),
    ),
    max_leaves=12,
)
BODIES = st.dictionaries(
    st.sampled_from(["sort", "searchAfter", "size", "fields", "highlight", "_source"]),
    ANYTHING,
    max_size=2,
)
QUERIES = st.one_of(
    ANYTHING,
    st.dictionaries(
        TYPES,
        st.one_of(
            st.dictionaries(NAMES, ANYTHING, min_size=1, max_size=1),
            st.dictionaries(PARAMETERS, ANYTHING, max_size=4),
        ),
        min_size=1,
        max_size=1,
    ),
    st.builds(lambda text: {"query_string": {"query": text}}, st.text(max_size=20)),
)


@pytest.fixture(scope="module")
def fuzzed() -> Iterator[LogStoreEngine]:
    engine = LogStoreEngine(None, ManualClock(float(NOW_S)), threads=1)
    engine.create_log_store("default", "demo", LogStoreSettings(retention_days=-1))
    records = [NewRecord(message=json.dumps(record)) for record in RECORDS]
    engine.push("default", "demo", records, record_type=RecordType.JSON)
    yield engine
    engine.close()


@settings(max_examples=100, deadline=None)
@given(body=BODIES, query=QUERIES, aggregations=st.dictionaries(NAMES, QUERIES, max_size=2))
def test_any_body_gives_a_result_or_a_control_error(
    fuzzed: LogStoreEngine,
    body: dict[str, object],
    query: object,
    aggregations: dict[str, object],
) -> None:
    for part in ({"query": query}, {"aggs": aggregations, "size": 0}, body):
        assert outcome(fuzzed, part) in {"200", "InvalidParameter"}


def outcome(engine: LogStoreEngine, body: dict[str, object]) -> str:
    """Status of a result that can be sent, or code of an error; nothing else is raised."""
    try:
        answer = engine.elastic.search("demo", body)
    except ControlError as error:
        return error.code
    json.dumps(answer, allow_nan=False)
    return str(answer["status"])
