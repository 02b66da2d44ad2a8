"""What the vendor's SDKs send, byte for byte, and what their own tests assert about the answers.

Requests are captures from the Go SDK (0.9.273); walks are those of its test suites.
"""

import json

import pytest
from bls_served import START_MS, Served

from simulator.clock import wall_time
from simulator.logstore.alarms.policies import MAX_POLICIES
from simulator.logstore.catalog import MAX_LOG_STORES_PER_PROJECT, MAX_PROJECTS
from simulator.logstore.fast_queries import MAX_FAST_QUERIES
from simulator.logstore.shippers import MAX_SHIPPERS

RANGE = "startDateTime=2026-03-01T00%3A00%3A00Z&endDateTime=2026-03-02T00%3A00%3A00Z"
RECORDS = "/v1/logstore/access/logrecord"
ZEROES = {
    "creationDateTime": "",
    "lastModifiedTime": "",
    "project": "",
    "logStoreName": "",
    "retention": 10,
    "enableHotRetention": False,
    "hotRetention": 0,
    "shardCount": 0,
    "disableShardAutoSplit": False,
}
STORE = {**ZEROES, "logStoreName": "demo"}
ERRORS = (
    ("GET", "/v1/logstore/gone?project=default", None, 404, "LogStoreNotFound"),
    ("PUT", "/v1/logstore/gone?project=default", ZEROES, 404, "LogStoreNotFound"),
    ("DELETE", "/v1/logstore/gone?project=default", None, 404, "LogStoreNotFound"),
    ("GET", "/v1/logstore/gone/logstream?project=default", None, 404, "LogStoreNotFound"),
    ("GET", "/v1/logstore/gone/index?project=default", None, 404, "LogStoreNotFound"),
    ("GET", f"/v1/logstore/gone/logrecord?{RANGE}", None, 404, "LogStoreNotFound"),
    (
        "GET",
        f"/v1/logstore/gone/logrecord?{RANGE}&query=match%20%2A",
        None,
        404,
        "LogStoreNotFound",
    ),
    (
        "POST",
        "/v1/logstore/gone/logrecord",
        {"logRecords": [{"message": "x"}]},
        404,
        "LogStoreNotFound",
    ),
    ("POST", "/v1/logstore", {**ZEROES, "logStoreName": "access"}, 409, "LogStoreAlreadyExist"),
    ("POST", "/v1/logstore", {**STORE, "project": "gone"}, 404, "ProjectNotFound"),
    ("POST", "/v1/project", {"name": "default"}, 409, "ProjectAlreadyExist"),
    ("GET", "/v1/project/gone", None, 404, "ProjectNotFound"),
    ("DELETE", "/v1/project/default", None, 400, "InvalidParameter"),
    ("GET", "/v1/fastquery/gone", None, 404, "FastQueryNotFound"),
    ("GET", "/v1/logshipper/gone", None, 404, "LogShipperNotFound"),
    ("GET", "/v2/logstore/download/gone", None, 404, "DownloadTaskNotFound"),
    ("PUT", "/v1/logstore/access/index?project", {"fulltext": True}, 404, "IndexNotFound"),
    ("GET", f"{RECORDS}?{RANGE}&marker=%21%21", None, 400, "InvalidParameter"),
    ("GET", f"{RECORDS}?startDateTime=x&endDateTime=y", None, 400, "InvalidParameter"),
    ("GET", "/v1/unheard-of", None, 404, "InvalidURI"),
    ("PATCH", "/v1/logstore", None, 405, "InvalidHTTPRequest"),
)


@pytest.mark.parametrize(("method", "target", "body", "status", "code"), ERRORS)
async def test_errors_are_objects_that_no_sdk_retries(
    served: Served, method: str, target: str, body: object, status: int, code: str
) -> None:
    got, answer = await served.go(method, target, body)
    assert (got, answer["code"]) == (status, code)
    assert answer["message"]


async def test_every_request_captured_from_the_go_sdk_is_understood(served: Served) -> None:
    await served.go("POST", "/v1/project", {"name": "p", "description": ""})
    await served.go("POST", "/v1/logstore", {**STORE, "project": "p"})
    project = next(one for one in served.engine.list_projects() if one.name == "p")
    _, made = await served.go("POST", "/v1/logstore", STORE)
    assert made["message"] == ""
    shipper = {
        "logShipperName": "s",
        "project": "",
        "logStoreName": "demo",
        "startTime": "",
        "destType": "",
        "destConfig": {"BOSPath": "b-p/p/", "partitionFormatTS": "", "maxObjectSize": 0},
    }
    _, made = await served.go("POST", "/v1/logshipper", shipper)
    id_ = made["logShipperID"]
    query = {
        "fastQueryName": "fq",
        "query": "match *",
        "description": "",
        "project": "",
        "logStoreName": "demo",
        "logStreamName": "",
        "startDateTime": "",
        "endDateTime": "",
    }
    task = {
        "name": "",
        "project": "",
        "logStoreName": "demo",
        "logStreamName": "",
        "query": "",
        "queryStartTime": "2026-03-01T00:00:00Z",
        "queryEndTime": "2026-03-02T00:00:00Z",
        "format": "",
        "limit": 0,
        "order": "",
        "fileDir": "",
    }
    pushed = {
        "logStreamName": "st/1",
        "type": "JSON",
        "logRecords": [{"message": '{"a":1}', "timestamp": START_MS, "sequence": 1}],
    }
    index = {
        "fulltext": True,
        "caseSensitive": False,
        "separators": "",
        "includeChinese": False,
        "fields": {
            "age": {
                "type": "long",
                "caseSensitive": False,
                "separators": "",
                "includeChinese": False,
            }
        },
    }
    page = {"order": "", "orderBy": "", "pageNo": 1, "pageSize": 10}
    demo = "/v1/logstore/demo"
    paged = "pageNo=1&pageSize=10&namePattern=de&order=asc&orderBy=creationDateTime"
    requests = [
        ("GET", f"/v1/logstore?project=default&{paged}", None),
        ("PUT", f"{demo}?project=default", {**ZEROES, "retention": 22}),
        ("POST", f"{demo}/logrecord?project=default", pushed),
        ("GET", f"{demo}/logrecord?limit=500&project=default&logStreamName=st%2F1&{RANGE}", None),
        (
            "GET",
            f"{demo}/logrecord?limit=500&sort=asc&project=default&logStreamName"
            f"&query=match%20%2A%20and%20a%3A%22x%20y%22&{RANGE}",
            None,
        ),
        ("GET", f"{demo}/logrecord?project&{RANGE}", None),
        ("GET", f"{demo}/logstream?project=default&orderBy=creationDateTime&order=desc", None),
        ("POST", f"{demo}/index?project=default", index),
        ("POST", "/v1/fastquery", query),
        ("PUT", f"/v1/logshipper/{id_}/status", {"desiredStatus": "Paused"}),
        ("PUT", f"/v1/logshipper/{id_}/status", {"logShipperID": id_, "status": "Paused"}),
        (
            "PUT",
            "/v1/logshipper/status/batch",
            {"logShipperIDs": [id_], "desiredStatus": "Running"},
        ),
        ("GET", f"/v1/logshipper/{id_}/record?sinceHours=480&pageNo=1&pageSize=10", None),
        ("DELETE", "/v1/logshipper", {"logShipperIDs": [id_]}),
        ("PUT", "/v1/project", {"uuid": project.uuid, "description": "", "top": True}),
        ("POST", "/v1/project/list", {"name": "", "description": "", **page}),
        (
            "POST",
            "/v2/logstore/list",
            {"project": "p", "namePattern": "", **page, "bindingResources": [{"scope": "EDAP"}]},
        ),
        ("POST", "/v1/logstore/batch", {"logStores": [{"logStoreName": "demo", "project": "p"}]}),
        ("POST", "/v2/logstore/download", task),
        (
            "POST",
            "/v2/logstore/download/list",
            {**page, "project": "", "logStoreName": "", "pageNo": 0},
        ),
    ]
    for method, target, body in requests:
        status, answer = await served.go(method, target, body)
        assert status == 200, (method, target, answer)
    assert served.engine.describe_log_store("default", "demo").settings.retention_days == 22
    assert served.engine.describe_project("p").top is True


@pytest.mark.parametrize("absent", ["null", '""', "0"])
async def test_nulls_empty_texts_and_zeroes_stand_for_absent(served: Served, absent: str) -> None:
    """Every field of the body of a call that may be left out, but for the few that may not."""
    empty = json.loads(absent)
    text = empty if empty != 0 else ""
    number = empty if empty != "" else 0
    body = {
        "project": text,
        "logStoreName": "demo",
        "retention": 7,
        "tags": None,
        "hotRetention": number,
        "shardCount": number,
        "maxShardCount": number,
        "enableHotRetention": None,
        "EnableHotRetention": None,
        "disableShardAutoSplit": None,
        "index": None,
        "indexEnabled": None,
        "unheard-of": {"x": 1},
    }
    assert (await served.go("POST", "/v1/logstore", body))[0] == 200
    _, found = await served.go("GET", "/v1/logstore/demo?project")
    assert (found["shardCount"], found["maxShardCount"], found["hotRetention"]) == (1, 50, 0)
    assert "tags" not in found
    pushed = {
        "logStreamName": text,
        "type": text,
        "tags": None,
        "logTags": None,
        "logRecords": [{"message": "m", "timestamp": number, "sequence": number}],
    }
    assert (await served.go("POST", f"{RECORDS}?project", pushed))[0] == 200
    page = {
        "project": text,
        "namePattern": text,
        "order": text,
        "orderBy": text,
        "pageNo": number,
        "pageSize": number,
        "bindingResources": None,
    }
    _, listed = await served.go("POST", "/v2/logstore/list", page)
    assert (listed["order"], listed["orderBy"]) == ("desc", "creationDateTime")
    assert (listed["pageNo"], listed["pageSize"], listed["totalCount"]) == (1, 10, 2)
    _, listed = await served.go("POST", "/v2/logstore/list", raw=b"null")
    assert listed["totalCount"] == 2


async def test_java_spells_tags_and_repeats_names_in_the_body(served: Served) -> None:
    body = {
        "project": "elsewhere",
        "logStoreName": "elsewhere",
        "logStreamName": "s",
        "type": "TEXT",
        "logTags": [{"k": "env", "v": "test"}, {"k": "empty", "v": None}],
        "logRecords": [{"message": "hello", "timestamp": START_MS}],
    }
    signed = ("host", "x-bce-date")
    assert (await served.go("POST", f"{RECORDS}?project=", body, signed=signed))[0] == 200
    _, found = await served.go("GET", f"{RECORDS}?{RANGE}&query=match%20hello")
    assert found["resultSet"]["tags"] == [{"env": "test", "empty": ""}]


@pytest.mark.parametrize(
    "signed",
    [
        (),
        ("host", "x-bce-date"),
        ("x-bce-date", "host"),
        ("x-bce-request-id", "host", "content-type", "x-bce-date"),
        ("host",),
        ("host", "user-agent-that-is-not-there"),
    ],
)
async def test_signatures_of_every_sdk_hold(served: Served, signed: tuple[str, ...]) -> None:
    for target in ("/v1/logstore?project&namePattern", "/v1/logstore?namePattern=&project="):
        assert (await served.go("GET", target, signed=signed))[0] == 200
        assert (await served.go("GET", target, signed=signed, secret_key="wrong"))[0] == 401


async def test_a_session_token_is_taken_and_signed_like_any_header(served: Served) -> None:
    token = {"x-bce-security-token": "opaque/token+of=sts"}
    for signed in ((), ("host", "x-bce-date", "x-bce-security-token")):
        status, _ = await served.go("GET", "/v1/logstore", signed=signed, extra=token)
        assert status == 200


async def test_an_expired_signature_is_not_one_that_sdks_retry(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bls_served.wall_time", lambda: wall_time() - 1801)
    status, answer = await served.go("GET", "/v1/logstore")
    assert (status, answer["code"]) == (401, "Unauthorized")
    assert answer["message"] == ("Check unauthorized: invalid ak/sk (the signature has expired)")


async def test_projects_as_the_sdk_tests_walk_them(served: Served) -> None:
    await served.go("POST", "/v1/project", {"name": "sdk-project-test", "description": ""})
    asked = {"name": "sdk-project-test", "description": "", "order": "", "orderBy": ""}
    _, listed = await served.go("POST", "/v1/project/list", {**asked, "pageNo": 1, "pageSize": 23})
    result = listed["result"]
    (found,) = result["projects"]
    assert (found["description"], found["top"], found["logStoreCount"]) == ("", False, 0)
    assert (result["total"], result["totalCount"], result["pageSize"]) == (1, 1, 23)
    assert (result["order"], result["orderBy"]) == ("desc", "createdAt")
    assert result["default"]["name"] == "default"
    uuid = found["uuid"]
    await served.advance(60)
    change = {"uuid": uuid, "description": "new", "top": True}
    assert (await served.go("PUT", "/v1/project", change))[0] == 200
    _, described = await served.go("GET", f"/v1/project/{uuid}")
    assert described["result"]["project"] == {
        "uuid": uuid,
        "name": "sdk-project-test",
        "description": "new",
        "top": True,
        "logStoreCount": 0,
        "createdTime": "2026-03-01T00:10:00Z",
        "updatedTime": "2026-03-01T00:11:00Z",
    }
    for number in range(3):
        await served.go("POST", "/v1/project", {"name": f"p{number}"})

    async def names(**body: object) -> list[str]:
        _, answer = await served.go("POST", "/v1/project/list", body)
        return [one["name"] for one in answer["result"]["projects"]]

    assert await names(name="p", orderBy="name", order="asc") == [
        "p0",
        "p1",
        "p2",
        "sdk-project-test",
    ]
    assert await names(description="ne") == ["sdk-project-test"]
    assert await names(name="p", orderBy="name", pageNo=2, pageSize=3) == ["p0"]
    assert await names(pageNo=9) == []
    assert (await served.go("DELETE", "/v1/project/sdk-project-test"))[0] == 200
    status, answer = await served.go("GET", f"/v1/project/{uuid}")
    assert (status, answer["code"]) == (404, "ProjectNotFound")


async def test_log_stores_as_the_sdk_tests_walk_them(served: Served) -> None:
    body = {
        **STORE,
        "retention": 10,
        "EnableHotRetention": True,
        "hotRetention": 7,
        "shardCount": 3,
        "maxShardCount": 8,
        "disableShardAutoSplit": True,
        "tags": [{"tagKey": "团队", "tagValue": None}, {"tagKey": "env", "tagValue": "a/b"}],
    }
    assert (await served.go("POST", "/v1/logstore", body))[0] == 200
    _, found = await served.go("GET", "/v1/logstore/demo?project=default")
    short_id = found.pop("shortID")
    assert short_id
    index = found.pop("index")
    assert (index["fulltext"], index["fields"]) == (False, {})
    assert found == {
        "success": True,
        "code": "OK",
        "creationDateTime": "2026-03-01T00:10:00Z",
        "lastModifiedTime": "2026-03-01T00:10:00Z",
        "project": "default",
        "logStoreName": "demo",
        "retention": 10,
        "enableHotRetention": True,
        "hotRetention": 7,
        "tags": [{"tagKey": "团队", "tagValue": ""}, {"tagKey": "env", "tagValue": "a/b"}],
        "shardCount": 3,
        "maxShardCount": 8,
        "disableShardAutoSplit": True,
        "indexEnabled": False,
    }
    update = {**ZEROES, "retention": 12, "enableHotRetention": True, "hotRetention": 8}
    await served.advance(1)
    assert (await served.go("PUT", "/v1/logstore/demo?project=default", update))[0] == 200
    _, listed = await served.go("GET", "/v1/logstore?project=default&namePattern=demo")
    (item,) = listed["result"]
    assert (item["retention"], item["hotRetention"], item["shardCount"]) == (12, 8, 3)
    assert (item["disableShardAutoSplit"], len(item["tags"])) == (False, 2)
    assert item["lastModifiedTime"] == "2026-03-01T00:10:01Z"
    assert (item["enableArchiveRetention"], item["lowFrequencyRetention"]) == (False, 0)
    assert item["resourceID"]
    _, listed = await served.go("GET", f"/v1/logstore?billingShortId={short_id}")
    assert [one["logStoreName"] for one in listed["result"]] == ["demo"]
    off = {**ZEROES, "retention": 5, "tags": []}
    assert (await served.go("PUT", "/v1/logstore/demo?project=default", off))[0] == 200
    _, found = await served.go("GET", "/v1/logstore/demo?project=default")
    assert (found["enableHotRetention"], found["hotRetention"], "tags" in found) == (
        False,
        0,
        False,
    )


async def test_streams_are_listed_in_order(served: Served) -> None:
    for name in ("b", "a", ""):
        body = {"logStreamName": name, "logRecords": [{"message": "x"}]}
        assert (await served.go("POST", RECORDS, body))[0] == 200
        await served.advance(1)

    async def names(query: str) -> list[str]:
        _, answer = await served.go("GET", f"/v1/logstore/access/logstream?{query}")
        return [one["logStreamName"] for one in answer["result"]]

    assert await names("project") == ["a", "b"]
    assert await names("orderBy=logStreamName&order=desc") == ["b", "a"]
    assert await names("order=asc") == ["b", "a"]
    assert await names("namePattern=a") == ["a"]


async def test_a_new_log_store_may_not_be_ready(served: Served) -> None:
    served.engine.ready_after_s = 10.0
    assert (await served.go("POST", "/v1/logstore", STORE))[0] == 200
    body = {"logRecords": [{"message": "x"}]}
    for method, target in (
        ("POST", "/v1/logstore/demo/logrecord"),
        ("GET", f"/v1/logstore/demo/logrecord?{RANGE}"),
        ("GET", f"/v1/logstore/demo/logrecord?{RANGE}&query=match%20%2A"),
    ):
        status, answer = await served.go(method, target, body if method == "POST" else None)
        assert (status, answer["code"]) == (409, "LogStoreNotReady")
    assert (await served.go("GET", "/v1/logstore/demo"))[0] == 200
    await served.advance(10)
    assert (await served.go("POST", "/v1/logstore/demo/logrecord", body))[0] == 200


@pytest.mark.parametrize(
    ("name", "status"),
    [("a" * 128, 200), ("A_z-0.9", 200), ("a" * 129, 400), ("a/b", 400), ("a b", 400), ("名", 400)],
)
async def test_names(served: Served, name: str, status: int) -> None:
    assert (await served.go("POST", "/v1/logstore", {**STORE, "logStoreName": name}))[0] == status
    got, _ = await served.go("POST", "/v1/project", {"name": name})
    assert got == (201 if status == 200 else status)


@pytest.mark.parametrize(
    ("stream", "status"), [("a" * 192, 200), ("a/b.c_d-e", 200), ("a" * 193, 400), ("a b", 400)]
)
async def test_stream_names(served: Served, stream: str, status: int) -> None:
    body = {"logStreamName": stream, "logRecords": [{"message": "x"}]}
    assert (await served.go("POST", RECORDS, body))[0] == status


@pytest.mark.parametrize(
    ("records", "status"),
    [
        ([{"message": "x"}] * 1000, 200),
        ([{"message": "x"}] * 1001, 400),
        ([], 400),
        (None, 400),
        ([{"message": "x" * 512 * 1024}], 200),
        ([{"message": "x" * (512 * 1024 + 1)}], 400),
        ([{"message": "x" * 500_000}] * 3, 413),
        ([{"message": "ok"}, {"message": "ok", "timestamp": START_MS * 100}], 400),
        ([{"message": None}], 400),
    ],
)
async def test_limits_of_a_push_which_is_all_or_nothing(
    served: Served, records: object, status: int
) -> None:
    assert (await served.go("POST", RECORDS, {"logRecords": records}))[0] == status
    _, found = await served.go("GET", f"{RECORDS}?{RANGE}&query=select%20count(*)%20as%20n")
    ((count,),) = found["resultSet"]["rows"]
    assert count == (len(records) if status == 200 else 0)


def test_quotas_are_those_of_the_documents() -> None:
    assert (MAX_PROJECTS, MAX_LOG_STORES_PER_PROJECT) == (100, 200)
    assert (MAX_FAST_QUERIES, MAX_POLICIES, MAX_SHIPPERS) == (200, 100, 300)


async def test_quotas(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulator.logstore.catalog.MAX_PROJECTS", 1)
    monkeypatch.setattr("simulator.logstore.catalog.MAX_LOG_STORES_PER_PROJECT", 1)
    monkeypatch.setattr("simulator.logstore.shippers.MAX_SHIPPERS", 0)
    monkeypatch.setattr("simulator.logstore.alarms.watching.MAX_POLICIES", 0)
    monkeypatch.setattr("simulator.logstore.templates.MAX_TEMPLATES", 0)
    store = {"project": "default", "logStoreName": "access"}
    target = {"query": "select 1 as n", "startTimeOffsetMinute": -5, "object": store}
    policy = {
        "name": "p",
        "targets": [target],
        "triggerConditions": [{"level": "INFO", "condition": "$1.n > 0"}],
        "schedule": {"intervalMinute": 1},
    }
    template = {"name": "t", "projectPatterns": ["*"], "logstorePatterns": ["*"]}
    shipper = {**store, "logShipperName": "s", "destConfig": {"BOSPath": "b-p/"}}
    for target_path, body in (
        ("/v1/project", {"name": "one-more"}),
        ("/v1/logstore", STORE),
        ("/v1/logshipper", shipper),
        ("/v1/alarm/policy", policy),
        ("/v3/bls?action=CreateLogStoreTemplate", template),
    ):
        status, answer = await served.go("POST", target_path, body)
        assert (status, answer["code"]) == (403, "ResourceOverflow"), target_path
