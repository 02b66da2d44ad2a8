"""What is deleted and made anew under the same name has nothing of what was there before."""

import pytest
from bls_served import FROM, TO, Served

STORE = "/v1/logstore/access"
RANGE = f"startDateTime={FROM}&endDateTime={TO}"
SHIPPER = {"logShipperName": "s", "logStoreName": "access", "destConfig": {"BOSPath": "logs/x/"}}
POLICY = {
    "name": "any",
    "targets": [
        {
            "query": "select count(*) as n",
            "startTimeOffsetMinute": -5,
            "object": {"logStoreName": "access"},
        }
    ],
    "triggerConditions": [{"level": "WARN", "condition": "$1.n > 0"}],
    "schedule": {"intervalMinute": 1},
}
VIEW = {"name": "all", "logstores": [{"name": "access"}]}


async def ok(served: Served, method: str, target: str, body: object = None) -> dict:
    status, answer = await served.go(method, target, body)
    assert status < 300, answer
    return answer


async def push(served: Served, message: str, stream: str, tag: str) -> None:
    body = {
        "type": "JSON",
        "logStreamName": stream,
        "tags": [{"k": tag, "v": "x"}],
        "logRecords": [{"message": message}, {"message": message}],
    }
    await ok(served, "POST", f"{STORE}/logrecord", body)


@pytest.fixture
async def anew(served: Served) -> Served:
    """The LogStore with all that one can have, deleted, and made anew at the same instant."""
    await ok(
        served, "POST", f"{STORE}/index", {"fulltext": True, "fields": {"a": {"type": "long"}}}
    )
    await push(served, '{"a": 1, "old": "v"}', "before", "env")
    await ok(served, "POST", "/v1/alarm/policy", POLICY)
    await ok(served, "POST", "/v3/bls?action=CreateLogStoreView", VIEW)
    await ok(served, "POST", "/v1/logshipper", SHIPPER)
    for kind in ("LOGSTORE", "LOGSTORE_VIEW"):
        for query in ("select *", "match a:1", "match old:v | select max(a)"):
            name = "access" if kind == "LOGSTORE" else "all"
            await ok(
                served,
                "GET",
                f"/v1/logstore/{name}/logrecord?{RANGE}&logStoreType={kind}"
                f"&query={query.replace(' ', '%20').replace('|', '%7C')}",
            )
    await ok(served, "DELETE", STORE)
    await ok(served, "POST", "/v1/logstore", {"logStoreName": "access", "retention": 7})
    return served


@pytest.mark.parametrize("kind", ["LOGSTORE", "LOGSTORE_VIEW"])
async def test_nothing_shows_through(anew: Served, kind: str) -> None:
    name = "access" if kind == "LOGSTORE" else "all"
    reading = f"/v1/logstore/{name}/logrecord?{RANGE}&logStoreType={kind}"
    assert (await ok(anew, "GET", reading))["result"] == []
    found = await ok(anew, "GET", f"{reading}&query=select%20*")
    assert (found["resultSet"]["columns"], found["resultSet"]["rows"]) == (
        ["@timestamp", "@stream", "@raw"],
        [],
    )
    counted = await ok(anew, "GET", f"{reading}&query=select%20count(*),%20max(old),%20max(env)")
    assert counted["resultSet"]["rows"] == [[0, None, None]]
    await push(anew, '{"a": "t", "new": 1}', "after", "zone")
    found = await ok(anew, "GET", f"{reading}&query=select%20a,%20zone,%20env,%20old")
    assert found["resultSet"]["rows"] == [["t", "x", None, None]] * 2
    page = await ok(anew, "GET", f"{reading}&limit=1")
    rest = await ok(anew, "GET", f"{reading}&limit=1&marker={page['nextMarker']}")
    assert [one["message"] for one in (*page["result"], *rest["result"])] == [
        '{"a":"t","new":1}'
    ] * 2


async def test_streams_index_fields_and_shippers_are_gone(anew: Served) -> None:
    assert (await ok(anew, "GET", f"{STORE}/logstream"))["result"] == []
    index = await ok(anew, "GET", f"{STORE}/index")
    assert (index["fulltext"], index["fields"]) == (False, {})
    caps = await ok(anew, "POST", "/access/_field_caps", {"fields": ["*"]})
    assert {"a", "old", "env"}.isdisjoint(caps["fields"])
    assert (await ok(anew, "GET", "/v1/logshipper"))["totalCount"] == 0
    await push(anew, "{}", "after", "zone")
    await anew.advance(3600)
    assert anew.buckets.objects["logs"] == {}
    streams = (await ok(anew, "GET", f"{STORE}/logstream"))["result"]
    assert [one["logStreamName"] for one in streams] == ["after"]


async def test_an_alarm_goes_on_with_the_new_records_only(anew: Served) -> None:
    await anew.advance(120)
    asked = {"order": "asc"}
    found = (await ok(anew, "POST", "/v1/alarm/execution/list", asked))["result"]["executions"]
    assert [one["state"] for one in found] == ["OK", "OK"]
