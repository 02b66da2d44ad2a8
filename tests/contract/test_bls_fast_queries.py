"""Fast queries and bindings, as the Go SDK's own tests ask for them."""

from pathlib import Path

import pytest
from bls_served import START_S, Served

from simulator.clock import ManualClock
from simulator.logstore import Binding, FastQueryContent, LogStoreEngine, LogStoreSettings

FAST = "/v1/fastquery"
DONE = (200, {"success": True, "code": "OK", "message": ""})


def go_body(name: str, **changes: object) -> dict[str, object]:
    return {
        "fastQueryName": name,
        "query": "match *",
        "description": "",
        "project": "",
        "logStoreName": "access",
        "logStreamName": "",
        "startDateTime": "",
        "endDateTime": "",
        **changes,
    }


async def test_a_fast_query_lives_as_the_sdk_tests_say(served: Served) -> None:
    span = {"startDateTime": "2025-05-08T05:00:00Z", "endDateTime": "2025-05-08T06:00:00Z"}
    assert (await served.go("POST", FAST, go_body("fq", **span))) == DONE
    status, answer = await served.go("POST", FAST, go_body("fq"))
    assert (status, answer["code"]) == (409, "FastQueryAlreadyExist")
    assert answer["message"] == "FastQuery [fq] already exists"
    await served.advance(60)
    changed = go_body("", query="select * limit 10", description="new", logStoreName="")
    assert (await served.go("PUT", f"{FAST}/fq", changed)) == DONE
    assert (await served.go("GET", f"{FAST}/fq")) == (
        200,
        {
            "success": True,
            "code": "OK",
            "creationDateTime": "2026-03-01T00:10:00Z",
            "lastModifiedTime": "2026-03-01T00:11:00Z",
            "fastQueryName": "fq",
            "query": "select * limit 10",
            "description": "new",
            "project": "default",
            "logStoreName": "access",
            "logStreamName": "",
            "logStoreType": "LOGSTORE",
            **span,
        },
    )
    assert (await served.go("DELETE", f"{FAST}/fq")) == DONE
    for method in ("GET", "DELETE", "PUT"):
        status, answer = await served.go(method, f"{FAST}/fq", {} if method == "PUT" else None)
        assert (status, answer["code"]) == (404, "FastQueryNotFound")
        assert answer["message"] == "FastQuery [fq] not found"
    assert len(served.changes) == 3


async def test_fast_queries_are_listed_by_project_store_and_pattern(served: Served) -> None:
    served.engine.create_project("shop")
    served.engine.create_log_store("shop", "orders", LogStoreSettings(retention_days=7))
    for name, project, store in (("a-1", "", "access"), ("b-1", "shop", "orders")):
        await served.go("POST", FAST, go_body(name, project=project, logStoreName=store))
        await served.advance(1)

    async def names(query: str) -> list[str]:
        _, answer = await served.go("GET", f"{FAST}?{query}")
        return [one["fastQueryName"] for one in answer["result"]]

    assert await names("project&logStoreName") == ["b-1", "a-1"]
    assert await names("order=asc&orderBy=name") == ["a-1", "b-1"]
    assert await names("project=shop") == ["b-1"]
    assert await names("project=default&logStoreName=access") == ["a-1"]
    assert await names("logStoreName=acc") == []
    assert await names("namePattern=-1&pageNo=2&pageSize=1") == ["a-1"]
    assert await names("logStoreType=LOGSTORE_VIEW") == []


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"logStoreName": "gone"}, 404, "LogStoreNotFound"),
        ({"logStoreName": ""}, 400, "InvalidParameter"),
        ({"fastQueryName": ""}, 400, "InvalidParameter"),
        ({"fastQueryName": "a b"}, 400, "InvalidParameter"),
        ({"fastQueryName": "a" * 129}, 400, "InvalidParameter"),
        ({"query": ""}, 400, "InvalidParameter"),
        ({"query": 7}, 400, "InvalidParameter"),
        ({"logStoreType": "LOGSTORE_VIEW"}, 404, "LogStoreViewNotFound"),
        ({"logStoreType": "TABLE"}, 400, "InvalidParameter"),
    ],
)
async def test_refused_fast_queries(
    served: Served, changes: dict[str, object], status: int, code: str
) -> None:
    got, answer = await served.go("POST", FAST, go_body("fq") | changes)
    assert (got, answer["code"]) == (status, code)
    assert served.engine.fast_queries.list_all() == []


async def test_an_account_has_200_fast_queries_at_most(served: Served) -> None:
    content = FastQueryContent(query="match *", project="default", log_store="access")
    for number in range(200):
        served.engine.fast_queries.create(f"f{number}", content)
    status, answer = await served.go("POST", FAST, go_body("one-more"))
    assert (status, answer["code"]) == (403, "ResourceOverflow")


async def test_a_bound_log_store_cannot_be_deleted(served: Served) -> None:
    body = {
        "project": "",
        "userID": "u",
        "logStoreName": "access",
        "id": "1",
        "scope": "test_scope_2",
        "subScope": "",
    }

    async def found(*scopes: str) -> int:
        wanted = [{"scope": scope} for scope in scopes]
        _, answer = await served.go("POST", "/v2/logstore/list", {"bindingResources": wanted})
        return int(answer["totalCount"])

    assert [await found("QIANFAN"), await found("QIANFAN", ""), await found()] == [0, 1, 1]
    assert (await served.go("POST", "/v1/logstore/bind", body)) == DONE
    assert (await served.go("POST", "/v1/logstore/bind", body)) == DONE
    assert [await found("test_scope"), await found("QIANFAN"), await found("")] == [1, 0, 1]
    status, answer = await served.go("DELETE", "/v1/logstore/access?project")
    assert (status, answer["code"]) == (409, "LogStoreAlreadyBind")
    assert (await served.go("POST", "/v1/logstore/unbind", {**body, "id": "2"})) == DONE
    assert (await served.go("DELETE", "/v1/logstore/access?project"))[0] == 409
    assert (await served.go("POST", "/v1/logstore/unbind", {**body, "id": ""})) == DONE
    assert (await served.go("DELETE", "/v1/logstore/access?project"))[0] == 200
    status, answer = await served.go("POST", "/v1/logstore/bind", body)
    assert (status, answer["code"]) == (404, "LogStoreNotFound")
    status, answer = await served.go("POST", "/v1/logstore/bind", {"logStoreName": "access"})
    assert (status, answer["code"]) == (400, "InvalidParameter")


def test_both_outlive_the_process(tmp_path: Path) -> None:
    clock = ManualClock(float(START_S))
    engine = LogStoreEngine(tmp_path / "db", clock)
    engine.create_log_store("default", "access", LogStoreSettings(retention_days=7))
    content = FastQueryContent(query="match *", project="default", log_store="access")
    for name in ("z", "a"):
        engine.fast_queries.create(name, content)
    kept = engine.fast_queries.list_all()
    engine.bindings.bind(Binding(project="default", log_store="access", scope="EDAP"))
    engine.close()
    again = LogStoreEngine(tmp_path / "db", clock)
    assert again.fast_queries.list_all() == kept
    assert again.bindings.scopes("default", "access") == ("EDAP",)
    again.fast_queries.delete("z")
    again.fast_queries.create("z", content)
    assert [one.name for one in again.fast_queries.list_all()] == ["a", "z"]
    again.close()
