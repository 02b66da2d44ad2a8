"""The Elasticsearch-compatible search by the vendor's generated SDK."""

import json
import re

import pytest
from baiducloud_python_sdk_bls.models import (
    AsyncSearchRequest,
    CreateIndexRequest,
    FieldCapsRequest,
    Highlight,
    IndexField,
    ResolveIndexRequest,
    TermsEnumRequest,
)
from bls_served import START_MS, Served
from generated_sdk import GeneratedSdk, refusal

from simulator.logstore import LogStoreSettings, NewRecord, RecordType

ROWS = ({"status": 200, "host": "a"}, {"status": 404, "host": "b"}, {"status": 500, "host": "a"})
NOWHERE = (404, "LogStoreNotFound")


@pytest.fixture(autouse=True)
def _filled(served: Served) -> None:
    served.engine.create_project("shop")
    served.engine.create_log_store("shop", "orders", LogStoreSettings(retention_days=7))
    for project, name in (("default", "access"), ("shop", "orders")):
        records = [
            NewRecord(message=json.dumps(row), timestamp_ms=START_MS + number * 60_000)
            for number, row in enumerate(ROWS)
        ]
        served.engine.push(project, name, records, record_type=RecordType.JSON)


async def test_a_search(sdk: GeneratedSdk) -> None:
    request = AsyncSearchRequest(
        name="shop$orders",
        query={"term": {"host": "a"}},
        aggs={"by": {"terms": {"field": "status"}}},
        fields=["status", "@timestamp"],
        sort={"@timestamp": {"order": "asc"}},
        highlight=Highlight(pre_tags=["<b>"], post_tags=["</b>"]),
        size=1,
    )
    found = await sdk.async_search(request)
    times = (found.start_time_in_millis, found.expiration_time_in_millis)
    assert times == (0, found.response.took)
    assert (found.status, found.error) == (200, None)
    response = found.response
    assert (response.timed_out, response.took >= 0) == (False, True)
    shards = response.shards
    assert (shards.total, shards.successful, shards.skipped, shards.failed) == (1, 1, 0, 0)
    assert list(response.hits) == ["hits"]
    (hit,) = response.hits["hits"]
    assert (hit.index, hit.version, hit.score) == ("shop$orders", 1, 0.0)
    assert hit.fields == {"@timestamp": ["2026-03-01T00:00:00.000Z"], "status": [200]}
    assert re.fullmatch(rf"\d+-{START_MS}", hit.id)
    assert hit.sort == [str(START_MS)]
    assert [(one["key"], one["doc_count"]) for one in response.aggregations["by"]["buckets"]] == [
        (200, 1),
        (500, 1),
    ]
    request.search_after = hit.sort
    (hit,) = (await sdk.async_search(request)).response.hits["hits"]
    assert hit.fields["status"] == [500]
    request.search_after = hit.sort
    assert (await sdk.async_search(request)).response.hits == {"hits": []}


async def test_refused_searches(sdk: GeneratedSdk) -> None:
    everything = {"match_all": {}}
    nowhere = AsyncSearchRequest(name="nowhere", query=everything)
    assert await refusal(sdk.async_search(nowhere)) == NOWHERE
    other = AsyncSearchRequest(name="shop$access", query=everything)
    assert await refusal(sdk.async_search(other)) == NOWHERE
    wrong = AsyncSearchRequest(name="access", query={"geo_shape": {}})
    assert await refusal(sdk.async_search(wrong)) == (400, "InvalidParameter")


async def test_fields_and_terms(sdk: GeneratedSdk) -> None:
    fields = {"status": IndexField(type="long"), "host": IndexField(type="text")}
    await sdk.create_index(CreateIndexRequest(log_store_name="access", fields=fields))
    caps = await sdk.field_caps(FieldCapsRequest(name="access", fields=["s*", "host"]))
    assert (caps.indices, caps.error, caps.status) == (["access"], None, None)
    assert caps.fields == {
        "host": {
            "keyword": {
                "type": "keyword",
                "searchable": True,
                "aggregatable": True,
                "metadata_field": False,
            }
        },
        "status": {
            "long": {
                "type": "long",
                "searchable": True,
                "aggregatable": True,
                "metadata_field": False,
            }
        },
    }
    nowhere = FieldCapsRequest(name="nowhere", fields=["*"])
    assert await refusal(sdk.field_caps(nowhere)) == NOWHERE
    asked = TermsEnumRequest(
        name="access", bls_field="host", string="", size=5, index_filter={"term": {"status": 404}}
    )
    terms = await sdk.terms_enum(asked)
    assert (terms.terms, terms.error, terms.status) == (["b"], None, None)
    asked.index_filter, asked.size = None, 1
    assert (await sdk.terms_enum(asked)).terms == ["a"]
    asked.name = "nowhere"
    assert await refusal(sdk.terms_enum(asked)) == NOWHERE


async def test_indexes_are_resolved(sdk: GeneratedSdk) -> None:
    nothing = await sdk.resolve_index(ResolveIndexRequest(name="no*"))
    assert (nothing.error, nothing.status) == (None, None)
    assert nothing.data_streams.name is None
    # The schema has one object where a pattern can stand for many LogStores.
    found = await sdk.resolve_index(ResolveIndexRequest(name="shop$*,access"))
    stream = found.data_streams
    assert (stream.name, stream.backing_indices, stream.timestamp_field) == (
        "access",
        ["access"],
        "@timestamp",
    )
