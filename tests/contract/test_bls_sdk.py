"""The vendor's own SDK, unmodified, against the BLS API."""

import asyncio
import json
import threading

import aiohttp
import duckdb
import pytest
from baidubce.exception import BceHttpClientError
from baidubce.services.bls.bls_model import LogRecordModel, TagModel
from bls_served import START_MS, Served

from simulator.logstore import queries as queries_module

FROM, TO = "2026-03-01T00:00:00Z", "2026-03-01T01:00:00Z"
RECORDS = "/v1/logstore/access/logrecord?startDateTime=2026-03-01&endDateTime=2026-03-02"


async def push(served: Served, records: list[tuple[str, int]], type_: str = "JSON") -> None:
    await asyncio.to_thread(
        served.client().push_log_records,
        "access",
        "web/1",
        [LogRecordModel(message=message, timestamp=at) for message, at in records],
        type=type_,
        tags=[TagModel("env", "test")],
    )


async def test_sdk_pull_returns_pushed_json_oldest_first_and_compact(served: Served) -> None:
    await push(
        served,
        [
            ('{"@raw": "raw text", "level": "info", "名": "中 文"}', START_MS + 2000),
            ('{"level": "error"}', START_MS + 1000),
        ],
    )
    page = await asyncio.to_thread(
        served.client().pull_log_records, "access", FROM, TO, "web/1", limit=1
    )
    assert [(r.message, r.timestamp) for r in page.result] == [
        ('{"level":"error"}', START_MS + 1000)
    ]
    assert page.is_truncated is True
    rest = await asyncio.to_thread(
        served.client().pull_log_records, "access", FROM, TO, "", marker=page.next_marker
    )
    assert [r.message for r in rest.result] == ['{"@raw":"raw text","level":"info","名":"中 文"}']
    assert rest.is_truncated is False
    assert rest.next_marker == ""


async def test_sdk_query_match_pages_newest_first_with_verbatim_message(served: Served) -> None:
    newest = '{"@raw": "raw text", "level": "info"}'
    await push(served, [(newest, START_MS + 2000), ('{"level": "error"}', START_MS + 1000)])
    query = served.client().query_log_records
    first = await asyncio.to_thread(
        query, "access", FROM, TO, "", query="match *", limit=1, sort="desc"
    )
    assert first.result_set.query_type == "match"
    assert first.result_set.columns == ["@timestamp", "@seq", "@stream", "@raw"]
    assert [(row[0], row[2], row[3]) for row in first.result_set.rows] == [
        (START_MS + 2000, "web/1", newest)
    ]
    assert first.result_set.rows[0][1] >> 14 == START_MS + 600_000
    assert first.dataset_scan_info.is_truncated is True
    second = await asyncio.to_thread(
        query, "access", FROM, TO, "", query="match *", limit=1, marker=first.next_marker
    )
    assert [row[3] for row in second.result_set.rows] == ['{"level": "error"}']
    assert not hasattr(second, "next_marker") or second.next_marker is None
    field = await asyncio.to_thread(
        query, "access", FROM, TO, "", query="match level:ERROR and not level:info"
    )
    assert len(field.result_set.rows) == 1


async def test_sdk_query_sql_returns_typed_values(served: Served) -> None:
    statuses = [200, 200, 404, 500]
    await push(
        served,
        [
            (json.dumps({"status": s, "cost": 0.25 * (i + 1)}), START_MS + i)
            for i, s in enumerate(statuses)
        ],
    )
    query = served.client().query_log_records
    result = await asyncio.to_thread(
        query,
        "access",
        FROM,
        TO,
        "",
        query="select status, count(*), avg(cost) as cost group by status order by status",
    )
    assert result.result_set.query_type == "sql"
    assert result.result_set.columns == ["status", "count(*)", "cost"]
    assert result.result_set.column_types == ["int", "int", "float"]
    assert result.result_set.rows == [[200, 2, 0.375], [404, 1, 0.75], [500, 1, 1.0]]
    both = await asyncio.to_thread(
        query, "access", FROM, TO, "", query="match status >= 400 | select count(*) as bad"
    )
    assert both.result_set.query_type == "match_and_sql"
    assert both.result_set.rows == [[2]]


async def test_sdk_pull_v3_filters_and_sorts(served: Served) -> None:
    await push(served, [(f"line {word}", START_MS + i) for i, word in enumerate("abc")], "TEXT")
    pull = served.client().pull_log_records_v3
    newest = await asyncio.to_thread(pull, "access", FROM, TO, "", query="match line not b")
    assert [r.message for r in newest.result] == ["line c", "line a"]
    oldest = await asyncio.to_thread(pull, "access", FROM, TO, "", sort="asc", limit=2)
    assert [r.message for r in oldest.result] == ["line a", "line b"]
    assert oldest.is_truncated is True


async def test_sdk_sees_the_vendors_error_with_a_wrong_secret_key(served: Served) -> None:
    with pytest.raises(BceHttpClientError) as caught:
        await asyncio.to_thread(served.client("wrong").pull_log_records, "access", FROM, TO, "")
    assert caught.value.last_error.status_code == 401
    assert caught.value.last_error.code == "Unauthorized"


async def test_sdk_sees_log_store_not_found(served: Served) -> None:
    with pytest.raises(BceHttpClientError) as caught:
        await asyncio.to_thread(served.client().pull_log_records, "nowhere", FROM, TO, "")
    assert caught.value.last_error.status_code == 404
    assert caught.value.last_error.code == "LogStoreNotFound"


async def test_go_spelling_walks_projects_and_log_stores(served: Served) -> None:
    status, answer = await served.go("POST", "/v1/project", {"name": "shop", "description": ""})
    assert (status, answer["code"]) == (201, "OK")
    status, answer = await served.go("POST", "/v1/project", {"name": "shop"})
    assert (status, answer["code"]) == (409, "ProjectAlreadyExist")
    _, answer = await served.go(
        "POST", "/v1/project/list", {"name": "sh", "description": "", "pageNo": 1, "pageSize": 10}
    )
    (project,) = answer["result"]["projects"]
    assert (project["name"], project["top"], answer["result"]["total"]) == ("shop", False, 1)
    assert answer["result"]["default"]["logStoreCount"] == 1
    uuid = project["uuid"]
    await served.go("PUT", "/v1/project", {"uuid": uuid, "description": "new", "top": True})
    _, answer = await served.go("GET", f"/v1/project/{uuid}")
    assert answer["result"]["project"]["description"] == "new"

    body = {
        "creationDateTime": "",
        "lastModifiedTime": "",
        "project": "shop",
        "logStoreName": "demo",
        "retention": 10,
        "enableHotRetention": True,
        "hotRetention": 7,
        "shardCount": 3,
        "disableShardAutoSplit": True,
    }
    assert (await served.go("POST", "/v1/logstore", body))[0] == 200
    assert (await served.go("POST", "/v1/logstore", body))[1]["code"] == "LogStoreAlreadyExist"
    _, described = await served.go("GET", "/v1/logstore/demo?project=shop")
    assert {key: described[key] for key in ("retention", "hotRetention", "shardCount")} == {
        "retention": 10,
        "hotRetention": 7,
        "shardCount": 3,
    }
    update = {**body, "project": "", "logStoreName": "", "retention": 12, "hotRetention": 8}
    assert (await served.go("PUT", "/v1/logstore/demo?project=shop", update))[0] == 200
    _, old = await served.go("GET", "/v1/logstore?project&namePattern=dem&pageNo=1&pageSize=10")
    assert [(s["logStoreName"], s["retention"]) for s in old["result"]] == [("demo", 12)]
    for path in ("/v1/logstore/list", "/v2/logstore/list"):
        _, new = await served.go("POST", path, {"project": "", "order": "asc", "pageSize": 23})
        assert (new["pageSize"], new["totalCount"]) == (23, 2)
        assert [s["logStoreName"] for s in new["result"]] == ["access", "demo"]
    for key in ("logStores", "LogStores"):
        _, batch = await served.go(
            "POST",
            "/v1/logstore/batch",
            {key: [{"logStoreName": "demo", "project": "shop"}, {"logStoreName": "gone"}]},
        )
        assert [s["logStoreName"] for s in batch["result"]] == ["demo"]
    assert (await served.go("DELETE", f"/v1/project/{uuid}"))[1][
        "code"
    ] == "ProjectLogStoreNotEmpty"
    assert (await served.go("DELETE", "/v1/logstore/demo?project=shop"))[0] == 200
    _, gone = await served.go("GET", "/v1/logstore/demo?project=shop")
    assert gone["code"] == "LogStoreNotFound"
    assert (await served.go("DELETE", "/v1/project/shop"))[0] == 200
    assert (await served.go("GET", f"/v1/project/{uuid}"))[1]["code"] == "ProjectNotFound"
    assert len(served.changes) == 6


async def test_go_spelling_pushes_lists_streams_and_queries_with_bare_keys(served: Served) -> None:
    status, answer = await served.go(
        "POST",
        "/v1/logstore/access/logrecord?project",
        {
            "logStreamName": "st/1",
            "type": "",
            "logRecords": [{"message": "GET /cart", "timestamp": START_MS, "sequence": 7}],
        },
    )
    assert (status, answer) == (200, {"success": True, "code": "OK"})
    _, streams = await served.go("GET", "/v1/logstore/access/logstream?project=default")
    assert [s["logStreamName"] for s in streams["result"]] == ["st/1"]
    _, pulled = await served.go(
        "GET",
        "/v1/logstore/access/logrecord?project&startDateTime=2026-03-01T00%3A00%3A00Z"
        "&endDateTime=2026-03-01T01%3A00%3A00Z&logStreamName=st%2F1",
    )
    assert pulled["result"] == [{"message": "GET /cart", "timestamp": START_MS, "sequence": 7}]
    _, found = await served.go(
        "GET",
        "/v1/logstore/access/logrecord?limit=500&sort=asc&project=default&logStreamName"
        "&query=match%20%2A%20and%20%22cart%20get%22&startDateTime=2026-03-01T00%3A00%3A00Z"
        "&endDateTime=2026-03-01T01%3A00%3A00Z",
    )
    assert [row[3] for row in found["resultSet"]["rows"]] == ["GET /cart"]
    assert "tags" not in found["resultSet"]
    assert "nextMarker" not in found


@pytest.mark.parametrize(
    ("method", "target", "body", "status", "code"),
    [
        ("GET", "/v1/nothing", None, 404, "InvalidURI"),
        ("PUT", "/v1/logstore", {}, 405, "InvalidHTTPRequest"),
        ("POST", "/v1/logstore/access/index?project=default", {}, 400, "InvalidParameter"),
        ("POST", "/v3/bls?action=CreateLogStoreView", {}, 400, "InvalidParameter"),
        ("POST", "/task", {}, 501, "NotImplemented"),
        ("POST", "/v1/logstore", {"logStoreName": "a b", "retention": 7}, 400, "InvalidParameter"),
        ("POST", "/v1/logstore", {"logStoreName": "ok"}, 400, "InvalidParameter"),
        ("POST", "/v1/logstore", [1], 400, "InvalidParameter"),
        (
            "GET",
            "/v1/logstore/access/logrecord?query=match%20a%20and",
            None,
            400,
            "InvalidParameter",
        ),
        (
            "POST",
            "/v1/logstore/access/logrecord",
            {"logRecords": [{"message": "x", "timestamp": START_MS * 100}]},
            400,
            "InvalidParameter",
        ),
        (
            "POST",
            "/v1/logstore/access/logrecord",
            {"logRecords": [{"message": "x", "sequence": 2**63}]},
            400,
            "InvalidParameter",
        ),
        (
            "POST",
            "/v1/logstore/access/logrecord",
            {"logRecords": [{"message": "x", "timestamp": -(10**40)}]},
            400,
            "InvalidParameter",
        ),
        ("GET", f"{RECORDS}&query=match%20%2A&limit=1001", None, 400, "InvalidParameter"),
        (
            "POST",
            "/v1/logstore/access/logrecord",
            {"type": "JSON", "logRecords": [{"message": "[1]", "timestamp": START_MS}]},
            400,
            "InvalidParameter",
        ),
        (
            "POST",
            "/v1/logstore/access/logrecord",
            {"logRecords": [{"message": "x" * 1_100_000}]},
            413,
            "RequestOverload",
        ),
    ],
)
async def test_refusals_carry_the_vendors_body(
    served: Served, method: str, target: str, body: object, status: int, code: str
) -> None:
    got, answer = await served.go(method, target, body)
    assert (got, answer["code"]) == (status, code)
    assert set(answer) == {"code", "message", "requestId"}


async def test_malformed_json_is_named(served: Served) -> None:
    async with aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{served.port}/v1/logstore"
        async with session.post(url, data=b"{") as response:
            assert response.status == 401
        async with session.get(f"http://127.0.0.1:{served.port}/_sim/live") as response:
            assert (response.status, await response.text()) == (200, "ok")


async def test_parameters_of_searches_do_not_touch_sql(served: Served) -> None:
    for parameters in ("limit=100000", "sort=up&pageNo=0&pageSize=5000", "samplePercentage=5"):
        target = f"{RECORDS}&query=select%20count(*)%20as%20n&{parameters}"
        status, answer = await served.go("GET", target)
        assert (status, answer["resultSet"]["rows"]) == (200, [[0]])


async def test_plus_in_the_query_string_is_a_blank(served: Served) -> None:
    status, answer = await served.go("GET", f"{RECORDS}&query=select+count(*)%2B1+as+n")
    assert (status, answer["resultSet"]["rows"]) == (200, [[1]])


@pytest.mark.parametrize(
    ("method", "target", "message"),
    [
        ("POST", "logrecord", "LogStore not found"),
        ("GET", RECORDS.rpartition("/")[2], "LogStore not found"),
        ("GET", RECORDS.rpartition("/")[2] + "&query=match%20%2A", "LogStore not found"),
        ("GET", "logstream", "LogStore [gone] not exists"),
    ],
)
async def test_missing_log_store_reads_as_documented(
    served: Served, method: str, target: str, message: str
) -> None:
    body = {"logRecords": [{"message": "x"}]} if method == "POST" else None
    status, answer = await served.go(method, f"/v1/logstore/gone/{target}", body)
    assert (status, answer["code"], answer["message"]) == (404, "LogStoreNotFound", message)


class Statement:
    """A statement that does not end by itself."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.ended = threading.Event()

    def run(self, cursor: duckdb.DuckDBPyConnection, *_: object) -> tuple[int, int]:
        self.begun.set()
        try:
            cursor.execute(
                "SELECT count(*) FROM range(100000000) a(i), range(100000000) b(j)"
                " WHERE (i * j) % 7 = 3"
            )
        finally:
            self.ended.set()
        raise AssertionError("it ended by itself")


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> Statement:
    statement = Statement()
    monkeypatch.setattr(queries_module, "_scan_size", statement.run)
    return statement


async def test_query_ends_when_the_server_stops(served: Served, endless: Statement) -> None:
    asking = asyncio.create_task(served.go("GET", f"{RECORDS}&query=match%20%2A"))
    assert await asyncio.to_thread(endless.begun.wait, 20)
    await served.runner.cleanup()
    status, answer = await asking
    assert (status, answer["code"]) == (408, "ExecutionTimeout")


async def test_query_ends_when_its_client_has_gone(served: Served, endless: Statement) -> None:
    asking = asyncio.create_task(served.go("GET", f"{RECORDS}&query=match%20%2A"))
    assert await asyncio.to_thread(endless.begun.wait, 20)
    asking.cancel()
    assert await asyncio.to_thread(endless.ended.wait, 20)
