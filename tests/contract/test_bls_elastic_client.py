"""The Elasticsearch-compatible search by Elasticsearch's own client, with signatures off."""

import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from bls_served import START_MS, START_S
from elasticsearch import AsyncElasticsearch, BadRequestError, NotFoundError

from simulator.api import Authenticator, make_api_app, make_runner
from simulator.clock import ManualClock
from simulator.logstore import LogStoreEngine, LogStoreSettings, NewRecord, RecordType
from simulator.model import AuthMode

ROWS = (
    {"status": 200, "host": "a", "path": "/item/1"},
    {"status": 404, "host": "b", "path": "/cart"},
    {"status": 500, "host": "a", "path": "/item/2"},
)


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """Of an API that looks at no signature."""
    clock = ManualClock(START_S + 600.0)
    engine = LogStoreEngine(None, clock)
    engine.create_project("shop")
    for project, name in (("default", "access"), ("shop", "orders")):
        engine.create_log_store(project, name, LogStoreSettings(retention_days=7))
        records = [
            NewRecord(message=json.dumps(row), timestamp_ms=START_MS + number * 60_000)
            for number, row in enumerate(ROWS)
        ]
        engine.push(project, name, records, record_type=RecordType.JSON)
    app = make_api_app(engine=engine, clock=clock, auth=Authenticator({}, mode=AuthMode.OFF))
    runner = make_runner(app, shutdown_s=0.5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()
    engine.close()


@pytest.fixture
async def client(port: int) -> AsyncIterator[AsyncElasticsearch]:
    async with AsyncElasticsearch(f"http://127.0.0.1:{port}", max_retries=0) as client:
        yield client


async def test_a_search(client: AsyncElasticsearch) -> None:
    found = await client.async_search.submit(
        index="access,shop$*",
        query={"match": {"path": "item"}},
        aggs={"by": {"terms": {"field": "status"}}},
        fields=["status", {"field": "@timestamp", "format": "epoch_millis"}],
        sort=[{"@timestamp": {"order": "asc"}}, {"_doc": "asc"}],
        size=3,
        source=False,
        track_total_hits=False,
        ignore_unavailable=True,
        allow_no_indices=True,
        keep_alive="60s",
        keep_on_completion=False,
        wait_for_completion_timeout="200ms",
        batched_reduce_size=64,
        ccs_minimize_roundtrips=True,
        preference="1700000000000",
    )
    assert (found["is_running"], found["is_partial"]) == (False, False)
    assert found.meta.headers["x-elastic-product"] == "Elasticsearch"
    assert found.meta.mimetype == "application/vnd.elasticsearch+json"
    hits = found["response"]["hits"]["hits"]
    assert [(hit["_index"], hit["fields"]["status"]) for hit in hits] == [
        ("access", [200]),
        ("shop$orders", [200]),
        ("access", [500]),
    ]
    assert hits[0]["fields"]["@timestamp"] == [str(START_MS)]
    buckets = found["response"]["aggregations"]["by"]["buckets"]
    assert [(one["key"], one["doc_count"]) for one in buckets] == [(200, 2), (500, 2)]
    following = await client.async_search.submit(
        index="access,shop$*",
        query={"match": {"path": "item"}},
        sort=[{"@timestamp": {"order": "asc"}}, {"_doc": "asc"}],
        search_after=hits[-1]["sort"],
    )
    assert [hit["_index"] for hit in following["response"]["hits"]["hits"]] == ["shop$orders"]


async def test_highlights(client: AsyncElasticsearch) -> None:
    found = await client.async_search.submit(
        index="access,shop$orders",
        query={"match_phrase": {"path": "item 2"}},
        highlight={"fields": {"pa*": {}}, "pre_tags": ["<em>"], "post_tags": ["</em>"]},
    )
    assert [hit["highlight"] for hit in found["response"]["hits"]["hits"]] == [
        {"path": ["/<em>item</em>/<em>2</em>"]}
    ] * 2


async def test_names_with_their_types(client: AsyncElasticsearch) -> None:
    found = await client.async_search.submit(
        index="access",
        size=0,
        typed_keys=True,
        aggs={
            "time": {
                "date_histogram": {"field": "@timestamp", "calendar_interval": "1h"},
                "aggs": {"by": {"terms": {"field": "status"}}},
            }
        },
    )
    (hour,) = found["response"]["aggregations"]["date_histogram#time"]["buckets"]
    assert [one["key"] for one in hour["lterms#by"]["buckets"]] == [200, 404, 500]


async def test_a_search_in_the_address(client: AsyncElasticsearch) -> None:
    found = await client.async_search.submit(
        index="access",
        q="status:>=404",
        sort="@timestamp:desc",
        size=1,
        filter_path="response.hits.hits._id,response.hits.hits.fields.status",
    )
    (hit,) = found["response"]["hits"]["hits"]
    assert set(found) == {"response"}
    assert (set(hit), hit["fields"]) == ({"_id", "fields"}, {"status": [500]})


async def test_fields(client: AsyncElasticsearch) -> None:
    found = await client.field_caps(
        index="*", fields=["host", "@time*"], filters="-metadata", include_unmapped=True
    )
    assert found["indices"] == ["access", "shop$orders"]
    assert {name: list(types) for name, types in found["fields"].items()} == {
        "@timestamp": ["date"],
        "host": ["keyword"],
    }
    some = await client.field_caps(
        index="*", fields="*", index_filter={"range": {"@timestamp": {"gte": "now+1d"}}}
    )
    assert (some["indices"], some["fields"]) == ([], {})


async def test_terms(client: AsyncElasticsearch) -> None:
    found = await client.terms_enum(index="access,shop$orders", field="path", string="/i", size=1)
    assert (found["terms"], found["complete"]) == (["/item/1"], False)
    more = await client.terms_enum(
        index="*", field="path", string="/i", search_after=found["terms"][-1]
    )
    assert (more["terms"], more["complete"]) == (["/item/2"], True)


async def test_indices(client: AsyncElasticsearch) -> None:
    found = await client.indices.resolve_index(name="*", expand_wildcards="open")
    assert [one["name"] for one in found["data_streams"]] == ["access", "shop$orders"]
    assert (found["indices"], found["aliases"]) == ([], [])
    with pytest.raises(NotFoundError):
        await client.indices.resolve_index(name="access,none", ignore_unavailable=False)


async def test_refusals(client: AsyncElasticsearch) -> None:
    with pytest.raises(NotFoundError) as missing:
        await client.async_search.submit(index="none")
    assert missing.value.error == "LogStoreNotFound"
    ignoring = client.options(ignore_status=404)
    assert (await ignoring.async_search.submit(index="none")).meta.status == 404
    for refused in (
        client.async_search.submit(index="access", from_=10),
        client.async_search.submit(index="access", query={"geo_distance": {}}),
        client.async_search.submit(index="access", suggest_field="host"),
        client.field_caps(index="access", fields="*", filters="+elsewhere"),
    ):
        with pytest.raises(BadRequestError) as wrong:
            await refused
        assert wrong.value.error == "InvalidParameter"
        assert wrong.value.info["error"]["root_cause"][0]["reason"] == wrong.value.info["message"]
