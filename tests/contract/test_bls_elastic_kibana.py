"""The Elasticsearch-compatible search by the requests that Kibana sends."""

import json
from typing import Any

import kibana_requests as kibana
import pytest
from bls_served import START_MS, Served

from simulator.logstore import LogStoreSettings, NewRecord, RecordType

ROWS = (
    {"status": 200, "host": "web-1", "path": "/item/7", "method": "GET", "cost": 0.25},
    {"status": 404, "host": "web-2", "path": "/none", "method": "GET", "cost": 0.5},
    {"status": 502, "host": "web-1", "path": "/checkout", "method": "POST", "cost": 2.0},
    {"status": 200, "host": "web-2", "path": "/item/12", "method": "GET"},
    {"status": 500, "host": "web-3", "path": "/item/7", "method": "GET", "cost": 1.5},
)
"""Three minutes apart; every other one in another LogStore."""
MINUTE_MS = 60_000
OLD = {"status": 200, "host": "web-9", "old": True}


@pytest.fixture
def served_rows(served: Served) -> Served:
    served.engine.create_project("shop")
    served.engine.create_log_store("shop", "orders", LogStoreSettings(retention_days=7))
    served.engine.create_log_store("default", "old", LogStoreSettings(retention_days=7))
    for number, row in enumerate(ROWS):
        project, name = (("default", "access"), ("shop", "orders"))[number % 2]
        push(served, project, name, row, START_MS + number * 3 * MINUTE_MS)
    push(served, "default", "old", OLD, START_MS - 3_600_000)
    return served


def push(served: Served, project: str, name: str, row: object, at_ms: int) -> None:
    record = NewRecord(message=json.dumps(row), timestamp_ms=at_ms)
    served.engine.push(project, name, [record], record_type=RecordType.JSON)


async def search(served: Served, body: object, index: str = "*") -> dict[str, Any]:
    status, answer = await served.go("POST", f"/{index}/_async_search{kibana.PARAMETERS}", body)
    assert status == 200, answer
    assert answer["is_running"] is False
    return dict(answer["response"])


def rows_of(response: dict[str, Any]) -> list[int]:
    """Which rows were found, newest first."""
    times = [hit["fields"]["@timestamp"][0] for hit in response["hits"]["hits"]]
    return [int(time[14:16]) // 3 for time in times]


async def found(served: Served, query: object) -> list[int]:
    response = await search(served, kibana.DISCOVER_8 | {"query": kibana.kibana_bool(query)})
    return rows_of(response)


async def test_discover_of_7(served_rows: Served) -> None:
    for body in (kibana.DISCOVER_7_10, kibana.DISCOVER_7_12):
        response = await search(served_rows, body)
        assert rows_of(response) == [4, 3, 2, 1, 0]
        buckets = response["aggregations"]["2"]["buckets"]
        assert [one["doc_count"] for one in buckets] == [1] * 5
        assert buckets[0]["key_as_string"] == "2026-03-01T08:00:00.000+08:00"
        assert not any("highlight" in hit for hit in response["hits"]["hits"])
    newest = response["hits"]["hits"][0]
    assert newest["fields"]["path"] == ["/item/7"]
    assert newest["fields"]["@timestamp"] == ["2026-03-01T00:12:00.000Z"]


async def test_discover_of_8(served_rows: Served) -> None:
    response = await search(served_rows, kibana.DISCOVER_8)
    assert rows_of(response) == [4, 3, 2, 1, 0]
    newest, second = response["hits"]["hits"][:2]
    assert (newest["_index"], second["_index"]) == ("access", "shop$orders")
    assert newest["sort"][0] == "2026-03-01T00:12:00.000Z"
    chart = await search(served_rows, kibana.DISCOVER_8_CHART)
    buckets = chart["aggregations"]["0"]["buckets"]
    assert (len(buckets), sum(one["doc_count"] for one in buckets)) == (16, 5)
    assert buckets[0]["key_as_string"] == "2026-03-01T01:00:00.000+01:00"
    assert chart["hits"] == {"hits": []}


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("word", [2]),
        ("phrase", [4, 0]),
        ("equal", [3, 0]),
        ("above", [4, 2]),
        ("exists", [4, 3, 2, 1, 0]),
        ("wildcard", [4, 3, 0]),
        ("and_not", [4]),
        ("field_pattern", [2, 0]),
        ("later", [4, 3, 2]),
    ],
)
async def test_kibanas_own_language(served_rows: Served, name: str, rows: list[int]) -> None:
    assert await found(served_rows, kibana.KQL[name]) == rows


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("*", [4, 3, 2, 1, 0]),
        ("status:[500 TO *]", [4, 2]),
        ("status:>=500 AND NOT host:web-2", [4, 2]),
        ("path:/\\/item\\/[0-9]+/", [4, 3, 0]),
        ('"item 7"~1', [4, 0]),
        ("chekout~", [2]),
        ("_exists_:host", [4, 3, 2, 1, 0]),
        ("path:(*item* OR checkout^2)", [4, 3, 2, 0]),
    ],
)
async def test_lucenes_language(served_rows: Served, text: str, rows: list[int]) -> None:
    assert await found(served_rows, kibana.LUCENE[text]) == rows


@pytest.mark.parametrize(
    ("name", "rows"),
    [("is", [2, 0]), ("is one of", [2, 1]), ("exists", [4, 2, 1, 0]), ("between", [4, 1])],
)
async def test_pills(served_rows: Served, name: str, rows: list[int]) -> None:
    assert await found(served_rows, kibana.FILTERS[name]) == rows


async def test_what_was_searched_for_is_highlighted(served_rows: Served) -> None:
    query = kibana.kibana_bool(kibana.KQL["word"])
    response = await search(served_rows, kibana.DISCOVER_8 | {"query": query})
    (hit,) = response["hits"]["hits"]
    tagged = "@kibana-highlighted-field@checkout@/kibana-highlighted-field@"
    raw = json.dumps(ROWS[2]).replace("checkout", tagged)
    assert hit["highlight"] == {"path": [f"/{tagged}"], "@raw": [raw]}


async def test_surrounding_documents(served_rows: Served) -> None:
    middle = (await search(served_rows, kibana.DISCOVER_8))["hits"]["hits"][2]
    anchor: dict[str, Any] = json.loads(json.dumps(kibana.CONTEXT_ANCHOR))
    anchor["query"]["bool"]["must"][0]["constant_score"]["filter"]["ids"]["values"] = [
        middle["_id"]
    ]
    (hit,) = (await search(served_rows, anchor))["hits"]["hits"]
    assert hit == {name: middle[name] for name in hit}
    after = kibana.CONTEXT_AFTER | {"search_after": hit["sort"]}
    assert rows_of(await search(served_rows, after)) == [1, 0]


async def test_terms_over_time(served_rows: Served) -> None:
    hosts = (await search(served_rows, kibana.LENS_TERMS_OVER_TIME))["aggregations"]["0"]
    assert [(one["key"], one["2"]["value"]) for one in hosts["buckets"]] == [
        ("web-3", 1.5),
        ("web-1", 1.125),
    ]
    assert hosts["sum_other_doc_count"] == 2
    times = hosts["buckets"][1]["1"]["buckets"]
    assert [(one["doc_count"], one["2"]["value"]) for one in times] == [
        (1, 0.25),
        (1, 2.0),
        (0, None),
    ]
    assert times[1]["3"] == {"values": {"50.0": 2.0, "95.0": 2.0}}
    assert times[2]["3"] == {"values": {"50.0": None, "95.0": None}}


async def test_terms_by_a_percentile(served_rows: Served) -> None:
    paths = (await search(served_rows, kibana.LENS_BY_PERCENTILE))["aggregations"]["0"]
    assert [(one["key"], one["2"]["value"]) for one in paths["buckets"]] == [
        ("/checkout", 1),
        ("/item/7", 2),
        ("/none", 1),
    ]


async def test_filtered_metrics(served_rows: Served) -> None:
    hosts = (await search(served_rows, kibana.LENS_FORMULA))["aggregations"]["0"]["buckets"]
    assert [
        (one["key"], one["1-bucket"]["1-metric"]["value"], one["2-bucket"]["doc_count"])
        for one in hosts
    ] == [("web-1", 2.0, 1), ("web-3", 1.5, 0), ("web-2", 0.0, 1)]


async def test_other_requests_of_lens(served_rows: Served) -> None:
    other = (await search(served_rows, kibana.LENS_OTHER_BUCKET))["aggregations"]["other-filter"]
    assert other["buckets"] == {"": {"doc_count": 3, "1": {"value": 1.0}}}
    costs = (await search(served_rows, kibana.LENS_HISTOGRAM))["aggregations"]["0"]["buckets"]
    assert [(one["key"], one["doc_count"]) for one in costs] == [
        (0.0, 1),
        (0.5, 1),
        (1.5, 1),
        (2.0, 1),
    ]


async def test_a_time_series_of_the_visual_builder(served_rows: Served) -> None:
    series = (await search(served_rows, kibana.TSVB_TIME_SERIES))["aggregations"]["61ca57f1"]
    assert series["meta"]["panelId"] == "1"
    values = [one["61ca57f2"]["value"] for one in series["timeseries"]["buckets"]]
    assert values == [2.0, 1.5]


async def test_what_controls_and_popovers_ask_for(served_rows: Served) -> None:
    control = (await search(served_rows, kibana.CONTROL_OPTIONS))["aggregations"]
    counts = [(one["key"], one["doc_count"]) for one in control["suggestions"]["buckets"]]
    assert counts == [("web-1", 2), ("web-2", 2), ("web-3", 1)]
    assert control["unique_terms"] == {"value": 3}
    assert control["validation"]["buckets"] == {"web-1": {"doc_count": 2}}
    sample = (await search(served_rows, kibana.FIELD_SUMMARY))["aggregations"]["sample"]
    assert (sample["doc_count"], sample["sample_count"]) == (5, {"value": 4})
    assert (sample["min_value"]["value"], sample["max_value"]["value"]) == (0.25, 2.0)
    assert [one["key"] for one in sample["top_values"]["buckets"]] == [0.25, 0.5, 1.5, 2.0]


async def test_the_list_of_fields(served_rows: Served) -> None:
    status, old = await served_rows.go("GET", kibana.FIELD_LIST_7)
    assert (status, old["indices"]) == (200, ["access", "old", "shop$orders"])
    assert "boolean" in old["fields"]["old"]
    status, new = await served_rows.go("POST", kibana.FIELD_LIST_8, kibana.FIELD_LIST_8_BODY)
    assert (status, new["indices"]) == (200, ["access", "shop$orders"])
    assert {name: list(types) for name, types in new["fields"].items()} == {
        **{name: ["keyword"] for name in ("@stream", "host", "method", "path")},
        "@raw": ["text"],
        "@seq": ["long"],
        "@timestamp": ["date"],
        "_id": ["_id"],
        "_index": ["_index"],
        "cost": ["double"],
        "status": ["long"],
    }


async def test_suggestions_of_values(served_rows: Served) -> None:
    status, answer = await served_rows.go("POST", "/*/_terms_enum", kibana.VALUE_SUGGESTIONS)
    assert (status, answer["terms"], answer["complete"]) == (200, ["web-1", "web-2", "web-3"], True)
