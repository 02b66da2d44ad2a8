"""The Elasticsearch-compatible search: what Kibana asks for."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from bls_served import START_MS, Served

from simulator.logstore import LogStoreSettings, NewRecord, RecordType

ROWS = (
    {"status": 200, "host": "a.example.com", "cost": 0.5, "msg": "quick brown fox", "ok": True},
    {"status": 404, "host": "b.example.com", "cost": 1.5, "msg": "brown quick fox"},
    {"status": 500, "host": "a.example.com", "cost": 2.5, "msg": 'it\'s "slow"', "ok": False},
    {"status": 200, "host": "c.example.com", "cost": 3.5},
)


@pytest.fixture
def kibana(served: Served) -> Served:
    records = [
        NewRecord(message=json.dumps(row), timestamp_ms=START_MS + n * 60_000)
        for n, row in enumerate(ROWS)
    ]
    served.engine.push("default", "access", records, record_type=RecordType.JSON, stream="s")
    return served


async def ask(kibana: Served, call: str, body: object, method: str = "POST") -> dict[str, Any]:
    status, answer = await kibana.go(method, call, body)
    assert status == 200, answer
    return answer


async def found(kibana: Served, query: object, **more: object) -> list[int]:
    """Which rows a query finds, newest first."""
    answer = await ask(kibana, "/access/_async_search", {"query": query, **more})
    return [
        (int(hit["sort"][0]) - START_MS) // 60_000 for hit in answer["response"]["hits"]["hits"]
    ]


MUST = {"range": {"@timestamp": {"gte": START_MS, "lt": "2026-03-01T00:03:00Z"}}}


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        (None, [3, 2, 1, 0]),
        ({"match_all": {}}, [3, 2, 1, 0]),
        ({"bool": {}}, [3, 2, 1, 0]),
        ({"term": {"status": 200}}, [3, 0]),
        ({"term": {"host": {"value": "a.example.com"}}}, [2, 0]),
        ({"term": {"ok": True}}, [0]),
        ({"terms": {"status": [404, 500]}}, [2, 1]),
        ({"match": {"msg": "fox slow"}}, [2, 1, 0]),
        ({"match": {"msg": {"query": "fox quick", "operator": "and"}}}, [1, 0]),
        ({"match_phrase": {"msg": "quick brown"}}, [0]),
        ({"match_phrase": {"msg": "it's"}}, [2]),
        ({"prefix": {"host": "a.ex"}}, [2, 0]),
        ({"wildcard": {"msg": {"value": "*qu?ck*"}}}, [1, 0]),
        ({"exists": {"field": "ok"}}, [2, 0]),
        ({"multi_match": {"query": "brown", "fields": ["msg", "host"]}}, [1, 0]),
        ({"multi_match": {"query": "quick brown", "type": "phrase"}}, [0]),
        ({"query_string": {"query": "status:>=404 AND host:b.example.com"}}, [1]),
        ({"simple_query_string": {"query": "*"}}, [3, 2, 1, 0]),
        ({"range": {"cost": {"gt": 0.5, "lte": 2.5}}}, [2, 1]),
        (MUST, [2, 1, 0]),
        ({"range": {"@timestamp": {"gt": START_MS, "lte": START_MS + 60_000}}}, [1]),
        ({"bool": {"filter": [MUST, {"term": {"status": 200}}]}}, [0]),
        ({"bool": {"must": MUST, "must_not": [{"term": {"status": 200}}]}}, [2, 1]),
        ({"bool": {"must_not": MUST}}, [3]),
        ({"term": {"a`b": 1}}, []),
        ({"bool": {"must_not": {"exists": {"field": "msg"}}}}, [3]),
        ({"bool": {"should": [{"term": {"status": 404}}, {"term": {"status": 500}}]}}, [2, 1]),
        (
            {"bool": {"filter": MUST, "should": {"term": {"status": 500}}}},
            [2, 1, 0],
        ),
        (
            {
                "bool": {
                    "filter": MUST,
                    "should": {"term": {"status": 500}},
                    "minimum_should_match": 1,
                }
            },
            [2],
        ),
    ],
)
async def test_queries(kibana: Served, query: object, rows: list[int]) -> None:
    assert await found(kibana, query) == rows


async def test_hits_have_fields_and_page_by_time(kibana: Served) -> None:
    body = {
        "size": 2,
        "fields": ["host", {"field": "cost"}, "@*"],
        "sort": [{"@timestamp": "desc"}],
    }
    answer = await ask(kibana, "/access/_async_search", body)
    response = answer["response"]
    assert (answer["is_running"], response["timed_out"], answer["status"]) == (False, False, 200)
    newest = response["hits"]["hits"][0]
    assert (newest["_index"], newest["_score"], newest["sort"]) == (
        "access",
        0.0,
        [str(START_MS + 180_000)],
    )
    assert newest["fields"] == {
        "@timestamp": ["2026-03-01T00:03:00.000Z"],
        "@stream": ["s"],
        "@raw": [json.dumps(ROWS[3])],
        "@seq": [int(newest["_id"].partition("-")[0])],
        "host": ["c.example.com"],
        "cost": [3.5],
    }
    assert await found(kibana, None, size=2, search_after=[START_MS + 120_000]) == [1, 0]
    oldest = {"sort": {"@timestamp": {"order": "asc"}}, "searchAfter": [START_MS]}
    assert await found(kibana, None, **oldest) == [1, 2, 3]
    assert await found(kibana, None, size=0) == []


async def aggregated(kibana: Served, aggs: object, query: object = None) -> dict[str, Any]:
    body = {"size": 0, "aggs": {"it": aggs}, "query": query}
    answer = await ask(kibana, "/access/_async_search", body)
    return dict(answer["response"]["aggregations"]["it"])


@pytest.mark.parametrize(
    ("aggs", "value"),
    [
        ({"value_count": {"field": "ok"}}, 2),
        ({"cardinality": {"field": "host"}}, 3),
        ({"max": {"field": "cost"}}, 3.5),
        ({"min": {"field": "cost"}}, 0.5),
        ({"sum": {"field": "status"}}, 1304),
        ({"avg": {"field": "cost"}}, 2.0),
    ],
)
async def test_metrics(kibana: Served, aggs: object, value: float) -> None:
    assert await aggregated(kibana, aggs) == {"value": value}


async def test_buckets_hold_aggregations(kibana: Served) -> None:
    mean = {"mean": {"avg": {"field": "cost"}}}
    terms = {"terms": {"field": "status", "size": 2}, "aggs": mean}
    assert await aggregated(kibana, terms) == {
        "doc_count_error_upper_bound": 0,
        "sum_other_doc_count": 1,
        "buckets": [
            {"key": 200, "doc_count": 2, "mean": {"value": 2.0}},
            {"key": 404, "doc_count": 1, "mean": {"value": 1.5}},
        ],
    }
    hosts = {"hosts": {"terms": {"field": "host"}}}
    by_time = {"date_histogram": {"field": "@timestamp", "fixed_interval": "2m"}, "aggs": hosts}
    found = await aggregated(kibana, by_time)
    assert [
        (one["key_as_string"], one["key"], [host["key"] for host in one["hosts"]["buckets"]])
        for one in found["buckets"]
    ] == [
        ("2026-03-01T00:00:00.000Z", START_MS, ["a.example.com", "b.example.com"]),
        ("2026-03-01T00:02:00.000Z", START_MS + 120_000, ["a.example.com", "c.example.com"]),
    ]
    by_cost = await aggregated(
        kibana, {"histogram": {"field": "cost", "interval": 2}, "aggs": mean}
    )
    assert by_cost == {
        "buckets": [
            {"key": 0.0, "doc_count": 2, "mean": {"value": 1.0}},
            {"key": 2.0, "doc_count": 2, "mean": {"value": 3.0}},
        ]
    }
    errors = {"range": {"status": {"gte": 400}}}
    assert await aggregated(kibana, {"filter": errors, "aggs": mean}) == {
        "doc_count": 2,
        "mean": {"value": 2.0},
    }
    filters = {"filters": {"filters": {"bad": errors, "all": {"match_all": {}}}}}
    assert await aggregated(kibana, filters, {"term": {"host": "a.example.com"}}) == {
        "buckets": {"bad": {"doc_count": 1}, "all": {"doc_count": 2}}
    }
    assert await aggregated(kibana, {"sampler": {"shard_size": 5}, "aggs": mean}) == {
        "doc_count": 4,
        "mean": {"value": 2.0},
    }
    stats = await aggregated(kibana, {"stats": {"field": "cost"}})
    assert stats == {"count": 4, "min": 0.5, "max": 3.5, "avg": 2.0, "sum": 8.0}
    percentiles = await aggregated(kibana, {"percentiles": {"field": "cost", "percents": [50]}})
    assert 0.5 < percentiles["values"]["50.0"] < 3.5


async def test_fields_terms_and_indices(kibana: Served) -> None:
    caps = await ask(kibana, "/access/_field_caps", {"fields": ["*"]})
    assert caps["indices"] == ["access"]
    assert {name: next(iter(types)) for name, types in caps["fields"].items()} == {
        "@timestamp": "date",
        "@seq": "long",
        "@stream": "keyword",
        "@raw": "text",
        "_id": "_id",
        "_index": "_index",
        "status": "long",
        "host": "keyword",
        "cost": "double",
        "msg": "keyword",
        "ok": "boolean",
    }
    assert list((await ask(kibana, "/access/_field_caps", {"fields": ["co*"]}))["fields"]) == [
        "cost"
    ]
    terms = await ask(kibana, "/access/_terms_enum", {"field": "host", "string": "b"})
    assert (terms["terms"], terms["complete"]) == (["b.example.com"], True)
    terms = await ask(
        kibana,
        "/access/_terms_enum",
        {"field": "status", "size": 5, "index_filter": {"range": {"status": {"lt": 500}}}},
    )
    assert terms["terms"] == ["200", "404"]
    kibana.engine.create_project("shop")
    kibana.engine.create_log_store("shop", "access", LogStoreSettings(retention_days=7))
    answer = await ask(kibana, "/_resolve/index/*", None, "GET")
    assert answer["data_streams"] == [
        {"name": name, "backing_indices": [name], "timestamp_field": "@timestamp"}
        for name in ("access", "shop$access")
    ]
    answer = await ask(kibana, "/_resolve/index/shop*,none", None, "GET")
    assert [one["name"] for one in answer["data_streams"]] == ["shop$access"]
    other = await ask(kibana, "/shop$access/_async_search", {})
    assert other["response"]["hits"]["hits"] == []


@pytest.mark.parametrize(
    "body",
    [
        {"query": {"geo_shape": {}}},
        {"query": {"term": {"a": 1, "b": 2}}},
        {"query": {"term": {"a": None}}},
        {"query": {"match_phrase": []}},
        {"query": {"query_string": {"query": "a and ("}}},
        {"query": {"range": {"@timestamp": {"gte": "soon"}}}},
        {"query": {"range": {"cost": {"gte": "b"}}}},
        {"size": 1001},
        {"sort": [{"cost": "asc"}]},
        {"aggs": {"x": {"top_hits": {"field": "a"}}}},
        {"aggs": {"x": {"date_histogram": {"fixed_interval": "1M"}}}},
        {"aggs": {"x": {"histogram": {"field": "cost", "interval": 0}}}},
        {"aggs": {"x": {"terms": {"field": "a", "size": 0}}}},
        {"aggs": {"x": {}}},
        {"aggs": {"x": {"max": "cost"}}},
        {"aggs": {"x": {"percentiles": {"field": "cost", "percents": ["a"]}}}},
        {"sort": [{"@timestamp": ["asc"]}]},
        {"search_after": [None]},
        {"aggs": {"x": {"percentiles": {"field": "cost", "percents": [101]}}}},
    ],
)
async def test_what_is_not_taken_is_a_bad_request(kibana: Served, body: object) -> None:
    status, answer = await kibana.go("POST", "/access/_async_search", body)
    assert (status, answer["code"]) == (400, "InvalidParameter")


async def test_depth_and_number_are_bounded(kibana: Served) -> None:
    query: dict[str, object] = {"match_all": {}}
    for _ in range(25):
        query = {"bool": {"must": [query]}}
    status, _ = await kibana.go("POST", "/access/_async_search", {"query": query})
    assert status == 400
    nested: dict[str, object] = {"max": {"field": "cost"}}
    for _ in range(400):
        nested = {"sampler": {}, "aggs": {"a": nested}}
    status, answer = await kibana.go("POST", "/access/_async_search", {"aggs": {"a": nested}})
    assert (status, answer["code"]) == (400, "InvalidParameter")
    aggs = {f"a{n}": {"max": {"field": "cost"}} for n in range(501)}
    status, answer = await kibana.go("POST", "/access/_async_search", {"size": 0, "aggs": aggs})
    assert (status, answer["code"]) == (400, "InvalidParameter")
    status, answer = await kibana.go("POST", "/gone/_async_search", {})
    assert (status, answer["code"]) == (404, "LogStoreNotFound")
    cause = {"type": answer["code"], "reason": answer["message"]}
    assert (answer["error"], answer["status"]) == ({"root_cause": [cause], **cause}, 404)


RECORDS = [{"status": status, "path": f"/item/{status}"} for status in (200, 404, 200, 502)]


@pytest.fixture
async def filled(served: Served) -> Served:
    records = [
        {"message": json.dumps(record), "timestamp": START_MS + index * 60_000}
        for index, record in enumerate(RECORDS)
    ]
    for project in ("", "?project=shop"):
        if project:
            await served.go("POST", "/v1/project", {"name": "shop"})
            store = {"logStoreName": "access", "retention": 7, "project": "shop"}
            status, answer = await served.go("POST", "/v1/logstore", store)
            assert status == 200, answer
        body = {"type": "JSON", "logRecords": records}
        status, answer = await served.go("POST", f"/v1/logstore/access/logrecord{project}", body)
        assert status == 200, answer
    return served


async def test_a_search_with_aggregations(filled: Served) -> None:
    body = {
        "query": {"range": {"@timestamp": {"gte": "now-9m", "lte": "now"}}},
        "size": 1,
        "fields": ["path", "@timestamp"],
        "sort": [{"@timestamp": {"order": "desc"}}],
        "aggs": {
            "status": {
                "terms": {"field": "status"},
                "aggs": {"last": {"max": {"field": "@timestamp"}}},
            }
        },
    }
    status, answer = await filled.go("POST", "/access/_async_search", body)
    assert status == 200, answer
    response = answer["response"]
    (hit,) = response["hits"]["hits"]
    at_ms = START_MS + 180_000
    assert hit["sort"] == [str(at_ms)]
    assert hit["fields"] == {
        "path": ["/item/502"],
        "@timestamp": ["2026-03-01T00:03:00.000Z"],
    }
    buckets = response["aggregations"]["status"]["buckets"]
    assert [(one["key"], one["doc_count"]) for one in buckets] == [(200, 1), (404, 1), (502, 1)]
    # Epochs in milliseconds would not fit the 32 bits that the SDK for Go reads.
    times = (answer["start_time_in_millis"], answer["expiration_time_in_millis"])
    assert times == (0, response["took"])
    assert (answer["error"], answer["status"], response["timed_out"]) == (None, 200, False)


@pytest.mark.parametrize("index", ["access", "shop$access", quote("shop$access", safe="")])
async def test_an_index_is_a_log_store_of_a_project(filled: Served, index: str) -> None:
    status, answer = await filled.go("POST", f"/{index}/_async_search", {"size": 10})
    assert status == 200, answer
    assert len(answer["response"]["hits"]["hits"]) == 4
    status, answer = await filled.go("POST", f"/{index}/_field_caps", {"fields": ["status"]})
    assert status == 200
    assert list(answer["fields"]) == ["status"]
    terms = {"field": "path", "string": "/item/4"}
    status, answer = await filled.go("POST", f"/{index}/_terms_enum", terms)
    assert (status, answer["terms"]) == (200, ["/item/404"])
    status, answer = await filled.go("GET", f"/_resolve/index/{index}")
    assert status == 200
    assert [one["timestamp_field"] for one in answer["data_streams"]] == ["@timestamp"]


async def test_what_cannot_be_searched(filled: Served) -> None:
    for target, body, code, status in (
        ("/none/_async_search", {}, "LogStoreNotFound", 404),
        ("/_sim/_async_search", {}, "InvalidURI", 404),
        ("/access/_async_search", {"query": {"x": {}}}, "InvalidParameter", 400),
        ("/access/_async_search", [], "InvalidParameter", 400),
        ("/access/_terms_enum", {}, "InvalidParameter", 400),
        ("/access/_field_caps?from=1", {}, "InvalidParameter", 400),
    ):
        found, answer = await filled.go("POST", target, body)
        assert (found, answer["code"]) == (status, code), target
    found, answer = await filled.go("POST", "/access/_async_search", raw=b"{")
    assert (found, answer["code"]) == (400, "MalformedJSON")
    found, answer = await filled.go("POST", "/access/_async_search", {}, secret_key="wrong")
    assert (found, answer["code"]) == (401, "Unauthorized")


@pytest.mark.parametrize("target", ["/_sim%2F*,access/_async_search", "/_sim%2Fx,*/_field_caps"])
async def test_what_only_looks_like_a_path_of_the_simulator_is_signed(
    filled: Served, target: str
) -> None:
    target += "?ignore_unavailable=true"
    found, answer = await filled.go("POST", target, {}, secret_key="wrong")
    assert (found, answer["code"]) == (401, "Unauthorized")
    assert (await filled.go("POST", target, {}))[0] == 200


async def test_the_parameters_of_an_address(filled: Served) -> None:
    status, answer = await filled.go("GET", "/*/_field_caps?fields=path,st*&allow_no_indices=true")
    assert (status, list(answer["fields"])) == (200, ["path", "status"])
    status, answer = await filled.go("POST", "/a*/_field_caps?fields=path&types=long", {})
    assert (status, answer["fields"]) == (200, {})
    target = "/a*,gone/_async_search?ignore_unavailable&pretty=true&size=2"
    status, answer = await filled.go("POST", target, {})
    assert (status, len(answer["response"]["hits"]["hits"])) == (200, 2)
    target = "/access/_async_search?_source=false&stored_fields=a,b&docvalue_fields=path"
    status, answer = await filled.go("POST", target, {"fields": [], "size": 1})
    assert (status, list(answer["response"]["hits"]["hits"][0]["fields"])) == (200, ["path"])
    status, answer = await filled.go("POST", "/access/_async_search?_source=path", {})
    assert (status, "_source" in answer["message"]) == (400, True)
    for target, name in (
        ("/access/_async_search?suggest_text=a", "suggest_text"),
        ("/access/_async_search?ignore_unavailable=maybe", "ignore_unavailable"),
        ("/access/_async_search?expand_wildcards=some", "expand_wildcards"),
        ("/access/_async_search?size=-1", "size"),
        ("/access/_terms_enum?q=1", "q"),
        ("/_resolve/index/*?q=1", "q"),
    ):
        method = "GET" if "_resolve" in target else "POST"
        status, answer = await filled.go(method, target, None if method == "GET" else {})
        assert (status, answer["code"]) == (400, "InvalidParameter")
        assert f"[{name}]" in answer["message"]
    for target in ("/gone/_async_search", "/go*/_async_search?allow_no_indices=false"):
        status, answer = await filled.go("POST", target, {})
        assert (status, answer["code"]) == (404, "LogStoreNotFound")


async def test_other_paths_are_what_they_were(filled: Served) -> None:
    for target in ("/v1/logstore/list", "/v1/project/list"):
        status, _ = await filled.go("POST", target, {})
        assert status == 200
    status, answer = await filled.go("POST", "/task", {})
    assert (status, answer["code"]) == (501, "NotImplemented")
    for target in ("/access/_search", "/task/_search"):
        status, answer = await filled.go("POST", target, {})
        assert (status, answer["code"]) == (404, "InvalidURI")


@pytest.mark.parametrize("name", ["task", "v1", "_resolve", "_async_search", "logstore", "_sim"])
async def test_an_index_may_have_the_name_of_a_path(served: Served, name: str) -> None:
    served.engine.create_log_store("default", name, LogStoreSettings(retention_days=7))
    index = f"default${name}" if name == "_sim" else name
    record = NewRecord(message='{"a": "b"}', timestamp_ms=START_MS)
    served.engine.push("default", name, [record], record_type=RecordType.JSON)
    status, answer = await served.go("POST", f"/{index}/_async_search", {})
    assert (status, len(answer["response"]["hits"]["hits"])) == (200, 1)
    status, answer = await served.go("POST", f"/{index}/_field_caps", {"fields": ["a"]})
    assert (status, list(answer["fields"])) == (200, ["a"])
    status, answer = await served.go("POST", f"/{index}/_terms_enum", {"field": "a"})
    assert (status, answer["terms"]) == (200, ["b"])
    status, answer = await served.go("GET", f"/_resolve/index/{index}")
    assert (status, [one["name"] for one in answer["data_streams"]]) == (200, [name])
    for task in ("1234", "a_search"):
        status, answer = await served.go("POST", f"/task/{task}", {})
        assert (status, answer["code"]) == (501, "NotImplemented")
