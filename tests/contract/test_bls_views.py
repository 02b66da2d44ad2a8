"""Views: made, changed, deleted; pulled and queried with ``logStoreType``; refused elsewhere."""

from pathlib import Path
from urllib.parse import quote

import pytest
from bls_served import FROM, START_MS, TO, Served
from worlds import call, up

from simulator.logstore import LogStoreSettings

DONE = (200, {"success": True, "code": "OK", "message": ""})
RANGE = f"startDateTime={FROM}&endDateTime={TO}"
AS_VIEW = "logStoreType=LOGSTORE_VIEW"
RECORDS = f"/v1/logstore/all/logrecord?{RANGE}&{AS_VIEW}"
HISTOGRAM = f"/v2/logstore/all/loghistogram?{RANGE}&{AS_VIEW}"
PULL_V3 = f"/v3/logstore/all/logrecord/pull?{RANGE}&{AS_VIEW}"
WEB = {"region": "bj", "project": "default", "name": "web", "extends": []}
APP = {
    "region": "bj",
    "project": "shop",
    "name": "app",
    "extends": [{"column": "code", "alias": "status"}],
}
VIEW = {"name": "all", "logstores": [WEB, APP]}
BORN, LATER = "2026-03-01T00:10:00Z", "2026-03-01T00:10:01Z"


def act(action: str) -> str:
    return f"/v3/bls?action={action}"


@pytest.fixture
async def stores(served: Served) -> Served:
    """``default/web`` and ``shop/app`` with three records each; two of each are of one time."""
    served.engine.create_project("shop")
    for project, name, field in (("default", "web", "status"), ("shop", "app", "code")):
        served.engine.create_log_store(project, name, LogStoreSettings(retention_days=7))
        records = [
            {
                "message": f'{{"{field}": {status}, "of": "{name}"}}',
                "timestamp": START_MS + 1000 * (number // 2),
            }
            for number, status in enumerate((200, 500, 404))
        ]
        pushed = {"type": "JSON", "logStreamName": f"s/{name}", "logRecords": records}
        target = f"/v1/logstore/{name}/logrecord?project={project}"
        assert (await served.go("POST", target, pushed))[0] == 200
    return served


@pytest.fixture
async def view(stores: Served) -> Served:
    """``default/all`` over both."""
    assert (await stores.go("POST", act("CreateLogStoreView"), VIEW)) == DONE
    return stores


async def rows(served: Served, query: str, more: str = "") -> list[list[object]]:
    status, answer = await served.go("GET", f"{RECORDS}&query={quote(query)}{more}")
    assert status == 200, answer
    found: list[list[object]] = answer["resultSet"]["rows"]
    return found


async def test_a_view_is_made_described_changed_and_deleted(stores: Served) -> None:
    before = len(stores.changes)
    assert (await stores.go("POST", act("CreateLogStoreView"), VIEW)) == DONE
    status, answer = await stores.go("POST", act("CreateLogStoreView"), VIEW)
    assert (status, answer["code"]) == (409, "LogStoreViewAlreadyExist")
    _, found = await stores.go("POST", act("DescribeLogStoreView"), {"name": "all"})
    assert found == {
        "success": True,
        "code": "OK",
        "project": "default",
        "name": "all",
        "logstores": [WEB, APP],
        "createdTimestamp": BORN,
        "updatedTimestamp": BORN,
    }
    await stores.advance(1)
    change = {"project": "default", "name": "all", "logstores": [{"logStoreName": "web"}]}
    assert (await stores.go("POST", act("UpdateLogStoreView"), change)) == DONE
    _, found = await stores.go("POST", act("DescribeLogStoreView"), {"project": "", "name": "all"})
    assert (found["logstores"], found["updatedTimestamp"]) == ([WEB], LATER)
    assert (await stores.go("POST", act("DeleteLogStoreView"), {"name": "all"})) == DONE
    for action in ("DeleteLogStoreView", "DescribeLogStoreView", "UpdateLogStoreView"):
        status, answer = await stores.go("POST", act(action), VIEW)
        assert (status, answer["code"]) == (404, "LogStoreViewNotFound")
    assert len(stores.changes) == before + 3
    assert stores.engine.has_log_store("default", "web")


async def test_views_are_listed(stores: Served) -> None:
    for project, name in (("default", "web-all"), ("shop", "all"), ("shop", "other")):
        body = VIEW | {"project": project, "name": name}
        assert (await stores.go("POST", act("CreateLogStoreView"), body)) == DONE
        await stores.advance(1)
    touched = VIEW | {"name": "web-all"}
    assert (await stores.go("POST", act("UpdateLogStoreView"), touched)) == DONE

    async def names(**asked: object) -> list[str]:
        status, answer = await stores.go("POST", act("DescribeLogStoreViews"), asked)
        assert status == 200, answer
        return [one["name"] for one in answer["views"]]

    assert await names() == ["other", "all", "web-all"]
    assert await names(orderBy="updatedTimestamp") == ["web-all", "other", "all"]
    assert await names(order="asc", name="all") == ["web-all", "all"]
    assert await names(project="shop", name="") == ["other", "all"]
    assert await names(project="sho") == []
    _, page = await stores.go(
        "POST", act("DescribeLogStoreViews"), {"pageNo": 2, "pageSize": 2, "order": "asc"}
    )
    assert [one["name"] for one in page.pop("views")] == ["other"]
    assert page == {
        "success": True,
        "code": "OK",
        "order": "asc",
        "orderBy": "createdTimestamp",
        "pageNo": 2,
        "pageSize": 2,
        "totalCount": 3,
    }


@pytest.mark.parametrize(
    ("changes", "status", "code", "words"),
    [
        ({"name": ""}, 400, "InvalidParameter", "[name] is required"),
        ({"name": "a b"}, 400, "InvalidParameter", "[name]"),
        ({"logstores": []}, 400, "InvalidParameter", "[logstores] is required"),
        ({"logstores": None}, 400, "InvalidParameter", "[logstores] is required"),
        ({"logstores": [{}]}, 400, "InvalidParameter", "[logstores[0].name] is required"),
        ({"logstores": ["web"]}, 400, "InvalidParameter", "[logstores[0]] expected an object, not"),
        (
            {"logstores": [WEB, APP | {"region": "gz"}]},
            400,
            "InvalidParameter",
            "[logstores[1].region] expected bj",
        ),
        (
            {"logstores": [WEB | {"extends": [{"column": "a"}]}]},
            400,
            "InvalidParameter",
            "[logstores[0].extends[0].alias]",
        ),
        ({"logstores": [{"name": "gone"}]}, 404, "LogStoreNotFound", "LogStore [gone]"),
        ({"logstores": [{"name": "app"}]}, 404, "LogStoreNotFound", "LogStore [app]"),
        ({"project": "gone"}, 404, "ProjectNotFound", "Project [gone]"),
    ],
)
async def test_refused_views(
    stores: Served, changes: dict[str, object], status: int, code: str, words: str
) -> None:
    got, answer = await stores.go("POST", act("CreateLogStoreView"), VIEW | changes)
    assert (got, answer["code"]) == (status, code)
    assert words in answer["message"]
    assert stores.engine.views.list_all() == []


async def test_a_view_is_searched(view: Served) -> None:
    _, answer = await view.go("GET", f"{RECORDS}&query=match%20status%20%3E%3D%20404")
    found = answer["resultSet"]
    assert (found["queryType"], found["columns"]) == (
        "match",
        ["@timestamp", "@seq", "@stream", "@raw"],
    )
    assert [(row[0] - START_MS, row[2], row[3]) for row in found["rows"]] == [
        (1000, "s/app", '{"code": 404, "of": "app"}'),
        (1000, "s/web", '{"status": 404, "of": "web"}'),
        (0, "s/app", '{"code": 500, "of": "app"}'),
        (0, "s/web", '{"status": 500, "of": "web"}'),
    ]
    assert answer["datasetScanInfo"]["statistics"]["scanCount"] == 6
    assert len(await rows(view, "match *", "&logStreamName=s/app")) == 3


@pytest.mark.parametrize("sort", ["asc", "desc"])
async def test_pages_of_a_view_follow_each_other(view: Served, sort: str) -> None:
    everything = [row[3] for row in await rows(view, "match *", f"&sort={sort}")]
    assert len(everything) == 6
    for limit in (1, 2, 4):
        found: list[object] = []
        marker = ""
        while True:
            _, page = await view.go(
                "GET", f"{RECORDS}&query=match%20%2A&sort={sort}&limit={limit}&marker={marker}"
            )
            found += [row[3] for row in page["resultSet"]["rows"]]
            if "nextMarker" not in page:
                break
            marker = page["nextMarker"]
        assert found == everything
        numbered = [
            row[3]
            for number in range(1, 7)
            for row in await rows(view, "match *", f"&sort={sort}&pageNo={number}&pageSize={limit}")
        ]
        assert numbered == everything


async def test_a_view_is_pulled(view: Served) -> None:
    v1: list[tuple[int, str]] = []
    v3: list[tuple[int, str]] = []
    for found, target in ((v1, RECORDS), (v3, f"{PULL_V3}&sort=asc&query=match%20%2A")):
        marker = ""
        while True:
            _, page = await view.go("GET", f"{target}&limit=2&marker={marker}")
            found += [(one["timestamp"], one["message"]) for one in page["result"]]
            assert page["isTruncated"] is bool(page["nextMarker"])
            if not page["nextMarker"]:
                break
            marker = page["nextMarker"]
    assert v1 == v3
    assert [at for at, _ in v1] == [START_MS] * 4 + [START_MS + 1000] * 2
    # Both LogStores gave the same numbers to records that came at the same instant.
    assert [message[-5:-2] for _, message in v1] == ["web", "app"] * 3


async def test_sql_is_over_all_records_of_a_view(view: Served) -> None:
    statement = "select status, count(*) as n, count(code) as c group by status order by status"
    assert await rows(view, statement) == [[200, 2, 1], [404, 2, 1], [500, 2, 1]]
    assert await rows(view, "match status = 500 | select of order by of") == [["app"], ["web"]]
    _, answer = await view.go("GET", f"{RECORDS}&query={quote('select *')}")
    assert answer["resultSet"]["columns"] == ["@timestamp", "@stream", "@raw", "of", "status"]


async def test_a_histogram_of_a_view(view: Served) -> None:
    _, answer = await view.go("GET", f"{HISTOGRAM}&query=match%20status%20%3C%20500")
    assert answer["searchInfo"]["hits"] == 4
    assert answer["searchStatistic"]["histogram"][0]["doc_count"] == 4


async def test_a_log_store_deleted_meanwhile_is_named(view: Served) -> None:
    assert (await view.go("DELETE", "/v1/logstore/app?project=shop"))[0] == 200
    for target in (
        RECORDS,
        f"{RECORDS}&query=match%20%2A",
        f"{HISTOGRAM}&query=match%20%2A",
        PULL_V3,
    ):
        status, answer = await view.go("GET", target)
        assert (status, answer["code"]) == (404, "LogStoreNotFound")
        assert answer["message"] == "LogStore [app] of the view [all] not exists"
    assert (await view.go("POST", act("UpdateLogStoreView"), VIEW | {"logstores": [WEB]})) == DONE
    assert len(await rows(view, "match *")) == 3


@pytest.mark.parametrize(
    ("method", "target", "body"),
    [
        ("POST", "/v1/logstore/{}/logrecord?", {"logRecords": [{"message": "x"}]}),
        ("POST", "/v1/logstore/{}/index?", {"fulltext": True}),
        ("GET", "/v1/logstore/{}/index?", None),
        ("PUT", "/v1/logstore/{}/index?", {"fulltext": True}),
        ("DELETE", "/v1/logstore/{}/index?", None),
        ("GET", "/v1/logstore/{}?", None),
        ("PUT", "/v1/logstore/{}?", {"retention": 3}),
        ("DELETE", "/v1/logstore/{}?", None),
        ("GET", "/v1/logstore/{}/logstream?", None),
    ],
)
async def test_a_view_is_no_log_store(view: Served, method: str, target: str, body: object) -> None:
    status, answer = await view.go(method, target.format("all"), body)
    assert (status, answer["code"]) == (404, "LogStoreNotFound")
    assert "it is a view" in answer["message"]
    for name in ("all", "web"):
        status, answer = await view.go(method, f"{target.format(name)}{AS_VIEW}", body)
        assert (status, answer["code"]) == (400, "InvalidParameter")
        assert (
            "[logStoreType] expected LOGSTORE: a view can be pulled and queried"
            in answer["message"]
        )
    assert len(await rows(view, "match *")) == 6


async def test_nothing_ships_from_a_view_or_binds_it(view: Served) -> None:
    shipper = {"logShipperName": "s", "logStoreName": "all", "destConfig": {"BOSPath": "logs/x/"}}
    binding = {"logStoreName": "all", "scope": "EDAP", "id": "1", "userID": "u"}
    for target, body in (("/v1/logshipper", shipper), ("/v1/logstore/bind", binding)):
        status, answer = await view.go("POST", target, body)
        assert (status, answer["code"]) == (404, "LogStoreNotFound")
        assert "it is a view" in answer["message"]


async def test_views_and_log_stores_are_told_apart_by_their_type(view: Served) -> None:
    own = f"/v1/logstore/all/logrecord?{RANGE}"
    for target in (own, f"{own}&query=match%20%2A", f"{own}&logStoreType=LOGSTORE"):
        status, answer = await view.go("GET", target)
        assert (status, answer["code"]) == (404, "LogStoreNotFound")
        assert "logStoreType=LOGSTORE_VIEW" in answer["message"]
    status, answer = await view.go("GET", f"/v1/logstore/web/logrecord?{RANGE}&{AS_VIEW}")
    assert (status, answer["code"]) == (404, "LogStoreViewNotFound")
    for target in (own, f"/v2/logstore/all/loghistogram?{RANGE}&query=match%20%2A"):
        status, answer = await view.go("GET", f"{target}&logStoreType=TABLE")
        assert (status, answer["code"]) == (400, "InvalidParameter")
        assert "[logStoreType]" in answer["message"]


async def test_fast_queries_of_views(view: Served) -> None:
    body = {
        "fastQueryName": "q",
        "query": "match *",
        "logStoreName": "all",
        "logStoreType": "LOGSTORE_VIEW",
    }
    assert (await view.go("POST", "/v1/fastquery", body)) == DONE
    _, found = await view.go("GET", "/v1/fastquery/q")
    assert (found["logStoreName"], found["logStoreType"]) == ("all", "LOGSTORE_VIEW")
    _, listed = await view.go("GET", "/v1/fastquery?logStoreType=LOGSTORE_VIEW")
    assert listed["totalCount"] == 1
    # Without a type an update leaves it; another one goes for the name that is there.
    assert (await view.go("PUT", "/v1/fastquery/q", {"description": "d"})) == DONE
    assert (await view.go("GET", "/v1/fastquery/q"))[1]["logStoreType"] == "LOGSTORE_VIEW"
    status, answer = await view.go("PUT", "/v1/fastquery/q", {"logStoreType": "LOGSTORE"})
    assert (status, answer["code"]) == (404, "LogStoreNotFound")
    change = {"logStoreType": "LOGSTORE", "logStoreName": "web"}
    assert (await view.go("PUT", "/v1/fastquery/q", change)) == DONE
    status, answer = await view.go("POST", "/v1/fastquery", body | {"fastQueryName": "p"} | change)
    assert status == 200, answer


async def test_downloads_of_views(view: Served) -> None:
    body = {
        "logStoreName": "all",
        "logStoreType": "LOGSTORE_VIEW",
        "queryStartTime": FROM,
        "queryEndTime": TO,
        "query": "match status = 500",
        "format": "csv",
        "fileDir": "logs/d/",
    }
    status, made = await view.go("POST", "/v2/logstore/download", body)
    assert status == 200, made
    _, found = await view.go("GET", f"/v2/logstore/download/{made['result']['uuid']}")
    task = found["result"]["task"]
    assert (task["state"], task["writtenRows"]) == ("SUCCESS", 2)
    assert task["logStoreType"] == "LOGSTORE_VIEW"
    ((_, content),) = view.buckets.objects["logs"].items()
    assert [line.split(",")[2] for line in content.decode().splitlines()[1:]] == ["s/app", "s/web"]
    status, answer = await view.go("POST", "/v2/logstore/download", body | {"logStoreName": "web"})
    assert (status, answer["code"]) == (404, "LogStoreViewNotFound")
    status, answer = await view.go("POST", "/v2/logstore/download", body | {"logStoreType": "X"})
    assert (status, answer["code"]) == (400, "InvalidParameter")


SCENARIO = """\
version: 1
region: su
clock: {mode: manual, start: "2026-03-01T08:10:00+08:00"}
account: {auth: off}
log_stores: [{name: web}]
"""


async def test_views_are_of_the_scenarios_region_and_outlive_a_restart(tmp_path: Path) -> None:
    async with up(tmp_path, SCENARIO) as world:
        body = {"name": "all", "logstores": [{"name": "web", "region": "bj"}]}
        assert (await call(world, "POST", act("CreateLogStoreView"), body))[0] == 400
        body = {"name": "all", "logstores": [{"name": "web", "region": "su"}]}
        assert (await call(world, "POST", act("CreateLogStoreView"), body))[0] == 200
    async with up(tmp_path, SCENARIO) as world:
        _, found = await call(world, "POST", act("DescribeLogStoreView"), {"name": "all"})
    assert found["logstores"] == [
        {"region": "su", "project": "default", "name": "web", "extends": []}
    ]
